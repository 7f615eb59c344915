//! How long before a stretch of history rules have to run, so that they stand at its beginning where they would have stood.

use telemetry::time::Span;

use crate::rules::{Condition, Rule};

/// At least so long: what stands for days is then mostly known, and every device has spoken.
const LEAST: Span = Span::from_secs(86_400);

/// The longest delay, window and silence of any rule, one after the other; at least a day.
#[must_use]
pub fn warm_up<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Span {
    let needs = rules.into_iter().map(|rule| {
        let delays = rule.on_delay.millis().saturating_add(rule.off_delay.millis());
        Span::from_millis(delays.saturating_add(remembers(&rule.condition).millis()))
    });
    needs.max().unwrap_or(LEAST).max(LEAST)
}

/// How far back a condition looks.
fn remembers(condition: &Condition) -> Span {
    match condition {
        Condition::Rate { max_gap, per, .. } => (*max_gap).max(*per),
        Condition::Stuck { after, .. } | Condition::Silence { after } => *after,
        Condition::Counter { window, .. } => window.unwrap_or(Span::ZERO),
        Condition::RunTime { window, .. } => *window,
        Condition::Flood(limits) => limits.interval,
        Condition::High { .. }
        | Condition::Low { .. }
        | Condition::State(_)
        | Condition::Change { .. }
        | Condition::Deviation { .. }
        | Condition::Vote { .. }
        | Condition::Expression { .. }
        | Condition::Protection { .. }
        | Condition::Fault { .. }
        | Condition::Clock => Span::ZERO,
    }
}
