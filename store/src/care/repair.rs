//! Setting aside what is damaged in a data folder at rest, so that the rest can be used again.
//!
//! A damaged row is first copied into `quarantine/`, which is on the disk before the row goes. What is sound is never
//! touched. The series cursor then goes back to the journal's beginning, and the damaged day forgets how far it had come: what
//! the journal still holds of it is decoded again at the next start; the other days leave it out.

mod journal;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, params};
use serde::Serialize;
use telemetry::Clock;

use super::copy::{name_of, sync, write_small};
use super::folder::{FileKind, MQTT_FILE, STATE_FILE};
use super::manifest::{Cursors, MANIFEST_FILE};
use super::verify::{Finding, Part, Report, verify};
use super::{CareError, Watcher};
use crate::journal::JOURNAL_FILE;
use crate::series::{INDEX_FILE, check, day_of};

/// The folder, in the data folder, of what was set aside.
pub const QUARANTINE: &str = "quarantine";

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// Where it lies now; none when nothing was wrong.
    pub quarantine: Option<PathBuf>,
    /// What was found, and is set aside. What the journal still holds of lost points comes back at the next start.
    pub found: Vec<Finding>,
    /// What is still wrong: this program cannot repair it. Restore a backup.
    pub left: Vec<Finding>,
}

/// Repairs `folder`, whose lock the caller holds.
///
/// # Errors
/// [`CareError`]. Nothing was touched when a file is of a later version, or when it is a backup.
pub fn repair(folder: &Path, clock: &dyn Clock, watch: &mut Watcher<'_>) -> Result<Repaired, CareError> {
    if folder.join(MANIFEST_FILE).exists() {
        return Err(CareError::IsBackup {
            folder: folder.display().to_string(),
        });
    }
    let report = verify(folder, watch)?;
    if report.findings.is_empty() {
        return Ok(Repaired::default());
    }
    if let Some(finding) = report.findings.iter().find(|finding| finding.what == Part::Newer) {
        return Err(CareError::Unknown {
            file: finding.file.clone(),
            why: finding.why.clone(),
        });
    }
    let named = clock.now().to_rfc3339().replace(':', "-");
    let quarantine = folder.join(QUARANTINE).join(named);
    std::fs::create_dir_all(&quarantine).map_err(CareError::io(&quarantine, "making it"))?;
    let list = quarantine.join("report.json");
    let text = serde_json::to_string_pretty(&report)
        .map_err(|error| CareError::io(&list, "writing it")(error.into()))?;
    write_small(&list, &text)?;
    sync(&quarantine)?;
    sync(folder)?;
    let job = Job {
        folder,
        quarantine: &quarantine,
        cursors: report.cursors,
    };
    job.run(&report)?;
    let left = verify(folder, watch)?.findings;
    Ok(Repaired {
        quarantine: Some(quarantine),
        found: report.findings,
        left,
    })
}

/// A repair under way.
struct Job<'a> {
    folder: &'a Path,
    quarantine: &'a Path,
    cursors: Cursors,
}

impl Job<'_> {
    fn run(&self, report: &Report) -> Result<(), CareError> {
        let of = |file: &str| -> Vec<&Part> {
            let findings = report.findings.iter().filter(|finding| finding.file == file);
            findings.map(|finding| &finding.what).collect()
        };
        let mut files: Vec<&str> = report
            .findings
            .iter()
            .map(|finding| finding.file.as_str())
            .collect();
        files.sort_unstable();
        files.dedup();
        let mut lost_points = false;
        for file in files {
            let parts = of(file);
            // Pages that SQLite itself finds damaged are not repaired row by row.
            let whole = parts.contains(&&Part::File);
            match FileKind::of(file) {
                Some(FileKind::SeriesDay) if !whole => lost_points |= self.day(file, &parts)?,
                Some(FileKind::SeriesIndex) if !whole => self.latest(&parts)?,
                Some(FileKind::Mqtt) if !whole => self.kept(&parts)?,
                Some(FileKind::Journal) if !whole => self.batches(&parts)?,
                _ => {}
            }
        }
        let ahead = report
            .findings
            .iter()
            .any(|finding| finding.what == Part::Between);
        if ahead && !of(JOURNAL_FILE).contains(&&Part::File) {
            let journal = self.open(JOURNAL_FILE)?;
            let at_least = self.furthest()?;
            journal::skip_to(&journal, at_least).map_err(CareError::engine(
                &self.folder.join(JOURNAL_FILE),
                "numbering it anew",
            ))?;
        }
        if lost_points && !of(INDEX_FILE).contains(&&Part::File) {
            self.replay()?;
        }
        Ok(())
    }

    /// Opens a file of the folder for writing.
    fn open(&self, name: &str) -> Result<Connection, CareError> {
        let path = self.folder.join(name);
        let open = || {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            Ok(connection)
        };
        open().map_err(CareError::engine(&path, "opening it"))
    }

    /// Copies the rows of `table` that `which` (SQL) names into the quarantine, and then deletes them.
    fn set_aside(&self, from: &Connection, name: &str, table: &str, which: &str) -> Result<(), CareError> {
        let path = self.folder.join(name);
        let aside = self.quarantine.join(name);
        let failed = |error| CareError::engine(&path, "setting rows aside")(error);
        from.execute("ATTACH DATABASE ?1 AS aside", [aside.display().to_string()])
            .map_err(failed)?;
        let copied = from.execute_batch(&format!(
            "PRAGMA aside.synchronous = FULL;
             CREATE TABLE IF NOT EXISTS aside.{table} AS SELECT * FROM main.{table} WHERE 0;
             INSERT INTO aside.{table} SELECT * FROM main.{table} WHERE {which};"
        ));
        let detached = from.execute_batch("DETACH DATABASE aside");
        copied.and(detached).map_err(failed)?;
        sync(&aside)?;
        sync(self.quarantine)?;
        from.execute(&format!("DELETE FROM main.{table} WHERE {which}"), [])
            .map_err(failed)?;
        Ok(())
    }

    /// Sets damaged blocks aside and counts the others anew. Whether any block went.
    fn day(&self, name: &str, parts: &[&Part]) -> Result<bool, CareError> {
        let Some(day) = day_of(name) else { return Ok(false) };
        let path = self.folder.join(name);
        let connection = self.open(name)?;
        let mut lost = false;
        for part in parts {
            if let Part::Block { table, key, .. } = part {
                self.set_aside(&connection, name, table, &format!("key = {key}"))?;
                lost = true;
            }
        }
        let counted = check::check_day(&connection, day, &mut |_| {})
            .map_err(CareError::engine(&path, "counting its blocks"))?;
        connection
            .execute(
                "UPDATE position SET points = ?1, blocks = ?2, generation = generation + 1,
                 flushed_lsn = CASE WHEN ?3 THEN 0 ELSE flushed_lsn END",
                params![signed(counted.points), signed(counted.blocks), lost],
            )
            .map_err(CareError::engine(&path, "counting its blocks"))?;
        Ok(lost)
    }

    /// Sets damaged newest samples aside; the next reading of the series brings one.
    fn latest(&self, parts: &[&Part]) -> Result<(), CareError> {
        let connection = self.open(INDEX_FILE)?;
        for part in parts {
            if let Part::Latest { series, .. } = part {
                self.set_aside(&connection, INDEX_FILE, "latest", &format!("series = {series}"))?;
            }
        }
        Ok(())
    }

    /// Sets damaged rows of the gate's memory aside.
    fn kept(&self, parts: &[&Part]) -> Result<(), CareError> {
        let connection = self.open(MQTT_FILE)?;
        let path = self.folder.join(MQTT_FILE);
        if !parts.iter().any(|part| matches!(part, Part::Kept { .. })) {
            return Ok(());
        }
        let (_, bad) = crate::kept::file::damaged(&connection)
            .map_err(CareError::engine(&path, "looking for damaged rows"))?;
        for (room, key) in bad {
            let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            self.set_aside(
                &connection,
                MQTT_FILE,
                "kept",
                &format!("room = {room} AND key = x'{key}'"),
            )?;
        }
        Ok(())
    }

    /// Sets damaged batches of the journal aside; their numbers are not given out again.
    fn batches(&self, parts: &[&Part]) -> Result<(), CareError> {
        let connection = self.open(JOURNAL_FILE)?;
        for part in parts {
            if let Part::Batch { first, .. } = part {
                self.set_aside(
                    &connection,
                    JOURNAL_FILE,
                    "batch",
                    &format!("first_lsn = {first}"),
                )?;
            }
        }
        journal::settle(&connection).map_err(CareError::engine(
            &self.folder.join(JOURNAL_FILE),
            "numbering it anew",
        ))
    }

    /// The greatest number of a message that any part has seen.
    fn furthest(&self) -> Result<u64, CareError> {
        let Cursors {
            series,
            alarms,
            account,
            ..
        } = self.cursors;
        let mut furthest = series.max(alarms).max(account);
        let listing = std::fs::read_dir(self.folder).map_err(CareError::io(self.folder, "listing it"))?;
        for entry in listing {
            let path = entry.map_err(CareError::io(self.folder, "listing it"))?.path();
            let name = name_of(&path);
            if day_of(&name).is_some() {
                let flushed = self.open(&name).and_then(|day| super::day::facts(&day, &path));
                furthest = furthest.max(flushed.map_or(0, |facts| facts.flushed_lsn));
            }
        }
        Ok(furthest)
    }

    /// Has the journal bring everything again that it still holds.
    fn replay(&self) -> Result<(), CareError> {
        let index = self.folder.join(INDEX_FILE);
        if !index.exists() || !self.folder.join(STATE_FILE).exists() {
            return Ok(());
        }
        self.open(INDEX_FILE)?
            .execute(
                "UPDATE position SET cursor_lsn = min(cursor_lsn, ?1)",
                [signed(self.cursors.journal_oldest.saturating_sub(1))],
            )
            .map(|_| ())
            .map_err(CareError::engine(&index, "setting its cursor back"))
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
