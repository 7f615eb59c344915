//! The journal against its text: order, durability, bounds, damage.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use telemetry::time::SystemClock;
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
