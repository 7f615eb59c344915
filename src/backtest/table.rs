//! What came of both trials, for people.

use std::fmt::Write as _;

use alarms::backtest::{Change, Occurrence, RuleRow, Shift};
use alarms::columns::align;
use alarms::hazard::Language;
use jiff::tz::TimeZone;
use telemetry::Timestamp;
use telemetry::profile::Title;

use super::report::{Changed, Looked, Report, Totals};

/// Most differences that are listed one by one; `--json` has all.
const CHANGES_SHOWN: usize = 50;

/// The words of a language.
#[derive(Clone, Copy)]
struct Words(Language);

impl Words {
    const fn or<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self.0 {
            Language::Chinese => zh,
            Language::English => en,
        }
    }

    fn title(self, title: &Title) -> String {
        self.or(&title.zh, &title.en).to_owned()
    }
}

/// All of it.
pub(super) fn text(report: &Report<'_>, zone: &TimeZone, language: Language) -> String {
    let words = Words(language);
    let rows = report.rows();
    let parts = [
        head(report, zone, words),
        rules(&rows, words),
        sums(report, words),
        called(report, words),
        top(report, words),
        changes(report, zone, words),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn head(report: &Report<'_>, zone: &TimeZone, words: Words) -> String {
    let (from, to) = (civil(report.period.from, zone), civil(report.period.to, zone));
    let judged = civil(report.start, zone);
    let mut tried: Vec<String> = report.profiles.iter().map(ToString::to_string).collect();
    tried.extend(report.book.map(|book| {
        let (name, on) = (&book.version, civil(book.on, zone));
        match words.0 {
            Language::English => format!("the county's own rules {name} as of {on}"),
            Language::Chinese => format!("本县规则 {name}（{on}）"),
        }
    }));
    let kinds = tried.join(", ");
    let (points, clocks) = (report.points, report.clock_rules);
    let (acts, done) = (report.acts, (report.before.acts, report.after.acts));
    let mut head = match words.0 {
        Language::English => format!(
            "new rules for {kinds}, tried from {from} to {to} ({})\n\
             {points} points judged, from {judged} on. When a reading arrived is not stored: its event time counts; {clocks} rules on clocks are not judged.\n\
             {acts} acknowledgements and resets are recorded; {} of them met an alarm of the rules in force, {} one of the new. What nobody acknowledged escalates.\n",
            report.zone, done.0, done.1
        ),
        Language::Chinese => format!(
            "{kinds} 的新规则，回测 {from} 至 {to}（{}）\n\
             自 {judged} 起共判断 {points} 个数据点。未存储到达时间，以事件时间代替；{clocks} 条时钟规则不参与判断。\n\
             记录的确认与复位共 {acts} 次：现行规则下 {} 次、新规则下 {} 次有对应报警。无人确认的报警按升级步骤通知。\n",
            report.zone, done.0, done.1
        ),
    };
    if report.summaries_only > 0 {
        let many = report.summaries_only;
        let line = match words.0 {
            Language::English => {
                format!("of {many} series only summaries are left somewhere; there they are not judged\n")
            }
            Language::Chinese => format!("{many} 个序列有部分时段仅存汇总，该时段不参与判断\n"),
        };
        head.push_str(&line);
    }
    head
}

fn rules(rows: &[RuleRow], words: Words) -> String {
    let mut table = vec![
        [
            words.or("规则", "rule"),
            words.or("名称", "title"),
            words.or("触发 前", "raised before"),
            words.or("后", "after"),
            words.or("新增", "added"),
            words.or("消失", "removed"),
            words.or("变动", "moved"),
            words.or("期初已在报警 前", "standing before"),
            words.or("后", "after"),
            words.or("呼叫 前", "calls before"),
            words.or("后", "after"),
        ]
        .map(str::to_owned),
    ];
    for row in rows {
        table.push([
            format!("{} {}", row.name.profile, row.name.rule),
            words.title(&row.title),
            row.raised_before.to_string(),
            row.raised_after.to_string(),
            row.added.to_string(),
            row.removed.to_string(),
            row.moved.to_string(),
            row.standing_before.to_string(),
            row.standing_after.to_string(),
            row.calls_before.to_string(),
            row.calls_after.to_string(),
        ]);
    }
    if rows.is_empty() {
        return format!(
            "{}\n",
            words.or("两套规则均未触发报警", "neither raises anything")
        );
    }
    align(&table)
}

fn sums(report: &Report<'_>, words: Words) -> String {
    let (old, new) = (Totals::of(report.before), Totals::of(report.after));
    let (before, after) = (&report.before.health, &report.after.health);
    let night = format!("{} {}", words.or("其中夜间", "  of them at night,"), report.night);
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let line = |what: &str, before: String, after: String| [what.to_owned(), before, after];
    let count =
        |what: &str, before: u64, after: u64| [what.to_owned(), before.to_string(), after.to_string()];
    align(&[
        line(
            "",
            words.or("现行", "in force").to_owned(),
            words.or("新", "new").to_owned(),
        ),
        count(words.or("触发的报警", "alarms raised"), old.raised, new.raised),
        count(
            words.or("期初已在报警", "standing at the beginning"),
            old.standing,
            new.standing,
        ),
        count(words.or("呼叫", "calls"), old.calls, new.calls),
        count(
            words.or("其中升级", "  of them by escalation"),
            old.escalations,
            new.escalations,
        ),
        count(&night, old.at_night, new.at_night),
        count(
            words.or("任意10分钟最多报警数", "most annunciations in any 10 min"),
            before.peak_10min,
            after.peak_10min,
        ),
        line(
            words.or("报警泛滥时间占比", "time in flood"),
            percent(report.before.flood_share),
            percent(report.after.flood_share),
        ),
        count(
            words.or("抖动规则数", "chattering rules"),
            before.chattering,
            after.chattering,
        ),
        count(
            words.or("期末持续超过24 h", "active for over 24 h at the end"),
            before.stale,
            after.stale,
        ),
        line(
            words.or("前十规则占比", "share of the ten that call most"),
            percent(before.top10_share),
            percent(after.top10_share),
        ),
    ])
}

fn called(report: &Report<'_>, words: Words) -> String {
    let (old, new) = (&report.before.called, &report.after.called);
    let mut names: Vec<_> = old.iter().chain(new).map(|called| &called.to).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return String::new();
    }
    let mut table = vec![
        [
            words.or("被呼叫者", "who is called"),
            words.or("呼叫 前", "calls before"),
            words.or("后", "after"),
            words.or("夜间 前", "at night before"),
            words.or("后", "after"),
        ]
        .map(str::to_owned),
    ];
    for name in names {
        let of = |all: &[alarms::backtest::Called]| {
            let found = all.iter().find(|called| called.to == *name);
            found.map_or((0, 0), |called| (called.calls, called.at_night))
        };
        let ((before, before_night), (after, after_night)) = (of(old), of(new));
        table.push([
            name.to_string(),
            before.to_string(),
            after.to_string(),
            before_night.to_string(),
            after_night.to_string(),
        ]);
    }
    align(&table)
}

/// The rules that call most, and those that chatter.
fn top(report: &Report<'_>, words: Words) -> String {
    let (old, new) = (&report.before.health.top10, &report.after.health.top10);
    let mut table = vec![
        [
            words.or("呼叫最多 前", "call most, before"),
            words.or("次数", "calls"),
            words.or("后", "after"),
            words.or("次数", "calls"),
        ]
        .map(str::to_owned),
    ];
    for place in 0..old.len().max(new.len()) {
        let cell = |all: &[(std::sync::Arc<str>, u64)]| {
            let found = all.get(place);
            found.map_or_else(Default::default, |(rule, calls)| {
                (rule.to_string(), calls.to_string())
            })
        };
        let ((before, its), (after, whose)) = (cell(old), cell(new));
        table.push([before, its, after, whose]);
    }
    let mut text = if table.len() > 1 {
        align(&table)
    } else {
        String::new()
    };
    for (which, outcome) in [
        (words.or("抖动（现行）", "chattering, in force"), report.before),
        (words.or("抖动（新）", "chattering, new"), report.after),
    ] {
        if !outcome.chattering.is_empty() {
            let rules: Vec<&str> = outcome.chattering.iter().map(AsRef::as_ref).collect();
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "{which}: {}", rules.join(", "));
        }
    }
    text
}

fn changes(report: &Report<'_>, zone: &TimeZone, words: Words) -> String {
    let changes = report.changes();
    if changes.is_empty() {
        return format!("{}\n", words.or("没有差异", "nothing differs"));
    }
    let rows: Vec<[String; 5]> = changes
        .iter()
        .take(CHANGES_SHOWN)
        .map(|change| {
            let place = report.names.place(report.after, report.before, change.rule);
            row(change, &place, zone, words)
        })
        .collect();
    let mut text = align(&rows);
    if let Some(more) = changes.len().checked_sub(CHANGES_SHOWN).filter(|more| *more > 0) {
        let line = match words.0 {
            Language::English => format!("and {more} more differences: --json lists all\n"),
            Language::Chinese => format!("另有 {more} 处差异：--json 列出全部\n"),
        };
        text.push_str(&line);
    }
    text
}

fn row(change: &Changed<'_>, place: &Looked, zone: &TimeZone, words: Words) -> [String; 5] {
    let (what, shown, how) = match change.what {
        Change::Added(one) => (words.or("新增", "added"), one, String::new()),
        Change::Removed(one) => (words.or("消失", "removed"), one, String::new()),
        Change::Same(before, after) | Change::Moved(before, after) => {
            (words.or("变动", "moved"), after, moved(before, after, words))
        }
    };
    let until = shown.cleared.map_or_else(
        || words.or("未恢复", "not cleared").to_owned(),
        |cleared| civil(cleared, zone),
    );
    let unit = place.unit.as_deref().unwrap_or_default();
    let worst = shown.worst.map_or_else(String::new, |worst| {
        format!("{worst} {unit}").trim_end().to_owned()
    });
    let standing = if shown.standing {
        words.or("（期初已在报警）", " (standing at the beginning)")
    } else {
        ""
    };
    [
        what.to_owned(),
        format!("{} – {until}", civil(shown.raised, zone)),
        change.rule.to_string(),
        worst,
        format!("{how}{standing}").trim_start().to_owned(),
    ]
}

/// By how much it moved, later with a plus.
fn moved(before: &Occurrence, after: &Occurrence, words: Words) -> String {
    let shift = Shift::between(before, after);
    let seconds = |ms: i64| format!("{:+} s", ms as f64 / 1000.0);
    let mut parts = Vec::new();
    if shift.raised_ms != 0 {
        parts.push(format!(
            "{} {}",
            words.or("触发", "raised"),
            seconds(shift.raised_ms)
        ));
    }
    match shift.cleared_ms {
        Some(0) => {}
        Some(ms) => parts.push(format!("{} {}", words.or("恢复", "cleared"), seconds(ms))),
        None if before.cleared.is_some() => parts.push(words.or("不再恢复", "no longer cleared").to_owned()),
        None if after.cleared.is_some() => parts.push(words.or("现已恢复", "now cleared").to_owned()),
        None => {}
    }
    if before.priority != after.priority {
        parts.push(format!("{:?} → {:?}", before.priority, after.priority).to_lowercase());
    }
    parts.join(", ")
}

/// Civil time of the county.
fn civil(at: Timestamp, zone: &TimeZone) -> String {
    jiff::Timestamp::from_millisecond(at.millis()).map_or_else(
        |_| at.to_string(),
        |instant| zone.to_datetime(instant).strftime("%F %T").to_string(),
    )
}
