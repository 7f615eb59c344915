//! What arrived, as it arrived: the content of the journal.

use bytes::Bytes;

use crate::id::DeviceId;
use crate::time::Timestamp;

/// The number of a message in the journal. The first message has number 1; 0 means "before all".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before the first message.
    pub const ZERO: Self = Self(0);

    /// The number of the message after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Through which door a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An MQTT publish; `topic` is the MQTT topic.
    Mqtt,
    /// One poll of a Modbus unit; `topic` is empty and the payload is `ingest::modbus`'s own form.
    Modbus,
    /// The server's own readings about itself; topic and payload as in an MQTT publish of its device.
    Server,
    /// One packet of an HJ 212 data logger; `topic` is empty and the payload is the data segment, without
    /// its password.
    Hj212,
    /// Pushed over HTTP; topic and payload as over MQTT.
    Http,
    /// Pushed over HTTP as InfluxDB line protocol; the topic names the device, the payload is the lines of
    /// this device behind a line that says the precision of their times.
    LineProtocol,
    /// From an external MQTT broker; topic and payload as they came from there.
    External,
}

impl Origin {
    /// The stored form.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Mqtt => 0,
            Self::Modbus => 1,
            Self::Server => 2,
            Self::Hj212 => 3,
            Self::Http => 4,
            Self::LineProtocol => 5,
            Self::External => 6,
        }
    }

    /// The origin behind a stored code.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Mqtt),
            1 => Some(Self::Modbus),
            2 => Some(Self::Server),
            3 => Some(Self::Hj212),
            4 => Some(Self::Http),
            5 => Some(Self::LineProtocol),
            6 => Some(Self::External),
            _ => None,
        }
    }

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Modbus => "modbus",
            Self::Server => "server",
            Self::Hj212 => "hj212",
            Self::Http => "http",
            Self::LineProtocol => "line_protocol",
            Self::External => "external",
        }
    }
}

/// A message before anybody has looked into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    /// When it reached us, by our clock.
    pub arrived: Timestamp,
    /// Through which door.
    pub origin: Origin,
    /// Who sent it: the authenticated MQTT client or the polled unit. The device that a gateway speaks
    /// for stands in the topic.
    pub sender: DeviceId,
    /// MQTT topic, empty for Modbus and HJ 212. At most [`crate::limits::TOPIC_BYTES_MAX`].
    pub topic: Box<str>,
    /// At most [`crate::limits::PAYLOAD_BYTES_MAX`].
    pub payload: Bytes,
}

impl RawMessage {
    /// Bytes that count against the bounds of queues and of the journal.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.payload.len() + self.topic.len() + self.sender.as_str().len() + 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_code_leads_back_to_its_origin_and_an_unknown_one_to_none() {
        for code in 0..=6 {
            assert_eq!(Origin::from_code(code).map(Origin::code), Some(code));
        }
        assert_eq!(Origin::from_code(7), None);
    }
}
