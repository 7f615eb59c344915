//! What is on disk: the journal (raw messages, in order, before anything is acknowledged), the series
//! store (points, compressed, by day), what the gate must not forget (sessions and what waits in them) and
//! the state database (everything else); and the remote engines that points go to as well, or instead.
//!
//! This crate never decodes a payload, never decides about an alarm, and opens no socket but [`remote`]'s. Everything
//! durable lies in SQLite files of one data directory, each with one writer.
//!
//! Start with [`journal`], the only thing between a device and its acknowledgement; then [`series`],
//! where the points go; then [`kept`] and [`state`]; [`remote`] where there is one.

pub mod care;
mod durable;
mod form;
pub mod journal;
pub mod kept;
pub mod remote;
pub mod reserve;
pub mod series;
pub mod state;
pub mod testkit;

/// Whether an error, or what it came of, says that the disk failed, is full, cannot be written or holds damaged
/// files; not that somebody may not, or that a file is of a later version.
#[must_use]
pub fn is_storage_failure(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rusqlite::Error>()
            && let Some(code) = error.sqlite_error_code()
        {
            use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase, ReadOnly, SystemIoFailure};
            if [DatabaseCorrupt, DiskFull, NotADatabase, ReadOnly, SystemIoFailure].contains(&code) {
                return true;
            }
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{ReadOnlyFilesystem, StorageFull};
            let failed = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
            if failed || [StorageFull, ReadOnlyFilesystem].contains(&error.kind()) {
                return true;
            }
        }
        next = error.source();
    }
    false
}
