//! Chattering rules 抖动报警: raised so often within a short time that nobody can act on them. Pure.

use std::collections::{BTreeMap, VecDeque};

use telemetry::Timestamp;
use telemetry::time::Span;

use super::Happening;

/// When a rule chatters. Source: `alarms.md` §1.3 (confidence M).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChatterLimits {
    /// So many raises, …
    pub raises: u32,
    /// … the last no later than this after the first. Default 1 min.
    pub within: Span,
}

impl Default for ChatterLimits {
    fn default() -> Self {
        Self {
            raises: 3,
            within: Span::from_secs(60),
        }
    }
}

/// Raises as they come, in order of time.
#[derive(Clone, Debug)]
pub struct Chatter {
    limits: ChatterLimits,
    recent: BTreeMap<u32, VecDeque<Timestamp>>,
    found: BTreeMap<u32, Found>,
}

/// How a rule chattered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Raises that were one too many in a short time.
    pub raises: u64,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
}

impl Chatter {
    /// Nothing yet.
    #[must_use]
    pub const fn new(limits: ChatterLimits) -> Self {
        Self {
            limits,
            recent: BTreeMap::new(),
            found: BTreeMap::new(),
        }
    }

    /// Takes in what happened, where it is a raise that counts.
    pub fn take(&mut self, happening: &Happening) {
        if !happening.is_raise() {
            return;
        }
        let at = happening.at;
        let recent = self.recent.entry(happening.rule).or_default();
        let within = self.limits.within.millis_i64();
        while recent
            .front()
            .is_some_and(|first| at.millis_since(*first) > within)
        {
            recent.pop_front();
        }
        recent.push_back(at);
        let most = usize::try_from(self.limits.raises).unwrap_or(usize::MAX).max(1);
        if recent.len() < most {
            return;
        }
        // The others stand for the next raise.
        recent.pop_front();
        let found = self.found.entry(happening.rule).or_insert(Found {
            raises: 0,
            first: at,
            last: at,
        });
        found.raises += 1;
        found.last = at;
    }

    /// The rules that chattered, with how.
    #[must_use]
    pub const fn found(&self) -> &BTreeMap<u32, Found> {
        &self.found
    }
}
