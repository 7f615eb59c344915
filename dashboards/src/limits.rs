//! The bounds of the web, each with what happens when it is reached.

use std::time::Duration;

/// Connections at once. More wait in the listen queue of the system.
pub const CONNECTIONS_MAX: usize = 1024;
/// Live streams at once. More are refused with 503.
pub const STREAMS_MAX: usize = 256;
/// Store reads at once. More wait for [`READ_WAIT`].
pub const READS_MAX: usize = 8;
/// How long a request waits for a reader. Then it is refused with 503.
pub const READ_WAIT: Duration = Duration::from_secs(5);
/// Exports at once. More are refused with 503.
pub const EXPORTS_MAX: usize = 2;
/// Bytes of a piece of an export, about; so many are gathered before they go out.
pub const EXPORT_PIECE_BYTES: usize = 64 * 1024;
/// Pieces of an export between disk and client. When they are full, reading waits.
pub const EXPORT_PIECES_MAX: usize = 4;
/// How long a client may take nothing of its export. Then the connection is closed, and the file is not whole.
pub const EXPORT_PATIENCE: Duration = Duration::from_secs(60);
/// How long a request may take. Then it is answered with 503; a read of series that has begun ends soon after.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);
/// How long open requests may still take after the stop was asked for.
pub const DRAIN: Duration = Duration::from_secs(5);
/// Largest request body, in bytes. Larger: refused with 413.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// Longest name of who acknowledges, in characters. Longer: refused with 400.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest remark, in characters. Longer: refused with 400.
pub const REMARK_CHARS_MAX: usize = 500;
/// Points in one series answer. More: refused with 400 and the advice to ask for windows.
pub const POINTS_MAX: usize = 100_000;
/// Windows in one answer about states: each may have 64 of them. More: refused with 400.
pub const STATE_WINDOWS_MAX: usize = 10_000;
/// Series in one answer of the list. When it is full, the header `Townwatch-More: true` says so and `skip=` leads on.
pub const SERIES_LISTED_MAX: usize = 10_000;
/// Alarms in one answer. When it is full, the header `Townwatch-More: true` says so and `before=` leads on.
pub const ALARMS_MAX: usize = 5000;
/// Cases in one answer. When it is full, the header `Townwatch-More: true` says so and `before=` leads on.
pub const CASES_MAX: usize = 1000;
/// Longest title of a case that is filed by hand, in characters. Longer: refused with 400.
pub const TITLE_CHARS_MAX: usize = 100;
/// Open alarms that the board keeps. More: the oldest are not shown on pages; the count says "5000".
pub const BOARD_ALARMS_MAX: usize = 5000;
/// Alarms on the county page; the rest is counted and linked.
pub const PAGE_ALARMS_MAX: usize = 60;
/// Sites on one page of the list; the rest is on further pages.
pub const PAGE_SITES_MAX: usize = 100;
/// Dead letters in one answer.
pub const DEAD_LETTERS_MAX: usize = 500;
/// Bytes of a dead letter's payload that are shown; the API tells its whole size.
pub const PAYLOAD_SHOWN_MAX: usize = 4096;
/// Changed sites in one live event. More at once: clients are told to fetch anew (`resync`).
pub const SITES_PER_EVENT_MAX: usize = 200;
/// Largest pushed body of line protocol, packed or unpacked, in bytes. Larger: refused with 413, and Telegraf
/// sends it again in parts. A pushed JSON payload has the bound of every message,
/// [`telemetry::limits::PAYLOAD_BYTES_MAX`].
pub const PUSH_LINES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pushed bodies in memory at once. More wait for [`READ_WAIT`], then they are refused with 503.
pub const PUSH_BODIES_MAX: usize = 32;
/// Refused logins of one address at once; one more is granted each second. More: refused with 429.
pub const PUSH_FAILURES_MAX: u32 = 20;
/// Senders (or addresses) whose rate is remembered. More at once: a new one is refused with 429 for a second.
pub const PUSH_BUCKETS_MAX: usize = 16_384;
/// Rows of the audit in one answer; `before=` leads on.
pub const AUDIT_ROWS_MAX: u32 = 1000;
