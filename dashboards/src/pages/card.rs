//! A figure in a few lines: the number, what it is made of, what is unknown, and when it was computed.

use alarms::figures::{Bound, Colour, Figure, Relation};

use crate::text::{Lang, Texts};
use crate::unit;
use crate::web::App;

/// One card.
pub(crate) struct Card {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) value: String,
    pub(crate) unit: String,
    /// For hazards: code, word and number of units of each colour.
    pub(crate) colours: Vec<(&'static str, &'static str, usize)>,
    pub(crate) lines: Vec<String>,
    pub(crate) computed: String,
}

/// The card of a headline; it says so when there is none yet, or when it could not be renewed.
pub(crate) fn headline(app: &App, name: &'static str, lang: Lang) -> Card {
    let texts = lang.texts();
    let headline = app.desk.headline(name);
    let failed = headline.as_ref().and_then(|headline| headline.failed.clone());
    let mut card = match headline.and_then(|headline| headline.figure) {
        Some(figure) => of(app, &figure, lang),
        None => Card {
            name,
            title: title(name, texts).unwrap_or(name).to_owned(),
            value: "–".to_owned(),
            unit: String::new(),
            colours: Vec::new(),
            lines: Vec::new(),
            computed: texts.not_computed.to_owned(),
        },
    };
    if let Some(why) = failed {
        card.lines.push(format!("{}: {why}", texts.not_available));
    }
    card
}

/// The card of a figure.
pub(crate) fn of(app: &App, figure: &Figure, lang: Lang) -> Card {
    let texts = lang.texts();
    let (value, unit) = match figure.value {
        Some(value) => (shown(value, figure.unit), unit::printed(figure.unit)),
        None => ("–".to_owned(), ""),
    };
    let mut lines = Vec::new();
    if let Some(reason) = &figure.reason {
        lines.push(format!("{}: {}", texts.not_available, lang.of(reason)));
    }
    let colours = colours(figure, texts);
    if colours.is_empty() {
        if let (Some(part), Some(whole)) = (figure.numerator, figure.denominator) {
            let places = figure.counted_in;
            let whole = amount(Some(whole), figure.denominator_in.unwrap_or(places));
            lines.push(format!("{} / {whole}", shown(part, places)));
        }
    } else {
        lines.extend(levels(figure, lang));
    }
    lines.extend(
        figure
            .bounds
            .iter()
            .filter(|bound| bound.of.is_none())
            .map(|bound| {
                let limit = limit(bound);
                match bound.met {
                    Some(false) => format!("{} {limit}: {}", lang.of(&bound.title), texts.not_met),
                    Some(true) | None => format!("{} {limit}", lang.of(&bound.title)),
                }
            }),
    );
    let mut doubt = format!("{} {}", texts.unknown, unknown(figure));
    if !figure.excluded.is_empty() {
        doubt = format!("{doubt} · {} {}", texts.excluded, figure.excluded.len());
    }
    lines.push(doubt);
    lines.push(short_period(app, figure));
    Card {
        name: figure.name,
        title: title(figure.name, texts)
            .unwrap_or_else(|| lang.of(&figure.title))
            .to_owned(),
        value,
        unit: unit.to_owned(),
        colours,
        lines,
        computed: format!("{} {}", texts.computed_at, app.civil.clock(figure.computed_at.ms)),
    }
}

/// The short titles of the pages; others use the figure's own.
fn title(name: &str, texts: &'static Texts) -> Option<&'static str> {
    match name {
        "sewage_om_coverage" => Some(texts.coverage),
        "lighting_rate" => Some(texts.lighting_rate),
        "gas_hazard" => Some(texts.gas_hazard),
        "sewage_volume" => Some(texts.volume),
        "sewage_cod_reduction" => Some(texts.cod),
        "sewage_nh3n_reduction" => Some(texts.nh3n),
        _ => None,
    }
}

const COLOURS: [Colour; 5] = [
    Colour::Red,
    Colour::Orange,
    Colour::Yellow,
    Colour::Blue,
    Colour::Grey,
];

/// The colour as the style sheet names it.
pub(crate) const fn colour_code(colour: Colour) -> &'static str {
    match colour {
        Colour::Grey => "no_data",
        Colour::Blue => "blue",
        Colour::Yellow => "yellow",
        Colour::Orange => "orange",
        Colour::Red => "red",
    }
}

fn colours(figure: &Figure, texts: &'static Texts) -> Vec<(&'static str, &'static str, usize)> {
    if figure.colour.is_none() && figure.parts.iter().all(|part| part.hazard.is_none()) {
        return Vec::new();
    }
    let count = |colour| {
        let units = figure.parts.iter().filter_map(|part| part.hazard.as_ref());
        units.filter(|unit| unit.colour == colour).count()
    };
    let words = [texts.red, texts.orange, texts.yellow, texts.blue, texts.grey];
    let all = COLOURS.into_iter().zip(words);
    all.map(|(colour, word)| (colour_code(colour), word, count(colour)))
        .collect()
}

/// How many units are of each level of GB 18218, and how many are no major hazard.
fn levels(figure: &Figure, lang: Lang) -> Vec<String> {
    let texts = lang.texts();
    let units: Vec<_> = figure
        .parts
        .iter()
        .filter_map(|part| part.hazard.as_ref())
        .collect();
    let count = |wanted: Option<u8>, major: bool| {
        units
            .iter()
            .filter(|unit| unit.level == wanted && unit.major_hazard == major)
            .count()
    };
    let mut words: Vec<String> = (1..=4)
        .map(|grade| (grade, count(Some(grade), true)))
        .filter(|(_, count)| *count > 0)
        .map(|(grade, count)| format!("{} {count}", level(grade, lang)))
        .collect();
    let ungraded = count(None, true);
    if ungraded > 0 {
        words.push(format!("{} {ungraded}", texts.ungraded));
    }
    words.push(format!(
        "{} {}",
        texts.not_major,
        units.iter().filter(|unit| !unit.major_hazard).count()
    ));
    vec![format!("{}: {}", texts.major_hazard, words.join(" · "))]
}

/// A level of GB 18218: 一级 is the greatest.
pub(crate) fn level(grade: u8, lang: Lang) -> String {
    match (lang, grade) {
        (Lang::Zh, 1) => "一级".to_owned(),
        (Lang::Zh, 2) => "二级".to_owned(),
        (Lang::Zh, 3) => "三级".to_owned(),
        (Lang::Zh, 4) => "四级".to_owned(),
        (Lang::Zh | Lang::En, other) => format!("{} {other}", lang.texts().level),
    }
}

/// The unknown share in per cent; the amount where there is no share.
pub(crate) fn unknown(figure: &Figure) -> String {
    match figure.unknown.share {
        Some(share) => format!("{} %", unit::number(share * 100.0, 1)),
        None => amount(Some(figure.unknown.amount), figure.unknown.unit),
    }
}

/// The same without the year, and without the times of whole days.
fn short_period(app: &App, figure: &Figure) -> String {
    let (from, to) = (figure.from.ms, figure.to.ms);
    if from == to {
        app.civil.short(from)
    } else {
        format!("{} – {}", app.civil.short(from), app.civil.short(to))
    }
}

/// From when to when; a snapshot has one time.
pub(crate) fn period(app: &App, figure: &Figure) -> String {
    let (from, to) = (figure.from.ms, figure.to.ms);
    if from == to {
        app.civil.minute(from)
    } else {
        format!("{} – {}", app.civil.minute(from), app.civil.minute(to))
    }
}

/// A limit of the policy, with its unit.
pub(crate) fn limit(bound: &Bound) -> String {
    let sign = match bound.relation {
        Relation::AtMost => "≤",
        Relation::Below => "<",
        Relation::About => "≈",
    };
    format!("{sign} {}", amount(Some(bound.limit), bound.unit))
}

/// A number with its unit; a dash without.
pub(crate) fn amount(value: Option<f64>, ucum: &str) -> String {
    match value {
        Some(value) => format!("{} {}", shown(value, ucum), unit::printed(ucum))
            .trim_end()
            .to_owned(),
        None => "–".to_owned(),
    }
}

/// Counts without decimals, per cent with one, the rest with as many as keep three digits.
fn shown(value: f64, ucum: &str) -> String {
    let places = match ucum {
        "%" => 1,
        _ if value.abs() < 1e-9 => 0,
        _ if ucum.contains('{') && (value - value.round()).abs() < 1e-9 => 0,
        _ if value.abs() >= 100.0 => 0,
        _ if value.abs() >= 10.0 => 1,
        _ if value.abs() >= 1.0 => 2,
        _ => 3,
    };
    unit::number(value, places)
}

/// A path of the API as an address of this server; anything else leads nowhere.
pub(crate) fn link(path: &str) -> String {
    if path.starts_with("/api/") {
        path.to_owned()
    } else {
        format!("/api/v1/{}", path.trim_start_matches('/'))
    }
}
