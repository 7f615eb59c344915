//! What must hold of channels, recipients and the sign of life. Pure; a sentence for a person where it does not.

use std::collections::BTreeSet;

use reqwest::Url;
use telemetry::time::Span;

use super::channels::{ChannelSettings, EmailSettings, MqttSettings, SmsSettings, Way};
use super::{AlarmSettings, HeartbeatSettings, Method, Protection, RecipientSettings, SettingsError};
use crate::notify::{email, guard, mqtt, signature, sms};

/// Most channels, webhooks among them. More: refused.
pub const CHANNELS_MAX: usize = 32;
/// Most recipients. More: refused.
pub const RECIPIENTS_MAX: usize = 100;
/// Most channels of one recipient. More: refused.
const CHANNELS_OF_RECIPIENT_MAX: usize = 8;

/// Checks what the tables of notices name.
pub(super) fn check(settings: &AlarmSettings) -> Result<(), SettingsError> {
    let wrong = |field: &'static str| move |why: String| SettingsError { field, why };
    if let Some(url) = &settings.public_url {
        web_address(url).map_err(wrong("public_url"))?;
    }
    let count = settings.webhooks.len() + settings.channels.len();
    if count > CHANNELS_MAX {
        let why = format!("{count} channels and webhooks; {CHANNELS_MAX} are allowed");
        return Err(wrong("channel")(why));
    }
    let mut names = BTreeSet::new();
    for webhook in &settings.webhooks {
        unused(&webhook.name, &mut names).map_err(wrong("webhook"))?;
    }
    for channel in &settings.channels {
        let why = plain_name(&channel.name)
            .and_then(|()| unused(&channel.name, &mut names))
            .and_then(|()| of_channel(channel, &settings.allow));
        why.map_err(|why| wrong("channel")(format!("{}: {why}", channel.name)))?;
    }
    recipients(&settings.recipients, &names).map_err(wrong("recipient"))?;
    settings
        .heartbeat
        .as_ref()
        .map_or(Ok(()), of_heartbeat)
        .map_err(wrong("heartbeat"))
}

fn unused<'a>(name: &'a str, names: &mut BTreeSet<&'a str>) -> Result<(), String> {
    if names.insert(name) {
        Ok(())
    } else {
        Err(format!("name {name:?} stands there twice"))
    }
}

/// 1–32 letters, digits, `-` and `_`.
fn plain_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=32).contains(&name.len()) && name.chars().all(plain) {
        Ok(())
    } else {
        Err(format!(
            "name {name:?}; 1 to 32 letters, digits, '-' and '_' are allowed"
        ))
    }
}

/// An `http://` or `https://` address. It is not repeated: it may hold a secret.
fn web_address(url: &str) -> Result<(), String> {
    match Url::parse(url) {
        Err(error) => Err(format!("the url cannot be read: {error}")),
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
            Err("the url begins otherwise than http:// or https://".to_owned())
        }
        Ok(_) => Ok(()),
    }
}

fn of_channel(channel: &ChannelSettings, allow: &[Box<str>]) -> Result<(), String> {
    for (key, rate, most) in [
        ("per_second", channel.per_second, 1000),
        ("per_minute", channel.per_minute, 10_000),
    ] {
        if rate.is_some_and(|rate| rate > most) {
            return Err(format!("{key}; 0 to {most} is allowed"));
        }
    }
    match &channel.way {
        Way::Webhook(hook) => {
            web_address(&hook.url)?;
            let secret = hook.secret.as_ref();
            secret.map_or(Ok(()), |secret| {
                signature::key(secret.reveal())
                    .map(drop)
                    .map_err(|why| format!("secret: {why}"))
            })
        }
        Way::Alertmanager(manager) if !(1..=100).contains(&manager.alerts_max) => Err(format!(
            "alerts_max = {}; 1 to 100 is allowed",
            manager.alerts_max
        )),
        Way::Alertmanager(manager) => web_address(&manager.url),
        Way::Email(mail) => of_email(mail, allow),
        Way::Mqtt(broker) => of_mqtt(broker),
        Way::Dingtalk(robot) => filled("token", robot.token.reveal()).and_then(|()| web_address(&robot.url)),
        Way::Wecom(robot) => filled("key", robot.key.reveal()).and_then(|()| web_address(&robot.url)),
        Way::Feishu(robot) => filled("token", robot.token.reveal()).and_then(|()| web_address(&robot.url)),
        Way::Sms(gateway) => of_sms(gateway),
    }
}

fn filled(key: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 1000 {
        Err(format!("{key}; 1 to 1000 characters are allowed"))
    } else {
        Ok(())
    }
}

/// Name and password go together, and neither is endless.
fn login(user: Option<&str>, password: Option<&str>) -> Result<(), String> {
    match (user, password) {
        (None, None) => Ok(()),
        (Some(user), Some(password)) => filled("user", user).and_then(|()| filled("password", password)),
        _ => Err("user and password go together".to_owned()),
    }
}

fn of_email(mail: &EmailSettings, allow: &[Box<str>]) -> Result<(), String> {
    filled("host", &mail.host)?;
    login(
        mail.user.as_deref(),
        mail.password.as_ref().map(|password| password.reveal()),
    )?;
    if !(1..=50).contains(&mail.to.len()) {
        return Err(format!("to has {} addresses; 1 to 50 are allowed", mail.to.len()));
    }
    for address in mail.to.iter().chain([&mail.from]) {
        email::address(address)?;
    }
    let port = email::port(mail);
    let near = guard::is_here(&mail.host) || guard::is_named(&mail.host, port, allow);
    if mail.tls == Protection::None && !near {
        return Err(format!(
            "tls = \"none\" to {}:{port}, which is neither this machine nor listed under alarms.allow",
            mail.host
        ));
    }
    Ok(())
}

fn of_mqtt(broker: &MqttSettings) -> Result<(), String> {
    filled("host", &broker.host)?;
    login(
        broker.user.as_deref(),
        broker.password.as_ref().map(|password| password.reveal()),
    )?;
    if broker.tls != broker.ca.is_some() {
        return Err("tls and ca go together".to_owned());
    }
    if let Some(id) = &broker.client_id {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=64).contains(&id.len()) || !id.chars().all(plain) {
            return Err(format!(
                "client_id {id:?}; 1 to 64 letters, digits, '-' and '_' are allowed"
            ));
        }
    }
    mqtt::check_topic(&broker.topic)
}

fn of_sms(gateway: &SmsSettings) -> Result<(), String> {
    let phone = |phone: &str| {
        let digit = |c: char| c.is_ascii_digit() || c == '+' || c == '-';
        (3..=32).contains(&phone.len()) && phone.chars().all(digit)
    };
    if !(1..=50).contains(&gateway.phones.len()) || !gateway.phones.iter().all(|one| phone(one)) {
        return Err("phones; 1 to 50 numbers of 3 to 32 digits, '+' and '-' are allowed".to_owned());
    }
    if gateway.separator.chars().count() > 4 {
        return Err("separator; at most 4 characters are allowed".to_owned());
    }
    if !(70..=1000).contains(&gateway.text_max) {
        return Err(format!("text_max = {}; 70 to 1000 is allowed", gateway.text_max));
    }
    if gateway.headers.len() > 20 {
        return Err("headers; at most 20 are allowed".to_owned());
    }
    if gateway.success.as_ref().is_some_and(|text| text.len() > 200) {
        return Err("success; at most 200 characters are allowed".to_owned());
    }
    if gateway.method == Method::Get && !gateway.body.reveal().is_empty() {
        return Err("body, which a GET does not have".to_owned());
    }
    sms::check(gateway)?;
    web_address(&sms::sample_url(gateway))
}

fn recipients(recipients: &[RecipientSettings], channels: &BTreeSet<&str>) -> Result<(), String> {
    if recipients.len() > RECIPIENTS_MAX {
        let count = recipients.len();
        return Err(format!("{count} recipients; {RECIPIENTS_MAX} are allowed"));
    }
    let mut names = BTreeSet::new();
    for recipient in recipients {
        let name = &recipient.name;
        plain_name(name)?;
        unused(name, &mut names)?;
        if !(1..=CHANNELS_OF_RECIPIENT_MAX).contains(&recipient.channels.len()) {
            return Err(format!(
                "{name}: channels; 1 to {CHANNELS_OF_RECIPIENT_MAX} are allowed"
            ));
        }
        let mut own = BTreeSet::new();
        for channel in &recipient.channels {
            unused(channel, &mut own).map_err(|why| format!("{name}: {why}"))?;
            if !channels.contains(&**channel) {
                return Err(format!("{name}: there is no channel {channel:?}"));
            }
            // Else two notices could have one key, and one of them would not be sent.
            let joined = format!("{name}@{channel}");
            if channels.contains(joined.as_str()) {
                return Err(format!("{name}: a webhook has the name {joined:?}; rename it"));
            }
        }
        span(
            "next_channel_after",
            recipient.next_channel_after,
            Span::from_secs(5),
        )
        .map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

fn of_heartbeat(heartbeat: &HeartbeatSettings) -> Result<(), String> {
    web_address(heartbeat.url.reveal())?;
    span("every", heartbeat.every, Span::from_secs(5))
}

fn span(key: &str, span: Span, least: Span) -> Result<(), String> {
    let most = Span::from_secs(3600);
    if (least..=most).contains(&span) {
        Ok(())
    } else {
        Err(format!("{key} = {span}; {least} to {most} is allowed"))
    }
}
