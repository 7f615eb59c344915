//! The bounds of everything, in one place, each with what happens when it is reached.

/// Longest MQTT topic, in bytes. Longer: the connection is closed with reason 0x90 (topic name invalid).
pub const TOPIC_BYTES_MAX: usize = 256;
/// Largest payload of one message, in bytes. Larger: the packet is refused (0x95) and the connection closed.
/// Source: `faults-security.md` §2.2, 1 MiB for gateways.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// Most values that one message may carry. More: the message becomes a dead letter.
pub const VALUES_PER_MESSAGE_MAX: usize = 50_000;
/// Deepest nesting of a JSON payload. Deeper: the message becomes a dead letter.
pub const JSON_DEPTH_MAX: usize = 32;
/// Signals of one profile. More: the profile is refused.
pub const SIGNALS_PER_PROFILE_MAX: usize = 512;
/// Registers of one Modbus read. Source: Modbus Application Protocol V1.1b3 §6.3 and §6.4, 1 to 125.
pub const MODBUS_REGISTERS_MAX: u16 = 125;
/// Coils or discrete inputs of one Modbus read. Source: Modbus Application Protocol V1.1b3 §6.1 and §6.2, 1 to 2000.
pub const MODBUS_BITS_MAX: u16 = 2000;
/// Scan classes of one register map. More: the profile is refused.
pub const MODBUS_SCAN_CLASSES_MAX: usize = 8;
/// Registers of one text in a register map. More: the profile is refused.
pub const MODBUS_STRING_WORDS_MAX: u16 = 32;
/// Points that one API answer may hold. More: refused with 400 and the advice to ask with `every=`.
pub const POINTS_PER_ANSWER_MAX: usize = 1_000_000;
