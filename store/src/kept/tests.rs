//! The map against its text: order, durability, bounds, damage.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use telemetry::time::SystemClock;

use super::*;

type Model = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

fn put(room: u8, key: &[u8], value: &[u8]) -> Change {
    Change::Put {
        room,
        key: Bytes::copy_from_slice(key),
        value: Bytes::copy_from_slice(value),
    }
}

fn delete(room: u8, key: &[u8]) -> Change {
    Change::Delete {
        room,
        key: Bytes::copy_from_slice(key),
    }
}

fn delete_prefix(room: u8, prefix: &[u8]) -> Change {
    Change::DeletePrefix {
        room,
        prefix: Bytes::copy_from_slice(prefix),
    }
}

/// What the changes mean, so simply that it is plainly right.
fn change(model: &mut Model, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Put { room, key, value } => {
                model.insert((*room, key.to_vec()), value.to_vec());
            }
            Change::Delete { room, key } => {
                model.remove(&(*room, key.to_vec()));
            }
            Change::DeletePrefix { room, prefix } => {
                model.retain(|(of, key), _| of != room || !key.starts_with(prefix));
            }
        }
    }
}

fn size(model: &Model) -> u64 {
    let bytes: usize = model
        .iter()
        .map(|((_, key), value)| key.len() + value.len())
        .sum();
    (bytes + model.len() * 32) as u64
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("mqtt.db")
    }

    fn open(&self, config: KeptConfig) -> Kept {
        Kept::open(&self.path(), config, Arc::new(SystemClock::new())).unwrap()
    }

    fn side(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// The files as they are at this moment, laid down elsewhere: what a crash leaves behind.
    fn crash(&self) -> Self {
        let copy = Self::new();
        for name in ["mqtt.db", "mqtt.db-wal"] {
            std::fs::copy(self.0.path().join(name), copy.0.path().join(name)).unwrap();
        }
        copy
    }
}

fn all(kept: &Kept) -> Model {
    let mut found = Vec::new();
    let loaded = kept
        .load(&mut |room, key, value| found.push(((room, key.to_vec()), value.to_vec())))
        .unwrap();
    assert_eq!((loaded.rows, loaded.damaged), (found.len() as u64, 0));
    assert!(found.is_sorted_by(|a, b| a.0 < b.0), "in order, each once");
    found.into_iter().collect()
}

fn some_change() -> impl Strategy<Value = Change> {
    // Few rooms and short keys of few bytes, 0 and 255 among them, so that keys meet.
    let room = 0..3u8;
    let byte = prop_oneof![Just(0u8), Just(b'a'), Just(b'b'), Just(254), Just(255)];
    let key = prop::collection::vec(byte, 0..4);
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        (0..3000usize).prop_map(|n| vec![7; n])
    ];
    prop_oneof![
        6 => (room.clone(), key.clone(), value).prop_map(|(room, key, value)| put(room, &key, &value)),
        2 => (room.clone(), key.clone()).prop_map(|(room, key)| delete(room, &key)),
        1 => (room, key).prop_map(|(room, prefix)| delete_prefix(room, &prefix)),
    ]
}

/// What happens between two calls.
#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    Reopen,
    Crash,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_holds_what_a_map_in_memory_holds_also_after_a_restart_and_a_crash(
        calls in prop::collection::vec(
            (
                prop::collection::vec(some_change(), 1..6),
                prop_oneof![4 => Just(Event::Nothing), 1 => Just(Event::Reopen), 1 => Just(Event::Crash)],
            ),
            1..12,
        ),
        bound in prop_oneof![Just(u64::MAX), 200..4000u64],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let config = KeptConfig { size_bytes_max: bound, ..KeptConfig::default() };
        let (mut place, mut model) = (Place::new(), Model::new());
        let mut kept = place.open(config.clone());
        for (changes, event) in calls {
            let mut after = model.clone();
            change(&mut after, &changes);
            let fits = size(&after) <= bound || size(&after) <= size(&model);
            match runtime.block_on(kept.keep(changes)) {
                Ok(()) => {
                    prop_assert!(fits);
                    model = after;
                }
                Err(KeptError::Full { .. }) => prop_assert!(!fits),
                Err(error) => panic!("{error}"),
            }
            match event {
                Event::Nothing => {}
                Event::Reopen => {
                    drop(kept);
                    kept = place.open(config.clone());
                }
                Event::Crash => {
                    let copy = place.crash();
                    drop(kept);
                    kept = copy.open(config.clone());
                    place = copy;
                }
            }
            let stats = kept.stats();
            prop_assert_eq!((stats.rows, stats.stored_bytes), (model.len() as u64, size(&model)));
            prop_assert_eq!(&all(&kept), &model);
        }
    }
}

#[tokio::test]
async fn calls_are_kept_in_the_order_in_which_they_were_made_however_they_are_awaited() {
    // Given a hundred calls that give one key a hundred values,
    let place = Place::new();
    let kept = place.open(KeptConfig::default());
    let answers: Vec<Keeping> = (0..100u8).map(|n| kept.keep(vec![put(1, b"k", &[n])])).collect();
    // when the answers are awaited backwards, or not at all,
    for answer in answers.into_iter().rev().take(50) {
        answer.await.unwrap();
    }
    // then the last call's value stands, and the calls shared their fsyncs.
    assert_eq!(all(&kept), Model::from([((1, b"k".to_vec()), vec![99])]));
    let stats = kept.stats();
    assert_eq!((stats.calls, stats.changes), (100, 100));
    assert!(stats.commits <= 50, "{stats:?}");
}

#[tokio::test]
async fn what_was_not_awaited_is_kept_when_it_is_closed_in_order() {
    let place = Place::new();
    let kept = place.open(KeptConfig::default());
    drop(kept.keep(vec![put(0, b"a", b"1")]));
    kept.close();
    let refused = kept.keep(vec![put(0, b"b", b"2")]).await;
    assert!(matches!(refused, Err(KeptError::Closed { .. })), "{refused:?}");
    drop(kept);
    assert_eq!(
        all(&place.open(KeptConfig::default())),
        Model::from([((0, b"a".to_vec()), b"1".to_vec())])
    );
}

#[tokio::test]
async fn a_log_torn_anywhere_leaves_whole_calls_from_the_beginning() {
    // Given eight calls of two rows, and the files as a crash leaves them,
    let place = Place::new();
    let kept = place.open(KeptConfig::default());
    for n in 0..8u8 {
        let call = vec![put(1, &[n], b"session"), put(2, &[n, n], b"subscription")];
        kept.keep(call).await.unwrap();
    }
    let log = std::fs::read(place.0.path().join("mqtt.db-wal")).unwrap();
    let mut lengths = Vec::new();
    for cut in (0..log.len()).step_by(1361).chain([log.len()]) {
        // when the log is cut off anywhere,
        let torn = place.crash();
        std::fs::write(torn.0.path().join("mqtt.db-wal"), &log[..cut]).unwrap();
        let opened = Kept::open(&torn.path(), KeptConfig::default(), Arc::new(SystemClock::new()));
        let Ok(kept) = opened else {
            // Only before the very first transaction, which makes the table, was on disk.
            assert!(lengths.is_empty());
            continue;
        };
        // then what is left are the first calls, whole, and new ones go on from there.
        let found = all(&kept);
        assert_eq!(found.len() % 2, 0, "half a call");
        for n in 0..found.len() / 2 {
            let n = u8::try_from(n).unwrap();
            assert!(found.contains_key(&(1, vec![n])) && found.contains_key(&(2, vec![n, n])));
        }
        kept.keep(vec![put(3, b"more", b"")]).await.unwrap();
        lengths.push(found.len());
    }
    assert!(lengths.is_sorted());
    assert_eq!(lengths.last(), Some(&16), "nothing cut off, nothing lost");
}

#[tokio::test]
async fn a_full_disk_refuses_without_a_trace_and_it_goes_on_when_there_is_space() {
    // Given a file that may not grow, with 400 kB that somebody can give back,
    let place = Place::new();
    let file = KeptFile::open(&place.path()).unwrap();
    let side = place.side();
    side.execute_batch("CREATE TABLE ballast (b BLOB); INSERT INTO ballast VALUES (zeroblob(400000))")
        .unwrap();
    let pages: i64 = side
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    file.file.limit_pages(pages + 20);
    let kept = Kept::start(file, KeptConfig::default(), Arc::new(SystemClock::new())).unwrap();
    // when calls of two rows fill it,
    let call = |n: u8| vec![put(1, &[n], b"small"), put(2, &[n], &[n; 10_000])];
    let mut model = Model::new();
    let mut n = 0;
    let refusal = loop {
        match kept.keep(call(n)).await {
            Ok(()) => change(&mut model, &call(n)),
            Err(refusal) => break refusal,
        }
        n += 1;
    };
    // then the last one is refused, and nothing of it is to be seen, not even its small row,
    assert!(matches!(refusal, KeptError::DiskFull { .. }), "{refusal}");
    assert!(n > 2, "{n}");
    assert_eq!(all(&kept), model);
    assert!(kept.keep(call(n)).await.is_err(), "still full");
    assert!(kept.stats().refusing);
    assert_eq!(kept.stats().refused_disk_full, 2);
    // what is deleted makes room at once,
    kept.keep(vec![delete_prefix(2, &[0])]).await.unwrap();
    change(&mut model, &[delete_prefix(2, &[0])]);
    assert_eq!(all(&kept), model);
    // and when there is space again, then it goes on without a restart.
    side.execute_batch("DELETE FROM ballast").unwrap();
    for n in n..n + 5 {
        kept.keep(call(n)).await.unwrap();
        change(&mut model, &call(n));
    }
    assert!(!kept.stats().refusing);
    drop((kept, side));
    assert_eq!(all(&place.open(KeptConfig::default())), model);
}

#[tokio::test]
async fn after_any_other_error_nothing_is_taken_any_more() {
    // Given a row,
    let place = Place::new();
    let kept = place.open(KeptConfig::default());
    kept.keep(vec![put(1, b"a", b"1")]).await.unwrap();
    // when a commit fails because its table is gone,
    let side = place.side();
    side.execute_batch("ALTER TABLE kept RENAME TO hidden").unwrap();
    let refused = kept.keep(vec![put(1, b"b", b"2")]).await;
    assert!(matches!(refused, Err(KeptError::Stopped { .. })), "{refused:?}");
    // then every later call is refused, also when the cause has passed.
    side.execute_batch("ALTER TABLE hidden RENAME TO kept").unwrap();
    let refusal = kept.keep(vec![put(1, b"b", b"2")]).await.unwrap_err();
    assert!(refusal.to_string().contains("no such table"), "{refusal}");
    assert!(kept.stopped().is_some());
    assert_eq!(all(&kept), Model::from([((1, b"a".to_vec()), b"1".to_vec())]));
}

#[tokio::test]
async fn when_too_much_waits_a_call_is_refused_and_counted_and_the_next_are_taken() {
    // Given room for one call of 100 bytes in the line,
    let place = Place::new();
    let config = KeptConfig {
        queue_bytes_max: 250,
        ..KeptConfig::default()
    };
    let kept = place.open(config);
    // when the writer is held up and three come,
    let side = place.side();
    side.execute_batch("BEGIN IMMEDIATE").unwrap();
    let call = |n: u8| vec![put(1, &[n], &[n; 67])];
    let (first, second) = (kept.keep(call(1)), kept.keep(call(2)));
    let third = kept.keep(call(3)).await;
    // then two wait and the third is refused;
    assert!(
        matches!(
            third,
            Err(KeptError::Busy {
                queue_bytes_max: 250,
                ..
            })
        ),
        "{third:?}"
    );
    side.execute_batch("COMMIT").unwrap();
    first.await.unwrap();
    second.await.unwrap();
    // and when the writer goes on, so does everything, also a call that is larger than the line.
    kept.keep(vec![put(1, b"big", &[0; 1000])]).await.unwrap();
    assert_eq!((all(&kept).len(), kept.stats().refused_busy), (3, 1));
}

#[tokio::test]
async fn a_damaged_row_is_left_out_and_counted_and_the_others_are_there() {
    // Given three rows, of which one is changed behind the program's back and one put in another's place,
    let place = Place::new();
    let kept = place.open(KeptConfig::default());
    let rows = [b"a", b"b", b"c"].map(|key| put(1, key, b"value"));
    kept.keep(rows.to_vec()).await.unwrap();
    let side = place.side();
    side.execute_batch(
        "UPDATE kept SET value = X'00' WHERE key = X'61'; UPDATE kept SET room = 2 WHERE key = X'63'",
    )
    .unwrap();
    // when it is read,
    let mut found = Vec::new();
    let loaded = kept
        .load(&mut |room, key, _| found.push((room, key.to_vec())))
        .unwrap();
    // then the sound row comes, and the others are counted.
    assert_eq!(found, [(1, b"b".to_vec())]);
    assert_eq!((loaded.rows, loaded.damaged), (1, 2));
    // And a new value mends the row.
    kept.keep(vec![put(1, b"a", b"again"), delete_prefix(2, b"")])
        .await
        .unwrap();
    assert_eq!(all(&kept).len(), 2);
}

#[test]
fn a_file_that_vanished_or_is_newer_is_not_made_anew() {
    let place = Place::new();
    std::fs::write(place.0.path().join("mqtt.db-wal"), b"left behind").unwrap();
    let open = |place: &Place| {
        let clock = Arc::new(SystemClock::new());
        Kept::open(&place.path(), KeptConfig::default(), clock)
    };
    let refused = open(&place);
    assert!(matches!(refused, Err(KeptError::Missing { .. })), "{refused:?}");

    let place = Place::new();
    place.side().pragma_update(None, "user_version", 2).unwrap();
    let refused = open(&place);
    assert!(
        matches!(refused, Err(KeptError::Newer { found: 2, .. })),
        "{refused:?}"
    );
}
