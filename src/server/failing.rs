//! The end after a failed fsync: nothing is acknowledged any more, people are told, the process ends within a second.

use std::sync::Arc;
use std::time::Duration;

use alarms::service::AlarmFilter;

use super::Server;
use super::platform::SELF;
use super::sources::Sources;

/// How often the files are asked whether they still work.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long clients may take to hear that it is over.
const CLIENTS: Duration = Duration::from_millis(250);
/// How long notices may take.
const NOTICES: Duration = Duration::from_millis(500);

impl Sources {
    /// Why nothing may be written any more; none while all is well.
    pub(super) fn why_storage_failed(&self) -> Option<String> {
        if let Some(why) = &self.degraded {
            return Some(why.clone());
        }
        if let Some(why) = self.journal.stopped() {
            return Some(format!("the journal has stopped: {why}"));
        }
        if let Some(why) = self.state.stopped() {
            return Some(format!("the state database has stopped: {why}"));
        }
        if let Some(why) = self.kept.stopped() {
            return Some(format!("sessions of MQTT clients are no longer kept: {why}"));
        }
        let error = self.pipeline.error()?;
        Some(telemetry::with_causes(&*error))
    }
}

impl Server {
    /// Comes back with the reason when the storage fails.
    pub(crate) async fn storage_failed(&self) -> String {
        let mut ask = tokio::time::interval(ASK_EVERY);
        loop {
            ask.tick().await;
            if let Some(why) = self.sources.why_storage_failed() {
                return why;
            }
        }
    }

    /// Tells clients and people what can still be told. Nothing is acknowledged and nothing is waited for long.
    pub(crate) async fn last_words(&self) {
        self.watch.hurry();
        let gate = tokio::time::timeout(CLIENTS, async {
            if let Some(gate) = &self.sources.gate {
                gate.stop().await;
            }
        });
        let told = tokio::time::timeout(NOTICES, told(&self.sources));
        let (gate, told) = tokio::join!(gate, told);
        if gate.is_err() {
            tracing::warn!("not every client could be told that the server ends");
        }
        if told.is_err() {
            tracing::warn!("not every notice could be sent before the end");
        }
    }
}

/// Comes back when the failure of the storage is an alarm and no notice is left to be sent.
async fn told(sources: &Arc<Sources>) {
    loop {
        let of = Arc::clone(sources);
        let said = tokio::task::spawn_blocking(move || is_told(&of)).await;
        if said.unwrap_or(true) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn is_told(of: &Sources) -> bool {
    let open = AlarmFilter {
        open_only: true,
        device: Some(SELF.to_owned()),
        ..AlarmFilter::default()
    };
    let raised = of.service.list(&open).unwrap_or_default();
    let known = raised
        .iter()
        .any(|alarm| alarm.signal.as_deref() == Some("storage_failed"));
    let watched = of.catalogue.device(SELF).is_some();
    (known || !watched) && of.service.has_told_all(of.clock.now())
}
