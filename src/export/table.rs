//! The forms of an exported file: row by row, with bounded memory.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use telemetry::Sample;

use super::cells::{COLUMNS, guarded, put_number};
use super::folder::Named;

/// Rows of a row group, which is gathered in memory: about 80 bytes each.
const GROUP_ROWS: usize = 131_072;

const SCHEMA: &str = "message reading {
    required binary device (STRING);
    required binary signal (STRING);
    required binary unit (STRING);
    required int64 time (TIMESTAMP(MILLIS, true));
    optional double value;
    required binary quality (STRING);
}";

/// Takes rows.
pub(super) trait Table {
    /// Takes samples of one series, in order of time.
    fn rows(&mut self, of: &Named, samples: &[Sample]) -> io::Result<()>;

    /// Writes what is left; nothing comes after it.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Comma-separated values.
pub(super) struct Csv<W: Write> {
    writer: csv::Writer<W>,
    number: String,
}

impl<W: Write> Csv<W> {
    /// Begins with the header.
    pub(super) fn new(to: W) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(COLUMNS)?;
        Ok(Self {
            writer,
            number: String::new(),
        })
    }
}

impl<W: Write> Table for Csv<W> {
    fn rows(&mut self, of: &Named, samples: &[Sample]) -> io::Result<()> {
        let [device, signal, unit] = [&of.device, &of.signal, &of.unit].map(|text| guarded(text));
        for sample in samples {
            self.number.clear();
            if let Some(value) = sample.reading() {
                put_number(value, &mut self.number);
            }
            let time = sample.time.to_rfc3339();
            let row = [&device, &signal, &unit, &time, &self.number].map(String::as_str);
            for cell in row {
                self.writer.write_field(cell)?;
            }
            self.writer.write_field(sample.quality.name())?;
            self.writer.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Apache Parquet. Source: Apache Parquet format 2.x; read by DuckDB and pandas in the tests.
pub(super) struct Parquet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    devices: Vec<ByteArray>,
    signals: Vec<ByteArray>,
    units: Vec<ByteArray>,
    times: Vec<i64>,
    /// Those that are there.
    values: Vec<f64>,
    /// 1 where one is there.
    present: Vec<i16>,
    qualities: Vec<ByteArray>,
}

impl<W: Write + Send> Parquet<W> {
    pub(super) fn new(to: W) -> io::Result<Self> {
        let schema = parse_message_type(SCHEMA).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("townwatch {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties));
        Ok(Self {
            writer: writer.map_err(failed)?,
            devices: Vec::new(),
            signals: Vec::new(),
            units: Vec::new(),
            times: Vec::new(),
            values: Vec::new(),
            present: Vec::new(),
            qualities: Vec::new(),
        })
    }

    /// Writes what was gathered as a row group.
    fn write_group(&mut self) -> io::Result<()> {
        if self.times.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        let texts = |group: &mut SerializedRowGroupWriter<'_, W>, texts: &mut Vec<ByteArray>| {
            column::<ByteArrayType, W>(group, texts, None)?;
            texts.clear();
            Ok::<(), io::Error>(())
        };
        texts(&mut group, &mut self.devices)?;
        texts(&mut group, &mut self.signals)?;
        texts(&mut group, &mut self.units)?;
        column::<Int64Type, W>(&mut group, &self.times, None)?;
        column::<DoubleType, W>(&mut group, &self.values, Some(&self.present))?;
        texts(&mut group, &mut self.qualities)?;
        group.close().map_err(failed)?;
        self.times.clear();
        self.values.clear();
        self.present.clear();
        Ok(())
    }
}

impl<W: Write + Send> Table for Parquet<W> {
    fn rows(&mut self, of: &Named, samples: &[Sample]) -> io::Result<()> {
        let [device, signal, unit] =
            [&of.device, &of.signal, &of.unit].map(|text| ByteArray::from(text.as_str()));
        for sample in samples {
            self.devices.push(device.clone());
            self.signals.push(signal.clone());
            self.units.push(unit.clone());
            self.times.push(sample.time.millis());
            let value = sample.reading();
            self.values.extend(value);
            self.present.push(i16::from(value.is_some()));
            self.qualities.push(ByteArray::from(sample.quality.name()));
            if self.times.len() >= GROUP_ROWS {
                self.write_group()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.write_group()?;
        self.writer.into_inner().map_err(failed)?.flush()
    }
}

/// Writes the next column of a row group.
fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    present: Option<&[i16]>,
) -> io::Result<()> {
    let next = group.next_column().map_err(failed)?;
    let mut column = next.ok_or_else(|| io::Error::other("the schema has fewer columns"))?;
    let typed: &mut ColumnWriterImpl<'_, T> = column.typed::<T>();
    typed.write_batch(values, present, None).map_err(failed)?;
    column.close().map_err(failed)
}

/// The disk's own error where there is one.
fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    }
}
