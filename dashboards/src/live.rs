//! What is known at this moment: who was heard, what was last said, how each site is.
//!
//! [`feed`] takes in every batch and stays small; [`condition`] decides the state of a site; `board` holds
//! the last decided state for pages and API; `bus` carries what changed to the browsers.

pub mod board;
pub mod bus;
pub mod condition;
pub mod feed;

pub use board::Board;
pub use bus::{Bus, Event};
pub use feed::LiveFeed;
