//! How much at once, how fast, and in which order: the bounds that stand before and beside the protocol.

mod bucket;

pub(crate) mod rooms;

pub(crate) mod spare;

pub(crate) mod lanes;

pub(crate) mod pace;
