//! A reference model of the alarm engine: small, slow, and written from the text of the semantics alone. It keeps
//! every sample of every point and computes each run of samples anew from them.
//!
//! The model is certain, not complete. A sample whose outcome the text leaves open is not [taken](Model::take)
//! (`open.rs` says which), and the caller puts a tick of the clock in its place. It knows rules of kind high and low
//! that do not latch, without a full scale, and `POINT.silence` and `POINT.fault`; it needs a `stale_after` no shorter
//! than the lateness and the grace, because the text does not say what a shorter one means. It predicts raised, cleared
//! and acknowledged, and neither notices, tags and annotations, nor the `since` of a silence.

mod known;
mod open;
mod plan;

pub(crate) use plan::{Line, Plan, Point, Quality, Rule, Sample, Side};

/// The life of the alarm of one rule; `waiting`: nobody has acknowledged it.
#[derive(Default)]
struct Alarm {
    id: String,
    occurrence: u64,
    open: bool,
    waiting: bool,
}

impl Alarm {
    fn new(point: &Point, kind: &str) -> Self {
        Self {
            id: format!("{}.{kind}", point.name),
            ..Self::default()
        }
    }

    fn becomes(&mut self, event: &str, at: i64, since: Option<i64>) -> Line {
        match event {
            "raised" => (self.occurrence, self.open, self.waiting) = (self.occurrence + 1, true, true),
            "cleared" => self.open = false,
            _ => self.waiting = false,
        }
        let state = match (self.open, self.waiting) {
            (true, true) => "unacknowledged",
            (true, false) => "acknowledged",
            (false, true) => "returned_unacknowledged",
            (false, false) => "normal",
        };
        let (event, rule, state) = (event.to_owned(), self.id.clone(), state.to_owned());
        (at, event, rule, self.occurrence, since, state)
    }
}

/// A stored sample. `history`: back-filled, or older than the live age; it takes part in nothing.
struct Seen {
    sample: Sample,
    arrived: i64,
    order: usize,
    history: bool,
}

/// The newest sample that is not history.
fn newest(seen: &[Seen]) -> Option<&Seen> {
    seen.iter().rev().find(|s| !s.history)
}

/// What is newer than `time` and not history, oldest first.
fn after(seen: &[Seen], time: i64) -> impl Iterator<Item = &Seen> {
    seen.iter().filter(move |s| !s.history && s.sample.time > time)
}

/// Samples on one side of a rule with nothing contrary between: the first and last time, the earliest arrival.
#[derive(Clone, Copy)]
struct Run {
    start: i64,
    last: i64,
    arrived: i64,
}

impl Run {
    fn of_one(time: i64, arrived: i64) -> Self {
        let (start, last) = (time, time);
        Self { start, last, arrived }
    }

    fn with(self, other: Self) -> Self {
        let (start, last) = (self.start.min(other.start), self.last.max(other.last));
        let arrived = self.arrived.min(other.arrived);
        Self { start, last, arrived }
    }

    fn longest<'a>(rule: &Rule, side: Side, seen: impl Iterator<Item = &'a Seen>) -> Option<Self> {
        seen.map(|s| (s, rule.side(&s.sample)))
            .take_while(|(_, other)| [side, Side::Neutral].contains(other))
            .filter(|(_, other)| *other == side)
            .map(|(s, _)| Self::of_one(s.sample.time, s.arrived))
            .reduce(Self::with)
    }
}

/// One occurrence by event time.
struct Span {
    from: i64,
    to: Option<i64>,
}

impl Span {
    fn touches(&self, run: Run) -> bool {
        run.last >= self.from && self.to.is_none_or(|to| run.start < to)
    }
}

/// One rule at work. `barrier`: samples that came earlier lie behind a gap that its delays do not cross.
#[derive(Default)]
struct Watch {
    rule: Rule,
    alarm: Alarm,
    spans: Vec<Span>,
    barrier: usize,
}

impl Watch {
    /// The run that the newest samples make, with its delay: clear samples while open, else violations.
    fn running(&self, seen: &[Seen]) -> Option<(Run, i64)> {
        let (side, delay) = if self.alarm.open {
            (Side::Clear, self.rule.off_delay)
        } else {
            (Side::Violating, self.rule.on_delay)
        };
        Run::longest(&self.rule, side, self.back_from(seen, i64::MAX)).map(|run| (run, delay))
    }

    fn back_from<'a>(&self, seen: &'a [Seen], time: i64) -> impl Iterator<Item = &'a Seen> {
        let barrier = self.barrier;
        let live = seen.iter().rev().filter(|s| !s.history);
        live.skip_while(move |s| s.sample.time > time)
            .take_while(move |s| s.order >= barrier)
    }

    /// The violations on both sides of `time` without anything contrary between.
    fn around(&self, seen: &[Seen], time: i64) -> Option<Run> {
        let older = Run::longest(&self.rule, Side::Violating, self.back_from(seen, time));
        let newer = Run::longest(&self.rule, Side::Violating, after(seen, time));
        older.into_iter().chain(newer).reduce(Run::with)
    }

    fn touches(&self, run: Run) -> bool {
        self.spans.iter().any(|span| span.touches(run))
    }

    /// When the running delay ends by the clock. An off-delay waits while the newest sample is bad.
    fn deadline(&self, seen: &[Seen]) -> Option<i64> {
        let waits = self.alarm.open && newest(seen).is_some_and(|s| s.sample.trust() == Quality::Bad);
        let running = self.running(seen).filter(|_| !waits);
        running.map(|(run, delay)| run.arrived + delay)
    }

    fn raise(&mut self, at: i64, from: i64) -> Line {
        self.spans.push(Span { from, to: None });
        self.alarm.becomes("raised", at, Some(from))
    }

    /// Takes note of a sample that is now among `seen`: a violation raises, or belongs to an occurrence.
    fn look(&mut self, seen: &[Seen], sample: &Sample, at: i64, lines: &mut Vec<Line>) {
        let around = self.around(seen, sample.time);
        if let Some(run) = around.filter(|_| self.rule.side(sample) == Side::Violating) {
            if !self.touches(run) && !self.alarm.open && run.last - run.start >= self.rule.on_delay {
                lines.push(self.raise(at, run.start));
            }
            for span in self.spans.iter_mut().filter(|span| span.touches(run)) {
                span.from = span.from.min(run.start);
            }
        }
        self.settle(seen, at, lines);
    }

    /// Lets the running delay mature where it is due, by the clock or by event time.
    fn settle(&mut self, seen: &[Seen], at: i64, lines: &mut Vec<Line>) {
        let (running, deadline) = (self.running(seen), self.deadline(seen));
        let (Some((run, delay)), Some(deadline)) = (running, deadline) else {
            return;
        };
        if at < deadline && run.last - run.start < delay {
            return;
        }
        if self.alarm.open {
            self.spans
                .iter_mut()
                .rev()
                .take(1)
                .for_each(|span| span.to = Some(run.start));
            lines.push(self.alarm.becomes("cleared", at, Some(run.start)));
        } else {
            lines.push(self.raise(at, run.start));
        }
    }
}

/// One point at work. It is stale exactly while its silence is open; `frozen`: a delay ran when it became so.
#[derive(Default)]
struct Watched {
    point: Point,
    seen: Vec<Seen>,
    fresh_from: i64,
    frozen: bool,
    rules: Vec<Watch>,
    silence: Alarm,
    fault: Alarm,
}

impl Watched {
    fn new(point: &Point, fresh_from: i64) -> Self {
        let watch = |rule: &Rule| Watch {
            rule: rule.clone(),
            alarm: Alarm::new(point, rule.kind()),
            ..Watch::default()
        };
        Self {
            point: point.clone(),
            fresh_from,
            rules: point.rules.iter().map(watch).collect(),
            silence: Alarm::new(point, "silence"),
            fault: Alarm::new(point, "fault"),
            ..Self::default()
        }
    }

    /// What is due first up to `at`, and whether it is silence. A stale point freezes its delays.
    fn due(&self, at: i64, with_silence: bool) -> Option<(i64, bool)> {
        if self.silence.open {
            return None;
        }
        let silence = self.point.stale_after.map(|after| self.fresh_from + after);
        let silence = silence.filter(|due| *due < at || with_silence && *due == at);
        let delays = self.rules.iter().filter_map(|watch| watch.deadline(&self.seen));
        let delays = delays.filter(|due| *due <= at).map(|due| (due, false));
        delays.chain(silence.map(|due| (due, true))).min()
    }

    /// The point falls silent. A normal on-delay begins anew behind the gap, an off-delay in either class.
    fn fall_silent(&mut self, at: i64, lines: &mut Vec<Line>) {
        let (seen, life_safety) = (&self.seen, self.point.life_safety);
        self.frozen = self.rules.iter().any(|watch| watch.running(seen).is_some());
        let anew = self
            .rules
            .iter_mut()
            .filter(|watch| watch.alarm.open || !life_safety);
        anew.for_each(|watch| watch.barrier = seen.len());
        lines.push(self.silence.becomes("raised", at, None));
    }

    fn observe(&mut self, seen: Seen, lines: &mut Vec<Line>) {
        let (sample, at, history) = (seen.sample, seen.arrived, seen.history);
        self.seen.push(seen);
        self.seen.sort_by_key(|s| s.sample.time);
        if history {
            return;
        }
        self.fresh_from = at;
        if self.silence.open {
            lines.push(self.silence.becomes("cleared", at, None));
        }
        match (sample.trust(), self.fault.open) {
            (Quality::Bad, false) => lines.push(self.fault.becomes("raised", at, Some(sample.time))),
            (Quality::Good, true) => lines.push(self.fault.becomes("cleared", at, Some(sample.time))),
            (Quality::Good | Quality::Uncertain | Quality::Bad, _) => {}
        }
        for watch in &mut self.rules {
            watch.look(&self.seen, &sample, at, lines);
        }
    }
}

/// What the alarms of a plan do; `lines` is what they did.
pub(crate) struct Model {
    plan: Plan,
    points: Vec<Watched>,
    pub(crate) lines: Vec<Line>,
}

impl Model {
    /// The alarms of `plan`, started at `start`.
    pub(crate) fn new(plan: &Plan, start: i64) -> Self {
        let points = plan
            .points
            .iter()
            .map(|point| Watched::new(point, start + plan.grace));
        let (plan, points, lines) = (plan.clone(), points.collect(), Vec::new());
        Self { plan, points, lines }
    }

    /// The clock reaches `at`: what is due fires at its deadline, silence at `at` itself only `with_silence`.
    pub(crate) fn advance(&mut self, at: i64, with_silence: bool) {
        loop {
            let due = |point: &Watched| point.due(at, with_silence);
            let first = self
                .points
                .iter_mut()
                .filter_map(|point| Some((due(point)?, point)));
            let Some(((now, silent), point)) = first.min_by_key(|(due, _)| *due) else {
                return;
            };
            if silent {
                point.fall_silent(now, &mut self.lines);
                continue;
            }
            for watch in &mut point.rules {
                watch.settle(&point.seen, now, &mut self.lines);
            }
        }
    }

    /// Takes a sample that arrives at `at`, or says that the text leaves its outcome open and takes nothing.
    pub(crate) fn take(&mut self, at: i64, index: usize, sample: Sample) -> bool {
        self.advance(at, false);
        let Some(point) = self.points.get_mut(index) else {
            return false;
        };
        let (order, duplicate) = (point.seen.len(), point.seen.iter().any(|s| s.sample == sample));
        let certain = duplicate || point.certain(&sample, at, &self.plan);
        if certain && !duplicate {
            let (arrived, history) = (at, sample.backfill || at - sample.time > self.plan.live_age);
            let seen = Seen {
                sample,
                arrived,
                order,
                history,
            };
            point.observe(seen, &mut self.lines);
        }
        certain
    }

    /// Takes an acknowledgement of the rule's present occurrence, or of one that is `ahead` and does nothing.
    /// Answers with the number of the occurrence, or nothing where the text leaves the outcome open.
    pub(crate) fn acknowledge<'a>(&'a mut self, at: i64, rule: &str, ahead: bool) -> Option<u64> {
        self.advance(at, false);
        let alarms = |point: &'a mut Watched| {
            let own = [&mut point.silence, &mut point.fault];
            point.rules.iter_mut().map(|watch| &mut watch.alarm).chain(own)
        };
        let alarm = self
            .points
            .iter_mut()
            .flat_map(alarms)
            .find(|alarm| alarm.id == rule)?;
        if ahead {
            return Some(alarm.occurrence + 1);
        }
        let line = alarm.waiting.then(|| alarm.becomes("acknowledged", at, None))?;
        self.lines.push(line);
        Some(alarm.occurrence)
    }
}
