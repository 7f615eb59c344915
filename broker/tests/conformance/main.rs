//! The gate against the numbered statements of MQTT 3.1.1 and MQTT 5.0 (OASIS), over real sockets.
//!
//! What a test expects is taken from the text of the standards, never from the gate, and nothing of the gate's codec
//! is used: [`packets`] writes what a client sends, byte by byte, [`answers`] reads what the gate answers and
//! stops at every bit that the standards do not allow there.
//!
//! A test names the statements it holds in the line before its attribute, `/// Holds 3.1.1: …; 5.0: …`;
//! [`agreement`] compares these lines with the tables of `docs/mqtt.md`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that meets the unexpected has to stop and say where, in its helpers too"
)]

mod answers;
mod client;
mod packets;
mod stage;

mod agreement;

mod connect;
mod disconnect;
mod flow;
mod keep_alive;
mod malformed;
mod properties;
mod publish;
mod qos;
mod retained;
mod sessions;
mod shared;
mod subscribe;
mod text;
mod topics;
mod wills;
