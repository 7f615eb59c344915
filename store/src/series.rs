//! Points by series and time.
//!
//! Start with [`SeriesReader`], the seam that everybody reads through.

mod reader;

pub use reader::{SeriesError, SeriesReader, Window, gather};
