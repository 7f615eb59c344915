//! A server without a disk: after its storage has failed three times in a row it starts with a data folder in memory.
//!
//! It serves, judges and tells: a gas alarm reaches people as ever, marked as not durable and under keys of its own.
//! It acknowledges nothing, so the devices keep what they send; `/readyz` says 503, and the failure of the storage is
//! itself an alarm. From time to time it looks whether the disk works again; then it ends, to be started as usual.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use store::journal::{Journal, JournalConfig};
use store::series::{SeriesConfig, SeriesStore};
use store::state::State;
use telemetry::Clock;
use telemetry::time::SystemClock;

use super::cases::read_rules;
use super::serve::{read_health_policy, read_policy};
use super::{Plan, Server, listen, register};
use crate::arguments::Serve;
use crate::config::{self, Checked};
use crate::data_folder::DataFolder;
use crate::exit::Failure;
use crate::failed_starts::FailedStarts;
use crate::stop;

/// Most of the journal in memory.
const JOURNAL_MIB_MAX: u64 = 64;
/// Where folders in memory are, where the system has such a place.
const MEMORY: &str = "/dev/shm";

/// Runs until somebody asks to stop or the disk works again.
pub(super) async fn serve(
    options: &Serve,
    checked: Checked,
    failed: &FailedStarts,
) -> Result<ExitCode, Failure> {
    let folder = config::beside(&options.config, &checked.config.data.folder);
    let lock = hold_if_it_works(&folder)?;
    let why = format!(
        "degraded: the disk of {} failed; alarms are raised and told from memory, nothing is acknowledged or kept",
        folder.display()
    );
    tracing::error!(why);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let memory = MemoryFolder::make(clock.now().millis())?;
    let plan = plan(options, checked, &memory, &folder, clock, &why).await?;
    let server = Server::start(plan, "mqtt.listen in the configuration").await?;
    server.announce(&format!("{}, DEGRADED", options.config.display()));
    let works_again = tokio::select! {
        asked = stop::asked() => {
            asked?;
            false
        }
        () = until_it_works(&folder, options.degraded_look_every.duration()) => true,
    };
    server.stop().await?;
    drop(lock);
    if works_again {
        failed.one_left();
        return Err(Failure::Storage(format!(
            "the disk of {} works again: start anew, as usual",
            folder.display()
        )));
    }
    Ok(ExitCode::SUCCESS)
}

/// The lock of the data folder; none when the disk does not even do that. Another server there is an error.
fn hold_if_it_works(folder: &Path) -> Result<Option<DataFolder>, Failure> {
    match DataFolder::hold(folder) {
        Ok(held) => Ok(Some(held)),
        Err(Failure::Storage(why)) => {
            tracing::error!(why, "the data folder cannot be held");
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// The usual server on a data folder in memory, which begins with what can be read of the other one's alarms.
async fn plan(
    options: &Serve,
    checked: Checked,
    memory: &MemoryFolder,
    folder: &Path,
    clock: Arc<dyn Clock>,
    why: &str,
) -> Result<Plan, Failure> {
    let mut config = checked.config;
    let policy = read_policy(&options.config, &config.figures)?;
    let health = read_health_policy(&options.config, &config.figures)?;
    let cases = read_rules(&options.config, &config)?;
    config.data.journal_mib_max = config.data.journal_mib_max.min(JOURNAL_MIB_MAX);
    // Its cursor counts the messages of another journal; what is sent from memory would be sent again.
    config.remote = None;
    config.alarms.volatile = Some(format!("~degraded-{}", clock.now().millis()).into());
    let data = DataFolder::hold(&memory.0)?;
    let web = listen(*config.web.listen.get_ref(), "web.listen in the configuration").await?;
    let broken = |error| Failure::other("the state in memory cannot be made", error);
    let state = State::open(&data.path().join("state.db")).map_err(broken)?;
    if let Err(error) = state.take_over(&folder.join("state.db")) {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, cause, "alarms begin anew");
    }
    let state = Arc::new(state);
    let (catalogue, office) = register(&state, checked.registry, &checked.profiles, &clock)?;
    Ok(Plan {
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
        reserve: None,
        degraded: Some(why.to_owned()),
    })
}

/// Comes back when a file can be made durable in `folder` and its databases can be opened.
async fn until_it_works(folder: &Path, every: std::time::Duration) {
    loop {
        tokio::time::sleep(every).await;
        let folder = folder.to_owned();
        match tokio::task::spawn_blocking(move || works(&folder)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::error!(error, "the disk does not work yet"),
            Err(error) => tracing::error!(%error, "the look at the disk was cut off"),
        }
    }
}

fn works(folder: &Path) -> Result<(), String> {
    let file = folder.join("probe");
    let probe = || {
        let mut probe = File::create(&file)?;
        probe.write_all(b"does it work")?;
        probe.sync_all()?;
        std::fs::remove_file(&file)
    };
    probe().map_err(|error: std::io::Error| error.to_string())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    State::open(&folder.join("state.db")).map_err(|error| error.to_string())?;
    Journal::open(folder, JournalConfig::default(), Arc::clone(&clock)).map_err(|error| error.to_string())?;
    SeriesStore::open(folder, SeriesConfig::default(), clock).map_err(|error| error.to_string())?;
    Ok(())
}

/// A folder of this process alone, gone with it.
struct MemoryFolder(PathBuf);

impl MemoryFolder {
    fn make(now_ms: i64) -> Result<Self, Failure> {
        let memory = Path::new(MEMORY);
        let place = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let folder = place.join(format!("townwatch-degraded-{}-{now_ms}", std::process::id()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| Failure::other("no folder in memory could be made", error))?;
        Ok(Self(folder))
    }
}

impl Drop for MemoryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the folder in memory could not be removed");
        }
    }
}
