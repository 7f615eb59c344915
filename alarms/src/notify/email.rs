//! A notice as a mail. Pure; `smtp.rs` sends it.

use std::time::{Duration, SystemTime};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};

use super::digest::{Parcel, hash};
use super::render::{Letter, one_line};
use crate::settings::{EmailSettings, Language, Protection};

/// Most bytes of text in a mail.
pub(super) const BYTES_MAX: usize = 32 * 1024;

/// Whether a text is a mail address, with or without a name before it.
///
/// # Errors
/// A sentence for a person when it is none.
pub fn address(text: &str) -> Result<(), String> {
    text.parse::<Mailbox>()
        .map(drop)
        .map_err(|error| format!("{text:?} is no mail address: {error}"))
}

/// The port of the mail server.
#[must_use]
pub fn port(settings: &EmailSettings) -> u16 {
    settings.port.unwrap_or(match settings.tls {
        Protection::Starttls => 587,
        Protection::Tls => 465,
        Protection::None => 25,
    })
}

/// The mail for a message.
///
/// Its `Message-ID` is made of the key alone, so a mail that is sent again is the same mail: most servers and readers show it
/// once. Its date is that of the newest notice in it.
pub(super) fn compose(
    settings: &EmailSettings,
    parcel: &Parcel,
    letter: &Letter,
    language: Language,
) -> Result<Message, String> {
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|error| format!("{text:?} is no mail address: {error}"))
    };
    let from = mailbox(&settings.from)?;
    let made_at = parcel.members.iter().map(|notice| notice.made_at).max();
    let made_ms = made_at
        .and_then(|at| u64::try_from(at.millis()).ok())
        .unwrap_or(0);
    let id = format!("<{}@{}>", hash(&parcel.key), from.email.domain());
    let mut builder = Message::builder()
        .from(from)
        .message_id(Some(id))
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(made_ms))
        .subject(one_line(&letter.subject))
        .header(ContentType::TEXT_PLAIN);
    for to in &settings.to {
        builder = builder.to(mailbox(to)?);
    }
    builder
        .body(letter.text(language))
        .map_err(|error| error.to_string())
}
