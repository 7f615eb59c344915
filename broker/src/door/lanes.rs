//! Turns at something that few can do at a time, with two lanes: those on whom lives hang go first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::limits::LANE_MAX;

/// After so many from the first lane, one from the second gets its turn: a flood of clients that call
/// themselves life-safety cannot shut out the others.
const FIRST_IN_A_ROW: u32 = 8;

/// The two lanes.
#[derive(Debug)]
pub(crate) struct Lanes(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    first: VecDeque<oneshot::Sender<Turn>>,
    second: VecDeque<oneshot::Sender<Turn>>,
    first_in_a_row: u32,
}

/// A turn; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Turn(Option<Arc<Lanes>>);

impl Lanes {
    /// Lanes for `turns` at a time.
    pub(crate) fn new(turns: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            free: turns,
            first: VecDeque::new(),
            second: VecDeque::new(),
            first_in_a_row: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn, in the first lane when `life_safety`. `None` when [`LANE_MAX`] wait there already.
    pub(crate) async fn turn(self: &Arc<Self>, life_safety: bool) -> Option<Turn> {
        let waiting = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Some(Turn(Some(Arc::clone(self))));
            }
            let lane = if life_safety {
                &mut state.first
            } else {
                &mut state.second
            };
            if lane.len() >= LANE_MAX {
                // Those who gave up make room.
                lane.retain(|waiting| !waiting.is_closed());
                if lane.len() >= LANE_MAX {
                    return None;
                }
            }
            let (ready, waiting) = oneshot::channel();
            lane.push_back(ready);
            waiting
        };
        waiting.await.ok()
    }

    /// Hands a turn that ended to who is next.
    fn hand_on(self: Arc<Self>) {
        let mut turn = Turn(Some(Arc::clone(&self)));
        loop {
            let next = self.lock().next();
            let Some(next) = next else {
                self.lock().free += 1;
                // Nothing was handed on: this one shall not come back here.
                turn.0 = None;
                return;
            };
            match next.send(turn) {
                Ok(()) => return,
                Err(gave_up) => turn = gave_up,
            }
        }
    }
}

impl State {
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let second_is_due = self.first_in_a_row >= FIRST_IN_A_ROW && !self.second.is_empty();
        if !second_is_due && let Some(next) = self.first.pop_front() {
            self.first_in_a_row += 1;
            return Some(next);
        }
        self.first_in_a_row = 0;
        self.second.pop_front()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(lanes) = self.0.take() {
            lanes.hand_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Waiting = std::pin::Pin<Box<dyn Future<Output = Option<Turn>>>>;

    /// Waits in a lane; polled once, so that it has its place.
    fn wait(lanes: &Arc<Lanes>, life_safety: bool) -> Waiting {
        let lanes = Arc::clone(lanes);
        let mut waiting: Waiting = Box::pin(async move { lanes.turn(life_safety).await });
        assert!(now(&mut waiting).is_none());
        waiting
    }

    fn now(waiting: &mut Waiting) -> Option<Option<Turn>> {
        match pin!(waiting).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    async fn taken(turns: usize) -> (Arc<Lanes>, Turn) {
        let lanes = Lanes::new(turns);
        let turn = lanes.turn(false).await.unwrap();
        (lanes, turn)
    }

    #[tokio::test]
    async fn who_comes_last_but_for_life_safety_goes_first() {
        let (lanes, turn) = taken(1).await;
        let mut ordinary: Vec<Waiting> = (0..3).map(|_| wait(&lanes, false)).collect();
        let mut gas = wait(&lanes, true);
        drop(turn);
        let turn = now(&mut gas).unwrap().unwrap();
        assert!(ordinary.iter_mut().all(|waiting| now(waiting).is_none()));
        drop(turn);
        // The others come in their order.
        for waiting in &mut ordinary {
            drop(now(waiting).unwrap().unwrap());
        }
        assert_eq!(lanes.lock().free, 1);
    }

    #[tokio::test]
    async fn a_flood_in_the_first_lane_leaves_every_ninth_turn_to_the_second() {
        let (lanes, mut turn) = taken(1).await;
        let mut ordinary = wait(&lanes, false);
        let mut gas: Vec<Waiting> = (0..20).map(|_| wait(&lanes, true)).collect();
        for waiting in gas.iter_mut().take(8) {
            drop(turn);
            turn = now(waiting).unwrap().unwrap();
            assert!(now(&mut ordinary).is_none());
        }
        drop(turn);
        assert!(now(&mut ordinary).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_turn_is_not_lost_with_who_gave_up_waiting() {
        let (lanes, turn) = taken(1).await;
        let (gave_up, mut patient) = (wait(&lanes, true), wait(&lanes, false));
        // One gives up before its turn, one after it was handed the turn and before it looked.
        drop(gave_up);
        drop(turn);
        let handed = now(&mut patient).unwrap().unwrap();
        let too_late = wait(&lanes, false);
        drop(handed);
        drop(too_late);
        assert_eq!(lanes.lock().free, 1);
    }

    #[tokio::test]
    async fn a_full_lane_turns_away() {
        let (lanes, _turn) = taken(1).await;
        let _waiting: Vec<Waiting> = (0..LANE_MAX).map(|_| wait(&lanes, false)).collect();
        assert!(lanes.turn(false).await.is_none());
        // The other lane is not full.
        let _gas = wait(&lanes, true);
    }
}
