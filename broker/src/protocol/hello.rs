//! What a CONNECT leads to: pure.

use crate::acl::Permissions;
use crate::auth::{Identity, Refusal};
use crate::codec::packet::{Connect, Will};
use crate::codec::properties::Properties;
use crate::codec::{Version, reason};
use crate::limits::{KEEP_ALIVE_MAX_S, RECEIVE_MAXIMUM, SESSION_EXPIRY_MAX_S, TOPIC_ALIASES_MAX};
use crate::protocol::Conversation;
use crate::topic::PREFIX;

/// A reason to refuse a CONNECT before anybody is asked who it is.
///
/// # Errors
/// The reason code.
pub(crate) fn check(connect: &Connect) -> Result<(), u8> {
    if let Some(properties) = &connect.properties
        && properties.authentication_method.is_some()
    {
        return Err(reason::BAD_AUTHENTICATION_METHOD);
    }
    if connect.client_id.is_empty() && connect.version == Version::V311 && !connect.clean {
        return Err(reason::CLIENT_ID_NOT_VALID);
    }
    Ok(())
}

/// How long the session of a client outlives its connection, in seconds. Sessions of 3.1.1 clients that are not
/// clean live as long as any may. Source: MQTT 5.0 §3.1.2.11.2.
pub(crate) fn session_expiry_s(connect: &Connect) -> u32 {
    match connect.version {
        Version::V311 if connect.clean => 0,
        Version::V311 => SESSION_EXPIRY_MAX_S,
        Version::V5 => asked_expiry_s(connect).unwrap_or(0).min(SESSION_EXPIRY_MAX_S),
    }
}

fn asked_expiry_s(connect: &Connect) -> Option<u32> {
    (connect.properties.as_ref()).and_then(|properties| properties.session_expiry_s)
}

/// After how many seconds of silence a client is taken for gone, by one and a half; `None` never. An MQTT 5 client
/// can be told to say something more often than it wanted. Source: MQTT 5.0 §3.2.2.3.14.
pub(crate) fn keep_alive_s(connect: &Connect) -> Option<u16> {
    match (connect.version, connect.keep_alive) {
        (Version::V5, 0) => Some(KEEP_ALIVE_MAX_S),
        (Version::V5, asked) => Some(asked.min(KEEP_ALIVE_MAX_S)),
        (Version::V311, 0) => None,
        (Version::V311, asked) => Some(asked),
    }
}

/// Whether a client wants to be told in words why something is refused. Source: MQTT 5.0 §3.1.2.11.7.
pub(crate) fn wants_reasons(connect: &Connect) -> bool {
    (connect.properties.as_ref()).is_none_or(|properties| properties.request_problem_information != Some(0))
}

/// The reason code of a refusal.
pub(crate) const fn code(refusal: Refusal) -> u8 {
    match refusal {
        Refusal::BadCredentials => reason::BAD_USER_OR_PASSWORD,
        Refusal::NotAuthorized => reason::NOT_AUTHORIZED,
        Refusal::ClientIdNotValid => reason::CLIENT_ID_NOT_VALID,
        Refusal::Unavailable => reason::SERVER_UNAVAILABLE,
        Refusal::TooFast => reason::CONNECTION_RATE_EXCEEDED,
    }
}

/// Under which name a client is known, so that a second connection of it ends the first. Anonymous
/// clients have names of their own kind: none of them can end a device's connection.
pub(crate) struct Name {
    /// For the list of who is connected.
    pub(crate) key: Box<str>,
    /// What it is called from now on, when it gave no name itself.
    pub(crate) assigned: Option<Box<str>>,
}

/// The name of a client; `number` is one that no other connection has.
pub(crate) fn name(identity: &Identity, client_id: &str, number: u64) -> Name {
    let assigned: Option<Box<str>> = client_id.is_empty().then(|| match identity {
        Identity::Device { id, .. } => id.as_str().into(),
        Identity::Account { name, .. } => format!("{name}-{number}").into(),
        Identity::Anonymous { .. } => format!("anonymous-{number}").into(),
    });
    let key = identity.key(assigned.as_deref().unwrap_or(client_id));
    Name { key, assigned }
}

/// Whether the will may be left here.
///
/// # Errors
/// The reason code.
pub(crate) fn check_will(permissions: &Permissions, will: Option<&Will>) -> Result<(), u8> {
    match will {
        Some(will) if Conversation::will_sender(permissions, &will.topic).is_none() => {
            tracing::debug!(topic = %will.topic, prefix = PREFIX, "will on a topic that is not the client's");
            Err(reason::NOT_AUTHORIZED)
        }
        Some(_) | None => Ok(()),
    }
}

/// What an MQTT 5 client is told with its CONNACK. What is not said has its best value: QoS 2, retained messages,
/// wildcards, subscription identifiers and shared subscriptions are all there.
pub(crate) fn welcome(
    connect: &Connect,
    assigned: Option<Box<str>>,
    packet_bytes_max: usize,
    identity: &Identity,
) -> Properties {
    let expiry_s = session_expiry_s(connect);
    let keep_alive_s = keep_alive_s(connect);
    let wants_response = (connect.properties.as_ref())
        .is_some_and(|properties| properties.request_response_information == Some(1));
    Properties {
        session_expiry_s: (asked_expiry_s(connect).unwrap_or(0) != expiry_s).then_some(expiry_s),
        assigned_client_id: assigned,
        server_keep_alive_s: keep_alive_s.filter(|&told| told != connect.keep_alive),
        receive_maximum: Some(RECEIVE_MAXIMUM),
        maximum_packet_size: u32::try_from(packet_bytes_max).ok(),
        topic_alias_maximum: Some(TOPIC_ALIASES_MAX),
        response_information: response_information(identity).filter(|_| wants_response),
        ..Properties::default()
    }
}

/// Below which topic a device may ask to be answered. Source: MQTT 5.0 §3.2.2.3.15.
fn response_information(identity: &Identity) -> Option<Box<str>> {
    match identity {
        Identity::Device { id, .. } => Some(format!("{PREFIX}{id}/").into()),
        Identity::Account { .. } | Identity::Anonymous { .. } => None,
    }
}
