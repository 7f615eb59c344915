//! What a person reads: subject and lines of one notice or of a digest, in one language or both. Pure.

use serde::Deserialize;
use store::state::alarms::Notice;
use telemetry::Timestamp;

use super::digest::Parcel;
use crate::settings::Language;

/// A notice that is sent so much later than it was made says so.
const DELAYED_AFTER_S: i64 = 60;

/// A text in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Both {
    pub(super) zh: String,
    pub(super) en: String,
}

impl Both {
    /// In the language, or both with `between` between them.
    pub(super) fn say(&self, language: Language, between: &str) -> String {
        match language {
            Language::Zh => self.zh.clone(),
            Language::En => self.en.clone(),
            Language::Both => format!("{}{between}{}", self.zh, self.en),
        }
    }
}

/// The stored form of a notice, as far as channels read it. What an earlier version did not write is empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    pub(super) key: String,
    pub(super) event: String,
    pub(super) alarm: ToldAlarm,
    pub(super) tags: Vec<String>,
    pub(super) since: i64,
    pub(super) at_rfc3339: String,
    pub(super) acknowledge: String,
    pub(super) text: Both,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToldAlarm {
    pub(super) id: String,
    pub(super) rule: String,
    pub(super) title: Both,
    pub(super) device: String,
    pub(super) device_name: Both,
    pub(super) site: String,
    pub(super) site_name: Both,
    pub(super) town: String,
    pub(super) domain: String,
    pub(super) signal: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) value: Option<f64>,
    pub(super) limit: Option<f64>,
    pub(super) decimals: u8,
    pub(super) priority: String,
    pub(super) quality: String,
    pub(super) ended: Option<i64>,
    pub(super) returned_at: Option<i64>,
}

impl Told {
    pub(super) fn read(notice: &Notice) -> Self {
        serde_json::from_str(&notice.payload).unwrap_or_else(|_| Self {
            // Nothing that this program has written; people are told all the same.
            key: notice.key.to_string(),
            text: Both {
                zh: notice.payload.clone(),
                en: notice.payload.clone(),
            },
            ..Self::default()
        })
    }

    /// The part of the rule's name behind the device.
    pub(super) fn rule_name(&self) -> &str {
        let rest = self.alarm.rule.strip_prefix(self.alarm.device.as_str());
        rest.unwrap_or(&self.alarm.rule).trim_start_matches(['/', '.'])
    }

    /// Whether the condition is over.
    pub(super) fn is_over(&self) -> bool {
        self.alarm.returned_at.is_some() || self.event == "closed"
    }

    fn marks(&self) -> Both {
        let mut marks = Both::default();
        for tag in &self.tags {
            marks.en.push_str(&format!("[{tag}] "));
            marks
                .zh
                .push_str(&format!("【{}】", super::message::chinese_tag(tag)));
        }
        marks
    }

    /// Marks, priority, what, where.
    pub(super) fn subject(&self) -> Both {
        if self.event == "digest" {
            return Both {
                zh: "【历史】补传数据超限摘要".to_owned(),
                en: "[HISTORICAL] digest of data that came late".to_owned(),
            };
        }
        let (marks, priority) = (self.marks(), priority(&self.alarm.priority));
        let (zh, en) = if self.is_over() {
            ("恢复正常", " returned to normal")
        } else {
            ("报警", "")
        };
        let alarm = &self.alarm;
        Both {
            zh: format!(
                "{}{}{zh}：{}，{}",
                marks.zh, priority.zh, alarm.title.zh, alarm.site_name.zh
            ),
            en: format!(
                "{}{}{en}: {}, {}",
                marks.en, priority.en, alarm.title.en, alarm.site_name.en
            ),
        }
    }

    /// One short line for a digest: subject, device, value, time, occurrence.
    fn line(&self) -> Both {
        let alarm = &self.alarm;
        let subject = self.subject();
        let value = alarm.value.map_or_else(String::new, |value| {
            let unit = super::message::unit_text(alarm.unit.as_deref());
            format!("{value:.*}{unit}", usize::from(alarm.decimals))
        });
        let rest = [value.as_str(), &self.at_rfc3339, &alarm.id]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>();
        Both {
            zh: format!("{}，{}；{}", subject.zh, alarm.device_name.zh, rest.join("；")),
            en: format!("{}, {}; {}", subject.en, alarm.device_name.en, rest.join("; ")),
        }
    }
}

/// The words for a priority.
fn priority(name: &str) -> Both {
    let (zh, en) = match name {
        "critical" => ("紧急", "critical"),
        "high" => ("重要", "high"),
        "medium" => ("一般", "medium"),
        "low" => ("提示", "low"),
        other => ("", other),
    };
    Both {
        zh: zh.to_owned(),
        en: en.to_owned(),
    }
}

/// A message for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    /// One line.
    pub(super) subject: String,
    /// What is said, in order.
    pub(super) lines: Vec<String>,
    /// Where an alarm is acknowledged; only a whole address.
    pub(super) link: Option<String>,
}

impl Letter {
    /// Everything, a line each.
    pub(super) fn text(&self, language: Language) -> String {
        let mut text = self.lines.join("\n");
        if let Some(link) = &self.link {
            let words = Self::link_words().say(language, " / ");
            text.push_str(&format!("\n{words}: {link}"));
        }
        text
    }

    pub(super) fn link_words() -> Both {
        Both {
            zh: "查看与确认".to_owned(),
            en: "see and acknowledge".to_owned(),
        }
    }
}

/// Writes a message of at most `bytes_max` bytes, so that every notice in it is named.
pub(super) fn letter(parcel: &Parcel, language: Language, now: Timestamp, bytes_max: usize) -> Letter {
    let told: Vec<Told> = parcel.members.iter().map(Told::read).collect();
    let (subject, lines, link) = match told.as_slice() {
        [one] => {
            let late = parcel
                .members
                .first()
                .map_or(0, |notice| now.millis_since(notice.made_at) / 1000);
            let delayed = delayed(late);
            let text = Both {
                zh: format!("{}{}", delayed.zh, one.text.zh),
                en: format!("{}{}", delayed.en, one.text.en),
            };
            let lines: Vec<String> = text.say(language, "\n").lines().map(str::to_owned).collect();
            (one.subject(), lines, link(&one.acknowledge))
        }
        all => {
            let lines = all.iter().map(|told| told.line().say(language, " / ")).collect();
            let list = all.first().and_then(|told| link(&told.acknowledge));
            let list = list.and_then(|link| Some(link.rsplit_once('/')?.0.to_owned()));
            (digest_subject(all), lines, list)
        }
    };
    let link_bytes = link.as_ref().map_or(0, |link| link.len() + 60);
    let share = bytes_max.saturating_sub(link_bytes) / lines.len().max(1);
    Letter {
        subject: cut(&one_line(&subject.say(language, " / ")), 200),
        lines: lines
            .iter()
            .map(|line| cut(&one_line(line), share.saturating_sub(1)))
            .collect(),
        link,
    }
}

fn digest_subject(all: &[Told]) -> Both {
    let count = all.len();
    let over = all.iter().filter(|told| told.is_over()).count();
    Both {
        zh: format!("{count}条报警通知（其中恢复{over}条）"),
        en: format!("{count} notices of alarms ({over} of them returned to normal)"),
    }
}

fn delayed(late_s: i64) -> Both {
    if late_s < DELAYED_AFTER_S {
        return Both::default();
    }
    Both {
        zh: format!("【{late_s}秒后才送达】"),
        en: format!("[DELIVERED {late_s} s LATER] "),
    }
}

fn link(acknowledge: &str) -> Option<String> {
    let whole = acknowledge.starts_with("http://") || acknowledge.starts_with("https://");
    whole.then(|| acknowledge.to_owned())
}

/// Without line ends and other control characters, which names of devices might bring.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// At most `bytes_max` bytes; what is cut off leaves an ellipsis.
pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = bytes_max.saturating_sub('…'.len_utf8());
    let end = (0..=end)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    let (kept, _) = text.split_at_checked(end).unwrap_or_default();
    format!("{kept}…")
}

/// Without what a robot's markdown would take for a link, a mention, a heading or HTML: hostile names stay text.
pub(super) fn unmarked(text: &str) -> String {
    one_line(text)
        .chars()
        .map(|c| match c {
            '[' => '［',
            ']' => '］',
            '*' => '＊',
            '`' => '｀',
            '#' => '＃',
            '<' => '＜',
            '>' => '＞',
            '@' => '＠',
            '!' => '！',
            '\\' => '＼',
            other => other,
        })
        .collect()
}
