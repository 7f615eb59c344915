//! What history had to tell, as one message: back-fill pages nobody, but its excursions are not kept quiet. Pure.

use serde_json::{Value, json};
use telemetry::{Catalogue, Timestamp};

use super::message::{Address, local, number, unit_text};
use crate::engine::DigestItem;
use crate::rules::Rule;

/// Most lines of the text; the list beside it has them all.
const LINES_MAX: usize = 20;

/// The JSON body of a digest of history, for one recipient.
#[must_use]
pub fn payload(
    to: Address<'_>,
    catalogue: &Catalogue,
    rules: &[Rule],
    items: &[DigestItem],
    at: Timestamp,
) -> String {
    let zone = &*catalogue.registry().county.zone;
    let told: Vec<Line> = items
        .iter()
        .filter_map(|item| Line::of(catalogue, rules, item, zone))
        .collect();
    let more = told.len().saturating_sub(LINES_MAX);
    let text = |heading: &str, rest: String, line: fn(&Line) -> &str| {
        let mut text = heading.to_owned();
        for told in told.iter().take(LINES_MAX) {
            text.push('\n');
            text.push_str(line(told));
        }
        if more > 0 {
            text.push('\n');
            text.push_str(&rest);
        }
        text
    };
    let zh = text(
        "【历史】补传数据中的超限：",
        format!("……以及另外{more}项"),
        |line| &line.zh,
    );
    let en = text(
        "[HISTORICAL] limits exceeded in data that came late:",
        format!("… and {more} more"),
        |line| &line.en,
    );
    let pages = to.public_url.unwrap_or_default().trim_end_matches('/');
    let items: Vec<&Value> = told.iter().map(|line| &line.item).collect();
    let mut payload = json!({
        "type": "alarm.digest",
        "key": to.key,
        "event": "digest",
        "at": at,
        "at_rfc3339": local(at, zone),
        "tags": ["HISTORICAL"],
        "acknowledge": format!("{pages}/alarms"),
        "items": items,
        "text": { "zh": zh, "en": en },
    });
    if let (Some(fields), Some(recipient)) = (payload.as_object_mut(), to.recipient) {
        fields.insert("recipient".to_owned(), json!(recipient));
    }
    payload.to_string()
}

struct Line {
    zh: String,
    en: String,
    item: Value,
}

impl Line {
    fn of(catalogue: &Catalogue, rules: &[Rule], item: &DigestItem, zone: &str) -> Option<Self> {
        let rule = rules.get(usize::try_from(item.rule).ok()?)?;
        let entry = catalogue.devices().get(rule.shown_at)?;
        let site = catalogue.site_of(entry)?;
        let signal = rule.signal.and_then(|place| entry.profile.signals.get(place));
        let worst = number(item.worst, signal.map_or(2, |signal| signal.decimals));
        let unit = unit_text(signal.map(|signal| &*signal.unit));
        let (device, since) = (&entry.device.id, local(item.since, zone));
        Some(Self {
            zh: format!(
                "{}，{}（{device}）：最劣值{worst}{unit}，自{since}",
                rule.title.zh, site.name.zh
            ),
            en: format!(
                "{}, {} ({device}): worst {worst}{unit}, since {since}",
                rule.title.en, site.name.en
            ),
            item: json!({
                "rule": &*rule.id,
                "device": device.as_str(),
                "since": item.since,
                "worst": item.worst,
            }),
        })
    }
}
