//! A copy of a data folder, taken while a server writes to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};
use telemetry::Clock;

use super::copy::{copy_live, empty, name_of, open_live, size_bytes, sum, sync, version, write_small};
use super::folder::{FileKind, MQTT_FILE, STATE_FILE};
use super::manifest::{
    Cursors, DayFacts, FORMAT, FileEntry, MANIFEST_FILE, Manifest, SUMS_FILE, UNFINISHED_FILE, sum_line,
};
use super::{CareError, Watcher, day};
use crate::journal::JOURNAL_FILE;
use crate::reserve::{DiskSpace, RESERVE_BYTES};
use crate::series::{INDEX_FILE, day_of};

/// How often the last part is tried when the journal lets messages go meanwhile.
const TRIES: u32 = 3;
/// On the disk of the data so much of it stays free, so that a backup does not bring about what it is for. It is where
/// the server's own alarm `SRV-DISK` begins.
const KEPT_PERCENT: u64 = 5;
/// On another disk.
const KEPT_BYTES: u64 = 1 << 20;

/// What is copied, and where to.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The data folder. A server may run on it.
    pub data: &'a Path,
    /// An empty folder, or one that is not there yet.
    pub to: &'a Path,
    /// The version of this program, for the list.
    pub townwatch: &'a str,
}

/// Copies the data folder. When it fails nothing is left in the target; when it is killed, what is left is marked.
///
/// # Errors
/// [`CareError`]; the data folder is never written to.
pub fn take(order: &Order<'_>, clock: &dyn Clock, watch: &mut Watcher<'_>) -> Result<Manifest, CareError> {
    for (file, missing) in [(STATE_FILE, STATE_FILE), (JOURNAL_FILE, JOURNAL_FILE)] {
        if !order.data.join(file).exists() {
            return Err(CareError::NoData {
                folder: order.data.display().to_string(),
                missing,
            });
        }
    }
    empty(order.to)?;
    let unfinished = order.to.join(UNFINISHED_FILE);
    write_small(&unfinished, "a backup is being written here, or was given up\n")?;
    sync(order.to)?;
    let mut job = Job {
        order,
        kept_bytes: kept_bytes(order)?,
        days: BTreeMap::new(),
        written: Vec::new(),
    };
    let outcome = job.run(clock, watch);
    if outcome.is_err() {
        job.clean_up();
    }
    outcome
}

/// How much of the target's disk is left alone.
fn kept_bytes(order: &Order<'_>) -> Result<u64, CareError> {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| {
        std::fs::metadata(path)
            .map(|folder| folder.dev())
            .map_err(CareError::io(path, "asking for its disk"))
    };
    if device(order.data)? != device(order.to)? {
        return Ok(KEPT_BYTES);
    }
    let total = space(order.to)?.total_bytes;
    Ok((total / 100 * KEPT_PERCENT).max(RESERVE_BYTES.min(total / 16) * 2))
}

fn space(folder: &Path) -> Result<DiskSpace, CareError> {
    DiskSpace::of(folder).map_err(CareError::io(folder, "asking for its free space"))
}

/// A backup under way.
struct Job<'a> {
    order: &'a Order<'a>,
    kept_bytes: u64,
    days: BTreeMap<String, FileEntry>,
    /// Every file that was made, to be taken away when it fails.
    written: Vec<PathBuf>,
}

/// A connection whose moment is fixed.
struct Moment {
    path: PathBuf,
    kind: FileKind,
    connection: Connection,
}

impl Job<'_> {
    fn run(&mut self, clock: &dyn Clock, watch: &mut Watcher<'_>) -> Result<Manifest, CareError> {
        self.look_at_versions_and_room()?;
        for name in self.day_names()? {
            self.copy_day(&name, watch)?;
        }
        let mut tries = 0;
        let (mut files, cursors, taken_at) = loop {
            tries += 1;
            let before = journal_bounds(&open_live(&self.data(JOURNAL_FILE))?, &self.data(JOURNAL_FILE))?.0;
            let mut files = Vec::new();
            let index = self.moment(INDEX_FILE, FileKind::SeriesIndex)?;
            if let Some(index) = &index {
                files.push(self.copy(index, watch)?);
            }
            self.copy_changed_days(watch)?;
            if self.forget_gone_days()? && tries < TRIES {
                continue;
            }
            files.extend(self.days.values().cloned());
            let last = [
                self.moment(STATE_FILE, FileKind::State)?,
                self.moment(MQTT_FILE, FileKind::Mqtt)?,
                self.moment(JOURNAL_FILE, FileKind::Journal)?,
            ];
            let taken_at = clock.now();
            let cursors = cursors(index.as_ref(), last.iter().flatten())?;
            // What was let go before the index was copied, nobody needed.
            if cursors.journal_oldest > cursors.needed().max(before) {
                if tries < TRIES {
                    continue;
                }
                return Err(CareError::Trimmed { tries });
            }
            for moment in last.iter().flatten() {
                files.push(self.copy(moment, watch)?);
            }
            break (files, cursors, taken_at);
        };
        for name in cursors.ahead() {
            tracing::error!(
                part = name,
                "it is further than the journal: this data folder is damaged, and so is its backup"
            );
        }
        files.sort_by_key(|file| file.kind);
        let manifest = Manifest {
            format: FORMAT,
            townwatch: self.order.townwatch.to_owned(),
            taken_at_ms: taken_at.millis(),
            taken_at: taken_at.to_rfc3339(),
            cursors,
            points: self
                .days
                .values()
                .filter_map(|file| file.day)
                .map(|day| day.points)
                .sum(),
            files,
        };
        self.finish(&manifest)?;
        Ok(manifest)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.order.data.join(name)
    }

    /// Refuses what this program does not know, and a disk that is too small, before anything is copied.
    fn look_at_versions_and_room(&self) -> Result<(), CareError> {
        let mut needed = 0u64;
        let names = [INDEX_FILE, STATE_FILE, MQTT_FILE, JOURNAL_FILE].map(str::to_owned);
        for name in names.into_iter().chain(self.day_names()?) {
            let path = self.data(&name);
            if !path.exists() {
                continue;
            }
            let connection = open_live(&path)?;
            refuse_newer(&connection, &path)?;
            needed = needed.saturating_add(size_bytes(&connection, &path)?);
        }
        self.look_at_room(needed)
    }

    fn look_at_room(&self, needed_bytes: u64) -> Result<(), CareError> {
        let free_bytes = space(self.order.to)?.free_bytes;
        if free_bytes >= needed_bytes.saturating_add(self.kept_bytes) {
            return Ok(());
        }
        Err(CareError::NoRoom {
            folder: self.order.to.display().to_string(),
            needed_bytes,
            free_bytes,
            kept_bytes: self.kept_bytes,
        })
    }

    fn day_names(&self) -> Result<Vec<String>, CareError> {
        let folder = self.order.data;
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(CareError::io(folder, "listing it"))? {
            let entry = entry.map_err(CareError::io(folder, "listing it"))?;
            names.extend(
                entry
                    .file_name()
                    .to_str()
                    .filter(|name| day_of(name).is_some())
                    .map(str::to_owned),
            );
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Takes back the copies of days that have gone meanwhile, into their month or for ever: beside the month they would count
    /// as newer than it. Whether there were any: then the index, which was copied before, may still name them.
    fn forget_gone_days(&mut self) -> Result<bool, CareError> {
        let names = self.day_names()?;
        let gone: Vec<String> = (self.days.keys())
            .filter(|name| !names.contains(name))
            .cloned()
            .collect();
        for name in &gone {
            let copy = self.order.to.join(name);
            std::fs::remove_file(&copy).map_err(CareError::io(&copy, "taking it back"))?;
            self.days.remove(name);
        }
        Ok(!gone.is_empty())
    }

    /// Copies the days that are new or have changed since they were copied.
    fn copy_changed_days(&mut self, watch: &mut Watcher<'_>) -> Result<(), CareError> {
        for name in self.day_names()? {
            let path = self.data(&name);
            let now = open_live(&path).and_then(|connection| {
                // A file without a version is being made this moment: nothing that anybody counts on is in it.
                if version(&connection, &path)? == 0 {
                    return Ok(None);
                }
                day::facts(&connection, &path).map(Some)
            });
            let now = match now {
                Ok(Some(now)) => now,
                Ok(None) => continue,
                // Expired since it was listed.
                Err(_) if !path.exists() => continue,
                Err(error) => return Err(error),
            };
            let is_copied = self.days.get(&name).is_some_and(|copied| copied.day == Some(now));
            if !is_copied {
                self.copy_day(&name, watch)?;
            }
        }
        Ok(())
    }

    /// Copies one day as it is now, unless it was expired since it was listed.
    fn copy_day(&mut self, name: &str, watch: &mut Watcher<'_>) -> Result<(), CareError> {
        let outcome = self.moment(name, FileKind::SeriesDay).and_then(|moment| {
            let Some(moment) = moment else { return Ok(()) };
            if version(&moment.connection, &moment.path)? == 0 {
                return Ok(());
            }
            let mut entry = self.copy(&moment, watch)?;
            let facts: DayFacts = day::facts(&moment.connection, &moment.path)?;
            entry.day = Some(facts);
            self.days.insert(name.to_owned(), entry);
            Ok(())
        });
        match outcome {
            Err(_) if !self.data(name).exists() => Ok(()),
            outcome => outcome,
        }
    }

    /// Fixes the moment of a file: what its connection sees from now on. None when there is no such file.
    fn moment(&self, name: &str, kind: FileKind) -> Result<Option<Moment>, CareError> {
        let path = self.data(name);
        if !path.exists() {
            return Ok(None);
        }
        let connection = open_live(&path)?;
        // The first read of the transaction fixes its moment.
        connection
            .execute_batch("BEGIN")
            .and_then(|()| connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))
            .map_err(CareError::engine(&path, "reading it"))?;
        Ok(Some(Moment {
            path,
            kind,
            connection,
        }))
    }

    fn copy(&mut self, moment: &Moment, watch: &mut Watcher<'_>) -> Result<FileEntry, CareError> {
        let name = name_of(&moment.path);
        let version = refuse_newer(&moment.connection, &moment.path)?;
        let to = self.order.to.join(&name);
        if to.exists() {
            std::fs::remove_file(&to).map_err(CareError::io(&to, "replacing it"))?;
        }
        self.written.push(to.clone());
        copy_live(&moment.connection, &to, watch, &mut || self.look_at_room(0))?;
        let (size_bytes, sha256) = sum(&to)?;
        Ok(FileEntry {
            name,
            kind: moment.kind,
            version,
            size_bytes,
            sha256,
            day: None,
        })
    }

    /// Writes list and sums; from then on it is a backup.
    fn finish(&mut self, manifest: &Manifest) -> Result<(), CareError> {
        let to = self.order.to;
        let list = to.join(MANIFEST_FILE);
        let text = serde_json::to_string_pretty(manifest)
            .map_err(|error| CareError::io(&list, "writing it")(error.into()))?;
        self.written.push(list.clone());
        write_small(&list, &format!("{text}\n"))?;
        let mut sums: String = manifest
            .files
            .iter()
            .map(|file| sum_line(&file.sha256, &file.name))
            .collect();
        sums += &sum_line(&sum(&list)?.1, MANIFEST_FILE);
        let path = to.join(SUMS_FILE);
        self.written.push(path.clone());
        write_small(&path, &sums)?;
        sync(to)?;
        let unfinished = to.join(UNFINISHED_FILE);
        std::fs::remove_file(&unfinished).map_err(CareError::io(&unfinished, "taking it away"))?;
        sync(to)
    }

    /// Takes away what was written. What cannot be taken away is still marked as unfinished.
    fn clean_up(&self) {
        let mut left = false;
        for path in &self.written {
            let gone = std::fs::remove_file(path);
            left |= gone.is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound);
        }
        let mark = self.order.to.join(UNFINISHED_FILE);
        if left || std::fs::remove_file(mark).is_err() {
            tracing::warn!(folder = %self.order.to.display(), "something of the unfinished backup is left there");
        }
    }
}

/// The version of a file that this program knows.
fn refuse_newer(connection: &Connection, path: &Path) -> Result<i64, CareError> {
    let found = version(connection, path)?;
    let known = FileKind::of(&name_of(path)).map_or(0, FileKind::known);
    if found > known {
        return Err(CareError::Newer {
            file: path.display().to_string(),
            found,
            known,
        });
    }
    Ok(found)
}

/// The oldest and the newest message of the journal.
pub(super) fn journal_bounds(connection: &Connection, path: &Path) -> Result<(u64, u64), CareError> {
    let (oldest, next): (i64, i64) = connection
        .query_row("SELECT oldest_lsn, next_lsn FROM position", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(CareError::engine(path, "reading its position"))?;
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok((number(oldest), number(next).saturating_sub(1)))
}

/// How far each part had come at its moment.
fn cursors<'a>(index: Option<&Moment>, last: impl Iterator<Item = &'a Moment>) -> Result<Cursors, CareError> {
    let mut cursors = Cursors::default();
    if let Some(index) = index {
        cursors.series = one(&index.connection, &index.path, "SELECT cursor_lsn FROM position")?;
    }
    for moment in last {
        let (connection, path) = (&moment.connection, &moment.path);
        if moment.kind == FileKind::State {
            cursors.alarms = one(connection, path, "SELECT lsn FROM alarm_cursor")?;
            cursors.account = one(connection, path, "SELECT lsn FROM ledger_cursor")?;
        } else if moment.kind == FileKind::Journal {
            (cursors.journal_oldest, cursors.journal_newest) = journal_bounds(connection, path)?;
        }
    }
    Ok(cursors)
}

/// A number that is 0 when its row was never written.
pub(super) fn one(connection: &Connection, path: &Path, select: &str) -> Result<u64, CareError> {
    let found: Option<i64> = connection
        .query_row(select, [], |row| row.get(0))
        .optional()
        .map_err(CareError::engine(path, "reading how far it has come"))?;
    Ok(found.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
}
