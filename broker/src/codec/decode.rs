//! Every packet that a client may send after its CONNECT.

use bytes::Bytes;

use super::frame::Frame;
use super::packet::{Filter, Packet, Publish, QoS, RetainHandling, Subscribe, Unsubscribe};
use super::properties::{self, Properties};
use super::wire::Reader;
use super::{Malformed, Version, reason};
use crate::limits::{COPY_BYTES_MAX, FILTERS_PER_PACKET_MAX};

const TOO_MANY_FILTERS: Malformed = Malformed {
    code: reason::QUOTA_EXCEEDED,
    why: "too many filters in one packet",
};

/// The codes of PUBACK and PUBREC. Source: MQTT 5.0 §3.4.2.1, §3.5.2.1.
const PUBLISH_CODES: [u8; 9] = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
/// The codes of PUBREL and PUBCOMP. Source: MQTT 5.0 §3.6.2.1, §3.7.2.1.
const RELEASE_CODES: [u8; 2] = [0x00, 0x92];

/// Reads one packet.
pub(crate) fn decode(version: Version, frame: Frame) -> Result<Packet, Malformed> {
    let flags = frame.first & 0x0F;
    let mut reader = Reader(frame.body);
    let packet = match frame.first >> 4 {
        1 => return Err(Malformed::protocol("a second CONNECT")),
        3 => return publish(version, flags, reader).map(Packet::Publish),
        4 => {
            let (id, code) = ack(version, flags, 0, &PUBLISH_CODES, &mut reader)?;
            Packet::PubAck { id, code }
        }
        5 => {
            let (id, code) = ack(version, flags, 0, &PUBLISH_CODES, &mut reader)?;
            Packet::PubRec { id, code }
        }
        6 => {
            let (id, code) = ack(version, flags, 2, &RELEASE_CODES, &mut reader)?;
            Packet::PubRel { id, code }
        }
        7 => {
            let (id, code) = ack(version, flags, 0, &RELEASE_CODES, &mut reader)?;
            Packet::PubComp { id, code }
        }
        8 => Packet::Subscribe(subscribe(version, flags, &mut reader)?),
        10 => Packet::Unsubscribe(unsubscribe(version, flags, &mut reader)?),
        12 => {
            expect_flags(flags, 0)?;
            Packet::PingReq
        }
        14 => disconnect(version, flags, &mut reader)?,
        15 if version == Version::V5 => {
            expect_flags(flags, 0)?;
            return Ok(Packet::Auth);
        }
        _ => return Err(Malformed::protocol("a packet that only servers send")),
    };
    reader.end()?;
    Ok(packet)
}

fn expect_flags(flags: u8, wanted: u8) -> Result<(), Malformed> {
    if flags == wanted {
        Ok(())
    } else {
        Err(Malformed::packet("reserved flags are wrong"))
    }
}

fn publish(version: Version, flags: u8, mut reader: Reader) -> Result<Publish, Malformed> {
    let qos = QoS::from_bits((flags >> 1) & 3).ok_or(Malformed::packet("publish with QoS 3"))?;
    let dup = flags & 8 != 0;
    if dup && qos == QoS::Zero {
        return Err(Malformed::packet("duplicate flag with QoS 0"));
    }
    let topic = reader.text()?;
    let id = if qos == QoS::Zero { 0 } else { reader.packet_id()? };
    let properties = match version {
        Version::V311 => None,
        Version::V5 => Properties::read(&mut reader, properties::PUBLISH)?,
    };
    let payload = match reader.0 {
        small if small.len() <= COPY_BYTES_MAX => Bytes::copy_from_slice(&small),
        large => large,
    };
    Ok(Publish {
        dup,
        qos,
        retain: flags & 1 != 0,
        topic,
        id,
        properties,
        payload,
    })
}

/// PUBACK, PUBREC, PUBREL and PUBCOMP have one form. In 5 code and properties may be left out.
fn ack(
    version: Version,
    flags: u8,
    wanted: u8,
    codes: &[u8],
    reader: &mut Reader,
) -> Result<(u16, u8), Malformed> {
    expect_flags(flags, wanted)?;
    let id = reader.packet_id()?;
    let code = if version == Version::V5 && !reader.is_empty() {
        reader.u8()?
    } else {
        reason::SUCCESS
    };
    if !codes.contains(&code) {
        return Err(Malformed::protocol(
            "acknowledgement with a code that does not exist",
        ));
    }
    if version == Version::V5 && !reader.is_empty() {
        Properties::read(reader, properties::ACK)?;
    }
    Ok((id, code))
}

fn subscribe(version: Version, flags: u8, reader: &mut Reader) -> Result<Subscribe, Malformed> {
    expect_flags(flags, 2)?;
    let id = reader.packet_id()?;
    let properties = match version {
        Version::V311 => None,
        Version::V5 => Properties::read(reader, properties::SUBSCRIBE)?,
    };
    let mut filters = Vec::new();
    while !reader.is_empty() {
        if filters.len() >= FILTERS_PER_PACKET_MAX {
            return Err(TOO_MANY_FILTERS);
        }
        let path = reader.text()?;
        filters.push(filter(version, path, reader.u8()?)?);
    }
    if filters.is_empty() {
        return Err(Malformed::protocol("SUBSCRIBE without a filter"));
    }
    Ok(Subscribe {
        id,
        filters,
        properties,
    })
}

fn filter(version: Version, path: Box<str>, options: u8) -> Result<Filter, Malformed> {
    let reserved = match version {
        Version::V311 => 0xFC,
        Version::V5 => 0xC0,
    };
    if options & reserved != 0 {
        return Err(Malformed::packet("reserved bits of a subscription are set"));
    }
    let qos = QoS::from_bits(options & 3).ok_or(Malformed::packet("subscription with QoS 3"))?;
    let handling = match options >> 4 & 3 {
        0 => RetainHandling::Always,
        1 => RetainHandling::New,
        2 => RetainHandling::Never,
        _ => return Err(Malformed::protocol("retain handling 3")),
    };
    let no_local = options & 4 != 0;
    if no_local && path.starts_with("$share/") {
        return Err(Malformed::protocol("no local with a shared subscription"));
    }
    Ok(Filter {
        path,
        qos,
        no_local,
        as_published: options & 8 != 0,
        handling,
    })
}

fn unsubscribe(version: Version, flags: u8, reader: &mut Reader) -> Result<Unsubscribe, Malformed> {
    expect_flags(flags, 2)?;
    let id = reader.packet_id()?;
    if version == Version::V5 {
        Properties::read(reader, properties::UNSUBSCRIBE)?;
    }
    let mut filters = Vec::new();
    while !reader.is_empty() {
        if filters.len() >= FILTERS_PER_PACKET_MAX {
            return Err(TOO_MANY_FILTERS);
        }
        filters.push(reader.text()?);
    }
    if filters.is_empty() {
        return Err(Malformed::protocol("UNSUBSCRIBE without a filter"));
    }
    Ok(Unsubscribe { id, filters })
}

fn disconnect(version: Version, flags: u8, reader: &mut Reader) -> Result<Packet, Malformed> {
    expect_flags(flags, 0)?;
    if version == Version::V311 || reader.is_empty() {
        return Ok(Packet::Disconnect {
            code: reason::SUCCESS,
            session_expiry_s: None,
        });
    }
    let code = reader.u8()?;
    let properties = if reader.is_empty() {
        None
    } else {
        Properties::read(reader, properties::DISCONNECT)?
    };
    Ok(Packet::Disconnect {
        code,
        session_expiry_s: properties.and_then(|properties| properties.session_expiry_s),
    })
}
