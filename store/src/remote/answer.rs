//! What an engine's answer to a write means. Pure.

use std::time::Duration;

/// Longest wait that an engine can ask for; a longer one is cut to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10 * 60);
/// Most characters of an engine's reason that are kept.
const REASON_CHARS_MAX: usize = 400;

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The engine has acknowledged all lines.
    Taken,
    /// It will not have these lines, however often they come: some of them are at fault.
    Refused {
        /// What it says.
        reason: String,
        /// How many of them it dropped, when it says that; the others it has taken.
        dropped: Option<usize>,
    },
    /// Not now: it cannot be reached, is busy, or does not know us. The lines are at no fault and come again.
    Later {
        /// Why.
        why: String,
        /// How long it asks us to wait.
        wait: Option<Duration>,
        /// It may have lost what it acknowledged: the connection failed.
        broken: bool,
    },
}

impl Answer {
    /// The engine could not be reached, or not to the end.
    pub(super) fn broken(why: String) -> Self {
        Self::Later {
            why: cut(&why),
            wait: None,
            broken: true,
        }
    }
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// Says what it refuses as JSON with a `code` and a `message`; another 400 is a proxy's, or a wrong port's.
    Influx,
    /// Says it as plain text.
    Victoria,
}

/// The meaning of a status, the header `Retry-After` and a body.
///
/// Source: InfluxDB 2.7, `POST /api/v2/write`: 400 malformed, 413 too large, 422 refused by the bucket's schema or retention.
pub(super) fn of_write(who: Speaks, status: u16, retry_after: Option<&str>, body: &str) -> Answer {
    if (200..300).contains(&status) {
        return Answer::Taken;
    }
    let message = message_of(body);
    let says_why = match who {
        Speaks::Influx => message.is_some(),
        Speaks::Victoria => !body.contains("HTTP request to an HTTPS server"),
    };
    let reason = cut(message.as_deref().unwrap_or(body).trim());
    if status == 413 || matches!(status, 400 | 422) && says_why {
        return Answer::Refused {
            dropped: dropped_in(&reason),
            reason: format!("{status}: {reason}"),
        };
    }
    Answer::Later {
        why: format!("{status}: {reason}"),
        wait: retry_after
            .and_then(seconds)
            .map(|wait| wait.min(RETRY_AFTER_MAX)),
        broken: false,
    }
}

/// `Retry-After` in whole seconds; its form as a date is not used by these engines.
fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

/// The `message` of InfluxDB's errors.
fn message_of(body: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(body).ok()?;
    value.get("code")?;
    Some(value.get("message")?.as_str()?.to_owned())
}

/// The number behind `dropped=` in InfluxDB's message of a partial write.
fn dropped_in(reason: &str) -> Option<usize> {
    let (_, rest) = reason.split_once("dropped=")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn cut(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(REASON_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_lines_are_to_blame_for_is_told_from_what_they_are_not() {
        // Answers of InfluxDB 2.7.12, as seen.
        let old = r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: points beyond retention policy dropped=3"}"#;
        let answer = of_write(Speaks::Influx, 422, None, old);
        let Answer::Refused { reason, dropped } = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(dropped, Some(3));
        assert!(reason.starts_with("422: failure writing") && reason.ends_with("dropped=3"));
        let malformed = r#"{"code":"invalid","message":"unable to parse 'x': missing fields"}"#;
        let answer = of_write(Speaks::Influx, 400, None, malformed);
        assert!(
            matches!(answer, Answer::Refused { dropped: None, .. }),
            "{answer:?}"
        );
        // A plain request at a port that speaks TLS, a wrong token, a bucket that is not there: the lines come again.
        let https = "Client sent an HTTP request to an HTTPS server.";
        for (who, status, body) in [
            (Speaks::Influx, 400, https),
            (Speaks::Victoria, 400, https),
            (
                Speaks::Influx,
                401,
                r#"{"code":"unauthorized","message":"unauthorized access"}"#,
            ),
            (
                Speaks::Influx,
                404,
                r#"{"code":"not found","message":"bucket \"b\" not found"}"#,
            ),
            (Speaks::Influx, 301, ""),
            (Speaks::Victoria, 503, "no storage nodes"),
        ] {
            let answer = of_write(who, status, None, body);
            assert!(
                matches!(
                    answer,
                    Answer::Later {
                        wait: None,
                        broken: false,
                        ..
                    }
                ),
                "{status} {body}: {answer:?}"
            );
        }
        assert_eq!(of_write(Speaks::Influx, 204, None, ""), Answer::Taken);
    }

    #[test]
    fn the_engine_may_ask_for_a_pause_but_not_for_ever() {
        for (asked, want) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("86400", Some(600)),
            ("soon", None),
        ] {
            let answer = of_write(Speaks::Influx, 429, Some(asked), "");
            let Answer::Later { wait, .. } = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(wait, want.map(Duration::from_secs), "{asked}");
        }
    }
}
