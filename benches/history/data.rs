//! What is stored: the log of a simulated county of which nothing is wrong, in the order in which it would arrive.

use std::fmt::Write;

use device_simulators::{County, CountySize};
use telemetry::{DeviceId, Point, Quality, Sample, SeriesId, Timestamp};

pub(crate) const SEED: u64 = 1;
/// Points that are appended at a time.
pub(crate) const BATCH: usize = 5_000;
/// The day after the last one, 2026-11-01T00:00Z: here as with VictoriaMetrics the files of a month are what is made small,
/// and what ends with a month has no days left over.
pub(crate) const END: i64 = 20_758 * Timestamp::DAY_MS;

/// One series: a signal of a device.
pub(crate) struct Series {
    pub(crate) device: DeviceId,
    pub(crate) signal: &'static str,
}

/// The county and the numbers of its series.
pub(crate) struct Fleet {
    county: County,
    devices: Vec<DeviceId>,
    numbers: std::collections::HashMap<(usize, &'static str), u32>,
    /// By number.
    pub(crate) series: Vec<Series>,
}

impl Fleet {
    pub(crate) fn new(size: CountySize) -> Self {
        let county = County::generate(size, SEED);
        let devices = county.device_ids().cloned().collect();
        Self {
            county,
            devices,
            numbers: std::collections::HashMap::new(),
            series: Vec::new(),
        }
    }

    /// The profile of a series' device.
    pub(crate) fn profile(&self, series: u32) -> &'static str {
        let device = &self.series.get(series as usize).expect("a known series").device;
        self.county.profile_of(device).expect("a device of the county")
    }

    /// How many devices there are.
    pub(crate) fn size(&self) -> usize {
        self.devices.len()
    }

    /// The points of the day that begins at `begin`, by time; every `step`th device only.
    pub(crate) fn day(&mut self, begin: i64, step: usize) -> Vec<Point> {
        let mut points = Vec::new();
        let at = Timestamp::from_millis;
        for place in (0..self.devices.len()).step_by(step) {
            let device = self.devices.get(place).expect("counted");
            let (numbers, series) = (&mut self.numbers, &mut self.series);
            self.county.tell_log(
                device,
                at(begin - 1),
                at(begin + Timestamp::DAY_MS - 1),
                |time, signal, value| {
                    let next = u32::try_from(numbers.len()).expect("fewer than 2^32 series");
                    let number = *numbers.entry((place, signal)).or_insert_with(|| {
                        let device = device.clone();
                        series.push(Series { device, signal });
                        next
                    });
                    points.push(Point {
                        series: SeriesId(number),
                        sample: Sample {
                            time,
                            value,
                            quality: Quality::Good,
                        },
                        arrived: time,
                        backfill: false,
                    });
                },
            );
        }
        points.sort_by_key(|point| point.sample.time);
        points
    }

    /// The series of these signals, for the queries.
    pub(crate) fn of(&self, wanted: impl Fn(&Series) -> bool) -> Vec<u32> {
        let found = (0u32..).zip(&self.series).filter(|(_, series)| wanted(series));
        found.map(|(number, _)| number).collect()
    }

    /// A batch in line protocol, the fields of one device and instant in one line, as a platform would send it.
    pub(crate) fn lines(&self, batch: &[Point]) -> Vec<u8> {
        let mut text = String::new();
        let mut open: Option<(&DeviceId, Timestamp)> = None;
        for point in batch {
            let series = self.series.get(point.series.0 as usize).expect("a known series");
            let (time, value) = (point.sample.time, point.sample.value);
            // Writing to a String cannot fail.
            let _infallible = if open == Some((&series.device, time)) {
                write!(text, ",{}={value}", series.signal)
            } else {
                if let Some((_, time)) = open {
                    let _infallible = writeln!(text, " {}", time.millis());
                }
                write!(text, "tw,device={} {}={value}", series.device, series.signal)
            };
            open = Some((&series.device, time));
        }
        if let Some((_, time)) = open {
            let _infallible = writeln!(text, " {}", time.millis());
        }
        text.into_bytes()
    }
}
