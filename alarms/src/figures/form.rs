//! What a computed number looks like: the number with everything that one needs to audit it.

use serde::Serialize;
use sha2::{Digest, Sha256};
use telemetry::profile::Title;
use telemetry::{DeviceId, SiteId, Timestamp};

use super::colour::Colour;

/// A text in both languages.
pub(crate) fn words(zh: impl Into<Box<str>>, en: impl Into<Box<str>>) -> Title {
    Title {
        zh: zh.into(),
        en: en.into(),
    }
}

/// An instant, as milliseconds and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Milliseconds since 1970 UTC.
    pub ms: Timestamp,
    /// RFC 3339 in the county's zone.
    pub time: String,
}

/// A computed number with its evidence. Source of the form: `design.md` §6.
///
/// `value` is `numerator` / `denominator` where the figure is a rate; where it is a sum, `denominator`
/// is null and `value` is `numerator`, in the same unit. Sums of parts are Σ/Σ, never means of means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Name in the API, e.g. `lighting_rate`.
    pub name: &'static str,
    /// What people call it.
    pub title: Title,
    /// The number; null where there is nothing to compute it from.
    pub value: Option<f64>,
    /// UCUM code of `value`.
    pub unit: &'static str,
    /// Why `value` is null.
    pub reason: Option<Title>,
    /// Only for hazards: the colour of the whole area, the worst of its units.
    pub colour: Option<Colour>,
    /// What is counted, in `counted_in`.
    pub numerator: Option<f64>,
    /// Out of how much, in `counted_in`; null for sums.
    pub denominator: Option<f64>,
    /// UCUM code of `numerator`, `denominator` and `unknown.amount`.
    pub counted_in: &'static str,
    /// UCUM code of `denominator`, where it is not `counted_in`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denominator_in: Option<&'static str>,
    /// How much of what should have been counted nobody knows.
    pub unknown: Unknown,
    /// What was left out on purpose, and why.
    pub excluded: Vec<Excluded>,
    /// How it was computed.
    pub formula: Formula,
    /// Under which rules.
    pub policy: PolicyRef,
    /// Fingerprint of all the rest but `computed_at`: two answers with the same revision say the same
    /// thing, and late data or another policy give another one.
    pub revision: String,
    /// Whose: `county`, `site:…`, `town:…`, `organisation:…` or `rule:…`.
    pub scope: String,
    /// First instant of the period; of a snapshot: its instant.
    pub from: Moment,
    /// End of the period, not included; of a snapshot: its instant.
    pub to: Moment,
    /// When it was computed, by the program's clock.
    pub computed_at: Moment,
    /// Other readings of the same definition, by name.
    pub variants: Vec<Variant>,
    /// What the policy says that it should be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<Bound>,
    /// How it went over the period, where there is something to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub course: Option<Course>,
    /// The sites or devices that it is made of.
    pub parts: Vec<Part>,
    /// API paths that lead to the readings behind it.
    pub evidence: Vec<String>,
    /// What a reader must know, e.g. that the night is not over.
    pub notes: Vec<Title>,
}

/// How much of what should have been counted nobody knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Unknown {
    /// 0 to 1; null where there was nothing to know.
    pub share: Option<f64>,
    /// In the unit of the figure's `counted_in`, unless `unit` says otherwise.
    pub amount: f64,
    /// UCUM code of `amount`.
    pub unit: &'static str,
}

/// What was left out, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Excluded {
    /// Which place.
    pub site: SiteId,
    /// Which device, where only one is left out.
    pub device: Option<DeviceId>,
    /// What people call it.
    pub name: Title,
    /// The reason as a word, e.g. `no_capacity`.
    pub code: &'static str,
    /// The reason as a sentence.
    pub reason: Title,
}

/// The formula by name and in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Formula {
    /// Changes whenever the meaning changes, e.g. `lighting_rate/lamp-minutes/1`.
    pub id: &'static str,
    /// For people.
    pub text: &'static str,
}

/// Which policy pack was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyRef {
    /// Its name.
    pub id: Box<str>,
    /// Its version.
    pub version: u32,
}

/// Another reading of the same definition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Variant {
    /// Name, e.g. `lenient`.
    pub name: &'static str,
    /// What people call it.
    pub title: Title,
    /// The number; null with a reason.
    pub value: Option<f64>,
    /// UCUM code of `value`.
    pub unit: &'static str,
    /// Why `value` is null.
    pub reason: Option<Title>,
    /// What is counted.
    pub numerator: Option<f64>,
    /// Out of how much; null for sums.
    pub denominator: Option<f64>,
}

/// What a number should be, by the policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bound {
    /// Name, e.g. `manageable`.
    pub name: &'static str,
    /// What people call it.
    pub title: Title,
    /// Of which variant; none for the figure's own value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<&'static str>,
    /// How the number should be to the limit.
    pub relation: Relation,
    /// The limit.
    pub limit: f64,
    /// UCUM code of `limit`.
    pub unit: &'static str,
    /// Whether it is so; null where the number is not known, or where there is no saying.
    pub met: Option<bool>,
    /// Where the limit comes from.
    pub source: Box<str>,
    /// How sure it is: `H`, `M`, `L` or `assumed`.
    pub confidence: Box<str>,
}

/// How a number should be to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Not more.
    AtMost,
    /// Less.
    Below,
    /// Near it; nobody says how near.
    About,
}

impl Relation {
    /// Whether `value` is so to `limit`; none where there is no saying.
    #[must_use]
    pub fn is_met(self, value: f64, limit: f64) -> Option<bool> {
        match self {
            Self::AtMost => Some(value <= limit),
            Self::Below => Some(value < limit),
            Self::About => None,
        }
    }
}

/// How a count went over a period.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Course {
    /// What people call it.
    pub title: Title,
    /// UCUM code of the values.
    pub unit: &'static str,
    /// In order, one after the other.
    pub steps: Vec<Step>,
    /// What a whole step should be.
    pub bounds: Vec<Bound>,
}

/// One step of a course.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// First instant.
    pub from: Moment,
    /// End, not included.
    pub to: Moment,
    /// The count; null where nobody knows any of it.
    pub value: Option<f64>,
}

/// The share of one site, device, rule or organisation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Which place, where the part is a place or a device.
    pub site: Option<SiteId>,
    /// Which organisation, where the part is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<Box<str>>,
    /// Which device, where the part is a device.
    pub device: Option<DeviceId>,
    /// Which rule, where the part is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Box<str>>,
    /// What people call it.
    pub name: Title,
    /// Its own number, in the unit of the figure; null where there is none.
    pub value: Option<f64>,
    /// What it adds to the figure's numerator.
    pub numerator: Option<f64>,
    /// What it adds to the figure's denominator.
    pub denominator: Option<f64>,
    /// What nobody knows of it, in the unit of the figure's `unknown`.
    pub unknown: f64,
    /// Only for hazards: its tiers and colours.
    pub hazard: Option<super::gas::UnitState>,
    /// What a reader must know, e.g. which evaluation counted or that a totaliser was reset.
    pub notes: Vec<Title>,
    /// API paths that lead to the readings behind it.
    pub evidence: Vec<String>,
}

impl Part {
    /// A part about a site, with nothing in it yet.
    #[must_use]
    pub fn of_site(site: &telemetry::registry::Site) -> Self {
        Self {
            site: Some(site.id.clone()),
            organisation: None,
            device: None,
            rule: None,
            name: site.name.clone(),
            value: None,
            numerator: None,
            denominator: None,
            unknown: 0.0,
            hazard: None,
            notes: Vec::new(),
            evidence: Vec::new(),
        }
    }
}

impl Excluded {
    /// `site` as a whole is left out.
    #[must_use]
    pub fn site(site: &telemetry::registry::Site, code: &'static str, reason: Title) -> Self {
        Self {
            site: site.id.clone(),
            device: None,
            name: site.name.clone(),
            code,
            reason,
        }
    }
}

impl Figure {
    /// Writes the fingerprint into `revision`.
    pub(crate) fn seal(&mut self) {
        let computed_at = self.computed_at.clone();
        self.revision.clear();
        self.computed_at.ms = Timestamp::EPOCH;
        self.computed_at.time.clear();
        let text = serde_json::to_string(&self).unwrap_or_default();
        self.computed_at = computed_at;
        let digest = Sha256::digest(text.as_bytes());
        self.revision = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    }
}

/// `part` of `whole` in per cent; none when `whole` is 0.
#[must_use]
pub(crate) fn percent(part: f64, whole: f64) -> Option<f64> {
    share(part, whole).map(|share| share * 100.0)
}

/// `part` of `whole`; none when `whole` is 0.
#[must_use]
pub(crate) fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}
