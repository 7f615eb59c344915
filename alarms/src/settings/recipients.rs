//! Who is told over which channels, and the sign of life: `[[alarms.recipient]]` and `[alarms.heartbeat]`.

use serde::{Deserialize, Serialize};
use telemetry::profile::Priority;
use telemetry::time::Span;

use super::Secret;

/// Which notices go on to the next channel when one does not get through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgent {
    /// Those of life-safety alarms, and of critical alarms of the server about itself: one of them says that a channel failed.
    #[default]
    LifeSafety,
    /// All.
    All,
}

/// One `[[alarms.recipient]]`: a person or a desk, and the ways to reach them in turn. A channel that stands in no such list
/// is told of everything by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientSettings {
    /// Part of the key of every notice. 1–32 letters, digits, `-` and `_`, different for each recipient. No default.
    pub name: Box<str>,
    /// Names of channels and webhooks, 1 to 8: the first is used, the others when the one before does not get through.
    /// No default.
    pub channels: Vec<Box<str>>,
    /// The least priority that this recipient is told; life-safety alarms always are. Default `"low"`.
    #[serde(default = "super::low")]
    pub priority_min: Priority,
    /// How long a channel may take; by then at the latest the next one has the notice, too. Default `"60s"`, range `"5s"` to `"1h"`.
    #[serde(default = "minute")]
    pub next_channel_after: Span,
    /// Which notices go on to the next channel: `"life_safety"` or `"all"`. Default `"life_safety"`.
    #[serde(default)]
    pub next_channel_for: Urgent,
}

pub(super) fn minute() -> Span {
    Span::from_secs(60)
}

/// The form of a sign of life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeartbeatForm {
    /// A POST with the alert `Watchdog` in the form of Alertmanager's webhooks, version 4.
    #[default]
    Alertmanager,
    /// A GET.
    Get,
    /// A POST without a body.
    Post,
}

/// `[alarms.heartbeat]`: a signal that always fires, to a receiver elsewhere that calls people when it no longer comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatSettings {
    /// `http://` or `https://`; it is never shown, as such receivers want their token in it. No default.
    pub url: Secret,
    /// From one to the next. Default `"60s"`, range `"5s"` to `"1h"`. The receiver should call after two of them.
    #[serde(default = "minute")]
    pub every: Span,
    /// `"alertmanager"`, `"get"` or `"post"`. Default `"alertmanager"`.
    #[serde(default)]
    pub form: HeartbeatForm,
}
