//! What a connection has to say, and when: the reports of those that speak over it, and their history.
//!
//! Decides only: time comes in, messages lie in the outbox. `link.rs` carries them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use super::outbox::{Message, Outbox};
use crate::county::County;
use crate::device::Model;
use crate::fault::{FaultKind, Faults};
use crate::history::History;
use crate::noise;
use crate::num::whole;
use crate::reading::{Mark, Reading, write_record};

/// Messages of history that one connection has on the wire at most.
const HISTORY_WINDOW: usize = 3;
/// Live reports are made up for so long (ms) when the task wakes late; older ones are skipped, as by a device
/// that was stuck. Their count shows as a gap in the sequence numbers.
const CATCH_UP: i64 = 10 * 60_000;

/// How long ago (ms) a fault may have begun or ended when its task hears of it.
const HEARD_LATE: i64 = 60_000;

#[derive(Debug)]
pub(super) struct Speaker {
    county: Arc<County>,
    /// Place of the device that logs in.
    login: usize,
    /// The next instants of those that speak, the soonest first.
    due: BinaryHeap<Reverse<(i64, usize)>>,
    history: VecDeque<History>,
    pub(super) outbox: Outbox,
    reading: Reading,
    buffer: Vec<u8>,
}

/// How far history is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// There is more.
    More,
    /// All of it is acknowledged.
    Done,
}

impl Speaker {
    /// Speaks live for `speakers` after `now` and tells `history`.
    pub(super) fn new(county: Arc<County>, login: usize, history: VecDeque<History>) -> Self {
        Self {
            county,
            login,
            due: BinaryHeap::new(),
            history,
            outbox: Outbox::default(),
            reading: Reading::default(),
            buffer: Vec::new(),
        }
    }

    /// From `after` on it speaks for the device at `place`.
    pub(super) fn schedule(&mut self, place: usize, after: i64, faults: &Faults) {
        let Some(plan) = self.county.devices().get(place).and_then(|device| device.plan) else {
            return;
        };
        let next = plan.next(&self.county.world, after);
        // What begins or ends is reported at once.
        let edge = faults.next_edge(place, after);
        self.due
            .push(Reverse((edge.map_or(next, |edge| edge.min(next)), place)));
    }

    /// The faults have changed.
    pub(super) fn reschedule(&mut self, now: i64, faults: &Faults) {
        let places: Vec<usize> = self.due.drain().map(|Reverse((_, place))| place).collect();
        for place in places {
            // A fault that was asked for "now" began before this task heard of it: it is reported all the same.
            match faults
                .next_edge(place, now - HEARD_LATE)
                .filter(|edge| *edge <= now)
            {
                Some(edge) => self.due.push(Reverse((edge, place))),
                None => self.schedule(place, now, faults),
            }
        }
    }

    /// When it has something to say next, ms.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn has_history(&self) -> bool {
        !self.history.is_empty()
    }

    /// Whether it needs a connection: a sleeper to say something, a lamp while its loop has power, the others always.
    pub(super) fn wants_connection(&self, now: i64, faults: &Faults) -> bool {
        if !self.outbox.is_empty() || self.has_history() {
            return true;
        }
        match self.county.devices().get(self.login).map(|device| &device.model) {
            Some(Model::Lamp(lamp)) => {
                self.county.world.sun.lighting(now).powered && !lamp.cut_off(faults, now)
            }
            Some(Model::Cover(_) | Model::Bin(_)) | None => false,
            Some(_) => !self.due.is_empty(),
        }
    }

    /// Puts everything that has fallen due by `now` into the outbox; answers how many records.
    pub(super) fn report_due(&mut self, now: i64, faults: &Faults) -> u64 {
        let mut reported = 0;
        while let Some(Reverse((at, place))) = self.due.peek().copied() {
            if at > now {
                break;
            }
            self.due.pop();
            if at > now - CATCH_UP {
                reported += u64::from(self.report(place, at, faults));
                self.schedule(place, at, faults);
            } else {
                self.schedule(place, now - CATCH_UP, faults);
            }
        }
        reported
    }

    fn report(&mut self, place: usize, at: i64, faults: &Faults) -> bool {
        let county = Arc::clone(&self.county);
        let Some(device) = county.devices().get(place) else {
            return false;
        };
        let silent = faults.acting(place, FaultKind::Silence, at).is_some();
        let dead = match &device.model {
            Model::Lamp(lamp) => lamp.cut_off(faults, at) || !county.world.sun.lighting(at).powered,
            _ => false,
        };
        if silent || dead {
            return false;
        }
        county.read(place, at, faults, &mut self.reading);
        let ahead = match faults.acting(place, FaultKind::Clock8h, at) {
            Some(_) => 8 * 3_600_000,
            None => 0,
        };
        let mark = Mark {
            ts: at + ahead,
            seq: device.plan.and_then(|plan| plan.seq(at)),
            backfill: false,
        };
        self.buffer.clear();
        write_record(&mut self.buffer, mark, &self.reading);
        if faults.acting(place, FaultKind::Nonsense, at).is_some() {
            nonsense(&mut self.buffer, at);
        }
        self.outbox.push(Message {
            topic: topic(device.id.as_str()),
            payload: self.buffer.clone(),
            records: 1,
            history: false,
        });
        true
    }

    /// Puts history into the outbox while there is room.
    pub(super) fn tell_history(&mut self, faults: &Faults) -> Telling {
        while self.outbox.history() < HISTORY_WINDOW {
            let Some(history) = self.history.front_mut() else {
                return if self.outbox.history() == 0 {
                    Telling::Done
                } else {
                    Telling::More
                };
            };
            let records = history.next(&self.county, faults, &mut self.buffer);
            if records == 0 {
                self.history.pop_front();
                continue;
            }
            if let Some(device) = self.county.devices().get(history.place()) {
                self.outbox.push(Message {
                    topic: topic(device.id.as_str()),
                    payload: self.buffer.clone(),
                    records,
                    history: true,
                });
            }
        }
        Telling::More
    }
}

fn topic(device: &str) -> String {
    format!("tw/v1/{device}/telemetry")
}

/// Spoils a record: cut off, of the wrong types, out of every range, or no JSON at all, by chance.
fn nonsense(record: &mut Vec<u8>, at: i64) {
    match whole((noise::unit(0x0bad, at.div_euclid(1000)) * 4.0).floor()) {
        0 => record.truncate(record.len() / 2),
        1 => {
            *record =
                format!("{{\"ts\":{at},\"values\":{{\"level\":\"high\",\"mains\":[1],\"flow\":null}}}}")
                    .into_bytes();
        }
        2 => *record = format!("{{\"ts\":{at},\"values\":{{\"level\":99999,\"flow\":-1e300}}}}").into_bytes(),
        _ => *record = vec![0xFF, 0x00, 0x7B, 0x7B, 0x80],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::county::CountySize;
    use crate::fault::{Fault, FaultSender};
    use telemetry::{DeviceId, Timestamp};

    /// 2026-11-23 20:00 in China: the lamps are lit.
    const EVENING: i64 = 1_795_435_200_000;

    /// Everything that the county says live from `from` to `to`: topic and payload, by connection.
    fn hour_of(county: &Arc<County>, from: i64, to: i64) -> Vec<(String, Vec<u8>)> {
        let mut said = Vec::new();
        for place in 0..county.devices().len() {
            let mut speaker = Speaker::new(Arc::clone(county), place, VecDeque::new());
            let faults = Faults::default();
            speaker.schedule(place, from, &faults);
            while speaker.next_due().is_some_and(|at| at <= to) {
                let at = speaker.next_due().unwrap();
                speaker.report_due(at, &faults);
                while let Some(packet) = speaker.outbox.next() {
                    said.push((county.devices()[place].id.to_string(), packet.to_vec()));
                }
                speaker.outbox = Outbox::default();
            }
        }
        said
    }

    #[test]
    fn the_same_seed_says_the_same_bytes_for_an_hour_and_another_seed_does_not() {
        let county = |seed| Arc::new(County::generate(CountySize::Small, seed));
        let hour = EVENING + 3_600_000;
        let first = hour_of(&county(11), EVENING, hour);
        assert!(first.len() > 1500, "{}", first.len());
        assert_eq!(first, hour_of(&county(11), EVENING, hour));
        assert_ne!(first, hour_of(&county(12), EVENING, hour));
    }

    fn only(county: &Arc<County>, id: &str, order: &str, minutes: i64) -> Vec<String> {
        let sender = FaultSender::new(Arc::clone(county));
        let fault: Fault = order.parse().unwrap();
        sender.send(&fault, Timestamp::from_millis(EVENING)).unwrap();
        let place = county.place_of(&id.parse::<DeviceId>().unwrap()).unwrap();
        let faults = sender.now();
        let mut speaker = Speaker::new(Arc::clone(county), place, VecDeque::new());
        speaker.schedule(place, EVENING, &faults);
        let mut said = Vec::new();
        while speaker
            .next_due()
            .is_some_and(|at| at <= EVENING + minutes * 60_000)
        {
            let at = speaker.next_due().unwrap();
            speaker.report_due(at, &faults);
            while let Some(packet) = speaker.outbox.next() {
                let text = String::from_utf8_lossy(packet).into_owned();
                said.push(
                    text.split_once('{')
                        .map_or(String::new(), |(_, json)| format!("{{{json}")),
                );
            }
            speaker.outbox = Outbox::default();
        }
        said
    }

    #[test]
    fn an_opened_cover_says_so_at_once_and_again_when_it_is_closed() {
        let county = Arc::new(County::generate(CountySize::Small, 1));
        let said = only(&county, "cover-0007", "cover-opened:cover-0007@1min+5min", 10);
        let opened: Vec<serde_json::Value> = said
            .iter()
            .map(|text| serde_json::from_str(text).unwrap())
            .collect();
        assert_eq!(opened.len(), 2);
        assert_eq!(opened[0]["ts"], EVENING + 60_000);
        assert_eq!(opened[0]["values"]["opened"], true);
        assert!(opened[0]["values"]["tilt"].as_f64().unwrap() > 30.0);
        assert_eq!(opened[1]["ts"], EVENING + 360_000);
        assert_eq!(opened[1]["values"]["opened"], false);
    }

    #[test]
    fn a_silent_device_says_nothing_a_wrong_clock_is_8_h_ahead_and_nonsense_is_no_good_record() {
        let county = Arc::new(County::generate(CountySize::Small, 1));
        assert!(only(&county, "loop-001", "silence:loop-001+1h", 59).is_empty());
        for text in only(&county, "loop-001", "clock-8h:loop-001+1h", 30) {
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(json["ts"].as_i64().unwrap() >= EVENING + 8 * 3_600_000);
        }
        let spoilt = only(&county, "loop-001", "nonsense:loop-001+5h", 290);
        assert!(spoilt.len() > 50);
        for text in spoilt {
            let json: Result<serde_json::Value, _> = serde_json::from_str(&text);
            assert!(json.is_err() || json.unwrap()["values"].get("loop_6_current").is_none());
        }
    }
}
