//! HJ 212 packets in, points and account out. Expected values are by hand.

use telemetry::registry::Attribute;

use super::*;

const SOME: &str = r#"
kind = "logger"
version = 1
title = { zh = "某", en = "some" }
domain = "sewage"
report_interval = "1min"
[[signal]]
name = "flow"
title = { zh = "流量", en = "flow" }
unit = "m3/h"
[[signal]]
name = "ph"
title = { zh = "pH", en = "pH" }
unit = "1"
range = [0, 14]
[[signal]]
name = "cod"
title = { zh = "化学需氧量", en = "COD" }
unit = "mg/L"
[[signal]]
name = "cod_hour"
title = { zh = "小时化学需氧量", en = "COD of an hour" }
unit = "mg/L"
[[hj212.point]]
signal = "flow"
code = "w00000"
scale = 3.6
scale_attribute = "hj212_flow_factor"
[[hj212.point]]
signal = "ph"
code = "w01001"
[[hj212.point]]
signal = "cod"
code = "w01018"
[[hj212.point]]
signal = "cod_hour"
code = "w01018"
field = "Avg"
cn = [2061]
"#;

fn bench() -> Bench {
    let mut cubic = device("d2", "logger");
    cubic
        .attributes
        .insert("hj212_flow_factor".into(), Attribute::Number(1.0));
    Bench::of(catalogue_of(
        vec![device("d1", "logger"), cubic],
        &[profile(SOME)],
    ))
}

impl Bench {
    fn log(&mut self, after_s: i64, sender: &str, segment: &str) -> Batch {
        self.lsn += 1;
        let (lsn, mut message) = publish(self.lsn, at(after_s), sender, "", segment.as_bytes());
        message.origin = Origin::Hj212;
        let batch = self.decoder.decode(&[(lsn, message)]);
        for (_, ledger) in &batch.ledger {
            assert!(ledger.adds_up(), "{ledger:?} does not add up for {segment:?}");
        }
        batch
    }
}

/// Noon UTC is 20:00 in Shanghai.
const TIME: &str = "DataTime=20261123200000";

fn data(cn: u16, cp: &str) -> String {
    format!("QN=20261123200001000;ST=32;CN={cn};MN=1;Flag=5;CP=&&{cp}&&")
}

fn part(number: u16, of: u16, cp: &str) -> String {
    format!("QN=20261123200001000;ST=32;CN=2011;MN=1;Flag=7;PNUM={of};PNO={number};CP=&&{cp}&&")
}

#[test]
fn real_time_data_become_points_at_the_countys_time_with_the_loggers_flags() {
    let mut bench = bench();
    let cp = format!(
        "{TIME};w00000-Rtd=2.5,w00000-Flag=N;w01001-Rtd=7.1,w01001-Flag=D;w01018-Rtd=33,w01018-Flag=M;w99999-Rtd=1"
    );
    let batch = bench.log(5, "d1", &data(2011, &cp));
    // 2.5 L/s are 9 m³/h.
    assert_eq!(
        bench.texts(&batch),
        ["flow 9 good", "ph 7.1 bad_sensor_fault", "cod 33 bad"]
    );
    assert!(
        batch
            .points
            .iter()
            .all(|point| point.sample.time == NOON && !point.backfill)
    );
    let ledger = batch.ledger[0].1;
    assert_eq!(
        (ledger.received, ledger.stored, ledger.rejected.unknown_signal),
        (4, 3, 1)
    );
    assert_eq!(batch.heard.len(), 1);
    // A logger that sends m³/h has its own factor.
    let batch = bench.log(
        6,
        "d2",
        &data(2011, &format!("{TIME};w00000-Rtd=9,w00000-Flag=N")),
    );
    assert_eq!(bench.texts(&batch), ["flow 9 good"]);
}

#[test]
fn only_n_is_good() {
    for (flag, want) in [
        ("N", "good"),
        ("F", "bad"),
        ("M", "bad"),
        ("S", "bad"),
        ("C", "bad"),
        ("D", "bad_sensor_fault"),
        ("T", "bad_out_of_range"),
        ("B", "bad_no_answer"),
        ("x", "bad"),
        ("", "bad"),
    ] {
        let mut bench = bench();
        let batch = bench.log(
            5,
            "d1",
            &data(2011, &format!("{TIME};w01018-Rtd=1,w01018-Flag={flag}")),
        );
        assert_eq!(bench.texts(&batch), [format!("cod 1 {want}")], "{flag}");
    }
    for (value, want) in [
        ("x", "ph 0 bad_wrong_type"),
        ("99", "ph 99 bad_out_of_range"),
        ("NaN", "ph 0 bad_not_finite"),
    ] {
        let mut bench = bench();
        let batch = bench.log(
            5,
            "d1",
            &data(2011, &format!("{TIME};w01001-Rtd={value},w01001-Flag=N")),
        );
        assert_eq!(bench.texts(&batch), [want]);
    }
}

#[test]
fn codes_of_2005_are_known_by_their_new_names() {
    let mut bench = bench();
    let cp = "DataTime=20261123200000;B01-Rtd=1,B01-Flag=N;001-Rtd=7,001-Flag=N;011-Rtd=36.5,011-Flag=N";
    let batch = bench.log(5, "d1", &format!("ST=32;CN=2011;MN=1;CP=&&{cp}&&"));
    assert_eq!(
        bench.texts(&batch),
        ["flow 3.6 good", "ph 7 good", "cod 36.5 good"]
    );
}

#[test]
fn statistics_go_where_their_command_says_page_nobody_and_are_no_lying_clock() {
    let mut bench = bench();
    for hour in 0..6 {
        let cp = format!("DataTime=202611231{hour}0000;w01018-Avg=20,w01018-Min=1,w01018-Flag=N");
        let batch = bench.log(i64::from(hour) * 3600 - 36_000 + 7200, "d1", &data(2061, &cp));
        assert_eq!(bench.texts(&batch), ["cod_hour 20 good"], "hour {hour}");
        assert!(batch.points[0].backfill);
        assert_eq!(batch.heard.len(), 1, "a logger that sends statistics speaks");
    }
    let batch = bench.log(1, "d1", &data(2051, &format!("{TIME};w01018-Avg=20")));
    assert_eq!(
        batch.ledger[0].1.rejected.unknown_signal, 1,
        "the profile has no mean of minutes"
    );
}

#[test]
fn a_split_packet_is_read_when_its_last_part_is_there_in_whatever_order() {
    let (first, second, third) = (
        part(1, 3, &format!("{TIME};w00000-Rtd=1,w00000-Flag=N;w010")),
        part(2, 3, "01-Rtd=7,w01001-Flag=N"),
        part(3, 3, "w01018-Rtd=30,w01018-Flag=T"),
    );
    for order in [[&first, &second, &third], [&third, &first, &second]] {
        let mut bench = bench();
        for piece in &order[..2] {
            let batch = bench.log(1, "d1", piece);
            assert_eq!((batch.points.len(), batch.heard.len()), (0, 1));
        }
        let batch = bench.log(2, "d1", order[2]);
        assert_eq!(
            bench.texts(&batch),
            ["flow 3.6 good", "ph 7 good", "cod 30 bad_out_of_range"]
        );
        // A part that is sent again, because its answer was lost, is a duplicate.
        let again = bench.log(3, "d1", order[1]);
        assert_eq!((again.points.len(), again.ledger[0].1.duplicate), (0, 1));
    }
}

#[test]
fn a_part_whose_others_never_come_is_a_dead_letter_in_the_end() {
    let mut bench = bench();
    bench.log(0, "d1", &part(1, 2, &format!("{TIME};w01018-Rtd=30")));
    let later = |second: &str| data(2011, &format!("DataTime=202611232010{second};w01018-Rtd=30"));
    assert!(bench.log(600, "d1", &later("00")).dead_letters.is_empty());
    let batch = bench.log(601, "d1", &later("01"));
    let letter = &batch.dead_letters[0];
    assert_eq!((letter.lsn, letter.arrived), (Lsn(1), at(0)));
    assert!(
        letter.reason.contains("split into 2 parts only 1"),
        "{}",
        letter.reason
    );
    assert!(
        letter
            .payload
            .starts_with(b"PNO=1;CP=&&DataTime=20261123200000;w01018-Rtd=30&&")
    );
    assert_eq!(bench.texts(&batch), ["cod 30 good"]);
    // Too many parts are no packet.
    let batch = bench.log(602, "d1", &part(1, 65, "w01018-Rtd=30"));
    assert!(
        batch.dead_letters[0].reason.contains("65 parts"),
        "{:?}",
        batch.dead_letters
    );
}

#[test]
fn many_packets_that_never_end_take_a_bounded_room() {
    let mut bench = bench();
    let mut dead = 0;
    for number in 0..400 {
        let segment = part(1, 2, "w01018-Rtd=30").replace("QN=2026", &format!("QN={number:04}"));
        dead += bench.log(0, "d1", &segment).dead_letters.len();
    }
    assert_eq!(dead, 400 - 256);
}

#[test]
fn what_nobody_can_read_is_a_dead_letter_and_what_holds_no_values_is_not() {
    for (segment, word) in [
        (data(7777, "x"), "CN=7777"),
        (data(2011, TIME), "no values"),
        ("nonsense".to_owned(), "CP=&&"),
    ] {
        let batch = bench().log(0, "d1", &segment);
        assert!(
            batch.dead_letters[0].reason.contains(word),
            "{:?}",
            batch.dead_letters
        );
    }
    let batch = bench().log(0, "stranger", &data(2011, TIME));
    assert!(batch.dead_letters[0].reason.contains("not registered"));
    for cn in [1013, 2081] {
        let batch = bench().log(0, "d1", &data(cn, ""));
        assert_eq!((batch.dead_letters.len(), batch.ledger[0].1.messages), (0, 1));
    }
    // A wrong time is a clock that cannot be believed.
    let mut bench = bench();
    let batch = bench.log(0, "d1", &data(2011, "DataTime=2026;w01018-Rtd=30"));
    assert_eq!(bench.texts(&batch), ["cod 30 uncertain_clock_skew"]);
}

proptest! {
    #[test]
    fn no_content_is_a_panic_and_the_account_adds_up(cp in "([a-z0-9]{0,6}-?(Rtd|Flag|Avg)?=[-.0-9NDa-z]{0,6}[;,]?){0,12}", cn in 2000u16..2100) {
        bench().log(0, "d1", &data(cn, &cp));
        bench().log(0, "d1", &cp);
    }
}
