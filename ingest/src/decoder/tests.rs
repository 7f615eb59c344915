//! Payloads in, points and account out. Expected values are by hand; SenML vectors are those of RFC 8428 §5.

use proptest::prelude::*;
use telemetry::{Bad, Sample, Uncertain};

use super::*;
use crate::testkit::{NOON, catalogue, catalogue_of, device, profile, publish};

const TOPIC: &str = "tw/v1/d1/telemetry";

struct Bench {
    decoder: Decoder,
    catalogue: Arc<Catalogue>,
    lsn: u64,
}

impl Bench {
    fn new() -> Self {
        Self::of(catalogue())
    }

    fn of(catalogue: Catalogue) -> Self {
        let catalogue = Arc::new(catalogue);
        Self {
            decoder: Decoder::new(Arc::clone(&catalogue), DecodeSettings::default()),
            catalogue,
            lsn: 0,
        }
    }

    /// `d1` says `payload`, `after_s` seconds after noon.
    fn say(&mut self, after_s: i64, payload: &str) -> Batch {
        self.publish(after_s, "d1", TOPIC, payload.as_bytes())
    }

    fn publish(&mut self, after_s: i64, sender: &str, topic: &str, payload: &[u8]) -> Batch {
        self.lsn += 1;
        let arrived = at(after_s);
        let batch = self
            .decoder
            .decode(&[publish(self.lsn, arrived, sender, topic, payload)]);
        for (_, ledger) in &batch.ledger {
            assert!(ledger.adds_up(), "{ledger:?} does not add up for {payload:?}");
        }
        batch
    }

    /// Points as "signal value quality", in order.
    fn texts(&self, batch: &Batch) -> Vec<String> {
        let text = |point: &Point| {
            let (_, signal) = self.catalogue.series(point.series).unwrap();
            let Sample { value, quality, .. } = point.sample;
            format!("{} {value} {}", signal.name, quality.name())
        };
        batch.points.iter().map(text).collect()
    }
}

fn at(after_s: i64) -> Timestamp {
    Timestamp::from_millis(NOON.millis() + after_s * 1000)
}

fn ledger(batch: &Batch) -> Ledger {
    batch
        .ledger
        .iter()
        .fold(Ledger::default(), |mut sum, (_, ledger)| {
            sum.add(ledger);
            sum
        })
}

#[test]
fn each_value_becomes_a_point_with_its_quality() {
    for (values, want) in [
        (
            r#"{"level":1.5,"run":true,"mode":5,"total":12}"#,
            "level 1.5 good,run 1 good,mode 5 good,total 12 good",
        ),
        (r#"{"run":false}"#, "run 0 good"),
        (r#"{"run":1}"#, "run 1 good"),
        (r#"{"run":2}"#, "run 2 bad_out_of_range"),
        (r#"{"run":0.5}"#, "run 0.5 bad_wrong_type"),
        (r#"{"mode":2}"#, "mode 2 bad_out_of_range"),
        (r#"{"mode":1.5}"#, "mode 1.5 bad_wrong_type"),
        (r#"{"mode":true}"#, "mode 0 bad_wrong_type"),
        (r#"{"level":4}"#, "level 4 good"),
        (r#"{"level":4.0001}"#, "level 4.0001 bad_out_of_range"),
        (r#"{"level":-1}"#, "level -1 bad_out_of_range"),
        (r#"{"level":null}"#, "level 0 bad_not_finite"),
        (
            r#"{"level":NaN,"total":1}"#,
            "level 0 bad_not_finite,total 1 good",
        ),
        (r#"{"level":-Infinity}"#, "level 0 bad_not_finite"),
        (r#"{"level":1e999}"#, "level 0 bad_not_finite"),
        (r#"{"level":"1.5"}"#, "level 0 bad_wrong_type"),
        (r#"{"level":{"v":1}}"#, "level 0 bad_wrong_type"),
        (r#"{"level":[1]}"#, "level 0 bad_wrong_type"),
        (r#"{"level":true}"#, "level 0 bad_wrong_type"),
        (r#"{"le\u0076el":1}"#, "level 1 good"),
    ] {
        let mut bench = Bench::new();
        let batch = bench.say(0, &format!(r#"{{"values":{values}}}"#));
        assert_eq!(bench.texts(&batch).join(","), want, "{values}");
        let account = ledger(&batch);
        assert_eq!(account.stored, batch.points.len() as u64);
        assert_eq!(account.messages, 1);
        assert_eq!(batch.heard, [(0, NOON)]);
    }
}

#[test]
fn time_number_quality_and_backfill_are_taken_from_the_payload() {
    // Given a reading of ten minutes ago with doubts of its own, the doubts before the values,
    let mut bench = Bench::new();
    let batch = bench.say(
        0,
        r#"{"quality":{"level":"uncertain","run":"bad","mode":"odd","total":"good"},"ts":"2026-11-23T19:50:00+08:00",
            "seq":17,"values":{"level":9,"run":true,"mode":1,"total":1},"backfill":true,"more":{"x":[1]}}"#,
    );
    // then the worse of the device's and our own judgement holds, and history is not being heard.
    let want = "level 9 bad_out_of_range,run 1 bad,mode 1 uncertain,total 1 good";
    assert_eq!(bench.texts(&batch).join(","), want);
    assert!(
        batch
            .points
            .iter()
            .all(|point| point.backfill && point.sample.time == at(-600))
    );
    assert!(batch.points.iter().all(|point| point.arrived == NOON));
    assert_eq!(batch.heard, []);
    assert_eq!(ledger(&batch).bad.reported, 1);
    // Given the same without a time, then the time of arrival counts.
    let batch = bench.say(1, r#"{"values":{"level":1},"quality":"bad"}"#);
    assert_eq!(bench.texts(&batch), ["level 1 bad"]);
    assert_eq!(batch.points[0].sample.time, at(1));
}

#[test]
fn an_array_is_many_readings() {
    let mut bench = Bench::new();
    let batch = bench.say(
        0,
        &format!(
            r#"[{{"ts":{},"values":{{"level":1}}}},{{"ts":{},"values":{{"level":2,"nobody":3}}}}]"#,
            at(-60).millis(),
            at(0).millis()
        ),
    );
    assert_eq!(bench.texts(&batch), ["level 1 good", "level 2 good"]);
    let account = ledger(&batch);
    assert_eq!((account.messages, account.received, account.stored), (1, 3, 2));
    assert_eq!(account.rejected.unknown_signal, 1);
}

#[test]
fn what_cannot_be_read_becomes_a_dead_letter_with_its_reason() {
    let deep = format!(r#"{{"values":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    let many = format!(r#"{{"values":{{{}"run":1}}}}"#, r#""x":1,"#.repeat(50_001));
    let records = format!("[{}{{}}]", r#"{"values":{}},"#.repeat(50_001));
    for (payload, word) in [
        ("", "empty"),
        (" \n", "empty"),
        ("{", "not JSON"),
        ("hello", "not JSON"),
        ("\u{0}\u{1}", "not JSON"),
        (r#"{"values":{"level":1}} x"#, "not JSON"),
        ("5", "neither"),
        ("{}", "neither"),
        (r#"{"ts":1,"value":{}}"#, "neither"),
        (r#"{"values":[1]}"#, "neither"),
        (r#"[{"values":{"level":1}},7]"#, "neither"),
        (r#"{"values":{}}"#, "no values"),
        ("[]", "no values"),
        (deep.as_str(), "deeper"),
        (many.as_str(), "more than 50000"),
        (records.as_str(), "more than 50000"),
        (r#"[{"n":"level","v":1,"bver":11}]"#, "later version"),
        (r#"[{"n":"level","v":1,"new_":11}]"#, "new_"),
    ] {
        let mut bench = Bench::new();
        let batch = bench.say(0, payload);
        let letter = batch
            .dead_letters
            .first()
            .unwrap_or_else(|| panic!("{payload:.60} was read"));
        assert!(letter.reason.contains(word), "{payload:.60}: {}", letter.reason);
        assert_eq!((letter.lsn, &letter.payload[..]), (Lsn(1), payload.as_bytes()));
        assert!(batch.points.is_empty());
        let account = ledger(&batch);
        assert_eq!(
            (account.messages, account.received, account.dead_lettered),
            (1, 1, 1),
            "{payload:.60}"
        );
        assert_eq!(batch.heard, [(0, NOON)], "who talks nonsense is not silent");
    }
    let invalid_utf8 = Bench::new().publish(0, "d1", TOPIC, b"{\"values\":{\"\xff\":1}}");
    assert!(invalid_utf8.dead_letters[0].reason.contains("not JSON"));
}

#[test]
fn only_the_device_and_its_gateway_may_speak_for_it() {
    let reading = br#"{"values":{"level":1}}"#;
    // (sender, topic) → account of which device, and a word of the reason; "" when it was taken.
    for (sender, topic, account_of, word) in [
        ("d1", "tw/v1/d1/telemetry", Some("d1"), ""),
        ("g", "tw/v1/d2/telemetry", Some("d2"), ""),
        ("g", "tw/v1/d1/telemetry", Some("g"), "may not speak"),
        ("d1", "tw/v1/d2/telemetry", Some("d1"), "may not speak"),
        ("stranger", "tw/v1/d1/telemetry", None, "may not speak"),
        ("d1", "tw/v1/nobody/telemetry", Some("d1"), "not registered"),
        ("stranger", "tw/v1/nobody/telemetry", None, "not registered"),
        ("d1", "elsewhere", Some("d1"), "topic"),
    ] {
        let mut bench = Bench::new();
        let batch = bench.publish(0, sender, topic, reading);
        let accounts: Vec<&str> = (batch.ledger.iter())
            .filter(|(_, ledger)| *ledger != Ledger::default())
            .map(|(device, _)| bench.catalogue.devices()[*device].device.id.as_str())
            .collect();
        assert_eq!(accounts, Vec::from_iter(account_of), "{sender} {topic}");
        let reason = batch.dead_letters.first().map_or("", |letter| &letter.reason);
        assert_eq!(reason.is_empty(), word.is_empty(), "{sender} {topic}: {reason}");
        assert!(reason.contains(word), "{sender} {topic}: {reason}");
    }
    let heard = Bench::new().publish(0, "g", "tw/v1/d2/telemetry", reading).heard;
    assert_eq!(heard.len(), 2, "a gateway that forwards is heard too: {heard:?}");
}

#[test]
fn state_commands_and_acknowledgements_count_as_messages_only() {
    for leaf in ["state", "cmd", "ack"] {
        let batch = Bench::new().publish(0, "d1", &format!("tw/v1/d1/{leaf}"), b"offline");
        let want = Ledger {
            messages: 1,
            ..Ledger::default()
        };
        assert_eq!(batch.ledger, [(0, want)]);
        assert!(batch.points.is_empty() && batch.dead_letters.is_empty() && batch.heard.is_empty());
    }
}

#[test]
fn a_command_of_a_service_account_is_neither_the_devices_word_nor_a_dead_letter() {
    // Given an account, which no device is, when it commands a device,
    let mut bench = Bench::new();
    let batch = bench.publish(0, "scada", "tw/v1/d1/cmd", b"{}");
    // then nothing is stored, counted or buried; its readings stay what they were: a stranger's.
    assert!(batch.ledger.is_empty() && batch.dead_letters.is_empty());
    let batch = bench.publish(1, "scada", "tw/v1/d1/telemetry", b"{}");
    assert_eq!(batch.dead_letters.len(), 1);
}

#[test]
fn what_an_external_broker_sends_again_after_a_crash_is_a_duplicate_however_much_it_is() {
    for (origin, stored_again) in [(Origin::External, 0), (Origin::Mqtt, 300)] {
        // Given three hundred readings of one device, none of them acknowledged,
        let mut bench = Bench::new();
        let mut messages = Vec::new();
        for number in 0..300 {
            let ts = NOON.millis() + number;
            let payload = format!(r#"{{"ts":{ts},"seq":{ts},"values":{{"level":1}}}}"#);
            let lsn = u64::try_from(number).unwrap() + 1;
            let mut message = publish(lsn, at(60), "d1", TOPIC, payload.as_bytes());
            message.1.origin = origin;
            messages.push(message);
        }
        let first = bench.decoder.decode(&messages);
        assert_eq!((first.points.len(), first.ledger[0].1.stored), (300, 300));
        // when all of them come again, then none is stored again where that is to be expected.
        let again = bench.decoder.decode(&messages);
        let ledger = &again.ledger[0].1;
        assert_eq!(
            (again.points.len(), ledger.stored),
            (stored_again, stored_again as u64)
        );
        assert_eq!(ledger.duplicate, 300 - stored_again as u64);
        assert!(ledger.adds_up());
    }
}

#[test]
fn a_reading_that_comes_twice_is_counted_as_a_duplicate() {
    let ts = at(-5).millis();
    let mut bench = Bench::new();
    let first = format!(r#"{{"ts":{ts},"seq":7,"values":{{"level":1,"run":true}}}}"#);
    assert_eq!(bench.say(0, &first).points.len(), 2);
    // The same again, and the same inside of an array with something new.
    let again = bench.say(1, &first);
    assert_eq!((again.points.len(), ledger(&again).duplicate), (0, 2));
    assert_eq!(again.heard, [], "a duplicate is no sign of life");
    let mixed = bench.say(
        2,
        &format!(r#"[{first},{{"ts":{ts},"seq":8,"values":{{"level":1}}}}]"#),
    );
    assert_eq!((mixed.points.len(), ledger(&mixed).duplicate), (1, 2));
    // Another content at the same time and number is no duplicate.
    let other = bench.say(
        3,
        &format!(r#"{{"ts":{ts},"seq":7,"values":{{"level":2,"run":true}}}}"#),
    );
    assert_eq!(other.points.len(), 2);
    // What names neither a time nor a number cannot be told from the next reading.
    for second in 4..6 {
        let batch = bench.say(second, r#"{"values":{"level":1}}"#);
        assert_eq!(batch.points.len(), 1);
    }
    // A clock that stands still at 1970 says nothing about which reading it is.
    for second in 6..8 {
        let batch = bench.say(second, r#"{"ts":0,"values":{"level":1}}"#);
        assert_eq!(batch.points.len(), 1);
    }
}

#[test]
fn a_reading_is_remembered_for_sixty_four_others() {
    let mut bench = Bench::new();
    let reading = |n: i64| format!(r#"{{"ts":{},"values":{{"level":1}}}}"#, at(n).millis());
    bench.say(0, &reading(0));
    for n in 1..64 {
        bench.say(n, &reading(n));
    }
    assert_eq!(ledger(&bench.say(64, &reading(0))).duplicate, 1);
    bench.say(65, &reading(65));
    assert_eq!(ledger(&bench.say(66, &reading(0))).duplicate, 0);
}

#[test]
fn gaps_in_the_numbers_are_counted_and_late_ones_fill_them() {
    let mut bench = Bench::new();
    let mut missing = 0;
    // (seconds, number) → missing afterwards.
    for (second, seq, want) in [
        (0, 10, 0),
        (1, 11, 0),
        (2, 15, 3),
        (1, 13, 2), // late, fills the middle
        (1, 12, 1),
        (1, 13, 1), // not twice
        (3, 16, 1),
        (4, 0, 1), // the device was restarted
        (5, 1, 1),
        (6, 3, 2),
        (2, 2, 1),
        (7, 4, 1),
        (8, 5_000_000, 1), // a new numbering
        (9, 400, 1),       // and another
        (10, 402, 2),
    ] {
        let payload = format!(
            r#"{{"ts":{},"seq":{seq},"values":{{"level":{}}}}}"#,
            at(second).millis(),
            f64::from(u8::try_from(second).unwrap()) / 10.0
        );
        missing += ledger(&bench.say(20, &payload)).missing;
        assert_eq!(missing, want, "after number {seq}");
    }
}

#[test]
fn what_is_out_of_order_or_old_is_late_and_what_is_too_old_is_rejected() {
    let mut bench = Bench::new();
    let mut say = |arrived: i64, taken: i64, more: &str| {
        let payload = format!(r#"{{"ts":{},"values":{{"level":1}}{more}}}"#, at(taken).millis());
        let batch = bench.say(arrived, &payload);
        (ledger(&batch), batch)
    };
    assert_eq!(say(0, 0, "").0.late, 0);
    assert_eq!(say(10, -5, "").0.late, 1, "out of order");
    assert_eq!(say(11, 5, "").0.late, 0);
    let (account, batch) = say(2000, 1000, "");
    assert_eq!(account.late, 1, "older than the live age");
    assert_eq!(batch.heard.len(), 1, "but the newest there is");
    let (account, batch) = say(2001, 600, "");
    assert_eq!((account.late, batch.heard.len()), (1, 0), "history");
    let (account, batch) = say(2002, -401 * 86_400, r#","backfill":true"#);
    assert_eq!((account.rejected.too_old, batch.points.len()), (1, 0));
}

#[test]
fn a_time_of_1970_or_2036_or_no_time_at_all_gives_way_to_the_arrival() {
    for ts in [
        "0",
        "-1",
        "2082758400000",
        "1e300",
        r#""yesterday""#,
        "true",
        "1763870400",
    ] {
        let mut bench = Bench::new();
        let batch = bench.say(0, &format!(r#"{{"ts":{ts},"values":{{"level":1,"run":7}}}}"#));
        assert_eq!(
            bench.texts(&batch),
            ["level 1 uncertain_clock_skew", "run 7 bad_out_of_range"],
            "{ts}"
        );
        assert!(batch.points.iter().all(|point| point.sample.time == NOON));
        let account = ledger(&batch);
        assert_eq!((account.clock_skew, account.bad.out_of_range), (2, 1));
        assert_eq!(batch.heard.len(), 1);
    }
    // 60 s ahead is a clock like others; a millisecond more is not.
    for (ahead_ms, skew) in [(60_000, 0), (60_001, 1)] {
        let ts = NOON.millis() + ahead_ms;
        let batch = Bench::new().say(0, &format!(r#"{{"ts":{ts},"values":{{"level":1}}}}"#));
        assert_eq!(ledger(&batch).clock_skew, skew, "{ahead_ms}");
    }
    // Readings of one message keep their distance.
    let mut bench = Bench::new();
    let batch = bench.say(
        0,
        r#"[{"ts":1000,"values":{"level":1}},{"ts":61000,"values":{"level":2}}]"#,
    );
    let times: Vec<Timestamp> = batch.points.iter().map(|point| point.sample.time).collect();
    assert_eq!(times, [at(-60), at(0)]);
}

#[test]
fn a_clock_eight_hours_behind_is_found_at_the_third_message_and_forgiven_when_it_is_right_again() {
    let mut bench = Bench::new();
    let wrong_by = 8 * 3600;
    let mut say = |arrived: i64, taken: i64, more: &str| {
        let payload = format!(r#"{{"ts":{},"values":{{"level":1}}{more}}}"#, at(taken).millis());
        let point = bench.say(arrived, &payload).points[0];
        (point.sample.time, point.sample.quality)
    };
    let skew = Quality::Uncertain(Uncertain::ClockSkew);
    // Given a device whose clock is 8 h behind, reporting every 5 min with some jitter,
    assert_eq!(say(0, -wrong_by, ""), (at(-wrong_by), Quality::Good));
    assert_eq!(say(301, 300 - wrong_by, ""), (at(300 - wrong_by), Quality::Good));
    // then the third message is taken at its arrival, and so are those after it,
    assert_eq!(say(600, 600 - wrong_by, ""), (at(600), skew));
    assert_eq!(say(902, 900 - wrong_by, ""), (at(902), skew));
    // what it back-fills is moved by as much,
    let backfilled = say(903, 840 - wrong_by, r#","backfill":true"#);
    assert_eq!(backfilled, (at(842), skew));
    // and when the clock is right again it is believed at once.
    assert_eq!(say(1200, 1200, ""), (at(1200), Quality::Good));
}

#[test]
fn a_buffer_that_is_emptied_without_being_marked_is_not_taken_for_a_wrong_clock() {
    // Given readings of every 10 s, an hour old, that come 20 to the second,
    let mut bench = Bench::new();
    for n in 0..300 {
        let ts = at(-3600 + n * 10).millis();
        let batch = bench.say(n / 20, &format!(r#"{{"ts":{ts},"values":{{"level":1}}}}"#));
        // then every one keeps its time.
        assert_eq!(batch.points[0].sample.time.millis(), ts);
        assert_eq!(ledger(&batch).clock_skew, 0);
    }
}

#[test]
fn senml_of_the_rfc_is_read() {
    let text = r#"
kind = "rfc"
version = 1
title = { zh = "某", en = "some" }
domain = "city"
report_interval = "1min"
[[signal]]
name = "voltage"
title = { zh = "电压", en = "voltage" }
unit = "V"
[[signal]]
name = "current"
title = { zh = "电流", en = "current" }
unit = "A"
[[signal]]
name = "temperature"
title = { zh = "温度", en = "temperature" }
unit = "Cel"
[[signal]]
name = "open"
type = "bool"
title = { zh = "开", en = "open" }
unit = "1"
"#;
    let id = "10e2073a01080063";
    let topic = format!("tw/v1/{id}/telemetry");
    let read = |payload: &str| {
        let mut bench = Bench::of(catalogue_of(vec![device(id, "rfc")], &[profile(text)]));
        let batch = bench.publish(0, id, &topic, payload.as_bytes());
        let times: Vec<i64> = batch
            .points
            .iter()
            .map(|p| p.sample.time.millis() - NOON.millis())
            .collect();
        (
            bench.texts(&batch).join(","),
            times,
            ledger(&batch).rejected.unknown_signal,
        )
    };
    // §5.1.1, one value now.
    let (points, times, _) = read(r#"[{"n":"urn:dev:ow:10e2073a01080063:temperature","u":"Cel","v":23.1}]"#);
    assert_eq!((points.as_str(), times), ("temperature 23.1 good", vec![0]));
    // §5.1.2, base name, and relative times of the second pack.
    let (points, times, _) = read(
        r#"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},{"n":"current","u":"A","v":1.2}]"#,
    );
    assert_eq!(
        (points.as_str(), times),
        ("voltage 120.1 good,current 1.2 good", vec![0, 0])
    );
    let (points, times, _) = read(
        r#"[{"bn":"urn:dev:ow:10e2073a01080063:","bt":-10,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},
            {"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3},{"n":"current","v":1.7}]"#,
    );
    assert_eq!(
        points,
        "voltage 120.1 good,current 1.2 good,current 1.3 good,current 1.7 good"
    );
    assert_eq!(times, [-10_000, -15_000, -14_000, -10_000]);
    // Absolute times (§4.5.3), base values (§4.5.4), other types, other names.
    let seconds = NOON.millis() / 1000;
    let (points, times, unknown) = read(&format!(
        r#"[{{"bn":"{id}:","bt":{seconds}.5,"bv":100,"n":"voltage","v":20.5,"t":-1}},{{"n":"open","vb":true}},
            {{"n":"open","vs":"yes"}},{{"n":"current","s":7}},{{"n":"humidity","v":1}},{{"bn":"other:","n":"voltage","v":1}}]"#,
    ));
    assert_eq!(
        points,
        "voltage 120.5 good,open 1 good,open 0 bad_wrong_type,current 0 bad_wrong_type"
    );
    assert_eq!(times, [-500, 500, 500, 500]);
    assert_eq!(unknown, 2);
    // A bare signal name needs no prefix.
    assert_eq!(read(r#"[{"n":"voltage","v":1}]"#).0, "voltage 1 good");
}

#[test]
fn a_mapping_reads_a_form_of_the_vendor_and_lets_the_standard_forms_through() {
    let text = crate::testkit::PROFILE.replace(
        "[mqtt]",
        r#"[mqtt]
time = "/data/t"
seq = "/no"
[[mqtt.value]]
signal = "level"
pointer = "/data/regs/0"
scale = 0.01
[[mqtt.value]]
signal = "run"
pointer = "/data/on"
"#,
    );
    let bench = || Bench::of(catalogue_of(vec![device("d1", "all-sorts")], &[profile(&text)]));
    // In seconds, as the number is below 10^11.
    let seconds = NOON.millis() / 1000 - 30;
    let payload = format!(r#"{{"no":4,"data":{{"t":{seconds},"regs":[123,9],"on":true}}}}"#);
    let mut one = bench();
    let batch = one.say(0, &payload);
    assert_eq!(one.texts(&batch), ["level 1.23 good", "run 1 good"]);
    assert_eq!(batch.points[0].sample.time, at(-30));
    // An array of them.
    let mut many = bench();
    let batch = many.say(0, &format!(r#"[{payload},{{"data":{{"regs":["x"]}}}}]"#));
    assert_eq!(
        many.texts(&batch),
        ["level 1.23 good", "run 1 good", "level 0 bad_wrong_type"]
    );
    // Townwatch's own form, where no pointer leads anywhere.
    let mut own = bench();
    let batch = own.say(0, r#"{"values":{"level":NaN}}"#);
    assert_eq!(own.texts(&batch), ["level 0 bad_not_finite"]);
    assert_eq!(bench().say(0, r#"{"data":{}}"#).dead_letters.len(), 1);
}

#[test]
fn however_the_journal_is_cut_the_points_and_accounts_are_the_same() {
    let messages: Vec<(Lsn, RawMessage)> = (1..200u64)
        .map(|n| {
            let second = i64::try_from(n).unwrap();
            let payload = match n % 7 {
                0 => "{".to_owned(),
                1 => r#"{"values":{"nobody":1}}"#.to_owned(),
                2 => format!(
                    r#"{{"ts":{},"seq":{},"values":{{"level":1}}}}"#,
                    at(second - 1).millis(),
                    n - 1
                ),
                _ => format!(
                    r#"{{"ts":{},"seq":{n},"values":{{"level":1}}}}"#,
                    at(second).millis()
                ),
            };
            publish(n, at(second), "d1", TOPIC, payload.as_bytes())
        })
        .collect();
    let run = |length: usize| {
        let mut decoder = Decoder::new(Arc::new(catalogue()), DecodeSettings::default());
        let mut points = Vec::new();
        let mut account = Ledger::default();
        for stretch in messages.chunks(length) {
            let batch = decoder.decode(stretch);
            assert_eq!(
                (batch.first, batch.last),
                (stretch[0].0, stretch[stretch.len() - 1].0)
            );
            account.add(&ledger(&batch));
            points.extend(batch.points);
        }
        (points, account)
    };
    assert_eq!(run(1), run(1000));
    assert_eq!(run(1), run(7));
}

#[test]
fn bad_reasons_are_counted_each_by_itself() {
    let batch = Bench::new().say(0, r#"{"values":{"level":99,"run":"x","mode":null,"total":1}}"#);
    let account = ledger(&batch);
    let mut want = telemetry::ledger::BadCount::default();
    for why in [Bad::OutOfRange, Bad::WrongType, Bad::NotFinite] {
        want.add(why, 1);
    }
    assert_eq!((account.bad, account.stored), (want, 4));
}

/// JSON that is often close to a form that is read.
fn near_json() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "ts", "seq", "values", "quality", "backfill", "level", "run", "mode", "total", "n", "v", "bn", "bt",
        "t", "x", "vb",
    ]);
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("NaN".to_owned()),
        Just("1e999".to_owned()),
        any::<f64>().prop_map(|n| n.to_string()),
        (0u64..20).prop_map(|n| n.to_string()),
        (1_795_400_000_000i64..1_795_500_000_000).prop_map(|n| n.to_string()),
        "[a-z\\\\\"]{0,6}".prop_map(|s| format!("{s:?}")),
        Just(r#""bad""#.to_owned()),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let object = prop::collection::vec((key.clone(), inner.clone()), 0..6).prop_map(|entries| {
            let entries: Vec<String> = entries.iter().map(|(k, v)| format!("{k:?}:{v}")).collect();
            format!("{{{}}}", entries.join(","))
        });
        let array = prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(",")));
        prop_oneof![3 => object, 1 => array]
    })
}

proptest! {
    #[test]
    fn whatever_comes_is_accounted_for(
        payloads in prop::collection::vec(
            prop_oneof![
                3 => near_json().prop_map(String::into_bytes),
                1 => prop::collection::vec(any::<u8>(), 0..200),
            ],
            1..20,
        ),
        modbus in any::<bool>(),
    ) {
        let mut decoder = Decoder::new(Arc::new(catalogue()), DecodeSettings::default());
        let messages: Vec<(Lsn, RawMessage)> = (1u64..)
            .zip(&payloads)
            .map(|(n, payload)| {
                let mut message = publish(n, at(i64::try_from(n).unwrap()), "d1", TOPIC, payload);
                if modbus {
                    message.1.origin = Origin::Modbus;
                }
                message
            })
            .collect();
        let batch = decoder.decode(&messages);
        let account = ledger(&batch);
        prop_assert!(account.adds_up(), "{:?}", account);
        prop_assert_eq!(account.messages, messages.len() as u64);
        prop_assert_eq!(account.stored, batch.points.len() as u64);
        prop_assert_eq!(account.dead_lettered, batch.dead_letters.len() as u64);
        prop_assert!(account.missing >= 0);
        prop_assert!(batch.points.iter().all(|point| point.sample.value.is_finite()));
    }
}

mod lines;
mod logger;
