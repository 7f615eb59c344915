//! The newest committed messages, kept in memory so that a reader that keeps up never reads the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use telemetry::{Lsn, RawMessage};

/// The messages of one append, in a row.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) first: Lsn,
    pub(super) messages: Vec<RawMessage>,
    pub(super) size_bytes: usize,
}

impl Chunk {
    /// The number of the last message.
    pub(super) fn last(&self) -> Lsn {
        Lsn(self.first.0 + self.messages.len() as u64 - 1)
    }
}

/// Contiguous chunks up to the newest message; the oldest leave when there are too many bytes.
#[derive(Debug)]
pub(super) struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
    bytes_max: usize,
}

impl Ring {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            bytes: 0,
            bytes_max,
        }
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.size_bytes;
        self.chunks.push_back(Arc::new(chunk));
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.chunks.pop_front() else {
                return;
            };
            self.bytes -= oldest.size_bytes;
        }
    }

    /// The chunks that hold the messages after `after`, up to about `messages_max` of them; none when
    /// the first of those has already left.
    pub(super) fn after(&self, after: Lsn, messages_max: usize) -> Option<Vec<Arc<Chunk>>> {
        let wanted = after.next();
        if self.chunks.front()?.first > wanted {
            return None;
        }
        let start = self.chunks.partition_point(|chunk| chunk.last() < wanted);
        let mut found = 0;
        let mut taken = Vec::new();
        for chunk in self.chunks.range(start..) {
            if found >= messages_max {
                break;
            }
            let skipped = wanted.0.saturating_sub(chunk.first.0);
            found += chunk
                .messages
                .len()
                .saturating_sub(usize::try_from(skipped).unwrap_or(usize::MAX));
            taken.push(Arc::clone(chunk));
        }
        Some(taken)
    }
}
