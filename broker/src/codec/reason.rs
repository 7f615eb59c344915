//! Reason codes. Source: MQTT 5.0 §2.4, and for the return codes of 3.1.1 its §3.2.2.3 and §3.9.3.

pub(crate) const SUCCESS: u8 = 0x00;
pub(crate) const NO_SUBSCRIPTION_EXISTED: u8 = 0x11;
pub(crate) const UNSPECIFIED_ERROR: u8 = 0x80;
pub(crate) const MALFORMED_PACKET: u8 = 0x81;
pub(crate) const PROTOCOL_ERROR: u8 = 0x82;
pub(crate) const IMPLEMENTATION_SPECIFIC: u8 = 0x83;
pub(crate) const UNSUPPORTED_VERSION: u8 = 0x84;
pub(crate) const CLIENT_ID_NOT_VALID: u8 = 0x85;
pub(crate) const BAD_USER_OR_PASSWORD: u8 = 0x86;
pub(crate) const NOT_AUTHORIZED: u8 = 0x87;
pub(crate) const SERVER_UNAVAILABLE: u8 = 0x88;
pub(crate) const SERVER_SHUTTING_DOWN: u8 = 0x8B;
pub(crate) const BAD_AUTHENTICATION_METHOD: u8 = 0x8C;
pub(crate) const KEEP_ALIVE_TIMEOUT: u8 = 0x8D;
pub(crate) const SESSION_TAKEN_OVER: u8 = 0x8E;
pub(crate) const TOPIC_FILTER_INVALID: u8 = 0x8F;
pub(crate) const TOPIC_NAME_INVALID: u8 = 0x90;
pub(crate) const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
pub(crate) const TOPIC_ALIAS_INVALID: u8 = 0x94;
pub(crate) const PACKET_TOO_LARGE: u8 = 0x95;
pub(crate) const PACKET_ID_NOT_FOUND: u8 = 0x92;
pub(crate) const QUOTA_EXCEEDED: u8 = 0x97;
pub(crate) const ADMINISTRATIVE_ACTION: u8 = 0x98;
pub(crate) const CONNECTION_RATE_EXCEEDED: u8 = 0x9F;

/// What a code means, as a reason string. The codes that the gate sends without words of their own.
pub(crate) const fn words(code: u8) -> &'static str {
    match code {
        UNSUPPORTED_VERSION => "only MQTT 3.1.1 and 5 are spoken here",
        CLIENT_ID_NOT_VALID => "the client identifier is not yours",
        BAD_USER_OR_PASSWORD => "unknown user name or wrong password",
        NOT_AUTHORIZED => "you may not do that here",
        SERVER_UNAVAILABLE => "not now; try again later",
        SERVER_SHUTTING_DOWN => "the gate stops",
        BAD_AUTHENTICATION_METHOD => "there is no enhanced authentication here",
        PACKET_ID_NOT_FOUND => "nothing is under way with this packet identifier",
        QUOTA_EXCEEDED => "no room for more",
        CONNECTION_RATE_EXCEEDED => "too many attempts; try again later",
        _ => "refused",
    }
}

/// SUBACK of 3.1.1: the filter is refused.
pub(crate) const V311_SUBSCRIBE_FAILURE: u8 = 0x80;

/// The CONNACK return code of 3.1.1 for a reason code, or `None` where 3.1.1 only closes.
pub(crate) const fn v311_connack(code: u8) -> Option<u8> {
    match code {
        SUCCESS => Some(0),
        UNSUPPORTED_VERSION => Some(1),
        CLIENT_ID_NOT_VALID => Some(2),
        SERVER_UNAVAILABLE | QUOTA_EXCEEDED | SERVER_SHUTTING_DOWN | CONNECTION_RATE_EXCEEDED => Some(3),
        BAD_USER_OR_PASSWORD => Some(4),
        NOT_AUTHORIZED => Some(5),
        _ => None,
    }
}
