//! Who may come in, as it can be changed while a server runs: the commands `device`, `account` and the API do it through
//! [`office::Office`]; a running server sees it through [`guard::Guard`], whichever process did it.
//!
//! `rules.rs` and `sheet.rs` decide and read; `office.rs` writes. `docs/decisions/0018` says which password counts.

pub(crate) mod guard;
pub(crate) mod office;
pub(crate) mod registrar;
pub(crate) mod rules;
pub(crate) mod secret;
pub(crate) mod sheet;
