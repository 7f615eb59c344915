//! The gate over real sockets, against clients that share no code with it.
//!
//! `support` writes and reads MQTT byte by byte from the specification, so that a mistake of the codec
//! cannot cancel out.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has to stop, in its helpers too"
)]

mod pki;
mod support;
mod websocket;

mod access;
mod acknowledge;
mod connect;
mod hostile;
mod kept;
mod last_words;
mod life;
mod limits;
mod listeners;
mod live;
mod mosquitto;
mod qos2;
mod retained;
mod sessions;
mod shared;
mod version5;
mod wills;
