//! From the records of one message to points: compared with what its device said before.

use telemetry::time::{Span, Timestamp};
use telemetry::{DeviceEntry, Ledger, Point, Quality, Sample, Uncertain};

use crate::check::seen::{SeenExternal, fingerprint};
use crate::check::{Dated, DeviceState, has_identity};
use crate::decode::{Item, Parsed, Record};

/// Makes points of the records of one message. Answers the account of its items, and whether any reading
/// was news: neither back-fill, nor a duplicate, nor history. `external`: the memory of what came through an external
/// broker, and the place of the device, where the message did.
pub(super) fn take(
    state: &mut DeviceState,
    external: Option<(&mut SeenExternal, usize)>,
    entry: &DeviceEntry,
    parsed: &mut Parsed,
    arrived: Timestamp,
    keep: Span,
    points: &mut Vec<Point>,
) -> (Ledger, bool) {
    let mut ledger = Ledger::default();
    let mut news = false;
    mark_duplicates(state, external, parsed, arrived);
    let fresh = parsed.records.iter().filter(|record| !record.duplicate);
    let dating = state.date(arrived, fresh.map(|record| (record.time, record.backfill)));
    let mut items = parsed.items.as_slice();
    for record in &parsed.records {
        let (mine, rest) = items.split_at_checked(record.items).unwrap_or((items, &[]));
        items = rest;
        let total = mine.len() as u64 + record.unknown;
        ledger.received += total;
        if record.duplicate {
            ledger.duplicate += total;
            continue;
        }
        ledger.rejected.unknown_signal += record.unknown;
        let reading = Reading {
            entry,
            record,
            items: mine,
            arrived,
            dated: dating.of(record.time),
        };
        news |= reading.store(state, keep, &mut ledger, points);
    }
    (ledger, news)
}

fn mark_duplicates(
    state: &mut DeviceState,
    mut external: Option<(&mut SeenExternal, usize)>,
    parsed: &mut Parsed,
    arrived: Timestamp,
) {
    let mut items = parsed.items.as_slice();
    for record in &mut parsed.records {
        let (mine, rest) = items.split_at_checked(record.items).unwrap_or((items, &[]));
        items = rest;
        let is_empty = mine.is_empty() && record.unknown == 0;
        if is_empty || !has_identity(record.time, record.seq, arrived) {
            record.duplicate = false;
            continue;
        }
        let fingerprint = fingerprint(record.time, record.seq, record.unknown, mine);
        let seen = state.seen.check(fingerprint);
        let seen_external = external
            .as_mut()
            .is_some_and(|(external, device)| external.check(*device, fingerprint));
        record.duplicate = seen || seen_external;
    }
}

/// One record on its way to points.
struct Reading<'a> {
    entry: &'a DeviceEntry,
    record: &'a Record,
    items: &'a [Item],
    arrived: Timestamp,
    dated: Dated,
}

impl Reading<'_> {
    /// Answers whether it is news.
    fn store(
        &self,
        state: &mut DeviceState,
        keep: Span,
        ledger: &mut Ledger,
        points: &mut Vec<Point>,
    ) -> bool {
        let Dated { time, skewed } = self.dated;
        if let Some(seq) = self.record.seq {
            ledger.missing += state.seq.observe(seq, state.is_newer(time));
        }
        let count = self.items.len() as u64;
        if count == 0 {
            return self.record.unknown > 0 && !self.record.backfill;
        }
        if time < self.arrived.minus(keep) {
            ledger.rejected.too_old += count;
            return false;
        }
        let placed = state.place(time, self.arrived);
        let doubt = if skewed {
            Quality::Uncertain(Uncertain::ClockSkew)
        } else {
            Quality::Good
        };
        for item in self.items {
            let Some(series) = self.entry.series.get(usize::from(item.signal)) else {
                ledger.rejected.unknown_signal += 1; // The tables are made from the same profile: never.
                continue;
            };
            let quality = item.quality.worse(doubt);
            ledger.stored += 1;
            if let Quality::Bad(why) = quality {
                ledger.bad.add(why, 1);
            }
            points.push(Point {
                series: *series,
                sample: Sample {
                    time,
                    value: item.value,
                    quality,
                },
                arrived: self.arrived,
                backfill: self.record.backfill,
            });
        }
        ledger.late += if placed.late { count } else { 0 };
        ledger.clock_skew += if skewed { count } else { 0 };
        placed.news && !self.record.backfill
    }
}
