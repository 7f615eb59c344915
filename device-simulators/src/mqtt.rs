//! A minimal MQTT 3.1.1 client: CONNECT, PUBLISH with QoS 1, PUBACK, PINGREQ, DISCONNECT.
//!
//! Source: OASIS MQTT Version 3.1.1, <https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/>. Written here, so that
//! the broker is not tested by its own codec.

mod link;
mod outbox;
mod packet;
mod speaker;

pub(crate) use link::{Counters, Link, Shared};
