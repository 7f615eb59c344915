//! The alarm service as the web's book of alarms.

use alarms::AlarmService;
use alarms::engine::Tag;
use alarms::lifecycle::AlarmState;
use alarms::service::{AlarmError, AlarmFilter};
use telemetry::profile::RuleKind;
use telemetry::{Catalogue, DeviceId, SiteId};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{
    AckError, Acknowledged, Act, AlarmBook, AlarmStage, AlarmView, Change, Changes, DeviceAct, InForce,
    LogFilter, LogView, Wanted,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The alarms of an [`AlarmService`].
#[derive(Debug)]
pub struct ServiceBook {
    service: std::sync::Arc<AlarmService>,
    catalogue: std::sync::Arc<Catalogue>,
}

impl ServiceBook {
    /// The book over that service; `catalogue` is the one that the service judges by.
    #[must_use]
    pub fn new(service: std::sync::Arc<AlarmService>, catalogue: std::sync::Arc<Catalogue>) -> Self {
        Self { service, catalogue }
    }

    fn view(&self, alarm: alarms::AlarmView) -> Option<AlarmView> {
        let silence = self.is_silence(&alarm);
        Some(AlarmView {
            state: match alarm.state {
                AlarmState::Normal => AlarmStage::Normal,
                AlarmState::Unacknowledged => AlarmStage::Unacknowledged,
                AlarmState::Acknowledged => AlarmStage::Acknowledged,
                AlarmState::ReturnedUnacknowledged => AlarmStage::ReturnedUnacknowledged,
                AlarmState::LatchedUnacknowledged => AlarmStage::LatchedUnacknowledged,
                AlarmState::LatchedAcknowledged => AlarmStage::LatchedAcknowledged,
                AlarmState::Shelved => AlarmStage::Shelved,
                AlarmState::SuppressedByDesign => AlarmStage::SuppressedByDesign,
                AlarmState::OutOfService => AlarmStage::OutOfService,
            },
            open: alarm.is_open(),
            silence,
            tags: alarm.tags.iter().map(|tag| tag_name(*tag)).collect(),
            site: SiteId::new(&alarm.site).ok()?,
            device: DeviceId::new(&alarm.device).ok()?,
            since: alarm.since.into(),
            raised: alarm.raised_at.into(),
            returned: alarm.returned_at.map(Into::into),
            acknowledged: alarm.acknowledged.map(|known| Acknowledged {
                at: known.at.into(),
                by: known.by,
                remark: known.remark,
            }),
            id: alarm.id,
            rule: alarm.rule,
            title: alarm.title,
            priority: alarm.priority,
            life_safety: alarm.life_safety,
            stale: alarm.stale,
            durable: alarm.durable,
            site_name: alarm.site_name,
            device_name: alarm.device_name,
            signal: alarm.signal,
            signal_title: alarm.signal_title,
            unit: alarm.unit,
            decimals: alarm.decimals,
            value: alarm.value,
            limit: alarm.limit,
            raised_seq: alarm.raised_seq,
        })
    }

    /// Whether the rule of the alarm is one of silence, by the device's profile.
    fn is_silence(&self, alarm: &alarms::AlarmView) -> bool {
        let Some((_, rule)) = alarm.rule.split_once('/') else {
            return false;
        };
        self.catalogue.device(&alarm.device).is_some_and(|entry| {
            entry
                .profile
                .rules
                .iter()
                .any(|known| &*known.id == rule && known.kind == RuleKind::Silence)
        })
    }
}

const fn tag_name(tag: Tag) -> &'static str {
    match tag {
        Tag::Late => "late",
        Tag::Historical => "historical",
        Tag::Contradicted => "contradicted",
        Tag::Momentary => "momentary",
        Tag::Test => "test",
        Tag::Chattering => "chattering",
        Tag::Rollover => "rollover",
        Tag::CounterReset => "counter_reset",
    }
}

fn refused(error: AlarmError) -> AckError {
    match error {
        AlarmError::Unknown { id } => AckError::Unknown(id),
        AlarmError::NotOwed { id, why } => AckError::NotOwed { id, why },
        AlarmError::Refused { what, why } => AckError::NotAllowed { what, why },
        AlarmError::Length { .. } => AckError::Refused(error.to_string()),
        other => AckError::Failed(Box::new(other)),
    }
}

impl AlarmBook for ServiceBook {
    fn list(&self, wanted: &Wanted) -> Result<Vec<AlarmView>, BoxError> {
        let filter = AlarmFilter {
            open_only: wanted.open_only,
            site: wanted.site.clone(),
            device: None,
            before: wanted.before,
            limit: wanted.limit,
        };
        let list = self.service.list(&filter)?;
        Ok(list.into_iter().filter_map(|alarm| self.view(alarm)).collect())
    }

    fn log(&self, wanted: &LogFilter) -> Result<Vec<LogView>, BoxError> {
        Ok(self.service.log_in(wanted)?)
    }

    fn acknowledge(&self, id: &str, by: &str, remark: &str) -> Result<AlarmView, AckError> {
        let done = self.service.acknowledge(id, by, remark).map_err(refused)?;
        let id = done.id.clone();
        self.view(done).ok_or(AckError::Unknown(id))
    }

    fn act(&self, id: &str, act: Act, by: &str, remark: &str) -> Result<AlarmView, AckError> {
        let done = self.service.act_on_alarm(id, act, by, remark).map_err(refused)?;
        let id = done.id.clone();
        self.view(done).ok_or(AckError::Unknown(id))
    }

    fn act_on_device(&self, device: &str, act: DeviceAct, by: &str, remark: &str) -> Result<(), AckError> {
        self.service
            .act_on_device(device, act, by, remark)
            .map_err(refused)
    }

    fn rules(&self, site: Option<&str>, device: Option<&str>) -> InForce {
        self.service.rules_in_force(site, device)
    }

    fn changes(&self) -> Box<dyn Changes> {
        Box::new(Following {
            receiver: self.service.subscribe(),
            book: Self {
                service: self.service.clone(),
                catalogue: self.catalogue.clone(),
            },
        })
    }
}

struct Following {
    receiver: broadcast::Receiver<std::sync::Arc<alarms::view::AlarmChange>>,
    book: ServiceBook,
}

impl Changes for Following {
    fn next<'a>(&'a mut self) -> std::pin::Pin<Box<dyn Future<Output = Change> + Send + 'a>> {
        Box::pin(async move {
            loop {
                match self.receiver.recv().await {
                    Ok(change) => {
                        if let Some(view) = self.book.view(change.alarm.clone()) {
                            let durable = view.durable && change.durable;
                            return Change::Alarm(Box::new(AlarmView { durable, ..view }));
                        }
                    }
                    Err(RecvError::Lagged(lost)) => return Change::Missed(lost),
                    Err(RecvError::Closed) => return Change::Over,
                }
            }
        })
    }
}
