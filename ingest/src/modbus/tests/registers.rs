//! Plan, frame and meaning. Register values were worked out by hand (IEEE 754: 123.456 is 0x42F6E979).

use proptest::prelude::*;
use std::sync::Arc;
use telemetry::profile::Profile;
use telemetry::time::Span;
use telemetry::{Bad, Batch, Lsn, Origin, Quality, RawMessage};

use crate::decoder::{DecodeSettings, Decoder};
use crate::modbus::frame::{Answer, FrameError, Read, decode, encode};
use crate::modbus::plan::{Block, plan};
use crate::testkit::{NOON, catalogue_of, device};

/// A profile of signals `s0`, `s1`, … one for each of `points` (function, address and the rest of the entry).
pub(super) fn profile(head: &str, points: &[(u8, u16, &str)]) -> Arc<Profile> {
    let mut text = String::from(
        "kind = \"unit\"\nversion = 1\ntitle = { zh = \"某\", en = \"some\" }\ndomain = \"sewage\"\nreport_interval = \"1s\"\n",
    );
    for n in 0..points.len() {
        text +=
            &format!("[[signal]]\nname = \"s{n}\"\ntitle = {{ zh = \"某\", en = \"some\" }}\nunit = \"1\"\n");
    }
    text += &format!("[modbus]\n{head}\n");
    for (n, (function, address, rest)) in points.iter().enumerate() {
        text += &format!(
            "[[modbus.point]]\nsignal = \"s{n}\"\nfunction = {function}\naddress = {address}\n{rest}\n"
        );
    }
    crate::testkit::profile(&text)
}

fn blocks(head: &str, points: &[(u8, u16, &str)]) -> Vec<(u8, u16, u16)> {
    let groups = plan(&profile(head, points).modbus, Span::from_secs(1));
    assert!(groups.len() <= 1, "one scan class");
    triples(groups.iter().flat_map(|group| &group.blocks))
}

fn triples<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Vec<(u8, u16, u16)> {
    let triple = |b: &Block| (b.function, b.address, b.count);
    blocks.into_iter().map(triple).collect()
}

const FLOAT: &str = "type = \"float32\"";
const BIT: &str = "type = \"bool\"";

#[test]
fn neighbours_share_a_read_and_function_codes_never_mix() {
    let nothing = telemetry::profile::ModbusMap::default();
    assert_eq!(plan(&nothing, Span::from_secs(1)), []);
    // In any order, overlapping, across a gap of 8 but not of 9.
    assert_eq!(blocks("", &[(4, 5, ""), (4, 0, FLOAT), (4, 1, "")]), [(4, 0, 6)]);
    assert_eq!(blocks("gap_max = 8", &[(4, 0, ""), (4, 9, "")]), [(4, 0, 10)]);
    assert_eq!(
        blocks("gap_max = 8", &[(4, 0, ""), (4, 10, "")]),
        [(4, 0, 1), (4, 10, 1)]
    );
    assert_eq!(
        blocks("gap_max = 0", &[(3, 0, ""), (3, 1, ""), (3, 3, "")]),
        [(3, 0, 2), (3, 3, 1)]
    );
    let mixed = [(4, 1, ""), (3, 0, ""), (1, 1, BIT), (2, 0, BIT), (1, 0, BIT)];
    assert_eq!(blocks("", &mixed), [(1, 0, 2), (2, 0, 1), (3, 0, 1), (4, 1, 1)]);
    // A value is never cut: 124 registers are followed by a float that does not fit into 125.
    let first: Vec<(u8, u16, &str)> = (0..124).map(|n| (4, n, "")).chain([(4, 124, FLOAT)]).collect();
    assert_eq!(blocks("", &first), [(4, 0, 124), (4, 124, 2)]);
    assert_eq!(
        blocks("block_max = 2", &[(4, 0, ""), (4, 1, ""), (4, 2, "")]),
        [(4, 0, 2), (4, 2, 1)]
    );
    assert_eq!(blocks("", &[(4, 65_535, "")]), [(4, 65_535, 1)]);
    assert_eq!(blocks("", &[(4, 65_534, FLOAT)]), [(4, 65_534, 2)]);
    // Bits: 2000 in one read.
    let bits: Vec<(u8, u16, &str)> = (0..300).map(|n| (2, n * 8, BIT)).collect();
    assert_eq!(blocks("", &bits), [(2, 0, 1993), (2, 2000, 393)]);
}

#[test]
fn a_forbidden_register_is_never_inside_of_a_read() {
    let forbidden =
        "gap_max = 8\nforbidden = [{ function = 4, from = 3, to = 4 }, { function = 3, from = 1, to = 1 }]";
    let points = [(4, 0, ""), (4, 2, ""), (4, 5, ""), (4, 7, "")];
    assert_eq!(blocks(forbidden, &points), [(4, 0, 3), (4, 5, 3)]);
    assert_eq!(blocks("gap_max = 8", &points), [(4, 0, 8)]);
}

#[test]
fn bits_have_a_limit_of_their_own() {
    let bits: Vec<(u8, u16, &str)> = (0..20).map(|n| (2, n, BIT)).collect();
    assert_eq!(
        blocks("bits_max = 8\nblock_max = 1", &bits),
        [(2, 0, 8), (2, 8, 8), (2, 16, 4)]
    );
}

#[test]
fn scan_classes_are_planned_apart_and_the_usual_interval_holds_for_the_rest() {
    let head = "scan = { fast = \"1s\", slow = \"5min\" }";
    let points = [
        (4, 0, "scan = \"fast\""),
        (4, 1, "scan = \"slow\""),
        (4, 2, "scan = \"fast\""),
        (4, 3, ""),
    ];
    let groups = plan(&profile(head, &points).modbus, Span::from_secs(10));
    let found: Vec<_> = groups
        .iter()
        .map(|group| (group.every, triples(&group.blocks)))
        .collect();
    assert_eq!(
        found,
        [
            (Span::from_secs(1), vec![(4, 0, 3)]),
            (Span::from_secs(10), vec![(4, 3, 1)]),
            (Span::from_secs(300), vec![(4, 1, 1)]),
        ]
    );
}

#[test]
fn a_refused_read_is_cut_at_its_gaps_then_in_halves_and_no_value_in_two() {
    // Given registers 0, 1, a float at 2 and 5 to 7, in one read,
    let points = [
        (4, 0, ""),
        (4, 1, ""),
        (4, 2, FLOAT),
        (4, 5, ""),
        (4, 6, ""),
        (4, 7, ""),
    ];
    let mut group = plan(&profile("", &points).modbus, Span::from_secs(1)).remove(0);
    assert_eq!(triples(&group.blocks), [(4, 0, 8)]);
    let block = |address, count| Block {
        function: 4,
        address,
        count,
    };
    // then it is cut at its gap first, and each part in halves after that.
    let parts = group.parts(block(0, 8));
    assert_eq!(triples(&parts), [(4, 0, 4), (4, 5, 3)]);
    assert_eq!(triples(&group.parts(block(0, 4))), [(4, 0, 1), (4, 1, 3)]);
    assert_eq!(triples(&group.parts(block(1, 3))), [(4, 1, 1), (4, 2, 2)]);
    assert_eq!(group.parts(block(2, 2)), [], "a single value");
    group.replace(block(0, 8), &parts);
    assert_eq!(triples(&group.blocks), [(4, 0, 4), (4, 5, 3)]);
    // A float over two registers that are points of their own cannot be cut.
    let overlapping = [(4, 0, FLOAT), (4, 0, ""), (4, 1, "")];
    let group = plan(&profile("", &overlapping).modbus, Span::from_secs(1)).remove(0);
    assert_eq!(group.parts(block(0, 2)), []);
}

proptest! {
    #[test]
    fn every_point_is_read_within_the_limits(
        points in prop::collection::vec((1u8..=4, 0u16..400, any::<bool>()), 1..60),
        gap_max in 0u16..20,
        block_max in 2u16..=125,
    ) {
        let points: Vec<(u8, u16, &str)> = points
            .into_iter()
            .map(|(function, address, long)| {
                (function, address, if function <= 2 { BIT } else if long { FLOAT } else { "" })
            })
            .collect();
        let map = profile(&format!("gap_max = {gap_max}\nblock_max = {block_max}"), &points).modbus.clone();
        let blocks = plan(&map, Span::from_secs(1)).remove(0).blocks;
        for point in &map.points {
            // One that shares registers with another may stand in two reads: the first of them gives its value.
            prop_assert!(blocks.iter().any(|b| b.holds(point.function, point.address, point.kind.words())));
        }
        for block in &blocks {
            let most = if block.function <= 2 { (block_max * 16).min(2000) } else { block_max };
            prop_assert!((1..=most).contains(&block.count));
        }
    }

    #[test]
    fn a_poll_survives_its_form(
        reads in prop::collection::vec(
            (1u8..=4, any::<u16>(), prop_oneof![
                prop::collection::vec(any::<u16>(), 0..126).prop_map(Answer::Words),
                prop::collection::vec(any::<bool>(), 0..2001).prop_map(Answer::Bits),
                any::<u8>().prop_map(Answer::Exception),
                Just(Answer::None),
            ]),
            0..5,
        ),
    ) {
        let reads: Vec<Read> = reads
            .into_iter()
            .map(|(function, address, answer)| {
                let count = match &answer {
                    Answer::Words(words) => words.len(),
                    Answer::Bits(bits) => bits.len(),
                    Answer::Exception(_) | Answer::None => 3,
                };
                Read { block: Block { function, address, count: count.try_into().unwrap() }, answer }
            })
            .collect();
        let bytes = encode(&reads);
        prop_assert_eq!(decode(&bytes), Ok(reads));
        for end in 1..bytes.len() {
            // Cut anywhere it is either a shorter poll or none; it never panics.
            prop_assert!(matches!(decode(&bytes[..end]), Ok(_) | Err(FrameError::CutOff)));
        }
    }
}

#[test]
fn the_form_of_a_poll_does_not_change() {
    let block = |function, address, count| Block {
        function,
        address,
        count,
    };
    let reads = [
        Read {
            block: block(4, 0x0102, 2),
            answer: Answer::Words(vec![0x42F6, 0xE979]),
        },
        Read {
            block: block(2, 0, 9),
            answer: Answer::Bits(
                [true, false, true]
                    .into_iter()
                    .chain([false; 5])
                    .chain([true])
                    .collect(),
            ),
        },
        Read {
            block: block(3, 7, 1),
            answer: Answer::Exception(2),
        },
        Read {
            block: block(3, 8, 1),
            answer: Answer::None,
        },
    ];
    let bytes = [
        &[1][..],
        &[4, 1, 2, 0, 2, 0, 0x42, 0xF6, 0xE9, 0x79],
        &[2, 0, 0, 0, 9, 1, 0b0000_0101, 1],
        &[3, 0, 7, 0, 1, 2, 2],
        &[3, 0, 8, 0, 1, 3],
    ]
    .concat();
    assert_eq!(encode(&reads), bytes);
    assert_eq!(decode(&bytes).unwrap(), reads);
    assert_eq!(decode(&[2]), Err(FrameError::Version(2)));
    assert_eq!(decode(&[1, 4, 0, 0, 0, 1, 9]), Err(FrameError::Kind(9)));
    assert_eq!(decode(&[]), Err(FrameError::CutOff));
}

/// What a poll with these answers to the planned reads becomes.
fn poll(decoder: &mut Decoder, after_s: i64, profile: &Profile, answers: &[Answer]) -> Batch {
    let blocks = plan(&profile.modbus, Span::from_secs(1)).remove(0).blocks;
    assert_eq!(blocks.len(), answers.len());
    let reads = blocks.into_iter().zip(answers).map(|(block, answer)| Read {
        block,
        answer: answer.clone(),
    });
    let message = RawMessage {
        arrived: telemetry::Timestamp::from_millis(NOON.millis() + after_s * 1000),
        origin: Origin::Modbus,
        sender: "u1".parse().unwrap(),
        topic: "".into(),
        payload: encode(&reads.collect::<Vec<_>>()).into(),
    };
    let batch = decoder.decode(&[(Lsn(1), message)]);
    assert!(
        batch
            .ledger
            .iter()
            .all(|(_, ledger)| ledger.adds_up() && ledger.messages == 1)
    );
    batch
}

fn decoder(profile: &Arc<Profile>) -> Decoder {
    let catalogue = catalogue_of(vec![device("u1", "unit")], std::slice::from_ref(profile));
    Decoder::new(Arc::new(catalogue), DecodeSettings::default())
}

fn read_one(rest: &str, words: &[u16]) -> (f64, Quality) {
    let profile = profile("", &[(4, 10, rest)]);
    let batch = poll(
        &mut decoder(&profile),
        0,
        &profile,
        &[Answer::Words(words.to_vec())],
    );
    (batch.points[0].sample.value, batch.points[0].sample.quality)
}

#[test]
fn each_type_and_order_of_registers_is_read() {
    let float = f64::from(123.456_f32);
    for (rest, words, want) in [
        (r#"type = "float32""#, &[0x42F6, 0xE979][..], float),
        ("type = \"float32\"\norder = \"CDAB\"", &[0xE979, 0x42F6], float),
        ("type = \"float32\"\norder = \"BADC\"", &[0xF642, 0x79E9], float),
        ("type = \"float32\"\norder = \"DCBA\"", &[0x79E9, 0xF642], float),
        (r#"type = "uint32""#, &[0x0001, 0x0002], 65_538.0),
        ("type = \"uint32\"\norder = \"CDAB\"", &[0x0002, 0x0001], 65_538.0),
        ("type = \"uint32\"\norder = \"BADC\"", &[0x0100, 0x0200], 65_538.0),
        ("type = \"uint32\"\norder = \"DCBA\"", &[0x0200, 0x0100], 65_538.0),
        (r#"type = "uint32""#, &[0xFFFF, 0xFFFF], 4_294_967_295.0),
        (r#"type = "int32""#, &[0xFFFF, 0xFFFE], -2.0),
        ("type = \"int32\"\norder = \"CDAB\"", &[0xFFFE, 0xFFFF], -2.0),
        (r#"type = "uint16""#, &[0xFFFE], 65_534.0),
        (r#"type = "int16""#, &[0xFFFE], -2.0),
        (r#"type = "bool""#, &[0], 0.0),
        (r#"type = "bool""#, &[0x0100], 1.0),
        ("type = \"uint16\"\nscale = 0.1", &[123], 12.3),
        ("type = \"int16\"\nscale = 0.1\noffset = -40.0", &[123], -27.7),
        ("type = \"uint16\"\nnone = 65535", &[65_534], 65_534.0),
    ] {
        assert_eq!(
            read_one(rest, words),
            (want, Quality::Good),
            "{rest} {words:04X?}"
        );
    }
    for (rest, words) in [
        ("type = \"uint16\"\nnone = 65535\nscale = 0.1", &[0xFFFF][..]),
        ("type = \"int16\"\nnone = -1", &[0xFFFF]),
        (r#"type = "float32""#, &[0x7FC0, 0x0000]), // NaN
        (r#"type = "float32""#, &[0xFF80, 0x0000]), // -∞
    ] {
        assert_eq!(
            read_one(rest, words),
            (0.0, Quality::Bad(Bad::NotFinite)),
            "{rest} {words:04X?}"
        );
    }
}

#[test]
fn bits_stand_where_the_map_says() {
    let profile = profile("", &[(2, 3, BIT), (2, 5, BIT), (1, 0, BIT)]);
    let answers = [Answer::Bits(vec![false]), Answer::Bits(vec![true, true, false])];
    let batch = poll(&mut decoder(&profile), 0, &profile, &answers);
    let values: Vec<f64> = batch.points.iter().map(|point| point.sample.value).collect();
    assert_eq!(values, [1.0, 0.0, 0.0]);
}

#[test]
fn an_exception_is_bad_and_never_zero_and_good() {
    let profile = profile("gap_max = 0", &[(4, 0, ""), (4, 2, ""), (4, 4, "")]);
    let answers = [Answer::Words(vec![7]), Answer::Exception(2), Answer::None];
    let batch = poll(&mut decoder(&profile), 0, &profile, &answers);
    let qualities: Vec<Quality> = batch.points.iter().map(|point| point.sample.quality).collect();
    assert_eq!(
        qualities,
        [
            Quality::Good,
            Quality::Bad(Bad::Exception),
            Quality::Bad(Bad::NoAnswer)
        ]
    );
    assert_eq!(batch.heard, [(0, NOON)], "a unit that refuses is not silent");
    let ledger = batch.ledger[0].1;
    assert_eq!(
        (ledger.stored, ledger.bad.exception, ledger.bad.no_answer),
        (3, 1, 1)
    );
}

#[test]
fn silence_is_written_down_when_it_begins_and_once_a_minute() {
    let profile = profile("", &[(4, 0, ""), (4, 1, "")]);
    let mut decoder = decoder(&profile);
    let answer = Answer::Words(vec![1, 2]);
    let mut points = |after_s: i64, answer: &Answer| {
        let batch = poll(&mut decoder, after_s, &profile, std::slice::from_ref(answer));
        (batch.points.len(), batch.heard.len())
    };
    assert_eq!(points(0, &answer), (2, 1));
    assert_eq!(points(10, &Answer::None), (2, 0));
    assert_eq!(points(20, &Answer::None), (0, 0));
    assert_eq!(
        points(69, &Answer::Exception(0x0B)),
        (0, 0),
        "the gateway speaks, not the unit"
    );
    assert_eq!(points(70, &Answer::None), (2, 0));
    assert_eq!(points(80, &answer), (2, 1));
    assert_eq!(points(90, &Answer::None), (2, 0), "a new silence");
}

#[test]
fn a_poll_of_nobody_or_of_another_form_is_a_dead_letter() {
    let profile = profile("", &[(4, 0, "")]);
    let message = |sender: &str, payload: &[u8]| RawMessage {
        arrived: NOON,
        origin: Origin::Modbus,
        sender: sender.parse().unwrap(),
        topic: "".into(),
        payload: payload.to_vec().into(),
    };
    for (sender, payload, word) in [
        ("nobody", &[1][..], "not registered"),
        ("u1", &[9], "version 9"),
        ("u1", &[1, 4, 0], "cut off"),
    ] {
        let batch = decoder(&profile).decode(&[(Lsn(1), message(sender, payload))]);
        assert!(
            batch.dead_letters[0].reason.contains(word),
            "{}",
            batch.dead_letters[0].reason
        );
    }
}
