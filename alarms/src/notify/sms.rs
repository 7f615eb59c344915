//! The request for a gateway of short messages: templates, and escaping for the place where a value goes. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use telemetry::Timestamp;

use super::attempt::Outcome;
use super::http::{Answer, Ask, JSON};
use super::render::cut;
use crate::settings::{BodyForm, Method, SmsSettings};

/// What is filled in.
#[derive(Clone, Copy, Debug)]
struct Values<'a> {
    text: &'a str,
    phone: &'a str,
    key: &'a str,
    time: &'a str,
}

/// Where a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// An address, or a form: all but letters, digits and `-._~` as `%XX`. Source: RFC 3986 §2.3; forms take it, too.
    Url,
    /// Inside the quotes of a JSON text. Source: RFC 8259 §7.
    Json,
    /// A header: what cannot stand there becomes a space.
    Header,
}

fn escape(text: &str, place: Place) -> Cow<'_, str> {
    match place {
        Place::Url => {
            let mut out = String::with_capacity(text.len() * 3);
            for byte in text.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    out.push(char::from(byte));
                } else {
                    // Writing to a String cannot fail.
                    write!(out, "%{byte:02X}").ok();
                }
            }
            out.into()
        }
        Place::Json => {
            let quoted = serde_json::Value::from(text).to_string();
            let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            inner.unwrap_or_default().to_owned().into()
        }
        Place::Header => text
            .chars()
            .map(|c| if c.is_ascii_graphic() { c } else { ' ' })
            .collect::<String>()
            .into(),
    }
}

/// The next `{word}` of a template: what is before it, the word, and what is behind. Other braces are text.
fn next_word(template: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let (_, rest) = template.split_at_checked(from)?;
        let open = from + rest.find('{')?;
        let (before, behind) = template.split_at_checked(open)?;
        let behind = behind.strip_prefix('{')?;
        let end = behind.find(|c: char| !c.is_ascii_lowercase() && c != '_');
        if let Some((word, rest)) = end.and_then(|end| behind.split_at_checked(end))
            && let Some(rest) = rest.strip_prefix('}')
            && !word.is_empty()
        {
            return Some((before, word, rest));
        }
        from = open + 1;
    }
}

/// Fills a template in, once: what a value contains is not filled in again.
fn fill(template: &str, values: Values<'_>, place: Place) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, word, behind)) = next_word(rest) {
        out.push_str(before);
        let value = match word {
            "text" => values.text,
            "phone" => values.phone,
            "key" => values.key,
            "time" => values.time,
            other => {
                return Err(format!(
                    "{{{other}}} is unknown; {{text}}, {{phone}}, {{key}} and {{time}} are filled in"
                ));
            }
        };
        out.push_str(&escape(value, place));
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

const SAMPLES: [Values<'static>; 2] = [
    Values {
        text: "a \"b\"\n报警",
        phone: "13800000000",
        key: "k~1",
        time: "0",
    },
    Values {
        text: "other.example",
        phone: "1",
        key: "other.example",
        time: "1",
    },
];

/// The address with sample values.
#[must_use]
pub fn sample_url(settings: &SmsSettings) -> String {
    let [sample, _] = SAMPLES;
    fill(settings.url.reveal(), sample, Place::Url).unwrap_or_default()
}

/// Whether the templates can be filled in, and the host stays the same whatever is filled in.
///
/// # Errors
/// A sentence for a person.
pub fn check(settings: &SmsSettings) -> Result<(), String> {
    let mut hosts = Vec::new();
    for values in SAMPLES {
        let url = fill(settings.url.reveal(), values, Place::Url).map_err(|why| format!("url: {why}"))?;
        let url = Url::parse(&url).map_err(|error| format!("the url cannot be read: {error}"))?;
        hosts.push((
            url.scheme().to_owned(),
            url.host_str().map(str::to_owned),
            url.port(),
        ));
        for (name, value) in &settings.headers {
            let value = fill(value.reveal(), values, Place::Header);
            let value = value.map_err(|why| format!("header {name}: {why}"))?;
            let fine =
                HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(&value).is_ok();
            if !fine {
                return Err(format!("header {name:?} is none"));
            }
        }
        let body = fill(settings.body.reveal(), values, place(settings.form));
        let body = body.map_err(|why| format!("body: {why}"))?;
        if settings.form == BodyForm::Json && settings.method == Method::Post {
            serde_json::from_str::<serde_json::Value>(&body)
                .map_err(|error| format!("body is no JSON when it is filled in: {error}"))?;
        }
    }
    hosts.dedup();
    if hosts.len() > 1 {
        return Err("the host of the url may not be filled in".to_owned());
    }
    Ok(())
}

fn place(form: BodyForm) -> Place {
    match form {
        BodyForm::Form => Place::Url,
        BodyForm::Json => Place::Json,
    }
}

/// The request for one text.
pub(super) fn ask(settings: &SmsSettings, text: &str, key: &str, now: Timestamp) -> Result<Ask, String> {
    let phones: Vec<&str> = settings.phones.iter().map(|phone| &**phone).collect();
    let phone = phones.join(&settings.separator);
    let time = now.millis().div_euclid(1000).to_string();
    let text = shorten(text, usize::from(settings.text_max));
    let values = Values {
        text: &text,
        phone: &phone,
        key,
        time: &time,
    };
    let url = fill(settings.url.reveal(), values, Place::Url)?;
    let url = Url::parse(&url).map_err(|error| format!("the url cannot be read: {error}"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let value = fill(value.reveal(), values, Place::Header)?;
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(&value),
        ) {
            headers.insert(name, value);
        }
    }
    let (method, body) = match settings.method {
        Method::Get => (reqwest::Method::GET, None),
        Method::Post => {
            let body = fill(settings.body.reveal(), values, place(settings.form))?;
            let form = match settings.form {
                BodyForm::Form => "application/x-www-form-urlencoded; charset=utf-8",
                BodyForm::Json => JSON,
            };
            (reqwest::Method::POST, Some((form, body)))
        }
    };
    Ok(Ask {
        method,
        url,
        headers,
        body,
    })
}

/// At most so many characters, the last of them an ellipsis where something is missing.
fn shorten(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// What the answer says: taken with a status of 2xx and, where that is asked for, a certain text in it.
pub(super) fn verdict(settings: &SmsSettings, answer: &Answer) -> Outcome {
    if let Some(failure) = answer.failure() {
        return failure;
    }
    match &settings.success {
        Some(text) if !answer.body.contains(&**text) => {
            Outcome::Failed(format!("the gateway answered {}", cut(&answer.body, 200)))
        }
        _ => Outcome::Delivered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> SmsSettings {
        toml::from_str(text).unwrap()
    }

    const FORM: &str = "url = \"http://gw/send?apikey=s\"\nphones = [\"138\", \"+86139\"]\n\
        body = \"mobile={phone}&text={text}&uid={key}&t={time}\"\n";

    fn body(ask: &Ask) -> &str {
        &ask.body.as_ref().unwrap().1
    }

    #[test]
    fn a_form_is_escaped_as_a_form() {
        // Expected: Python 3, urllib.parse.quote(…, safe='~').
        let now = Timestamp::from_millis(1_763_870_400_000);
        let ask = ask(&settings(FORM), "气体 40 %LEL & {key}", "G1~HI~1.raised", now).unwrap();
        assert_eq!(
            body(&ask),
            "mobile=138%2C%2B86139&text=%E6%B0%94%E4%BD%93%2040%20%25LEL%20%26%20%7Bkey%7D&uid=G1~HI~1.raised&t=1763870400"
        );
    }

    #[test]
    fn json_is_escaped_as_json_and_stays_json() {
        let settings = settings(
            "url = \"http://gw/\"\nphones = [\"138\"]\nform = \"json\"\n\
             body = '{\"to\":\"{phone}\",\"msg\":{\"t\":\"{text}\"}}'\nheaders = { \"x-key\" = \"{key}\" }\n",
        );
        check(&settings).unwrap();
        let ask = ask(
            &settings,
            "a \"b\"\\\n气",
            "k\r\nevil: 1",
            Timestamp::from_millis(0),
        )
        .unwrap();
        let value: serde_json::Value = serde_json::from_str(body(&ask)).unwrap();
        assert_eq!(value["msg"]["t"], "a \"b\"\\\n气");
        assert_eq!(ask.headers["x-key"], "k  evil: 1");
    }

    #[test]
    fn a_template_that_cannot_be_filled_in_is_refused() {
        for (change, word) in [
            (("{text}", "{txt}"), "{txt}"),
            (("http://gw/", "http://{text}/"), "url"),
            (("http://gw/send", "http://gw.{key}/send"), "host"),
        ] {
            let settings = settings(&FORM.replace(change.0, change.1));
            let why = check(&settings).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
        let json = format!("{FORM}form = \"json\"\n");
        assert!(check(&settings(&json)).unwrap_err().contains("no JSON"));
    }

    #[test]
    fn a_long_text_is_cut_to_what_the_gateway_takes() {
        let settings = settings(&format!("{FORM}text_max = 70\n"));
        let ask = ask(&settings, &"气".repeat(100), "k", Timestamp::from_millis(0)).unwrap();
        assert_eq!(body(&ask).matches("%E6%B0%94").count(), 69);
    }

    #[test]
    fn a_gateway_that_says_no_with_200_is_no_success() {
        let settings = settings(&format!("{FORM}success = '\"code\":0'\n"));
        let answered = |body: &str| Answer {
            status: reqwest::StatusCode::OK,
            body: body.to_owned(),
            retry_after: None,
        };
        assert_eq!(verdict(&settings, &answered("{\"code\":0}")), Outcome::Delivered);
        assert!(matches!(
            verdict(&settings, &answered("{\"code\":7}")),
            Outcome::Failed(_)
        ));
    }
}
