//! The newest sample of every series and the last message of every device, from the batches as they pass.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use store::series::{SeriesError, SeriesReader};
use telemetry::batch::Batch;
use telemetry::sample::Sample;
use telemetry::{Catalogue, Timestamp};

/// Devices whose newest samples are asked for at once.
const DEVICES_AT_ONCE: usize = 200;

/// Takes in every batch, cheaply, and answers what was said last. Memory: 40 bytes a series, fixed by the
/// catalogue; nothing queues here, so nothing can overflow.
///
/// It keeps nothing on disk: after a start it is filled from the series store by [`LiveFeed::recall`], and
/// from then on by [`LiveFeed::observe`]. Seeing a batch twice does no harm but to the counters.
pub struct LiveFeed {
    catalogue: Arc<Catalogue>,
    /// The devices speak to other servers: what is recalled is shown, but counts nobody as heard.
    of_others: bool,
    devices: Mutex<Vec<DeviceLive>>,
    recalled: AtomicBool,
    messages: AtomicU64,
    points: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct DeviceLive {
    heard: Option<Timestamp>,
    latest: Box<[Option<Sample>]>,
}

/// What passed since the feed was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Messages and polls.
    pub messages: u64,
    /// Points.
    pub points: u64,
}

impl std::fmt::Debug for LiveFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveFeed")
            .field("passed", &self.passed())
            .finish_non_exhaustive()
    }
}

impl LiveFeed {
    /// A feed that has heard nobody yet.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        let devices = catalogue.devices().iter().map(|entry| DeviceLive {
            heard: None,
            latest: vec![None; entry.series.len()].into(),
        });
        let devices = Mutex::new(devices.collect());
        Self {
            catalogue,
            of_others: false,
            devices,
            recalled: AtomicBool::new(false),
            messages: AtomicU64::new(0),
            points: AtomicU64::new(0),
        }
    }

    /// Takes in a batch. Call it once for each, in order, from any thread; it takes one short lock.
    pub fn observe(&self, batch: &Batch) {
        let messages: u64 = batch.ledger.iter().map(|(_, ledger)| ledger.messages).sum();
        self.messages.fetch_add(messages, Ordering::Relaxed);
        let points = u64::try_from(batch.points.len()).unwrap_or(u64::MAX);
        self.points.fetch_add(points, Ordering::Relaxed);
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        for (device, arrived) in &batch.heard {
            if let Some(device) = devices.get_mut(*device) {
                device.heard = device.heard.max(Some(*arrived));
            }
        }
        for point in &batch.points {
            let Some(owner) = self.catalogue.owner(point.series) else {
                continue;
            };
            let Some(device) = devices.get_mut(owner.device) else {
                continue;
            };
            // Back-filled readings tell how the device was then: it is as fresh as its newest reading.
            device.heard = device.heard.max(Some(point.sample.time.min(point.arrived)));
            if let Some(slot) = device.latest.get_mut(owner.signal)
                && slot.is_none_or(|old| old.time <= point.sample.time)
            {
                *slot = Some(point.sample);
            }
        }
    }

    /// The devices speak to other servers, which judge their alarms: values that are recalled are shown, but nobody counts
    /// as heard by that, so that no site looks all clear here.
    #[must_use]
    pub fn of_others(mut self) -> Self {
        self.of_others = true;
        self
    }

    /// Fills in from the series store what is newer than what was heard since the start. A device's newest sample
    /// stands for its last message, but never in the future of `now`. Blocking; meant for a thread of its own.
    ///
    /// # Errors
    /// [`SeriesError`] when the store fails; what was read till then stays.
    pub fn recall(&self, series: &dyn SeriesReader, now: Timestamp) -> Result<(), SeriesError> {
        for (chunk, entries) in self.catalogue.devices().chunks(DEVICES_AT_ONCE).enumerate() {
            let wanted: Vec<_> = entries
                .iter()
                .flat_map(|entry| entry.series.iter().copied())
                .collect();
            let mut found = series.latest_many(&wanted)?.into_iter();
            let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
            let devices = devices.iter_mut().skip(chunk * DEVICES_AT_ONCE);
            for (device, entry) in devices.zip(entries) {
                let of_device: Vec<_> = found.by_ref().take(entry.series.len()).collect();
                let newest = of_device
                    .iter()
                    .flatten()
                    .map(|sample| sample.time.min(now))
                    .max();
                if !self.of_others {
                    device.heard = device.heard.max(newest);
                }
                for (slot, sample) in device.latest.iter_mut().zip(of_device) {
                    let is_newer = |sample: &Sample| slot.is_none_or(|old| old.time < sample.time);
                    if sample.as_ref().is_some_and(is_newer) {
                        *slot = sample;
                    }
                }
            }
        }
        self.recalled.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether a recall has come to its end: what is not here then is nowhere, and no store has to be asked for it.
    #[must_use]
    pub fn is_recalled(&self) -> bool {
        self.recalled.load(Ordering::Acquire)
    }

    /// When each device was last heard (its last live message, or its newest reading where that came as
    /// back-fill), by place in [`Catalogue::devices`].
    #[must_use]
    pub fn heard(&self) -> Vec<Option<Timestamp>> {
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.iter().map(|device| device.heard).collect()
    }

    /// When one device was last heard and the newest sample of each of its signals, in the profile's order.
    #[must_use]
    pub fn device(&self, place: usize) -> (Option<Timestamp>, Box<[Option<Sample>]>) {
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices
            .get(place)
            .map(|device| (device.heard, device.latest.clone()))
            .unwrap_or_default()
    }

    /// The newest sample of one signal (by its place in the profile) of many devices.
    #[must_use]
    pub fn samples(&self, wanted: &[(usize, usize)]) -> Vec<Option<Sample>> {
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |(device, signal): &(usize, usize)| *devices.get(*device)?.latest.get(*signal)?;
        wanted.iter().map(one).collect()
    }

    /// What passed since the feed was made.
    #[must_use]
    pub fn passed(&self) -> Passed {
        Passed {
            messages: self.messages.load(Ordering::Relaxed),
            points: self.points.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use store::testkit::MemorySeries;
    use telemetry::quality::Quality;
    use telemetry::sample::Point;

    use super::*;
    use crate::testkit;

    fn sample(ms: i64, value: f64) -> Sample {
        Sample {
            time: Timestamp::from_millis(ms),
            value,
            quality: Quality::Good,
        }
    }

    #[test]
    fn the_newest_event_time_wins_whatever_comes_last() {
        // Given a feed, when a newer sample is followed by an older one,
        let catalogue = testkit::catalogue();
        let feed = LiveFeed::new(Arc::clone(&catalogue));
        let series = catalogue.series_id("st-1", "flow").unwrap();
        let point = |ms, value| Point {
            series,
            sample: sample(ms, value),
            arrived: Timestamp::from_millis(9000),
            backfill: false,
        };
        let place = catalogue.device_index("st-1").unwrap();
        let batch = Batch {
            points: vec![point(2000, 2.0), point(1000, 1.0)],
            heard: vec![(place, Timestamp::from_millis(9000))],
            ..Batch::default()
        };
        feed.observe(&batch);
        // then the newer stands, and the device was heard when the message arrived.
        let signal = catalogue.owner(series).unwrap().signal;
        let (heard, latest) = feed.device(place);
        assert_eq!(heard, Some(Timestamp::from_millis(9000)));
        assert_eq!(latest[signal], Some(sample(2000, 2.0)));
        assert_eq!(feed.passed().points, 2);
    }

    #[test]
    fn back_fill_makes_a_device_as_fresh_as_its_newest_reading_and_no_fresher() {
        // Given a batch of history alone, which counts nobody as heard,
        let catalogue = testkit::catalogue();
        let feed = LiveFeed::new(Arc::clone(&catalogue));
        let point = Point {
            series: catalogue.series_id("cv-1", "tilt").unwrap(),
            sample: sample(3000, 0.5),
            arrived: Timestamp::from_millis(9000),
            backfill: true,
        };
        feed.observe(&Batch {
            points: vec![point],
            ..Batch::default()
        });
        // then the cover was last known then, not when the message came.
        let place = catalogue.device_index("cv-1").unwrap();
        assert_eq!(feed.device(place).0, Some(Timestamp::from_millis(3000)));
    }

    #[test]
    fn after_a_start_the_store_says_what_was_last_and_the_future_is_not_believed() {
        let catalogue = testkit::catalogue();
        let feed = LiveFeed::new(Arc::clone(&catalogue));
        let store = MemorySeries::default();
        store.insert(catalogue.series_id("st-1", "flow").unwrap(), sample(99_000, 4.0));
        assert!(!feed.is_recalled());
        feed.recall(&store, Timestamp::from_millis(50_000)).unwrap();
        assert!(feed.is_recalled());
        let place = catalogue.device_index("st-1").unwrap();
        assert_eq!(feed.device(place).0, Some(Timestamp::from_millis(50_000)));
        assert_eq!(feed.device(place + 1).0, None);
    }

    #[test]
    fn what_others_heard_is_shown_and_replaced_by_newer_values_but_nobody_counts_as_heard() {
        let catalogue = testkit::catalogue();
        let feed = LiveFeed::new(Arc::clone(&catalogue)).of_others();
        let store = MemorySeries::default();
        let flow = catalogue.series_id("st-1", "flow").unwrap();
        let place = catalogue.device_index("st-1").unwrap();
        for (time, value) in [(1000, 4.0), (2000, 5.0)] {
            store.insert(flow, sample(time, value));
            feed.recall(&store, Timestamp::from_millis(50_000)).unwrap();
            let (heard, latest) = feed.device(place);
            assert_eq!(heard, None);
            assert!(latest.contains(&Some(sample(time, value))), "{latest:?}");
        }
    }
}
