//! `townwatch account …`: service accounts, which listen to what is listed and speak where it is listed.

use std::process::ExitCode;

use store::state::access::Holder;

use crate::access::office::{Account, Action};
use crate::arguments::{AccountCommand, AddAccount};
use crate::device::{Desk, Done, act, failure, password, rotate, tell};
use crate::exit::Failure;

/// `townwatch account …`.
pub(crate) fn run(command: &AccountCommand) -> Result<ExitCode, Failure> {
    let act =
        |named: &crate::arguments::Named, action| act(Holder::Account, &named.place, &named.name, &action);
    match command {
        AccountCommand::Add(options) => add(options),
        AccountCommand::Disable(named) => act(named, Action::Disable),
        AccountCommand::Enable(named) => act(named, Action::Enable),
        AccountCommand::Revoke(named) => act(named, Action::Revoke),
        AccountCommand::Rotate(options) => rotate(Holder::Account, options),
        AccountCommand::Remove(named) => {
            let desk = Desk::open(&named.place)?;
            let removed = desk.office.remove_account(&named.name, &desk.by);
            removed.map_err(failure)?;
            let line = format!("account {} is removed", named.name);
            desk.say(&Done { removed: &named.name }, &[line])
        }
        AccountCommand::List(place) => {
            let desk = Desk::open(place)?;
            let accounts = desk.office.accounts().map_err(failure)?;
            let line = |account: &Account| {
                format!(
                    "{:<24} {:<9} hears [{}], publishes [{}]",
                    account.name,
                    if account.enabled { "enabled" } else { "disabled" },
                    account.subscribe.join(", "),
                    account.publish.join(", ")
                )
            };
            let lines: Vec<String> = accounts.iter().map(line).collect();
            desk.say(&accounts, &lines)
        }
    }
}

fn add(options: &AddAccount) -> Result<ExitCode, Failure> {
    let chosen = password(options.password_stdin)?;
    let desk = Desk::open(&options.place)?;
    let owned = |filters: &[String]| filters.iter().map(|filter| filter.as_str().into()).collect();
    let issued = desk.office.add_account(
        &options.name,
        owned(&options.publish),
        owned(&options.subscribe),
        chosen.as_deref(),
        &desk.by,
    );
    tell(&desk, "is added", &issued.map_err(failure)?)
}
