//! Wakes the one task that serves a session.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// Rung by many, heard by one; a ring that nobody waits for is not lost. No lock: it is waited for at every
/// turn of every connection.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ready when it has been rung since this was last ready.
    pub(crate) async fn heard(&self) {
        std::future::poll_fn(|cx| self.poll_heard(cx)).await;
    }

    fn poll_heard(&self, cx: &Context<'_>) -> Poll<()> {
        if self.rung.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        self.waker.register(cx.waker());
        if self.rung.swap(false, Ordering::AcqRel) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_ring_is_heard_before_and_while_somebody_waits_and_once() {
        let bell = Arc::new(Bell::default());
        bell.ring();
        bell.ring();
        bell.heard().await;
        let waits = tokio::spawn({
            let bell = Arc::clone(&bell);
            async move { bell.heard().await }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        bell.ring();
        tokio::time::timeout(Duration::from_secs(20), waits)
            .await
            .unwrap()
            .unwrap();
    }
}
