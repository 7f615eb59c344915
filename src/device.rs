//! `townwatch device …`: who may come in, from the command line. Works beside a running server, which sees it at once.

mod bulk;
mod token;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use store::state::State;
use store::state::access::Holder;
use telemetry::time::SystemClock;
use telemetry::{DeviceId, SiteId};

use crate::access::office::{Action, Issued, NewDevice, NewPassword, Office, OfficeError};
use crate::arguments::{AddDevice, DeviceCommand, Place, Rotate};
use crate::config;
use crate::exit::Failure;

/// `townwatch device …`.
pub(crate) fn run(command: &DeviceCommand) -> Result<ExitCode, Failure> {
    match command {
        DeviceCommand::Add(options) => add(options),
        DeviceCommand::Disable(named) => act(Holder::Device, &named.place, &named.name, &Action::Disable),
        DeviceCommand::Enable(named) => act(Holder::Device, &named.place, &named.name, &Action::Enable),
        DeviceCommand::Revoke(named) => act(Holder::Device, &named.place, &named.name, &Action::Revoke),
        DeviceCommand::Rotate(options) => rotate(Holder::Device, options),
        DeviceCommand::Remove(named) => {
            let desk = Desk::open(&named.place)?;
            let removed = desk.office.remove_device(&named.name, &desk.by);
            removed.map_err(failure)?;
            let lines = [
                format!(
                    "device {} is removed and may not come in any more; its points stay",
                    named.name
                ),
                "its pages go at the next start of the server".to_owned(),
            ];
            desk.say(&Done { removed: &named.name }, &lines)
        }
        DeviceCommand::List(place) => list(place),
        DeviceCommand::Import(options) => bulk::import(options),
        DeviceCommand::Export(options) => bulk::export(options),
        DeviceCommand::Token(command) => token::run(command),
    }
}

/// The office of one data folder, and how to answer.
pub(crate) struct Desk {
    pub office: Office,
    /// Who stands in the audit log.
    pub by: String,
    json: bool,
}

impl Desk {
    /// Opens the data folder that `place` names.
    ///
    /// # Errors
    /// [`Failure`] when configuration or data folder cannot be used.
    pub(crate) fn open(place: &Place) -> Result<Self, Failure> {
        let (folder, registry, profiles) = match (&place.config, &place.data) {
            (Some(file), _) => {
                let checked = config::read(file).map_err(|findings| Failure::refused(&findings))?;
                let folder = config::beside(file, &checked.config.data.folder);
                (folder, Some(checked.registry), checked.profiles)
            }
            (None, folder) => {
                let profiles = telemetry::profile::builtin()
                    .map_err(|error| Failure::other("a built-in profile is wrong", error))?;
                (folder.clone().unwrap_or_default(), None, profiles)
            }
        };
        let state = Arc::new(open(&folder, registry.is_some())?);
        let broken = |error| Failure::other("the data folder cannot be read", error);
        let registry = match registry {
            Some(registry) => registry,
            None => served(&state, &folder)?,
        };
        let clock = Arc::new(SystemClock::new());
        let office = Office::new(state, registry, profiles.into_keys(), clock).map_err(broken)?;
        Ok(Self {
            office,
            by: operator(),
            json: place.json,
        })
    }

    /// Answers with one JSON value, or with lines for people.
    ///
    /// # Errors
    /// [`Failure`] when standard output is closed.
    pub(crate) fn say(&self, value: &impl Serialize, lines: &[String]) -> Result<ExitCode, Failure> {
        let mut out = std::io::stdout().lock();
        let printed = |error| Failure::other("cannot write to standard output", error);
        if self.json {
            serde_json::to_writer(&mut out, value).map_err(|error| printed(error.into()))?;
            writeln!(out).map_err(printed)?;
        } else {
            for line in lines {
                writeln!(out, "{line}").map_err(printed)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Opens the state database of a data folder; makes it where a configuration says that it belongs there.
fn open(folder: &std::path::Path, make: bool) -> Result<State, Failure> {
    let shown = folder.display();
    if make {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::Data(format!("cannot make the data folder {shown}: {error}")))?;
    }
    let file = folder.join("state.db");
    if !make && !file.exists() {
        return Err(Failure::Data(format!(
            "{shown} is no data folder of townwatch: there is no state.db"
        )));
    }
    State::open(&file).map_err(|error| Failure::Data(telemetry::with_causes(&error)))
}

/// What the server of a data folder was started with last, without the devices that were added.
fn served(state: &State, folder: &std::path::Path) -> Result<telemetry::registry::Registry, Failure> {
    let broken = |error| Failure::other("the data folder cannot be read", error);
    let mut registry = state.load_registry().map_err(broken)?.ok_or_else(|| {
        Failure::Data(format!(
            "no server was ever started with {}: use --config FILE",
            folder.display()
        ))
    })?;
    let added = state.added_devices().map_err(broken)?;
    let added: std::collections::HashSet<DeviceId> = added.into_iter().map(|device| device.id).collect();
    registry.devices.retain(|device| !added.contains(&device.id));
    Ok(registry)
}

/// Who stands in the audit log: the user of the system.
fn operator() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|user| !user.is_empty());
    let user: String = user.unwrap_or_else(|| "somebody".to_owned());
    let user: String = user.chars().filter(|c| !c.is_control()).take(64).collect();
    format!("{user} (command line)")
}

/// What the office says, as the program ends: wrong input is 3, a data folder that cannot be used 5.
pub(crate) fn failure(error: OfficeError) -> Failure {
    match error {
        OfficeError::State(error) => Failure::other("nothing was changed", error),
        OfficeError::Secret(error @ crate::access::secret::SecretError::Chosen(_)) => {
            Failure::Input(error.to_string())
        }
        OfficeError::Secret(error) => Failure::other("nothing was changed", error),
        OfficeError::File(_)
        | OfficeError::DryRun
        | OfficeError::Unknown { .. }
        | OfficeError::Taken { .. }
        | OfficeError::Conflict(_)
        | OfficeError::Refused(_)
        | OfficeError::Token => Failure::Input(error.to_string()),
    }
}

#[derive(Serialize)]
pub(crate) struct Done<'a> {
    pub removed: &'a str,
}

/// What a change answers.
#[derive(Serialize)]
struct Answer<'a> {
    name: &'a str,
    kind: &'static str,
    enabled: bool,
    /// `registry`, `own` or `none`.
    password_of: &'static str,
    revision: u64,
    /// Told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    /// Until when the password before counts too.
    old_until: Option<String>,
    /// `now` or `next_start`.
    takes_effect: &'static str,
}

/// Says what was changed.
pub(crate) fn tell(desk: &Desk, what: &str, issued: &Issued) -> Result<ExitCode, Failure> {
    let row = &issued.row;
    let old_until = row.old.as_ref().map(|old| old.until.to_rfc3339());
    let mut lines = vec![format!("{} {} {what}", row.holder.name(), row.name)];
    if let Some(secret) = &issued.secret {
        lines.push(format!("password: {secret}"));
        lines.push("it is shown this once; only its hash is kept".to_owned());
    }
    if let Some(until) = &old_until {
        lines.push(format!("the old password counts until {until}"));
    }
    if issued.next_start {
        lines.push(
            "a server that is running does not know this device yet: it takes effect at the next start"
                .to_owned(),
        );
    }
    let answer = Answer {
        name: row.name.as_str(),
        kind: row.holder.name(),
        enabled: row.enabled,
        password_of: row.password.name(),
        revision: row.revision,
        password: issued.secret.as_deref(),
        old_until,
        takes_effect: if issued.next_start { "next_start" } else { "now" },
    };
    desk.say(&answer, &lines)
}

fn add(options: &AddDevice) -> Result<ExitCode, Failure> {
    let desk = Desk::open(&options.place)?;
    let wrong = |error: telemetry::IdError| Failure::Input(error.to_string());
    let device = NewDevice {
        id: DeviceId::new(&options.name).map_err(wrong)?,
        site: SiteId::new(&options.site).map_err(wrong)?,
        profile: options.profile.as_str().into(),
        gateway: (options.gateway.as_deref().map(DeviceId::new))
            .transpose()
            .map_err(wrong)?,
        name: None,
        position: None,
        password: match password(options.password_stdin)? {
            Some(chosen) => NewPassword::Chosen(chosen),
            None => NewPassword::Made,
        },
    };
    let issued = desk.office.add_device(&device, &desk.by).map_err(failure)?;
    tell(&desk, "is added", &issued)
}

/// Does one thing to a device or an account.
pub(crate) fn act(holder: Holder, place: &Place, name: &str, action: &Action) -> Result<ExitCode, Failure> {
    let desk = Desk::open(place)?;
    let issued = desk
        .office
        .change(holder, name, action, &desk.by)
        .map_err(failure)?;
    let what = match action {
        Action::Disable => "is disabled: it may not come in until it is enabled",
        Action::Enable => "may come in",
        Action::Revoke => "is revoked: no password of it counts any more",
        Action::Rotate { .. } => "has a new password",
    };
    tell(&desk, what, &issued)
}

/// Gives a device or an account a new password.
pub(crate) fn rotate(holder: Holder, options: &Rotate) -> Result<ExitCode, Failure> {
    let action = Action::Rotate {
        grace: options.grace,
        chosen: password(options.password_stdin)?,
    };
    act(holder, &options.place, &options.name, &action)
}

/// One line of standard input, when the password is to come from there.
pub(crate) fn password(from_stdin: bool) -> Result<Option<String>, Failure> {
    if !from_stdin {
        return Ok(None);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .map_err(|error| Failure::other("the password cannot be read from standard input", error))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Some(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

fn list(place: &Place) -> Result<ExitCode, Failure> {
    let desk = Desk::open(place)?;
    let devices = desk.office.devices().map_err(failure)?;
    let mut lines: Vec<String> = devices
        .iter()
        .map(|device| {
            format!(
                "{:<24} {:<20} {:<22} {:<9} {:<9} {}",
                device.id,
                device.site,
                device.profile,
                device.declared,
                if device.enabled { "enabled" } else { "disabled" },
                device.password
            )
        })
        .collect();
    lines.insert(
        0,
        format!(
            "{:<24} {:<20} {:<22} {:<9} {:<9} password",
            "device", "site", "profile", "declared", "may"
        ),
    );
    desk.say(&devices, &lines)
}

/// Where `path` is to be written: never over something that is there, and for nobody else to read.
pub(crate) fn private(path: &PathBuf) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
