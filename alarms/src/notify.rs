//! Telling people: the worker that takes notices from the outbox and hands them to their channels.
//!
//! Each notice is sent at least once, with a key that stays the same over retries and restarts, so a receiver can drop
//! repetitions. Life-safety goes first and alone; what else does not fit into the budget of a channel goes as a digest. Each
//! channel has a queue of its own: one that hangs or must wait holds up no other. Pure: `attempt`, `budget`, `digest`,
//! `failover`, `render`, and the forms of each kind. Doing: `worker`, `channel`, `http`, `smtp`, `publish`.

mod worker;

mod channel;

pub mod failover;

mod attempt;
mod budget;
mod digest;
mod heartbeat;
pub mod message;
pub mod past;
mod render;
pub mod status;

mod alertmanager;
pub mod email;
pub mod mqtt;
mod robots;
pub mod signature;
pub mod sms;
mod webhook;

pub mod guard;
mod http;
mod publish;
mod smtp;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use reqwest::Url;
use telemetry::Clock;

use crate::service::AlarmService;
use crate::settings::{AlarmSettings, HeartbeatForm, SettingsError};
use telemetry::time::Span;

pub use attempt::{Outcome, after_attempt};
use channel::Channel;
use http::{Clients, Door};

/// Why the worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A setting is out of range.
    #[error("the settings of the notices are wrong")]
    Settings(#[from] SettingsError),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built")]
    Client(#[from] reqwest::Error),
}

/// The worker of the outbox. Its [`Notifier::run`] is in `worker.rs`.
pub struct Notifier {
    service: Arc<AlarmService>,
    clock: Arc<dyn Clock>,
    settings: AlarmSettings,
    channels: Vec<Arc<Channel>>,
    heartbeat: Option<Heartbeat>,
}

/// Where the sign of life goes.
struct Heartbeat {
    url: Url,
    form: HeartbeatForm,
    every: Span,
    door: Door,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier")
            .field("channels", &self.channels.len())
            .field("heartbeat", &self.heartbeat.is_some())
            .finish_non_exhaustive()
    }
}

impl Notifier {
    /// A worker for the channels of `settings`.
    ///
    /// # Errors
    /// [`NotifyError`] when a setting is wrong, a file that it names cannot be read, or the HTTP client cannot be built.
    pub fn new(
        service: Arc<AlarmService>,
        clock: Arc<dyn Clock>,
        settings: &AlarmSettings,
    ) -> Result<Self, NotifyError> {
        settings.check()?;
        let clients = Clients::new()?;
        let channels = Channel::all(settings, &clients)?;
        let heartbeat = settings
            .heartbeat
            .as_ref()
            .map(|heartbeat| {
                let url = Url::parse(heartbeat.url.reveal()).map_err(|error| SettingsError {
                    field: "heartbeat",
                    why: error.to_string(),
                })?;
                Ok::<_, SettingsError>(Heartbeat {
                    door: clients.door(&url, &settings.allow),
                    url,
                    form: heartbeat.form,
                    every: heartbeat.every,
                })
            })
            .transpose()?;
        Ok(Self {
            service,
            clock,
            settings: settings.clone(),
            channels: channels.into_iter().map(Arc::new).collect(),
            heartbeat,
        })
    }
}
