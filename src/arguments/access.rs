//! The arguments of `device` and `account`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use telemetry::time::Span;

/// Which data folder is meant, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The configuration that `serve` is started with.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "data",
        conflicts_with = "data"
    )]
    pub config: Option<PathBuf>,
    /// A data folder that a server was started with before, e.g. the demo's.
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Print one JSON value.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Add a device to those of the registry file; prints its password once.
    Add(AddDevice),
    /// Do not let a device in until it is enabled; it is disconnected at once, its password stays.
    Disable(Named),
    /// Let a device in again.
    Enable(Named),
    /// Give a device a new password, printed once; the old one ends at once, or after `--grace`.
    Rotate(Rotate),
    /// Let no password of a device count any more, not the registry file's either; it is disconnected at once.
    Revoke(Named),
    /// Remove a device that was added with `add`, `import` or a token. Its points stay.
    Remove(Named),
    /// List all devices and what they come in with.
    List(Place),
    /// Add many devices from a CSV file: all of them or none.
    Import(ImportDevices),
    /// Write all devices as CSV, without secrets.
    Export(ExportDevices),
    /// Tokens with which new devices register themselves over HTTP.
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Add a service account: hears what is listed, publishes nothing unless it is listed; prints its password once.
    Add(AddAccount),
    /// Do not let an account in until it is enabled; its connections end at once.
    Disable(Named),
    /// Let an account in again.
    Enable(Named),
    /// Give an account a new password, printed once; the old one ends at once, or after `--grace`.
    Rotate(Rotate),
    /// Let no password of an account count any more; its connections end at once.
    Revoke(Named),
    /// Remove an account.
    Remove(Named),
    /// List all accounts and what they may hear and publish.
    List(Place),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is printed once.
    New(NewToken),
    /// List the tokens that are left; not the tokens themselves.
    List(Place),
    /// Take a token back, by its short name.
    Revoke(Named),
}

/// One device, account or token.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Which one.
    #[arg(value_name = "NAME")]
    pub name: String,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct AddDevice {
    /// Its id: 1 to 64 of A–Z a–z 0–9 . _ -; user name, client id and part of its topics.
    #[arg(value_name = "ID")]
    pub name: String,
    /// Where it stands: a site of the registry file.
    #[arg(long)]
    pub site: String,
    /// What it is: a profile.
    #[arg(long)]
    pub profile: String,
    /// The device that may speak for it.
    #[arg(long)]
    pub gateway: Option<String>,
    /// Read its password from the first line of standard input instead of making one.
    #[arg(long)]
    pub password_stdin: bool,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// Which one.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How long the old password counts beside the new one, at most 30d.
    #[arg(long, default_value = "0s", value_name = "SPAN")]
    pub grace: Span,
    /// Read the new password from the first line of standard input instead of making one.
    #[arg(long)]
    pub password_stdin: bool,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct ImportDevices {
    /// CSV with the columns id, site, profile, and if wanted gateway, name_zh, name_en, latitude, longitude,
    /// password_hash (argon2id).
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to write the passwords that are made: a new file that only you can read.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Say what is wrong and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct ExportDevices {
    /// Where to write; standard output without.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct NewToken {
    /// Where the devices stand: a site of the registry file.
    #[arg(long)]
    pub site: String,
    /// What they are: a profile.
    #[arg(long)]
    pub profile: String,
    /// The device that may speak for them.
    #[arg(long)]
    pub gateway: Option<String>,
    /// How many devices may use it.
    #[arg(long, default_value_t = 1)]
    pub uses: u32,
    /// For how long it counts, at most 90d.
    #[arg(long, default_value = "24h", value_name = "SPAN")]
    pub expires: Span,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct AddAccount {
    /// Its name, which no device has: user name, and with `-` and more behind it its client ids.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// A filter that it may subscribe, e.g. tw/v1/+/telemetry; may be repeated.
    #[arg(long, value_name = "FILTER")]
    pub subscribe: Vec<String>,
    /// A filter that it may publish to, e.g. tw/v1/pump-1/cmd; may be repeated.
    #[arg(long, value_name = "FILTER")]
    pub publish: Vec<String>,
    /// Read its password from the first line of standard input instead of making one.
    #[arg(long)]
    pub password_stdin: bool,
    #[command(flatten)]
    pub place: Place,
}
