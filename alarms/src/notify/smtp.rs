//! Sending a mail: one connection for each, to an address that was checked.

use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, Tls, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;

use super::attempt::Outcome;
use super::{email, guard};
use crate::settings::{EmailSettings, Protection, SettingsError};

/// From connecting to the answer that the mail is taken. Mail servers are slower than others: they look names up first.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The way to one mail server.
pub(super) struct Post {
    settings: EmailSettings,
    allow: Box<[Box<str>]>,
    hello: ClientId,
    tls: Tls,
}

impl Post {
    pub(super) fn new(settings: &EmailSettings, allow: &[Box<str>]) -> Result<Self, SettingsError> {
        let wrong = |why: String| SettingsError {
            field: "channel",
            why,
        };
        let domain = settings.from.rsplit_once('@').map_or("", |(_, domain)| domain);
        let domain = domain.trim_end_matches('>').to_owned();
        let tls = match settings.tls {
            Protection::None => Tls::None,
            Protection::Starttls => Tls::Required(parameters(settings).map_err(wrong)?),
            Protection::Tls => Tls::Wrapper(parameters(settings).map_err(wrong)?),
        };
        Ok(Self {
            settings: settings.clone(),
            allow: allow.into(),
            hello: ClientId::Domain(domain),
            tls,
        })
    }

    /// Sends once. Delivered: the server has said that it has it, for every recipient.
    pub(super) async fn send(&self, mail: &Message) -> Outcome {
        match tokio::time::timeout(TIMEOUT, self.deliver(mail)).await {
            Ok(Ok(())) => Outcome::Delivered,
            Ok(Err(why)) => Outcome::Failed(why),
            Err(_) => Outcome::Failed(format!(
                "the mail server did not take it within {} s",
                TIMEOUT.as_secs()
            )),
        }
    }

    async fn deliver(&self, mail: &Message) -> Result<(), String> {
        let said = |error: lettre::transport::smtp::Error| telemetry::with_causes(&error);
        let EmailSettings {
            host, user, password, ..
        } = &self.settings;
        let near = self.settings.tls == Protection::None;
        let address = guard::resolve(host, email::port(&self.settings), &self.allow, near).await?;
        let wrapper = match &self.tls {
            Tls::Wrapper(parameters) => Some(parameters.clone()),
            _ => None,
        };
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(TIMEOUT), &self.hello, wrapper, None)
                .await
                .map_err(said)?;
        if let Tls::Required(parameters) = &self.tls {
            if !connection.can_starttls() {
                return Err("the mail server has no STARTTLS".to_owned());
            }
            connection
                .starttls(parameters.clone(), &self.hello)
                .await
                .map_err(said)?;
        }
        if let (Some(user), Some(password)) = (user, password) {
            let login = Credentials::new(user.to_string(), password.reveal().to_owned());
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], &login)
                .await
                .map_err(said)?;
        }
        connection
            .send(mail.envelope(), &mail.formatted())
            .await
            .map_err(said)?;
        // It is taken; how the good-bye ends changes nothing.
        connection.quit().await.ok();
        Ok(())
    }
}

fn parameters(settings: &EmailSettings) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(settings.host.to_string());
    if let Some(file) = &settings.ca {
        let pem = std::fs::read(&**file).map_err(|error| format!("ca {file:?} cannot be read: {error}"))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| format!("ca {file:?}: {error}"))?;
        builder = builder
            .certificate_store(CertificateStore::Default)
            .add_root_certificate(certificate);
    }
    builder.build().map_err(|error| telemetry::with_causes(&error))
}
