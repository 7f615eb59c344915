//! Whether a profile makes sense as a whole.

use super::{Limit, Profile, RuleKind, RuleSpec, Signal, SignalInput, SignalKind};
use crate::limits::SIGNALS_PER_PROFILE_MAX;
use crate::time::Span;

/// Why a profile was refused.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Not TOML, or a key that does not belong there. Mend the named line.
    #[error("profile {file} cannot be read")]
    Syntax {
        /// Which file.
        file: String,
        /// Line, column and what was expected.
        source: toml::de::Error,
    },
    /// Readable, but it contradicts itself. Mend the named part.
    #[error("profile {file}: {what}")]
    Nonsense {
        /// Which file.
        file: String,
        /// Which part, and what is wrong with it.
        what: String,
    },
}

pub(super) fn parse(file: &str, text: &str) -> Result<Profile, ProfileError> {
    let mut profile: Profile = toml::from_str(text).map_err(|source| ProfileError::Syntax {
        file: file.to_owned(),
        source,
    })?;
    let what = profile.modbus.settle().err();
    match what.or_else(|| nonsense(&profile)) {
        None => Ok(profile),
        Some(what) => Err(ProfileError::Nonsense {
            file: file.to_owned(),
            what,
        }),
    }
}

fn nonsense(profile: &Profile) -> Option<String> {
    let signals = &profile.signals;
    if signals.is_empty() || signals.len() > SIGNALS_PER_PROFILE_MAX {
        return Some(format!(
            "{} signals; 1 to {SIGNALS_PER_PROFILE_MAX} are allowed",
            signals.len()
        ));
    }
    if profile.report_interval == Span::ZERO {
        return Some("report_interval is 0".to_owned());
    }
    (signals.iter().find_map(|signal| signal_nonsense(profile, signal)))
        .or_else(|| super::modbus::nonsense(profile))
        .or_else(|| super::hj212::nonsense(profile))
        .or_else(|| profile.rules.iter().find_map(|rule| rule_nonsense(profile, rule)))
}

fn signal_nonsense(profile: &Profile, signal: &Signal) -> Option<String> {
    let name = &signal.name;
    if profile.signals.iter().filter(|other| other.name == *name).count() > 1 {
        return Some(format!("signal {name} stands there twice"));
    }
    if let Some([least, greatest]) = signal.range
        && !(least.is_finite() && greatest.is_finite() && least < greatest)
    {
        return Some(format!("signal {name}: range [{least}, {greatest}] is empty"));
    }
    if signal.input == SignalInput::Current && (signal.range.is_none() || signal.kind != SignalKind::Number) {
        return Some(format!(
            "signal {name}: input \"4-20mA\" is for numbers, and range is its full scale"
        ));
    }
    let named = matches!(signal.kind, SignalKind::State | SignalKind::Bool);
    if !named && !signal.states.is_empty() {
        return Some(format!(
            "signal {name}: states are for type \"state\" or \"bool\""
        ));
    }
    signal
        .states
        .keys()
        .find(|key| key.parse::<i32>().is_err())
        .map(|key| format!("signal {name}: state {key:?} is not a whole number"))
}

fn rule_nonsense(profile: &Profile, rule: &RuleSpec) -> Option<String> {
    let id = &rule.id;
    if profile.rules.iter().filter(|other| other.id == *id).count() > 1 {
        return Some(format!("rule {id} stands there twice"));
    }
    if let Some(signal) = &rule.signal
        && profile.signal_index(signal.as_str()).is_none()
    {
        return Some(format!("rule {id}: there is no signal {signal}"));
    }
    if !(rule.deadband >= 0.0 && rule.deadband.is_finite()) {
        return Some(format!(
            "rule {id}: deadband {}; 0 or more is allowed",
            rule.deadband
        ));
    }
    if let Some(other) = &rule.other
        && profile.signal_index(other.as_str()).is_none()
    {
        return Some(format!("rule {id}: there is no signal {other}"));
    }
    if rule.bits.is_some_and(|bits| !(1..=64).contains(&bits)) {
        return Some(format!("rule {id}: bits; 1 to 64 are allowed"));
    }
    let limit_given = match &rule.limit {
        Some(Limit::Value(limit)) if !limit.is_finite() => return Some(format!("rule {id}: limit {limit}")),
        Some(_) => true,
        None => false,
    };
    let (fits, needs) = match rule.kind {
        RuleKind::High | RuleKind::Low | RuleKind::Rate | RuleKind::Counter => {
            (limit_given && rule.signal.is_some(), "signal and limit")
        }
        RuleKind::Change | RuleKind::Stuck => (rule.signal.is_some(), "signal"),
        RuleKind::Deviation => (
            limit_given && rule.signal.is_some() && rule.other.is_some(),
            "signal, other and limit",
        ),
        RuleKind::Cel => (
            rule.expression.is_some() && rule.signal.is_none(),
            "expression and no signal",
        ),
        RuleKind::RunTime => (
            !rule.values.is_empty()
                && rule.signal.is_some()
                && rule.after.is_some_and(|after| after > Span::ZERO)
                && rule.window >= rule.after,
            "signal, values, after and a window that is as long or longer",
        ),
        RuleKind::State => (
            !rule.values.is_empty() && rule.signal.is_some(),
            "signal and values",
        ),
        RuleKind::Silence => (rule.after.is_some_and(|after| after > Span::ZERO), "after"),
    };
    if fits {
        None
    } else {
        Some(format!("rule {id}: a {:?} rule needs {needs}", rule.kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
kind = "x"
version = 1
title = { zh = "某", en = "some" }
domain = "sewage"
report_interval = "5min"
[[signal]]
name = "level"
title = { zh = "液位", en = "level" }
unit = "m"
range = [0, 4]
[[rule]]
id = "HH"
title = { zh = "高", en = "high" }
signal = "level"
kind = "high"
limit = 3
priority = "critical"
"#;

    #[test]
    fn a_good_profile_is_read() {
        let profile = Profile::parse("x.toml", GOOD).unwrap();
        assert_eq!(profile.signal_index("level"), Some(0));
        assert_eq!(profile.rules.len(), 1);
    }

    #[test]
    fn a_contradiction_is_refused_with_its_name() {
        for (from, to, word) in [
            ("limit = 3\n", "", "limit"),
            ("range = [0, 4]", "range = [4, 0]", "range"),
            ("signal = \"level\"\nkind", "signal = \"flow\"\nkind", "flow"),
            ("limit = 3", "limit = 3\ndeadband = -1", "deadband"),
            ("range = [0, 4]", "input = \"4-20mA\"", "full scale"),
            (
                "kind = \"high\"\nlimit = 3",
                "kind = \"run_time\"\nvalues = [1]\nafter = \"2h\"\nwindow = \"1h\"",
                "window",
            ),
        ] {
            let error = Profile::parse("x.toml", &GOOD.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_line() {
        let error = Profile::parse("x.toml", &GOOD.replace("range = [0, 4]", "rnage = [0, 4]")).unwrap_err();
        let ProfileError::Syntax { source, .. } = error else {
            panic!("{error}")
        };
        assert!(source.to_string().contains("line 11"), "{source}");
    }
}
