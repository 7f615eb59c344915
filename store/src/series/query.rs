//! What is computed from points, for every engine: pure sinks, and the calls that feed them.
//!
//! All of them look at a [`Grid`](crate::series::Grid) of windows and give one entry for each of its windows, in order. A value *holds*
//! from its sample until the next one of any quality, at most for as long as the caller lets it: beyond, and after a
//! bad sample, nobody knows.

mod curve;
mod hold;
mod increase;
mod mean;
mod states;

pub use curve::{Curve, curve};
pub use increase::{Counter, Increase, Increases, LastUsable, OnReset, increases};
pub use mean::{Means, TimeWeighted, time_weighted_means};
pub use states::{STATES_MAX, Stay, Stays, state_durations};

#[cfg(test)]
mod tests;
