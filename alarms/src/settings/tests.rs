use super::*;

#[test]
fn the_defaults_are_those_of_the_semantics() {
    // Source: `alarms.md` §2.1.
    let settings = AlarmSettings::default();
    assert_eq!(settings.check(), Ok(()));
    for (span, seconds) in [
        (settings.lateness, 30),
        (settings.live_age, 900),
        (settings.future_tolerance, 60),
        (settings.grace, 60),
    ] {
        assert_eq!(span, Span::from_secs(seconds));
    }
}

#[test]
fn a_setting_outside_its_range_is_refused_by_name() {
    let settings = AlarmSettings {
        live_age: Span::from_secs(1),
        ..AlarmSettings::default()
    };
    assert_eq!(settings.check().unwrap_err().field, "live_age");
    let text = "[[webhook]]\nname = \"a\"\nurl = \"ftp://x/\"\n";
    let settings: AlarmSettings = toml::from_str(text).unwrap();
    assert_eq!(settings.check().unwrap_err().field, "webhook");
    assert!(toml::from_str::<AlarmSettings>("latenes = \"3s\"").is_err());
}

#[test]
fn a_secret_never_shows() {
    let text = "[[webhook]]\nname = \"a\"\nurl = \"http://x/\"\nsecret = \"whsec_c2VjcmV0\"\n";
    let settings: AlarmSettings = toml::from_str(text).unwrap();
    assert!(!format!("{settings:?}").contains("c2VjcmV0"));
    assert!(!toml::to_string(&settings).unwrap().contains("c2VjcmV0"));
}

/// One channel of each kind, with a secret in it wherever one may be.
const ALL_KINDS: &str = r#"
public_url = "https://tw.example"
[[webhook]]
name = "old"
url = "http://x/"
secret = "whsec_SECRETaaaaaaaaaaaaaaaaaaaaaa"
[[channel]]
kind = "webhook"
name = "hook"
url = "http://x/"
secret = "whsec_SECRETaaaaaaaaaaaaaaaaaaaaaa"
[[channel]]
kind = "alertmanager"
name = "am"
url = "http://x/"
token = "SECRET"
[[channel]]
kind = "email"
name = "mail"
host = "mail.example"
from = "a@x.example"
to = ["b@x.example"]
user = "u"
password = "SECRET"
[[channel]]
kind = "mqtt"
name = "bus"
host = "broker.example"
user = "u"
password = "SECRET"
[[channel]]
kind = "dingtalk"
name = "ding"
token = "SECRET"
secret = "SECRET"
[[channel]]
kind = "wecom"
name = "wecom"
key = "SECRET"
[[channel]]
kind = "feishu"
name = "feishu"
token = "SECRET"
secret = "SECRET"
[[channel]]
kind = "sms"
name = "sms"
url = "http://x/?password=SECRET"
headers = { authorization = "SECRET" }
body = "p=SECRET&to={phone}&t={text}"
phones = ["138"]
[[recipient]]
name = "duty"
channels = ["ding", "sms", "old"]
[heartbeat]
url = "http://x/SECRET"
"#;

#[test]
fn every_kind_is_read_and_none_shows_a_secret() {
    // Given a channel of each kind,
    let settings: AlarmSettings = toml::from_str(ALL_KINDS).unwrap();
    assert_eq!(settings.check(), Ok(()));
    // then each has the rates of its kind,
    let rates = |name: &str| {
        let all = settings.all_channels();
        let found = all.iter().find(|channel| &*channel.name == name).unwrap();
        found.way.rates()
    };
    assert_eq!(
        [
            rates("ding"),
            rates("wecom"),
            rates("feishu"),
            rates("sms"),
            rates("old")
        ],
        [(0, 20), (0, 20), (5, 100), (0, 0), (0, 0)]
    );
    // and whichever way they are written, no secret shows.
    let written = serde_json::to_string(&settings).unwrap();
    for text in [format!("{settings:?}"), written] {
        assert!(!text.contains("SECRET"), "{text}");
        assert!(text.contains("mail.example"));
    }
}

#[test]
fn a_channel_that_cannot_be_is_refused_by_its_name() {
    let why = |old: &str, new: &str| {
        assert!(ALL_KINDS.contains(old), "{old}");
        let text = ALL_KINDS.replacen(old, new, 1);
        match toml::from_str::<AlarmSettings>(&text) {
            Err(error) => error.message().to_owned(),
            Ok(settings) => settings.check().expect_err(new).to_string(),
        }
    };
    for (old, new, word) in [
        ("name = \"hook\"", "name = \"old\"", "stands there twice"),
        ("name = \"hook\"", "name = \"a@b\"", "letters"),
        ("kind = \"wecom\"", "kind = \"pager\"", "unknown variant `pager`"),
        ("key = \"SECRET\"", "kez = \"SECRET\"", "unknown field `kez`"),
        ("key = \"SECRET\"", "key = \"\"", "key"),
        (
            "name = \"ding\"",
            "name = \"ding\"\nper_minute = 10001",
            "per_minute",
        ),
        ("name = \"am\"", "name = \"am\"\nalerts_max = 0", "alerts_max"),
        ("user = \"u\"\n", "", "go together"),
        ("name = \"bus\"", "name = \"bus\"\ntls = true", "tls and ca"),
        ("name = \"bus\"", "name = \"bus\"\ntopic = \"a/#\"", "topic"),
        ("phones = [\"138\"]", "phones = []", "phones"),
        ("{text}", "{words}", "{words} is unknown"),
        ("\"ding\", \"sms\"", "\"ding\", \"nobody\"", "there is no channel"),
        (
            "name = \"duty\"",
            "name = \"duty\"\nnext_channel_after = \"1s\"",
            "next_channel_after",
        ),
        ("[heartbeat]", "[heartbeat]\nevery = \"1s\"", "every"),
        ("url = \"http://x/SECRET\"", "url = \"x\"", "heartbeat"),
        ("https://tw.example", "tw.example", "public_url"),
    ] {
        let why = why(old, new);
        assert!(why.contains(word), "{new}: {why}");
        assert!(!why.contains("SECRET"), "{why}");
    }
}
