//! What devices wrote down before the county could be reached, as messages of many records. Pure.

use crate::county::{County, Plan};
use crate::device::Model;
use crate::fault::Faults;
use crate::reading::{Mark, Reading, Value, write_record};

/// Most records of one message.
const RECORDS_MAX: u64 = 120;
/// A message is closed when it has grown to so many bytes: below 256 KiB with any record added.
const BYTES_FULL: usize = 96 * 1024;
/// States that do not change are written down once in so many records.
const STATES_EVERY: i64 = 60;

/// The history of one device, oldest first.
#[derive(Debug)]
pub(crate) struct History {
    place: usize,
    plan: Plan,
    /// The last instant that is told.
    told: i64,
    to: i64,
    before: Vec<(&'static str, Value)>,
    written: i64,
}

impl History {
    /// The history of the device at `place` after `from` and up to `to`, ms.
    pub(crate) fn new(county: &County, place: usize, from: i64, to: i64) -> Option<Self> {
        let device = county.devices().get(place)?;
        Some(Self {
            place,
            plan: device.log,
            told: from,
            to,
            before: Vec::new(),
            written: 0,
        })
    }

    pub(crate) const fn place(&self) -> usize {
        self.place
    }

    /// How many records it is.
    pub(crate) fn count(&self, county: &County) -> u64 {
        self.plan.count(&county.world, self.told, self.to)
    }

    /// Writes the next message into `out` and says how many records it has; 0 at the end.
    pub(crate) fn next(&mut self, county: &County, faults: &Faults, out: &mut Vec<u8>) -> u64 {
        let mut reading = Reading::default();
        let mut records = 0;
        out.clear();
        out.push(b'[');
        while records < RECORDS_MAX && out.len() < BYTES_FULL {
            let Some(ts) = self.read_next(county, faults, &mut reading) else {
                break;
            };
            if records > 0 {
                out.push(b',');
            }
            let seq = county
                .devices()
                .get(self.place)
                .and_then(|device| device.plan)
                .and_then(|plan| plan.seq(ts));
            write_record(
                out,
                Mark {
                    ts,
                    seq,
                    backfill: true,
                },
                &reading,
            );
            records += 1;
        }
        out.push(b']');
        records
    }

    /// Reads the next record and says when it was, ms; none at the end.
    pub(crate) fn read_next(&mut self, county: &County, faults: &Faults, into: &mut Reading) -> Option<i64> {
        let ts = self.plan.next(&county.world, self.told);
        if ts > self.to {
            return None;
        }
        self.told = ts;
        county.read(self.place, ts, faults, into);
        self.thin(county, into);
        Some(ts)
    }

    /// A depot's logger writes its tanks and detectors down every minute, but contacts and states only
    /// when they change, and once an hour.
    fn thin(&mut self, county: &County, reading: &mut Reading) {
        let model = county.devices().get(self.place).map(|device| &device.model);
        if !matches!(model, Some(Model::Tank(_) | Model::Panel(_))) {
            return;
        }
        let all = self.written % STATES_EVERY == 0;
        self.written += 1;
        let now = reading.values().to_vec();
        if !all {
            let mut before = self.before.iter();
            reading.retain(|name, value| {
                let same = before.next().is_some_and(|(_, old)| *old == value);
                !(same && (matches!(value, Value::Flag(_)) || name.starts_with("status")))
            });
        }
        self.before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::county::CountySize;

    #[test]
    fn a_history_is_told_whole_oldest_first_in_messages_that_fit() {
        // Given a day of a panel, which has most signals,
        let county = County::generate(CountySize::Small, 7);
        let panel = county.place_of(&"depot-1-panel".parse().unwrap()).unwrap();
        let (from, to) = (1_795_000_000_000, 1_795_000_000_000 + 86_400_000);
        let mut history = History::new(&county, panel, from, to).unwrap();
        let count = history.count(&county);
        // when it is told,
        let (mut told, mut last, mut out) = (0, from, Vec::new());
        loop {
            let records = history.next(&county, &Faults::default(), &mut out);
            if records == 0 {
                break;
            }
            assert!(out.len() < 256 * 1024);
            let json: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
            for record in &json {
                let ts = record["ts"].as_i64().unwrap();
                assert!(ts > last && ts <= to && record["backfill"] == true);
                assert!(record["values"]["gas_16"].is_f64());
                last = ts;
            }
            told += records;
        }
        // then every minute of it is there once.
        assert_eq!((told, count), (1440, 1440));
    }
}
