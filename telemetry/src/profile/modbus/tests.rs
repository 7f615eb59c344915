use super::*;
use crate::profile::Profile;

fn profile(map: &str, point: &str) -> Result<Profile, String> {
    let text = format!(
        "kind = \"x\"\nversion = 1\ntitle = {{ zh = \"某\", en = \"some\" }}\ndomain = \"sewage\"\nreport_interval = \"5min\"\n\
         [[signal]]\nname = \"level\"\ntitle = {{ zh = \"液位\", en = \"level\" }}\nunit = \"m\"\n\
         [modbus]\n{map}\n[[modbus.point]]\nsignal = \"level\"\n{point}\n"
    );
    Profile::parse("x.toml", &text).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error} {}", cause.unwrap_or_default())
    })
}

#[test]
fn addresses_that_begin_at_one_become_zero_based() {
    let map = "address_base = 1\nforbidden = [{ function = 3, from = 10, to = 12 }]";
    let profile = profile(
        map,
        "function = 3\naddress = 1\nwrite = { min = 0, max = 5, address = 8 }",
    )
    .unwrap();
    let map = &profile.modbus;
    assert_eq!((map.points[0].address, map.address_base), (0, 0));
    assert_eq!(map.points[0].write_target().unwrap().address, 7);
    assert_eq!((map.forbidden[0].from, map.forbidden[0].to), (9, 11));
    assert!(map.is_forbidden(3, 8, 2) && map.is_forbidden(3, 11, 1));
    assert!(!map.is_forbidden(3, 8, 1) && !map.is_forbidden(4, 9, 1) && !map.is_forbidden(3, 12, 1));
    let error = self::profile("address_base = 1", "function = 3\naddress = 0").unwrap_err();
    assert!(error.contains("address 0 with address_base = 1"), "{error}");
}

const AT: &str = "function = 3\naddress = 10";

/// Lines of the map, lines of the point, and a word of the refusal.
const CONTRADICTIONS: &[(&str, &str, &str)] = &[
    ("address_base = 2", AT, "address_base 2"),
    ("block_max = 126", AT, "block_max 126"),
    ("bits_max = 2001", AT, "bits_max 2001"),
    ("pause = \"11s\"", AT, "pause"),
    ("scan = { fast = \"50ms\" }", AT, "modbus.scan.fast"),
    (
        "forbidden = [{ function = 5, from = 1, to = 1 }]",
        AT,
        "modbus.forbidden",
    ),
    (
        "forbidden = [{ function = 3, from = 0, to = 10 }]",
        AT,
        "forbidden",
    ),
    ("", "function = 5\naddress = 0", "function 5"),
    ("", "function = 1\naddress = 0", "reads bits"),
    (
        "",
        "function = 3\naddress = 65535\ntype = \"float32\"",
        "runs over 65535",
    ),
    (
        "",
        "function = 3\naddress = 65533\ntype = \"int64\"",
        "runs over 65535",
    ),
    (
        "block_max = 2",
        "function = 3\naddress = 0\ntype = \"float64\"",
        "block_max",
    ),
    (
        "",
        "function = 3\naddress = 0\nscan = \"fast\"",
        "no scan class \"fast\"",
    ),
    (
        "",
        "function = 3\naddress = 0\norder = \"EFGHABCD\"",
        "four registers",
    ),
    (
        "",
        "function = 3\naddress = 0\norder = \"ACBD\"",
        "unknown variant",
    ),
    ("", "function = 3\naddress = 0\nbit = 3", "bit 3"),
    (
        "",
        "function = 3\naddress = 0\ntype = \"bool\"\nbit = 16",
        "bit 16",
    ),
    ("", "function = 3\naddress = 0\nbits = [4, 16]", "bits [4, 16]"),
    (
        "",
        "function = 3\naddress = 0\ntype = \"int16\"\nbits = [0, 1]",
        "bits",
    ),
    (
        "",
        "function = 3\naddress = 0\ntype = \"string\"\nwords = 2",
        "needs both",
    ),
    ("", "function = 3\naddress = 0\nwords = 2", "needs both"),
    ("", "function = 3\naddress = 0\nnone = 0x10000", "none 65536"),
    ("", "function = 3\naddress = 0\nscale = nan", "scale NaN"),
    (
        "",
        "function = 3\naddress = 0\nwrite = { min = 2, max = 1 }",
        "is empty",
    ),
    (
        "",
        "function = 3\naddress = 0\nwrite = { min = 0, max = 1, step = 0 }",
        "write.step",
    ),
    (
        "",
        "function = 4\naddress = 0\nwrite = { min = 0, max = 1 }",
        "name write.function",
    ),
    (
        "",
        "function = 3\naddress = 0\nwrite = { min = 0, max = 1, function = 5 }",
        "write.function 5",
    ),
    (
        "",
        "function = 3\naddress = 0\ntype = \"bool\"\nbit = 1\nwrite = { min = 0, max = 1 }",
        "part of a register",
    ),
    (
        "",
        "function = 1\naddress = 0\ntype = \"bool\"\nwrite = { min = 0, max = 2 }",
        "0 or 1",
    ),
    (
        "forbidden = [{ function = 3, from = 5, to = 5 }]",
        "function = 3\naddress = 0\nwrite = { min = 0, max = 1, address = 5 }",
        "read back",
    ),
];

#[test]
fn a_register_map_that_contradicts_itself_is_refused_with_the_reason() {
    for (map, point, word) in CONTRADICTIONS {
        let error = profile(map, point).unwrap_err();
        assert!(error.contains(word), "{map} {point}: {error}");
    }
}

#[test]
fn a_signal_is_written_with_the_function_of_its_table_unless_told_otherwise() {
    for (point, want) in [
        (
            "function = 1\naddress = 3\ntype = \"bool\"\nwrite = { min = 0, max = 1 }",
            (5, 3, 1),
        ),
        (
            "function = 1\naddress = 3\ntype = \"bool\"\nwrite = { min = 0, max = 1, function = 15 }",
            (15, 3, 1),
        ),
        (
            "function = 3\naddress = 3\nwrite = { min = 0, max = 1 }",
            (6, 3, 1),
        ),
        (
            "function = 3\naddress = 3\nwrite = { min = 0, max = 1, function = 16 }",
            (16, 3, 1),
        ),
        (
            "function = 3\naddress = 3\ntype = \"float32\"\nwrite = { min = 0, max = 1 }",
            (16, 3, 2),
        ),
        (
            "function = 2\naddress = 3\ntype = \"bool\"\nwrite = { min = 0, max = 1, function = 5, address = 9 }",
            (5, 9, 1),
        ),
    ] {
        let profile = profile("", point).unwrap();
        let target = profile.modbus.points[0].write_target().unwrap();
        assert_eq!((target.function, target.address, target.count), want, "{point}");
    }
}

#[test]
fn each_order_puts_the_bytes_where_its_letters_say() {
    // The letters themselves are the oracle: byte n arrives as letter n, A being the most significant.
    for (order, bytes, letters) in [
        (WordOrder::Abcd, 2, "AB"),
        (WordOrder::Cdab, 2, "AB"),
        (WordOrder::Badc, 2, "BA"),
        (WordOrder::Dcba, 2, "BA"),
        (WordOrder::Abcd, 4, "ABCD"),
        (WordOrder::Cdab, 4, "CDAB"),
        (WordOrder::Badc, 4, "BADC"),
        (WordOrder::Dcba, 4, "DCBA"),
        (WordOrder::Abcd, 8, "ABCDEFGH"),
        (WordOrder::Cdab, 8, "GHEFCDAB"),
        (WordOrder::Badc, 8, "BADCFEHG"),
        (WordOrder::Dcba, 8, "HGFEDCBA"),
        (WordOrder::Efghabcd, 8, "EFGHABCD"),
        (WordOrder::Cdabghef, 8, "CDABGHEF"),
        (WordOrder::Dcbahgfe, 8, "DCBAHGFE"),
        (WordOrder::Fehgbadc, 8, "FEHGBADC"),
    ] {
        let places: Vec<usize> = (0..bytes).map(|at| order.place(at, bytes)).collect();
        let wanted: Vec<usize> = letters.bytes().map(|letter| usize::from(letter - b'A')).collect();
        assert_eq!(places, wanted, "{letters}");
    }
}

#[test]
fn no_value_is_a_pattern_of_the_bits_that_the_type_has() {
    let none = NoValues(vec![0x7FFF, -1]);
    assert!(none.hold(0x7FFF, 16) && none.hold(0xFFFF, 16) && none.hold(0xFFFF_FFFF, 32));
    assert!(none.hold(u64::MAX, 64) && !none.hold(0xFFFF, 32) && !none.hold(0, 16));
    let profile = profile("", "function = 3\naddress = 0\nnone = [0x8000, -32767]").unwrap();
    let none = &profile.modbus.points[0].none;
    assert!(none.hold(0x8000, 16) && none.hold(0x8001, 16) && !none.hold(0x8002, 16));
}
