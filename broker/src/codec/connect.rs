//! The CONNECT packet (§3.1): the only one that is read from somebody unknown.

use bytes::Bytes;

use super::frame::Frame;
use super::packet::{Connect, QoS, Will};
use super::properties::{self, Properties};
use super::wire::Reader;
use super::{Malformed, Version};

/// Why the first packet does not open a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectFault {
    /// Another packet, or another protocol: there is no answer that its sender would understand.
    NotConnect,
    /// MQTT, but not a version spoken here: its protocol level.
    Level(u8),
    /// Broken.
    Malformed(Version, Malformed),
}

const USER: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL: u8 = 0x04;
const CLEAN: u8 = 0x02;

/// Reads a CONNECT.
pub(crate) fn decode(frame: Frame) -> Result<Connect, ConnectFault> {
    if frame.first != 0x10 {
        return Err(ConnectFault::NotConnect);
    }
    let mut reader = Reader(frame.body);
    let name = reader.text().map_err(|_| ConnectFault::NotConnect)?;
    let level = reader.u8().map_err(|_| ConnectFault::NotConnect)?;
    let version = match (&*name, level) {
        ("MQTT", 4) => Version::V311,
        ("MQTT", 5) => Version::V5,
        // 3.1 called itself otherwise; bridges of mosquitto set the highest bit.
        ("MQTT" | "MQIsdp", level) => return Err(ConnectFault::Level(level)),
        _ => return Err(ConnectFault::NotConnect),
    };
    rest(version, &mut reader).map_err(|malformed| ConnectFault::Malformed(version, malformed))
}

fn rest(version: Version, reader: &mut Reader) -> Result<Connect, Malformed> {
    let flags = reader.u8()?;
    check_flags(version, flags)?;
    let keep_alive = reader.u16()?;
    let properties = match version {
        Version::V311 => None,
        Version::V5 => Properties::read(reader, properties::CONNECT)?,
    };
    let client_id = reader.text()?;
    let will = if flags & WILL == 0 {
        None
    } else {
        Some(will(version, flags, reader)?)
    };
    let user = if flags & USER == 0 {
        None
    } else {
        Some(reader.text()?)
    };
    let password = if flags & PASSWORD == 0 {
        None
    } else {
        Some(reader.binary()?)
    };
    reader.end()?;
    Ok(Connect {
        version,
        clean: flags & CLEAN != 0,
        keep_alive,
        client_id,
        will,
        user,
        password,
        properties,
    })
}

fn check_flags(version: Version, flags: u8) -> Result<(), Malformed> {
    if flags & 1 != 0 {
        return Err(Malformed::packet("reserved flag of CONNECT is set"));
    }
    if flags & WILL == 0 && flags & 0x38 != 0 {
        return Err(Malformed::packet("flags of a will without a will"));
    }
    if version == Version::V311 && flags & PASSWORD != 0 && flags & USER == 0 {
        return Err(Malformed::packet("password without a user name"));
    }
    Ok(())
}

fn will(version: Version, flags: u8, reader: &mut Reader) -> Result<Will, Malformed> {
    let qos = QoS::from_bits((flags >> 3) & 3).ok_or(Malformed::packet("will with QoS 3"))?;
    let properties = match version {
        Version::V311 => None,
        Version::V5 => Properties::read(reader, properties::WILL)?,
    };
    let topic = reader.text()?;
    let payload = Bytes::copy_from_slice(&reader.binary()?);
    Ok(Will {
        topic,
        payload,
        qos,
        retain: flags & WILL_RETAIN != 0,
        properties,
    })
}
