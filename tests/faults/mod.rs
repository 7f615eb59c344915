//! The fault cases of the storage and of the network: each breaks something under a running server and compares what
//! is left with a ledger that the test's own clients keep.
//!
//! Some need root or a feature of the kernel. [`probe`] asks for it; a case that cannot run says `SKIPPED` with its
//! number and the reason, and the last test of this folder lists them all.

mod backup;
mod bad_line;
mod bad_receiver;
mod disk_full;
mod half_open;
mod ledger;
mod lying_disk;
mod notify_crash;
mod packet_loss;
mod partition;
mod pause;
mod poison;
mod power_cut;
mod probe;
mod resources;
mod slow_disk;
mod storage_error;
mod store;
mod strace;
mod two_servers;
