//! The bounds of the gate, in one place, each with what happens when it is reached.

use std::time::Duration;

use telemetry::limits::{PAYLOAD_BYTES_MAX, TOPIC_BYTES_MAX};

/// Largest packet, in bytes: the largest payload and room for header, topic and properties. Larger: the
/// connection is closed with 0x95 before the packet is buffered.
pub const PACKET_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + PACKET_OVERHEAD_MAX;
/// Most bytes of a packet beside its payload: header, topic and properties.
pub const PACKET_OVERHEAD_MAX: usize = TOPIC_BYTES_MAX + PROPERTIES_BYTES_MAX + 16;
/// Most bytes of the properties of one packet. More: closed with 0x95 (packet too large).
pub const PROPERTIES_BYTES_MAX: usize = 8 * 1024;
/// User properties of one packet. More: closed with 0x97. Source: `faults-security.md` §2.2.
pub const USER_PROPERTIES_MAX: usize = 16;
/// Largest CONNECT packet, in bytes. Larger: 0x95 in MQTT 5 terms, and closed unanswered, since
/// its version has not been read. Source: `faults-security.md` §2.2.
pub const CONNECT_BYTES_MAX: usize = 4096;
/// Connections at a time, unless the configuration says otherwise. More: see [`crate::Admission`].
pub const CONNECTIONS_MAX: usize = 50_000;
/// Addresses that are remembered though nobody is connected from there. Twice as many: those that owe nothing
/// are forgotten, and if that leaves more than this, all of them.
pub const ADDRESSES_MAX: usize = 10_000;
/// Clients that wait for their password to be verified, in each of the two lanes. More: 0x9F (3.1.1: code 3).
pub const LANE_MAX: usize = 10_000;
/// Logins that are being checked may take this long in all. Longer: 0x88 (3.1.1: code 3).
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Passwords that are verified at a time, each with up to 64 MiB and a core. More: wait their turn.
pub const VERIFICATIONS_MAX: usize = 2;
/// Most memory of one argon2id verification, in KiB. A stored hash that asks for more is refused.
pub const ARGON2_KIB_MAX: u32 = 64 * 1024;
/// Most passes of one argon2id verification. A stored hash that asks for more is refused.
pub const ARGON2_PASSES_MAX: u32 = 10;
/// Most lanes of one argon2id verification. A stored hash that asks for more is refused.
pub const ARGON2_LANES_MAX: u32 = 4;
/// Verified passwords that are remembered as keyed hashes. More: one of them is forgotten and verified again when
/// its owner comes back.
pub const VERIFIED_MAX: usize = 100_000;
/// Wrong passwords of one user from one address that cost nothing but the verification. From this one on each
/// makes that user wait there: 1 s, 2 s, 4 s … up to [`FAILED_LOGIN_PAUSE_MAX`]; within the pause whatever comes is
/// told 0x9F (3.1.1: code 3) without being looked at.
pub const FAILED_LOGINS_FREE: u32 = 5;
/// See [`FAILED_LOGINS_FREE`].
pub const FAILED_LOGIN_PAUSE_MAX: Duration = Duration::from_secs(30);
/// A wrong password is answered a whole number of these after it came.
pub const REFUSAL_STEP: Duration = Duration::from_millis(100);
/// After so long without a wrong password the earlier ones are forgotten.
pub const FAILED_LOGIN_FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// Pairs of user and address whose wrong passwords are remembered. More: the oldest is forgotten.
pub const FAILED_LOGINS_KEPT_MAX: usize = 10_000;
/// Longest user name, in bytes. Longer: treated as unknown.
pub const USER_BYTES_MAX: usize = 64;
/// Batches of one connection that the intake holds at a time. More: its socket is not read.
pub const BATCHES_IN_FLIGHT_MAX: usize = 8;
/// Bytes of one connection that the intake holds at a time, beyond one batch. More: its socket is not read.
pub const BYTES_IN_FLIGHT_MAX: usize = 4 * 1024 * 1024;
/// Publishes of one connection that wait for their PUBACK. Told to MQTT 5 clients as receive maximum;
/// beyond it they are closed with 0x93. 3.1.1 clients: the socket is not read.
pub const RECEIVE_MAXIMUM: u16 = 1024;
/// Bytes that are read of one socket before what they hold is looked at. More: wait in the socket.
pub const READ_BYTES_MAX: usize = 64 * 1024;
/// Bytes that wait to be written to one socket. More: its socket is not read and no live message is
/// taken for it until it reads.
pub const WRITE_BYTES_MAX: usize = 256 * 1024;
/// How long a socket may take none of the bytes that wait for it. Longer: closed.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that are still read of a connection that is about to end because another of its client came, or because it
/// cannot be written to: a DISCONNECT among them takes the will back. More: are not looked at.
pub const LAST_WORDS_BYTES_MAX: usize = 1024 * 1024;
/// How long such a connection may take to have them carried out, at its pace. Longer: what is left is not looked at.
pub const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(5);
/// Subscriptions of one connection. More: SUBACK 0x97 (3.1.1: 0x80).
pub const SUBSCRIPTIONS_MAX: usize = 100;
/// Filters of one SUBSCRIBE or UNSUBSCRIBE. More: closed with 0x97.
pub const FILTERS_PER_PACKET_MAX: usize = 100;
/// Levels of a topic or filter. More: publish closed with 0x90, SUBACK 0x8F (3.1.1: 0x80).
pub const LEVELS_MAX: usize = 16;
/// QoS 1 and 2 messages that are on their way to one client. More: wait in its queue. The client's own
/// receive maximum counts when it is smaller.
pub const SEND_WINDOW: u16 = 256;
/// Packet identifiers of QoS 2 messages that one client has not released. More: closed with 0x93.
pub const RECEIVED_MAX: usize = 2 * RECEIVE_MAXIMUM as usize;
/// Live QoS 0 messages from the router that wait for one subscriber. More: dropped and counted.
pub const LIVE_QUEUE_MAX: usize = 1024;
/// Messages that wait for one client, connected or not. More: the newest is dropped and counted. Publishers
/// never wait.
pub const QUEUE_MESSAGES_MAX: usize = 1000;
/// Bytes that wait for one client or are on their way to it. More: the newest is dropped and counted.
pub const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that wait for all clients together. More: the newest is dropped and counted.
pub const QUEUES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Sessions that outlive their connection. More: CONNECT refused with 0x97 (3.1.1: code 3).
pub const LASTING_SESSIONS_MAX: usize = 100_000;
/// Longest life of a session after its connection, in seconds: 7 days. More: cut to this, which MQTT 5 clients
/// are told. Sessions of 3.1.1 clients that are not clean live as long.
pub const SESSION_EXPIRY_MAX_S: u32 = 7 * 24 * 3600;
/// Subscriptions of all clients together, beside those that the router serves. More: SUBACK 0x97 (3.1.1: 0x80).
pub const SUBSCRIPTIONS_IN_ALL_MAX: usize = 1_000_000;
/// Retained messages. More: delivered as ever, but not retained, and counted.
pub const RETAINED_MAX: usize = 200_000;
/// Bytes of all retained messages. More: as above.
pub const RETAINED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Retained messages below the name of one device. More: as above.
pub const RETAINED_PER_DEVICE_MAX: usize = 64;
/// Bytes of the retained messages below the name of one device. More: as above.
pub const RETAINED_PER_DEVICE_BYTES_MAX: usize = 1024 * 1024;
/// Topic aliases in each direction of one connection, told to MQTT 5 clients. More: closed with 0x94.
pub const TOPIC_ALIASES_MAX: u16 = 16;
/// Longest keep-alive, in seconds. More, or none: MQTT 5 clients are told to use this one; 3.1.1 clients have
/// what they ask for.
pub const KEEP_ALIVE_MAX_S: u16 = 3600;
/// Answers of one connection that wait until something is kept. More: its socket is not read.
pub const SETTLING_MAX: usize = 64;
/// Connections that the router serves. More: the tree of subscriptions serves them.
pub const SUBSCRIBERS_MAX: usize = 10_000;
/// Different filters that the router serves in the life of the gate; rumqttd keeps a log for each and never forgets
/// one. More: the tree of subscriptions serves the client.
pub const FILTERS_MAX: usize = 20_000;
/// Different topics that are fanned out in the life of the gate; rumqttd remembers each. More: their
/// messages are stored as ever, but do not reach subscribers, and are counted as dropped.
pub const TOPICS_MAX: usize = 200_000;
/// Commands that wait for the fan-out thread. More: live messages are dropped and counted, subscriptions wait.
pub const FANOUT_QUEUE_MAX: usize = 4096;
/// Messages and bytes that wait inside the router before it looks at them. More: dropped and counted.
pub const ROUTER_MESSAGES_MAX: usize = 20_000;
/// See [`ROUTER_MESSAGES_MAX`].
pub const ROUTER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Payloads up to this size are copied out of the block they were read in, so that a small message kept
/// somewhere does not keep the whole block.
pub const COPY_BYTES_MAX: usize = 1024;
/// What a client's rate brings in this time may come at once. More: see [`crate::Allowance`].
pub const BURST: Duration = Duration::from_secs(10);
/// Clients whose pace is remembered though they are not connected. Twice as many: those without debt are
/// forgotten, and if that leaves more than this, all of them.
pub const PACES_MAX: usize = 10_000;
