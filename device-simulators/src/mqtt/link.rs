//! One connection of the county: the device that logs in, those that it speaks for, and their history.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use telemetry::Clock;
use telemetry::time::Span;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::packet::{self, Inbound};
use super::speaker::{Speaker, Telling};
use crate::county::County;
use crate::fault::FaultSender;
use crate::history::History;
use crate::noise;

const KEEP_ALIVE_S: u16 = 120;
/// A ping after so much silence; a third of the keep-alive.
const PING_AFTER: Duration = Duration::from_secs(40);
/// Nothing from the broker for so long, though something is asked of it: the connection is dead.
const DEAD_AFTER: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
const BACK_OFF_MIN: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// What all connections share.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) connected: AtomicU64,
    pub(crate) live_sent: AtomicU64,
    pub(crate) live_acked: AtomicU64,
    pub(crate) history_acked: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) refused: AtomicU64,
}

impl Counters {
    pub(crate) const fn new() -> Self {
        Self {
            connected: AtomicU64::new(0),
            live_sent: AtomicU64::new(0),
            live_acked: AtomicU64::new(0),
            history_acked: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }
}

/// What a connection needs of the rest.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) county: Arc<County>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) faults: FaultSender,
    pub(crate) counters: Arc<Counters>,
    pub(crate) mqtt: SocketAddr,
    /// How many connections may tell history at the same time.
    pub(crate) history_permits: Arc<Semaphore>,
    pub(crate) cancel: CancellationToken,
}

/// One connection.
pub(crate) struct Link {
    shared: Shared,
    /// Place of the device that logs in.
    login: usize,
    speaker: Speaker,
    permit: Option<OwnedSemaphorePermit>,
    /// Dropped records that are counted already.
    dropped: u64,
}

/// Why a connection ended.
enum Ended {
    /// Nothing more to say for now.
    Idle,
    /// The county is stopped.
    Cancelled,
    /// It broke, or was refused.
    Broken(&'static str),
}

impl Link {
    /// A connection that speaks live for `speakers` after `now` and tells `history`.
    pub(crate) fn new(
        shared: Shared,
        login: usize,
        speakers: &[usize],
        history: VecDeque<History>,
        now: i64,
    ) -> Self {
        let mut speaker = Speaker::new(Arc::clone(&shared.county), login, history);
        let faults = shared.faults.now();
        for place in speakers {
            speaker.schedule(*place, now, &faults);
        }
        Self {
            shared,
            login,
            speaker,
            permit: None,
            dropped: 0,
        }
    }

    fn now(&self) -> i64 {
        self.shared.clock.now().millis()
    }

    /// Lives until the county is stopped.
    pub(crate) async fn run(mut self) {
        let key = noise::key(self.shared.county.seed(), self.login as u64);
        let mut tries = 0_u32;
        loop {
            if !self.wants_connection() {
                if self.wait_for_something_to_say().await {
                    return;
                }
                continue;
            }
            if tries == 0
                && self
                    .pause(Duration::from_secs_f64(noise::unit(key, 1) * 1.5))
                    .await
            {
                return;
            }
            match self.connected().await {
                Ended::Cancelled => return,
                Ended::Idle => tries = 1,
                Ended::Broken(why) => {
                    tracing::debug!(link = self.login, why, "connection ended");
                    self.speaker.outbox.connection_lost();
                    tries = tries.saturating_add(1);
                    let wait = BACK_OFF_MIN.saturating_mul(1 << tries.min(8)).min(BACK_OFF_MAX);
                    let jitter = 0.5 + noise::unit(key, i64::from(tries) + self.now());
                    if self.pause(wait.mul_f64(jitter)).await {
                        return;
                    }
                }
            }
        }
    }

    /// Sleeps; true when the county was stopped meanwhile. What falls due waits in the outbox.
    async fn pause(&mut self, wait: Duration) -> bool {
        let cancel = self.shared.cancel.clone();
        let stopped = cancel.run_until_cancelled(sleep(wait)).await.is_none();
        self.report_due();
        stopped
    }

    async fn wait_for_something_to_say(&mut self) -> bool {
        let cancel = self.shared.cancel.clone();
        let faults = self.shared.faults.clone();
        tokio::select! {
            () = cancel.cancelled() => return true,
            () = faults.changed(self.login) => self.reschedule(),
            () = sleep_until(self.next_due()) => {}
        }
        self.report_due();
        false
    }

    fn next_due(&self) -> Instant {
        let wait = self.speaker.next_due().map_or(60_000, |at| at - self.now());
        let span = Span::from_millis(u64::try_from(wait.clamp(0, 60_000)).unwrap_or(0));
        // At least a millisecond, so that a fast clock cannot make a task spin.
        Instant::now() + self.shared.clock.real(span).max(Duration::from_millis(1))
    }

    fn reschedule(&mut self) {
        let (now, faults) = (self.now(), self.shared.faults.now());
        self.speaker.reschedule(now, &faults);
    }

    fn wants_connection(&self) -> bool {
        self.speaker
            .wants_connection(self.now(), &self.shared.faults.now())
    }

    fn report_due(&mut self) {
        let (now, faults) = (self.now(), self.shared.faults.now());
        let counters = &self.shared.counters;
        let reported = self.speaker.report_due(now, &faults);
        counters.live_sent.fetch_add(reported, Ordering::Relaxed);
        let dropped = self.speaker.outbox.dropped;
        counters
            .dropped
            .fetch_add(dropped - self.dropped, Ordering::Relaxed);
        self.dropped = dropped;
    }

    /// Tells history, when this connection may.
    fn tell_history(&mut self) {
        if self.permit.is_none() && self.speaker.has_history() {
            let permits = Arc::clone(&self.shared.history_permits);
            self.permit = permits.try_acquire_owned().ok();
        }
        if self.permit.is_some() && self.speaker.tell_history(&self.shared.faults.now()) == Telling::Done {
            self.permit = None;
        }
    }

    async fn connected(&mut self) -> Ended {
        let cancel = self.shared.cancel.clone();
        let opened = cancel
            .run_until_cancelled(timeout(CONNECT_WITHIN, self.open()))
            .await;
        let mut stream = match opened {
            None => return Ended::Cancelled,
            Some(Err(_)) => return Ended::Broken("no CONNACK in time"),
            Some(Ok(Err(why))) => return Ended::Broken(why),
            Some(Ok(Ok(stream))) => stream,
        };
        self.shared.counters.connected.fetch_add(1, Ordering::Relaxed);
        let ended = self.converse(&mut stream).await;
        self.shared.counters.connected.fetch_sub(1, Ordering::Relaxed);
        if !matches!(ended, Ended::Broken(_)) {
            // An orderly goodbye; when the broker is gone already there is nobody to say it to.
            if stream
                .write_all(&packet::DISCONNECT)
                .await
                .and(stream.shutdown().await)
                .is_err()
            {
                tracing::debug!(link = self.login, "the broker was gone before the goodbye");
            }
        }
        ended
    }

    async fn open(&self) -> Result<TcpStream, &'static str> {
        let device = self
            .shared
            .county
            .devices()
            .get(self.login)
            .ok_or("no such device")?;
        let password = device.password().ok_or("no password")?;
        let mut stream = TcpStream::connect(self.shared.mqtt)
            .await
            .map_err(|_| "no connection")?;
        stream.set_nodelay(true).map_err(|_| "no connection")?;
        let hello = packet::connect(device.id.as_str(), &password, KEEP_ALIVE_S);
        stream.write_all(&hello).await.map_err(|_| "connection lost")?;
        let mut answer = [0; 4];
        stream
            .read_exact(&mut answer)
            .await
            .map_err(|_| "connection lost")?;
        match packet::inbound(&answer)? {
            Some((Inbound::ConnAck(0), _)) => Ok(stream),
            Some((Inbound::ConnAck(code), _)) => {
                let before = self.shared.counters.refused.fetch_add(1, Ordering::Relaxed);
                if before == 0 {
                    tracing::warn!(device = %device.id, code, "the broker refuses a device; further ones are only counted");
                }
                Err("refused")
            }
            Some(_) | None => Err("no CONNACK"),
        }
    }

    async fn converse(&mut self, stream: &mut TcpStream) -> Ended {
        let cancel = self.shared.cancel.clone();
        let faults = self.shared.faults.clone();
        let mut input = Vec::with_capacity(64);
        let (mut spoke, mut heard) = (Instant::now(), Instant::now());
        loop {
            self.report_due();
            self.tell_history();
            match timeout(DEAD_AFTER, self.send_all(stream)).await {
                Ok(Ok(true)) => spoke = Instant::now(),
                Ok(Ok(false)) => {}
                Ok(Err(_)) | Err(_) => return Ended::Broken("cannot send"),
            }
            if !self.wants_connection() {
                return Ended::Idle;
            }
            // Waiting for a permit to tell history: look again soon.
            let waits = self.speaker.has_history() && self.permit.is_none();
            let look_again = Instant::now()
                + if waits {
                    Duration::from_millis(200)
                } else {
                    PING_AFTER
                };
            tokio::select! {
                () = cancel.cancelled() => return Ended::Cancelled,
                read = stream.read_buf(&mut input) => match read {
                    Ok(0) | Err(_) => return Ended::Broken("closed by the broker"),
                    Ok(_) => {
                        heard = Instant::now();
                        if let Err(why) = self.take(&mut input) {
                            return Ended::Broken(why);
                        }
                    }
                },
                () = faults.changed(self.login) => self.reschedule(),
                () = sleep_until(self.next_due().min(spoke + PING_AFTER).min(look_again)) => {
                    if spoke.elapsed() >= PING_AFTER {
                        if stream.write_all(&packet::PING).await.is_err() {
                            return Ended::Broken("cannot send");
                        }
                        spoke = Instant::now();
                    }
                    if heard.elapsed() >= DEAD_AFTER {
                        return Ended::Broken("the broker is silent");
                    }
                }
            }
        }
    }

    /// Sends what the window allows; true when there was something.
    async fn send_all(&mut self, stream: &mut TcpStream) -> std::io::Result<bool> {
        let mut sent = false;
        while let Some(packet) = self.speaker.outbox.next() {
            stream.write_all(packet).await?;
            sent = true;
        }
        Ok(sent)
    }

    /// Takes in what the broker said.
    fn take(&mut self, input: &mut Vec<u8>) -> Result<(), &'static str> {
        let mut used = 0;
        while let Some((packet, size)) = packet::inbound(input.get(used..).unwrap_or_default())? {
            used += size;
            if let Inbound::PubAck(id) = packet
                && let Some(acked) = self.speaker.outbox.acknowledge(id)
            {
                let counter = match acked.history {
                    true => &self.shared.counters.history_acked,
                    false => &self.shared.counters.live_acked,
                };
                counter.fetch_add(acked.records, Ordering::Relaxed);
            }
        }
        input.drain(..used);
        Ok(())
    }
}
