//! `/figures` and `/figures/{name}`: the figures as cards, and each with everything one needs to audit it.

use alarms::figures::{Figure, Figures, Scope};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};

use super::card::{self, Card};
use super::figure_rows::{self, BoundRow, PartRow};
use super::shell::{Ask, Shell};
use crate::api::Shared;
use crate::desk::Desk;
use crate::problem::Problem;
use crate::text::{Lang, Texts};
use crate::web::App;

/// Parts and exclusions on the page; the API has all.
const ROWS_MAX: usize = 500;

#[derive(Template)]
#[template(path = "cards.html")]
struct Cards {
    cards: Vec<Card>,
}

/// The headlines as cards, as HTML. Reads what the pulse has computed and computes nothing.
pub(crate) fn cards(app: &App, lang: Lang) -> Result<String, Problem> {
    cards_of(app, lang, |_| true)
}

/// Those of the county page: what its utilities do. What became of cases and of alarms has the page of the figures.
pub(crate) fn headlines(app: &App, lang: Lang) -> Result<String, Problem> {
    cards_of(app, lang, |name| {
        !name.starts_with("case_") && !name.starts_with("alarm_")
    })
}

fn cards_of(app: &App, lang: Lang, wanted: impl Fn(&str) -> bool) -> Result<String, Problem> {
    let cards = Figures::names()
        .into_iter()
        .filter(|name| wanted(name))
        .map(|name| card::headline(app, name, lang));
    super::text(&Cards {
        cards: cards.collect(),
    })
}

/// `GET /fragments/headlines`.
pub(crate) async fn headlines_fragment(State(app): Shared, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang"])?;
    Ok(Html(headlines(&app, ask.lang)?).into_response())
}

/// `GET /fragments/figures`.
pub(crate) async fn fragment(State(app): Shared, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang"])?;
    Ok(Html(cards(&app, ask.lang)?).into_response())
}

#[derive(Template)]
#[template(path = "figures.html")]
struct FiguresPage {
    shell: Shell,
    t: &'static Texts,
    cards: String,
}

/// `GET /figures`.
pub(crate) async fn list(State(app): Shared, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang"])?;
    let t = ask.lang.texts();
    let page = FiguresPage {
        shell: Shell::new(&app, &ask, &app.board.read(), t.figures, "figures"),
        t,
        cards: cards(&app, ask.lang)?,
    };
    super::page(&page, ask.chosen)
}

#[derive(Template)]
#[template(path = "figure.html")]
struct FigurePage {
    shell: Shell,
    t: &'static Texts,
    name: &'static str,
    card: Card,
    summary: String,
    numerator: String,
    denominator: String,
    unknown: String,
    period: String,
    scope: String,
    policy: String,
    revision: String,
    computed_at: String,
    formula_id: &'static str,
    formula: &'static str,
    notes: Vec<String>,
    variants: Vec<(String, String, String, String)>,
    bounds: Vec<BoundRow>,
    /// The address of the chart of its course.
    course: Option<String>,
    api: String,
    hazard: bool,
    parts: Vec<PartRow>,
    parts_count: usize,
    more_parts: usize,
    /// Site, name and reason.
    excluded: Vec<(String, String, String)>,
    excluded_count: usize,
    evidence: Vec<String>,
}

/// `GET /figures/{name}[?from=&to=&scope=]`.
pub(crate) async fn one(State(app): Shared, Path(name): Path<String>, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang", "from", "to", "scope"])?;
    let scope: Scope = ask.params.parse("scope")?.unwrap_or_default();
    let period = (ask.params.parse("from")?, ask.params.parse("to")?);
    let figure = Desk::get(&app, &name, period, scope).await?;
    super::page(&audit(&app, &ask, &figure)?, ask.chosen)
}

fn audit(app: &App, ask: &Ask, figure: &Figure) -> Result<FigurePage, Problem> {
    let (lang, t) = (ask.lang, ask.lang.texts());
    let counted = |amount| card::amount(amount, figure.counted_in);
    let own = |amount| card::amount(amount, figure.unit);
    let excluded = figure.excluded.iter().take(ROWS_MAX);
    let excluded = excluded.map(|out| {
        let name = match &out.device {
            Some(device) => format!("{} {device}", lang.of(&out.name)),
            None => lang.of(&out.name).to_owned(),
        };
        (out.site.to_string(), name, lang.of(&out.reason).to_owned())
    });
    // What a variant counts has no unit of its own: lamps here, lamp-minutes there.
    let plain = |amount| card::amount(amount, "1");
    let variants = figure.variants.iter().map(|other| {
        let value = card::amount(other.value, other.unit);
        (
            lang.of(&other.title).to_owned(),
            value,
            plain(other.numerator),
            plain(other.denominator),
        )
    });
    let query = ask.params.address(
        &format!("/api/v1/figures/{}", figure.name),
        "scope",
        &figure.scope,
    );
    let course = format!("/figures/{}/course.svg", figure.name);
    let course = ask.params.address(&course, "scope", &figure.scope);
    Ok(FigurePage {
        shell: Shell::new(app, ask, &app.board.read(), lang.of(&figure.title), "figures"),
        t,
        name: figure.name,
        card: card::of(app, figure, lang),
        summary: super::text(&Cards {
            cards: vec![card::of(app, figure, lang)],
        })?,
        numerator: counted(figure.numerator),
        denominator: card::amount(
            figure.denominator,
            figure.denominator_in.unwrap_or(figure.counted_in),
        ),
        unknown: card::unknown(figure),
        period: card::period(app, figure),
        scope: figure.scope.clone(),
        policy: format!("{} v{}", figure.policy.id, figure.policy.version),
        revision: figure.revision.clone(),
        computed_at: app.civil.second(figure.computed_at.ms),
        formula_id: figure.formula.id,
        formula: figure.formula.text,
        notes: figure.notes.iter().map(|note| lang.of(note).to_owned()).collect(),
        variants: variants.collect(),
        bounds: figure_rows::bounds(figure, lang),
        course: figure.course.as_ref().map(|_| course),
        api: query
            .replacen(&format!("lang={}", lang.code()), "", 1)
            .trim_end_matches('&')
            .to_owned(),
        hazard: figure.parts.iter().any(|part| part.hazard.is_some()),
        parts: figure
            .parts
            .iter()
            .take(ROWS_MAX)
            .map(|part| figure_rows::row(part, own, counted, lang))
            .collect(),
        parts_count: figure.parts.len(),
        more_parts: figure.parts.len().saturating_sub(ROWS_MAX),
        excluded: excluded.collect(),
        excluded_count: figure.excluded.len(),
        evidence: figure.evidence.iter().map(|path| card::link(path)).collect(),
    })
}
