//! `townwatch device token …`: what new devices register themselves with.

use std::process::ExitCode;

use serde::Serialize;
use telemetry::{DeviceId, SiteId};

use super::{Desk, Done, failure};
use crate::access::office::NewToken;
use crate::arguments::TokenCommand;
use crate::exit::Failure;

#[derive(Serialize)]
struct Made<'a, T> {
    #[serde(flatten)]
    row: T,
    /// Told once.
    token: &'a str,
}

pub(super) fn run(command: &TokenCommand) -> Result<ExitCode, Failure> {
    match command {
        TokenCommand::New(options) => {
            let desk = Desk::open(&options.place)?;
            let wrong = |error: telemetry::IdError| Failure::Input(error.to_string());
            let new = NewToken {
                site: SiteId::new(&options.site).map_err(wrong)?,
                profile: options.profile.as_str().into(),
                gateway: (options.gateway.as_deref().map(DeviceId::new))
                    .transpose()
                    .map_err(wrong)?,
                uses: options.uses,
                expires: options.expires,
            };
            let (row, token) = desk.office.add_token(&new, &desk.by).map_err(failure)?;
            let lines = [
                format!("token {}: {token}", row.id),
                format!(
                    "it registers {} device(s) at {} as {}, until {}; it is shown this once",
                    row.uses_left, row.site, row.profile, row.expires_at
                ),
            ];
            desk.say(&Made { row, token: &token }, &lines)
        }
        TokenCommand::List(place) => {
            let desk = Desk::open(place)?;
            let tokens = desk.office.tokens().map_err(failure)?;
            let line = |token: &crate::access::office::Token| {
                format!(
                    "{}  site {}, profile {}, {} left, until {}, by {}",
                    token.id, token.site, token.profile, token.uses_left, token.expires_at, token.made_by
                )
            };
            let lines: Vec<String> = tokens.iter().map(line).collect();
            desk.say(&tokens, &lines)
        }
        TokenCommand::Revoke(named) => {
            let desk = Desk::open(&named.place)?;
            let removed = desk.office.remove_token(&named.name, &desk.by);
            removed.map_err(failure)?;
            let line = format!("token {} does not count any more", named.name);
            desk.say(&Done { removed: &named.name }, &[line])
        }
    }
}
