//! What a backup says of itself: `townwatch-backup.json`, and the sums of all files beside it. Pure.
//!
//! The sums stand in `townwatch-backup.sha256`, in the form of sha256sum(1), and cover the JSON too; the file is written
//! last. A folder without it, or with one that does not fit, is no backup.

use serde::{Deserialize, Serialize};

use super::folder::FileKind;

/// The name of the list.
pub const MANIFEST_FILE: &str = "townwatch-backup.json";
/// The name of the sums, `sha256sum -c` reads it.
pub const SUMS_FILE: &str = "townwatch-backup.sha256";
/// Stands in the folder from the first byte of a backup to the last.
pub const UNFINISHED_FILE: &str = "townwatch-backup.unfinished";

/// The form of the list that this program writes, and the latest that it reads.
pub const FORMAT: i64 = 1;

/// A whole backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: i64,
    /// The version of the program that wrote it.
    pub townwatch: String,
    /// When the moment was that it shows, ms since 1970.
    pub taken_at_ms: i64,
    /// The same, RFC 3339.
    pub taken_at: String,
    /// How far each part had come.
    pub cursors: Cursors,
    /// Points in all days; one that was sent twice may count twice until its day is compacted.
    pub points: u64,
    /// The files, in the order in which they were copied.
    pub files: Vec<FileEntry>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name in the folder.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// The version of its tables.
    pub version: i64,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Of a day: what it says of itself. Two copies that say the same hold the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<DayFacts>,
}

/// What the file of a day says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayFacts {
    /// What the journal held up to here is in it, as far as it falls on the day.
    pub flushed_lsn: u64,
    /// Changes with every flush and compaction.
    pub generation: i64,
    /// Flushes since the last compaction.
    pub loose: i64,
    /// Points in all blocks.
    pub points: u64,
    /// Blocks.
    pub blocks: u64,
}

/// Numbers of messages: how far each part has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursors {
    /// The oldest message of the journal; one more than the newest when it is empty.
    pub journal_oldest: u64,
    /// The newest.
    pub journal_newest: u64,
    /// Up to here everything is in the days.
    pub series: u64,
    /// Up to here the alarms have judged.
    pub alarms: u64,
    /// Up to here the ledgers count.
    pub account: u64,
}

impl Cursors {
    /// The parts that are further than the journal: what it gives the same numbers to would be taken for old.
    #[must_use]
    pub fn ahead(&self) -> Vec<&'static str> {
        [
            ("series", self.series),
            ("alarms", self.alarms),
            ("account", self.account),
        ]
        .into_iter()
        .filter(|(_, cursor)| *cursor > self.journal_newest)
        .map(|(name, _)| name)
        .collect()
    }

    /// The first message that some part still needs.
    #[must_use]
    pub fn needed(&self) -> u64 {
        self.series.min(self.alarms).min(self.account).saturating_add(1)
    }
}

/// One line of the sums.
#[must_use]
pub fn sum_line(sha256: &str, name: &str) -> String {
    format!("{sha256}  {name}\n")
}

/// The sum that `sums` gives for `name`.
#[must_use]
pub fn sum_of<'a>(sums: &'a str, name: &str) -> Option<&'a str> {
    sums.lines()
        .filter_map(|line| line.split_once("  "))
        .find(|(_, named)| *named == name)
        .map(|(sum, _)| sum)
}

/// Reads the list; the error says what is wrong with it. Its sum has been compared before.
///
/// # Errors
/// It is no JSON of this form, or of a later one.
pub fn read(text: &str) -> Result<Manifest, ManifestError> {
    #[derive(Deserialize)]
    struct Format {
        format: i64,
    }
    let Format { format } = serde_json::from_str(text)?;
    if format > FORMAT {
        return Err(ManifestError::Newer(format));
    }
    let manifest: Manifest = serde_json::from_str(text)?;
    for file in &manifest.files {
        if FileKind::of(&file.name) != Some(file.kind) {
            return Err(ManifestError::Strange(file.name.clone()));
        }
    }
    Ok(manifest)
}

/// What is wrong with a list.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Of a later form.
    #[error("it has format {0}; this program knows {FORMAT}")]
    Newer(i64),
    /// A name that no file of a data folder has. Nothing outside of the folder is ever written.
    #[error("it names {0:?}, which is no data of townwatch")]
    Strange(String),
    /// No JSON of this form.
    #[error("it cannot be read")]
    Json(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_with_a_strange_name_or_of_a_later_form_is_refused() {
        let text = r#"{"format":1,"townwatch":"0.1.0","taken_at_ms":0,"taken_at":"","points":0,
            "cursors":{"journal_oldest":1,"journal_newest":0,"series":0,"alarms":0,"account":0},
            "files":[{"name":"NAME","kind":"state","version":2,"size_bytes":1,"sha256":"00"}]}"#;
        assert!(read(&text.replace("NAME", "state.db")).is_ok());
        for name in ["../state.db", "/etc/passwd", "journal.db"] {
            let refused = read(&text.replace("NAME", name));
            assert!(matches!(refused, Err(ManifestError::Strange(_))), "{name}");
        }
        let later = text.replace("\"format\":1", "\"format\":2");
        assert!(matches!(read(&later), Err(ManifestError::Newer(2))));
    }

    #[test]
    fn cursors_beyond_the_journal_are_named() {
        let cursors = Cursors {
            journal_oldest: 5,
            journal_newest: 9,
            series: 7,
            alarms: 10,
            account: 9,
        };
        assert_eq!(cursors.ahead(), ["alarms"]);
        assert_eq!(cursors.needed(), 8);
    }

    #[test]
    fn a_sum_is_found_by_its_name() {
        let sums = [sum_line("aa", "a.db"), sum_line("bb", "b.db")].concat();
        assert_eq!(sum_of(&sums, "b.db"), Some("bb"));
        assert_eq!(sum_of(&sums, "c.db"), None);
    }
}
