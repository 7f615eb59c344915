//! The figures of the health of the alarm system 报警系统绩效, by ISA-18.2 and EEMUA 191: rate, floods, chattering, fleeting and
//! stale alarms, the ten rules that call most, the mix of priorities, what was set aside without permission.
//!
//! What counts is decided in [`crate::health`], for `replay` as for these; here it is read from the log, put against the
//! bounds of the policy, and told with its evidence. Start with [`scene`].

mod aside;
mod flood;
mod lasting;
mod mix;
mod parts;
mod policy;
mod rate;
mod rules;
mod scene;
mod verdict;

pub(super) use aside::unauthorised_suppression;
pub(super) use flood::flood;
pub(super) use lasting::{fleeting, stale};
pub(super) use mix::priority_mix;
pub use policy::HealthPolicy;
pub(super) use rate::rate;
pub(super) use rules::{chattering, top_ten};
pub(super) use verdict::withhold;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
