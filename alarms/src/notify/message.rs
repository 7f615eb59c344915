//! What a notice says: everything that `alarms.md` §1.6 asks for, as data and as a sentence in Chinese and English.

use serde_json::json;
use telemetry::{Quality, Timestamp};

use crate::engine::{EventKind, Tag, Tags, Transition};
use crate::view::AlarmView;

/// What a notice tells of.
#[derive(Clone, Copy, Debug)]
pub struct News<'a> {
    /// The alarm after the transition.
    pub alarm: &'a AlarmView,
    /// The transition.
    pub transition: &'a Transition,
    /// When the notice was made.
    pub made_at: Timestamp,
    /// IANA name of the zone in which people read times; an unknown one means UTC.
    pub zone: &'a str,
}

impl News<'_> {
    fn local(&self, at: Timestamp) -> String {
        local(at, self.zone)
    }

    /// How old the event was when the notice was made.
    fn age_s(&self) -> i64 {
        self.made_at.millis_since(self.transition.since).max(0) / 1000
    }
}

/// A time as the clocks of `zone` show it, RFC 3339; of a zone that is none, as UTC.
pub(super) fn local(at: Timestamp, zone: &str) -> String {
    let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
    jiff::Timestamp::from_millisecond(at.millis()).map_or_else(
        |_| at.to_rfc3339(),
        |at| {
            at.to_zoned_datetime(zone)
                .strftime("%Y-%m-%dT%H:%M:%S%:z")
                .to_string()
        },
    )
}

/// To whom a notice goes.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// The key of the notice.
    pub key: &'a str,
    /// Name of the recipient; none for a channel that stands in no recipient's list.
    pub recipient: Option<&'a str>,
    /// Where people reach the pages; none when that is not known.
    pub public_url: Option<&'a str>,
}

/// The JSON body of a notice. Times are ms, and RFC 3339 in the county's zone; `age_s` is how old the event was when the notice
/// was made.
#[must_use]
pub fn payload(to: Address<'_>, news: &News<'_>) -> String {
    let News {
        alarm, transition, ..
    } = news;
    let Address {
        key,
        recipient,
        public_url,
    } = to;
    let pages = public_url.unwrap_or_default().trim_end_matches('/');
    let mut payload = json!({
        "type": format!("alarm.{}", transition.event.name()),
        "key": key,
        "event": transition.event,
        "alarm": alarm,
        "since": transition.since,
        "since_rfc3339": news.local(transition.since),
        "at": transition.at,
        "at_rfc3339": news.local(transition.at),
        "age_s": news.age_s(),
        "tags": shouted(transition.tags),
        "durable": alarm.durable,
        "acknowledge": format!("{pages}/alarms/{}", alarm.id),
        "text": { "zh": chinese(news), "en": english(news) },
    });
    if let (Some(fields), Some(recipient)) = (payload.as_object_mut(), recipient) {
        fields.insert("recipient".to_owned(), json!(recipient));
    }
    payload.to_string()
}

/// `LATE`, `HISTORICAL`, …: as people know them.
fn shouted(tags: Tags) -> Vec<String> {
    tags.list().into_iter().map(shout).collect()
}

fn shout(tag: Tag) -> String {
    let name = serde_json::to_value(tag).unwrap_or_default();
    name.as_str().unwrap_or_default().to_uppercase()
}

/// The Chinese word for a tag, in capitals; one that has none stays as it is.
#[must_use]
pub fn chinese_tag(tag: &str) -> &str {
    match tag {
        "LATE" => "迟到",
        "HISTORICAL" => "历史",
        "CONTRADICTED" => "有异议",
        "MOMENTARY" => "瞬时",
        "TEST" => "测试",
        "CHATTERING" => "抖动",
        "ROLLOVER" => "计数翻转",
        "COUNTER_RESET" => "计数复位",
        other => other,
    }
}

pub(super) fn number(value: f64, decimals: u8) -> String {
    format!("{value:.*}", usize::from(decimals))
}

fn unit(alarm: &AlarmView) -> String {
    unit_text(alarm.unit.as_deref())
}

/// A unit behind a value. `%{LEL}` and `Cel` read badly; all other codes of UCUM are read as they are.
#[must_use]
pub fn unit_text(unit: Option<&str>) -> String {
    match unit {
        None | Some("1") => String::new(),
        Some("%{LEL}") => " %LEL".to_owned(),
        Some("Cel") => " °C".to_owned(),
        Some(unit) => format!(" {unit}"),
    }
}

fn english(news: &News<'_>) -> String {
    let News {
        alarm, transition, ..
    } = news;
    let (since, age_s) = (news.local(transition.since), news.age_s());
    let mut text = String::new();
    for tag in shouted(transition.tags) {
        text.push_str(&format!("[{tag}] "));
    }
    if !alarm.durable {
        text.push_str("[NOT YET DURABLE] ");
    }
    let what = match transition.event {
        EventKind::Cleared => "returned to normal: ",
        EventKind::Closed => "closed, its rule is gone: ",
        EventKind::Latched => "over, latched until it is reset: ",
        EventKind::Escalated => "still not acknowledged: ",
        EventKind::ReAlarmed => "owed again: ",
        _ => "",
    };
    text.push_str(&format!(
        "{what}{} — {}, {} ({})",
        alarm.title.en, alarm.site_name.en, alarm.device_name.en, alarm.device
    ));
    if let Some(value) = transition.value {
        text.push_str(&format!(
            "; value {}{}",
            number(value, alarm.decimals),
            unit(alarm)
        ));
        if transition.quality != Quality::Good {
            text.push_str(&format!(" (quality {})", transition.quality.name()));
        }
    }
    if let Some(limit) = alarm.limit {
        text.push_str(&format!(", limit {limit}{}", unit(alarm)));
    }
    text.push_str(&format!(
        "; since {since} ({age_s} s ago); occurrence {}",
        alarm.id
    ));
    text
}

fn chinese(news: &News<'_>) -> String {
    let News {
        alarm, transition, ..
    } = news;
    let (since, age_s) = (news.local(transition.since), news.age_s());
    let mut text = String::new();
    for tag in shouted(transition.tags) {
        text.push_str(&format!("【{}】", chinese_tag(&tag)));
    }
    if !alarm.durable {
        text.push_str("【尚未落盘】");
    }
    text.push_str(match transition.event {
        EventKind::Cleared => "恢复正常：",
        EventKind::Closed => "规则已删除，报警关闭：",
        EventKind::Latched => "条件已消失，锁存待复位：",
        EventKind::Escalated => "仍未确认：",
        EventKind::ReAlarmed => "再次报警：",
        _ => "报警：",
    });
    text.push_str(&format!(
        "{}，{}，{}（{}）",
        alarm.title.zh, alarm.site_name.zh, alarm.device_name.zh, alarm.device
    ));
    if let Some(value) = transition.value {
        text.push_str(&format!("；数值{}{}", number(value, alarm.decimals), unit(alarm)));
        if transition.quality != Quality::Good {
            text.push_str(&format!("（质量{}）", transition.quality.name()));
        }
    }
    if let Some(limit) = alarm.limit {
        text.push_str(&format!("，限值{limit}{}", unit(alarm)));
    }
    text.push_str(&format!("；自{since}（{age_s}秒前）；编号{}", alarm.id));
    text
}
