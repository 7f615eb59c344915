//! Whether a case counts in a period, and for what. Pure.

use telemetry::Timestamp;

use super::super::CaseFact;
use crate::cases::case::Standing;
use crate::cases::lifecycle::CaseState;

/// What a case is to a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// Nothing: it belongs to another period.
    Elsewhere,
    /// It counts; `hit` in the numerator as well.
    Counts { hit: bool },
    /// It is left out.
    Out(Out),
}

/// Why it is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Out {
    Cancelled,
    Merged,
    Suspended,
    /// The calendar lacks this year.
    NoDeadline(i16),
}

pub(super) fn handling(fact: &CaseFact, from: Timestamp, to: Timestamp) -> Judged {
    let standing = &fact.standing;
    due(
        standing,
        standing.due.handle,
        standing.handled_at,
        (from, to),
        |done, _| done.is_some(),
    )
}

pub(super) fn in_time_handling(fact: &CaseFact, from: Timestamp, to: Timestamp) -> Judged {
    let standing = &fact.standing;
    due(
        standing,
        standing.due.handle,
        standing.handled_at,
        (from, to),
        in_time,
    )
}

pub(super) fn closure(fact: &CaseFact, from: Timestamp, to: Timestamp) -> Judged {
    let standing = &fact.standing;
    due(
        standing,
        standing.due.close,
        standing.closed_at,
        (from, to),
        |done, _| done.is_some(),
    )
}

pub(super) fn in_time_closure(fact: &CaseFact, from: Timestamp, to: Timestamp) -> Judged {
    let standing = &fact.standing;
    due(
        standing,
        standing.due.close,
        standing.closed_at,
        (from, to),
        in_time,
    )
}

pub(super) fn rework(fact: &CaseFact, from: Timestamp, to: Timestamp) -> Judged {
    let standing = &fact.standing;
    let Some(first) = standing.feedback.iter().find(|at| (from..to).contains(*at)) else {
        return Judged::Elsewhere;
    };
    if let Some(out) = over(standing) {
        return Judged::Out(out);
    }
    Judged::Counts {
        hit: standing.reworked.iter().any(|at| at >= first),
    }
}

/// Counts what is overdue at the end of the period; `from` does not matter.
pub(super) fn backlog(fact: &CaseFact, _from: Timestamp, to: Timestamp) -> Judged {
    let standing = &fact.standing;
    if !standing.state.is_open() {
        return Judged::Elsewhere;
    }
    if standing.state == CaseState::Suspended {
        return Judged::Out(Out::Suspended);
    }
    let handle = standing.due.handle.filter(|_| !standing.state.is_handled());
    let past = |due: Option<Timestamp>| due.is_some_and(|due| due < to);
    if past(handle) || past(standing.due.close) {
        return Judged::Counts { hit: true };
    }
    match standing.due.unknown_year {
        Some(year) => Judged::Out(Out::NoDeadline(year)),
        None => Judged::Elsewhere,
    }
}

fn in_time(done: Option<Timestamp>, due: Timestamp) -> bool {
    done.is_some_and(|done| done <= due)
}

/// A case counts in the period in which its deadline or, if that is earlier, its end lies.
fn due(
    standing: &Standing,
    due: Option<Timestamp>,
    done: Option<Timestamp>,
    (from, to): (Timestamp, Timestamp),
    hit: fn(Option<Timestamp>, Timestamp) -> bool,
) -> Judged {
    if let Some(out) = over(standing) {
        return Judged::Out(out);
    }
    let Some(due) = due else {
        return match standing.due.unknown_year {
            Some(year) => Judged::Out(Out::NoDeadline(year)),
            None => Judged::Out(Out::Suspended),
        };
    };
    let when = done.map_or(due, |done| done.min(due));
    if (from..to).contains(&when) {
        Judged::Counts { hit: hit(done, due) }
    } else {
        Judged::Elsewhere
    }
}

fn over(standing: &Standing) -> Option<Out> {
    match standing.state {
        CaseState::Cancelled => Some(Out::Cancelled),
        CaseState::Merged => Some(Out::Merged),
        CaseState::Filed
        | CaseState::Dispatched
        | CaseState::Handling
        | CaseState::Handled
        | CaseState::Verified
        | CaseState::Suspended
        | CaseState::Closed => None,
    }
}
