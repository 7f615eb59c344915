//! Copying one file: out of a running server page by page, or from a backup byte by byte.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use super::{CareError, Progress, Watcher};

/// Pages copied in one go; between two of them progress is told and room is looked at.
const PAGES: std::ffi::c_int = 1024;
/// Steps in a row that may find the file locked; each has waited for 10 s.
const BUSY_MAX: u32 = 6;
/// Bytes copied in one go.
const BUFFER_BYTES: usize = 1 << 20;

/// Opens a file that a server may be writing to, for reading.
pub(super) fn open_live(path: &Path) -> Result<Connection, CareError> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        // Hundreds may be open, and a copy reads every page once.
        connection.pragma_update(None, "cache_size", -256)?;
        Ok(connection)
    };
    open().map_err(CareError::engine(path, "opening it for reading"))
}

/// Opens a file that nobody writes to and that has no log beside it, without leaving anything beside it.
pub(super) fn open_still(path: &Path) -> Result<Connection, CareError> {
    let name = path.display().to_string();
    let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)
        .map_err(CareError::engine(path, "opening it for reading"))
}

/// The version of a file's tables.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64, CareError> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(CareError::engine(path, "reading its version"))
}

/// The size of a file as its pages say, log included.
pub(super) fn size_bytes(connection: &Connection, path: &Path) -> Result<u64, CareError> {
    let number = |pragma| {
        connection
            .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            .map(|n| u64::try_from(n).unwrap_or(0))
            .map_err(CareError::engine(path, "asking for its size"))
    };
    Ok(number("page_count")?.saturating_mul(number("page_size")?))
}

/// Copies what `from` sees at this moment into a new file at `to`, which is on the disk afterwards. `go_on` is asked
/// between the steps. When `from` is in a transaction, it is that transaction's moment.
pub(super) fn copy_live(
    from: &Connection,
    to: &Path,
    watch: &mut Watcher<'_>,
    go_on: &mut dyn FnMut() -> Result<(), CareError>,
) -> Result<(), CareError> {
    let failed = |error| CareError::engine(to, "copying into it")(error);
    let mut into = Connection::open(to).map_err(failed)?;
    // Until the list of sums is written this is no backup; then it was synced as a whole.
    into.pragma_update(None, "journal_mode", "OFF").map_err(failed)?;
    into.pragma_update(None, "synchronous", "OFF").map_err(failed)?;
    {
        let page_bytes: i64 = from
            .pragma_query_value(None, "page_size", |row| row.get(0))
            .map_err(failed)?;
        let page_bytes = u64::try_from(page_bytes).unwrap_or(0);
        let mut busy = 0;
        let backup = Backup::new(from, &mut into).map_err(failed)?;
        loop {
            go_on()?;
            let step = backup.step(PAGES).map_err(failed)?;
            let pages = backup.progress();
            let bytes = |pages: std::ffi::c_int| u64::try_from(pages).unwrap_or(0).saturating_mul(page_bytes);
            watch(&Progress {
                file: name_of(to),
                done_bytes: bytes(pages.pagecount.saturating_sub(pages.remaining)),
                total_bytes: bytes(pages.pagecount),
            });
            match step {
                StepResult::Done => break,
                StepResult::More => busy = 0,
                // The busy time-out has passed already: a step waits by itself.
                _ if busy < BUSY_MAX => busy += 1,
                _ => {
                    let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                    return Err(failed(rusqlite::Error::SqliteFailure(busy, None)));
                }
            }
        }
    }
    into.close().map_err(|(_, error)| failed(error))?;
    sync(to)
}

/// The size of a file and its SHA-256.
pub(super) fn sum(path: &Path) -> Result<(u64, String), CareError> {
    let mut file = File::open(path).map_err(CareError::io(path, "opening it"))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size = 0u64;
    loop {
        let count = file
            .read(&mut buffer)
            .map_err(CareError::io(path, "reading it"))?;
        if count == 0 {
            return Ok((size, hex(&hash.finalize())));
        }
        hash.update(buffer.get(..count).unwrap_or_default());
        size += count as u64;
    }
}

/// Copies `from` to the new file `to` byte by byte and gives size and SHA-256 of what was copied; it is on the disk
/// afterwards.
pub(super) fn copy_still(
    from: &Path,
    to: &Path,
    watch: &mut Watcher<'_>,
) -> Result<(u64, String), CareError> {
    let mut source = File::open(from).map_err(CareError::io(from, "opening it"))?;
    let total_bytes = source
        .metadata()
        .map_err(CareError::io(from, "asking for its size"))?
        .len();
    let mut target = File::options()
        .write(true)
        .create_new(true)
        .open(to)
        .map_err(CareError::io(to, "making it"))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size = 0u64;
    loop {
        let count = source
            .read(&mut buffer)
            .map_err(CareError::io(from, "reading it"))?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        hash.update(piece);
        target.write_all(piece).map_err(CareError::io(to, "writing it"))?;
        size += count as u64;
        watch(&Progress {
            file: name_of(from),
            done_bytes: size,
            total_bytes,
        });
    }
    target.sync_all().map_err(CareError::io(to, "syncing it"))?;
    Ok((size, hex(&hash.finalize())))
}

/// Writes a small file and has it on the disk.
pub(super) fn write_small(path: &Path, text: &str) -> Result<(), CareError> {
    let mut file = File::create(path).map_err(CareError::io(path, "making it"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(CareError::io(path, "writing it"))
}

/// Has a file, or the names in a folder, on the disk.
pub(super) fn sync(path: &Path) -> Result<(), CareError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(CareError::io(path, "syncing it"))
}

/// The last part of a path, for people.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Refuses a folder that holds anything; one that is missing is made.
pub(super) fn empty(folder: &Path) -> Result<(), CareError> {
    std::fs::create_dir_all(folder).map_err(CareError::io(folder, "making it"))?;
    let listing = std::fs::read_dir(folder).map_err(CareError::io(folder, "listing it"))?;
    for entry in listing {
        let entry = entry.map_err(CareError::io(folder, "listing it"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !super::folder::counts_as_nothing(&name) {
            return Err(CareError::NotEmpty {
                folder: folder.display().to_string(),
                found: name,
            });
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
