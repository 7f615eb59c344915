//! The arguments of `backup`, `restore`, `verify` and `repair`.

use std::path::PathBuf;

use clap::Args;

use super::Place;

pub(crate) const BACKUP_HELP: &str = "Examples:
  townwatch backup --data ./townwatch-data /mnt/usb/townwatch-2026-11-23
  townwatch backup --config townwatch.toml --json /backup/today

A server may run meanwhile. The configuration and the registry file are not part of it: keep them too.
`townwatch verify TO` looks at every block of the backup, `sha256sum -c townwatch-backup.sha256` at its files.

Exit codes: 0 done, 3 the target is not empty or the data folder is none, 5 the data folder is of a later version,
6 a disk failed or is full.";

pub(crate) const RESTORE_HELP: &str = "Examples:
  townwatch restore /mnt/usb/townwatch-2026-11-23 --data ./townwatch-data
  townwatch serve --config townwatch.toml

Every file is compared with its sum while it is copied. The folder must be empty or missing.

Exit codes: 0 done, 3 the backup is not whole or not what was written, 5 the data folder is not empty, in use or cannot
be written, 6 a disk failed or is full.";

pub(crate) const VERIFY_HELP: &str = "Examples:
  townwatch verify ./townwatch-data
  townwatch verify --json /mnt/usb/townwatch-2026-11-23

Opens every block of every day and every batch of the journal, and compares checksums, summaries and cursors. No server
may run on the folder: verify a backup of it instead.

Exit codes: 0 nothing is wrong, 5 the folder is in use or holds no data, 6 something is damaged.";

pub(crate) const REPAIR_HELP: &str = "Examples:
  townwatch repair --data ./townwatch-data
  townwatch repair --data ./townwatch-data --json > repaired.json

Damaged blocks, messages and rows are copied to quarantine/ in the data folder, with a report that names series and
times, and then taken out. What is sound is never touched. No server may run on the folder. A file whose pages are damaged
is not repaired: restore a backup.

Exit codes: 0 nothing is wrong any more, 5 the folder is in use, holds no data or a later version, 6 something is still
damaged.";

#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// A data folder that no server uses.
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,
    /// Print one JSON value.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub place: Place,
    /// Where to: an empty folder, or one that is not there yet.
    #[arg(value_name = "TO")]
    pub to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The folder of a backup.
    #[arg(value_name = "FROM")]
    pub from: PathBuf,
    /// The data folder to make; must be empty or missing.
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,
    /// Print one JSON value.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A data folder that no server uses, or a backup.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// Print one JSON value.
    #[arg(long)]
    pub json: bool,
}
