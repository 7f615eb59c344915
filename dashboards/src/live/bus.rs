//! What changed, on its way to every browser that looks.

use std::sync::Arc;

use tokio::sync::broadcast;

/// Events kept for a slow client. One that falls behind further loses them and is told to `resync`.
pub const EVENTS_MAX: usize = 512;

/// One event of `GET /api/v1/live`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `alarm`, `case`, `site`, `figures`, `stats` or `resync`.
    pub name: &'static str,
    /// JSON.
    pub data: Arc<str>,
}

/// The bounded broadcast behind the live feed. Sending never waits.
#[derive(Clone, Debug)]
pub struct Bus {
    sender: broadcast::Sender<Event>,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(EVENTS_MAX),
        }
    }
}

impl Bus {
    /// Sends to all who listen; without listeners nothing happens.
    pub fn send(&self, name: &'static str, body: &impl serde::Serialize) {
        match serde_json::to_string(body) {
            Ok(json) => drop(self.sender.send(Event {
                name,
                data: json.into(),
            })),
            Err(error) => tracing::error!(name, %error, "live event could not be written"),
        }
    }

    /// What is sent from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }
}
