//! InfluxDB line protocol in, points and account out.

use super::*;
use crate::push::lines::{Precision, sort};

impl Bench {
    /// What the door makes of `body`, said by `d1`.
    fn write(&mut self, precision: Precision, body: &str) -> Batch {
        let own = "d1".parse().unwrap();
        let sorted = sort(body, precision, "device", Some(&own), |_| true);
        assert_eq!(sorted.first_bad, None);
        self.lsn += 1;
        let (lsn, mut message) = publish(self.lsn, at(0), "d1", TOPIC, &sorted.payloads[0].1);
        message.origin = Origin::LineProtocol;
        let batch = self.decoder.decode(&[(lsn, message)]);
        for (_, ledger) in &batch.ledger {
            assert!(ledger.adds_up(), "{ledger:?} does not add up for {body:?}");
        }
        batch
    }
}

#[test]
fn fields_are_signals_by_their_name_or_with_their_measurement() {
    for (line, want) in [
        ("sewage level=1.5", "level 1.5 good"),
        ("sewage total=7i", "total 7 good"),
        ("sewage total=7u", "total 7 good"),
        ("sewage run=true", "run 1 good"),
        ("sewage,tag=x mode=5i", "mode 5 good"),
        ("level value=1.5", "level 1.5 good"),
        ("sewage level=99", "level 99 bad_out_of_range"),
        ("sewage level=\"high\"", "level 0 bad_wrong_type"),
    ] {
        let mut bench = Bench::new();
        let batch = bench.write(Precision::Nanoseconds, line);
        assert_eq!(bench.texts(&batch), [want], "{line}");
        assert_eq!(
            batch.points[0].sample.time, NOON,
            "without a time the arrival counts"
        );
    }
    let mut bench = Bench::new();
    let batch = bench.write(Precision::Nanoseconds, "level other=1,value=2");
    assert_eq!(bench.texts(&batch), ["level 2 good"]);
    assert_eq!(batch.ledger[0].1.rejected.unknown_signal, 1);
}

#[test]
fn times_are_read_in_their_precision_and_a_body_sent_again_is_a_duplicate() {
    for (precision, time) in [
        (Precision::Nanoseconds, "1795435140000999999"),
        (Precision::Microseconds, "1795435140000999"),
        (Precision::Milliseconds, "1795435140000"),
        (Precision::Seconds, "1795435140"),
    ] {
        let mut bench = Bench::new();
        let body = format!("sewage level=1,run=true {time}\n");
        let batch = bench.write(precision, &body);
        let times: Vec<Timestamp> = batch.points.iter().map(|point| point.sample.time).collect();
        assert_eq!(times, [at(-60), at(-60)], "{precision:?}");
        assert_eq!(bench.write(precision, &body).ledger[0].1.duplicate, 2);
    }
    let batch = Bench::new().write(Precision::Seconds, "sewage level=1 9223372036854775807");
    assert_eq!(
        batch.points[0].sample.quality,
        Quality::Uncertain(Uncertain::ClockSkew)
    );
}
