//! One line: its connection, and the units behind it, asked one after the other. Writes (`jobs`) go before
//! polls.

mod jobs;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use telemetry::registry::ModbusLine;
use telemetry::time::Span;
use telemetry::{Clock, Origin, RawMessage};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::frame::{self, Answer, Read};
use super::job::Job;
use super::pdu::{Reply, Request};
use super::plan::Block;
use super::schedule::Reconnect;
use super::status::{Counters, count};
use super::unit::Unit;
use super::wire::{Failed, Wire};
use super::{ModbusConfig, Sink};

/// A connection that would lie idle for longer, in real time, is closed: on the way there may be a
/// firewall that forgets it without a word.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Reads that one poll may cut into smaller ones; the rest is cut at the next poll.
const SPLITS_PER_POLL_MAX: u32 = 16;
/// Answers to another question in one poll after which the rest of the unit is not asked any more.
const NONSENSE_PER_POLL_MAX: u32 = 2;
/// Exceptions after which a smaller read may succeed: a register that is not there, a read that is too long.
/// Source: Modbus Application Protocol V1.1b3 §7.
const SPLIT_ON: [u8; 2] = [2, 3];

/// The task of one line.
pub(super) struct Line {
    pub(super) line: ModbusLine,
    pub(super) units: Vec<Unit>,
    pub(super) jobs: Receiver<Job>,
    pub(super) sink: Sink,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: ModbusConfig,
    pub(super) counters: Arc<Counters>,
    pub(super) reconnect: Reconnect,
    pub(super) wire: Option<Wire>,
    /// When the last request ended.
    pub(super) last_end: Option<Instant>,
}

/// One poll under way.
#[derive(Default)]
struct Poll {
    pending: VecDeque<Block>,
    reads: Vec<Read>,
    splits: u32,
    nonsense: u32,
    /// How long the line was taken, on the clock.
    took: Span,
    /// The unit does not answer: the rest is not asked.
    silent: bool,
    /// The unit answers, but older answers may still be on their way.
    held: bool,
}

impl Line {
    /// Polls until it is cancelled.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = self.poll_for_ever() => {}
        }
        tracing::debug!(line = %self.line, "polling ends");
    }

    async fn poll_for_ever(&mut self) {
        loop {
            self.do_jobs().await;
            let (now, real_now) = (self.clock.monotonic(), Instant::now());
            let next = |(place, unit): (usize, &Unit)| {
                let (due, group) = unit.next()?;
                let wait = Span::from_millis(due.millis().saturating_sub(now.millis()));
                let wait = self.clock.real(wait).max(unit.doubt.hold(real_now));
                Some((wait, due, place, group))
            };
            let Some((wait, _, place, group)) = self.units.iter().enumerate().filter_map(next).min() else {
                return; // A line without units is not started.
            };
            if wait.is_zero() {
                self.poll(place, group).await;
            } else {
                self.idle(wait).await;
            }
        }
    }

    /// Waits, and does what is asked of the line meanwhile.
    async fn idle(&mut self, wait: Duration) {
        if wait > IDLE_MAX && !matches!(self.line, ModbusLine::Serial { .. }) {
            self.wire = None;
        }
        tokio::select! {
            () = sleep(wait) => {}
            Some(job) = self.jobs.recv() => self.perform(job).await,
        }
    }

    #[tracing::instrument(level = "debug", skip_all, fields(line = %self.line, unit = place))]
    async fn poll(&mut self, place: usize, group: usize) {
        let Some(unit) = self.units.get(place) else {
            return;
        };
        let blocks = unit.groups.get(group).map(|(_, group)| group.blocks.clone());
        let mut poll = Poll {
            pending: blocks.unwrap_or_default().into(),
            ..Poll::default()
        };
        if let Some(only) = unit.doubt.only() {
            poll.pending.retain(|block| *block != only);
            poll.pending.push_front(only);
        }
        while let Some(block) = poll.pending.pop_front() {
            if poll.silent {
                let answer = Answer::None;
                poll.reads.push(Read { block, answer });
                continue;
            }
            self.do_jobs().await;
            let begun = self.clock.monotonic();
            let answer = self.read(place, block).await;
            let took = self.clock.monotonic().millis().saturating_sub(begun.millis());
            poll.took = Span::from_millis(poll.took.millis().saturating_add(took));
            self.take(place, group, &mut poll, block, answer);
            if poll.held {
                break; // The same turn goes on when the unit may be asked again.
            }
        }
        self.settle(place, group, &poll);
        self.deliver(place, &poll.reads).await;
    }

    /// What a read brought, and what follows from it.
    fn take(
        &mut self,
        place: usize,
        group: usize,
        poll: &mut Poll,
        block: Block,
        read: Result<Answer, Failed>,
    ) {
        let Some(unit) = self.units.get_mut(place) else {
            return;
        };
        let answer = match read {
            Err(failed) => {
                unit.note(|status| status.last_failure = Some(failed.why()));
                poll.nonsense += u32::from(matches!(failed, Failed::Nonsense(_)));
                // Over RTU a late answer could be taken for another, so the unit is left alone at once.
                poll.silent = self.line.is_rtu()
                    || poll.nonsense >= NONSENSE_PER_POLL_MAX
                    || !matches!(failed, Failed::Nonsense(_));
                if poll.silent {
                    unit.put_last(block);
                }
                Answer::None
            }
            Ok(answer) => {
                if let Answer::Exception(code) = answer
                    && SPLIT_ON.contains(&code)
                    && poll.splits < SPLITS_PER_POLL_MAX
                    && let Some((_, group)) = unit.groups.get_mut(group)
                {
                    let parts = group.parts(block);
                    if !parts.is_empty() {
                        group.replace(block, &parts);
                        poll.splits += 1;
                        count(&self.counters.splits);
                        tracing::info!(device = %unit.device, ?block, code, "the unit refuses a read; it is cut into smaller ones");
                        parts.iter().rev().for_each(|part| poll.pending.push_front(*part));
                        return;
                    }
                }
                answer
            }
        };
        poll.held = unit.doubt.hold(Instant::now()) > Duration::ZERO && !poll.silent;
        poll.reads.push(Read { block, answer });
    }

    /// Asks once; once more on a new connection when an older one turns out to be closed: gateways drop
    /// idle connections, and that says nothing about the unit.
    async fn read(&mut self, place: usize, block: Block) -> Result<Answer, Failed> {
        let request = Request::Read {
            function: block.function,
            address: block.address,
            count: block.count,
        };
        let reused = self.wire.is_some();
        let reply = match self.ask(place, &request).await {
            Err(Failed::Lost | Failed::Stale) if reused => self.ask(place, &request).await,
            done => done,
        };
        if self.line.is_rtu()
            && let Some(unit) = self.units.get_mut(place)
        {
            let (now, patience) = (Instant::now(), self.config.timeout);
            match reply {
                Ok(_) => {
                    unit.doubt.answered(block, now, patience);
                }
                Err(Failed::Unreachable | Failed::Stale) => {} // Nothing was asked.
                Err(Failed::Silent | Failed::Lost | Failed::Nonsense(_)) => {
                    unit.doubt.failed(block, now, patience);
                }
            }
        }
        match reply? {
            Reply::Words(words) => Ok(Answer::Words(words)),
            Reply::Bits(bits) => Ok(Answer::Bits(bits)),
            Reply::Exception(code) => Ok(Answer::Exception(code)),
            Reply::Done | Reply::Objects(..) => Err(Failed::Nonsense("an answer to another question")),
        }
    }

    /// Asks once, after the pauses that the line needs.
    async fn ask(&mut self, place: usize, request: &Request) -> Result<Reply, Failed> {
        let Some(unit) = self.units.get(place) else {
            return Err(Failed::Unreachable);
        };
        let (id, pause) = (unit.unit, unit.pause.duration());
        let pause = pause.max(self.config.request_pause);
        self.connect().await?;
        if let Some(last) = self.last_end
            && !pause.is_zero()
        {
            sleep_until(last + pause).await;
        }
        let patience = self.config.timeout;
        let Some(wire) = &mut self.wire else {
            return Err(Failed::Unreachable);
        };
        let reply = wire.ask(id, request, patience).await;
        if wire.heard {
            self.units.iter_mut().for_each(|unit| unit.doubt.heard());
        }
        self.last_end = Some(Instant::now());
        if let Err(failed) = reply {
            tracing::debug!(line = %self.line, why = failed.why(), "a modbus request failed");
            // Over a socket a late answer must find nobody. A port stays open unless it has failed.
            let port = matches!(self.line, ModbusLine::Serial { .. });
            if !port || matches!(failed, Failed::Lost | Failed::Stale) {
                self.wire = None;
            }
        }
        reply
    }

    /// Makes sure that there is a connection, unless the last attempt is too short ago.
    async fn connect(&mut self) -> Result<(), Failed> {
        if self.wire.is_some() {
            return Ok(());
        }
        if !self.reconnect.may_try(self.clock.monotonic()) {
            return Err(Failed::Unreachable);
        }
        match Wire::open(&self.line, self.config.timeout).await {
            Ok(wire) => {
                self.wire = Some(wire);
                count(&self.counters.connections);
                tracing::debug!(line = %self.line, "connected");
                if !self.config.connect_pause.is_zero() {
                    sleep(self.config.connect_pause).await;
                }
                Ok(())
            }
            Err(error) => {
                let now = self.clock.monotonic();
                if self.reconnect.failed(now) {
                    tracing::warn!(line = %self.line, %error, "a modbus line cannot be reached");
                }
                Err(Failed::Unreachable)
            }
        }
    }

    /// Writes down what the poll showed and when the unit comes next.
    fn settle(&mut self, place: usize, group: usize, poll: &Poll) {
        let reads = &poll.reads;
        let answered = reads.iter().any(|read| read.answer != Answer::None);
        count(&self.counters.polls);
        for read in reads {
            count(match &read.answer {
                Answer::Words(_) | Answer::Bits(_) => &self.counters.answers,
                Answer::Exception(_) => &self.counters.exceptions,
                Answer::None => &self.counters.no_answers,
            });
        }
        if answered && self.reconnect.succeeded() {
            tracing::info!(line = %self.line, "a modbus line answers again");
        }
        // A unit that shares its line is asked less often while it is silent: each try costs the others a
        // time-out. While the whole line is down nothing is asked, so nothing is saved.
        let backs_off = self.units.len() > 1 && !self.reconnect.is_down();
        let (now, at) = (self.clock.monotonic(), self.clock.now());
        let Some(unit) = self.units.get_mut(place) else {
            return;
        };
        let held_until = unit.health.held_until();
        let Some((turn, asked)) = unit.groups.get_mut(group) else {
            return;
        };
        let every = asked.every;
        let skipped = if poll.held { 0 } else { turn.done(now, held_until) };
        let exceptions = reads
            .iter()
            .filter(|read| matches!(read.answer, Answer::Exception(_)));
        let exceptions = exceptions.count() as u64;
        unit.note(|status| {
            status.skipped_cycles += skipped;
            status.exceptions += exceptions;
        });
        if answered {
            unit.answered(at);
        } else {
            let most = backs_off.then_some(self.config.unit_backoff_max);
            unit.failed(now, every, poll.took, most);
        }
        self.counters.skipped_cycles.fetch_add(skipped, Ordering::Relaxed);
    }

    async fn deliver(&mut self, place: usize, reads: &[Read]) {
        let Some(unit) = self.units.get(place) else {
            return;
        };
        let message = RawMessage {
            arrived: self.clock.now(),
            origin: Origin::Modbus,
            sender: unit.device.clone(),
            topic: "".into(),
            payload: Bytes::from(frame::encode(reads)),
        };
        if let Err(error) = (self.sink)(vec![message]).await {
            count(&self.counters.sink_failures);
            tracing::debug!(device = %unit.device, error, "a poll could not be kept");
        }
    }
}
