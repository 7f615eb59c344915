//! Where requests run: threads of their own, so that whoever waits for an answer is an ordinary thread.
//!
//! Each request is a task of its own. One that panics, as parts of `influxdb2` do when they do not like an answer, is a
//! failed request and nothing more.

use std::future::Future;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// How often a waiting thread looks whether it shall give up.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The task panicked.
    Panicked,
    /// The one who waited was told to stop.
    GivenUp,
}

pub(super) struct Hands {
    /// None once it is dropped.
    runtime: Mutex<Option<Runtime>>,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hands").finish_non_exhaustive()
    }
}

impl Hands {
    /// Starts the threads.
    pub(super) fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("remote-http")
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Mutex::new(Some(runtime)),
        })
    }

    /// Runs `request` and waits for it, until `give_up` says so. Blocks; must not be called from an async task.
    pub(super) fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
        give_up: impl Fn() -> bool,
    ) -> Result<T, NoAnswer> {
        let (sender, answer) = sync_channel(1);
        {
            let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(runtime) = runtime.as_ref() else {
                return Err(NoAnswer::GivenUp);
            };
            runtime.spawn(async move {
                // Nobody may wait any more.
                drop(sender.send(request.await));
            });
        }
        loop {
            match answer.recv_timeout(LOOK_EVERY) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(NoAnswer::Panicked),
                Err(RecvTimeoutError::Timeout) if give_up() => return Err(NoAnswer::GivenUp),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            // An ordinary drop waits, and panics inside an async task.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failed_request_and_the_next_one_works() {
        let hands = Hands::start().unwrap();
        let panicked: Result<(), NoAnswer> = hands.run(async { panic!("as influxdb2 does") }, || false);
        assert_eq!(panicked, Err(NoAnswer::Panicked));
        assert_eq!(hands.run(async { 7 }, || false), Ok(7));
        let waited = hands.run(std::future::pending::<()>(), || true);
        assert_eq!(waited, Err(NoAnswer::GivenUp));
    }
}
