//! The figures, computed once for all who look: they read days of samples, so no page view computes them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use alarms::figures::{Colour, Figure, FigureError, Figures, Scope};
use telemetry::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::live::condition::Tier;
use crate::problem::Problem;
use crate::web::App;

/// The shortest real time between two computations of the headlines, …
pub(crate) const HEADLINES_EVERY: Duration = Duration::from_secs(10);
/// … which grows with the time that they take, so that they use a twentieth of one thread at most, …
pub(crate) const HEADLINES_SHARE: u32 = 20;
/// … up to this.
pub(crate) const HEADLINES_AT_LEAST: Duration = Duration::from_secs(300);
/// How often the colours of the gas sites are.
pub(crate) const COLOURS_EVERY: Duration = Duration::from_secs(5);
/// For how long a figure that was asked for with its own period is good.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// Figures kept. When there are more, the oldest is forgotten and computed again when asked for.
const KEPT_MAX: usize = 64;
/// The name of the figure with the four colours.
pub(crate) const GAS: &str = "gas_hazard";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    name: String,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    scope: Scope,
}

/// What one headline is: a figure, or why there is none.
#[derive(Clone, Debug)]
pub(crate) struct Headline {
    /// The newest that could be computed; none before the first.
    pub(crate) figure: Option<Arc<Figure>>,
    /// Why the last try failed; none when it did not.
    pub(crate) failed: Option<String>,
}

/// Computes figures one at a time and keeps them for a while.
pub(crate) struct Desk {
    figures: Arc<Figures>,
    headlines: RwLock<BTreeMap<&'static str, Headline>>,
    kept: Mutex<HashMap<Key, (Instant, Arc<Figure>)>>,
    turn: Semaphore,
}

impl Desk {
    /// A desk on which nothing is computed yet.
    #[must_use]
    pub(crate) fn new(figures: Arc<Figures>) -> Self {
        Self {
            figures,
            headlines: RwLock::default(),
            kept: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }

    /// The newest of a headline, for the whole county and the figure's own period.
    #[must_use]
    pub(crate) fn headline(&self, name: &str) -> Option<Headline> {
        self.headlines
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// The colour of each gas site, by place in the catalogue. A headline that could not be renewed gives
    /// no colours: an old colour is not shown as if it still held.
    #[must_use]
    pub(crate) fn tiers(&self, app: &App) -> HashMap<usize, Tier> {
        let Some(Headline {
            figure: Some(figure),
            failed: None,
        }) = self.headline(GAS)
        else {
            return HashMap::new();
        };
        let places: HashMap<&str, usize> = app
            .web
            .catalogue
            .sites()
            .iter()
            .enumerate()
            .map(|(place, site)| (site.id.as_str(), place))
            .collect();
        let parts = figure.parts.iter();
        parts
            .filter_map(|part| {
                let place = *places.get(part.site.as_ref()?.as_str())?;
                Some((place, tier(part.hazard.as_ref()?.colour)))
            })
            .collect()
    }

    /// Computes one headline anew. Blocking.
    pub(crate) fn renew(&self, name: &'static str) {
        let result = self.figures.compute(name, None, None, &Scope::County);
        let mut headlines = self.headlines.write().unwrap_or_else(PoisonError::into_inner);
        let slot = headlines.entry(name).or_insert(Headline {
            figure: None,
            failed: None,
        });
        match result {
            Ok(figure) => {
                *slot = Headline {
                    figure: Some(Arc::new(figure)),
                    failed: None,
                }
            }
            Err(error) => {
                tracing::warn!(
                    name,
                    error = telemetry::with_causes(&error),
                    "figure could not be computed"
                );
                slot.failed = Some(error.to_string());
            }
        }
    }

    /// A figure, from what is kept or computed in turn: of many who ask for the same, one computes.
    ///
    /// # Errors
    /// [`Problem`] when name, scope or period make no sense, or the store fails.
    pub(crate) async fn get(
        app: &Arc<App>,
        name: &str,
        period: (Option<Timestamp>, Option<Timestamp>),
        scope: Scope,
    ) -> Result<Arc<Figure>, Problem> {
        let key = Key {
            name: name.to_owned(),
            from: period.0,
            to: period.1,
            scope,
        };
        if let Some(figure) = app.desk.look_up(&key) {
            return Ok(figure);
        }
        let turn = tokio::time::timeout(crate::limits::REQUEST_TIME, app.desk.turn.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Problem::busy("other figures are being computed"));
        };
        if let Some(figure) = app.desk.look_up(&key) {
            return Ok(figure);
        }
        app.blocking(move |app| {
            let figure = app
                .desk
                .figures
                .compute(&key.name, key.from, key.to, &key.scope)
                .map_err(problem)?;
            let figure = Arc::new(figure);
            app.desk.keep(key, Arc::clone(&figure));
            Ok(figure)
        })
        .await
    }

    fn look_up(&self, key: &Key) -> Option<Arc<Figure>> {
        if key.from.is_none() && key.to.is_none() && key.scope == Scope::County {
            return match self.headline(&key.name)? {
                Headline { figure, failed: None } => figure,
                Headline { .. } => None,
            };
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key)
            .filter(|(at, _)| at.elapsed() < KEPT_FOR)
            .map(|(_, figure)| Arc::clone(figure))
    }

    fn keep(&self, key: Key, figure: Arc<Figure>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX
            && let Some(oldest) = kept
                .iter()
                .min_by_key(|(_, (at, _))| *at)
                .map(|(key, _)| key.clone())
        {
            kept.remove(&oldest);
        }
        kept.insert(key, (Instant::now(), figure));
    }
}

const fn tier(colour: Colour) -> Tier {
    match colour {
        Colour::Grey => Tier::Grey,
        Colour::Blue => Tier::Blue,
        Colour::Yellow => Tier::Yellow,
        Colour::Orange => Tier::Orange,
        Colour::Red => Tier::Red,
    }
}

fn problem(error: FigureError) -> Problem {
    match error {
        FigureError::Name { name } => Problem::missing(
            "figure",
            &name,
            format!("there are {}", Figures::names().join(", ")),
        ),
        FigureError::Period { .. } => {
            Problem::bad_parameter("from", error.to_string(), "give another from and to")
        }
        FigureError::Scope { .. } => Problem::bad_parameter(
            "scope",
            error.to_string(),
            "use county, site:ID, town:NAME or organisation:ID of the registry; for the figures of alarms also rule:ID",
        ),
        FigureError::Series(source) => source.into(),
        FigureError::Alarms { .. } | FigureError::Cases(_) | FigureError::Log(_) => {
            Problem::internal("computing a figure", &error)
        }
    }
}
