//! The worked examples of Modbus Application Protocol V1.1b3, section by section.

use super::*;

fn read(function: u8, address: u16, count: u16) -> Request {
    Request::Read {
        function,
        address,
        count,
    }
}

/// Section, question, its bytes, the answer's bytes, and what they say.
type Example = (&'static str, Request, &'static [u8], &'static [u8], Reply);

fn examples() -> Vec<Example> {
    vec![
        (
            "6.1 coils 20-38",
            read(1, 0x13, 0x13),
            &[1, 0, 0x13, 0, 0x13],
            &[1, 3, 0xCD, 0x6B, 0x05],
            read_data(1, 19, &[0xCD, 0x6B, 0x05]),
        ),
        (
            "6.2 inputs 197-218",
            read(2, 0xC4, 0x16),
            &[2, 0, 0xC4, 0, 0x16],
            &[2, 3, 0xAC, 0xDB, 0x35],
            read_data(2, 22, &[0xAC, 0xDB, 0x35]),
        ),
        (
            "6.3 registers 108-110",
            read(3, 0x6B, 3),
            &[3, 0, 0x6B, 0, 3],
            &[3, 6, 0x02, 0x2B, 0, 0, 0, 0x64],
            Reply::Words(vec![555, 0, 100]),
        ),
        (
            "6.4 input register 9",
            read(4, 8, 1),
            &[4, 0, 8, 0, 1],
            &[4, 2, 0, 0x0A],
            Reply::Words(vec![10]),
        ),
    ]
}

fn more_examples() -> Vec<Example> {
    vec![
        (
            "6.5 coil 173 on",
            Request::WriteCoil {
                address: 0xAC,
                on: true,
            },
            &[5, 0, 0xAC, 0xFF, 0],
            &[5, 0, 0xAC, 0xFF, 0],
            Reply::Done,
        ),
        (
            "6.6 register 2 to 3",
            Request::WriteRegister { address: 1, word: 3 },
            &[6, 0, 1, 0, 3],
            &[6, 0, 1, 0, 3],
            Reply::Done,
        ),
        (
            "6.12 two registers from 2 on",
            Request::WriteRegisters {
                address: 1,
                words: vec![0x0A, 0x0102],
            },
            &[0x10, 0, 1, 0, 2, 4, 0, 0x0A, 1, 2],
            &[0x10, 0, 1, 0, 2],
            Reply::Done,
        ),
        (
            "6.11, with one coil",
            Request::WriteOneOfCoils {
                address: 0x13,
                on: true,
            },
            &[15, 0, 0x13, 0, 1, 1, 1],
            &[15, 0, 0x13, 0, 1],
            Reply::Done,
        ),
        (
            "7, coil 1186 that is not there",
            read(1, 0x04A1, 1),
            &[1, 4, 0xA1, 0, 1],
            &[0x81, 2],
            Reply::Exception(2),
        ),
    ]
}

#[test]
fn the_examples_of_the_specification_are_spoken_and_understood() {
    for (section, request, asked, answered, reply) in examples().into_iter().chain(more_examples()) {
        assert_eq!(request.encode(), asked, "{section}");
        assert_eq!(request.read_answer(answered), Ok(reply), "{section}");
        assert_eq!(
            request.answer_length(answered),
            Ok(Some(answered.len())),
            "{section}"
        );
    }
    // 6.1: output 27 is the first of the second byte, 0x6B = 0110 1011: on; output 22 (third bit) is on.
    let Reply::Bits(bits) = read_data(1, 19, &[0xCD, 0x6B, 0x05]) else {
        panic!("bits")
    };
    assert_eq!(bits[..8], [true, false, true, true, false, false, true, true]);
    assert_eq!(bits[16..], [true, false, true]);
}

#[test]
fn the_identification_of_the_specification_is_read() {
    // 6.21: "Company identification", "Product code XX", "V2.11".
    let mut pdu = vec![0x2B, 0x0E, 1, 1, 0, 0, 3];
    for (id, text) in [
        (0u8, "Company identification"),
        (1, "Product code XX"),
        (2, "V2.11"),
    ] {
        pdu.extend([id, u8::try_from(text.len()).unwrap()]);
        pdu.extend(text.bytes());
    }
    assert_eq!(pdu[8], 0x16, "the specification writes 22 there");
    let request = Request::Identify { object: 0 };
    assert_eq!(request.encode(), [0x2B, 0x0E, 2, 0]);
    assert_eq!(request.answer_length(&pdu), Ok(Some(pdu.len())));
    for end in 0..pdu.len() {
        // The length is known when the head of the last object has come, and then it is right.
        let known = request.answer_length(&pdu[..end]).unwrap();
        assert!(
            known == Some(pdu.len()) || (known.is_none() && end <= 49),
            "{end}: {known:?}"
        );
    }
    let Ok(Reply::Objects(objects, None)) = request.read_answer(&pdu) else {
        panic!("{:?}", request.read_answer(&pdu))
    };
    assert_eq!(objects.len(), 3);
    assert_eq!(objects[2], (2, b"V2.11".to_vec()));
    // More follows from object 4 on.
    (pdu[4], pdu[5]) = (0xFF, 4);
    assert!(matches!(
        request.read_answer(&pdu),
        Ok(Reply::Objects(_, Some(4)))
    ));
}

#[test]
fn an_answer_to_another_question_is_never_taken() {
    let two = read(3, 0, 2);
    for (request, pdu) in [
        (&two, &[4, 4, 0, 1, 0, 2][..]),
        (&two, &[3, 2, 0, 1]),
        (&two, &[3, 6, 0, 1, 0, 2, 0, 3]),
        (&two, &[3, 4, 0, 1]),
        (&two, &[3, 4, 0, 1, 0, 2, 0]),
        (&two, &[0x84, 2]),
        (&two, &[0x83]),
        (&two, &[0x83, 0]),
        (&two, &[]),
        (&Request::WriteRegister { address: 1, word: 3 }, &[6, 0, 1, 0, 4]),
        (&Request::WriteRegister { address: 1, word: 3 }, &[6, 0, 2, 0, 3]),
        (&Request::WriteCoil { address: 1, on: true }, &[5, 0, 1, 0, 0]),
        (&Request::Identify { object: 0 }, &[0x2B, 0x0D, 1, 1, 0, 0, 0]),
    ] {
        assert!(request.read_answer(pdu).is_err(), "{request:?} {pdu:?}");
    }
}
