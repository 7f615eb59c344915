//! What a CONNECT leads to: pure.

use crate::acl::Permissions;
use crate::auth::{Identity, Refusal};
use crate::codec::packet::{Connect, QoS, Will};
use crate::codec::properties::Properties;
use crate::codec::{Version, reason};
use crate::limits::RECEIVE_MAXIMUM;
use crate::protocol::Session;
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
    match &connect.will {
        Some(will) if will.qos == QoS::Two => Err(reason::QOS_NOT_SUPPORTED),
        Some(will) if will.retain && connect.version == Version::V5 => Err(reason::RETAIN_NOT_SUPPORTED),
        Some(_) | None => Ok(()),
    }
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
        Some(will) if Session::will_sender(permissions, &will.topic).is_none() => {
            tracing::debug!(topic = %will.topic, prefix = PREFIX, "will on a topic that is not the client's");
            Err(reason::NOT_AUTHORIZED)
        }
        Some(_) | None => Ok(()),
    }
}

/// What an MQTT 5 client is told with its CONNACK.
pub(crate) fn welcome(connect: &Connect, assigned: Option<Box<str>>, packet_bytes_max: usize) -> Properties {
    let asked_to_stay = connect
        .properties
        .as_ref()
        .and_then(|properties| properties.session_expiry_s);
    Properties {
        // Sessions end with their connection: said where the client asked for more.
        session_expiry_s: asked_to_stay.filter(|&seconds| seconds > 0).map(|_| 0),
        assigned_client_id: assigned,
        receive_maximum: Some(RECEIVE_MAXIMUM),
        maximum_qos: Some(1),
        retain_available: Some(0),
        maximum_packet_size: u32::try_from(packet_bytes_max).ok(),
        subscription_ids_available: Some(0),
        shared_available: Some(0),
        ..Properties::default()
    }
}
