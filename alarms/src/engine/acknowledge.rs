//! A person says: I know.

use super::{Acknowledgement, Engine, EventKind, Tags, Transition};
use crate::lifecycle::AlarmEvent;

/// Why an acknowledgement was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The rule never raised that occurrence.
    Unknown,
    /// A newer occurrence has taken its place.
    Superseded,
    /// It is acknowledged already, or over.
    NotOwed,
}

impl Engine {
    /// A person acknowledges an occurrence, at `at`.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed then.
    pub fn acknowledge(
        &mut self,
        rule: usize,
        occurrence: u32,
        acknowledgement: Acknowledgement,
        out: &mut Vec<Transition>,
    ) -> Result<(), Refusal> {
        let state = self.states.get(rule).ok_or(Refusal::Unknown)?;
        if occurrence == 0 || occurrence > state.occurrence {
            return Err(Refusal::Unknown);
        }
        if occurrence < state.occurrence {
            return Err(Refusal::Superseded);
        }
        if !state.alarm.wants_acknowledgement() {
            return Err(Refusal::NotOwed);
        }
        let number = u32::try_from(rule).map_err(|_| Refusal::Unknown)?;
        let at = acknowledgement.at.max(self.now);
        self.step(number, AlarmEvent::Acknowledge);
        if let Some(state) = self.states.get_mut(rule) {
            state.acknowledged = Some(acknowledgement);
        }
        self.emit(number, at, EventKind::Acknowledged, Tags::NONE, false, out);
        Ok(())
    }
}
