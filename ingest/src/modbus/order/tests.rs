use std::sync::Arc;

use super::*;
use crate::testkit::{catalogue_of, device};

/// A device with: a set point (0–50 °C in steps of 0.5, register 3/10 in 0.1 °C), a pump (coil 1/4), an
/// energy limit (float32 CDAB at 3/20), a reading (4/0), a contactor (2/7, written as coil 9).
fn entry(more: &str) -> DeviceEntry {
    let mut text = format!(
        "kind = \"x\"\nversion = 1\ntitle = {{ zh = \"某\", en = \"some\" }}\ndomain = \"sewage\"\nreport_interval = \"1s\"\n{more}\n"
    );
    for name in ["setpoint", "pump", "limit", "reading", "contactor"] {
        text += &format!(
            "[[signal]]\nname = \"{name}\"\ntitle = {{ zh = \"某\", en = \"some\" }}\nunit = \"1\"\n"
        );
    }
    text += "[modbus]\n";
    for (signal, rest) in [
        (
            "setpoint",
            "function = 3\naddress = 10\ntype = \"int16\"\nscale = 0.1\nwrite = { min = 0, max = 50, step = 0.5 }",
        ),
        (
            "pump",
            "function = 1\naddress = 4\ntype = \"bool\"\nwrite = { min = 0, max = 1 }",
        ),
        (
            "limit",
            "function = 3\naddress = 20\ntype = \"float32\"\norder = \"CDAB\"\nwrite = { min = -10, max = 1000 }",
        ),
        ("reading", "function = 4\naddress = 0"),
        (
            "contactor",
            "function = 2\naddress = 7\ntype = \"bool\"\nwrite = { min = 0, max = 1, function = 15, address = 9 }",
        ),
    ] {
        text += &format!("[[modbus.point]]\nsignal = \"{signal}\"\n{rest}\n");
    }
    let profile = crate::testkit::profile(&text);
    let catalogue = Arc::new(catalogue_of(vec![device("u1", "x")], &[profile]));
    catalogue.devices()[0].clone()
}

fn on() -> Writes {
    Writes {
        on: true,
        ..Writes::default()
    }
}

#[test]
fn a_value_within_its_range_becomes_one_request_and_a_read_back() {
    let entry = entry("");
    for (signal, value, request, read_back) in [
        (
            "setpoint",
            21.5,
            Request::WriteRegister {
                address: 10,
                word: 215,
            },
            (3, 10, 1),
        ),
        (
            "pump",
            1.0,
            Request::WriteCoil { address: 4, on: true },
            (1, 4, 1),
        ),
        (
            "limit",
            123.456_f32.into(),
            Request::WriteRegisters {
                address: 20,
                words: vec![0xE979, 0x42F6],
            },
            (3, 20, 2),
        ),
        (
            "contactor",
            0.0,
            Request::WriteOneOfCoils {
                address: 9,
                on: false,
            },
            (1, 9, 1),
        ),
    ] {
        let order = Order::new(&entry, signal, value, &on()).unwrap();
        assert_eq!(order.request, request, "{signal}");
        let block = order.read_back;
        assert_eq!(
            (block.function, block.address, block.count),
            read_back,
            "{signal}"
        );
    }
}

#[test]
fn what_was_read_back_is_told_and_compared() {
    let order = Order::new(&entry(""), "setpoint", 21.5, &on()).unwrap();
    let same = order.done(true, Some(&Answer::Words(vec![215])));
    assert_eq!(
        (same.read_back, same.confirmed, same.answered),
        (Some(21.5), true, true)
    );
    let other = order.done(true, Some(&Answer::Words(vec![200])));
    assert_eq!((other.read_back, other.confirmed), (Some(20.0), false));
    let none = order.done(false, Some(&Answer::Exception(2)));
    assert_eq!(
        (none.read_back, none.confirmed, none.answered),
        (None, false, false)
    );
    let order = Order::new(&entry(""), "pump", 1.0, &on()).unwrap();
    let same = order.done(true, Some(&Answer::Bits(vec![true])));
    assert_eq!((same.read_back, same.confirmed), (Some(1.0), true));
}

#[test]
fn everything_else_is_refused_in_one_line() {
    let entry = entry("");
    let off = Writes::default();
    for (signal, value, writes, line) in [
        (
            "setpoint",
            21.5,
            &off,
            "writing to field devices is off: modbus.writes is false in the configuration",
        ),
        (
            "reading",
            1.0,
            &on(),
            "the profile does not allow reading of u1 to be written",
        ),
        (
            "nothing",
            1.0,
            &on(),
            "the profile does not allow nothing of u1 to be written",
        ),
        (
            "setpoint",
            50.5,
            &on(),
            "50.5 is not allowed: 0 to 50 in steps of 0.5",
        ),
        (
            "setpoint",
            21.3,
            &on(),
            "21.3 is not allowed: 0 to 50 in steps of 0.5",
        ),
        (
            "setpoint",
            f64::NAN,
            &on(),
            "NaN is not allowed: 0 to 50 in steps of 0.5",
        ),
        ("limit", -10.5, &on(), "-10.5 is not allowed: -10 to 1000"),
        (
            "pump",
            0.5,
            &on(),
            "0.5 cannot be written: the register holds whole steps only, and this is between two",
        ),
    ] {
        let refused = Order::new(&entry, signal, value, writes).unwrap_err();
        assert_eq!(refused.to_string(), line);
    }
}

#[test]
fn a_life_safety_device_is_written_only_where_the_configuration_names_the_very_signal() {
    let entry = entry("life_safety = true");
    let refused = Order::new(&entry, "pump", 1.0, &on()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "u1 is a life-safety device and modbus.life_safety_writes does not name u1/pump"
    );
    let mut named = on();
    named.life_safety.insert(("u1".parse().unwrap(), "pump".into()));
    assert!(Order::new(&entry, "pump", 1.0, &named).is_ok());
    assert!(Order::new(&entry, "setpoint", 1.0, &named).is_err());
}
