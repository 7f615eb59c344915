//! Whether a data folder at rest, or a backup, holds what was written.

mod files;

use std::collections::HashMap;
use std::path::Path;

use rusqlite::Connection;
use serde::Serialize;
use telemetry::SeriesId;

use super::copy::{open_live, open_still, sum, version};
use super::folder::{FileKind, MQTT_FILE, STATE_FILE};
use super::manifest::{Cursors, MANIFEST_FILE, Manifest, SUMS_FILE, UNFINISHED_FILE, sum_line};
use super::{CareError, Progress, Watcher, backup, restore};
use crate::journal::JOURNAL_FILE;
use crate::series::{INDEX_FILE, day_of, file_name};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Files that were looked at.
    pub files: u64,
    /// Blocks of the series that were opened and compared with their summaries.
    pub blocks: u64,
    /// Points in the sound ones.
    pub points: u64,
    /// Batches of the journal that were decoded.
    pub batches: u64,
    /// Messages in the sound ones.
    pub messages: u64,
    /// Rows of the gate's memory and newest samples that were compared with their checksums.
    pub rows: u64,
    /// How far each part has come, where it could be read.
    pub cursors: Cursors,
    /// What is wrong. Empty: nothing.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In which file.
    pub file: String,
    /// What it concerns.
    pub what: Part,
    /// In words.
    pub why: String,
}

/// What a finding concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Part {
    /// The file as a whole: it is missing, no database, or its pages are damaged.
    File,
    /// A file of a later version: it is not looked into.
    Newer,
    /// One block of one series.
    Block {
        /// Table of its row.
        table: &'static str,
        /// Key of its row.
        key: i64,
        /// Its number.
        series: u32,
        /// Whose.
        device: Option<String>,
        /// Of which signal.
        signal: Option<String>,
        /// From when, RFC 3339; the whole day when not even that can be read.
        from: String,
        /// Until when.
        to: String,
        /// Points that cannot be read; none: unknown.
        points: Option<u64>,
    },
    /// The newest sample of a series in the index.
    Latest {
        /// The number of the series.
        series: u32,
        /// Whose.
        device: Option<String>,
        /// Of which signal.
        signal: Option<String>,
    },
    /// What a file says of itself in sum.
    Position,
    /// One batch of the journal, or the place where one should be.
    Batch {
        /// Number of its first message.
        first: u64,
        /// How many messages.
        count: u64,
        /// When they arrived, RFC 3339; none where there is no row.
        from: Option<String>,
        /// Until when.
        to: Option<String>,
    },
    /// One row of the gate's memory.
    Kept {
        /// Room of its key.
        room: i64,
        /// The key, readable as far as it is text.
        key: String,
    },
    /// Two files that do not fit together.
    Between,
}

/// Looks at everything in `folder`: a data folder that no server uses (the caller holds its lock), or a backup.
///
/// # Errors
/// [`CareError`] when there is nothing to look at. Damage is no error: it is a finding.
pub fn verify(folder: &Path, watch: &mut Watcher<'_>) -> Result<Report, CareError> {
    let is_backup = folder.join(MANIFEST_FILE).exists() || folder.join(UNFINISHED_FILE).exists();
    let mut look = Look {
        folder,
        is_backup,
        report: Report::default(),
        names: HashMap::new(),
        manifest: None,
        days: Vec::new(),
        journal: None,
        watch,
    };
    if is_backup {
        let manifest = restore::inspect(folder)?;
        look.compare_sums(&manifest)?;
        look.manifest = Some(manifest);
    } else if !folder.join(STATE_FILE).exists() && !folder.join(JOURNAL_FILE).exists() {
        return Err(CareError::NoData {
            folder: folder.display().to_string(),
            missing: STATE_FILE,
        });
    }
    look.all()?;
    Ok(look.report)
}

/// A look under way.
struct Look<'a, 'w> {
    folder: &'a Path,
    is_backup: bool,
    report: Report,
    /// Device and signal of each series.
    names: HashMap<SeriesId, (String, String)>,
    manifest: Option<Manifest>,
    /// Each day with what the journal held up to, as far as it is in it.
    days: Vec<(i64, u64)>,
    /// The oldest and the newest message of the journal.
    journal: Option<(u64, u64)>,
    watch: &'a mut Watcher<'w>,
}

impl Look<'_, '_> {
    fn find(&mut self, file: &str, what: Part, why: impl Into<String>) {
        self.report.findings.push(Finding {
            file: file.to_owned(),
            what,
            why: why.into(),
        });
    }

    fn tell(&mut self, file: &str, done_bytes: u64, total_bytes: u64) {
        (self.watch)(&Progress {
            file: file.to_owned(),
            done_bytes,
            total_bytes,
        });
    }

    fn compare_sums(&mut self, manifest: &Manifest) -> Result<(), CareError> {
        for file in &manifest.files {
            let (_, sha256) = sum(&self.folder.join(&file.name))?;
            if sha256 != file.sha256 {
                self.find(
                    &file.name,
                    Part::File,
                    "its SHA-256 is not that of the backup's list",
                );
            }
        }
        let (_, list) = sum(&self.folder.join(MANIFEST_FILE))?;
        let lines = manifest
            .files
            .iter()
            .map(|file| sum_line(&file.sha256, &file.name));
        let wanted: String = lines.chain([sum_line(&list, MANIFEST_FILE)]).collect();
        let path = self.folder.join(SUMS_FILE);
        if std::fs::read(&path).map_err(CareError::io(&path, "reading it"))? != wanted.as_bytes() {
            self.find(
                SUMS_FILE,
                Part::File,
                "it does not hold the sums of the backup's list",
            );
        }
        Ok(())
    }

    fn all(&mut self) -> Result<(), CareError> {
        // First the state: it knows the names of the series.
        self.state();
        self.journal_file();
        self.mqtt();
        let mut names = self.day_names()?;
        names.sort_unstable();
        for name in names {
            self.day(&name);
        }
        self.index();
        self.together();
        Ok(())
    }

    fn day_names(&self) -> Result<Vec<String>, CareError> {
        let listing = std::fs::read_dir(self.folder).map_err(CareError::io(self.folder, "listing it"))?;
        let mut names = Vec::new();
        for entry in listing {
            let name = entry
                .map_err(CareError::io(self.folder, "listing it"))?
                .file_name();
            names.extend(
                name.to_str()
                    .filter(|name| day_of(name).is_some())
                    .map(str::to_owned),
            );
        }
        Ok(names)
    }

    /// Opens a file and looks at its pages; none when there is nothing to go on with.
    fn open(&mut self, name: &str) -> Option<Connection> {
        self.report.files += 1;
        let path = self.folder.join(name);
        let wal = path.with_extension("db-wal");
        let size = std::fs::metadata(&path).map_or(0, |file| file.len());
        self.tell(name, 0, size);
        // Without a log nothing is left beside the file; a backup never has one.
        let is_still = self.is_backup || std::fs::metadata(&wal).map_or(0, |log| log.len()) == 0;
        let opened = if is_still {
            open_still(&path)
        } else {
            open_live(&path)
        };
        let opened = opened.and_then(|connection| {
            let found = version(&connection, &path)?;
            Ok((connection, found))
        });
        let connection = match opened {
            Ok((connection, found)) => {
                let known = FileKind::of(name).map_or(0, FileKind::known);
                if found > known {
                    let why = format!("it has version {found}; this program knows up to {known}");
                    self.find(name, Part::Newer, why);
                    return None;
                }
                if found == 0 {
                    self.find(
                        name,
                        Part::File,
                        "it has no version: it was never finished, or its first page is damaged",
                    );
                    return None;
                }
                connection
            }
            Err(error) => {
                self.find(name, Part::File, telemetry::with_causes(&error));
                return None;
            }
        };
        match files::integrity(&connection) {
            Ok(wrong) => {
                for why in wrong {
                    self.find(name, Part::File, why);
                }
            }
            Err(error) => self.find(name, Part::File, error.to_string()),
        }
        self.tell(name, size, size);
        Some(connection)
    }

    fn state(&mut self) {
        if !self.folder.join(STATE_FILE).exists() {
            return self.find(STATE_FILE, Part::File, "it is missing");
        }
        let Some(connection) = self.open(STATE_FILE) else {
            return;
        };
        match files::series_names(&connection) {
            Ok(names) => self.names = names,
            Err(error) => self.find(STATE_FILE, Part::File, error.to_string()),
        }
        let path = self.folder.join(STATE_FILE);
        let alarms = backup::one(&connection, &path, "SELECT lsn FROM alarm_cursor");
        let account = backup::one(&connection, &path, "SELECT lsn FROM ledger_cursor");
        match (alarms, account) {
            (Ok(alarms), Ok(account)) => {
                self.report.cursors.alarms = alarms;
                self.report.cursors.account = account;
            }
            (Err(error), _) | (_, Err(error)) => {
                self.find(STATE_FILE, Part::File, telemetry::with_causes(&error));
            }
        }
    }

    fn journal_file(&mut self) {
        if !self.folder.join(JOURNAL_FILE).exists() {
            return self.find(JOURNAL_FILE, Part::File, "it is missing");
        }
        let Some(connection) = self.open(JOURNAL_FILE) else {
            return;
        };
        match crate::journal::check::check(&connection, &mut |_| {}) {
            Ok(found) => {
                self.report.batches += found.batches;
                self.report.messages += found.messages;
                for bad in found.bad {
                    let part = Part::Batch {
                        first: bad.first,
                        count: bad.count,
                        from: Some(bad.between.0.to_rfc3339()),
                        to: Some(bad.between.1.to_rfc3339()),
                    };
                    self.find(JOURNAL_FILE, part, bad.what);
                }
                if let Some(why) = found.position {
                    self.find(JOURNAL_FILE, Part::Position, why);
                }
            }
            Err(error) => self.find(JOURNAL_FILE, Part::File, error.to_string()),
        }
        match backup::journal_bounds(&connection, &self.folder.join(JOURNAL_FILE)) {
            Ok(bounds) => {
                (
                    self.report.cursors.journal_oldest,
                    self.report.cursors.journal_newest,
                ) = bounds;
                self.journal = Some(bounds);
            }
            Err(error) => self.find(JOURNAL_FILE, Part::File, telemetry::with_causes(&error)),
        }
    }

    fn mqtt(&mut self) {
        // A folder that never had a gate has none.
        if !self.folder.join(MQTT_FILE).exists() {
            return;
        }
        let Some(connection) = self.open(MQTT_FILE) else {
            return;
        };
        match crate::kept::file::damaged(&connection) {
            Ok((rows, bad)) => {
                self.report.rows += rows;
                for (room, key) in bad {
                    let key = key.escape_ascii().to_string();
                    self.find(MQTT_FILE, Part::Kept { room, key }, "its checksum does not fit");
                }
            }
            Err(error) => self.find(MQTT_FILE, Part::File, error.to_string()),
        }
    }

    fn day(&mut self, name: &str) {
        let Some(day) = day_of(name) else { return };
        let Some(connection) = self.open(name) else { return };
        match crate::series::check::check_day(&connection, day, &mut |_| {}) {
            Ok(found) => {
                self.report.blocks += found.blocks;
                self.report.points += found.points;
                let all_sound = found.bad.is_empty();
                for bad in found.bad {
                    let part = self.block(day, &bad);
                    self.find(name, part, bad.what);
                }
                match super::day::facts(&connection, &self.folder.join(name)) {
                    Ok(facts) => {
                        self.days.push((day, facts.flushed_lsn));
                        if all_sound && (facts.blocks, facts.points) != (found.blocks, found.points) {
                            let why = format!(
                                "it says {} blocks and {} points; there are {} and {}",
                                facts.blocks, facts.points, found.blocks, found.points
                            );
                            self.find(name, Part::Position, why);
                        }
                    }
                    Err(error) => self.find(name, Part::File, telemetry::with_causes(&error)),
                }
            }
            Err(error) => self.find(name, Part::File, error.to_string()),
        }
    }

    fn block(&self, day: i64, bad: &crate::series::check::BadBlock) -> Part {
        let (from, to) = bad.between.unwrap_or_else(|| crate::series::check::bounds(day));
        let (device, signal) = self.name(bad.series);
        Part::Block {
            table: bad.table,
            key: bad.key,
            series: bad.series.0,
            device,
            signal,
            from: from.to_rfc3339(),
            to: to.to_rfc3339(),
            points: bad.samples,
        }
    }

    fn name(&self, series: SeriesId) -> (Option<String>, Option<String>) {
        match self.names.get(&series) {
            Some((device, signal)) => (Some(device.clone()), Some(signal.clone())),
            None => (None, None),
        }
    }

    fn index(&mut self) {
        if !self.folder.join(INDEX_FILE).exists() {
            if !self.days.is_empty() {
                self.find(INDEX_FILE, Part::File, "it is missing");
            }
            return;
        }
        let Some(connection) = self.open(INDEX_FILE) else {
            return;
        };
        match crate::series::check::bad_latest(&connection) {
            Ok((rows, bad)) => {
                self.report.rows += rows;
                for series in bad {
                    let (device, signal) = self.name(series);
                    let part = Part::Latest {
                        series: series.0,
                        device,
                        signal,
                    };
                    self.find(INDEX_FILE, part, "its checksum does not fit");
                }
            }
            Err(error) => self.find(INDEX_FILE, Part::File, error.to_string()),
        }
        let path = self.folder.join(INDEX_FILE);
        match backup::one(&connection, &path, "SELECT cursor_lsn FROM position") {
            Ok(cursor) => self.report.cursors.series = cursor,
            Err(error) => self.find(INDEX_FILE, Part::File, telemetry::with_causes(&error)),
        }
        match files::days_of_index(&connection) {
            Ok((expired, days)) => {
                for day in days {
                    let name = file_name(day);
                    if day < expired {
                        let why = format!("it lists {name}, which it says has expired");
                        self.find(INDEX_FILE, Part::Position, why);
                    }
                    if !self.folder.join(&name).exists() {
                        self.find(
                            &name,
                            Part::File,
                            "it is missing; the index says that it was there",
                        );
                    }
                }
            }
            Err(error) => self.find(INDEX_FILE, Part::File, error.to_string()),
        }
    }

    /// Compares what the files say of each other.
    fn together(&mut self) {
        let Some((_, newest)) = self.journal else { return };
        for part in self.report.cursors.ahead() {
            let file = if part == "series" { INDEX_FILE } else { STATE_FILE };
            let why = format!("{part} is further than the journal, which ends at message {newest}");
            self.find(file, Part::Between, why);
        }
        for (day, flushed) in std::mem::take(&mut self.days) {
            if flushed > newest {
                let why = format!("it holds up to message {flushed}; the journal ends at {newest}");
                self.find(&file_name(day), Part::Between, why);
            }
        }
    }
}
