//! The loop: looks at the outbox, starts what is due and fits, and writes down how it ended.

mod overdue;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use store::state::alarms::{Fate, Notice};
use telemetry::Timestamp;
use telemetry::time::Span;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::attempt::{Outcome, after_attempt};
use super::budget::Budget;
use super::channel::Channel;
use super::digest::{Parcel, parcels};
use super::failover::patiences;
use super::heartbeat::{self, Pulse};
use super::{Heartbeat, Notifier};
use crate::service::{AlarmService, Queue};
use overdue::Watch;

/// Messages of one channel that are under way at one time; its others wait.
const UNDER_WAY_MAX: usize = 8;
/// So many of them at most begin with anything but life-safety: one that hangs leaves places.
const OTHERS_UNDER_WAY_MAX: usize = 4;
/// Due notices of one channel that are looked at in one turn; the others wait for the next.
const LOOK_MAX: usize = 200;
/// The longest sleep when nothing is due: a safety net, every new notice wakes the worker.
const SLEEP_MAX: Span = Span::from_secs(5);
/// The shortest, so that no mistake makes the loop spin.
const SLEEP_MIN: Duration = Duration::from_millis(20);
/// Notices that are looked through at the start for what was sent in the last minute.
const REMEMBER_MAX: usize = 1000;
/// The name of the sign of life among the channels.
const HEARTBEAT: &str = "heartbeat";

/// What the worker remembers from turn to turn.
struct Work {
    under_way: JoinSet<Outcome>,
    /// What each task of `under_way` does.
    tasks: HashMap<Id, Task>,
    budgets: BTreeMap<Box<str>, Budget>,
    watches: Vec<Watch>,
    /// Keys of the notices of next channels that are in the outbox.
    passed: HashSet<Box<str>>,
    pulse: Option<Pulse>,
    began: Timestamp,
}

enum Task {
    Send { channel: Box<str>, parcel: Parcel },
    Heartbeat,
}

impl Work {
    /// Keys under way on a channel, and how many messages that is.
    fn of_channel<'a>(&'a self, channel: &'a str) -> impl Iterator<Item = &'a Parcel> {
        self.tasks.values().filter_map(move |task| match task {
            Task::Send { channel: on, parcel } if **on == *channel => Some(parcel),
            Task::Send { .. } | Task::Heartbeat => None,
        })
    }
}

/// When the loop has to look again: the earliest of what it is told.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    wall: Timestamp,
    mono: Span,
    wait: Span,
}

impl Alarm {
    fn at(&mut self, at: Timestamp) {
        let ms = u64::try_from(at.millis_since(self.wall)).unwrap_or(0);
        self.wait = self.wait.min(Span::from_millis(ms));
    }

    fn at_mono(&mut self, at: Span) {
        let ms = at.millis().saturating_sub(self.mono.millis());
        self.wait = self.wait.min(Span::from_millis(ms));
    }
}

impl Notifier {
    /// Sends until `cancel`; what is under way then is waited for, no longer than a channel may take.
    pub async fn run(self, cancel: CancellationToken) {
        let mut work = self.begin().await;
        while !cancel.is_cancelled() {
            let sleep = self.turn(&mut work).await;
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.service.outbox_changed() => {}
                Some(done) = work.under_way.join_next_with_id() => self.done(&mut work, done).await,
                () = tokio::time::sleep(sleep) => {}
            }
        }
        while let Some(done) = work.under_way.join_next_with_id().await {
            self.done(&mut work, done).await;
        }
        self.service.notify_status().end();
    }

    /// Everything as it is before the first turn. What was sent in the minute before a restart counts in the budgets.
    async fn begin(&self) -> Work {
        let (now, mono) = (self.clock.now(), self.clock.monotonic());
        let named = self
            .channels
            .iter()
            .map(|channel| (channel.name.clone(), channel.kind));
        let beat = self.heartbeat.iter().map(|_| (Box::from(HEARTBEAT), HEARTBEAT));
        self.service.notify_status().begin(named.chain(beat), mono);
        let mut budgets: BTreeMap<Box<str>, Budget> = self
            .channels
            .iter()
            .map(|channel| (channel.name.clone(), channel.budget()))
            .collect();
        let recent = self.blocking(move |service| service.notices(REMEMBER_MAX)).await;
        let mut sent: Vec<(Box<str>, Timestamp)> = recent
            .and_then(Result::ok)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|notice| Some((notice.channel, notice.delivered_at?)))
            .filter(|(_, at)| (0..60_000).contains(&now.millis_since(*at)))
            .collect();
        sent.sort_unstable();
        // The members of a digest were delivered in the same instant.
        sent.dedup();
        for (channel, _) in sent {
            if let Some(budget) = budgets.get_mut(&channel) {
                budget.take(mono);
            }
        }
        let watch = |channel: &Arc<Channel>| {
            let name = channel.name.clone();
            let watch = move |patience| Watch {
                channel: name.clone(),
                patience,
                seen: Timestamp::MIN,
            };
            patiences(&self.settings, &channel.name).into_iter().map(watch)
        };
        Work {
            under_way: JoinSet::new(),
            tasks: HashMap::new(),
            passed: HashSet::new(),
            watches: self.channels.iter().flat_map(watch).collect(),
            budgets,
            pulse: self
                .heartbeat
                .as_ref()
                .map(|heartbeat| Pulse::new(heartbeat.every, mono)),
            began: now,
        }
    }

    /// One look at the outbox; how long to sleep until the next.
    async fn turn(&self, work: &mut Work) -> Duration {
        let (wall, mono) = (self.clock.now(), self.clock.monotonic());
        let mut alarm = Alarm {
            wall,
            mono,
            wait: SLEEP_MAX,
        };
        let looked = self.blocking(move |service| service.queues(wall, LOOK_MAX)).await;
        let queues = match looked {
            Some(Ok(queues)) => queues,
            Some(Err(error)) => {
                tracing::error!(
                    error = telemetry::with_causes(&error),
                    "the outbox cannot be read"
                );
                return self.sleep(Span::from_secs(1));
            }
            None => return self.sleep(Span::from_secs(1)),
        };
        self.service.notify_status().looked(mono, |name| {
            let queue = queues.iter().find(|queue| *queue.channel == *name);
            queue.map_or(0, |queue| queue.waiting)
        });
        self.look_for_overdue(work, &queues, &mut alarm).await;
        for queue in queues {
            self.start(work, queue, &mut alarm).await;
        }
        self.beat(work, &mut alarm);
        self.sleep(alarm.wait)
    }

    fn sleep(&self, wait: Span) -> Duration {
        self.clock.real(wait).max(SLEEP_MIN)
    }

    /// Starts what of a queue is due and fits.
    async fn start(&self, work: &mut Work, queue: Queue, alarm: &mut Alarm) {
        if let Some(next_at) = queue.next_at {
            alarm.at(next_at);
        }
        let under_way = work.of_channel(&queue.channel).count();
        let mut due = queue.due;
        due.retain(|notice| {
            let mut parcels = work.of_channel(&queue.channel);
            !parcels.any(|parcel| parcel.members.iter().any(|member| member.key == notice.key))
        });
        if due.is_empty() {
            return;
        }
        let Some(channel) = self.channels.iter().find(|channel| channel.name == queue.channel) else {
            let gone = Outcome::Hopeless("its channel is no longer configured".to_owned());
            for notice in due {
                self.record(&mut work.passed, &queue.channel, Parcel::one(notice), &gone)
                    .await;
            }
            return;
        };
        let (now, mono) = (alarm.wall, alarm.mono);
        let Some(budget) = work.budgets.get_mut(&queue.channel) else {
            return;
        };
        let asked = kinds(due.iter());
        let ready = parcels(due, budget.room(mono), channel.gathering());
        let fits = kinds(ready.iter().flat_map(|parcel| &parcel.members));
        for (place, parcel) in ready.into_iter().enumerate() {
            let urgent = parcel.members.iter().any(|notice| notice.life_safety);
            let most = if urgent {
                UNDER_WAY_MAX
            } else {
                OTHERS_UNDER_WAY_MAX
            };
            // What waits for a place is woken by whoever leaves it.
            if under_way + place >= most {
                continue;
            }
            budget.take(mono);
            let (to, message) = (Arc::clone(channel), parcel.clone());
            let task = work.under_way.spawn(async move { to.send(&message, now).await });
            let channel = queue.channel.clone();
            work.tasks.insert(task.id(), Task::Send { channel, parcel });
        }
        // What has no room wakes the loop when there is some.
        for (life_safety, asked, fits) in [(true, asked.0, fits.0), (false, asked.1, fits.1)] {
            if fits < asked {
                alarm.at_mono(budget.opens_at(mono, life_safety));
            }
        }
    }

    /// Sends the sign of life when it is due: after a look at the outbox, and while somebody lets the time pass.
    fn beat(&self, work: &mut Work, alarm: &mut Alarm) {
        let (Some(pulse), Some(heartbeat)) = (&mut work.pulse, &self.heartbeat) else {
            return;
        };
        let busy = work.tasks.values().any(|task| matches!(task, Task::Heartbeat));
        if !busy && self.service.is_watching() && pulse.beats(alarm.mono) {
            let Heartbeat { url, form, door, .. } = heartbeat;
            let public_url = self.settings.public_url.as_deref();
            let ask = heartbeat::ask(url, *form, work.began, public_url);
            let door = door.clone();
            let task = work.under_way.spawn(async move {
                match door.ask(ask, false).await {
                    Ok(answer) => answer.failure().unwrap_or(Outcome::Delivered),
                    Err(outcome) => outcome,
                }
            });
            work.tasks.insert(task.id(), Task::Heartbeat);
        }
        alarm.at_mono(pulse.next());
    }

    /// A task has ended: writes down what came of it.
    async fn done(&self, work: &mut Work, done: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match done {
            Ok((id, outcome)) => (id, outcome),
            Err(error) => (error.id(), Outcome::Failed(error.to_string())),
        };
        match work.tasks.remove(&id) {
            Some(Task::Send { channel, parcel }) => {
                if let (Outcome::TooFast { pause, .. }, Some(budget)) =
                    (&outcome, work.budgets.get_mut(&channel))
                {
                    budget.shut(self.clock.monotonic(), *pause);
                }
                self.record(&mut work.passed, &channel, parcel, &outcome).await;
            }
            Some(Task::Heartbeat) => {
                let status = self.service.notify_status();
                status.attempted(HEARTBEAT, &outcome, self.clock.now());
                if let Some(why) = outcome.why() {
                    tracing::warn!(why, "the sign of life did not get through");
                }
            }
            None => {}
        }
    }

    async fn record(&self, passed: &mut HashSet<Box<str>>, channel: &str, parcel: Parcel, outcome: &Outcome) {
        let now = self.clock.now();
        self.service.notify_status().attempted(channel, outcome, now);
        let members: Vec<Notice> = parcel
            .members
            .into_iter()
            .map(|notice| after_attempt(notice, outcome, now))
            .collect();
        say(&parcel.key, &members, outcome);
        let done = members.clone();
        self.blocking(move |service| {
            for notice in &done {
                service.record_notice(notice);
            }
        })
        .await;
        if *outcome != Outcome::Delivered {
            self.pass_on(passed, &members).await;
        }
    }

    /// Asks the service, which may wait for the disk. None when that was cut off, which is logged.
    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&AlarmService) -> T + Send + 'static,
    ) -> Option<T> {
        let service = Arc::clone(&self.service);
        let answer = tokio::task::spawn_blocking(move || ask(&service)).await;
        answer
            .inspect_err(|error| tracing::error!(%error, "a look at the outbox was cut off"))
            .ok()
    }
}

/// How many notices are life-safety, and how many are not.
fn kinds<'a>(notices: impl Iterator<Item = &'a Notice>) -> (usize, usize) {
    notices.fold((0, 0), |(urgent, others), notice| {
        if notice.life_safety {
            (urgent + 1, others)
        } else {
            (urgent, others + 1)
        }
    })
}

/// Writes into the program's log how an attempt ended.
fn say(key: &str, members: &[Notice], outcome: &Outcome) {
    let attempts = members.iter().map(|notice| notice.attempts).max().unwrap_or(0);
    let given_up = members
        .iter()
        .filter(|notice| notice.fate == Fate::GaveUp)
        .count();
    match outcome.why() {
        None => tracing::debug!(key, notices = members.len(), attempts, "notice delivered"),
        Some(why) if given_up > 0 => say_given_up(key, given_up, attempts, why),
        Some(why) => say_again(key, members.len(), attempts, why),
    }
}

fn say_given_up(key: &str, given_up: usize, attempts: u32, why: &str) {
    tracing::error!(key, given_up, attempts, why, "notice given up");
}

fn say_again(key: &str, notices: usize, attempts: u32, why: &str) {
    tracing::warn!(
        key,
        notices,
        attempts,
        why,
        "notice not delivered, will be sent again"
    );
}
