//! Who is connected, so that a second connection of a client ends the first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use tokio_util::sync::CancellationToken;

/// The list of who is connected: at most one entry for each connection.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    seats: Mutex<FxHashMap<Box<str>, Place>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Place {
    number: u64,
    taken_over: CancellationToken,
    gone: CancellationToken,
}

/// A place in the list; leaving it is dropping it.
#[derive(Debug)]
pub(crate) struct Seat {
    sessions: Arc<Sessions>,
    /// Under which name it stands in the list.
    pub(crate) key: Box<str>,
    number: u64,
    /// Set when another connection of the client has come.
    pub(crate) taken_over: CancellationToken,
    gone: CancellationToken,
}

impl Sessions {
    /// A number that no other connection has.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes the place of `key`, and asks whoever had it to go. The token is set when that one is gone.
    pub(crate) fn enter(self: &Arc<Self>, key: Box<str>) -> (Seat, Option<CancellationToken>) {
        let seat = Seat {
            sessions: Arc::clone(self),
            key: key.clone(),
            number: self.number(),
            taken_over: CancellationToken::new(),
            gone: CancellationToken::new(),
        };
        let place = Place {
            number: seat.number,
            taken_over: seat.taken_over.clone(),
            gone: seat.gone.clone(),
        };
        let before = self
            .seats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, place);
        let leaving = before.map(|before| {
            before.taken_over.cancel();
            before.gone
        });
        (seat, leaving)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.sessions.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if seats
            .get(&self.key)
            .is_some_and(|place| place.number == self.number)
        {
            seats.remove(&self.key);
        }
        drop(seats);
        self.gone.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_one_name_has_the_seat_and_the_older_ones_are_told() {
        // Given one client that came twice,
        let sessions = Arc::new(Sessions::default());
        let (first, nobody) = sessions.enter("pump".into());
        assert!(nobody.is_none());
        let (second, leaving) = sessions.enter("pump".into());
        let leaving = leaving.unwrap();
        // then the first is told, and is gone when it has left;
        assert!(first.taken_over.is_cancelled() && !second.taken_over.is_cancelled());
        assert!(!leaving.is_cancelled());
        drop(first);
        assert!(leaving.is_cancelled());
        // the second still has the seat, and leaves the list empty.
        assert_eq!(sessions.seats.lock().unwrap().len(), 1);
        drop(second);
        assert!(sessions.seats.lock().unwrap().is_empty());
    }
}
