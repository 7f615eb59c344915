//! What the end-to-end tests share.

pub(crate) mod ask;
pub(crate) mod county;
pub(crate) mod http;
pub(crate) mod mqtt;
pub(crate) mod peers;
pub(crate) mod program;
pub(crate) mod receiver;
pub(crate) mod wait;
