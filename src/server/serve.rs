//! `townwatch serve`: the usual start, the count of its failures, and the end when the storage fails.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use alarms::figures::{HealthPolicy, Policy};
use telemetry::Clock;
use telemetry::time::SystemClock;

use super::cases::read_rules;
use super::{Plan, Server, degraded, listen, open_reserve, open_state, register};
use crate::arguments::Serve;
use crate::config::{self, Checked, Figures};
use crate::data_folder::DataFolder;
use crate::exit::Failure;
use crate::failed_starts::{FAILURES_MAX, FailedStarts};
use crate::stop;

/// A server that has run for so long without a failure of its storage is well.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// `townwatch serve`.
pub(crate) async fn serve(options: &Serve) -> Result<ExitCode, Failure> {
    let checked = read(options)?;
    let failed = FailedStarts::of(&config::beside(&options.config, &checked.config.data.folder));
    if options.degraded || failed.count() >= FAILURES_MAX {
        return degraded::serve(options, checked, &failed).await;
    }
    let failure = match usual(options, checked, &failed).await {
        Err(Failure::Storage(why)) => why,
        outcome => return outcome,
    };
    let count = failed.add();
    tracing::error!(why = failure, count, "the storage failed at the start");
    if failed.count() < count {
        // Not even the count can be written: the next start would fare no better.
        return degraded::serve(options, read(options)?, &failed).await;
    }
    Err(Failure::Storage(failure))
}

pub(super) fn read(options: &Serve) -> Result<Checked, Failure> {
    config::read(&options.config).map_err(|findings| Failure::refused(&findings))
}

/// Starts, runs until somebody asks to stop or the storage fails, and stops.
async fn usual(options: &Serve, checked: Checked, failed: &FailedStarts) -> Result<ExitCode, Failure> {
    let config = checked.config;
    let policy = read_policy(&options.config, &config.figures)?;
    let health = read_health_policy(&options.config, &config.figures)?;
    let cases = read_rules(&options.config, &config)?;
    let data = DataFolder::hold(&config::beside(&options.config, &config.data.folder))?;
    let web = listen(*config.web.listen.get_ref(), "web.listen in the configuration").await?;
    let reserve = open_reserve(&data)?;
    let state = open_state(&data, &reserve)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (catalogue, office) = register(&state, checked.registry, &checked.profiles, &clock)?;
    let plan = Plan {
        data,
        state,
        clock,
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
    let server = Server::start(plan, "mqtt.listen in the configuration").await?;
    server.announce(&options.config.display().to_string());
    let well = tokio::time::sleep(WELL_AFTER);
    tokio::pin!(well);
    let mut counted = true;
    let mut hangup = stop::hangup()?;
    loop {
        tokio::select! {
            asked = stop::asked() => {
                asked?;
                server.stop().await?;
                return Ok(ExitCode::SUCCESS);
            }
            _ = hangup.recv() => {
                server.reload_certificates();
                server.reload_rules(options.config.clone());
            }
            why = server.storage_failed() => end(&server, failed, &why).await,
            () = &mut well, if counted => {
                counted = false;
                failed.clear();
            }
        }
    }
}

/// The storage has failed: nothing is tried any more, and nothing is waited for that hangs in the disk.
async fn end(server: &Server, failed: &FailedStarts, why: &str) {
    let count = failed.add();
    tracing::error!(why, count, "the storage failed: the server ends");
    server.last_words().await;
    // The code is printed by whoever reads it; destructors would wait for the failed disk.
    let _code = Failure::Storage(why.to_owned()).report();
    std::process::exit(i32::from(Failure::Storage(String::new()).code()));
}

pub(crate) fn read_policy(file: &Path, figures: &Figures) -> Result<Policy, Failure> {
    let refused = |error: alarms::figures::PolicyError| Failure::other("the policy pack is wrong", error);
    let Some(named) = &figures.policy else {
        return Policy::builtin().map_err(refused);
    };
    let (shown, text) = config::read_named(file, named.get_ref(), "policy pack")?;
    Policy::parse(&shown, &text).map_err(refused)
}

pub(super) fn read_health_policy(file: &Path, figures: &Figures) -> Result<HealthPolicy, Failure> {
    let refused =
        |error: alarms::figures::PolicyError| Failure::other("the bounds of alarm health are wrong", error);
    let Some(named) = &figures.alarm_health else {
        return HealthPolicy::builtin().map_err(refused);
    };
    let (shown, text) = config::read_named(file, named.get_ref(), "bounds of alarm health")?;
    HealthPolicy::parse(&shown, &text).map_err(refused)
}
