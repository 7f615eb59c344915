//! The parts of a figure as rows of its audit page.

use alarms::figures::{Figure, Part};

use super::card;
use crate::text::Lang;
use crate::unit;

/// One site or device of a figure.
pub(crate) struct PartRow {
    /// None for an organisation.
    pub(crate) site: Option<String>,
    pub(crate) device: Option<String>,
    /// None where it is no rule.
    pub(crate) rule: Option<String>,
    pub(crate) name: String,
    pub(crate) colour: String,
    pub(crate) colour_code: &'static str,
    pub(crate) s: String,
    pub(crate) r: String,
    pub(crate) level: String,
    pub(crate) value: String,
    pub(crate) numerator: String,
    pub(crate) denominator: String,
    pub(crate) unknown: String,
    pub(crate) notes: Vec<String>,
    pub(crate) evidence: Vec<String>,
}

/// What a number of a figure should be.
pub(crate) struct BoundRow {
    /// Of what; empty for the figure's own value.
    pub(crate) of: String,
    pub(crate) title: String,
    pub(crate) limit: String,
    /// Whether it is so; empty where nobody can say.
    pub(crate) met: &'static str,
    pub(crate) source: String,
}

/// The bounds of a figure as rows.
pub(crate) fn bounds(figure: &Figure, lang: Lang) -> Vec<BoundRow> {
    let texts = lang.texts();
    let row = |bound: &alarms::figures::Bound| {
        let variant = figure
            .variants
            .iter()
            .find(|variant| Some(variant.name) == bound.of);
        BoundRow {
            of: variant
                .map(|variant| lang.of(&variant.title).to_owned())
                .unwrap_or_default(),
            title: lang.of(&bound.title).to_owned(),
            limit: card::limit(bound),
            met: match bound.met {
                Some(true) => texts.met,
                Some(false) => texts.not_met,
                None => "",
            },
            source: format!("{} · {} {}", bound.source, texts.confidence, bound.confidence),
        }
    };
    figure.bounds.iter().map(row).collect()
}

/// The row of a part; `own` and `counted` write amounts in the units of the figure.
pub(crate) fn row(
    part: &Part,
    own: impl Fn(Option<f64>) -> String,
    counted: impl Fn(Option<f64>) -> String,
    lang: Lang,
) -> PartRow {
    let texts = lang.texts();
    let number =
        |value: Option<f64>, places| value.map_or("–".to_owned(), |value| unit::number(value, places));
    let hazard = part.hazard.as_ref();
    let notes = part.notes.iter().map(|note| lang.of(note).to_owned()).collect();
    PartRow {
        site: part.site.as_ref().map(ToString::to_string),
        device: part.device.as_ref().map(ToString::to_string),
        rule: part.rule.as_ref().map(ToString::to_string),
        name: lang.of(&part.name).to_owned(),
        colour: hazard
            .map(|unit| lang.of(&unit.colour.title()).to_owned())
            .unwrap_or_default(),
        colour_code: hazard
            .map(|unit| card::colour_code(unit.colour))
            .unwrap_or_default(),
        s: number(hazard.and_then(|unit| unit.s), 3),
        r: number(hazard.and_then(|unit| unit.r), 3),
        level: match hazard.and_then(|unit| unit.level) {
            Some(level) => card::level(level, lang),
            None => texts.not_major.to_owned(),
        },
        value: own(part.value),
        numerator: counted(part.numerator),
        denominator: counted(part.denominator),
        unknown: unit::number(part.unknown, 1),
        notes,
        evidence: part.evidence.iter().map(|path| card::link(path)).collect(),
    }
}
