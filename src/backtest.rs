//! `townwatch backtest`: new rules tried on stored history beside the rules in force, without touching what is live.
//!
//! Start at [`run`]: two sets of rules ([`sets`]), one pass over the history ([`work`], [`history`]) under both, and what came of
//! them for people ([`table`]) and for programs ([`report`]).

mod history;
mod report;
mod sets;
mod table;
mod work;

use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use alarms::backtest::{Act, ActKind, Outcome, Setting, warm_up};
use alarms::engine::EventKind;
use alarms::rules::Schedule;
use jiff::tz::TimeZone;
use store::state::State;
use telemetry::time::{Span, SystemClock};
use telemetry::{Clock, Timestamp};

use crate::arguments::Backtest;
use crate::exit::Failure;
use crate::export::folder::{Folder, Means, means};
use crate::export::moment;
use crate::hazard::language;
use crate::server::sun;
use report::Report;
use sets::Sets;
use work::{Counts, Work};

/// The stretch of history that is asked about.
#[derive(Clone, Copy, Debug)]
struct Period {
    from: Timestamp,
    to: Timestamp,
}

/// `townwatch backtest`.
pub(crate) fn run(options: &Backtest) -> Result<ExitCode, Failure> {
    let means = means(&options.place)?;
    let folder = Folder::with(&means)?;
    let (clock, zone) = (SystemClock::new(), folder.zone()?);
    let period = period(options, &zone, now(&folder.state, &clock)?)?;
    let night = Schedule::parse(&options.night, zone.clone())
        .map_err(|why| Failure::Input(format!("--night: {why}")))?;
    if night.needs_sun() {
        return Err(Failure::Input(
            "--night goes by the clock: HH:MM-HH:MM".to_owned(),
        ));
    }
    let Sets {
        before,
        after,
        profiles,
        book,
        owners,
        names,
    } = sets::both(&means, &folder, &options.rules)?;
    let begin = period
        .from
        .minus(warm_up(before.rules().iter().chain(after.rules())));
    let setting = setting(&means, &folder, period.from, night)?;
    let acts = acts(&folder.state, begin, period.to)?;
    let points = folder.points()?;
    let nothing = || {
        let (from, to) = (&options.from, &options.to);
        let text = format!("nothing is stored from {from} to {to} of devices with rules");
        Failure::Input(text)
    };
    let started = clock.monotonic();
    let start = history::first(&points, &owners, (begin, period.to))?.ok_or_else(nothing)?;
    let counts = Counts::default();
    let work = Work {
        points: &points,
        sets: [&before, &after],
        owners: &owners,
        setting: &setting,
        period,
        start,
        acts: &acts,
    };
    let [old, new] = work.run(&counts)?;
    if counts.within.load(Ordering::Relaxed) == 0 {
        return Err(nothing());
    }
    let judged = counts.points.load(Ordering::Relaxed);
    tell_speed(judged, clock.monotonic().since(started));
    let clock_rules = after.clock_rules;
    let stretch = (period.from, period.to);
    let (before, after) = (
        Outcome::of(before, old, stretch),
        Outcome::of(after, new, stretch),
    );
    let report = Report {
        period,
        zone: &folder.catalogue.registry().county.zone,
        night: &options.night,
        start,
        profiles: &profiles,
        book: book.as_ref(),
        points: judged,
        clock_rules,
        summaries_only: counts.summaries_only.load(Ordering::Relaxed),
        acts: acts.len(),
        names: &names,
        before: &before,
        after: &after,
    };
    print(options.place.json, &report, &zone)
}

fn print(json: bool, report: &Report<'_>, zone: &TimeZone) -> Result<ExitCode, Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let printed = |error| Failure::other("cannot write to standard output", error);
    if json {
        serde_json::to_writer(&mut out, &report.form()).map_err(|error| printed(error.into()))?;
        writeln!(out).map_err(printed)?;
    } else {
        let text = table::text(report, zone, language());
        out.write_all(text.as_bytes()).map_err(printed)?;
    }
    out.flush().map_err(printed)?;
    Ok(ExitCode::SUCCESS)
}

/// Now, or what the server took for it: a demo may run faster than the clock.
fn now(state: &State, clock: &SystemClock) -> Result<Timestamp, Failure> {
    let cursor = state
        .alarm_cursor()
        .map_err(|error| Failure::data("the data folder cannot be read", &error))?;
    Ok(cursor
        .map_or(Timestamp::MIN, |cursor| cursor.now)
        .max(clock.now()))
}

fn period(options: &Backtest, zone: &TimeZone, now: Timestamp) -> Result<Period, Failure> {
    let read = |option: &str, text: &str| {
        moment::read(text, zone).map_err(|why| Failure::Input(format!("{option}: {why}")))
    };
    let (from, to) = (read("--from", &options.from)?, read("--to", &options.to)?);
    if from >= to {
        let text = format!("--from ({from}) is not before --to ({to})");
        return Err(Failure::Input(text));
    }
    if to > now {
        // Beyond now everything would be silent.
        say(&format!("--to ({to}) has not come yet: until now, {now}"));
    }
    let to = to.min(now);
    if from >= to {
        return Err(Failure::Input(format!("--from ({from}) has not come yet")));
    }
    Ok(Period { from, to })
}

fn setting(means: &Means, folder: &Folder, from: Timestamp, night: Schedule) -> Result<Setting, Failure> {
    let policy = means.policy()?;
    let zone = &folder.catalogue.registry().county.zone;
    let telling = means
        .alarms
        .telling(zone)
        .map_err(|error| Failure::Input(error.to_string()))?;
    Ok(Setting {
        from,
        alarms: Arc::new(means.alarms.clone()),
        telling: Arc::new(telling),
        daylight: Arc::new(sun(&folder.catalogue, &policy)?),
        night,
    })
}

/// What people did to alarms, in order of time.
fn acts(state: &State, from: Timestamp, to: Timestamp) -> Result<Vec<Act>, Failure> {
    let mut acts = Vec::new();
    for (event, what) in [
        (EventKind::Acknowledged, ActKind::Acknowledge),
        (EventKind::Reset, ActKind::Reset),
    ] {
        let mut take = |row: store::state::alarms::LogRow| {
            acts.push(Act {
                at: row.at,
                rule: row.rule,
                by: row.by.unwrap_or_default(),
                what,
            });
        };
        state
            .alarm_events(event.name(), (from, to), &mut take)
            .map_err(|error| Failure::data("the log of the alarms cannot be read", &error))?;
    }
    // At one instant an acknowledgement comes before a reset, as it has to.
    acts.sort_by_key(|act| act.at);
    Ok(acts)
}

fn tell_speed(points: u64, took: Span) {
    let seconds = took.duration().as_secs_f64();
    let rate = points as f64 / seconds.max(0.001);
    say(&format!(
        "{points} points judged by both sets of rules in {seconds:.1} s, {rate:.0} points/s"
    ));
}

/// Tells it on standard error.
fn say(text: &str) {
    // Who closes standard error does not want to know.
    let _closed = writeln!(std::io::stderr(), "{text}");
}
