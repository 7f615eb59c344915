//! End to end: the program as a process, real sockets, real clients, crashes, a browser.
//!
//! Every server listens on a port of the system's choice, in a temporary folder, and is ended by its
//! process id. Nothing here sleeps: everything waits for a condition with a deadline (`support::wait`).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::print_stdout,
    reason = "a test fails by panicking, says what it measured or skipped, and tells its story in one piece"
)]

mod support;

mod access;
mod alarms;
mod backtest;
mod bad_input;
mod browser;
mod cases;
mod clients;
mod command_line;
mod crash;
mod demo;
mod disk_full;
mod external;
mod faults;
mod figures;
mod hj212;
mod influxdb;
mod interop;
mod modbus;
mod modbus_lines;
mod notices;
mod push;
mod recording;
mod remote_reading;
mod rules;
mod sessions;
mod simulated;
mod structure;
mod transfer;
mod victoria;
mod ways_in;
