//! Joins the web's door for pushed readings to the gate's credentials, to the checks of `ingest` and to the journal.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use broker::{Authenticator, Identity, Intake as _, IntakeError, Permissions, Refusal};
use dashboards::push::{BadLine, BoxFuture, Door, Lines, Login, NotTaken, Speaker};
use ingest::push::lines::{self, Precision, UnknownPrecision, Wrong};
use telemetry::{DeviceId, RawMessage};

use crate::intake::JournalIntake;

/// A topic that whoever may publish anything may publish.
const ANY_TOPIC: &str = "tw/v1/any/telemetry";

/// The same credentials and the same journal as MQTT's.
pub(crate) struct PushDoor {
    /// Whom the gate asks.
    pub authenticator: Arc<dyn Authenticator>,
    /// Where the gate's messages go.
    pub intake: JournalIntake,
    /// The tag of line protocol that names the device.
    pub device_tag: String,
}

/// Somebody whom the gate would let in.
struct Known {
    name: String,
    own: Option<DeviceId>,
    /// A service account writes for the devices of its filters in their own names.
    is_account: bool,
    permissions: Permissions,
}

impl Speaker for Known {
    fn name(&self) -> &str {
        &self.name
    }

    fn own(&self) -> Option<&DeviceId> {
        self.own.as_ref()
    }

    fn sender(&self, device: &DeviceId) -> Option<DeviceId> {
        let sender = self
            .permissions
            .may_publish(&format!("tw/v1/{device}/telemetry"))?;
        Some(if self.is_account { device.clone() } else { sender })
    }
}

impl Door for PushDoor {
    fn identify<'a>(
        &'a self,
        login: Login<'a>,
    ) -> BoxFuture<'a, Result<Box<dyn Speaker>, dashboards::push::Refusal>> {
        Box::pin(async move {
            let asked = broker::Login {
                client_id: "",
                user: login.user,
                password: login.secret,
                certificate: None,
                peer: login.peer.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            };
            if login.user.is_none() && login.secret.is_some() {
                return Err(dashboards::push::Refusal::Unknown); // A secret of nobody.
            }
            let known = match self.authenticator.authenticate(asked).await {
                Ok(Identity::Device { id, permissions, .. }) => Known {
                    name: id.to_string(),
                    own: Some(id),
                    is_account: false,
                    permissions,
                },
                Ok(Identity::Account {
                    name, permissions, ..
                }) => Known {
                    name: format!("account/{name}"),
                    own: None,
                    is_account: true,
                    permissions,
                },
                // Who may only listen is asked who they are.
                Ok(Identity::Anonymous { permissions }) if permissions.may_publish(ANY_TOPIC).is_none() => {
                    return Err(dashboards::push::Refusal::Unknown);
                }
                Ok(Identity::Anonymous { permissions }) => Known {
                    name: "/anonymous".to_owned(),
                    own: None,
                    is_account: false,
                    permissions,
                },
                // Without credentials the next step is to send some, not to give up.
                Err(_) if login.user.is_none() => {
                    return Err(dashboards::push::Refusal::Unknown);
                }
                Err(Refusal::BadCredentials) => return Err(dashboards::push::Refusal::Unknown),
                Err(Refusal::NotAuthorized | Refusal::ClientIdNotValid) => {
                    return Err(dashboards::push::Refusal::Forbidden);
                }
                Err(Refusal::TooFast) => return Err(dashboards::push::Refusal::TooFast),
                Err(Refusal::Unavailable) => return Err(dashboards::push::Refusal::Unavailable),
            };
            Ok(Box::new(known) as Box<dyn Speaker>)
        })
    }

    fn readable(&self, payload: &[u8]) -> Result<(), String> {
        ingest::push::readable(payload)
    }

    fn sort(&self, body: &str, precision: &str, speaker: &dyn Speaker) -> Result<Lines, String> {
        let precision: Precision = precision
            .parse()
            .map_err(|error: UnknownPrecision| error.to_string())?;
        let may = |device: &DeviceId| speaker.sender(device).is_some();
        let sorted = lines::sort(body, precision, &self.device_tag, speaker.own(), may);
        Ok(Lines {
            payloads: sorted.payloads,
            taken: sorted.taken,
            left_out: sorted.left_out,
            first_bad: sorted.first_bad.map(|bad| BadLine {
                number: bad.number,
                forbidden: bad.wrong == Wrong::Forbidden,
                why: bad.why,
            }),
        })
    }

    fn accept(&self, messages: Vec<RawMessage>) -> BoxFuture<'static, Result<(), NotTaken>> {
        let kept = self.intake.accept(messages);
        Box::pin(async move {
            kept.await.map_err(|error| match error {
                IntakeError::Full(why) => NotTaken::Full(why),
                IntakeError::Stopped(why) => NotTaken::Stopped(why),
            })
        })
    }
}
