//! Keeps the account: what became of everything that each device sent, and what nobody could read.

use std::sync::{Arc, Mutex, PoisonError};

use store::state::dead_letters::DeadLetterBounds;
use store::state::{State, StateError};
use telemetry::time::Span;
use telemetry::{Batch, Catalogue, Clock, DeadLetter, Ledger, Lsn};

use crate::consumer::{BoxError, Consumer};

/// When the account is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// Longest time for which counts are only in memory, on the clock. Default 1 s.
    pub commit_every: Span,
    /// Bytes of dead letters after which it does not wait any longer. Default 4 MiB.
    pub pending_bytes_max: usize,
    /// How many dead letters are kept.
    pub dead_letters: DeadLetterBounds,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self {
            commit_every: Span::from_secs(1),
            pending_bytes_max: 4 << 20,
            dead_letters: DeadLetterBounds::default(),
        }
    }
}

/// The totals of every device up to the last batch, also what is not committed yet: for pages and the API.
#[derive(Debug)]
pub struct Totals {
    /// By place in the catalogue's devices.
    ledgers: Mutex<Vec<Ledger>>,
}

impl Totals {
    /// The account of the device at a place of [`Catalogue::devices`]; all zero beyond them.
    #[must_use]
    pub fn ledger(&self, device: usize) -> Ledger {
        let ledgers = self.ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        ledgers.get(device).copied().unwrap_or_default()
    }

    /// The accounts of all devices of the catalogue together.
    #[must_use]
    pub fn sum(&self) -> Ledger {
        let ledgers = self.ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = Ledger::default();
        for ledger in ledgers.iter() {
            sum.add(ledger);
        }
        sum
    }

    fn add(&self, accounts: &[(usize, Ledger)]) {
        let mut ledgers = self.ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        for (device, more) in accounts {
            if let Some(ledger) = ledgers.get_mut(*device) {
                ledger.add(more);
            }
        }
    }
}

/// The consumer that keeps the account in the state database. Counts, dead letters and its cursor are
/// written in one transaction, at most once a second.
pub struct Accountant {
    state: Arc<State>,
    catalogue: Arc<Catalogue>,
    clock: Arc<dyn Clock>,
    settings: AccountSettings,
    totals: Arc<Totals>,
    cursor: Lsn,
    /// What has been taken but is not on disk.
    upto: Lsn,
    /// By place in the catalogue's devices; all of them have an entry.
    pending: Vec<Ledger>,
    touched: Vec<usize>,
    letters: Vec<DeadLetter>,
    letter_bytes: usize,
    committed_at: Span,
}

impl std::fmt::Debug for Accountant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accountant")
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

impl Accountant {
    /// Goes on from what the state database holds.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read.
    pub fn open(
        state: Arc<State>,
        catalogue: Arc<Catalogue>,
        clock: Arc<dyn Clock>,
        settings: AccountSettings,
    ) -> Result<Self, StateError> {
        let cursor = state.account_cursor()?;
        let known = state.ledgers()?;
        let devices = catalogue.devices();
        let of = |id: &str| known.get(id).copied().unwrap_or_default();
        let ledgers: Vec<Ledger> = devices.iter().map(|entry| of(entry.device.id.as_str())).collect();
        Ok(Self {
            pending: vec![Ledger::default(); ledgers.len()],
            totals: Arc::new(Totals {
                ledgers: Mutex::new(ledgers),
            }),
            state,
            catalogue,
            committed_at: clock.monotonic(),
            clock,
            settings,
            cursor,
            upto: cursor,
            touched: Vec::new(),
            letters: Vec::new(),
            letter_bytes: 0,
        })
    }

    /// The running totals, shared with whoever shows them.
    #[must_use]
    pub fn totals(&self) -> Arc<Totals> {
        Arc::clone(&self.totals)
    }

    fn is_due(&self) -> bool {
        let age = self
            .clock
            .monotonic()
            .millis()
            .saturating_sub(self.committed_at.millis());
        age >= self.settings.commit_every.millis() || self.letter_bytes >= self.settings.pending_bytes_max
    }

    fn commit(&mut self) -> Result<(), StateError> {
        if self.upto <= self.cursor {
            return Ok(());
        }
        let account = |device: &usize| {
            let entry = self.catalogue.devices().get(*device)?;
            Some((entry.device.id.as_str(), *self.pending.get(*device)?))
        };
        let accounts: Vec<(&str, Ledger)> = self.touched.iter().filter_map(account).collect();
        self.state
            .add_account(&accounts, &self.letters, self.upto, self.settings.dead_letters)?;
        for device in self.touched.drain(..) {
            if let Some(pending) = self.pending.get_mut(device) {
                *pending = Ledger::default();
            }
        }
        self.letters.clear();
        self.letter_bytes = 0;
        self.cursor = self.upto;
        self.committed_at = self.clock.monotonic();
        Ok(())
    }
}

impl Consumer for Accountant {
    fn name(&self) -> &'static str {
        "account"
    }

    fn cursor(&self) -> Lsn {
        self.cursor
    }

    fn take(&mut self, batch: &Batch) -> Result<(), BoxError> {
        for (device, ledger) in &batch.ledger {
            if let Some(pending) = self.pending.get_mut(*device) {
                if *pending == Ledger::default() {
                    self.touched.push(*device);
                }
                pending.add(ledger);
            }
        }
        self.totals.add(&batch.ledger);
        for letter in &batch.dead_letters {
            self.letter_bytes += letter.payload.len() + letter.topic.len() + letter.reason.len();
            self.letters.push(letter.clone());
        }
        self.upto = batch.last;
        if self.is_due() {
            self.commit()?;
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<(), BoxError> {
        if self.is_due() {
            self.commit()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        Ok(self.commit()?)
    }
}

#[cfg(test)]
mod tests;
