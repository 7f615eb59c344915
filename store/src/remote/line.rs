//! Points as line protocol. Pure.
//!
//! One point is one line. InfluxDB keeps `value` and `quality` as two fields, so that a point that comes again
//! replaces both. VictoriaMetrics knows only numbers and no replacement; there the quality is a tag.
//!
//! Source: InfluxDB 2.7, "Line protocol", section "Special characters".

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use telemetry::{Catalogue, DeviceEntry, Lsn, Point, SeriesId};

/// The field that holds the value.
pub(super) const VALUE: &str = "value";
/// The field, or the tag, that holds the quality.
pub(super) const QUALITY: &str = "quality";

/// Where the quality of a point stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QualityIn {
    /// An integer field beside the value: `telemetry::Quality::code`.
    Field,
    /// A tag with its name.
    Tag,
}

/// Writes the points of one catalogue.
#[derive(Debug)]
pub(super) struct Encoder {
    catalogue: Arc<Catalogue>,
    measurement: String,
    /// `,name=value` of each further tag, escaped.
    fixed: String,
    quality: QualityIn,
    /// Measurement and tags of a series, once they were needed.
    heads: FxHashMap<SeriesId, Box<str>>,
}

/// Lines that wait to be sent, with whose they are.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: String,
    /// Where each line ends, its line feed included.
    ends: Vec<usize>,
    /// Whose they are.
    series: Vec<SeriesId>,
    /// Points that were left out: not finite, or of a series that is not registered any more.
    pub left_out: u64,
    /// The last message behind them.
    pub last: Lsn,
}

impl Lines {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of these lines; empty when there are none such.
    pub(super) fn text(&self, lines: &Range<usize>) -> &str {
        let end_of = |count: usize| match count.checked_sub(1) {
            None => Some(0),
            Some(line) => self.ends.get(line).copied(),
        };
        let bytes = end_of(lines.start).zip(end_of(lines.end));
        bytes
            .and_then(|(from, to)| self.text.get(from..to))
            .unwrap_or_default()
    }

    /// Bytes of these lines.
    pub(super) fn bytes(&self, lines: &Range<usize>) -> usize {
        self.text(lines).len()
    }

    /// Whose a line is.
    pub(super) fn series(&self, line: usize) -> Option<SeriesId> {
        self.series.get(line).copied()
    }
}

impl Encoder {
    /// `tags` stand on every line, after those of the point; a name that Townwatch uses itself is refused by the
    /// configuration.
    pub(super) fn new(
        catalogue: Arc<Catalogue>,
        measurement: &str,
        tags: &[(String, String)],
        quality: QualityIn,
    ) -> Self {
        let mut fixed = String::new();
        for (name, value) in tags {
            push_tag(&mut fixed, name, value);
        }
        Self {
            catalogue,
            measurement: escape(measurement, &[',', ' ']),
            fixed,
            quality,
            heads: FxHashMap::default(),
        }
    }

    /// Adds a line for each point that can be sent.
    pub(super) fn add(&mut self, points: &[Point], last: Lsn, lines: &mut Lines) {
        for point in points {
            let sample = point.sample;
            let Some(head) = self.head(point.series).filter(|_| sample.value.is_finite()) else {
                lines.left_out += 1;
                continue;
            };
            lines.text.push_str(head);
            // Writing to a String cannot fail.
            let _infallible = match self.quality {
                QualityIn::Field => write!(
                    lines.text,
                    " {VALUE}={:?},{QUALITY}={}i {}",
                    sample.value,
                    sample.quality.code(),
                    sample.time.millis()
                ),
                QualityIn::Tag => write!(
                    lines.text,
                    ",{QUALITY}={} {VALUE}={:?} {}",
                    sample.quality.name(),
                    sample.value,
                    sample.time.millis()
                ),
            };
            lines.text.push('\n');
            lines.ends.push(lines.text.len());
            lines.series.push(point.series);
        }
        lines.last = last;
    }

    fn head(&mut self, series: SeriesId) -> Option<&str> {
        if !self.heads.contains_key(&series) {
            let (entry, signal) = self.catalogue.series(series)?;
            let head = self.head_of(entry, signal.name.as_str(), &signal.unit);
            self.heads.insert(series, head.into());
        }
        self.heads.get(&series).map(AsRef::as_ref)
    }

    /// Tags in the order of their names, as both engines like them best; the fixed ones last.
    fn head_of(&self, entry: &DeviceEntry, signal: &str, unit: &str) -> String {
        let mut head = self.measurement.clone();
        push_tag(&mut head, "device", entry.device.id.as_str());
        push_tag(&mut head, "profile", &entry.profile.kind);
        push_tag(&mut head, "signal", signal);
        push_tag(&mut head, "site", entry.device.site.as_str());
        push_tag(&mut head, "unit", unit);
        head.push_str(&self.fixed);
        head
    }
}

/// Adds `,name=value`; a tag without a value is none.
fn push_tag(text: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    text.push(',');
    text.push_str(&escape(name, &[',', '=', ' ']));
    text.push('=');
    text.push_str(&escape(value, &[',', '=', ' ']));
}

/// `text` with a backslash before each of `special`. What no line can hold (line feeds, and a backslash, which would
/// escape what follows) becomes an underscore.
fn escape(text: &str, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push('_'),
            _ if character.is_control() => escaped.push('_'),
            _ => {
                if special.contains(&character) {
                    escaped.push('\\');
                }
                escaped.push(character);
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use telemetry::quality::{Bad, Quality};
    use telemetry::{Sample, Timestamp};

    use super::super::testkit::{catalogue, station_series};
    use super::*;

    fn point(series: SeriesId, ms: i64, value: f64, quality: Quality) -> Point {
        Point {
            series,
            sample: Sample {
                time: Timestamp::from_millis(ms),
                value,
                quality,
            },
            arrived: Timestamp::from_millis(ms),
            backfill: false,
        }
    }

    #[test]
    fn a_point_is_one_line_with_whose_it_is_its_value_and_its_quality() {
        // Given two points of one series, the second bad, with a further tag that needs escaping,
        let catalogue = catalogue();
        let level = station_series(&catalogue, "level");
        let points = [
            point(level, 1000, 1.5, Quality::Good),
            point(level, 2000, 0.0, Quality::Bad(Bad::OutOfRange)),
        ];
        let tags = [("county name".to_owned(), "庆元, 浙江=\\".to_owned())];
        let lines_in = |quality| {
            let mut encoder = Encoder::new(Arc::clone(&catalogue), "town watch", &tags, quality);
            let mut lines = Lines::default();
            encoder.add(&points, Lsn(7), &mut lines);
            lines
        };
        let head = r"town\ watch,device=station-1,profile=sewage-station-small,signal=level,site=site-1,unit=m,county\ name=庆元\,\ 浙江\=_";
        // then InfluxDB has the quality as a field,
        let lines = lines_in(QualityIn::Field);
        assert_eq!(
            lines.text(&(0..2)),
            format!("{head} value=1.5,quality=0i 1000\n{head} value=0.0,quality=129i 2000\n")
        );
        // and VictoriaMetrics as a tag.
        let lines = lines_in(QualityIn::Tag);
        assert_eq!(
            lines.text(&(1..2)),
            format!("{head},quality=bad_out_of_range value=0.0 2000\n")
        );
        assert_eq!(
            (lines.len(), lines.last, lines.series(1)),
            (2, Lsn(7), Some(level))
        );
        assert_eq!(lines.text(&(2..3)), "");
    }

    #[test]
    fn what_is_not_finite_or_of_nobody_is_never_sent_but_counted() {
        let catalogue = catalogue();
        let level = station_series(&catalogue, "level");
        let mut encoder = Encoder::new(catalogue, "townwatch", &[], QualityIn::Field);
        let mut lines = Lines::default();
        let points = [
            point(level, 1, f64::NAN, Quality::Good),
            point(level, 2, f64::INFINITY, Quality::Good),
            point(SeriesId(9999), 3, 1.0, Quality::Good),
            point(level, 4, -0.25, Quality::Good),
            point(level, 5, 1e300, Quality::Good),
        ];
        encoder.add(&points, Lsn(1), &mut lines);
        assert_eq!((lines.len(), lines.left_out), (2, 3));
        assert!(lines.text(&(0..1)).ends_with(" value=-0.25,quality=0i 4\n"));
        assert!(lines.text(&(1..2)).ends_with(" value=1e300,quality=0i 5\n"));
    }
}
