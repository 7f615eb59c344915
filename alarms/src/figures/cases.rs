//! The figures of the cases 案卷: 处置率, 及时处置率, 结案率, 按期结案率, 返工率, 积件.
//!
//! A case belongs to the period in which it is due or, if that is earlier, done: to exactly one. Source: `domain.md` §5.

mod judge;

use std::collections::BTreeMap;

use telemetry::{SiteId, Timestamp};

use super::asked::{Asked, Kind};
use super::form::{Excluded, Figure, Formula, Part, percent, share, words};
use super::{CaseFact, FigureError, Scope};
use judge::{Judged, Out};

/// Cases that a part leads to. The rest is counted in its notes.
const EVIDENCE_MAX: usize = 100;

const fn kind(name: &'static str, zh: &'static str, en: &'static str, formula: Formula) -> Kind {
    Kind {
        name,
        zh,
        en,
        unit: "%",
        counted_in: "{case}",
        unknown_in: "{case}",
        formula,
    }
}

pub(super) fn handling(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "case_handling_rate/cases/1",
        text: "handled / due to handle × 100 %; due to handle: min(deadline of the work, time of the feedback that holds) lies \
               in the period; handled: the feedback came before its end; cancelled, merged and suspended cases excluded",
    };
    let kind = kind("case_handling_rate", "处置率", "cases handled", formula);
    rate(asked, kind, judge::handling)
}

pub(super) fn in_time_handling(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "case_in_time_handling_rate/cases/1",
        text: "handled by the deadline of the work / due to handle × 100 %; due to handle as in case_handling_rate",
    };
    let kind = kind(
        "case_in_time_handling_rate",
        "及时处置率",
        "cases handled in time",
        formula,
    );
    rate(asked, kind, judge::in_time_handling)
}

pub(super) fn closure(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "case_closure_rate/cases/1",
        text: "closed / due to close × 100 %; due to close: min(deadline of the case, time of closing) lies in the period; \
               cancelled, merged and suspended cases excluded",
    };
    let kind = kind("case_closure_rate", "结案率", "cases closed", formula);
    rate(asked, kind, judge::closure)
}

pub(super) fn in_time_closure(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "case_in_time_closure_rate/cases/1",
        text: "closed by the deadline of the case / due to close × 100 %; due to close as in case_closure_rate",
    };
    let kind = kind(
        "case_in_time_closure_rate",
        "按期结案率",
        "cases closed in time",
        formula,
    );
    rate(asked, kind, judge::in_time_closure)
}

pub(super) fn rework(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "case_rework_rate/cases/1",
        text: "returned / handled × 100 %; handled: cases with a feedback in the period; returned: those of them that were sent \
               back to rework after it and before the end of the period",
    };
    let kind = kind("case_rework_rate", "返工率", "cases sent back to rework", formula);
    rate(asked, kind, judge::rework)
}

pub(super) fn backlog(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "case_backlog/cases/1",
        text: "cases that are open at the end of the period and past a deadline: that of the work while it is not done, or that of \
               the case; suspended ones excluded",
    };
    let kind = Kind {
        unit: "{case}",
        ..kind("case_backlog", "积件", "case backlog", formula)
    };
    let mut figure = gather(asked, kind, judge::backlog)?;
    figure.numerator = Some(figure.parts.iter().filter_map(|part| part.numerator).sum());
    figure.value = figure.numerator;
    for part in &mut figure.parts {
        part.value = part.numerator;
        part.denominator = None;
    }
    Ok(figure)
}

/// A rate over the cases that `judge` counts.
fn rate(asked: &Asked<'_>, kind: Kind, judge: Judge) -> Result<Figure, FigureError> {
    let mut figure = gather(asked, kind, judge)?;
    let hits: f64 = figure.parts.iter().filter_map(|part| part.numerator).sum();
    let all: f64 = figure.parts.iter().filter_map(|part| part.denominator).sum();
    figure.numerator = Some(hits);
    figure.denominator = Some(all);
    figure.value = percent(hits, all);
    figure.unknown.share = share(figure.unknown.amount, all + figure.unknown.amount);
    if figure.value.is_none() {
        figure.reason = Some(words("时段内没有应计案件", "no case counts in the period"));
    }
    for part in &mut figure.parts {
        part.value = percent(part.numerator.unwrap_or(0.0), part.denominator.unwrap_or(0.0));
    }
    Ok(figure)
}

type Judge = fn(&CaseFact, Timestamp, Timestamp) -> Judged;

/// What one organisation's cases come to.
#[derive(Default)]
struct Tally {
    hits: u32,
    all: u32,
    unknown: u32,
    cases: Vec<u64>,
}

/// A figure with its parts and exclusions, and without its own number.
fn gather(asked: &Asked<'_>, kind: Kind, judge: Judge) -> Result<Figure, FigureError> {
    let (from, to) = asked.period(asked.year_begin())?;
    let facts = asked.cases.facts(from, to).map_err(FigureError::Cases)?;
    let mut figure = asked.figure(kind, from, to);
    let mut tallies: BTreeMap<Box<str>, Tally> = BTreeMap::new();
    let mut unconfirmed = false;
    for fact in facts.iter().filter(|fact| holds(asked.scope, fact)) {
        let judged = judge(fact, from, to);
        if judged == Judged::Elsewhere {
            continue;
        }
        let tally = tallies.entry(fact.organisation.clone()).or_default();
        match judged {
            Judged::Elsewhere => {}
            Judged::Counts { hit } => {
                tally.all += 1;
                tally.hits += u32::from(hit);
                tally.cases.push(fact.id);
                unconfirmed |= fact.standing.due.unconfirmed;
            }
            Judged::Out(out) => {
                if matches!(out, Out::NoDeadline(_)) {
                    tally.unknown += 1;
                    figure.unknown.amount += 1.0;
                }
                figure.excluded.extend(excluded(fact, out));
            }
        }
    }
    for (organisation, tally) in tallies {
        figure.parts.push(part(asked, &organisation, &tally));
        figure
            .evidence
            .push(format!("/api/v1/cases?organisation={organisation}"));
    }
    if unconfirmed {
        figure.notes.push(words(
            "工作日历未经核对，按记忆中的放假通知计算",
            "counted with a calendar of working days that nobody has confirmed",
        ));
    }
    Ok(figure)
}

fn holds(scope: &Scope, fact: &CaseFact) -> bool {
    match scope {
        Scope::County => true,
        Scope::Site(site) => *site.as_str() == *fact.site,
        Scope::Town(town) => *town == fact.town,
        // Whose work it is, not who runs the place.
        Scope::Organisation(organisation) => *organisation == fact.organisation,
        Scope::Rule(_) => false,
    }
}

fn part(asked: &Asked<'_>, organisation: &str, tally: &Tally) -> Part {
    let evidence = tally.cases.iter().take(EVIDENCE_MAX);
    let mut notes = Vec::new();
    let more = tally.cases.len().saturating_sub(EVIDENCE_MAX);
    if more > 0 {
        notes.push(words(format!("另有{more}件"), format!("{more} more cases")));
    }
    Part {
        site: None,
        organisation: Some(organisation.into()),
        device: None,
        rule: None,
        name: asked.organisation(organisation),
        value: None,
        numerator: Some(f64::from(tally.hits)),
        denominator: Some(f64::from(tally.all)),
        unknown: f64::from(tally.unknown),
        hazard: None,
        notes,
        evidence: evidence.map(|id| format!("/api/v1/cases/{id}")).collect(),
    }
}

fn excluded(fact: &CaseFact, out: Out) -> Option<Excluded> {
    let number = fact.id;
    let (code, reason) = match out {
        Out::Cancelled => (
            "cancelled",
            words(
                format!("案卷{number}已作废"),
                format!("case {number} was cancelled"),
            ),
        ),
        Out::Merged => (
            "merged",
            words(format!("案卷{number}已并案"), format!("case {number} was merged")),
        ),
        Out::Suspended => (
            "suspended",
            words(
                format!("案卷{number}挂账中"),
                format!("case {number} is suspended"),
            ),
        ),
        Out::NoDeadline(year) => (
            "no_deadline",
            words(
                format!("案卷{number}的时限不明：日历缺{year}年"),
                format!("the deadline of case {number} is not known: the calendar has no year {year}"),
            ),
        ),
    };
    Some(Excluded {
        site: SiteId::new(&fact.site).ok()?,
        device: None,
        name: fact.site_name.clone(),
        code,
        reason,
    })
}

#[cfg(test)]
mod tests;
