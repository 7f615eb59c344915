//! The server watches itself: a built-in device whose readings go the way of all others, so that a full disk, a slow
//! journal or a certificate that ends is an alarm like any other.
//!
//! [`register`] puts it into the catalogue; [`readings`] is the list of what is measured, one line each. A thread
//! reads the list every second and sends it every ten, and at once when something begins or ends to be wrong.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use broker::Intake as _;
use store::reserve::DiskSpace;
use telemetry::profile::{Profile, Title};
use telemetry::registry::{Attributes, Device, Registry, Site, SiteKind, Transport};
use telemetry::time::Span;
use telemetry::{DeviceId, IdError, Origin, RawMessage, SiteId};

use super::sources::Sources;

/// The device and its site.
pub(crate) const SELF: &str = "townwatch";
/// The profile's kind.
const KIND: &str = "server";
/// From one sending to the next, on the clock.
const SEND_EVERY: Span = Span::from_secs(10);
/// From one look to the next, in real time.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Signals that are sent at once when they change between none and some.
const FLAGS: [&str; 5] = [
    "storage_failed",
    "journal_refusing",
    "reserve_used",
    "alarms_not_durable",
    "notify_failed_channels",
];

/// Puts the server itself into the registry that the catalogue is built from; not into the one that is kept. Where the
/// registry or the profiles have these names for something else, theirs stay and the server does not watch itself.
///
/// # Errors
/// Never: the names are sound.
pub(crate) fn register(
    registry: &mut Registry,
    profiles: &BTreeMap<Box<str>, Arc<Profile>>,
) -> Result<(), IdError> {
    let taken = registry.devices.iter().any(|device| device.id.as_str() == SELF)
        || registry.sites.iter().any(|site| site.id.as_str() == SELF);
    if taken || !profiles.contains_key(KIND) {
        tracing::warn!("the registry has a {SELF} of its own: the server does not watch itself");
        return Ok(());
    }
    let name = || Title {
        zh: "本服务器".into(),
        en: "this server".into(),
    };
    let (device, site) = (DeviceId::new(SELF)?, SiteId::new(SELF)?);
    registry.sites.push(Site {
        id: site.clone(),
        kind: SiteKind::Server,
        name: name(),
        organisation: "".into(),
        town: "".into(),
        position: registry.county.position,
        attributes: Attributes::new(),
    });
    registry.devices.push(Device {
        id: device,
        site,
        profile: KIND.into(),
        name: Some(name()),
        position: None,
        transport: Transport::Mqtt,
        gateway: None,
        password_hash: None,
        attributes: Attributes::new(),
    });
    Ok(())
}

/// One thing that is measured: the signal's name, and how to read it; none when there is nothing to read.
type Reading = (&'static str, Box<dyn FnMut(&Sources) -> Option<f64> + Send>);

/// Everything that is measured. `folder` is the data folder.
fn readings(folder: PathBuf) -> Vec<Reading> {
    let (mut dead, mut missed) = (PerMinute::default(), PerMinute::default());
    vec![
        (
            "disk_free",
            Box::new(move |_| DiskSpace::of(&folder).ok().map(|space| space.free_percent())),
        ),
        (
            "reserve_used",
            Box::new(|of| {
                Some(flag(
                    of.reserve.as_ref().is_some_and(|reserve| !reserve.is_held()),
                ))
            }),
        ),
        (
            "journal_refusing",
            Box::new(|of| Some(flag(of.journal.stats().refusing))),
        ),
        (
            "journal_commit",
            Box::new(|of| Some(of.clock.real(of.journal.take_commit_max()).as_secs_f64() * 1000.0)),
        ),
        (
            "storage_failed",
            Box::new(|of| Some(flag(of.why_storage_failed().is_some()))),
        ),
        (
            "disk_lied",
            Box::new(|of| Some(of.series.distrusted_days() as f64)),
        ),
        (
            "alarms_not_durable",
            Box::new(|of| {
                let counts = of.service.counts();
                Some((counts.not_durable + counts.not_journaled) as f64)
            }),
        ),
        (
            "notify_failed_channels",
            Box::new(|of| Some(of.service.notify_status().failed(&*of.clock) as f64)),
        ),
        (
            "dead_letters",
            Box::new(move |of| dead.count(of, of.counters.dead_letters.load(Ordering::Relaxed))),
        ),
        ("certificate_days", Box::new(certificate_days)),
        (
            "remote_lag",
            Box::new(|of| Some(of.remote.as_ref()?.status.waits_ms(of.clock.now()) as f64 / 1000.0)),
        ),
        (
            "remote_missed",
            Box::new(move |of| missed.count(of, of.remote.as_ref()?.status.missed.load(Ordering::Relaxed))),
        ),
        (
            "remote_stopped",
            Box::new(|of| Some(flag(of.remote.as_ref()?.status.stopped.load(Ordering::Acquire)))),
        ),
    ]
}

/// Days left of the certificate that ends first; none when no listener shows one.
fn certificate_days(of: &Sources) -> Option<f64> {
    let now = of.clock.now();
    let certificates = of.gate.as_ref()?.certificates();
    let left = certificates
        .iter()
        .map(|certificate| certificate.not_after.millis_since(now))
        .min()?;
    Some(left as f64 / 86_400_000.0)
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// How much a count has grown over the last minute of the clock.
#[derive(Default)]
struct PerMinute {
    /// Time and count, the oldest first; a minute of them.
    seen: std::collections::VecDeque<(Span, u64)>,
}

impl PerMinute {
    fn count(&mut self, of: &Sources, count: u64) -> Option<f64> {
        let now = of.clock.monotonic();
        let begin = now.millis().saturating_sub(60_000);
        while self.seen.get(1).is_some_and(|(at, _)| at.millis() <= begin) {
            self.seen.pop_front();
        }
        // One look a second at most is remembered: sixty of them.
        if self
            .seen
            .back()
            .is_none_or(|(at, _)| now.millis() >= at.millis() + 1000)
        {
            self.seen.push_back((now, count));
        }
        let (_, before) = self.seen.front()?;
        Some(count.saturating_sub(*before) as f64)
    }
}

/// What looks at the list and sends it.
pub(super) struct Platform {
    readings: Vec<Reading>,
    sent_at: Option<Span>,
    flags: Vec<bool>,
    runtime: tokio::runtime::Handle,
}

impl Platform {
    /// It sends on the runtime from which it is called.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            readings: readings(folder),
            sent_at: None,
            flags: Vec::new(),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// Looks, and sends when it is time or something has changed.
    pub(super) fn look(&mut self, of: &Arc<Sources>) {
        if of
            .catalogue
            .device(SELF)
            .is_none_or(|entry| &*entry.profile.kind != KIND)
        {
            return;
        }
        let values: Vec<(&str, f64)> = self
            .readings
            .iter_mut()
            .filter_map(|(name, read)| Some((*name, read(of)?)))
            .collect();
        let flags: Vec<bool> = values
            .iter()
            .filter(|(name, _)| FLAGS.contains(name))
            .map(|(_, value)| *value > 0.0)
            .collect();
        let now = of.clock.monotonic();
        let due = self.sent_at.is_none_or(|at| {
            let passed = now.since(at);
            // On a fast clock not more often than a slow disk likes.
            passed >= SEND_EVERY && of.clock.real(passed) >= Duration::from_secs(1)
        });
        if due || flags != self.flags {
            self.sent_at = Some(now);
            self.flags = flags;
            self.send(of, &values);
        }
    }

    fn send(&self, of: &Arc<Sources>, values: &[(&str, f64)]) {
        let Ok(sender) = DeviceId::new(SELF) else { return };
        let arrived = of.clock.now();
        let values: serde_json::Map<String, serde_json::Value> = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        let payload = serde_json::json!({ "ts": arrived.millis(), "values": values }).to_string();
        let message = RawMessage {
            arrived,
            origin: Origin::Server,
            sender,
            topic: format!("tw/v1/{SELF}/telemetry").into(),
            payload: payload.into(),
        };
        let accepted = of.intake.accept(vec![message]);
        self.runtime.spawn(async move {
            if let Err(error) = accepted.await {
                tracing::debug!(%error, "the server's own readings are not in the journal");
            }
        });
    }
}
