//! QoS 1 messages on their way to one subscriber.

use rustc_hash::FxHashSet;

use crate::limits::SEND_WINDOW;

/// Which packet identifiers are in use, and how many may be.
#[derive(Debug)]
pub(crate) struct SendWindow {
    open: FxHashSet<u16>,
    last: u16,
    max: u16,
}

impl SendWindow {
    /// At most `receive_maximum` of the client, and never more than [`SEND_WINDOW`].
    pub(crate) fn new(receive_maximum: Option<u16>) -> Self {
        Self {
            open: FxHashSet::default(),
            last: 0,
            max: receive_maximum.unwrap_or(SEND_WINDOW).clamp(1, SEND_WINDOW),
        }
    }

    /// Whether another message may go out.
    pub(crate) fn has_room(&self) -> bool {
        self.open.len() < usize::from(self.max)
    }

    /// A packet identifier that is not in use; the caller has asked [`Self::has_room`].
    pub(crate) fn take(&mut self) -> u16 {
        // Ends: at most 256 of 65,535 identifiers are in use.
        loop {
            self.last = if self.last == u16::MAX { 1 } else { self.last + 1 };
            if self.open.insert(self.last) {
                return self.last;
            }
        }
    }

    /// The client has it. An identifier that is not in use is let pass: it may be a late answer.
    pub(crate) fn acknowledged(&mut self, id: u16) {
        self.open.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_waits_for_an_acknowledgement_in_any_order() {
        let mut window = SendWindow::new(Some(2));
        assert_eq!((window.take(), window.take()), (1, 2));
        assert!(!window.has_room());
        window.acknowledged(9);
        assert!(!window.has_room());
        window.acknowledged(2);
        assert!(window.has_room());
        assert_eq!(window.take(), 3);
    }

    #[test]
    fn an_identifier_is_never_0_and_never_in_use_twice() {
        // Given one message that is never acknowledged,
        let mut window = SendWindow::new(None);
        assert_eq!(window.take(), 1);
        // when all other identifiers have been used once,
        for _ in 2..=u16::MAX {
            let id = window.take();
            window.acknowledged(id);
        }
        // then the next is 2: not 0, and not the 1 that is still open.
        assert_eq!(window.take(), 2);
    }
}
