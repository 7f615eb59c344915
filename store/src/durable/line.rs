//! The line of requests that wait for the next commit. One thread serves it, in groups.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What waits in a [`Line`].
pub(crate) trait Waiting {
    /// Its size, for the bound of a group.
    fn size_bytes(&self) -> usize;
}

/// First come, first served. Its length is bounded by those who push.
#[derive(Debug)]
pub(crate) struct Line<T> {
    queue: Mutex<Queue<T>>,
    arrived: Condvar,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<T>,
    open: bool,
}

impl<T: Waiting> Line<T> {
    /// An open, empty line.
    pub(crate) fn new() -> Self {
        Self {
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                open: true,
            }),
            arrived: Condvar::new(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `request` at the end; gives it back when the line is shut.
    pub(crate) fn push(&self, request: T) -> Result<(), T> {
        {
            let mut queue = self.queue();
            if !queue.open {
                return Err(request);
            }
            queue.waiting.push_back(request);
        }
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes nobody any more; those that wait are still served.
    pub(crate) fn shut(&self) {
        self.queue().open = false;
        self.arrived.notify_all();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.queue().open
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue().waiting.is_empty()
    }

    /// Waits for requests and takes them from the front until they have `bytes_max` together, at least
    /// one; none when the line is shut and nobody waits any more.
    pub(crate) fn next_group(&self, bytes_max: usize) -> Option<Vec<T>> {
        let mut queue = self.queue();
        while queue.waiting.is_empty() {
            if !queue.open {
                return None;
            }
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let mut bytes = 0;
        let mut group = Vec::new();
        while bytes < bytes_max {
            let Some(request) = queue.waiting.pop_front() else {
                break;
            };
            bytes += request.size_bytes();
            group.push(request);
        }
        Some(group)
    }

    /// Everybody that waits, to be sent away.
    pub(crate) fn drain(&self) -> Vec<T> {
        self.queue().waiting.drain(..).collect()
    }
}
