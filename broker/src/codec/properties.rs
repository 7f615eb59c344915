//! The properties of MQTT 5 (§2.2.2): one table, from which reading, checking and writing follow.

use bytes::{BufMut, Bytes, BytesMut};

use super::wire::{Reader, put_binary, put_varint, varint_len};
use super::{Malformed, reason};
use crate::limits::{PROPERTIES_BYTES_MAX, USER_PROPERTIES_MAX};

/// In which packets a property may stand.
pub(crate) const CONNECT: u16 = 1 << 0;
pub(crate) const CONNACK: u16 = 1 << 1;
pub(crate) const PUBLISH: u16 = 1 << 2;
pub(crate) const WILL: u16 = 1 << 3;
/// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK.
pub(crate) const ACK: u16 = 1 << 4;
pub(crate) const SUBSCRIBE: u16 = 1 << 5;
pub(crate) const UNSUBSCRIBE: u16 = 1 << 6;
pub(crate) const DISCONNECT: u16 = 1 << 7;
pub(crate) const AUTH: u16 = 1 << 8;

/// How a value stands on the wire.
pub(crate) trait Kind {
    type Value;
    fn read(reader: &mut Reader) -> Result<Self::Value, Malformed>;
    fn write(value: &Self::Value, out: &mut BytesMut);
}

/// A byte that is 0 or 1.
pub(crate) struct Flag;
/// Two bytes.
pub(crate) struct Two;
/// Two bytes, not 0.
pub(crate) struct SomeTwo;
/// Four bytes.
pub(crate) struct Four;
/// Four bytes, not 0.
pub(crate) struct SomeFour;
/// A topic alias: two bytes, not 0, or 0x94.
pub(crate) struct Alias;
/// A string.
pub(crate) struct Text;
/// Bytes.
pub(crate) struct Binary;

impl Kind for Flag {
    type Value = u8;
    fn read(reader: &mut Reader) -> Result<u8, Malformed> {
        match reader.u8()? {
            bit @ 0..=1 => Ok(bit),
            _ => Err(Malformed::protocol("property is neither 0 nor 1")),
        }
    }
    fn write(value: &u8, out: &mut BytesMut) {
        out.put_u8(*value);
    }
}

impl Kind for Two {
    type Value = u16;
    fn read(reader: &mut Reader) -> Result<u16, Malformed> {
        reader.u16()
    }
    fn write(value: &u16, out: &mut BytesMut) {
        out.put_u16(*value);
    }
}

impl Kind for SomeTwo {
    type Value = u16;
    fn read(reader: &mut Reader) -> Result<u16, Malformed> {
        match reader.u16()? {
            0 => Err(Malformed::protocol("property must not be 0")),
            value => Ok(value),
        }
    }
    fn write(value: &u16, out: &mut BytesMut) {
        out.put_u16(*value);
    }
}

impl Kind for Alias {
    type Value = u16;
    fn read(reader: &mut Reader) -> Result<u16, Malformed> {
        match reader.u16()? {
            0 => Err(Malformed {
                code: reason::TOPIC_ALIAS_INVALID,
                why: "topic alias 0",
            }),
            value => Ok(value),
        }
    }
    fn write(value: &u16, out: &mut BytesMut) {
        out.put_u16(*value);
    }
}

impl Kind for Four {
    type Value = u32;
    fn read(reader: &mut Reader) -> Result<u32, Malformed> {
        reader.u32()
    }
    fn write(value: &u32, out: &mut BytesMut) {
        out.put_u32(*value);
    }
}

impl Kind for SomeFour {
    type Value = u32;
    fn read(reader: &mut Reader) -> Result<u32, Malformed> {
        match reader.u32()? {
            0 => Err(Malformed::protocol("property must not be 0")),
            value => Ok(value),
        }
    }
    fn write(value: &u32, out: &mut BytesMut) {
        out.put_u32(*value);
    }
}

impl Kind for Text {
    type Value = Box<str>;
    fn read(reader: &mut Reader) -> Result<Box<str>, Malformed> {
        reader.text()
    }
    fn write(value: &Box<str>, out: &mut BytesMut) {
        put_binary(out, value.as_bytes());
    }
}

impl Kind for Binary {
    type Value = Bytes;
    fn read(reader: &mut Reader) -> Result<Bytes, Malformed> {
        // Copied: small, and it must not keep the block alive that it was read in.
        Ok(Bytes::copy_from_slice(&reader.binary()?))
    }
    fn write(value: &Bytes, out: &mut BytesMut) {
        put_binary(out, value);
    }
}

const SUBSCRIPTION_ID: u32 = 0x0B;
const USER: u32 = 0x26;

macro_rules! properties {
    ($($id:literal $name:ident: $kind:ident in $places:expr;)*) => {
        /// Everything that properties can say.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct Properties {
            $(pub(crate) $name: Option<<$kind as Kind>::Value>,)*
            /// 0x0B, in a SUBSCRIBE once, in a PUBLISH to a client any number of times.
            pub(crate) subscription_ids: Vec<u32>,
            /// 0x26, names and values in order, at most [`USER_PROPERTIES_MAX`].
            pub(crate) user: Vec<(Box<str>, Box<str>)>,
        }

        impl Properties {
            /// Reads the one property that `id` announces.
            fn read_one(&mut self, id: u32, place: u16, reader: &mut Reader) -> Result<(), Malformed> {
                match id {
                    $($id => {
                        if $places & place == 0 {
                            return Err(Malformed::packet(concat!(stringify!($name), " in the wrong packet")));
                        }
                        if self.$name.is_some() {
                            return Err(Malformed::protocol(concat!(stringify!($name), " twice")));
                        }
                        self.$name = Some($kind::read(reader)?);
                        Ok(())
                    })*
                    SUBSCRIPTION_ID => self.read_subscription_id(place, reader),
                    USER => self.read_user(reader),
                    _ => Err(Malformed::packet("unknown property")),
                }
            }

            fn write_fields(&self, out: &mut BytesMut) {
                $(if let Some(value) = &self.$name {
                    out.put_u8($id);
                    $kind::write(value, out);
                })*
            }
        }
    };
}

// Source: MQTT 5.0 §2.2.2.2, table 2-4.
properties! {
    0x01 payload_format: Flag in PUBLISH | WILL;
    0x02 message_expiry_s: Four in PUBLISH | WILL;
    0x03 content_type: Text in PUBLISH | WILL;
    0x08 response_topic: Text in PUBLISH | WILL;
    0x09 correlation_data: Binary in PUBLISH | WILL;
    0x11 session_expiry_s: Four in CONNECT | CONNACK | DISCONNECT;
    0x12 assigned_client_id: Text in CONNACK;
    0x13 server_keep_alive_s: Two in CONNACK;
    0x15 authentication_method: Text in CONNECT | CONNACK | AUTH;
    0x16 authentication_data: Binary in CONNECT | CONNACK | AUTH;
    0x17 request_problem_information: Flag in CONNECT;
    0x18 will_delay_s: Four in WILL;
    0x19 request_response_information: Flag in CONNECT;
    0x1A response_information: Text in CONNACK;
    0x1C server_reference: Text in CONNACK | DISCONNECT;
    0x1F reason_string: Text in CONNACK | ACK | DISCONNECT | AUTH;
    0x21 receive_maximum: SomeTwo in CONNECT | CONNACK;
    0x22 topic_alias_maximum: Two in CONNECT | CONNACK;
    0x23 topic_alias: Alias in PUBLISH;
    0x24 maximum_qos: Flag in CONNACK;
    0x25 retain_available: Flag in CONNACK;
    0x27 maximum_packet_size: SomeFour in CONNECT | CONNACK;
    0x28 wildcards_available: Flag in CONNACK;
    0x29 subscription_ids_available: Flag in CONNACK;
    0x2A shared_available: Flag in CONNACK;
}

impl Properties {
    /// Reads length and properties of a packet of kind `place`.
    pub(crate) fn read(reader: &mut Reader, place: u16) -> Result<Option<Box<Self>>, Malformed> {
        let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        if length == 0 {
            return Ok(None);
        }
        if length > PROPERTIES_BYTES_MAX {
            return Err(Malformed {
                code: reason::PACKET_TOO_LARGE,
                why: "properties larger than allowed",
            });
        }
        let mut inner = Reader(reader.bytes(length)?);
        let mut properties = Box::new(Self::default());
        while !inner.is_empty() {
            let id = inner.varint()?;
            properties.read_one(id, place, &mut inner)?;
        }
        if properties
            .response_topic
            .as_ref()
            .is_some_and(|topic| topic.contains(['+', '#']))
        {
            return Err(Malformed::protocol("response topic with a wildcard"));
        }
        if properties.authentication_data.is_some() && properties.authentication_method.is_none() {
            return Err(Malformed::protocol("authentication data without a method"));
        }
        Ok(Some(properties))
    }

    fn read_subscription_id(&mut self, place: u16, reader: &mut Reader) -> Result<(), Malformed> {
        // In a PUBLISH only the server may write it, and this is the server.
        if place != SUBSCRIBE {
            return Err(Malformed::protocol("subscription identifier in the wrong packet"));
        }
        let id = reader.varint()?;
        if id == 0 || !self.subscription_ids.is_empty() {
            return Err(Malformed::protocol("subscription identifier 0 or twice"));
        }
        self.subscription_ids.push(id);
        Ok(())
    }

    fn read_user(&mut self, reader: &mut Reader) -> Result<(), Malformed> {
        if self.user.len() >= USER_PROPERTIES_MAX {
            return Err(Malformed {
                code: reason::QUOTA_EXCEEDED,
                why: "too many user properties",
            });
        }
        self.user.push((reader.text()?, reader.text()?));
        Ok(())
    }

    /// Writes length and properties.
    pub(crate) fn write(properties: Option<&Self>, out: &mut BytesMut) {
        Self::write_with(properties, (None, None, &[]), out);
    }

    /// Writes length and properties, and with them what a PUBLISH says to one client only: expiry, topic alias and
    /// subscription identifiers.
    pub(crate) fn write_with(
        properties: Option<&Self>,
        own: (Option<u32>, Option<u16>, &[u32]),
        out: &mut BytesMut,
    ) {
        let (expiry_s, alias, ids) = own;
        if properties.is_none() && expiry_s.is_none() && alias.is_none() && ids.is_empty() {
            return out.put_u8(0);
        }
        let mut body = BytesMut::with_capacity(64);
        if let Some(properties) = properties {
            properties.write_fields(&mut body);
        }
        if let Some(expiry_s) = expiry_s {
            body.put_u8(0x02);
            body.put_u32(expiry_s);
        }
        if let Some(alias) = alias {
            body.put_u8(0x23);
            body.put_u16(alias);
        }
        let handed_on = properties.map_or(&[][..], |properties| &properties.subscription_ids);
        for id in handed_on.iter().chain(ids) {
            body.put_u8(0x0B);
            put_varint(&mut body, usize::try_from(*id).unwrap_or(0));
        }
        for (name, value) in properties.map_or(&[][..], |properties| &properties.user) {
            body.put_u8(0x26);
            put_binary(&mut body, name.as_bytes());
            put_binary(&mut body, value.as_bytes());
        }
        out.reserve(varint_len(body.len()) + body.len());
        put_varint(out, body.len());
        out.put_slice(&body);
    }
}
