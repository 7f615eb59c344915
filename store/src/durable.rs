//! What the journal and the gate's memory share: a SQLite file in which a commit survives power loss
//! ([`file`]), and the line in which callers wait for the next commit ([`line`]).

pub(crate) mod file;
pub(crate) mod line;
