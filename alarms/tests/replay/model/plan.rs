//! What the model and the generators talk about: points with their rules, samples, and lines of the output. Times and
//! spans are milliseconds.

/// How far a value may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    Good,
    Uncertain,
    Bad,
}

/// One reading as it is written in the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) time: i64,
    pub(crate) value: Option<f64>,
    pub(crate) quality: Quality,
    pub(crate) backfill: bool,
}

impl Sample {
    /// The quality that counts: no value is bad.
    pub(crate) fn trust(&self) -> Quality {
        self.value.map_or(Quality::Bad, |_| self.quality)
    }
}

/// A limit with its dead band and delays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rule {
    pub(crate) low: bool,
    pub(crate) limit: f64,
    pub(crate) deadband: f64,
    pub(crate) on_delay: i64,
    pub(crate) off_delay: i64,
}

/// What one sample says to one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// At or over the limit, and not bad.
    Violating,
    /// Good, and neither violating nor clear.
    Band,
    /// Good, and beyond the dead band.
    Clear,
    /// Bad, or uncertain without a violation: says nothing.
    Neutral,
}

impl Rule {
    /// The kind in the rules file, and the end of the rule's name.
    pub(crate) fn kind(&self) -> &'static str {
        if self.low { "low" } else { "high" }
    }

    pub(crate) fn side(&self, sample: &Sample) -> Side {
        let over = |value: f64| {
            if self.low {
                self.limit - value
            } else {
                value - self.limit
            }
        };
        match (sample.trust(), sample.value.map(over)) {
            (Quality::Bad, _) | (_, None) => Side::Neutral,
            (_, Some(over)) if over >= 0.0 => Side::Violating,
            (Quality::Uncertain, _) => Side::Neutral,
            (Quality::Good, Some(over)) if over < -self.deadband => Side::Clear,
            (Quality::Good, _) => Side::Band,
        }
    }
}

/// A point and its rules; without `stale_after` it is never silent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Point {
    pub(crate) name: String,
    pub(crate) stale_after: Option<i64>,
    pub(crate) life_safety: bool,
    pub(crate) rules: Vec<Rule>,
}

/// What the rules file says.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) lateness: i64,
    pub(crate) live_age: i64,
    pub(crate) grace: i64,
    pub(crate) points: Vec<Point>,
}

/// One line of the output as far as the model predicts it: at, event, rule, occurrence, since and state.
pub(crate) type Line = (i64, String, String, u64, Option<i64>, String);
