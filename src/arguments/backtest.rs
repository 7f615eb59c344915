//! The arguments of `backtest`.

use std::path::PathBuf;

use clap::Args;

use super::Place;

pub(crate) const BACKTEST_HELP: &str = "Examples:
  townwatch backtest --config townwatch.toml --rules sewage-station.toml --from 2026-11-01 --to 2026-12-01
  townwatch backtest --config townwatch.toml --rules new-rules.toml --from 2026-11-01 --to 2026-12-01
  townwatch backtest --data ./townwatch-data --rules new-profiles/ --from 2026-11-01 --to 2026-12-01 --json > november.json

A server may run meanwhile; nothing is written to its data folder and nobody is told anything. The engine is the
server's own. When a reading arrived is not stored: its event time counts as its arrival, so late data and rules on
clocks are not judged. The JSON form is described in docs/rules.md.

Exit codes: 0 done, 2 wrong usage, 3 a rule or a time is wrong, or nothing is stored in that time, 5 the data folder
cannot be used, 6 a disk failed or holds damaged files.";

/// `townwatch backtest`.
#[derive(Debug, Args)]
pub(crate) struct Backtest {
    #[command(flatten)]
    pub place: Place,
    /// The new rules: a profile, the county's own rules (TOML), or a folder of them. A profile takes the place of the one of its kind,
    /// the county's own rules that of those in force, as they hold when their next change has come.
    #[arg(long, value_name = "NEW")]
    pub rules: PathBuf,
    /// From when: a day or a time in the county's zone, RFC 3339, or ms since 1970.
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Until when, itself left out; at most until now.
    #[arg(long, value_name = "TIME")]
    pub to: String,
    /// When a call wakes people, in civil time of the county.
    #[arg(long, value_name = "HH:MM-HH:MM", default_value = "22:00-06:00")]
    pub night: String,
}
