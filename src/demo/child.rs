//! The county as a process of its own.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use telemetry::registry::Registry;
use telemetry::time::Span;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::arguments::{CountySize, Demo};
use crate::county_clock::Origin;
use crate::exit::Failure;
use crate::simulate::{RUN, Report};

/// How long the county has for its goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// The running county. It is killed when this is dropped, and ends by itself when this process dies.
pub(super) struct Child {
    process: tokio::process::Child,
    orders: Option<ChildStdin>,
    reports: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts this very program as `simulate`, in a process group of its own, so that Ctrl-C reaches only us.
    pub(super) fn start(options: &Demo, origin: Origin) -> Result<Self, Failure> {
        let failed = |error| Failure::other("the simulated county cannot be started", error);
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        let county = match options.county {
            CountySize::Small => "small",
            CountySize::Model => "model",
        };
        command
            .args(["simulate", "--child", "--county", county])
            .args([
                "--seed",
                &options.seed.to_string(),
                "--speed",
                &options.speed.to_string(),
            ])
            .args([
                "--base",
                &origin.base.millis().to_string(),
                "--origin",
                &origin.origin.millis().to_string(),
            ]);
        if !options.calm {
            command.arg("--usual-faults");
        }
        for fault in &options.faults {
            command.args(["--fault", fault]);
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let lost = || Failure::plain("the simulated county has no pipes");
        let orders = process.stdin.take().ok_or_else(lost)?;
        let reports = BufReader::new(process.stdout.take().ok_or_else(lost)?).lines();
        Ok(Self {
            process,
            orders: Some(orders),
            reports,
        })
    }

    /// Who and what there is: the county's first word.
    pub(super) async fn registry(&mut self) -> Result<Registry, Failure> {
        match self.report().await? {
            Report::Registry(registry) => Ok(registry),
            Report::Progress { .. } => Err(Failure::plain("the county reports before it is registered")),
        }
    }

    /// Lets it connect to the gate and tell so much history.
    pub(super) async fn run(&mut self, mqtt: SocketAddr, history: Span) -> Result<(), Failure> {
        let line = format!("{RUN} {mqtt} {history}\n");
        let Some(orders) = &mut self.orders else {
            return Err(Failure::plain("the county was stopped"));
        };
        orders
            .write_all(line.as_bytes())
            .await
            .map_err(|error| Failure::other("the simulated county does not listen", error))
    }

    /// The next thing it says.
    pub(super) async fn report(&mut self) -> Result<Report, Failure> {
        let failed = |error| Failure::other("the simulated county cannot be heard", error);
        match self.reports.next_line().await.map_err(failed)? {
            Some(line) => serde_json::from_str(&line).map_err(|error| failed(error.into())),
            None => {
                let status = self.process.wait().await.map_err(failed)?;
                Err(Failure::plain(format!(
                    "the simulated county has ended by itself ({status})"
                )))
            }
        }
    }

    /// Closes its standard input and waits until it has ended, not for ever.
    pub(super) async fn stop(mut self) {
        self.orders = None;
        if tokio::time::timeout(GOODBYE, self.process.wait()).await.is_err() {
            tracing::warn!("the simulated county did not stop in time and is killed");
        }
    }
}
