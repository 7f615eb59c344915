//! Joins the gate's memory to the store: what [`Kept`] has fsynced outlives `kill -9`.

use broker::{BoxFuture, Change, Keeper, KeeperError, Room};
use store::kept::{self, Kept, KeptError};

/// The name of the file in the data folder.
pub(crate) const MQTT_FILE: &str = "mqtt.db";

/// The store as the gate sees it.
#[derive(Debug)]
pub(crate) struct KeptKeeper(pub Kept);

impl Keeper for KeptKeeper {
    fn load(&self, each: &mut dyn FnMut(Room, &[u8], &[u8])) -> Result<(), KeeperError> {
        let mut strange = 0u64;
        let loaded = self
            .0
            .load(&mut |code, key, value| match Room::from_code(code) {
                Some(room) => each(room, key, value),
                None => strange += 1,
            })
            .map_err(refusal)?;
        if strange > 0 {
            tracing::error!(
                rows = strange,
                "the gate's memory has rows of a kind that this program does not know; they are left out"
            );
        }
        tracing::info!(
            rows = loaded.rows,
            damaged = loaded.damaged,
            "sessions and messages of before the restart are read"
        );
        Ok(())
    }

    fn keep(&self, changes: Vec<Change>) -> BoxFuture<'static, Result<(), KeeperError>> {
        // The call, not the first poll, gives the changes their place.
        let keeping = self.0.keep(changes.into_iter().map(kept_change).collect());
        Box::pin(async move { keeping.await.map_err(refusal) })
    }
}

fn kept_change(change: Change) -> kept::Change {
    match change {
        Change::Put { room, key, value } => kept::Change::Put {
            room: room.code(),
            key: key.into(),
            value,
        },
        Change::Delete { room, key } => kept::Change::Delete {
            room: room.code(),
            key: key.into(),
        },
        Change::DeletePrefix { room, prefix } => kept::Change::DeletePrefix {
            room: room.code(),
            prefix: prefix.into(),
        },
    }
}

fn refusal(error: KeptError) -> KeeperError {
    match error {
        KeptError::Full { .. } | KeptError::Busy { .. } | KeptError::DiskFull { .. } => {
            KeeperError::Full(error.to_string())
        }
        KeptError::Engine { .. } => KeeperError::Unreadable(telemetry::with_causes(&error)),
        KeptError::Stopped { .. }
        | KeptError::Closed { .. }
        | KeptError::Missing { .. }
        | KeptError::Newer { .. }
        | KeptError::Thread { .. } => KeeperError::Stopped(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use store::kept::KeptConfig;
    use telemetry::time::SystemClock;

    use super::*;

    fn open(folder: &Path, config: KeptConfig) -> KeptKeeper {
        KeptKeeper(Kept::open(&folder.join(MQTT_FILE), config, Arc::new(SystemClock::new())).unwrap())
    }

    fn all(keeper: &impl Keeper) -> Vec<(Room, Vec<u8>, Vec<u8>)> {
        let mut all = Vec::new();
        keeper
            .load(&mut |room, key, value| all.push((room, key.to_vec(), value.to_vec())))
            .unwrap();
        all
    }

    fn put(room: Room, key: &[u8], value: &'static [u8]) -> Change {
        Change::Put {
            room,
            key: key.into(),
            value: value.into(),
        }
    }

    #[tokio::test]
    async fn the_store_keeps_what_the_gates_own_keeper_in_memory_keeps() {
        // Given the same changes in every room, for the store and for the memory,
        let folder = tempfile::tempdir().unwrap();
        let memory = broker::MemoryKeeper::default();
        let keeper = open(folder.path(), KeptConfig::default());
        for room in Room::ALL {
            let (key, prefix) = ((*b"pump-1/a").into(), (*b"pump-2").into());
            let changes = vec![
                put(room, b"pump-1/a", b"1"),
                put(room, b"pump-1/b", b"2"),
                put(room, b"pump-2/a", b"3"),
                put(room, b"pump-1/b", b"4"),
                Change::Delete { room, key },
                Change::DeletePrefix { room, prefix },
            ];
            memory.keep(changes.clone()).await.unwrap();
            keeper.keep(changes).await.unwrap();
        }
        // when the store is opened again, then both hold the same.
        drop(keeper);
        let again = open(folder.path(), KeptConfig::default());
        assert_eq!(all(&again), all(&memory));
        assert_eq!(all(&again).len(), Room::ALL.len());
    }

    #[tokio::test]
    async fn no_room_and_the_end_are_told_apart_and_a_strange_row_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let config = KeptConfig {
            size_bytes_max: 100,
            ..KeptConfig::default()
        };
        let keeper = open(folder.path(), config);
        let strange = kept::Change::Put {
            room: 200,
            key: b"x".as_slice().into(),
            value: b"y".as_slice().into(),
        };
        keeper.0.keep(vec![strange]).await.unwrap();
        assert_eq!(all(&keeper), []);
        let large = vec![put(Room::Queue, b"k", &[0; 100])];
        let refused = keeper.keep(large).await;
        assert!(matches!(refused, Err(KeeperError::Full(_))), "{refused:?}");
        keeper.0.close();
        let refused = keeper.keep(vec![put(Room::Queue, b"k", b"v")]).await;
        assert!(matches!(refused, Err(KeeperError::Stopped(_))), "{refused:?}");
    }
}
