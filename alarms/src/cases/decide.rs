//! What a person may do with a case, and what becomes of it. Pure: case, command and time in; case and event out.

use serde_json::{Value, json};
use telemetry::Timestamp;

use super::case::{ALARMS_MAX, Asked, Case, MARKS_MAX};
use super::evidence::Verdict;
use super::lifecycle::{CaseEvent, CaseState, after};
use super::worktime::WorkTime;

/// What somebody wants to do with a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// 派遣: give it to an organisation; none: to the one whose it is.
    Dispatch {
        /// An organisation of the registry.
        organisation: Option<Box<str>>,
    },
    /// 处置: begin.
    Start,
    /// 处置反馈: say that it is done.
    Handled {
        /// Where a photo lies.
        photo: Option<Box<str>>,
    },
    /// 核查: say that it is done indeed.
    Verify {
        /// Where a photo lies.
        photo: Option<Box<str>>,
    },
    /// 返工: say that it is not.
    Rework,
    /// 挂账: ask to put it off, or approve of that.
    Suspend {
        /// Approve of what somebody else asked for.
        approve: bool,
    },
    /// Take it up again; of a case that is only asked to be put off: refuse that.
    Resume,
    /// 作废.
    Cancel,
    /// 并案, into the case with this number.
    Merge {
        /// Another open case.
        into: u64,
    },
    /// 结案.
    Close,
}

/// Who does something, when, and what they say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hand<'a> {
    /// Their name.
    pub by: &'a str,
    /// Why, or what was found.
    pub remark: &'a str,
    /// When.
    pub at: Timestamp,
}

/// Why it was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The life cycle does not allow it. Read the case again: somebody may have been faster.
    #[error("the case is {}; it cannot be {}", state.name(), event.name())]
    State {
        /// Where it is.
        state: CaseState,
        /// What was wanted.
        event: CaseEvent,
    },
    /// The alarm stands, or telemetry has not been normal for long enough.
    #[error("telemetry does not agree: {0}")]
    Telemetry(String),
    /// Nobody asks to put it off.
    #[error("nobody asks to put the case off; ask first")]
    NotAsked,
    /// Who asks to put a case off does not approve of it.
    #[error("{0} asks to put the case off; another person must approve")]
    SamePerson(Box<str>),
    /// It cannot go on in that other case.
    #[error("the case cannot be merged into case {into}: {why}")]
    Merge {
        /// Which.
        into: u64,
        /// Why.
        why: &'static str,
    },
    /// There is no such organisation in the registry.
    #[error("there is no organisation {0:?} in the registry")]
    Organisation(Box<str>),
    /// Too much has happened to it. Cancel it, and file another.
    #[error("the case has changed {MARKS_MAX} times; more is not kept")]
    Full,
}

/// What becomes of a case, and what stands among its events.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The case after it.
    pub case: Case,
    /// What happened.
    pub event: CaseEvent,
    /// What else is to be known of it.
    pub detail: Value,
}

impl Command {
    /// What it means for a case as it is.
    #[must_use]
    pub const fn event(&self, case: &Case) -> CaseEvent {
        match self {
            Self::Dispatch { .. } => CaseEvent::Dispatch,
            Self::Start => CaseEvent::Start,
            Self::Handled { .. } => CaseEvent::Handled,
            Self::Verify { .. } => CaseEvent::Verify,
            Self::Rework => CaseEvent::Rework,
            Self::Suspend { approve: false } => CaseEvent::AskSuspension,
            Self::Suspend { approve: true } => CaseEvent::Suspend,
            Self::Resume if case.asked.is_some() => CaseEvent::DeclineSuspension,
            Self::Resume => CaseEvent::Resume,
            Self::Cancel => CaseEvent::Cancel,
            Self::Merge { .. } => CaseEvent::Merge,
            Self::Close => CaseEvent::Close,
        }
    }
}

/// Decides about everything but merging, which [`merge`] decides. `verdicts` are what telemetry says of each alarm of the case.
///
/// # Errors
/// [`Refusal`].
pub fn decide(
    case: &Case,
    command: &Command,
    hand: Hand<'_>,
    verdicts: &[Verdict],
    time: &WorkTime,
) -> Result<Decided, Refusal> {
    let event = command.event(case);
    let state = allowed(case, event)?;
    let mut case = case.clone();
    let detail = match command {
        Command::Dispatch { organisation } => {
            if let Some(organisation) = organisation {
                case.organisation.clone_from(organisation);
            }
            json!({"organisation": case.organisation})
        }
        Command::Handled { photo } => json!({"photo": photo}),
        Command::Verify { photo } => json!({"photo": photo, "telemetry": agreed(verdicts)?}),
        Command::Close => json!({"telemetry": standing(&case)?}),
        Command::Suspend { approve: false } => {
            case.asked = Some(Asked {
                by: hand.by.into(),
                at: hand.at,
                remark: hand.remark.into(),
            });
            Value::Null
        }
        Command::Suspend { approve: true } => approve(&mut case, hand)?,
        Command::Merge { into } => {
            return Err(Refusal::Merge {
                into: *into,
                why: "two cases are decided about together",
            });
        }
        Command::Resume | Command::Start | Command::Rework | Command::Cancel => Value::Null,
    };
    if event != CaseEvent::AskSuspension {
        // Whoever moves a case on decides about what was asked before, too.
        case.asked = None;
    }
    case.put(state, event, moment(&case, hand.at), time);
    Ok(Decided { case, event, detail })
}

/// Decides about merging `case` into `into`: both of them after it, and what stands among the events of the first.
///
/// # Errors
/// [`Refusal`].
pub fn merge(case: &Case, into: &Case, hand: Hand<'_>, time: &WorkTime) -> Result<(Decided, Case), Refusal> {
    let refused = |why| Refusal::Merge { into: into.id, why };
    let state = allowed(case, CaseEvent::Merge)?;
    if case.id == into.id {
        return Err(refused("it is the same one"));
    }
    if !into.state.is_open() {
        return Err(refused("that one is over"));
    }
    if case.alarms.len() + into.alarms.len() > ALARMS_MAX {
        return Err(refused("it would be about too many alarms"));
    }
    let (mut merged, mut goes_on) = (case.clone(), into.clone());
    goes_on.alarms.append(&mut merged.alarms);
    merged.asked = None;
    merged.merged_into = Some(into.id);
    merged.put(state, CaseEvent::Merge, moment(case, hand.at), time);
    let detail = json!({"into": into.id});
    let event = CaseEvent::Merge;
    let decided = Decided {
        case: merged,
        event,
        detail,
    };
    Ok((decided, goes_on))
}

fn allowed(case: &Case, event: CaseEvent) -> Result<CaseState, Refusal> {
    let state = case.state;
    let after = after(state, event).ok_or(Refusal::State { state, event })?;
    // An end is always possible: a case that nobody can end would be overdue for ever.
    if case.marks.len() >= MARKS_MAX && after.is_open() {
        return Err(Refusal::Full);
    }
    Ok(after)
}

/// The marks of a case are in order, whatever the wall clock does.
fn moment(case: &Case, at: Timestamp) -> Timestamp {
    let last = case.marks.last().map_or(case.filed_at, |mark| mark.at);
    at.max(last)
}

fn agreed(verdicts: &[Verdict]) -> Result<Vec<&str>, Refusal> {
    let each = verdicts.iter().map(|verdict| match verdict {
        Verdict::Normal(found) => Ok(found.as_str()),
        Verdict::NotYet(why) => Err(Refusal::Telemetry(why.clone())),
    });
    each.collect()
}

/// Between verification and closing an alarm may have come back.
fn standing(case: &Case) -> Result<&'static str, Refusal> {
    match case.alarms.iter().find(|alarm| alarm.active) {
        Some(alarm) => Err(Refusal::Telemetry(format!(
            "{}: the alarm stands again; send the case to rework",
            alarm.rule
        ))),
        None if case.alarms.is_empty() => Ok("no alarm"),
        None => Ok("no alarm stands"),
    }
}

fn approve(case: &mut Case, hand: Hand<'_>) -> Result<Value, Refusal> {
    let asked = case.asked.take().ok_or(Refusal::NotAsked)?;
    if asked.by.trim() == hand.by.trim() {
        return Err(Refusal::SamePerson(asked.by));
    }
    Ok(json!({"asked_by": asked.by, "asked_for": asked.remark}))
}

#[cfg(test)]
mod tests;
