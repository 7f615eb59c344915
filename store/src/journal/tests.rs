//! The journal against its text: order, durability, bounds, damage.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use telemetry::time::{ManualClock, SystemClock};
use telemetry::{DeviceId, Lsn, Origin, RawMessage, Timestamp};

use super::*;

fn message(n: u64, payload_bytes: usize) -> RawMessage {
    let mut payload = n.to_string().into_bytes();
    payload.resize(payload_bytes.max(payload.len()), b'.');
    RawMessage {
        arrived: Timestamp::from_millis(1_763_870_400_000 + i64::try_from(n).unwrap()),
        origin: if n.is_multiple_of(3) {
            Origin::Modbus
        } else {
            Origin::Mqtt
        },
        sender: DeviceId::new(&format!("device-{}", n % 7)).unwrap(),
        topic: format!("tw/v1/device-{}/telemetry", n % 7).into(),
        payload: Bytes::from(payload),
    }
}

fn messages(numbers: std::ops::RangeInclusive<u64>) -> Vec<RawMessage> {
    numbers.map(|n| message(n, 20)).collect()
}

fn numbered(numbers: std::ops::RangeInclusive<u64>) -> Vec<(Lsn, RawMessage)> {
    numbers.map(|n| (Lsn(n), message(n, 20))).collect()
}

fn open(dir: &Path, config: JournalConfig) -> Journal {
    Journal::open(dir, config, Arc::new(SystemClock::new())).unwrap()
}

/// A configuration under which every read comes from the file.
fn without_memory() -> JournalConfig {
    JournalConfig {
        memory_bytes_max: 0,
        ..JournalConfig::default()
    }
}

#[tokio::test]
async fn messages_come_back_as_they_came_from_memory_and_from_the_file() {
    for config in [JournalConfig::default(), without_memory()] {
        let dir = tempfile::tempdir().unwrap();
        // Given two appends,
        let journal = open(dir.path(), config);
        assert_eq!((journal.newest(), journal.oldest()), (Lsn(0), Lsn(1)));
        assert_eq!(journal.append(messages(1..=3)).await.unwrap(), Lsn(3));
        assert_eq!(journal.append(messages(4..=4)).await.unwrap(), Lsn(4));
        // when they are read from anywhere, then each comes once, in order, with its number.
        assert_eq!(journal.read(Lsn(0), 100).unwrap(), numbered(1..=4));
        assert_eq!(journal.read(Lsn(1), 2).unwrap(), numbered(2..=3));
        assert_eq!(journal.read(Lsn(3), 100).unwrap(), numbered(4..=4));
        assert_eq!(journal.read(Lsn(4), 100).unwrap(), []);
        assert_eq!(journal.read(Lsn(0), 0).unwrap(), []);
    }
}

#[tokio::test]
async fn numbers_go_on_after_a_restart_and_readers_find_everything() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), JournalConfig::default());
    journal.append(messages(1..=5)).await.unwrap();
    drop(journal);
    let journal = open(dir.path(), JournalConfig::default());
    assert_eq!((journal.newest(), journal.oldest()), (Lsn(5), Lsn(1)));
    assert_eq!(journal.append(messages(6..=6)).await.unwrap(), Lsn(6));
    // The first five come from the file, although the sixth is in memory.
    assert_eq!(journal.read(Lsn(0), 100).unwrap(), numbered(1..=6));
}

#[tokio::test]
async fn appends_that_wait_together_share_their_fsync() {
    // Given a hundred senders that append at the same time,
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), JournalConfig::default());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..100 {
        let journal = journal.clone();
        tasks.spawn(async move { (n, journal.append(vec![message(n, 30)]).await.unwrap()) });
    }
    let answers = tasks.join_all().await;
    // then each got a number of its own under which its message lies, in far fewer commits.
    let all = journal.read(Lsn(0), 1000).unwrap();
    assert_eq!(all.len(), 100);
    for (n, Lsn(lsn)) in answers {
        assert_eq!(all[usize::try_from(lsn).unwrap() - 1], (Lsn(lsn), message(n, 30)));
    }
    let stats = journal.stats();
    assert_eq!(stats.messages, 100);
    assert!(stats.commits <= 50, "{stats:?}");
}

#[tokio::test]
async fn who_finds_the_queue_full_waits_and_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig {
        queue_bytes_max: 500,
        ..JournalConfig::default()
    };
    let journal = open(dir.path(), config);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..30 {
        let journal = journal.clone();
        // The last is larger than the whole queue.
        let payload_bytes = if n == 29 { 2000 } else { 200 };
        tasks.spawn(async move { journal.append(vec![message(n, payload_bytes)]).await.unwrap() });
    }
    let mut numbers = tasks.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=30).map(Lsn).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_large_append_is_read_in_parts_from_the_file() {
    // Given an append of 2 MB, which makes several rows,
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), without_memory());
    let sent: Vec<RawMessage> = (1..=20).map(|n| message(n, 100_000)).collect();
    journal.append(sent.clone()).await.unwrap();
    // when it is read three messages at a time, then nothing is missing or doubled.
    let mut read = Vec::new();
    while let Some((last, _)) = journal
        .read(Lsn(read.len() as u64), 3)
        .unwrap()
        .into_iter()
        .inspect(|(_, message)| read.push(message.clone()))
        .last()
    {
        assert_eq!(last, Lsn(read.len() as u64));
    }
    assert_eq!(read, sent);
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_an_append_and_by_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), JournalConfig::default());
    let long = std::time::Duration::from_secs(60);
    let waiting = |after| {
        let journal = journal.clone();
        std::thread::spawn(move || journal.wait_beyond(after, long))
    };
    let reader = waiting(Lsn(0));
    journal.append(messages(1..=2)).await.unwrap();
    assert_eq!(reader.join().unwrap(), Lsn(2));
    let reader = waiting(Lsn(2));
    journal.close();
    assert_eq!(reader.join().unwrap(), Lsn(2));
    assert_eq!(journal.wait_beyond(Lsn(2), std::time::Duration::ZERO), Lsn(2));
    let refused = journal.append(messages(3..=3)).await;
    assert!(matches!(refused, Err(JournalError::Closed)), "{refused:?}");
    assert_eq!(journal.read(Lsn(0), 9).unwrap(), numbered(1..=2));
}

/// A clock at which all the messages of these tests have just arrived.
fn clock_at_arrival() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(message(0, 0).arrived))
}

#[tokio::test]
async fn released_messages_go_when_they_are_old_and_others_stay() {
    // Given ten appends, six of them released,
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at_arrival();
    let config = JournalConfig {
        keep: Span::from_secs(3600),
        ..JournalConfig::default()
    };
    let journal = Journal::open(dir.path(), config.clone(), clock.clone()).unwrap();
    for n in 1..=10 {
        journal.append(messages(n..=n)).await.unwrap();
    }
    journal.release(Lsn(6));
    // when the next comes within the hour, then all are still there;
    journal.append(messages(11..=11)).await.unwrap();
    assert_eq!(journal.oldest(), Lsn(1));
    // and when one comes after two hours, then those six are gone and nothing else.
    clock.advance(Span::from_secs(7200));
    journal.append(messages(12..=12)).await.unwrap();
    assert_eq!(journal.oldest(), Lsn(7));
    assert_eq!(
        journal.read(Lsn(0), 100).unwrap(),
        numbered(7..=12),
        "from memory and disk"
    );
    drop(journal);
    let journal = Journal::open(dir.path(), config, clock).unwrap();
    assert_eq!((journal.oldest(), journal.newest()), (Lsn(7), Lsn(12)));
    assert_eq!(journal.read(Lsn(0), 100).unwrap(), numbered(7..=12), "from disk");
}

#[tokio::test]
async fn what_is_held_stays_however_much_the_consumers_release() {
    // Given ten old messages that the consumers have released, the last six of which are held,
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at_arrival();
    let config = JournalConfig {
        keep: Span::from_secs(3600),
        ..without_memory()
    };
    let journal = Journal::open(dir.path(), config, clock.clone()).unwrap();
    for n in 1..=10 {
        journal.append(messages(n..=n)).await.unwrap();
    }
    journal.hold(Lsn(4));
    journal.release(Lsn(10));
    clock.advance(Span::from_secs(7200));
    // when the next comes, then only those before them are gone, and the consumers wait for nothing.
    journal.append(messages(11..=11)).await.unwrap();
    assert_eq!(journal.oldest(), Lsn(5));
    let stats = journal.stats();
    assert!(
        stats.unreleased_bytes > 0 && stats.awaited_bytes < stats.unreleased_bytes,
        "{stats:?}"
    );
    // When the holder lets go, then they go too.
    journal.release(Lsn(11));
    journal.hold(Lsn(11));
    assert_eq!(journal.stats().unreleased_bytes, 0);
    clock.advance(Span::from_secs(7200));
    journal.append(messages(12..=12)).await.unwrap();
    assert_eq!(journal.oldest(), Lsn(12));
}

#[tokio::test]
async fn nobody_is_refused_for_the_sake_of_one_who_is_away() {
    // Given a journal of 10 kB of which everything is held for somebody,
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig {
        size_bytes_max: 10_000,
        ..without_memory()
    };
    let journal = Journal::open(dir.path(), config, clock_at_arrival()).unwrap();
    journal.hold(Lsn(0));
    // when thirty messages of about 1 kB come that the consumers let go at once, then each is taken,
    for n in 1..=30 {
        journal.append(vec![message(n, 1000)]).await.unwrap();
        journal.release(Lsn(n));
        // and the first six stay for as long as there is room.
        assert!(n > 6 || journal.oldest() == Lsn(1), "{n}: {:?}", journal.oldest());
    }
    assert!(journal.oldest() > Lsn(15), "{:?}", journal.oldest());
}

#[tokio::test]
async fn no_number_is_given_out_twice_even_when_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), JournalConfig::default());
    journal.append(messages(1..=7)).await.unwrap();
    drop(journal);
    rusqlite::Connection::open(dir.path().join(JOURNAL_FILE))
        .unwrap()
        .execute_batch("DELETE FROM batch; UPDATE position SET oldest_lsn = 8, stored_bytes = 0")
        .unwrap();
    let journal = open(dir.path(), JournalConfig::default());
    assert_eq!((journal.newest(), journal.oldest()), (Lsn(7), Lsn(8)));
    assert_eq!(journal.read(Lsn(0), 9).unwrap(), []);
    assert_eq!(journal.append(messages(8..=8)).await.unwrap(), Lsn(8));
}

#[tokio::test]
async fn a_full_journal_refuses_until_something_is_released_and_drops_nothing_before() {
    // Given a journal of 10 kB that is filled by messages of about 1 kB,
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig {
        size_bytes_max: 10_000,
        ..without_memory()
    };
    let journal = Journal::open(dir.path(), config, clock_at_arrival()).unwrap();
    let mut stored = 0;
    let refusal = loop {
        match journal.append(vec![message(stored + 1, 1000)]).await {
            Ok(_) => stored += 1,
            Err(refusal) => break refusal,
        }
    };
    // then it refuses, says so, and has kept everything.
    assert!(
        matches!(
            refusal,
            JournalError::Full {
                size_bytes_max: 10_000
            }
        ),
        "{refusal}"
    );
    assert!((8..=10).contains(&stored), "{stored}");
    assert_eq!(journal.read(Lsn(0), 100).unwrap().len() as u64, stored);
    assert_eq!(journal.stats().refused_full, 1);
    // When three are released, then two more fit, and the oldest have made room although they are young.
    journal.release(Lsn(3));
    for n in [stored + 1, stored + 2] {
        assert_eq!(journal.append(vec![message(n, 1000)]).await.unwrap(), Lsn(n));
    }
    let oldest = journal.oldest();
    assert!((Lsn(2)..=Lsn(4)).contains(&oldest), "{oldest:?}");
    assert!(journal.stats().stored_bytes <= 10_000);
}

#[tokio::test]
async fn a_full_disk_refuses_without_a_trace_and_the_journal_goes_on_when_there_is_space() {
    // Given a file that may not grow, with 400 kB that somebody can give back,
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(JOURNAL_FILE);
    let file = JournalFile::open(&path).unwrap();
    let side = rusqlite::Connection::open(&path).unwrap();
    side.execute_batch("CREATE TABLE ballast (b BLOB); INSERT INTO ballast VALUES (zeroblob(400000))")
        .unwrap();
    let pages: i64 = side
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    file.file.limit_pages(pages + 20);
    let config = without_memory();
    let journal = Journal::start(file, &path, config.clone(), clock_at_arrival()).unwrap();
    // when appends fill it,
    let mut stored = 0;
    let refusal = loop {
        match journal.append(vec![message(stored + 1, 10_000)]).await {
            Ok(_) => stored += 1,
            Err(refusal) => break refusal,
        }
    };
    // then the last one is refused, and nothing of it is to be seen,
    assert!(matches!(refusal, JournalError::DiskFull { .. }), "{refusal}");
    assert!(stored > 2, "{stored}");
    let expected = |upto| {
        (1..=upto)
            .map(|n| (Lsn(n), message(n, 10_000)))
            .collect::<Vec<_>>()
    };
    let newest: i64 = side
        .query_row("SELECT max(first_lsn) FROM batch", [], |row| row.get(0))
        .unwrap();
    assert_eq!(newest.cast_unsigned(), stored);
    assert_eq!(journal.newest(), Lsn(stored));
    assert!(
        journal.append(vec![message(0, 10_000)]).await.is_err(),
        "still full"
    );
    // and when there is space again, then it goes on without a restart, with the next number.
    side.execute_batch("DELETE FROM ballast").unwrap();
    for n in stored + 1..=stored + 5 {
        assert_eq!(journal.append(vec![message(n, 10_000)]).await.unwrap(), Lsn(n));
    }
    assert_eq!(journal.read(Lsn(0), 100).unwrap(), expected(stored + 5));
    drop((journal, side));
    let journal = open(dir.path(), config);
    assert_eq!(journal.read(Lsn(0), 100).unwrap(), expected(stored + 5));
}

#[tokio::test]
async fn after_any_other_error_nothing_is_taken_any_more() {
    // Given a journal with a message,
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), JournalConfig::default());
    journal.append(messages(1..=1)).await.unwrap();
    // when a commit fails because its table is gone,
    let side = rusqlite::Connection::open(dir.path().join(JOURNAL_FILE)).unwrap();
    side.execute_batch("ALTER TABLE batch RENAME TO hidden").unwrap();
    let refusal = journal.append(messages(2..=2)).await;
    assert!(
        matches!(refusal, Err(JournalError::Stopped { .. })),
        "{refusal:?}"
    );
    // then every later append is refused, also when the cause has passed.
    side.execute_batch("ALTER TABLE hidden RENAME TO batch").unwrap();
    let refusal = journal.append(messages(2..=2)).await.unwrap_err();
    assert!(refusal.to_string().contains("no such table"), "{refusal}");
    assert!(journal.stopped().is_some());
    assert_eq!(journal.read(Lsn(0), 9).unwrap(), numbered(1..=1));
}

/// The files of a journal as they are at this moment: what a crash leaves behind.
fn crash(dir: &Path) -> (Vec<u8>, Vec<u8>) {
    let read = |name| std::fs::read(dir.join(name)).unwrap();
    (read("journal.db"), read("journal.db-wal"))
}

fn lay_down(file: &[u8], log: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("journal.db"), file).unwrap();
    std::fs::write(dir.path().join("journal.db-wal"), log).unwrap();
    dir
}

#[tokio::test]
async fn a_log_torn_anywhere_leaves_whole_appends_from_the_beginning() {
    // Given six appends of two messages, and the files as a crash leaves them,
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), JournalConfig::default());
    for n in 0..6 {
        journal.append(messages(2 * n + 1..=2 * n + 2)).await.unwrap();
    }
    let (file, log) = crash(dir.path());
    let mut lengths = Vec::new();
    for cut in (0..log.len()).step_by(1361).chain([log.len()]) {
        // when the log is cut off anywhere,
        let torn = lay_down(&file, &log[..cut]);
        let Ok(journal) = Journal::open(torn.path(), without_memory(), clock_at_arrival()) else {
            // Only before the very first transaction, which makes the tables, was on disk.
            assert!(lengths.is_empty());
            continue;
        };
        // then what is left are the first appends, whole, and new ones go on from there.
        let found = journal.read(Lsn(0), 100).unwrap();
        let newest = journal.newest();
        assert_eq!(newest.0 % 2, 0, "half an append");
        assert_eq!(found, numbered(1..=newest.0));
        assert_eq!(journal.append(messages(99..=99)).await.unwrap(), newest.next());
        lengths.push(found.len());
    }
    assert!(lengths.is_sorted());
    assert_eq!(lengths.last(), Some(&12), "nothing cut off, nothing lost");
}

#[tokio::test]
async fn a_flipped_bit_is_an_error_or_changes_nothing() {
    // Given a journal on disk,
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), JournalConfig::default());
    for n in 0..40 {
        journal.append(messages(5 * n + 1..=5 * n + 5)).await.unwrap();
    }
    drop(journal);
    let file = std::fs::read(dir.path().join("journal.db")).unwrap();
    let (mut errors, mut same) = (0, 0);
    for place in (100..file.len()).step_by(83) {
        // when one bit of it turns over,
        let mut flipped = file.clone();
        flipped[place] ^= 1 << (place % 8);
        let dir = lay_down(&flipped, &[]);
        // then reading it fails, or gives exactly what was written.
        let read = Journal::open(dir.path(), without_memory(), clock_at_arrival())
            .and_then(|journal| journal.read(Lsn(0), 1000));
        match read {
            Err(_) => errors += 1,
            Ok(found) => {
                assert_eq!(found, numbered(1..=200), "byte {place}");
                same += 1;
            }
        }
    }
    // The rest fell on bytes that mean nothing: a good third of the pages is empty.
    assert!(errors >= 100, "{errors} of {} were found", errors + same);
}

#[tokio::test]
async fn a_damaged_batch_is_named_with_its_file_and_number() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), JournalConfig::default());
    journal.append(messages(1..=3)).await.unwrap();
    journal.append(messages(4..=6)).await.unwrap();
    drop(journal);
    rusqlite::Connection::open(dir.path().join(JOURNAL_FILE))
        .unwrap()
        .execute(
            "UPDATE batch SET blob = CAST(replace(blob, X'34', X'35') AS BLOB) WHERE first_lsn = 4",
            [],
        )
        .unwrap();
    let journal = open(dir.path(), JournalConfig::default());
    assert_eq!(journal.read(Lsn(0), 3).unwrap(), numbered(1..=3));
    let error = journal.read(Lsn(0), 9).unwrap_err();
    assert!(
        matches!(error, JournalError::Damaged { lsn: Lsn(4), .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("journal.db is damaged at message 4"),
        "{error}"
    );
}

#[test]
fn a_file_that_vanished_or_is_newer_is_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("journal.db-wal"), b"left behind").unwrap();
    let refused = Journal::open(dir.path(), JournalConfig::default(), clock_at_arrival());
    assert!(
        matches!(refused, Err(JournalError::Missing { .. })),
        "{refused:?}"
    );

    let dir = tempfile::tempdir().unwrap();
    rusqlite::Connection::open(dir.path().join(JOURNAL_FILE))
        .unwrap()
        .pragma_update(None, "user_version", 2)
        .unwrap();
    let refused = Journal::open(dir.path(), JournalConfig::default(), clock_at_arrival());
    assert!(
        matches!(refused, Err(JournalError::Newer { found: 2, .. })),
        "{refused:?}"
    );
}
