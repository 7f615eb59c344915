//! What lies in a data folder: which file is what, and up to which version this program knows it. Pure.

use serde::{Deserialize, Serialize};

use crate::journal::JOURNAL_FILE;
use crate::series;

/// The name of the file of the MQTT gate's memory.
pub const MQTT_FILE: &str = "mqtt.db";
/// The name of the state database.
pub const STATE_FILE: &str = "state.db";
/// The file whose lock a running server holds.
pub const LOCK_FILE: &str = "townwatch.lock";
/// Stands in a folder into which a backup is being restored; the folder must not be used.
pub const RESTORING_FILE: &str = "townwatch-restoring";

/// What a file of a data folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// How far the series store has come.
    SeriesIndex,
    /// The points of one UTC day.
    SeriesDay,
    /// Registry, alarms, credentials, ledgers.
    State,
    /// What the MQTT gate must not forget.
    Mqtt,
    /// Raw messages.
    Journal,
}

impl FileKind {
    /// What the file called `name` is; none when it is no data.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            JOURNAL_FILE => Some(Self::Journal),
            MQTT_FILE => Some(Self::Mqtt),
            STATE_FILE => Some(Self::State),
            series::INDEX_FILE => Some(Self::SeriesIndex),
            day if series::day_of(day).is_some() => Some(Self::SeriesDay),
            _ => None,
        }
    }

    /// The latest version of its tables that this program knows. Earlier ones are brought up to it when a server starts.
    #[must_use]
    pub const fn known(self) -> i64 {
        match self {
            Self::SeriesIndex => series::INDEX_VERSION,
            Self::SeriesDay => series::DAY_VERSION,
            Self::State => crate::state::VERSION,
            Self::Mqtt => crate::kept::VERSION,
            Self::Journal => crate::journal::VERSION,
        }
    }
}

/// Whether `name` may lie in a folder that counts as empty: the lock that was just taken.
#[must_use]
pub fn counts_as_nothing(name: &str) -> bool {
    name == LOCK_FILE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name() {
        assert_eq!(FileKind::of("journal.db"), Some(FileKind::Journal));
        assert_eq!(FileKind::of("series.db"), Some(FileKind::SeriesIndex));
        assert_eq!(FileKind::of("series-2026-11-23.db"), Some(FileKind::SeriesDay));
        for name in [
            "journal.db-wal",
            "reserve",
            "townwatch.lock",
            "series-2026-11-23.db-shm",
            "x.db",
        ] {
            assert_eq!(FileKind::of(name), None, "{name}");
        }
    }
}
