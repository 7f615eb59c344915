//! The tables of the configuration that name files with rules: `[figures]`, `[cases]`.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

pub(crate) use alarms::cases::CaseSettings;

/// `[figures]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Figures {
    /// A policy pack (TOML) instead of the built-in one.
    pub policy: Option<Spanned<PathBuf>>,
    /// Bounds of alarm health (TOML) instead of the built-in ones.
    pub alarm_health: Option<Spanned<PathBuf>>,
}
