use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender};

use store::journal::JournalConfig;
use store::state::State;
use telemetry::time::SystemClock;
use telemetry::{Batch, RawMessage};

use super::*;
use crate::account::{AccountSettings, Accountant};
use crate::testkit::{NOON, catalogue, publish};

/// Hands every batch on, and commits each at once when it is told to.
struct Probe {
    name: &'static str,
    cursor: Lsn,
    commits: bool,
    fails_at: Option<Lsn>,
    batches: SyncSender<Batch>,
}

impl Consumer for Probe {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cursor(&self) -> Lsn {
        self.cursor
    }

    fn take(&mut self, batch: &Batch) -> Result<(), BoxError> {
        assert!(
            batch.first > self.cursor,
            "{} was handed {} twice",
            self.name,
            batch.first.0
        );
        if self.fails_at.is_some_and(|lsn| batch.last >= lsn) {
            return Err("the disk is full".into());
        }
        self.batches.send(batch.clone())?;
        if self.commits {
            self.cursor = batch.last;
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

fn probe(name: &'static str, cursor: u64) -> (Probe, Receiver<Batch>) {
    let (batches, received) = sync_channel(1000);
    let probe = Probe {
        name,
        cursor: Lsn(cursor),
        commits: true,
        fails_at: None,
        batches,
    };
    (probe, received)
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn journal(dir: &Path) -> Journal {
    Journal::open(dir, JournalConfig::default(), clock()).unwrap()
}

fn append(journal: &Journal, numbers: std::ops::RangeInclusive<u64>) {
    let messages: Vec<RawMessage> = numbers
        .map(|n| {
            let payload = format!(r#"{{"ts":{},"seq":{n},"values":{{"total":{n}}}}}"#, NOON.millis());
            publish(n, NOON, "d1", "tw/v1/d1/telemetry", payload.as_bytes()).1
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(journal.append(messages)).unwrap();
}

fn spawn(journal: &Journal, consumers: Vec<Box<dyn Consumer>>, messages_max: usize) -> Pipeline {
    let config = PipelineConfig {
        messages_max,
        ..PipelineConfig::default()
    };
    Pipeline::spawn(journal.clone(), Arc::new(catalogue()), clock(), consumers, config)
}

/// The values of all points up to message `last`, in order; waits for it at most 10 s.
fn values_until(received: &Receiver<Batch>, last: u64) -> Vec<u64> {
    let mut values = Vec::new();
    loop {
        let batch = received.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small whole numbers"
        )]
        values.extend(batch.points.iter().map(|point| point.sample.value as u64));
        if batch.last >= Lsn(last) {
            return values;
        }
    }
}

#[test]
fn each_consumer_gets_what_is_behind_its_cursor_once_and_in_order() {
    // Given a journal of 100 messages and consumers at 0, 33 and 70,
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    append(&journal, 1..=100);
    let (new, new_received) = probe("new", 0);
    let (middle, middle_received) = probe("middle", 33);
    let (ahead, ahead_received) = probe("ahead", 70);
    // when the pipeline runs, and more comes,
    let pipeline = spawn(
        &journal,
        vec![Box::new(new), Box::new(middle), Box::new(ahead)],
        16,
    );
    append(&journal, 101..=130);
    // then each gets exactly what it had not.
    assert_eq!(values_until(&new_received, 130), Vec::from_iter(1..=130));
    assert_eq!(values_until(&middle_received, 130), Vec::from_iter(34..=130));
    assert_eq!(values_until(&ahead_received, 130), Vec::from_iter(71..=130));
    pipeline.stop();
    assert!(pipeline.error().is_none());
    assert_eq!(pipeline.missed(), 0);
    let want = |name| Progress {
        name,
        taken: Lsn(130),
        cursor: Lsn(130),
    };
    assert_eq!(pipeline.progress(), [want("new"), want("middle"), want("ahead")]);
}

#[test]
fn a_consumer_that_fails_stops_the_pipeline_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    append(&journal, 1..=100);
    let (good, _received) = probe("good", 0);
    let (mut bad, bad_received) = probe("bad", 0);
    bad.fails_at = Some(Lsn(50));
    let pipeline = spawn(&journal, vec![Box::new(good), Box::new(bad)], 10);
    let mut watch = pipeline.watch_error();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let error = runtime.block_on(async {
        let failed = watch.wait_for(Option::is_some);
        let failed = tokio::time::timeout(std::time::Duration::from_secs(10), failed).await;
        failed.unwrap().unwrap().clone().unwrap()
    });
    assert_eq!(
        telemetry::with_causes(&*error),
        "the consumer bad failed: the disk is full"
    );
    pipeline.stop();
    // Nothing behind the failure was handed to it.
    assert_eq!(bad_received.try_iter().last().unwrap().last, Lsn(40));
}

#[test]
fn a_journal_that_ends_before_a_cursor_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    append(&journal, 1..=5);
    let (probe, _received) = probe("series", 9);
    let pipeline = spawn(&journal, vec![Box::new(probe)], 10);
    let error = pipeline.error().unwrap();
    assert!(
        matches!(
            *error,
            PipelineError::OtherJournal {
                cursor: Lsn(9),
                newest: Lsn(5),
                ..
            }
        ),
        "{error}"
    );
    pipeline.stop();
}

#[test]
fn after_a_restart_the_decoder_knows_what_was_just_said() {
    // Given a pipeline that has processed messages 1 to 20 and stopped,
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    append(&journal, 1..=20);
    // when number 20 comes once more after the restart, and then 25,
    append(&journal, 20..=20);
    append(&journal, 25..=25);
    let (probe, received) = probe("p", 20);
    let pipeline = spawn(&journal, vec![Box::new(probe)], 512);
    // then the first is a duplicate, and four numbers are missing.
    let mut account = telemetry::Ledger::default();
    while account.messages < 2 {
        let batch = received.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        batch.ledger.iter().for_each(|(_, ledger)| account.add(ledger));
    }
    assert_eq!((account.duplicate, account.stored, account.missing), (1, 1, 4));
    pipeline.stop();
}

#[test]
fn large_messages_make_smaller_batches() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    append(&journal, 1..=50);
    let (probe, received) = probe("p", 0);
    let config = PipelineConfig {
        bytes_max: 200,
        ..PipelineConfig::default()
    };
    let consumers: Vec<Box<dyn Consumer>> = vec![Box::new(probe)];
    let pipeline = Pipeline::spawn(journal, Arc::new(catalogue()), clock(), consumers, config);
    assert_eq!(values_until(&received, 50), Vec::from_iter(1..=50));
    pipeline.stop();
}

#[test]
fn the_account_adds_up_over_stops_and_starts() {
    // Given a data directory that is filled, and processed in several runs,
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
    let catalogue = Arc::new(catalogue());
    let journal = journal(folder.path());
    for run in 0..5 {
        append(&journal, run * 100 + 1..=run * 100 + 100);
        let settings = AccountSettings::default();
        let accountant =
            Accountant::open(Arc::clone(&state), Arc::clone(&catalogue), clock(), settings).unwrap();
        let (probe, received) = probe("p", run * 100);
        let consumers: Vec<Box<dyn Consumer>> = vec![Box::new(accountant), Box::new(probe)];
        let pipeline = spawn(&journal, consumers, 7);
        values_until(&received, run * 100 + 100);
        pipeline.stop();
    }
    // then every message is accounted for once.
    let ledger = state.ledger("d1").unwrap();
    assert!(ledger.adds_up());
    assert_eq!((ledger.messages, ledger.stored, ledger.missing), (500, 500, 0));
    assert_eq!(state.account_cursor().unwrap(), Lsn(500));
}
