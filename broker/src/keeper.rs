//! The seam behind which sessions, queues, retained messages and wills outlive the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::BoxFuture;

/// One space of keys. The gate makes keys and values; a keeper only keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Room {
    /// Sessions that outlive their connection.
    Sessions,
    /// What they subscribe to.
    Subscriptions,
    /// Messages that wait for them, and those that are on their way to them.
    Queue,
    /// Under which packet identifiers messages are on their way to them.
    Sending,
    /// Packet identifiers of QoS 2 messages that were received and not yet released.
    Received,
    /// Retained messages by topic.
    Retained,
    /// Wills of clients with a session that outlives its connection.
    Wills,
}

impl Room {
    /// Every room.
    pub const ALL: [Self; 7] = [
        Self::Sessions,
        Self::Subscriptions,
        Self::Queue,
        Self::Sending,
        Self::Received,
        Self::Retained,
        Self::Wills,
    ];

    /// The number under which a room is kept. It never changes.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Sessions => 1,
            Self::Subscriptions => 2,
            Self::Queue => 3,
            Self::Sending => 4,
            Self::Received => 5,
            Self::Retained => 6,
            Self::Wills => 7,
        }
    }

    /// The room of a number, or `None` for a number that no room has.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|room| room.code() == code)
    }
}

/// One change of what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Keeps `value` under `key`, in place of what was there.
    Put {
        /// Where.
        room: Room,
        /// At most 512 bytes.
        key: Box<[u8]>,
        /// At most one packet and 64 bytes.
        value: Bytes,
    },
    /// Forgets `key`; nothing, when it is not there.
    Delete {
        /// Where.
        room: Room,
        /// Which.
        key: Box<[u8]>,
    },
    /// Forgets every key that begins with `prefix`.
    DeletePrefix {
        /// Where.
        room: Room,
        /// At least one byte.
        prefix: Box<[u8]>,
    },
}

/// Keeps what has to survive a restart and `kill -9`: an ordered map for each [`Room`].
pub trait Keeper: Send + Sync + 'static {
    /// Hands everything that is kept to `each`, in key order of each room. Blocks; called once, before
    /// the gate listens.
    ///
    /// # Errors
    /// [`KeeperError`]; the gate then does not start.
    #[expect(
        clippy::type_complexity,
        reason = "a name for it would say less than room, key and value do"
    )]
    fn load(&self, each: &mut dyn FnMut(Room, &[u8], &[u8])) -> Result<(), KeeperError>;

    /// Makes `changes` durable, in order, all or none. Resolves when they outlive `kill -9` and a loss of
    /// power; changes of several callers may share one fsync. Calls take effect in the order in which
    /// they were made, and from the moment of the call: a future that is dropped or never polled does not
    /// take its changes back. Does not block.
    ///
    /// # Errors
    /// [`KeeperError`]; nothing of this call is kept. After [`KeeperError::Full`] later calls are tried anew;
    /// after [`KeeperError::Stopped`] nothing of later ones is kept either.
    fn keep(&self, changes: Vec<Change>) -> BoxFuture<'static, Result<(), KeeperError>>;
}

/// Why something could not be kept or read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeeperError {
    /// No room now: the disk is full or the queue too long. MQTT 5 clients are told 0x97.
    #[error("no room to keep sessions and messages: {0}")]
    Full(String),
    /// Nothing can be kept any more, e.g. after a failed fsync. MQTT 5 clients are told 0x83.
    #[error("sessions and messages cannot be kept: {0}")]
    Stopped(String),
    /// What is kept cannot be read.
    #[error("what was kept cannot be read: {0}")]
    Unreadable(String),
}

/// Keeps in memory, and forgets with the process: for tests, and for a gate without a data folder. A clone
/// of its [`std::sync::Arc`] that is given to a second gate plays a restart.
#[derive(Debug, Default)]
pub struct MemoryKeeper {
    kept: Mutex<Shelf>,
}

type Shelf = BTreeMap<(Room, Box<[u8]>), Bytes>;

impl MemoryKeeper {
    /// How many keys a room holds.
    #[must_use]
    pub fn count(&self, room: Room) -> usize {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.keys().filter(|(of, _)| *of == room).count()
    }
}

impl Keeper for MemoryKeeper {
    fn load(&self, each: &mut dyn FnMut(Room, &[u8], &[u8])) -> Result<(), KeeperError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for ((room, key), value) in &*kept {
            each(*room, key, value);
        }
        Ok(())
    }

    fn keep(&self, changes: Vec<Change>) -> BoxFuture<'static, Result<(), KeeperError>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                Change::Put { room, key, value } => {
                    kept.insert((room, key), value);
                }
                Change::Delete { room, key } => {
                    kept.remove(&(room, key));
                }
                Change::DeletePrefix { room, prefix } => {
                    kept.retain(|(of, key), _| *of != room || !key.starts_with(&prefix));
                }
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_comes_back_in_order_and_what_is_deleted_does_not() {
        let keeper = MemoryKeeper::default();
        let put = |room, key: &[u8], value: &'static [u8]| Change::Put {
            room,
            key: key.into(),
            value: Bytes::from_static(value),
        };
        // Given keys in two rooms, one of them written twice,
        let changes = vec![
            put(Room::Queue, b"bb", b"1"),
            put(Room::Queue, b"a", b"2"),
            put(Room::Queue, b"ba", b"3"),
            put(Room::Retained, b"ba", b"4"),
            put(Room::Queue, b"a", b"5"),
        ];
        keeper.keep(changes).await.unwrap();
        // when one is deleted by its beginning and one by name,
        let room = Room::Queue;
        let delete = vec![
            Change::DeletePrefix {
                room,
                prefix: (*b"bb").into(),
            },
            Change::Delete {
                room,
                key: (*b"not there").into(),
            },
        ];
        keeper.keep(delete).await.unwrap();
        // then the others are there, the newest value of each.
        let mut all = Vec::new();
        keeper
            .load(&mut |room, key, value| all.push((room, key.to_vec(), value.to_vec())))
            .unwrap();
        let expected = [
            (Room::Queue, b"a".to_vec(), b"5".to_vec()),
            (Room::Queue, b"ba".to_vec(), b"3".to_vec()),
            (Room::Retained, b"ba".to_vec(), b"4".to_vec()),
        ];
        assert_eq!(all, expected);
        assert_eq!(keeper.count(Room::Queue), 2);
    }

    #[test]
    fn the_number_of_a_room_leads_back_to_it() {
        for room in Room::ALL {
            assert_eq!(Room::from_code(room.code()), Some(room));
        }
        assert_eq!(Room::from_code(0), None);
    }
}
