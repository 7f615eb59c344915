//! The pure parts by hand; the poller against a server that is not ours, over real sockets.

mod polling;
mod registers;
