//! The end of a connection that its client may have said goodbye on: what has arrived is looked at first.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use super::Client;
use crate::limits::{LAST_WORDS_BYTES_MAX, LAST_WORDS_TIMEOUT};
use crate::protocol::Close;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    /// Carries out what has arrived, and closes as the client wanted, or else with `close`.
    pub(super) async fn hear_out_and(&mut self, close: Close) {
        let until = Instant::now() + LAST_WORDS_TIMEOUT;
        let mut bytes = 0;
        while self.close.is_none() && Instant::now() < until {
            if self.is_behind() {
                self.catch_up(until).await;
                continue;
            }
            self.decode_all().await;
            if self.is_behind() || self.close.is_some() {
                continue;
            }
            let came = self.io.read_now().await;
            bytes += came;
            if came == 0 || bytes > LAST_WORDS_BYTES_MAX {
                break;
            }
        }
        self.close.get_or_insert(close);
    }

    /// Waits until the next step of what keeps the client from being heard.
    async fn catch_up(&mut self, until: Instant) {
        let held = self.pace.held_until().map_or(until, |held| held.min(until));
        tokio::select! {
            (result, receipt) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                self.on_taken(result, receipt);
            }
            (result, words) = self.settling.next(), if !self.settling.is_empty() => {
                self.on_kept(result, words);
            }
            Ok(()) = self.changes.changed() => self.review(),
            () = sleep_until(held) => {}
        }
    }
}
