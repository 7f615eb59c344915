//! `townwatch`: the program. It reads its arguments, starts the parts in order and stops them in order.
//!
//! Start reading at [`run`]; `server.rs` is the one place where the parts are joined.

mod access;
mod account;
mod arguments;
mod backlog;
mod backtest;
mod care;
mod check;
mod config;
mod consumers;
mod county_clock;
mod data_folder;
mod demo;
mod device;
mod doors;
mod early;
mod exit;
mod export;
mod failed_starts;
mod field;
mod hazard;
mod identify;
mod import;
mod intake;
mod keeper;
mod logging;
mod push;
mod record;
mod remote;
mod replay;
mod retention;
mod server;
mod simulate;
mod stop;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command, ModbusCommand};
use exit::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start(arguments.verbose);
    match run(arguments.command) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Does what the arguments ask for.
fn run(command: Command) -> Result<ExitCode, Failure> {
    // Thousands of devices are thousands of connections: take what the system allows.
    if let Err(error) = rlimit::increase_nofile_limit(1 << 20) {
        tracing::warn!(%error, "could not raise the limit of open files");
    }
    match command {
        Command::Demo(options) => runtime()?.block_on(demo::run(options)),
        Command::Serve(options) => runtime()?.block_on(server::serve(&options)),
        Command::Simulate(options) => runtime()?.block_on(simulate::run(options)),
        Command::Check(options) => check::run(&options),
        Command::Hazard(options) => hazard::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Backtest(options) => backtest::run(&options),
        Command::Record(options) => record::run(&options),
        Command::Modbus(ModbusCommand::Identify(options)) => runtime()?.block_on(identify::run(&options)),
        Command::Device(command) => device::run(&command),
        Command::Account(command) => account::run(&command),
        Command::Backup(options) => care::back_up(&options),
        Command::Restore(options) => care::put_back(&options),
        Command::Export(options) => export::run(&options),
        Command::Import(options) => import::run(&options),
        Command::Verify(options) => care::look(&options),
        Command::Repair(options) => care::mend(&options),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other("cannot start the threads of the program", error))
}
