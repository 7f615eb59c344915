//! What the gate counts: everything that came, was answered, refused or dropped.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened since the start. Only what is described as standing now goes down again.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters { $($(#[$doc])* pub $name: u64,)* }

        /// The living counters behind [`Counters`].
        #[derive(Debug, Default)]
        pub(crate) struct Tally { $(pub(crate) $name: Count,)* }

        impl Tally {
            pub(crate) fn snapshot(&self) -> Counters {
                Counters { $($name: self.$name.get(),)* }
            }
        }

        impl Counters {
            /// Name and value of each counter, for a metrics page.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: usize) {
        self.0
            .fetch_add(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn less_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: usize) {
        self.0
            .store(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

counters! {
    /// Clients that are connected now: their CONNECT was accepted.
    connections,
    /// Sockets that were accepted.
    accepted,
    /// CONNECTs that were accepted.
    connects,
    /// Accepting a socket failed, e.g. for want of file descriptors.
    accept_errors,
    /// Refused: all places are taken, or all of its address.
    refused_full,
    /// Closed without a word: too many had not yet been let in.
    refused_strangers,
    /// Closed without a word: the operating system had no descriptor for it.
    refused_descriptors,
    /// Refused: unknown user or wrong password.
    refused_credentials,
    /// Refused: too many wrong passwords for that user from that address a moment ago.
    refused_too_fast,
    /// Refused: not authorized.
    refused_not_authorized,
    /// Refused: client id not allowed.
    refused_client_id,
    /// Refused: protocol name or version not spoken here.
    refused_version,
    /// Refused: asks for what is not built (enhanced authentication).
    refused_unsupported,
    /// Refused: the login could not be checked in time.
    refused_unavailable,
    /// Closed: the handshake of TLS failed.
    tls_failed,
    /// Closed: the HTTP request did not become a WebSocket.
    upgrade_failed,
    /// Certificates that were read anew while the gate ran.
    certificate_reloads,
    /// New certificates that could not be used; the old ones stayed.
    certificate_reload_failures,
    /// Closed: no CONNECT in time.
    connect_timeouts,
    /// Closed: the first packet was not a CONNECT.
    not_connect,
    /// Closed: bytes that are not MQTT, or MQTT out of order.
    malformed,
    /// Closed: packet larger than allowed.
    too_large,
    /// Closed: nothing heard for one and a half keep-alives.
    keep_alive_expired,
    /// Closed: its device or account was disabled, revoked, removed or given another password.
    revoked,
    /// Closed: another connection of the same client came.
    taken_over,
    /// Closed: the socket took no bytes for too long.
    write_stalled,
    /// Publishes that arrived and were allowed.
    messages,
    /// Bytes of their payloads.
    payload_bytes,
    /// PUBACKs written after the intake had taken the message.
    pubacks,
    /// Times that a client was left unread because it sent more than it may in a second.
    held_back,
    /// PUBRECs written after the intake had taken the message.
    pubrecs,
    /// QoS 2 messages that came again before they were released: answered, not journaled twice.
    repeated,
    /// Publishes that were not allowed.
    publishes_refused,
    /// Batches that the intake refused.
    intake_refusals,
    /// Messages in those batches: not acknowledged.
    messages_refused,
    /// Wills that were published because a client went without a word.
    wills,
    /// Sessions that outlive their connection, standing now.
    sessions_lasting,
    /// Sessions that were taken up again by their client.
    sessions_resumed,
    /// Sessions that ended because their client did not come back in time.
    sessions_expired,
    /// Retained messages, standing now.
    retained,
    /// Their bytes, standing now.
    retained_bytes,
    /// Messages that asked to be retained and were not, for want of room.
    retained_refused,
    /// Bytes that wait for clients or are on their way to them, standing now.
    queued_bytes,
    /// Sessions, queues or retained messages could not be kept; the connection concerned was closed.
    keeper_refusals,
    /// Kept records that were damaged and left out at the start.
    kept_damaged,
    /// Filters that were subscribed.
    subscriptions,
    /// Filters that were refused.
    subscriptions_refused,
    /// Messages written to subscribers.
    delivered,
    /// Messages not delivered because the client may not hear their topic any more.
    deliveries_refused,
    /// Messages that were not delivered because their expiry had passed.
    expired,
    /// Messages dropped because the queue of their subscriber was full.
    dropped_queue_full,
    /// Messages of a shared subscription that no member had room for.
    dropped_shared,
    /// Messages larger than their subscriber takes.
    dropped_too_large,
    /// Live messages dropped on the way into the router, or by it. What it drops before a subscription's first
    /// message has arrived is not known to anybody.
    dropped_fan_out,
    /// Live QoS 0 messages dropped because their subscriber was too slow.
    dropped_slow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_names_each_counter() {
        // Given three connections of which one went,
        let tally = Tally::default();
        tally.connections.add(3);
        tally.connections.less_one();
        // when it is read, then the page shows two.
        let shown: Vec<_> = tally.snapshot().iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(shown, [("connections", 2)]);
    }
}
