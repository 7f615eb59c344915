//! The web: pages, API, live feed, and charts and maps drawn by plotters.
//!
//! It reads the stores, acknowledges alarms, moves cases on, hands pushed readings to the journal and, where configuration and
//! profile allow it, a write to the poller through [`field::Field`], with two lines of audit; it never writes
//! anything else and never loads anything from another host. Every answer has a bound, and expensive ones are computed once
//! for all who look.
//!
//! Start with [`web::Web`] (what it is made of) and `routes` (every address); then `pages` for people and
//! `api` for programs. [`live::LiveFeed`] is what the pipeline feeds.

pub mod access;
mod api;
mod assets;
pub mod book;
pub mod chart;
pub mod civil;
mod desk;
pub mod exporter;
pub mod field;
mod font;
pub mod limits;
mod listener;
pub mod live;
pub mod map;
mod names;
mod pages;
mod params;
pub mod problem;
mod pulse;
pub mod push;
pub mod registrar;
mod routes;
mod svg;
#[cfg(test)]
mod testkit;
pub mod text;
pub mod unit;
pub mod web;

pub use access::{Access, Role, Token};
pub use book::{AckError, AlarmBook, AlarmView, ServiceBook};
pub use live::LiveFeed;
pub use web::{Push, ServeError, Web, serve};
