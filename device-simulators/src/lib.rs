//! The county that does not exist: devices, signals, faults and scenarios, speaking only through sockets.
//!
//! Everything follows from one seed: the same seed gives the same registry and the same readings at the
//! same instants, as history or live. The crate speaks MQTT as a client, HJ 212 as a data logger and Modbus
//! (TCP, RTU) as slaves with
//! encoders of its own: it shares no codec with the server, so that no mistake cancels out. It never
//! touches a file or the server's types beyond the nouns of `telemetry`.
//!
//! Start with [`County::generate`], then [`Simulator::bind`] (the slaves' lines, and with them the
//! registry), then [`Bound::run`]. A signal's model is in `device/`; what can go wrong in [`fault`].
//! [`rig::Rig`] is a bench of Modbus slaves whose registers a test sets.

pub mod county;
mod device;
pub mod fault;
mod history;
pub mod hj212;
mod influent;
mod modbus;
mod mqtt;
mod noise;
mod num;
mod reading;
pub mod simulator;
mod sun;

pub use county::{BoundAddresses, County, CountySize};
pub use fault::{Fault, FaultError, FaultKind, FaultSender, Scenario};
pub use modbus::{Answer, Wire, rig};
pub use simulator::{Bound, Progress, RunConfig, Simulator, SimulatorError};
