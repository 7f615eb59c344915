//! `townwatch demo`: the server, and the simulated county as a child that speaks only through sockets.

mod child;
mod progress;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use alarms::figures::{HealthPolicy, Policy};
use store::state::State;
use telemetry::Clock;
use telemetry::time::Span;

use crate::arguments::{CountySize, Demo};
use crate::config::Config;
use crate::county_clock::{self, Origin};
use crate::data_folder::DataFolder;
use crate::exit::Failure;
use crate::server::{self, Plan, Server};
use crate::simulate::Report;
use crate::{simulate, stop};
use child::Child;
use progress::Shown;

/// Which county the data folder holds.
const COUNTY: &str = "demo.county";
/// Set when all history was acknowledged once.
const HISTORY: &str = "demo.history";
/// How much history a county reports on its first start, and at most later.
const HISTORY_MAX: Span = Span::from_secs(7 * 86_400);
/// A gap shorter than this is not worth a back-fill.
const GAP_MIN: Span = Span::from_secs(60);
/// From one writing down of the county's time to the next.
const KEEP_TIME_EVERY: Duration = Duration::from_secs(5);

/// Runs the demo until it is told to stop.
pub(crate) async fn run(options: Demo) -> Result<ExitCode, Failure> {
    simulate::parse_faults(&options.faults)?;
    let data = DataFolder::hold(&options.data)?;
    let reserve = server::open_reserve(&data)?;
    let web = server::listen(options.web, "--web").await?;
    is_free(&options).await?;
    let state = server::open_state(&data, &reserve)?;
    remember_county(&state, &options)?;
    let kept = |error| Failure::other("the county's time cannot be read", error);
    let origin = county_clock::resume(&state).map_err(kept)?;
    let clock: Arc<dyn Clock> = Arc::new(origin.clock(options.speed));
    let mut child = Child::start(&options, origin)?;
    let registry = child.registry().await?;
    let profiles = telemetry::profile::builtin()
        .map_err(|error| Failure::other("a built-in profile is wrong", error))?;
    let (catalogue, office) = server::register(&state, registry, &profiles, &clock)?;
    let policy =
        Policy::builtin().map_err(|error| Failure::other("the built-in policy pack is wrong", error))?;
    let health = HealthPolicy::builtin()
        .map_err(|error| Failure::other("the built-in bounds of alarm health are wrong", error))?;
    let config = Config::for_demo(options.data.clone(), options.mqtt, options.web);
    let cases = server::cases::read_rules(&options.data, &config)?;
    let (plan_state, plan_clock) = (Arc::clone(&state), Arc::clone(&clock));
    let plan = Plan {
        data,
        state: plan_state,
        clock: plan_clock,
        catalogue,
        office,
        policy,
        health,
        cases,
        config,
        web,
        reserve: Some(reserve),
        degraded: None,
    };
    let server = Server::start(plan, "--mqtt").await?;
    server.announce(&format!(
        "a simulated county (seed {}), data in {}",
        options.seed,
        options.data.display()
    ));
    let result = watch(&server, &mut child, &state, &*clock, origin).await;
    // Whatever ended the watch, what was acknowledged is put away in order. The server goes first: a poller whose
    // slaves are gone would cry wolf.
    let stopped = server.stop().await;
    child.stop().await;
    county_clock::keep(&state, clock.now())
        .map_err(|error| Failure::other("the county's time cannot be kept", error))?;
    result.and(stopped).map(|()| ExitCode::SUCCESS)
}

/// A taken port is found before the county is made. The gate binds it itself, a moment later.
async fn is_free(options: &Demo) -> Result<(), Failure> {
    let address = options.mqtt;
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => Ok(()),
        Err(source) => Err(Failure::Address {
            what: "MQTT",
            address,
            option: "--mqtt",
            source,
        }),
    }
}

/// One data folder holds one county: another one's devices would be strangers in its history.
fn remember_county(state: &State, options: &Demo) -> Result<(), Failure> {
    let size = match options.county {
        CountySize::Small => "small",
        CountySize::Model => "model",
    };
    let county = format!("--county {size} --seed {}", options.seed);
    let failed = |error| Failure::other("the data folder cannot be read", error);
    match state.meta(COUNTY).map_err(failed)? {
        Some(other) if other != county => Err(Failure::Data(format!(
            "the data folder {} holds another county; start with {other}, or choose another folder with --data",
            options.data.display()
        ))),
        Some(_) => Ok(()),
        None => state.set_meta(COUNTY, &county).map_err(failed),
    }
}

/// How much history is to be reported: all on the first start, the time nobody watched later.
fn history(state: &State, origin: Origin) -> Result<Span, Failure> {
    let told = state
        .meta(HISTORY)
        .map_err(|error| Failure::other("the data folder cannot be read", error))?;
    Ok(match (told, origin.unwatched) {
        (Some(_), Some(gap)) if gap < GAP_MIN => Span::ZERO,
        (Some(_), Some(gap)) => gap.min(HISTORY_MAX),
        _ => HISTORY_MAX,
    })
}

/// Lets the county run until somebody asks to stop, showing how far its history is.
async fn watch(
    server: &Server,
    child: &mut Child,
    state: &Arc<State>,
    clock: &dyn Clock,
    origin: Origin,
) -> Result<(), Failure> {
    let history = history(state, origin)?;
    let gate = server
        .mqtt
        .ok_or_else(|| Failure::plain("a demo needs the MQTT gate"))?;
    child.run(gate, history).await?;
    let mut shown = Shown::new(history);
    let mut keep = tokio::time::interval(KEEP_TIME_EVERY);
    let asked = stop::asked();
    tokio::pin!(asked);
    loop {
        tokio::select! {
            result = &mut asked => return result,
            why = server.storage_failed() => return Err(Failure::Storage(why)),
            report = child.report() => match report? {
                Report::Progress { history_total, history_acked, .. } => {
                    if shown.progress(history_acked, history_total)? {
                        let done = clock.now().to_rfc3339();
                        state.set_meta(HISTORY, &done).map_err(|error| Failure::other("the data folder cannot be written", error))?;
                    }
                }
                Report::Registry(_) => return Err(Failure::plain("the county registered twice")),
            },
            _ = keep.tick() => {
                if let Err(error) = county_clock::keep(state, clock.now()) {
                    tracing::warn!(%error, "the county's time could not be written down");
                }
            }
        }
    }
}
