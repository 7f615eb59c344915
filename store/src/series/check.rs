//! What the care of a data folder has to know of the files of the series: their names, their versions, and whether
//! each block is what was written.

use rusqlite::Connection;
use telemetry::{Quality, Sample, SeriesId, Timestamp};

use super::block::{self, Place, Summary};
use super::window::{Held, Window};
use super::{index, partition, rollup};

/// The name of the index.
pub(crate) const INDEX_FILE: &str = index::INDEX_FILE;
/// The version of the index's tables.
pub(crate) const INDEX_VERSION: i64 = index::VERSION;
/// The version of a day's tables.
pub(crate) const DAY_VERSION: i64 = partition::VERSION;

/// What the file `name` covers, a day or a month ([`super::extent`]); none when it is none of them.
pub(crate) fn day_of(name: &str) -> Option<i64> {
    super::extent::named(name)
}

/// The name of the file of a day or month.
pub(crate) fn file_name(day: i64) -> String {
    super::extent::file_name(day)
}

/// First and last instant of a day or month.
pub(crate) const fn bounds(day: i64) -> (Timestamp, Timestamp) {
    (
        Timestamp::from_millis(super::extent::begin_ms(day)),
        Timestamp::from_millis(super::extent::end_ms(day) - 1),
    )
}

/// A block that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadBlock {
    /// The table it stands in.
    pub(crate) table: &'static str,
    /// Its key there.
    pub(crate) key: i64,
    pub(crate) series: SeriesId,
    /// Its first and last time; none when its summary cannot be read: somewhere on the day.
    pub(crate) between: Option<(Timestamp, Timestamp)>,
    /// How many samples it holds; none when its summary cannot be read.
    pub(crate) samples: Option<u64>,
    /// What is wrong.
    pub(crate) what: &'static str,
}

/// What a day holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DayCheck {
    pub(crate) blocks: u64,
    pub(crate) points: u64,
    pub(crate) bad: Vec<BadBlock>,
}

/// Opens every block of `day` and compares it with its checksums, its summary and its roll-ups. `each` is told how many
/// blocks were opened so far.
pub(crate) fn check_day(
    connection: &Connection,
    day: i64,
    each: &mut dyn FnMut(u64),
) -> rusqlite::Result<DayCheck> {
    let mut found = DayCheck::default();
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // Version 1 had one table for all.
    let tables: &[(&'static str, &str)] = match version {
        ..=1 => &[("block", "NULL")],
        _ => &[("packed", "rollup"), ("block", "NULL")],
    };
    for (table, rollup) in tables {
        let mut select = connection.prepare(&format!(
            "SELECT key, summary, body, {rollup} FROM {table} ORDER BY key"
        ))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(0)?;
            let blob = |column| {
                row.get_ref(column)
                    .map(|cell| cell.as_blob_or_null().unwrap_or(Some(&[])))
            };
            let parts = Parts {
                summary: blob(1)?.unwrap_or_default(),
                body: blob(2)?,
                rollup: blob(3)?,
            };
            found.blocks += 1;
            match check_block(Place { key, day }, &parts) {
                Ok(samples) => found.points += samples,
                Err(Wrong { extent, what }) => found.bad.push(BadBlock {
                    table,
                    key,
                    series: partition::series_of(key),
                    between: extent.map(|extent| (extent.first, extent.last)),
                    samples: extent.map(|extent| extent.samples),
                    what,
                }),
            }
            each(found.blocks);
        }
    }
    Ok(found)
}

/// The blobs of a row.
struct Parts<'a> {
    summary: &'a [u8],
    /// None once the samples were let go.
    body: Option<&'a [u8]>,
    rollup: Option<&'a [u8]>,
}

/// Why a block is not sound, and what its summary says of it.
struct Wrong {
    extent: Option<Extent>,
    what: &'static str,
}

/// When a block begins and ends, and how many samples it holds.
#[derive(Clone, Copy)]
struct Extent {
    first: Timestamp,
    last: Timestamp,
    samples: u64,
}

impl Extent {
    const fn of(summary: &Summary) -> Self {
        Self {
            first: summary.first,
            last: summary.last,
            samples: summary.samples as u64,
        }
    }
}

/// The samples of a block, or what is wrong with it.
fn check_block(place: Place, parts: &Parts<'_>) -> Result<u64, Wrong> {
    let summary = block::decode_summary(place, parts.summary).map_err(|what| Wrong { extent: None, what })?;
    let wrong = |what| Wrong {
        extent: Some(Extent::of(&summary)),
        what,
    };
    let column = match parts.body {
        Some(body) => Some(block::decode(place, &summary, body).map_err(wrong)?),
        None if parts.rollup.is_some() => None,
        None => return Err(wrong("its samples are missing")),
    };
    if let Some(column) = &column {
        let on_day = |time: &i64| (place.begin_ms()..place.end_ms()).contains(time);
        if !column.times.is_sorted_by(|a, b| a < b) || !column.times.iter().all(on_day) {
            return Err(wrong("its times are not in order, or not of its day"));
        }
        let samples = column.between(Timestamp::MIN, Timestamp::MAX);
        if !fits(&summary.window, samples, summary.complete) {
            return Err(wrong("its summary is not that of its samples"));
        }
    }
    for level in parts
        .rollup
        .map_or(Ok(Vec::new()), |bytes| rollup::levels(place, bytes))
        .map_err(wrong)?
    {
        let windows = level.windows(summary.scale).map_err(wrong)?;
        let counted: u64 = windows.iter().map(Window::samples).sum();
        let all_fit = windows.iter().all(|window| {
            let end = Timestamp::from_millis(window.start.millis().saturating_add(level.width));
            column
                .as_ref()
                .is_none_or(|column| fits(window, column.between(window.start, end), true))
        });
        if counted != summary.samples as u64 || !all_fit {
            return Err(wrong("its roll-up is not that of its samples"));
        }
    }
    Ok(summary.samples as u64)
}

/// Whether a window says what the samples say; `complete` when it says more than version 1 did. Sums may be added up in
/// another order, or exactly.
fn fits(said: &Window, samples: impl Iterator<Item = Sample>, complete: bool) -> bool {
    let mut seen = Window::empty(said.start);
    let (mut values, mut steps) = (0.0f64, 0.0f64);
    for sample in samples {
        if let Some(holding) = seen.holding() {
            steps += (holding.value * sample.time.millis_since(holding.time) as f64).abs();
        }
        seen.push(sample);
        if !sample.quality.is_bad() {
            values += sample.value.abs();
        }
    }
    let counts = |window: &Window| (window.count, window.bad);
    if counts(&seen) != counts(said) {
        return false;
    }
    if seen.count == 0 {
        return true;
    }
    let bits =
        |window: &Window| [window.min, window.max, window.first.value, window.last.value].map(f64::to_bits);
    let ends = |window: &Window| [window.first, window.last].map(|end| (end.time, end.quality.code()));
    let more = |window: &Window| {
        let Held {
            known_ms, longest_ms, ..
        } = window.held;
        (
            window.good,
            window.falls,
            known_ms,
            longest_ms,
            window.heard_first,
            window.heard_last,
        )
    };
    bits(&seen) == bits(said)
        && ends(&seen) == ends(said)
        && close(seen.sum, said.sum, values)
        && (!complete || more(&seen) == more(said) && close(seen.held.integral, said.held.integral, steps))
}

/// Whether two ways to add up numbers of this magnitude came to the same.
fn close(a: f64, b: f64, magnitude: f64) -> bool {
    a.to_bits() == b.to_bits() || !a.is_finite() && !b.is_finite() || (a - b).abs() <= magnitude * 1e-9
}

/// A row of the index's table `latest` that is not what was written.
pub(crate) fn bad_latest(connection: &Connection) -> rusqlite::Result<(u64, Vec<SeriesId>)> {
    let mut rows = 0;
    let mut bad = Vec::new();
    let mut select = connection.prepare("SELECT series, time, value, quality, crc FROM latest")?;
    let mut found = select.query([])?;
    while let Some(row) = found.next()? {
        rows += 1;
        let series = SeriesId(row.get(0)?);
        let read = || -> rusqlite::Result<bool> {
            let sample = Sample {
                time: Timestamp::from_millis(row.get(1)?),
                value: row.get(2)?,
                quality: Quality::from_code(row.get(3)?),
            };
            Ok(row.get::<_, u32>(4)? == index::latest_sum(series, sample))
        };
        if !read().unwrap_or(false) {
            bad.push(series);
        }
    }
    Ok((rows, bad))
}
