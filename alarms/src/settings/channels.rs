//! The channels of notices: the `[[alarms.channel]]` tables of the configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telemetry::profile::Priority;

use super::Secret;

/// In which language people are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
    /// Chinese, then English.
    #[default]
    Both,
}

/// One `[[alarms.channel]]`: a way to tell somebody. The keys of its kind stand beside these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct ChannelSettings {
    /// Part of the key of every notice: a channel that is renamed is a new one. 1–32 letters, digits, `-` and `_`, different
    /// for each channel and webhook. No default.
    pub name: Box<str>,
    /// The least priority that goes there: `"low"`, `"medium"`, `"high"` or `"critical"`; life-safety alarms always go. Default
    /// `"low"`.
    pub priority_min: Priority,
    /// `"zh"`, `"en"` or `"both"`. Default `"both"`.
    pub language: Language,
    /// Most messages in a second; 0 for no bound. Default: that of the kind ([`Way::rates`]), range 0 to 1000.
    pub per_second: Option<u32>,
    /// Most messages in a minute; 0 for no bound. Default: that of the kind ([`Way::rates`]), range 0 to 10000.
    pub per_minute: Option<u32>,
    /// What it is.
    #[serde(flatten)]
    pub way: Way,
}

/// What a channel is: the key `kind` and those that belong to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Way {
    /// Standard Webhooks.
    Webhook(HookSettings),
    /// The form that Alertmanager sends to its webhooks, version 4.
    Alertmanager(AlertmanagerSettings),
    /// SMTP.
    Email(EmailSettings),
    /// A broker of MQTT 5.
    Mqtt(MqttSettings),
    /// A robot of a DingTalk group.
    Dingtalk(DingtalkSettings),
    /// A robot of a WeCom group.
    Wecom(WecomSettings),
    /// A robot of a Feishu group.
    Feishu(FeishuSettings),
    /// A gateway of short messages over HTTP.
    Sms(SmsSettings),
}

/// `kind = "webhook"`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookSettings {
    /// `http://` or `https://`. No default.
    pub url: Box<str>,
    /// Secret for the signature of Standard Webhooks, as `whsec_` and base64 of 16 to 64 bytes. Default: none, notices are
    /// then not signed.
    pub secret: Option<Secret>,
}

/// `kind = "alertmanager"`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerSettings {
    /// `http://` or `https://`. No default.
    pub url: Box<str>,
    /// Goes with each request as `Authorization: Bearer`. Default: none.
    pub token: Option<Secret>,
    /// Most alerts of a group in one message; the others follow in the next one and are its `truncatedAlerts`. Default 100, range
    /// 1 to 100.
    #[serde(default = "alerts")]
    pub alerts_max: u16,
}

fn alerts() -> u16 {
    100
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// TLS after the greeting; refused where the server has none.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None.
    None,
}

/// `kind = "email"`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    /// Name or address of the mail server. No default.
    pub host: Box<str>,
    /// Default 587 with `starttls`, 465 with `tls`, 25 with `none`; range 1 to 65535.
    pub port: Option<u16>,
    /// `"starttls"`, `"tls"` or `"none"`; `none` only to a server on this machine or one that `alarms.allow` lists. Default
    /// `"starttls"`.
    #[serde(default)]
    pub tls: Protection,
    /// PEM file with further authorities that are trusted, for a mail server of one's own. Default: those of the machine.
    pub ca: Option<Box<str>>,
    /// Who sends, e.g. `"townwatch@example.org"`. No default.
    pub from: Box<str>,
    /// Who gets it: 1 to 50 addresses. All of them get it or none counts as told, so who must not depend on others
    /// has a channel of their own. No default.
    pub to: Vec<Box<str>>,
    /// Name for the mail server. Default: none, nobody logs in.
    pub user: Option<Box<str>>,
    /// Password for it; goes with `user`.
    pub password: Option<Secret>,
}

/// `kind = "mqtt"`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttSettings {
    /// Name or address of the broker; the gate of this program is one, with a service account. No default.
    pub host: Box<str>,
    /// Default 1883, with `tls` 8883; range 1 to 65535.
    pub port: Option<u16>,
    /// Whether TLS is spoken; needs `ca`. Default `false`.
    #[serde(default)]
    pub tls: bool,
    /// PEM file with the authorities that are trusted. Default: none.
    pub ca: Option<Box<str>>,
    /// Name of the client; `-` and a number are put behind it. Default `"townwatch-notices-"` and the channel's name; 1 to 64
    /// letters, digits, `-` and `_`.
    pub client_id: Option<Box<str>>,
    /// Name for the broker. Default: none.
    pub user: Option<Box<str>>,
    /// Password for it; goes with `user`.
    pub password: Option<Secret>,
    /// Where notices are published, QoS 1; `{site}`, `{device}`, `{event}`, `{priority}` and `{channel}` are filled in. A
    /// digest has `digest` for what its alarms do not share. Default `"townwatch/notices/{site}/{device}"`, 1 to 200 characters, no `+` and `#`.
    #[serde(default = "topic")]
    pub topic: Box<str>,
}

fn topic() -> Box<str> {
    "townwatch/notices/{site}/{device}".into()
}

/// `kind = "dingtalk"`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DingtalkSettings {
    /// The `access_token` of the robot's address. No default.
    pub token: Secret,
    /// The robot's secret for signatures, `SEC…`. Default: none; the group then needs the address of this machine, or a word
    /// of the message.
    pub secret: Option<Secret>,
    /// Where robots are. Default `"https://oapi.dingtalk.com/robot/send"`.
    #[serde(default = "dingtalk_url")]
    pub url: Box<str>,
}

fn dingtalk_url() -> Box<str> {
    "https://oapi.dingtalk.com/robot/send".into()
}

/// `kind = "wecom"`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WecomSettings {
    /// The `key` of the robot's address. No default.
    pub key: Secret,
    /// Where robots are. Default `"https://qyapi.weixin.qq.com/cgi-bin/webhook/send"`.
    #[serde(default = "wecom_url")]
    pub url: Box<str>,
}

fn wecom_url() -> Box<str> {
    "https://qyapi.weixin.qq.com/cgi-bin/webhook/send".into()
}

/// `kind = "feishu"`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeishuSettings {
    /// The last part of the robot's address. No default.
    pub token: Secret,
    /// The robot's secret for signatures. Default: none.
    pub secret: Option<Secret>,
    /// Where robots are; the token is put behind it. Default `"https://open.feishu.cn/open-apis/bot/v2/hook"`.
    #[serde(default = "feishu_url")]
    pub url: Box<str>,
}

fn feishu_url() -> Box<str> {
    "https://open.feishu.cn/open-apis/bot/v2/hook".into()
}

/// How a gateway of short messages is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Everything stands in the address.
    Get,
    /// There is a body.
    #[default]
    Post,
}

/// What the body for a gateway of short messages is, and how values in it are escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyForm {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// `application/json`; placeholders stand inside of quotes.
    Json,
}

/// `kind = "sms"`: any gateway that takes one request for one text. In `url`, `headers` and `body`, `{text}`, `{phone}`, `{key}`
/// and `{time}` (seconds since 1970) are filled in, escaped as the place needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmsSettings {
    /// `http://` or `https://`; it is never shown, as gateways want passwords in it. No default.
    pub url: Secret,
    /// `"POST"` or `"GET"`. Default `"POST"`.
    #[serde(default)]
    pub method: Method,
    /// Headers of the request, at most 20. Default: none.
    #[serde(default)]
    pub headers: BTreeMap<Box<str>, Secret>,
    /// `"form"` or `"json"`. Default `"form"`.
    #[serde(default)]
    pub form: BodyForm,
    /// The body; none with `GET`. Default `""`.
    #[serde(default)]
    pub body: Secret,
    /// Who gets it: 1 to 50 numbers, of digits, `+` and `-`. They go in one request. No default.
    pub phones: Vec<Box<str>>,
    /// What stands between numbers. Default `","`, at most 4 characters.
    #[serde(default = "comma")]
    pub separator: Box<str>,
    /// What the answer must contain, beside a status of 2xx, e.g. `"\"code\":0"`. Default: nothing. At most 200 characters.
    pub success: Option<Box<str>>,
    /// Longest text in characters; the rest is cut off. Default 300, range 70 to 1000.
    #[serde(default = "text_max")]
    pub text_max: u16,
}

fn comma() -> Box<str> {
    ",".into()
}

fn text_max() -> u16 {
    300
}

/// What every kind has.
#[derive(Deserialize)]
struct Common {
    name: Box<str>,
    #[serde(default = "super::low")]
    priority_min: Priority,
    #[serde(default)]
    language: Language,
    per_second: Option<u32>,
    per_minute: Option<u32>,
}

/// The keys of [`Common`]; all others belong to the kind.
const COMMON: [&str; 5] = ["name", "priority_min", "language", "per_second", "per_minute"];

impl TryFrom<toml::Table> for ChannelSettings {
    type Error = toml::de::Error;

    fn try_from(table: toml::Table) -> Result<Self, Self::Error> {
        let (common, way): (toml::Table, toml::Table) = table
            .into_iter()
            .partition(|(key, _)| COMMON.contains(&key.as_str()));
        let common: Common = common.try_into()?;
        Ok(Self {
            name: common.name,
            priority_min: common.priority_min,
            language: common.language,
            per_second: common.per_second,
            per_minute: common.per_minute,
            way: way.try_into()?,
        })
    }
}

impl Way {
    /// The name of the kind in the configuration.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Alertmanager(_) => "alertmanager",
            Self::Email(_) => "email",
            Self::Mqtt(_) => "mqtt",
            Self::Dingtalk(_) => "dingtalk",
            Self::Wecom(_) => "wecom",
            Self::Feishu(_) => "feishu",
            Self::Sms(_) => "sms",
        }
    }

    /// Most messages in a second and in a minute that the other side takes; 0 for no bound.
    ///
    /// Source: `users.md` §2 for DingTalk (20 a minute, then nothing for ten minutes) and Feishu (100 a minute, 5 a second); WeCom's
    /// 20 a minute is from memory.
    #[must_use]
    pub const fn rates(&self) -> (u32, u32) {
        match self {
            Self::Dingtalk(_) | Self::Wecom(_) => (0, 20),
            Self::Feishu(_) => (5, 100),
            Self::Webhook(_) | Self::Alertmanager(_) | Self::Email(_) | Self::Mqtt(_) | Self::Sms(_) => {
                (0, 0)
            }
        }
    }
}
