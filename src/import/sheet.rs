//! History as CSV: a header, then one reading a line. Pure but for the reader.

use std::io::Read;

use csv::{ByteRecord, Position, ReaderBuilder};
use ingest::history::History;
use jiff::tz::TimeZone;
use telemetry::{Quality, Sample, SeriesId};

use crate::export::cells::{quality_of, unguarded};
use crate::export::moment;

/// What a line may hold. `why` is the last column of a rejects file, and passed over.
const COLUMNS: [&str; 7] = ["device", "signal", "time", "value", "unit", "quality", "why"];
/// Of these, those that must be there.
const REQUIRED: usize = 4;
/// Longest line, in bytes.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Where each column stands.
struct Columns([Option<usize>; COLUMNS.len()]);

/// A reader of readings.
pub(super) struct Sheet<R> {
    reader: csv::Reader<R>,
    columns: Columns,
    record: ByteRecord,
}

/// One line.
pub(super) struct Line<'a> {
    /// From 1; the header is line 1.
    pub number: u64,
    /// Its cells.
    pub cells: &'a ByteRecord,
    /// Whether the file can be read no further than here.
    pub broken: Option<String>,
}

impl<R: Read> Sheet<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn open(from: R) -> Result<Self, String> {
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(from);
        let header = reader.byte_headers().map_err(|error| error.to_string())?;
        let columns = Columns::find(header)?;
        Ok(Self {
            reader,
            columns,
            record: ByteRecord::new(),
        })
    }

    /// The header as it stands in the file.
    pub(super) fn header(&mut self) -> ByteRecord {
        self.reader.byte_headers().cloned().unwrap_or_default()
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> Option<Line<'_>> {
        let read = self.reader.read_byte_record(&mut self.record);
        let number = self.record.position().map_or(0, Position::line);
        match read {
            Ok(false) => None,
            Ok(true) => Some(Line {
                number,
                cells: &self.record,
                broken: None,
            }),
            Err(error) => Some(Line {
                number,
                cells: &self.record,
                broken: Some(error.to_string()),
            }),
        }
    }

    /// What the line that was read last says, and whether the profile calls it worse than it does itself.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(super) fn reading(
        &self,
        history: &History,
        zone: &TimeZone,
    ) -> Result<((SeriesId, Sample), bool), String> {
        let cells = &self.record;
        if cells.as_slice().len() > LINE_BYTES_MAX {
            return Err(format!("the line is longer than {LINE_BYTES_MAX} bytes"));
        }
        let [device, signal, time, value, unit, quality, _] = self.columns.cells(cells)?;
        let place = history.place(unguarded(device), unguarded(signal))?;
        let known = history.unit(place);
        if self.columns.has(4) && unguarded(unit) != known {
            return Err(format!("its unit is {unit:?}, that of the signal is {known:?}"));
        }
        let time = moment::read(time, zone)?;
        let said = match quality {
            "" => Quality::Good,
            name => quality_of(name).ok_or_else(|| format!("there is no quality {name:?}"))?,
        };
        let (value, quality) = match value {
            "" if said.is_bad() => (0.0, said),
            "" => return Err("it has no value".to_owned()),
            text => {
                let value: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
                if !value.is_finite() {
                    return Err(format!("{text:?} is no finite number"));
                }
                (value, said.worse(history.judge(place, value)))
            }
        };
        let sample = Sample { time, value, quality };
        Ok(((place.series, sample), quality != said))
    }
}

impl Columns {
    fn find(header: &ByteRecord) -> Result<Self, String> {
        let mut found = [None; COLUMNS.len()];
        for (place, name) in header.iter().enumerate() {
            let name = String::from_utf8_lossy(name);
            let name = name.trim_start_matches('\u{feff}').trim();
            let slot = COLUMNS.iter().position(|column| *column == name);
            match slot.and_then(|at| found.get_mut(at)) {
                Some(slot) if slot.is_none() => *slot = Some(place),
                Some(_) => return Err(format!("the column {name} stands twice")),
                None => {
                    return Err(format!(
                        "unknown column {name:?}; there are {}",
                        COLUMNS.join(", ")
                    ));
                }
            }
        }
        match COLUMNS
            .iter()
            .zip(found)
            .take(REQUIRED)
            .find(|(_, at)| at.is_none())
        {
            Some((missing, _)) => Err(format!("there is no column {missing}")),
            None => Ok(Self(found)),
        }
    }

    fn has(&self, column: usize) -> bool {
        self.0.get(column).is_some_and(Option::is_some)
    }

    fn cells<'a>(&self, record: &'a ByteRecord) -> Result<[&'a str; COLUMNS.len()], String> {
        let mut cells = [""; COLUMNS.len()];
        for ((to, place), name) in cells.iter_mut().zip(self.0).zip(COLUMNS) {
            let Some(place) = place else { continue };
            let Some(cell) = record.get(place) else {
                if name == "why" {
                    continue;
                }
                return Err(format!("{} cells: {name} is missing", record.len()));
            };
            *to = std::str::from_utf8(cell)
                .map_err(|_| "not UTF-8".to_owned())?
                .trim();
        }
        let wide = self.0.iter().flatten().max().map_or(0, |last| last + 1);
        if record.len() > wide {
            return Err(format!("{} cells where the header has {wide}", record.len()));
        }
        Ok(cells)
    }
}
