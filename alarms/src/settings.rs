//! What can be set about alarms: the `[alarms]` table of the configuration.

mod channels;
mod check;
mod recipients;
mod secret;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use telemetry::profile::Priority;
use telemetry::time::Span;

pub use channels::{
    AlertmanagerSettings, BodyForm, ChannelSettings, DingtalkSettings, EmailSettings, FeishuSettings,
    HookSettings, Language, Method, MqttSettings, Protection, SmsSettings, Way, WecomSettings,
};
pub use check::{CHANNELS_MAX, RECIPIENTS_MAX};
pub use recipients::{HeartbeatForm, HeartbeatSettings, RecipientSettings, Urgent};
pub use secret::Secret;

/// The `[alarms]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlarmSettings {
    /// L: how long samples of a point are remembered to sort late ones in, and how long back-fill must rest before
    /// its newest value is judged. Default `"30s"`, range `"0s"` to `"10min"`.
    pub lateness: Span,
    /// P: a sample older than this that is not the newest of its point is history and pages nobody.
    /// Default `"15min"`, range `"1min"` to `"1d"`.
    pub live_age: Span,
    /// F: a sample further than this in the future is taken at its time of arrival, with doubt.
    /// Default `"1min"`, range `"0s"` to `"1h"`.
    pub future_tolerance: Span,
    /// How long after start or provisioning nothing counts as silent. Default `"1min"`, range `"0s"` to `"1h"`.
    pub grace: Span,
    /// How long a signal must be good again before its sensor fault returns, so that a loose contact is one alarm and not
    /// a hundred; the same for a wrong device clock. Default `"1min"`, range `"0s"` to `"1d"`.
    pub fault_off_delay: Span,
    /// The longest time for which a person may shelve an alarm. Default `"8h"`, range `"1min"` to `"24h"`.
    pub shelve_max: Span,
    /// How long occurrences that are over and their log are kept. Default `"400d"`, range `"1d"` to `"3650d"`.
    pub keep: Span,
    /// A file with the county's own rules, relative to the configuration. Default: none, the profiles' rules hold.
    pub rules: Option<std::path::PathBuf>,
    /// What that file says. Not for the configuration.
    #[serde(skip)]
    pub book: std::sync::Arc<crate::rules::RuleBook>,
    /// Who hears of which alarms: `[[alarms.route]]`. Default: everybody of everything.
    #[serde(rename = "route")]
    pub routes: Vec<crate::telling::Route>,
    /// Who hears as well when nobody acknowledges: `[[alarms.escalation]]`. Default: nobody.
    pub escalation: Vec<crate::telling::Step>,
    /// Who is on duty when: `[[alarms.roster]]`. Default: nobody; recipients are then always on duty.
    pub roster: Vec<crate::telling::Duty>,
    /// Where notices go. Default: none; notices are then kept in the outbox as `no_channel`.
    #[serde(rename = "webhook")]
    pub webhooks: Vec<WebhookSettings>,
    /// More ways to tell people, of every kind. Default: none.
    #[serde(rename = "channel")]
    pub channels: Vec<ChannelSettings>,
    /// Who is told over which channels, in which order. Default: none; every channel is then told of everything.
    #[serde(rename = "recipient")]
    pub recipients: Vec<RecipientSettings>,
    /// A signal that always fires, to a receiver elsewhere. Default: none.
    pub heartbeat: Option<HeartbeatSettings>,
    /// Where people reach the pages, e.g. `"https://townwatch.example.org"`: what the links in notices begin with. Default: none,
    /// notices then name the page without the machine, and texts have no link.
    pub public_url: Option<Box<str>>,
    /// Private addresses that channels and the heartbeat may reach nevertheless, as host and port, e.g. `"127.0.0.1:9000"`.
    /// Default: none.
    pub allow: Vec<Box<str>>,
    /// The alarms lie in memory, because the disk failed: none is durable, and this stands at the end of the key of
    /// every notice, which must not pass for one that was told before. Not for the configuration. Default: none.
    #[serde(skip)]
    pub volatile: Option<Box<str>>,
    /// The alarms came out of a backup: those that were raised after the transition with this number bear this at the end
    /// of the key of every notice, the last one that fits. After a backup the numbers of occurrences begin again where it
    /// was taken, and a receiver must not take a new alarm for one that it was told before. Not for the configuration.
    /// Default: none.
    #[serde(skip)]
    pub restored: Vec<(u64, Box<str>)>,
}

impl Default for AlarmSettings {
    fn default() -> Self {
        Self {
            lateness: Span::from_secs(30),
            live_age: Span::from_secs(900),
            future_tolerance: Span::from_secs(60),
            grace: Span::from_secs(60),
            fault_off_delay: Span::from_secs(60),
            shelve_max: Span::from_secs(8 * 3600),
            keep: Span::from_secs(400 * 86_400),
            rules: None,
            book: std::sync::Arc::default(),
            routes: Vec::new(),
            escalation: Vec::new(),
            roster: Vec::new(),
            webhooks: Vec::new(),
            channels: Vec::new(),
            recipients: Vec::new(),
            heartbeat: None,
            public_url: None,
            allow: Vec::new(),
            volatile: None,
            restored: Vec::new(),
        }
    }
}

impl AlarmSettings {
    /// Who is told of what; `zone` is the county's.
    ///
    /// # Errors
    /// [`SettingsError`] for a route, a step or a duty that cannot be, or a zone that is none.
    pub fn telling(&self, zone: &str) -> Result<crate::telling::Telling, SettingsError> {
        let refused = |why| SettingsError {
            field: "route, escalation, roster",
            why,
        };
        let zone =
            jiff::tz::TimeZone::get(zone).map_err(|_| refused(format!("there is no zone {zone:?}")))?;
        let routes = self.routes.clone();
        crate::telling::Telling::new(routes, &self.escalation, &self.roster, &zone).map_err(refused)
    }

    /// What stands at the end of the key of every notice of an occurrence that was raised by transition `raised_seq`.
    pub(crate) fn key_suffix(&self, raised_seq: u64) -> &str {
        let restored = self.restored.iter().rev().find(|(after, _)| raised_seq > *after);
        let restored = restored.map(|(_, suffix)| &**suffix);
        self.volatile.as_deref().or(restored).unwrap_or_default()
    }

    /// Every channel, webhooks first.
    #[must_use]
    pub fn all_channels(&self) -> Vec<ChannelSettings> {
        let hook = |hook: &WebhookSettings| ChannelSettings {
            name: hook.name.clone(),
            priority_min: hook.priority_min,
            language: Language::Both,
            per_second: None,
            per_minute: None,
            way: Way::Webhook(HookSettings {
                url: hook.url.clone(),
                secret: hook.secret.as_deref().map(Secret::from),
            }),
        };
        let hooks = self.webhooks.iter().map(hook);
        hooks.chain(self.channels.iter().cloned()).collect()
    }

    /// Whether a route may name it: a recipient, a channel, a person of the roster, or everybody.
    pub(crate) fn is_recipient(&self, name: &str) -> bool {
        self.recipients.iter().any(|recipient| *recipient.name == *name)
            || self.wanted().any(|(channel, _)| channel == name)
    }

    /// Name and least priority of every channel, webhooks first.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (&str, Priority)> {
        let hooks = self.webhooks.iter().map(|hook| (&*hook.name, hook.priority_min));
        let others = self
            .channels
            .iter()
            .map(|channel| (&*channel.name, channel.priority_min));
        hooks.chain(others)
    }
}

/// One `[[alarms.webhook]]`: the short form of a channel of kind `webhook`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Name of the channel, part of every key of its notices: changing it sends nothing twice only if it stays. 1–32
    /// characters, different for each webhook. No default.
    pub name: Box<str>,
    /// `http://` or `https://`. No default.
    pub url: Box<str>,
    /// Secret for the signature of Standard Webhooks, as `whsec_` and base64. Default: none, notices are then not signed.
    #[serde(default, skip_serializing)]
    pub secret: Option<Box<str>>,
    /// The least priority that goes there; life-safety alarms always go. Default `"low"`.
    #[serde(default = "low")]
    pub priority_min: Priority,
}

impl std::fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookSettings")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("secret", &self.secret.as_ref().map(|_| "…"))
            .field("priority_min", &self.priority_min)
            .finish()
    }
}

fn low() -> Priority {
    Priority::Low
}

/// What is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("alarms.{field}: {why}")]
pub struct SettingsError {
    /// Which field.
    pub field: &'static str,
    /// What is wrong, and what is allowed.
    pub why: String,
}

impl AlarmSettings {
    /// Checks every range that the fields name.
    ///
    /// # Errors
    /// [`SettingsError`] with the first field outside its range.
    pub fn check(&self) -> Result<(), SettingsError> {
        let ranges = [
            ("lateness", self.lateness, 0, 600),
            ("live_age", self.live_age, 60, 86_400),
            ("future_tolerance", self.future_tolerance, 0, 3600),
            ("grace", self.grace, 0, 3600),
            ("fault_off_delay", self.fault_off_delay, 0, 86_400),
            ("shelve_max", self.shelve_max, 60, 86_400),
            ("keep", self.keep, 86_400, 3650 * 86_400),
        ];
        for (field, span, least, most) in ranges {
            let (least, most) = (Span::from_secs(least), Span::from_secs(most));
            if !(least..=most).contains(&span) {
                return Err(SettingsError {
                    field,
                    why: format!("{span}; {least} to {most} is allowed"),
                });
            }
        }
        for (place, webhook) in self.webhooks.iter().enumerate() {
            if let Some(why) = webhook.nonsense(self.webhooks.get(..place).unwrap_or_default()) {
                return Err(SettingsError {
                    field: "webhook",
                    why,
                });
            }
        }
        self.check_telling()?;
        check::check(self)
    }

    /// A name that nobody bears would be told of nothing.
    fn check_telling(&self) -> Result<(), SettingsError> {
        let routed = self.routes.iter().map(|route| &route.to);
        let escalated = self.escalation.iter().flat_map(|step| &step.to);
        let on_duty = self.roster.iter().map(|duty| &duty.person);
        for name in routed.chain(escalated).chain(on_duty) {
            let shared = matches!(&**name, crate::telling::EVERYBODY | crate::telling::ON_CALL);
            if !shared && !self.is_recipient(name) {
                return Err(SettingsError {
                    field: "route, escalation, roster",
                    why: format!(
                        "{name:?} is no recipient and no channel; a name of [[alarms.recipient]] or of a channel is expected"
                    ),
                });
            }
        }
        Ok(())
    }
}

impl WebhookSettings {
    fn nonsense(&self, earlier: &[Self]) -> Option<String> {
        let Self {
            name, url, secret, ..
        } = self;
        if name.is_empty() || name.chars().count() > 32 {
            return Some(format!("name {name:?}; 1 to 32 characters are allowed"));
        }
        if earlier.iter().any(|other| other.name == *name) {
            return Some(format!("name {name:?} stands there twice"));
        }
        match reqwest::Url::parse(url) {
            Err(error) => return Some(format!("{name}: url {url:?}: {error}")),
            Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
                return Some(format!("{name}: url {url}; http:// or https:// is allowed"));
            }
            Ok(_) => {}
        }
        let secret = secret.as_deref()?;
        crate::notify::signature::key(secret)
            .err()
            .map(|why| format!("{name}: secret: {why}"))
    }
}
