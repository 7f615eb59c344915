//! What stands around every page: language, county, navigation, counts and time.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use telemetry::Timestamp;

use crate::live::board::{Counts, Snapshot};
use crate::params::Params;
use crate::problem::Problem;
use crate::text::Lang;
use crate::web::App;

/// The request as every page reads it.
pub(crate) struct Ask {
    /// Language of the answer.
    pub(crate) lang: Lang,
    /// It was asked for by `?lang=`.
    pub(crate) chosen: Option<Lang>,
    pub(crate) params: Params,
    path: String,
}

impl FromRequestParts<Arc<App>> for Ask {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let params = Params::from_request_parts(parts, app).await?;
        let wish = params.text("lang");
        Ok(Self {
            lang: Lang::choose(wish, &parts.headers),
            chosen: wish.and_then(Lang::parse),
            path: parts.uri.path().to_owned(),
            params,
        })
    }
}

/// What the base template shows.
pub(crate) struct Shell {
    pub(crate) lang: Lang,
    pub(crate) title: String,
    pub(crate) county: String,
    pub(crate) zone: String,
    pub(crate) now: String,
    pub(crate) counts: Counts,
    /// Address of this page in the other language.
    pub(crate) other_language: String,
    active: &'static str,
}

impl Shell {
    pub(crate) fn new(app: &App, ask: &Ask, snapshot: &Snapshot, title: &str, active: &'static str) -> Self {
        let county = &app.web.catalogue.registry().county;
        Self {
            lang: ask.lang,
            title: title.to_owned(),
            county: ask.lang.of(&county.name).to_owned(),
            zone: county.zone.to_string(),
            now: app.civil.second(app.web.clock.now()),
            counts: snapshot.counts(),
            other_language: ask.params.address(&ask.path, "lang", ask.lang.other().code()),
            active,
        }
    }

    /// Address, text and "you are here" of each link.
    pub(crate) fn nav(&self) -> [(&'static str, &'static str, bool); 6] {
        let t = self.lang.texts();
        [
            ("/", t.overview, "county"),
            ("/sites", t.sites, "sites"),
            ("/alarms", t.alarms, "alarms"),
            ("/cases", t.cases, "cases"),
            ("/figures", t.figures, "figures"),
            ("/dead-letters", t.dead_letters, "dead_letters"),
        ]
        .map(|(address, text, name)| (address, text, name == self.active))
    }
}

/// When something was last heard, as a time and how long ago; "never" without.
pub(crate) fn heard(app: &App, lang: Lang, at: Option<Timestamp>, now: Timestamp) -> String {
    match at {
        Some(at) => format!(
            "{} · {}",
            app.civil.minute(at),
            crate::text::age(now.millis_since(at), lang)
        ),
        None => lang.texts().never.to_owned(),
    }
}
