//! The seam to exports: what `GET export` asks for, and who writes it.

use std::io::{self, Write};

use store::series::Cancel;
use telemetry::Timestamp;

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    /// Comma-separated values (RFC 4180) with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl ExportForm {
    /// By the name of the parameter `format`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// How a file of it ends.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// Media type. Source: RFC 7111 for CSV; IANA's registry of media types for Parquet.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// What is to be exported: every point of `from..to` of the series that fit one of `series`; of all when it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOrder {
    /// From when.
    pub from: Timestamp,
    /// Until when, itself left out.
    pub to: Timestamp,
    /// `DEVICE/SIGNAL` or `DEVICE`, where `*` stands for any letters and `?` for one.
    pub series: Vec<String>,
    /// In which form.
    pub form: ExportForm,
}

/// Writes what was ordered, on a blocking thread; its memory is bounded, however much it writes. An error of the writer
/// ends it, and so does the token.
pub type ExportJob = Box<dyn FnOnce(&mut (dyn Write + Send), &Cancel) -> io::Result<()> + Send>;

/// Knows how points are exported.
pub trait Exporter: Send + Sync {
    /// Makes ready what was ordered; nothing is read yet.
    ///
    /// # Errors
    /// Which part of `series` fits nothing, for the one who asked.
    fn plan(&self, order: ExportOrder) -> Result<ExportJob, String>;
}
