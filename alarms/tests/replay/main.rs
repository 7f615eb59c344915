//! `townwatch replay` from outside: acceptance cases, a reference model, properties.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where its assumption fails"
)]

mod cases;
mod model;
mod properties;
