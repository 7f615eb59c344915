//! The web's own task: decides the board anew when something changed, and tells the browsers.

use std::sync::Arc;
use std::time::Duration;

use alarms::cases::Case;
use alarms::figures::Figures;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::api::cases::CaseView;
use crate::api::sites::SiteView;
use crate::book::{Change, Moment, Wanted};
use crate::desk::{COLOURS_EVERY, GAS, HEADLINES_AT_LEAST, HEADLINES_EVERY, HEADLINES_SHARE};
use crate::limits;
use crate::live::board::Counts;
use crate::live::feed::Passed;
use crate::problem::Problem;
use crate::web::App;

/// The board is decided at most so often, …
const BEAT: Duration = Duration::from_secs(1);
/// … and at least so often, because silence makes no event.
const AT_LEAST: Duration = Duration::from_secs(5);
/// The last values could not be read, as when an engine elsewhere is away: they are asked for again after this time, …
const RECALL_AGAIN: Duration = Duration::from_secs(1);
/// … and after twice the time at each further try, up to this.
const RECALL_AGAIN_MOST: Duration = Duration::from_secs(60);

/// The body of a `stats` event.
#[derive(Debug, Serialize)]
struct Stats {
    messages_per_s: f64,
    points_per_s: f64,
    messages: u64,
    points: u64,
    now: Moment,
    #[serde(flatten)]
    counts: Counts,
}

/// Runs until the web stops.
pub(crate) async fn run(app: Arc<App>) {
    let recall = tokio::spawn(recall(Arc::clone(&app)));
    let alarms = tokio::spawn(forward(Arc::clone(&app)));
    let cases = tokio::spawn(forward_cases(Arc::clone(&app), app.web.cases.subscribe()));
    let figures = tokio::spawn(compute(Arc::clone(&app)));
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut decided: Option<Instant> = None;
    let mut passed = (Instant::now(), app.web.live.passed());
    loop {
        tokio::select! {
            () = app.cancel.cancelled() => break,
            at = beat.tick() => {
                let due = decided.is_none_or(|last| at.duration_since(last) >= AT_LEAST);
                let asked = tokio::time::timeout(Duration::ZERO, app.changed.notified()).await.is_ok();
                if due || asked {
                    decided = Some(at);
                    decide(&app).await;
                }
                passed = stats(&app, passed);
            }
        }
    }
    for task in [recall, alarms, cases, figures] {
        ended(task.await);
    }
}

/// Says so when a task of the web ended badly.
pub(crate) fn ended(result: Result<(), tokio::task::JoinError>) {
    if let Err(error) = result {
        tracing::error!(%error, "a task of the web ended badly");
    }
}

/// Decides the board anew and sends the sites that changed.
pub(crate) async fn decide(app: &Arc<App>) {
    let changed = app.blocking(|app| {
        let wanted = Wanted {
            open_only: true,
            limit: limits::BOARD_ALARMS_MAX,
            ..Wanted::default()
        };
        let open = app
            .web
            .alarms
            .list(&wanted)
            .map_err(|error| Problem::internal("listing the open alarms", &*error))?;
        let now = app.web.clock.now();
        Ok(app
            .board
            .update(open, app.web.live.heard(), &app.desk.tiers(app), now))
    });
    let Ok(changed) = changed.await else {
        return;
    };
    if changed.is_empty() {
        return;
    }
    if changed.len() > limits::SITES_PER_EVENT_MAX {
        app.bus
            .send("resync", &serde_json::json!({ "why": "many sites changed" }));
        return;
    }
    let snapshot = app.board.read();
    let views: Vec<SiteView<'_>> = changed
        .into_iter()
        .filter_map(|place| SiteView::at(&app.web.catalogue, &snapshot, place))
        .collect();
    app.bus.send("site", &serde_json::json!({ "sites": views }));
}

/// Sends what passed since the last beat.
fn stats(app: &App, (since, before): (Instant, Passed)) -> (Instant, Passed) {
    let (now, after) = (Instant::now(), app.web.live.passed());
    let seconds = now.duration_since(since).as_secs_f64().max(0.001);
    let rate = |after: u64, before: u64| ((after.saturating_sub(before)) as f64 / seconds).round();
    app.bus.send(
        "stats",
        &Stats {
            messages_per_s: rate(after.messages, before.messages),
            points_per_s: rate(after.points, before.points),
            messages: after.messages,
            points: after.points,
            now: app.web.clock.now().into(),
            counts: app.board.read().counts(),
        },
    );
    (now, after)
}

/// Passes each change of an alarm on.
async fn forward(app: Arc<App>) {
    let mut changes = app.web.alarms.changes();
    loop {
        let change = tokio::select! {
            () = app.cancel.cancelled() => return,
            change = changes.next() => change,
        };
        match change {
            Change::Alarm(alarm) => {
                if alarm.life_safety {
                    app.colours.notify_one();
                }
                app.bus.send("alarm", &alarm);
            }
            Change::Missed(lost) => {
                tracing::debug!(lost, "the live feed fell behind the alarms");
                app.bus.send(
                    "resync",
                    &serde_json::json!({ "why": "alarms changed faster than they were sent" }),
                );
            }
            Change::Over => {
                app.cancel.cancelled().await;
                return;
            }
        }
        app.changed.notify_one();
    }
}

/// Passes each change of a case on.
async fn forward_cases(app: Arc<App>, mut changes: broadcast::Receiver<Arc<Case>>) {
    loop {
        let change = tokio::select! {
            () = app.cancel.cancelled() => return,
            change = changes.recv() => change,
        };
        match change {
            Ok(case) => app
                .bus
                .send("case", &CaseView::of((*case).clone(), app.web.clock.now())),
            Err(RecvError::Lagged(lost)) => {
                tracing::debug!(lost, "the live feed fell behind the cases");
                app.bus.send(
                    "resync",
                    &serde_json::json!({ "why": "cases changed faster than they were sent" }),
                );
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Computes the headlines again and again; the colours of the gas sites more often, and at once when a gas
/// alarm changes.
async fn compute(app: Arc<App>) {
    let mut due = Instant::now();
    loop {
        let began = Instant::now();
        let everything = began >= due;
        let names = Figures::names();
        for name in names.into_iter().filter(|name| everything || *name == GAS) {
            if app.cancel.is_cancelled() {
                return;
            }
            let renewed = app.blocking(move |app| {
                app.desk.renew(name);
                Ok(())
            });
            if renewed.await.is_ok() && name == GAS {
                app.changed.notify_one();
            }
        }
        if everything {
            let pause = began.elapsed().saturating_mul(HEADLINES_SHARE);
            due = Instant::now() + pause.clamp(HEADLINES_EVERY, HEADLINES_AT_LEAST);
            let now = Moment::from(app.web.clock.now());
            app.bus
                .send("figures", &serde_json::json!({ "computed_at": now }));
        }
        tokio::select! {
            () = app.cancel.cancelled() => return,
            () = app.colours.notified() => {}
            () = tokio::time::sleep(COLOURS_EVERY) => {}
        }
    }
}

/// Fills the live feed from the series store, once; again and again while that fails.
async fn recall(app: Arc<App>) {
    let mut pause = RECALL_AGAIN;
    loop {
        let done = app.blocking(|app| {
            app.web
                .live
                .recall(&*app.web.series, app.web.clock.now())
                .map_err(Problem::from)
        });
        if done.await.is_ok() {
            app.changed.notify_one();
            return;
        }
        tokio::select! {
            () = app.cancel.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(RECALL_AGAIN_MOST),
        }
    }
}
