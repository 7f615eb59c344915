//! Joins the engine beside this program to its parts: what feeds it, and who reads from it.

use std::sync::Arc;
use std::time::Duration;

use alarms::AlarmService;
use alarms::figures::{AlarmFact, AlarmFacts, AlarmLog, LogFacts};
use dashboards::LiveFeed;
use ingest::DecodeSettings;
use store::journal::Journal;
use store::remote::BothReader;
use store::series::SeriesReader;
use telemetry::{Catalogue, Clock, SiteId, Timestamp};
use tokio_util::sync::CancellationToken;

use super::Plan;
use super::sources::Sources;
use crate::config::Config;
use crate::exit::Failure;
use crate::remote::{Parts, RemoteFeed};

/// Least pause from one look of a viewer at the newest values to the next.
const SHOW_EVERY: Duration = Duration::from_secs(5);
/// A look that takes long is followed by a pause that is so many times as long.
const SHOW_REST: u32 = 4;

/// Begins to feed the remote engine, if there is one.
pub(super) fn start(
    plan: &Plan,
    journal: &Journal,
    decode: DecodeSettings,
) -> Result<Option<RemoteFeed>, Failure> {
    let Some(config) = &plan.config.remote else {
        return Ok(None);
    };
    let failed = |error| Failure::other("the remote engine cannot be used", error);
    let settings = config
        .settings()
        .map_err(|error| Failure::other("the authorities of the remote engine cannot be read", error))?;
    let engine = store::remote::Remote::open(settings).map_err(failed)?;
    let parts = Parts {
        journal: journal.clone(),
        state: Arc::clone(&plan.state),
        catalogue: Arc::clone(&plan.catalogue),
        clock: Arc::clone(&plan.clock),
        decode,
        gather: *config.gather.get_ref(),
    };
    RemoteFeed::start(&engine, parts, config.read || config.viewer)
        .map(Some)
        .map_err(failed)
}

/// Whether this server only shows what others feed, and the live feed that is right for that.
pub(super) fn live(
    config: &Config,
    catalogue: &Arc<Catalogue>,
    service: &AlarmService,
) -> (bool, Arc<LiveFeed>) {
    let viewer = config.remote.as_ref().is_some_and(|remote| remote.viewer);
    let live = LiveFeed::new(Arc::clone(catalogue));
    if viewer {
        service.expect_nobody();
        tracing::info!("the devices speak to others: silence is not judged here, and the map stays grey");
        return (true, Arc::new(live.of_others()));
    }
    (false, Arc::new(live))
}

/// What charts, figures and the API read from.
pub(super) fn reader(sources: &Sources) -> Arc<dyn SeriesReader> {
    let local = Arc::clone(&sources.series) as Arc<dyn SeriesReader>;
    match sources.remote.as_ref().and_then(|remote| remote.reader.clone()) {
        Some(remote) => Arc::new(BothReader { local, remote }),
        None => local,
    }
}

/// Shows the last values of before the restart out of the local store alone where pages wait for the engine as well, which
/// may be away.
pub(super) fn recall_local(sources: &Sources) {
    if sources.viewer
        || sources
            .remote
            .as_ref()
            .is_none_or(|remote| remote.reader.is_none())
    {
        return; // Nothing is there, or pages read nothing else.
    }
    let (live, series) = (Arc::clone(&sources.live), Arc::clone(&sources.series));
    let clock = Arc::clone(&sources.clock);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = live.recall(&*series, clock.now()) {
            let error = telemetry::with_causes(&error);
            tracing::warn!(
                error,
                "the last values could not be read; pages show only new ones"
            );
        }
    });
}

/// Where the figures ask for alarms.
pub(super) fn facts(sources: &Sources) -> Arc<dyn AlarmFacts> {
    if sources.viewer {
        Arc::new(Elsewhere)
    } else {
        Arc::clone(&sources.service) as Arc<dyn AlarmFacts>
    }
}

/// Where the figures of alarm health ask for the log.
pub(super) fn alarm_log(sources: &Sources) -> Arc<dyn AlarmLog> {
    if sources.viewer {
        Arc::new(Elsewhere)
    } else {
        Arc::clone(&sources.service) as Arc<dyn AlarmLog>
    }
}

/// The alarms of a viewer: those who are spoken to by the devices have them. Not known is not "none".
struct Elsewhere;

impl AlarmFacts for Elsewhere {
    fn facts(
        &self,
        _site: &SiteId,
        _since: Timestamp,
        _at: Timestamp,
    ) -> Result<Vec<AlarmFact>, Box<dyn std::error::Error + Send + Sync>> {
        Err("this server only shows what others feed: they have the alarms".into())
    }
}

impl AlarmLog for Elsewhere {
    fn facts(
        &self,
        _from: Timestamp,
        _to: Timestamp,
    ) -> Result<LogFacts, Box<dyn std::error::Error + Send + Sync>> {
        Err("this server only shows what others feed: they have the log of the alarms".into())
    }

    fn knows(&self, _rule: &str) -> bool {
        true
    }
}

/// Shows the newest values of the engine again and again, until it is cancelled.
pub(super) fn keep_showing(
    live: Arc<LiveFeed>,
    series: Arc<dyn SeriesReader>,
    clock: Arc<dyn Clock>,
    cancel: CancellationToken,
) {
    tokio::spawn(async move {
        let mut failed = false;
        loop {
            let (live, series, at) = (Arc::clone(&live), Arc::clone(&series), Arc::clone(&clock));
            let began = clock.monotonic();
            let looked = tokio::task::spawn_blocking(move || live.recall(&*series, at.now())).await;
            if let Ok(looked) = looked {
                if let Err(error) = &looked
                    && !failed
                {
                    let error = telemetry::with_causes(error);
                    tracing::warn!(error, "the newest values of the engine could not be read");
                }
                failed = looked.is_err();
            }
            let took = clock.monotonic().since(began);
            let rest = took.duration().saturating_mul(SHOW_REST);
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(rest.max(SHOW_EVERY)) => {}
            }
        }
    });
}
