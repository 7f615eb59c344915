//! The channels: what each kind needs, and handing it one message.

use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use store::state::alarms::Notice;
use telemetry::Timestamp;

use super::attempt::Outcome;
use super::budget::Budget;
use super::digest::{Gathering, Parcel};
use super::http::{Answer, Ask, Clients, Door};
use super::publish::Publisher;
use super::render::{Letter, letter};
use super::robots::{self, Robot};
use super::smtp::Post;
use super::{NotifyError, alertmanager, email, mqtt, signature, sms, webhook};
use crate::settings::{
    AlarmSettings, AlertmanagerSettings, ChannelSettings, DingtalkSettings, EmailSettings, FeishuSettings,
    Language, MqttSettings, SettingsError, SmsSettings, Way, WecomSettings,
};

/// A channel that is ready to send.
pub(super) struct Channel {
    pub(super) name: Box<str>,
    pub(super) kind: &'static str,
    language: Language,
    rates: (u32, u32),
    public_url: Option<Box<str>>,
    way: Ready,
}

/// What a kind needs for sending.
enum Ready {
    Webhook {
        url: Url,
        key: Option<Vec<u8>>,
        door: Door,
    },
    Alertmanager {
        url: Url,
        settings: AlertmanagerSettings,
        door: Door,
    },
    Email {
        settings: EmailSettings,
        post: Box<Post>,
    },
    Mqtt {
        settings: MqttSettings,
        publisher: Box<Publisher>,
    },
    Dingtalk {
        url: Url,
        settings: DingtalkSettings,
        door: Door,
    },
    Wecom {
        url: Url,
        settings: WecomSettings,
        door: Door,
    },
    Feishu {
        url: Url,
        settings: FeishuSettings,
        door: Door,
    },
    Sms {
        settings: SmsSettings,
        door: Door,
    },
}

impl Channel {
    /// Every channel of `settings`.
    pub(super) fn all(settings: &AlarmSettings, clients: &Clients) -> Result<Vec<Self>, NotifyError> {
        let channels = settings.all_channels();
        channels
            .iter()
            .map(|channel| Self::new(channel, settings, clients))
            .collect()
    }

    fn new(
        channel: &ChannelSettings,
        settings: &AlarmSettings,
        clients: &Clients,
    ) -> Result<Self, NotifyError> {
        let (second, minute) = channel.way.rates();
        Ok(Self {
            name: channel.name.clone(),
            kind: channel.way.kind(),
            language: channel.language,
            rates: (
                channel.per_second.unwrap_or(second),
                channel.per_minute.unwrap_or(minute),
            ),
            public_url: settings.public_url.clone(),
            way: ready(channel, &settings.allow, clients)?,
        })
    }

    /// What it may take.
    pub(super) fn budget(&self) -> Budget {
        let (per_second, per_minute) = self.rates;
        Budget::new(per_second, per_minute)
    }

    /// How it gathers notices: so many at most that each is named in what the kind can hold.
    pub(super) fn gathering(&self) -> Gathering {
        let group: Option<fn(&Notice) -> String> = match &self.way {
            Ready::Alertmanager { .. } => Some(alertmanager::group),
            _ => None,
        };
        let members_max = match &self.way {
            Ready::Alertmanager { settings, .. } => usize::from(settings.alerts_max),
            Ready::Webhook { .. } | Ready::Email { .. } => 100,
            Ready::Mqtt { .. } => 50,
            Ready::Dingtalk { .. } | Ready::Wecom { .. } | Ready::Feishu { .. } => 20,
            Ready::Sms { .. } => 4,
        };
        Gathering { members_max, group }
    }

    /// Sends a message once.
    pub(super) async fn send(&self, parcel: &Parcel, now: Timestamp) -> Outcome {
        let language = self.language;
        let write = |bytes_max| letter(parcel, language, now, bytes_max);
        match &self.way {
            Ready::Webhook { url, key, door } => {
                let ask = webhook::ask(url, key.as_deref(), parcel, now);
                judged(door, ask, false, webhook::verdict).await
            }
            Ready::Alertmanager { url, settings, door } => {
                let body = alertmanager::body(&self.name, parcel, self.public_url.as_deref());
                let ask = Ask::json(url.clone(), body);
                let ask = match &settings.token {
                    Some(token) => ask.with(AUTHORIZATION, &format!("Bearer {}", token.reveal())),
                    None => ask,
                };
                let verdict = |answer: &Answer| answer.failure().unwrap_or(Outcome::Delivered);
                judged(door, ask, false, verdict).await
            }
            Ready::Email { settings, post } => {
                match email::compose(settings, parcel, &write(email::BYTES_MAX), language) {
                    Ok(mail) => post.send(&mail).await,
                    Err(why) => Outcome::Failed(why),
                }
            }
            Ready::Mqtt { settings, publisher } => {
                let topic = mqtt::topic(&settings.topic, &self.name, parcel);
                publisher.send(&topic, webhook::body(parcel)).await
            }
            Ready::Dingtalk { url, settings, door } => {
                let letter = write(robots::DINGTALK_BYTES_MAX);
                let ask = robots::dingtalk(url, settings, &letter, language, now);
                judged(door, ask, true, |answer| Robot::Dingtalk.verdict(answer)).await
            }
            Ready::Wecom { url, settings, door } => {
                let ask = robots::wecom(url, settings, &write(robots::WECOM_BYTES_MAX), language);
                judged(door, ask, true, |answer| Robot::Wecom.verdict(answer)).await
            }
            Ready::Feishu { url, settings, door } => {
                let letter = write(robots::FEISHU_BYTES_MAX);
                let ask = robots::feishu(url, settings, &letter, language, now);
                judged(door, ask, true, |answer| Robot::Feishu.verdict(answer)).await
            }
            Ready::Sms { settings, door } => {
                // A text has few characters: they are for what happened, and the subject of a digest says how many.
                let letter = write(usize::from(settings.text_max) * 3);
                let text = short_text(&letter, parcel);
                match sms::ask(settings, &text, &parcel.key, now) {
                    Ok(ask) => judged(door, ask, true, |answer| sms::verdict(settings, answer)).await,
                    Err(why) => Outcome::Failed(why),
                }
            }
        }
    }
}

/// Lines only, and no link.
fn short_text(letter: &Letter, parcel: &Parcel) -> String {
    let lines = letter.lines.join("\n");
    if parcel.is_digest() {
        format!("{}\n{lines}", letter.subject)
    } else {
        lines
    }
}

async fn judged(door: &Door, ask: Ask, read: bool, verdict: impl Fn(&Answer) -> Outcome) -> Outcome {
    match door.ask(ask, read).await {
        Ok(answer) => verdict(&answer),
        Err(outcome) => outcome,
    }
}

/// Reads what the settings name: addresses, keys and files.
fn ready(channel: &ChannelSettings, allow: &[Box<str>], clients: &Clients) -> Result<Ready, NotifyError> {
    let wrong = |why: String| SettingsError {
        field: "channel",
        why: format!("{}: {why}", channel.name),
    };
    let door = |url: &str| {
        let url = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        let door = clients.door(&url, allow);
        Ok::<_, SettingsError>((url, door))
    };
    Ok(match &channel.way {
        Way::Webhook(settings) => {
            let key = settings
                .secret
                .as_ref()
                .map(|secret| signature::key(secret.reveal()));
            let key = key.transpose().map_err(wrong)?;
            let (url, door) = door(&settings.url)?;
            Ready::Webhook { url, key, door }
        }
        Way::Alertmanager(settings) => {
            let (url, door) = door(&settings.url)?;
            let settings = settings.clone();
            Ready::Alertmanager { url, settings, door }
        }
        Way::Email(settings) => Ready::Email {
            settings: settings.clone(),
            post: Box::new(Post::new(settings, allow)?),
        },
        Way::Mqtt(settings) => Ready::Mqtt {
            settings: settings.clone(),
            publisher: Box::new(Publisher::new(&channel.name, settings, allow)?),
        },
        Way::Dingtalk(settings) => {
            let (url, door) = door(&settings.url)?;
            let settings = settings.clone();
            Ready::Dingtalk { url, settings, door }
        }
        Way::Wecom(settings) => {
            let (url, door) = door(&settings.url)?;
            let settings = settings.clone();
            Ready::Wecom { url, settings, door }
        }
        Way::Feishu(settings) => {
            let (url, door) = door(&settings.url)?;
            let settings = settings.clone();
            Ready::Feishu { url, settings, door }
        }
        Way::Sms(settings) => {
            let (_, door) = door(&sms::sample_url(settings))?;
            let settings = settings.clone();
            Ready::Sms { settings, door }
        }
    })
}
