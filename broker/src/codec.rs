//! MQTT 3.1.1 and 5 as bytes: pure, total, bounded.
//!
//! [`frame`] cuts a packet out of what has arrived or says that more is needed; [`decode`] and
//! [`connect`] turn it into a [`packet::Packet`]; [`encode`] writes what the gate answers. No input makes
//! any of them panic, and a packet above the bound is refused by its header, before it is buffered.
//!
//! Source: OASIS MQTT Version 3.1.1 and Version 5.0; section numbers below are those of 5.0.

pub(crate) mod connect;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod frame;
pub(crate) mod packet;
pub(crate) mod properties;
pub(crate) mod reason;
pub(crate) mod wire;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

/// The versions spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5, protocol level 5.
    V5,
}

/// Why bytes are not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// The reason code that says so in MQTT 5.
    pub(crate) code: u8,
    /// The same for the log.
    pub(crate) why: &'static str,
}

impl Malformed {
    /// 0x81: the bytes break the form.
    pub(crate) const fn packet(why: &'static str) -> Self {
        Self {
            code: reason::MALFORMED_PACKET,
            why,
        }
    }

    /// 0x82: the form is right, the content is not allowed.
    pub(crate) const fn protocol(why: &'static str) -> Self {
        Self {
            code: reason::PROTOCOL_ERROR,
            why,
        }
    }
}
