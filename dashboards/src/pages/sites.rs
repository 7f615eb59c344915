//! `/sites`: every place, found by name, kind and town.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use telemetry::registry::{Site, SiteKind};

use super::shell::{Ask, Shell, heard};
use crate::api::Shared;
use crate::limits::PAGE_SITES_MAX;
use crate::live::board::{SiteNow, Snapshot};
use crate::map::symbol;
use crate::problem::Problem;
use crate::text::{self, KINDS, Texts};
use crate::web::App;

struct Choice {
    code: String,
    name: String,
    chosen: bool,
}

struct Row {
    id: String,
    name: String,
    kind: &'static str,
    town: String,
    organisation: String,
    code: &'static str,
    state: &'static str,
    heard: String,
    open: u32,
}

#[derive(Template)]
#[template(path = "sites.html")]
struct SitesPage {
    shell: Shell,
    t: &'static Texts,
    q: String,
    kinds: Vec<Choice>,
    towns: Vec<Choice>,
    rows: Vec<Row>,
    found: usize,
    page: usize,
    pages: usize,
    previous: Option<String>,
    next: Option<String>,
}

/// `GET /sites[?q=][&kind=][&town=][&page=]`.
pub(crate) async fn sites(State(app): Shared, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang", "q", "kind", "town", "page"])?;
    let snapshot = app.board.read();
    let found = found(&app, &ask, &snapshot);
    let pages = found.len().div_ceil(PAGE_SITES_MAX).max(1);
    let asked: usize = ask.params.parse("page")?.unwrap_or(1);
    let page = asked.clamp(1, pages);
    let shown = found
        .iter()
        .skip((page - 1) * PAGE_SITES_MAX)
        .take(PAGE_SITES_MAX);
    let link = |page: usize| ask.params.address("/sites", "page", &page.to_string());
    let (kinds, towns) = choices(&app, &ask);
    let t = ask.lang.texts();
    let view = SitesPage {
        shell: Shell::new(&app, &ask, &snapshot, t.sites, "sites"),
        t,
        q: ask.params.text("q").unwrap_or_default().to_owned(),
        kinds,
        towns,
        rows: shown.map(|(site, now)| row(&app, &ask, site, now)).collect(),
        found: found.len(),
        previous: (page > 1).then(|| link(page - 1)),
        next: (page < pages).then(|| link(page + 1)),
        page,
        pages,
    };
    super::page(&view, ask.chosen)
}

/// The sites that fit the filters, the worst first.
fn found<'a>(app: &'a App, ask: &Ask, snapshot: &'a Snapshot) -> Vec<(&'a Site, &'a SiteNow)> {
    let (kind, town) = (ask.params.text("kind"), ask.params.text("town"));
    let needle = ask.params.text("q").unwrap_or_default().to_lowercase();
    let named = |site: &Site| {
        let names = [site.id.as_str(), &site.name.zh, &site.name.en];
        needle.is_empty() || names.iter().any(|name| name.to_lowercase().contains(&needle))
    };
    let all = app.web.catalogue.sites().iter().zip(&snapshot.sites);
    let of_kind = |site: &Site| match kind.filter(|kind| !kind.is_empty()) {
        Some(kind) => text::kind_code(site.kind) == kind,
        None => site.kind != SiteKind::Server,
    };
    let fits =
        all.filter(|(site, _)| of_kind(site) && town.is_none_or(|town| &*site.town == town) && named(site));
    let mut found: Vec<_> = fits.collect();
    found.sort_by_key(|(_, now)| std::cmp::Reverse(symbol::rank(now.condition)));
    found
}

fn row(app: &App, ask: &Ask, site: &Site, now: &SiteNow) -> Row {
    let lang = ask.lang;
    let organisations = &app.web.catalogue.registry().organisations;
    let organisation = organisations.iter().find(|known| known.id == site.organisation);
    Row {
        id: site.id.to_string(),
        name: lang.of(&site.name).to_owned(),
        kind: text::kind_name(site.kind, lang),
        town: site.town.to_string(),
        organisation: organisation
            .map_or(&*site.organisation, |known| lang.of(&known.name))
            .to_owned(),
        code: now.condition.code(),
        state: symbol::words(now.condition, lang),
        heard: heard(app, lang, now.heard, app.web.clock.now()),
        open: now.open,
    }
}

fn choices(app: &App, ask: &Ask) -> (Vec<Choice>, Vec<Choice>) {
    let (kind, town) = (ask.params.text("kind"), ask.params.text("town"));
    let kinds = KINDS.iter().chain(&[SiteKind::Server]).map(|known| Choice {
        code: text::kind_code(*known).to_owned(),
        name: text::kind_name(*known, ask.lang).to_owned(),
        chosen: kind == Some(text::kind_code(*known)),
    });
    let sites = app.web.catalogue.sites().iter();
    let placed = sites.filter(|site| site.kind != SiteKind::Server);
    let towns: BTreeSet<&str> = placed.map(|site| &*site.town).collect();
    let towns = towns.into_iter().map(|name| Choice {
        code: name.to_owned(),
        name: name.to_owned(),
        chosen: town == Some(name),
    });
    (kinds.collect(), towns.collect())
}
