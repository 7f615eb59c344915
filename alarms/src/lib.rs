//! The alarm engine, its rules, life cycle and notifications, and the figures of the county.

pub mod hazard;
