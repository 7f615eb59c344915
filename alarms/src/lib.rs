//! The alarm engine, its rules, life cycle and notifications, the cases that come of alarms, and the figures of the county.
//!
//! This crate decides what is an alarm and tells people; it never decodes a payload and never writes to a device.
//!
//! Start with [`engine::Engine`], which is pure: samples and the clock in, transitions out. [`service::AlarmService`] puts it on
//! disk and in front of people; [`notify`] sends what it says; [`cases`] follow what is done about it.

pub mod backtest;
pub mod cases;
pub mod columns;
pub mod condition_history;
pub mod engine;
pub mod figures;
pub mod hazard;
pub mod health;
pub mod lifecycle;
pub mod notify;
pub mod replay;
pub mod rules;
pub mod service;
pub mod settings;
pub mod telling;
pub mod view;

pub use cases::CaseService;
pub use rules::Daylight;
pub use service::AlarmService;
pub use settings::AlarmSettings;
pub use view::AlarmView;
