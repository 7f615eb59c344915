//! Looking after a data folder: copying it while a server writes to it, putting a copy back, finding what is damaged,
//! and setting that aside.
//!
//! Deciding stands in [`folder`] (which file is what, which versions are known) and [`manifest`] (what a backup says
//! of itself, and whether that can be true); doing in [`backup`], [`restore`], [`verify`] and [`repair`].
//!
//! # What makes a backup whole
//! The files are copied in the order series.db → days → state.db, mqtt.db, journal.db, and for the last three the moment
//! that is copied is fixed before the first byte of them is. So whatever says "up to message N" was written before the
//! journal's moment, and the journal has what comes after N. Why: `docs/decisions/0024-backup.md`.

pub mod backup;
mod copy;
mod day;
pub mod folder;
pub mod manifest;
pub mod repair;
pub mod restore;
#[cfg(test)]
mod tests;
pub mod verify;

use std::path::Path;

pub use manifest::{Cursors, Manifest};

/// Why a backup, a restore or a check could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    /// The place that was to be written to holds something. Nothing was touched.
    #[error("{folder} is not empty: it holds {found}; choose an empty or a new folder")]
    NotEmpty {
        /// Which folder.
        folder: String,
        /// One of the things it holds.
        found: String,
    },
    /// There is no data of Townwatch.
    #[error("{folder} is no data folder of townwatch: there is no {missing}")]
    NoData {
        /// Which folder.
        folder: String,
        /// What should be there.
        missing: &'static str,
    },
    /// There is no backup, or one that was never finished.
    #[error("{folder} is no whole backup: {why}")]
    NotWhole {
        /// Which folder.
        folder: String,
        /// What says so.
        why: String,
    },
    /// A file of a backup is not what the backup's own list says.
    #[error("{file} is not the file that was backed up: {why}")]
    Altered {
        /// Which file.
        file: String,
        /// What differs.
        why: String,
    },
    /// It was written by a later version of Townwatch. Use that version.
    #[error("{file} has version {found}; this program knows up to {known}")]
    Newer {
        /// Which file.
        file: String,
        /// Its version.
        found: i64,
        /// The latest that this program knows.
        known: i64,
    },
    /// A backup is never repaired: restore it and repair the data folder.
    #[error("{folder} is a backup: restore it, and repair the data folder")]
    IsBackup {
        /// Which folder.
        folder: String,
    },
    /// A file of a later version: nothing in its folder is repaired. Use that version.
    #[error("{file}: {why}")]
    Unknown {
        /// Which file.
        file: String,
        /// Its version and ours.
        why: String,
    },
    /// There is not enough room. Nothing of it was left behind.
    #[error(
        "no room in {folder}: {needed_bytes} bytes are needed, {free_bytes} are free, of which {kept_bytes} stay free"
    )]
    NoRoom {
        /// Where.
        folder: String,
        /// Bytes still to be written.
        needed_bytes: u64,
        /// Bytes free.
        free_bytes: u64,
        /// Bytes that are left to others.
        kept_bytes: u64,
    },
    /// The journal let messages go faster than the other files could be copied. Try again when there is less load, or
    /// let the journal keep more.
    #[error(
        "the journal let go of messages that the copied files still need, {tries} times in a row; try again, or raise data.journal_mib_max"
    )]
    Trimmed {
        /// How often it was tried.
        tries: u32,
    },
    /// The operating system refused something.
    #[error("{file} failed while {doing}")]
    Io {
        /// Which file.
        file: String,
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// SQLite refused something.
    #[error("{file} failed while {doing}")]
    Engine {
        /// Which file.
        file: String,
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: rusqlite::Error,
    },
    /// The state database of a restored folder could not be opened.
    #[error(transparent)]
    State(#[from] crate::state::StateError),
}

impl CareError {
    fn io(file: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let file = file.display().to_string();
        move |source| Self::Io { file, doing, source }
    }

    fn engine(file: &Path, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        let file = file.display().to_string();
        move |source| Self::Engine { file, doing, source }
    }
}

/// How far a long piece of work has come; told after every few MiB and at the end of each file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The file that is worked on.
    pub file: String,
    /// Bytes of it that are done.
    pub done_bytes: u64,
    /// All of its bytes.
    pub total_bytes: u64,
}

/// Is told how far it has come.
pub type Watcher<'a> = dyn FnMut(&Progress) + 'a;
