//! Tables worked out by hand. IEEE 754: 123.456 is 0x42F6E979 in single, 0x405EDD2F1A9FBE77 in double.

use telemetry::profile::Profile;

use super::*;

fn form(entry: &str) -> Form {
    let text = format!(
        "kind = \"x\"\nversion = 1\ntitle = {{ zh = \"某\", en = \"some\" }}\ndomain = \"sewage\"\nreport_interval = \"5min\"\n\
         [[signal]]\nname = \"s\"\ntitle = {{ zh = \"某\", en = \"some\" }}\nunit = \"1\"\n\
         [modbus]\n[[modbus.point]]\nsignal = \"s\"\nfunction = 3\naddress = 0\n{entry}\n"
    );
    Form::of(&Profile::parse("x.toml", &text).unwrap().modbus.points[0])
}

const DOUBLE: f64 = 123.456;
/// 123.456 in single precision.
const SINGLE: f64 = 123.456_f32 as f64;
/// 0x01020304.
const WHOLE: f64 = 16_909_060.0;
/// 0x0000010203040506: every byte another.
const LONG: f64 = 1_108_152_157_446.0;

/// Lines of the point, the registers, and the value.
const FORMS: &[(&str, &[u16], f64)] = &[
    ("type = \"uint16\"", &[0x0102], 258.0),
    ("type = \"uint16\"\norder = \"BA\"", &[0x0201], 258.0),
    ("type = \"uint16\"\norder = \"DCBA\"", &[0x0201], 258.0),
    ("type = \"uint16\"\norder = \"CDAB\"", &[0x0102], 258.0),
    ("type = \"int16\"", &[0x8000], -32768.0),
    ("type = \"uint32\"", &[0x0102, 0x0304], WHOLE),
    ("type = \"uint32\"\norder = \"CDAB\"", &[0x0304, 0x0102], WHOLE),
    ("type = \"uint32\"\norder = \"BADC\"", &[0x0201, 0x0403], WHOLE),
    ("type = \"uint32\"\norder = \"DCBA\"", &[0x0403, 0x0201], WHOLE),
    ("type = \"int32\"\norder = \"CDAB\"", &[0xFFFE, 0xFFFF], -2.0),
    ("type = \"float32\"", &[0x42F6, 0xE979], SINGLE),
    ("type = \"float32\"\norder = \"DCBA\"", &[0x79E9, 0xF642], SINGLE),
    ("type = \"uint64\"", &[0x0000, 0x0102, 0x0304, 0x0506], LONG),
    (
        "type = \"uint64\"\norder = \"CDAB\"",
        &[0x0506, 0x0304, 0x0102, 0x0000],
        LONG,
    ),
    (
        "type = \"uint64\"\norder = \"BADC\"",
        &[0x0000, 0x0201, 0x0403, 0x0605],
        LONG,
    ),
    (
        "type = \"uint64\"\norder = \"DCBA\"",
        &[0x0605, 0x0403, 0x0201, 0x0000],
        LONG,
    ),
    (
        "type = \"uint64\"\norder = \"EFGHABCD\"",
        &[0x0304, 0x0506, 0x0000, 0x0102],
        LONG,
    ),
    (
        "type = \"uint64\"\norder = \"CDABGHEF\"",
        &[0x0102, 0x0000, 0x0506, 0x0304],
        LONG,
    ),
    (
        "type = \"uint64\"\norder = \"DCBAHGFE\"",
        &[0x0201, 0x0000, 0x0605, 0x0403],
        LONG,
    ),
    (
        "type = \"uint64\"\norder = \"FEHGBADC\"",
        &[0x0403, 0x0605, 0x0000, 0x0201],
        LONG,
    ),
    ("type = \"int64\"", &[0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE], -2.0),
    ("type = \"float64\"", &[0x405E, 0xDD2F, 0x1A9F, 0xBE77], DOUBLE),
    (
        "type = \"float64\"\norder = \"CDAB\"",
        &[0xBE77, 0x1A9F, 0xDD2F, 0x405E],
        DOUBLE,
    ),
    ("type = \"bcd16\"", &[0x1234], 1234.0),
    ("type = \"bcd32\"", &[0x1234, 0x5678], 12_345_678.0),
    (
        "type = \"bcd32\"\norder = \"CDAB\"",
        &[0x5678, 0x1234],
        12_345_678.0,
    ),
    ("type = \"bool\"", &[1], 1.0),
    ("type = \"bool\"", &[0], 0.0),
];

#[test]
fn every_type_in_every_order_is_read_and_written() {
    for (entry, words, value) in FORMS {
        let form = form(entry);
        assert_eq!(form.read(words), Some(Ok(*value)), "{entry}");
        assert_eq!(form.write(*value).as_deref(), Ok(*words), "{entry}");
        assert_eq!(form.read(&words[1..]), None, "{entry} with a register less");
    }
}

#[test]
fn parts_of_a_register_are_read() {
    for (entry, words, value) in [
        ("type = \"int8_low\"", &[0x12FE][..], -2.0),
        ("type = \"int8_high\"", &[0xFE12], -2.0),
        ("type = \"uint8_low\"", &[0x12FE], 254.0),
        ("type = \"uint8_high\"", &[0xFE12], 254.0),
        ("type = \"uint8_low\"\norder = \"BA\"", &[0x12FE], 18.0),
        ("type = \"bool\"\nbit = 0", &[0b1110], 0.0),
        ("type = \"bool\"\nbit = 15", &[0x8000], 1.0),
        ("type = \"uint16\"\nbits = [4, 7]", &[0x12A4], 10.0),
        ("type = \"uint16\"\nbits = [0, 15]", &[0xFFFF], 65_535.0),
        ("type = \"uint32\"\nbits = [16, 23]", &[0x1234, 0x5678], 52.0),
        ("type = \"uint64\"\nbits = [63, 63]", &[0x8000, 0, 0, 0], 1.0),
    ] {
        assert_eq!(form(entry).read(words), Some(Ok(value)), "{entry}");
        let part = entry.contains("8_");
        assert!(!part || form(entry).write(1.0).is_err(), "{entry}");
    }
}

#[test]
fn a_text_is_a_state_and_an_unknown_text_is_bad() {
    let texts = "type = \"string\"\nwords = 3\ntexts = { RUN = 1, STOP = 0 }";
    // "RUN" padded with zeros, "STOP" with spaces; "RUN" with the low byte first.
    assert_eq!(form(texts).read(&[0x5255, 0x4E00, 0x0000]), Some(Ok(1.0)));
    assert_eq!(form(texts).read(&[0x5354, 0x4F50, 0x2020]), Some(Ok(0.0)));
    let swapped = format!("{texts}\norder = \"BADC\"");
    assert_eq!(form(&swapped).read(&[0x5552, 0x004E, 0x0000]), Some(Ok(1.0)));
    assert_eq!(
        form(texts).read(&[0x5255, 0x4E53, 0x0000]),
        Some(Err(Bad::WrongType)),
        "RUNS"
    );
    assert_eq!(form(texts).read(&[0x5255, 0x4E00]), None);
}

#[test]
fn what_is_no_value_is_bad() {
    for (entry, words, bad) in [
        ("type = \"int16\"\nnone = 0x7FFF", &[0x7FFF][..], Bad::NotFinite),
        (
            "type = \"int16\"\nnone = [0x8000, 0x7FFF]",
            &[0x8000],
            Bad::NotFinite,
        ),
        ("type = \"int16\"\nnone = -1", &[0xFFFF], Bad::NotFinite),
        (
            "type = \"uint32\"\nnone = 0xFFFFFFFF\norder = \"CDAB\"",
            &[0xFFFF, 0xFFFF],
            Bad::NotFinite,
        ),
        ("type = \"uint64\"\nnone = -1", &[0xFFFF; 4], Bad::NotFinite),
        (
            "type = \"float32\"\nnone = 0x7F7FFFFF",
            &[0x7F7F, 0xFFFF],
            Bad::NotFinite,
        ),
        ("type = \"bcd16\"", &[0x12A4], Bad::WrongType),
        ("type = \"bcd16\"\nnone = 0xFFFF", &[0xFFFF], Bad::NotFinite),
    ] {
        assert_eq!(form(entry).read(words), Some(Err(bad)), "{entry}");
    }
    let nan = form("type = \"float64\"").read(&[0x7FF8, 0, 0, 0]);
    assert!(nan.unwrap().unwrap().is_nan());
}

#[test]
fn what_a_register_cannot_hold_is_not_written() {
    for (entry, value) in [
        ("type = \"uint16\"", 65_536.0),
        ("type = \"uint16\"", -1.0),
        ("type = \"uint16\"", 1.5),
        ("type = \"int16\"", 32_768.0),
        ("type = \"uint32\"", 4_294_967_296.0),
        ("type = \"bcd16\"", 10_000.0),
        ("type = \"float32\"", 1e39),
        ("type = \"int64\"", 1e19),
        ("type = \"bool\"", 2.0),
        ("type = \"uint16\"", f64::NAN),
        ("type = \"string\"\nwords = 1\ntexts = { A = 1 }", 1.0),
    ] {
        assert!(form(entry).write(value).is_err(), "{entry} {value}");
    }
}
