//! The robots of DingTalk, WeCom and Feishu groups: their requests, signatures and answers. Pure.
//!
//! The three have no notion of a repeated message: after a crash in the middle of sending, a group may read one twice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use serde_json::{Value, json};
use sha2::Sha256;
use telemetry::Timestamp;
use telemetry::time::Span;

use super::attempt::Outcome;
use super::http::{Answer, Ask};
use super::render::{Letter, cut, unmarked};
use crate::settings::{DingtalkSettings, FeishuSettings, Language, WecomSettings};

/// Most bytes of text in one message. Source: WeCom's page on group robots (4096 for markdown); the others are from memory
/// (20,000 for DingTalk, 20 KB for a whole request to Feishu), and kept well below.
pub(super) const DINGTALK_BYTES_MAX: usize = 8000;
/// See [`DINGTALK_BYTES_MAX`].
pub(super) const WECOM_BYTES_MAX: usize = 3600;
/// See [`DINGTALK_BYTES_MAX`].
pub(super) const FEISHU_BYTES_MAX: usize = 8000;

/// How long DingTalk says nothing after too many messages. Source: `users.md` §2.
const DINGTALK_PAUSE: Span = Span::from_secs(600);
/// The others count by the minute.
const PAUSE: Span = Span::from_secs(60);

/// HMAC-SHA256 as base64.
fn hmac(key: &str, text: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
    let Ok(mut mac) = mac else {
        // HMAC takes keys of every length.
        return String::new();
    };
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// DingTalk: over time and secret, with the secret.
fn dingtalk_sign(secret: &str, timestamp_ms: i64) -> String {
    hmac(secret, &format!("{timestamp_ms}\n{secret}"))
}

/// Feishu: over nothing, with time and secret.
fn feishu_sign(secret: &str, timestamp_s: i64) -> String {
    hmac(&format!("{timestamp_s}\n{secret}"), "")
}

/// Subject, lines and link in the markdown that DingTalk and WeCom have in common.
fn markdown(letter: &Letter, language: Language) -> String {
    let mut text = format!("### {}\n", unmarked(&letter.subject));
    for line in &letter.lines {
        text.push_str(&format!("\n> {}\n", unmarked(line)));
    }
    if let Some(link) = &letter.link {
        let words = Letter::link_words().say(language, " / ");
        text.push_str(&format!("\n[{words}]({link})\n"));
    }
    text
}

pub(super) fn dingtalk(
    url: &Url,
    robot: &DingtalkSettings,
    letter: &Letter,
    language: Language,
    now: Timestamp,
) -> Ask {
    let mut url = url.clone();
    url.query_pairs_mut()
        .append_pair("access_token", robot.token.reveal());
    if let Some(secret) = &robot.secret {
        let timestamp_ms = now.millis();
        url.query_pairs_mut()
            .append_pair("timestamp", &timestamp_ms.to_string())
            .append_pair("sign", &dingtalk_sign(secret.reveal(), timestamp_ms));
    }
    let body = json!({
        "msgtype": "markdown",
        "markdown": { "title": cut(&letter.subject, 120), "text": markdown(letter, language) },
    });
    Ask::json(url, body.to_string())
}

pub(super) fn wecom(url: &Url, robot: &WecomSettings, letter: &Letter, language: Language) -> Ask {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("key", robot.key.reveal());
    let content = cut(&markdown(letter, language), 4096);
    let body = json!({ "msgtype": "markdown", "markdown": { "content": content } });
    Ask::json(url, body.to_string())
}

/// A post with plain text, so that nothing in it is taken for markup.
pub(super) fn feishu(
    url: &Url,
    robot: &FeishuSettings,
    letter: &Letter,
    language: Language,
    now: Timestamp,
) -> Ask {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(robot.token.reveal());
    }
    let mut content: Vec<Value> = letter
        .lines
        .iter()
        .map(|line| json!([{ "tag": "text", "text": line }]))
        .collect();
    if let Some(link) = &letter.link {
        let words = Letter::link_words().say(language, " / ");
        content.push(json!([{ "tag": "a", "text": words, "href": link }]));
    }
    let post = json!({ "title": letter.subject, "content": content });
    let locale = if language == Language::En {
        "en_us"
    } else {
        "zh_cn"
    };
    let mut body = json!({ "msg_type": "post", "content": { "post": { locale: post } } });
    if let (Some(secret), Some(fields)) = (&robot.secret, body.as_object_mut()) {
        let timestamp_s = now.millis().div_euclid(1000);
        fields.insert("timestamp".to_owned(), json!(timestamp_s.to_string()));
        let sign = feishu_sign(secret.reveal(), timestamp_s);
        fields.insert("sign".to_owned(), json!(sign));
    }
    Ask::json(url, body.to_string())
}

/// Which robot answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Robot {
    Dingtalk,
    Wecom,
    Feishu,
}

impl Robot {
    /// Where the code of the answer stands.
    fn code_of(self, answer: &Value) -> Option<i64> {
        let name = match self {
            Self::Dingtalk | Self::Wecom => "errcode",
            Self::Feishu => "code",
        };
        // Feishu's older robots say StatusCode; from memory.
        answer.get(name).or_else(|| answer.get("StatusCode"))?.as_i64()
    }

    /// The pause that a code of "too fast" asks for; none for other codes. All of them are from memory.
    fn too_fast(self, code: i64) -> Option<Span> {
        match (self, code) {
            (Self::Dingtalk, 130_101) => Some(DINGTALK_PAUSE),
            (Self::Wecom, 45_009) | (Self::Feishu, 9499 | 11_232) => Some(PAUSE),
            _ => None,
        }
    }

    /// What the answer says: taken only with a status of 2xx and the code 0.
    pub(super) fn verdict(self, answer: &Answer) -> Outcome {
        if let Some(failure) = answer.failure() {
            return failure;
        }
        let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        match self.code_of(&said) {
            Some(0) => Outcome::Delivered,
            Some(code) => {
                let words = said.get("errmsg").or_else(|| said.get("msg"));
                let words = words.and_then(Value::as_str).unwrap_or_default();
                let why = format!("the robot answered {code}: {}", cut(words, 200));
                match self.too_fast(code) {
                    Some(pause) => Outcome::TooFast { why, pause },
                    None => Outcome::Failed(why),
                }
            }
            None => Outcome::Failed("the robot's answer has no code".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    /// Expected values: Python 3, `base64.b64encode(hmac.new(key, text, 'sha256').digest())`.
    #[test]
    fn the_signatures_are_those_that_python_computes() {
        let secret = "SECf3a1b2c4";
        assert_eq!(
            dingtalk_sign(secret, 1_763_870_400_000),
            "+a0ACMDamhSDKVSpKgW4GzjnLGLuXHAm45r793x1jNg="
        );
        assert_eq!(
            feishu_sign(secret, 1_763_870_400),
            "Pmy9OQk+L+ftY6KO5xUCB5vSbWOzzDd77+Ju+FcuZqo="
        );
    }

    fn answered(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.to_owned(),
            retry_after: None,
        }
    }

    #[test]
    fn only_the_code_0_counts_as_taken() {
        use Robot::{Dingtalk, Feishu, Wecom};
        let ok = r#"{"errcode":0,"errmsg":"ok"}"#;
        for (robot, body) in [
            (Dingtalk, ok),
            (Wecom, ok),
            (Feishu, r#"{"code":0,"msg":"success"}"#),
            (Feishu, r#"{"StatusCode":0,"StatusMessage":"success"}"#),
        ] {
            assert_eq!(robot.verdict(&answered(200, body)), Outcome::Delivered, "{body}");
        }
        for (robot, body, word) in [
            (
                Dingtalk,
                r#"{"errcode":310000,"errmsg":"sign not match"}"#,
                "sign not match",
            ),
            (Feishu, ok, "no code"),
            (Wecom, "<html>", "no code"),
            (
                Wecom,
                r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#,
                "93000",
            ),
        ] {
            match robot.verdict(&answered(200, body)) {
                Outcome::Failed(why) => assert!(why.contains(word), "{why}"),
                other => panic!("{body}: {other:?}"),
            }
        }
        assert!(matches!(Dingtalk.verdict(&answered(500, ok)), Outcome::Failed(_)));
    }

    #[test]
    fn a_robot_that_says_too_fast_is_left_alone_for_as_long_as_it_wants() {
        for (robot, body, pause_s) in [
            (
                Robot::Dingtalk,
                r#"{"errcode":130101,"errmsg":"send too fast"}"#,
                600,
            ),
            (
                Robot::Wecom,
                r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
                60,
            ),
            (Robot::Feishu, r#"{"code":9499,"msg":"too many requests"}"#, 60),
            (Robot::Feishu, r#"{"code":11232,"msg":"frequency limited"}"#, 60),
        ] {
            match robot.verdict(&answered(200, body)) {
                Outcome::TooFast { pause, .. } => assert_eq!(pause, Span::from_secs(pause_s)),
                other => panic!("{body}: {other:?}"),
            }
        }
        assert!(matches!(
            Robot::Wecom.verdict(&answered(429, "")),
            Outcome::TooFast { .. }
        ));
    }

    #[test]
    fn a_hostile_name_stays_text() {
        let letter = Letter {
            subject: "gas [click](http://evil/) <@all>".to_owned(),
            lines: vec!["# x\n> y `z` **b**".to_owned()],
            link: None,
        };
        assert_eq!(
            markdown(&letter, Language::En),
            "### gas ［click］(http://evil/) ＜＠all＞\n\n> ＃ x ＞ y ｀z｀ ＊＊b＊＊\n"
        );
    }
}
