//! The thread that sees changes of who may come in, whichever process made them, and tells the gate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use broker::{Anonymous, RegistryAuthenticator, Rules};
use store::state::access::AccessWatch;
use store::state::{State, StateError};
use telemetry::{Catalogue, Clock, Timestamp};

use super::rules;
use crate::exit::Failure;

/// From one look to the next, in real time: a revoked device is gone that much later at most.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Keeps the gate's rules as they are in the state database.
pub(crate) struct Guard {
    authenticator: Arc<RegistryAuthenticator>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Guard {
    /// Reads who may come in, and goes on looking.
    ///
    /// # Errors
    /// [`Failure::Input`] when a credential cannot be used, with its name: nobody is let in by a set of rules that is not
    /// whole at the start. Others when the database or the system fails.
    pub(crate) fn start(
        state: &Arc<State>,
        catalogue: &Arc<Catalogue>,
        clock: &Arc<dyn Clock>,
        anonymous: Anonymous,
    ) -> Result<Self, Failure> {
        let unreadable = |error: StateError| Failure::other("who may come in cannot be read", error);
        let watch = state.access_watch().map_err(unreadable)?;
        let mut look = Look {
            watch,
            state: Arc::clone(state),
            catalogue: Arc::clone(catalogue),
            clock: Arc::clone(clock),
            revision: 0,
            until: None,
            failing: false,
        };
        look.revision = look.watch.revision().map_err(unreadable)?;
        let (rules, errors) = look.read().map_err(unreadable)?;
        if !errors.is_empty() {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            return Err(Failure::Input(format!(
                "{}; give each a new password with townwatch device rotate, or mend the registry",
                lines.join("\n")
            )));
        }
        let authenticator = Arc::new(RegistryAuthenticator::with_rules(rules, anonymous));
        let stopping = Arc::new(AtomicBool::new(false));
        let (told, asked) = (Arc::clone(&authenticator), Arc::clone(&stopping));
        let thread = Builder::new()
            .name("access-guard".to_owned())
            .spawn(move || {
                while !asked.load(Ordering::Acquire) {
                    look.again(&told);
                    std::thread::park_timeout(LOOK_EVERY);
                }
            })
            .map_err(|error| Failure::other("cannot start a thread", error))?;
        Ok(Self {
            authenticator,
            stopping,
            thread: Some(thread),
        })
    }

    /// Who decides for the gate.
    pub(crate) fn authenticator(&self) -> &Arc<RegistryAuthenticator> {
        &self.authenticator
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread that watches the credentials has panicked");
            }
        }
    }
}

struct Look {
    watch: AccessWatch,
    state: Arc<State>,
    catalogue: Arc<Catalogue>,
    clock: Arc<dyn Clock>,
    /// Of what was told to the gate.
    revision: u64,
    /// When an old password ends.
    until: Option<Timestamp>,
    failing: bool,
}

impl Look {
    /// Tells the gate when something has changed or an old password has ended. When the database cannot be read, the
    /// last rules stay, loudly: a county's devices are not sent away because a disk hesitates.
    fn again(&mut self, gate: &RegistryAuthenticator) {
        match self.change() {
            Ok(changed) => {
                self.failing = false;
                if let Some((rules, errors)) = changed {
                    self.tell(gate, rules, &errors);
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    fn tell(&self, gate: &RegistryAuthenticator, rules: Rules, errors: &[broker::RuleError]) {
        for error in errors {
            tracing::error!(%error, "a credential lets nobody in");
        }
        gate.apply(rules);
        tracing::info!(revision = self.revision, "who may come in has changed");
    }

    /// Says it once for each time that it begins.
    fn fail(&mut self, error: &StateError) {
        if !std::mem::replace(&mut self.failing, true) {
            let source = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(%error, source, "changes of who may come in are not seen; trying on");
        }
    }

    fn change(&mut self) -> Result<Option<(Rules, Vec<broker::RuleError>)>, StateError> {
        let revision = self.watch.revision()?;
        let over = self.until.is_some_and(|until| until <= self.clock.now());
        if revision == self.revision && !over {
            return Ok(None);
        }
        let rules = self.read()?;
        self.revision = revision;
        Ok(Some(rules))
    }

    fn read(&mut self) -> Result<(Rules, Vec<broker::RuleError>), StateError> {
        let (rows, added) = (self.state.access_rows()?, self.state.added_devices()?);
        let told = rules::told(&self.catalogue, &rows, &added, self.clock.now());
        self.until = told.until;
        Ok(Rules::build(told.rules))
    }
}
