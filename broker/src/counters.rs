//! What the gate counts: everything that came, was answered, refused or dropped.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened since the start; only [`Counters::connections`] goes down again.
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
    /// Refused: all connections are taken.
    refused_full,
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
    /// Refused: asks for what is not built (QoS 2 or retained will, enhanced authentication).
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
    /// Closed: a QoS 2 publish.
    qos2_refused,
    /// Closed: a retained publish of an MQTT 5 client, which had been told that there are none.
    retain_refused,
    /// Publishes that arrived and were allowed.
    messages,
    /// Bytes of their payloads.
    payload_bytes,
    /// PUBACKs written after the intake had taken the message.
    pubacks,
    /// Times that a client was left unread because it sent more than it may in a second.
    held_back,
    /// Publishes that were not allowed.
    publishes_refused,
    /// Batches that the intake refused.
    intake_refusals,
    /// Messages in those batches: not acknowledged.
    messages_refused,
    /// Wills that were published because a client went without a word.
    wills,
    /// Filters that were subscribed.
    subscriptions,
    /// Filters that were refused.
    subscriptions_refused,
    /// Live messages written to subscribers.
    delivered,
    /// Messages not delivered because the client may not hear their topic any more.
    deliveries_refused,
    /// Live messages dropped on the way into the router, or by it. What it drops before a subscription's first
    /// message has arrived is not known to anybody.
    dropped_fan_out,
    /// Live messages dropped because their subscriber was too slow, or took no packet of that size.
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
