//! What the figures need to know of the cases.

use telemetry::Timestamp;
use telemetry::profile::Title;

use crate::cases::case::Standing;

/// One case, as it stood at the end of a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFact {
    /// Its number.
    pub id: u64,
    /// What people call it.
    pub title: Title,
    /// Where.
    pub site: Box<str>,
    /// What people call the place.
    pub site_name: Title,
    /// Town or street.
    pub town: Box<str>,
    /// Whose work it is.
    pub organisation: Box<str>,
    /// How it stood just before the end of the period.
    pub standing: Standing,
}

/// Answers what cases there were. Blocking.
pub trait CaseFacts: Send + Sync {
    /// The cases that were filed before `to` and not over before `from`, each as it stood just before `to`. An error
    /// means that the cases are not known, which is never "no cases".
    ///
    /// # Errors
    /// Whatever keeps the cases failed.
    fn facts(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<CaseFact>, Box<dyn std::error::Error + Send + Sync>>;
}

/// Nobody keeps cases.
#[derive(Clone, Copy, Debug)]
pub struct NoCases;

impl CaseFacts for NoCases {
    fn facts(
        &self,
        _from: Timestamp,
        _to: Timestamp,
    ) -> Result<Vec<CaseFact>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Vec::new())
    }
}
