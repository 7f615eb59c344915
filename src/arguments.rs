//! The arguments of the program.

mod access;
mod backtest;
mod care;
mod transfer;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use telemetry::registry::ModbusLine;
use telemetry::time::Span;

pub(crate) use access::{
    AccountCommand, AddAccount, AddDevice, DeviceCommand, ExportDevices, ImportDevices, Named, Place, Rotate,
    TokenCommand,
};
pub(crate) use backtest::Backtest;
pub(crate) use care::{Backup, Repair, Restore, Verify};
pub(crate) use transfer::{Export, ExportFormat, Import, ImportFormat, LinePrecision, Record};

const EXIT_CODES: &str = "Exit codes:
  0  done, or stopped in order
  1  something broke while running
  2  wrong usage
  3  a configuration or an input file is wrong
  4  an address cannot be listened on
  5  the data folder cannot be used (not writable, locked, of a later version)
  6  the disk failed, is full or holds damaged files; after three times in a row serve starts degraded";

const REPLAY_FORMS: &str = "Example:
  townwatch replay --rules rules.toml --input monday.jsonl --until 3600

Exit codes:
  0  played to the end
  1  the output could not be written
  2  wrong usage
  3  the rules or a line of the input are refused; the message names file and line";

/// Townwatch watches the utilities of a county: rural sewage stations, LPG depots, manhole covers and
/// street lights 县域市政公用设施监测平台.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Say more on standard error (-v debug, -vv trace).
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole simulated county on this machine and watch it: nothing else is needed.
    #[command(after_help = EXIT_CODES)]
    Demo(Demo),
    /// Watch real devices, as the configuration says.
    #[command(after_help = EXIT_CODES)]
    Serve(Serve),
    /// Be the devices of a county, speaking MQTT and Modbus over sockets to any server.
    #[command(after_help = EXIT_CODES)]
    Simulate(Simulate),
    /// Say what is wrong in a configuration, or print a commented template.
    #[command(after_help = EXIT_CODES)]
    Check(Check),
    /// Compute major hazards after GB 18218-2018 危险化学品重大危险源辨识, without a server.
    #[command(after_help = EXIT_CODES)]
    Hazard(Hazard),
    /// Run the alarm engine itself over a file of rules and a file of input on a virtual clock, and print every transition
    /// and notice as JSON lines. The same files give the same output to the byte.
    #[command(after_help = REPLAY_FORMS)]
    Replay(Replay),
    /// Try new rules on stored history, beside the rules in force: which alarms would be added, removed and moved, and whom they
    /// would have woken. Nothing that is live is touched.
    #[command(after_help = backtest::BACKTEST_HELP)]
    Backtest(Backtest),
    /// Write what the server of a data folder judged as rules and input for `replay`: a recorded day.
    #[command(after_help = transfer::RECORD_HELP)]
    Record(Record),
    /// Speak to a Modbus unit without a server.
    #[command(subcommand)]
    Modbus(ModbusCommand),
    /// Say which devices may come in: add, disable, rotate, revoke, import; a running server sees it at once.
    #[command(subcommand, after_help = EXIT_CODES)]
    Device(DeviceCommand),
    /// Say which other programs may listen over MQTT: service accounts; a running server sees it at once.
    #[command(subcommand, after_help = EXIT_CODES)]
    Account(AccountCommand),
    /// Copy the data folder of a running server to an empty folder.
    #[command(after_help = care::BACKUP_HELP)]
    Backup(Backup),
    /// Make a data folder from a backup.
    #[command(after_help = care::RESTORE_HELP)]
    Restore(Restore),
    /// Write points as CSV or Parquet, beside a running server or without one.
    #[command(after_help = transfer::EXPORT_HELP)]
    Export(Export),
    /// Bring history from CSV or line protocol into a data folder that no server uses.
    #[command(after_help = transfer::IMPORT_HELP)]
    Import(Import),
    /// Say what is damaged in a data folder that no server uses, or in a backup.
    #[command(after_help = care::VERIFY_HELP)]
    Verify(Verify),
    /// Set aside what is damaged in a data folder that no server uses, and say what was lost.
    #[command(after_help = care::REPAIR_HELP)]
    Repair(Repair),
}

/// `townwatch modbus …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModbusCommand {
    /// Ask a unit what it is (function 43/14). Not while a server polls the same serial line.
    #[command(after_help = EXIT_CODES)]
    Identify(Identify),
}

#[derive(Debug, Args)]
pub(crate) struct Identify {
    /// 10.0.0.7:502, rtu+tcp:10.0.0.7:4001, or rtu:/dev/ttyS1,9600,none,1 (baud, parity, stop bits).
    #[arg(value_name = "ADDRESS")]
    pub address: ModbusLine,
    /// Unit id.
    #[arg(value_name = "UNIT")]
    pub unit: u8,
    /// Longest wait for an answer.
    #[arg(long, default_value = "1s", value_name = "SPAN")]
    pub timeout: Span,
    /// Print one JSON value.
    #[arg(long)]
    pub json: bool,
}

/// How large the simulated county is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CountySize {
    /// 24 sewage stations, 4 LPG depots, 80 manhole covers, 400 lamps: about 530 devices.
    Small,
    /// The model county: about 24,400 devices.
    Model,
}

/// How simulated Modbus devices speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModbusWire {
    /// Modbus/TCP.
    Tcp,
    /// RTU frames over sockets, as behind a serial server.
    RtuOverTcp,
    /// RTU frames over pseudo-terminals, one for each line.
    Rtu,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How large the county is.
    #[arg(long, value_enum, default_value = "small")]
    pub county: CountySize,
    /// How many times faster than real time the county and its server run, 1 to 600.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub speed: u32,
    /// Folder of the data; made when it is missing.
    #[arg(long, default_value = "./townwatch-data")]
    pub data: PathBuf,
    /// Address of the MQTT gate; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:1883")]
    pub mqtt: SocketAddr,
    /// Address of the pages and the API; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub web: SocketAddr,
    /// The same seed makes the same county.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A fault to play: `KIND[:DEVICE][@START][+DURATION]`, e.g. gas-leak@10s+2min; may be repeated.
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<String>,
    /// Leave out the scenario of faults that makes alarms come and go.
    #[arg(long)]
    pub calm: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration; `townwatch check --print` prints a template.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Start from memory, without the disk: alarms are raised and told, nothing is kept and nothing acknowledged.
    /// After the storage failed three times in a row this is done unasked.
    #[arg(long)]
    pub degraded: bool,
    /// Used by tests: how often a degraded server looks whether the disk works again.
    #[arg(long, hide = true, default_value = "1min", value_name = "SPAN")]
    pub degraded_look_every: Span,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// How large the county is.
    #[arg(long, value_enum, default_value = "small")]
    pub county: CountySize,
    /// The same seed makes the same county.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Address of the MQTT server to speak to.
    #[arg(long, default_value = "127.0.0.1:1883")]
    pub mqtt: SocketAddr,
    /// Where to write the registry of the county (JSON) before the first device connects.
    #[arg(long, value_name = "FILE")]
    pub registry_out: Option<PathBuf>,
    /// How much history the devices report first as back-fill, e.g. 7d; 0s for none.
    #[arg(long, default_value = "0s", value_name = "SPAN")]
    pub history: Span,
    /// How many times faster than real time the county runs, 1 to 600.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub speed: u32,
    /// A fault to play: `KIND[:DEVICE][@START][+DURATION]`; may be repeated. More can be typed on standard
    /// input, one a line, while it runs.
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<String>,
    /// A scenario of faults (TOML).
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// First port of the simulated Modbus devices, the others follow; 0 lets the system choose.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub modbus_port: u16,
    /// How the simulated Modbus devices speak.
    #[arg(long, value_enum, default_value = "tcp")]
    pub modbus_wire: ModbusWire,
    /// Play the demo's scenario of faults, too: alarms come and go.
    #[arg(long, conflicts_with = "scenario")]
    pub usual_faults: bool,
    /// Used by `demo`: take orders from standard input and report on standard output.
    #[arg(long, hide = true)]
    pub child: bool,
    /// Used by `demo`: real time in ms at which the county's clock showed `--origin`.
    #[arg(long, hide = true, requires = "origin")]
    pub base: Option<i64>,
    /// Used by `demo`: the county's time in ms at `--base`.
    #[arg(long, hide = true, requires = "base")]
    pub origin: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration to look at.
    #[arg(value_name = "FILE", required_unless_present = "print")]
    pub file: Option<PathBuf>,
    /// Print a commented template with every key and its default.
    #[arg(long)]
    pub print: bool,
    /// Print the findings as one JSON value.
    #[arg(long)]
    pub json: bool,
}

/// `townwatch replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Rules, points, routes and roster: TOML, described in docs/rules.md.
    #[arg(long, value_name = "FILE")]
    pub rules: PathBuf,
    /// What happens, in order of its time: JSON lines, described in docs/rules.md.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Until when, on the scale of "at", decimals allowed. Without it: until the last line of input.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub until: Option<Span>,
}

/// Seconds with decimals, on the millisecond grid.
fn seconds(text: &str) -> Result<Span, String> {
    let refused = || format!("{text:?} is no number of seconds of 0 or more");
    let ms = (text.parse::<f64>().map_err(|_| refused())? * 1000.0).round();
    if !(0.0..9e15).contains(&ms) {
        return Err(refused());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative and bounded above"
    )]
    Ok(Span::from_millis(ms as u64))
}

#[derive(Debug, Args)]
pub(crate) struct Hazard {
    /// TOML file with `[[unit]]` tables: id, people_within_500m, and `[[unit.substance]]` name (or
    /// class), design_max_t.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print one JSON value.
    #[arg(long)]
    pub json: bool,
}
