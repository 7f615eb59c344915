//! What can be set about cases: the `[cases]` table of the configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use telemetry::profile::Priority;
use telemetry::time::Span;

/// The `[cases]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaseSettings {
    /// For which alarms a case is filed by itself. Default `"life_safety"`.
    pub auto: AutoFile,
    /// How long telemetry must have been normal before a case can be verified, unless [`Self::normal_reports`] came
    /// before. Default `"30min"`, range `"0s"` to `"7d"`.
    pub normal_for: Span,
    /// How many good reports since the alarm cleared are enough, however short the time. Default 3, range 1 to 1000.
    pub normal_reports: u32,
    /// A file with holidays and make-up days, in the form of `alarms/policies/calendar-cn-2026.toml`. Default: that one.
    pub calendar: Option<PathBuf>,
    /// A file with a table of deadlines, in the form of `alarms/policies/case-deadlines.toml`. Default: that one.
    pub deadlines: Option<PathBuf>,
}

impl Default for CaseSettings {
    fn default() -> Self {
        Self {
            auto: AutoFile::LifeSafety,
            normal_for: Span::from_secs(1800),
            normal_reports: 3,
            calendar: None,
            deadlines: None,
        }
    }
}

/// For which alarms a case is filed by itself. Alarms of the server itself and of history are never among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoFile {
    /// For none.
    None,
    /// Those of priority critical.
    Critical,
    /// Those, and those of priority high that may save a life.
    LifeSafety,
    /// All of priority critical or high.
    High,
}

impl AutoFile {
    /// Whether it files a case for such an alarm.
    #[must_use]
    pub const fn wants(self, priority: Priority, life_safety: bool) -> bool {
        match (self, priority) {
            (Self::None, _) | (_, Priority::Medium | Priority::Low) | (Self::Critical, Priority::High) => {
                false
            }
            (Self::Critical | Self::LifeSafety | Self::High, Priority::Critical)
            | (Self::High, Priority::High) => true,
            (Self::LifeSafety, Priority::High) => life_safety,
        }
    }
}

/// What is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cases.{field}: {why}")]
pub struct CaseSettingsError {
    /// Which field.
    pub field: &'static str,
    /// What is wrong, and what is allowed.
    pub why: String,
}

impl CaseSettings {
    /// Checks every range that the fields name.
    ///
    /// # Errors
    /// [`CaseSettingsError`] with the first field outside its range.
    pub fn check(&self) -> Result<(), CaseSettingsError> {
        let longest = Span::from_secs(7 * 86_400);
        if self.normal_for > longest {
            return Err(CaseSettingsError {
                field: "normal_for",
                why: format!("{}; 0s to {longest} is allowed", self.normal_for),
            });
        }
        if !(1..=1000).contains(&self.normal_reports) {
            return Err(CaseSettingsError {
                field: "normal_reports",
                why: format!("{}; 1 to 1000 is allowed", self.normal_reports),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_and_high_life_safety_alarms_are_filed_by_default() {
        use Priority::{Critical, High, Low, Medium};
        let wanted = |auto: AutoFile| {
            let all = [
                (Critical, false),
                (High, true),
                (High, false),
                (Medium, true),
                (Low, true),
            ];
            all.map(|(priority, life_safety)| auto.wants(priority, life_safety))
        };
        assert_eq!(
            wanted(CaseSettings::default().auto),
            [true, true, false, false, false]
        );
        assert_eq!(wanted(AutoFile::None), [false; 5]);
        assert_eq!(wanted(AutoFile::Critical), [true, false, false, false, false]);
        assert_eq!(wanted(AutoFile::High), [true, true, true, false, false]);
    }

    #[test]
    fn a_setting_outside_its_range_is_refused_by_name_and_an_unknown_one_too() {
        let read = |text: &str| toml::from_str::<CaseSettings>(text);
        assert_eq!(read("").unwrap(), CaseSettings::default());
        let settings = read("auto = \"high\"\nnormal_reports = 0\n").unwrap();
        assert_eq!(settings.check().unwrap_err().field, "normal_reports");
        assert_eq!(
            read("normal_for = \"8d\"").unwrap().check().unwrap_err().field,
            "normal_for"
        );
        assert!(read("normal = 3").is_err());
    }
}
