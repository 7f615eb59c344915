//! One question about the health of the alarm system, with what the log says, narrowed to what is asked for.

use std::collections::BTreeMap;

use telemetry::Timestamp;
use telemetry::profile::Title;
use telemetry::registry::Site;
use telemetry::time::Span;

use super::HealthPolicy;
use super::policy::Said;
use crate::figures::FigureError;
use crate::figures::alarm_log::LogFacts;
use crate::figures::asked::{Asked, Kind};
use crate::figures::form::{Bound, Excluded, Figure, Relation, share, words};
use crate::health::{Counted, Happening, Left};

/// Complete civil days of a period that nobody named. Source: `alarms.md` §1.3, at least 30 days of data.
const DAYS: i64 = 30;
/// How long before the period the log is read: a flood that goes on, and a shelf that is renewed, began before it.
const LOOK_BACK: Span = Span::from_secs(86_400);
const HOUR_MS: f64 = 3_600_000.0;

/// A rule of the log, as far as it is asked for.
pub(super) struct Place<'a> {
    /// Where its device stands; none when that is gone.
    pub(super) site: Option<&'a Site>,
    inside: bool,
}

/// One question, with what the log says.
pub(super) struct Scene<'a> {
    pub(super) asked: &'a Asked<'a>,
    pub(super) policy: &'a HealthPolicy,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) facts: LogFacts,
    pub(super) places: Vec<Place<'a>>,
    /// Where nobody knows, within the period: in order, not touching each other.
    pub(super) down: Vec<(Timestamp, Timestamp)>,
}

impl<'a> Scene<'a> {
    pub(super) fn read(asked: &'a Asked<'a>) -> Result<Self, FigureError> {
        let (log, policy) = asked
            .health
            .ok_or_else(|| FigureError::Log("nobody keeps the log of the alarms".into()))?;
        let (from, to) = asked.period(asked.days_ago(DAYS))?;
        let facts = log.facts(from.minus(LOOK_BACK), to).map_err(FigureError::Log)?;
        let places = facts.rules.iter().map(|rule| {
            let entry = rule.device.and_then(|place| asked.catalogue.devices().get(place));
            let site = entry.and_then(|entry| asked.catalogue.site_of(entry));
            let inside = asked.scope.holds_rule(&rule.id, site);
            Place { site, inside }
        });
        let places = places.collect();
        let down = within(&facts.down, from, to);
        Ok(Self {
            asked,
            policy,
            from,
            to,
            facts,
            places,
            down,
        })
    }

    /// A figure of that kind with nothing in it but what nobody knows.
    pub(super) fn figure(&self, kind: Kind) -> Figure {
        let mut figure = self.asked.figure(kind, self.from, self.to);
        figure.policy = self.policy.reference();
        let (down, all) = (ms(&self.down), self.to.millis_since(self.from) as f64);
        figure.unknown.amount = down / HOUR_MS;
        figure.unknown.share = share(down, all);
        figure.evidence.push(self.link(self.from, self.to, ""));
        if down > 0.0 {
            figure.notes.push(words(
                "报警引擎未运行或日志未保存的时间不计入，见“未知”",
                "time in which the alarm engine did not run, or of which the log is gone, is not counted; see unknown",
            ));
        }
        figure
    }

    /// Whether nobody knows anything of the period; the figure then says so.
    pub(super) fn is_dark(&self, figure: &mut Figure) -> bool {
        let dark = self.known_ms() <= 0.0;
        if dark {
            figure.reason = Some(words(
                "时段内没有报警日志",
                "there is no log of the alarms of the period",
            ));
        }
        dark
    }

    /// How much of the period is known, in ms.
    pub(super) fn known_ms(&self) -> f64 {
        self.to.millis_since(self.from) as f64 - ms(&self.down)
    }

    /// The same, in hours.
    pub(super) fn known_h(&self) -> f64 {
        self.known_ms() / HOUR_MS
    }

    pub(super) fn is_inside(&self, rule: u32) -> bool {
        self.place(rule).is_some_and(|place| place.inside)
    }

    pub(super) fn place(&self, rule: u32) -> Option<&Place<'a>> {
        self.places.get(usize::try_from(rule).ok()?)
    }

    /// What happened to the rules that are asked for, from a day before the period on.
    pub(super) fn all(&self) -> impl Iterator<Item = &Happening> {
        let rows = self.facts.rows.iter();
        rows.filter(|row| self.is_inside(row.rule))
    }

    /// The same, in the period.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Happening> {
        self.all().filter(|row| row.at >= self.from)
    }

    /// The calls of the period; what is left out goes to the figure.
    pub(super) fn calls(&self, figure: &mut Figure) -> Vec<&Happening> {
        let mut left = LeftOut::default();
        let mut calls = Vec::new();
        for row in self.rows() {
            match row.counted() {
                Counted::Call => calls.push(row),
                Counted::Left(why) => left.take(row.rule, why.name(), left_words(why)),
                Counted::Nothing => {}
            }
        }
        left.tell(self, figure);
        calls
    }

    /// The address of rows of the log; `more` are further parameters, each with its `&`.
    pub(super) fn link(&self, from: Timestamp, to: Timestamp, more: &str) -> String {
        log_link(from, to, &self.asked.scope.to_string(), more)
    }

    /// The address of rows of one rule.
    pub(super) fn rule_link(&self, rule: u32, from: Timestamp, to: Timestamp, more: &str) -> String {
        log_link(from, to, &format!("rule:{}", self.name(rule)), more)
    }

    /// The name of a rule.
    pub(super) fn name(&self, rule: u32) -> &str {
        let known = usize::try_from(rule)
            .ok()
            .and_then(|place| self.facts.rules.get(place));
        known.map_or("", |rule| &*rule.id)
    }
}

pub(super) fn log_link(from: Timestamp, to: Timestamp, scope: &str, more: &str) -> String {
    let (from, to, scope) = (from.millis(), to.millis(), encoded(scope));
    format!("/api/v1/alarms/log?from={from}&to={to}&scope={scope}{more}")
}

/// A text as a value of a query. Source: RFC 3986 §3.4: `:` and `/` stand there as they are.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The stretches within `from..to`, in order, joined where they touch.
fn within(down: &[(Timestamp, Timestamp)], from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let mut clipped: Vec<_> = down
        .iter()
        .map(|(since, until)| (*since.max(&from), *until.min(&to)))
        .collect();
    clipped.retain(|(since, until)| since < until);
    clipped.sort();
    let mut joined: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (since, until) in clipped {
        match joined.last_mut() {
            Some((_, end)) if since <= *end => *end = until.max(*end),
            _ => joined.push((since, until)),
        }
    }
    joined
}

/// How much of `from..to` the stretches take, in ms.
pub(super) fn overlap(down: &[(Timestamp, Timestamp)], from: Timestamp, to: Timestamp) -> f64 {
    ms(&within(down, from, to))
}

fn ms(stretches: &[(Timestamp, Timestamp)]) -> f64 {
    stretches
        .iter()
        .map(|(since, until)| until.millis_since(*since) as f64)
        .sum()
}

/// A bound of the policy against a number.
pub(super) fn bound(
    (name, zh, en): (&'static str, &'static str, &'static str),
    (of, value): (Option<&'static str>, Option<f64>),
    (relation, limit, unit): (Relation, f64, &'static str),
    said: &Said<'_>,
) -> Bound {
    Bound {
        name,
        title: words(zh, en),
        of,
        relation,
        limit,
        unit,
        met: value.and_then(|value| relation.is_met(value, limit)),
        source: said.source.into(),
        confidence: said.confidence.into(),
    }
}

/// What is left out on purpose, by place and reason.
#[derive(Default)]
pub(super) struct LeftOut(BTreeMap<(u32, &'static str), (u64, Title)>);

impl LeftOut {
    pub(super) fn take(&mut self, rule: u32, code: &'static str, why: Title) {
        self.0.entry((rule, code)).or_insert((0, why)).0 += 1;
    }

    /// One exclusion for each place and reason, with how many; what has no place any more is a note.
    pub(super) fn tell(self, scene: &Scene<'_>, figure: &mut Figure) {
        let mut by_site: BTreeMap<(&str, &'static str), (u64, &Site, Title)> = BTreeMap::new();
        let mut nowhere = 0;
        for ((rule, code), (count, why)) in self.0 {
            match scene.place(rule).and_then(|place| place.site) {
                Some(site) => {
                    by_site
                        .entry((site.id.as_str(), code))
                        .or_insert((0, site, why))
                        .0 += count
                }
                None => nowhere += count,
            }
        }
        for ((_, code), (count, site, why)) in by_site {
            let reason = words(format!("{count}次：{}", why.zh), format!("{count}: {}", why.en));
            figure.excluded.push(Excluded::site(site, code, reason));
        }
        if nowhere > 0 {
            figure.notes.push(words(
                format!("另有{nowhere}次不计，其设备已不在册"),
                format!("{nowhere} more are left out; their devices have left the registry"),
            ));
        }
    }
}

pub(super) fn left_words(left: Left) -> Title {
    match left {
        Left::Test => words("测试模式中", "in test mode"),
        Left::Historical => words("补传的历史数据", "history"),
        Left::ByDesign => words("按设计抑制", "suppressed by design"),
        Left::Shelved => words("已搁置", "shelved"),
        Left::OutOfService => words("已停用检修", "out of service"),
    }
}
