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
