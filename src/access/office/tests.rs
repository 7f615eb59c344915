use telemetry::time::ManualClock;

use super::*;
use crate::access::office::devices::NewPassword;

const NOW: Timestamp = Timestamp::from_millis(1_763_870_400_000);

/// One site with `pump-1`, which has a password in the file, and `pump-2`, which has none.
const COUNTY: &str = r#"
[county]
name = { zh = "县", en = "county" }
position = { latitude = 27.56, longitude = 119.72 }
[[site]]
id = "s-1"
kind = "sewage_station"
name = { zh = "站", en = "station" }
organisation = "o"
town = "t"
position = { latitude = 27.5, longitude = 119.7 }
[[device]]
id = "pump-1"
site = "s-1"
profile = "sewage-station"
password_hash = "$argon2id$v=19$m=64,t=1,p=1$dG93bndhdGNodGVzdCEhIQ$/IzmfUZDINO3Xx+rfNSmTXRMqu+s6LgAd7RM7GgEu0Q"
[[device]]
id = "pump-2"
site = "s-1"
profile = "sewage-station"
"#;

struct Bench {
    _folder: tempfile::TempDir,
    state: Arc<State>,
    clock: Arc<ManualClock>,
    office: Office,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
    let registry: Registry = toml::from_str(COUNTY).unwrap();
    state.save_registry(&registry).unwrap();
    let clock = Arc::new(ManualClock::at(NOW));
    let kinds = ["sewage-station".into(), "lamp".into()];
    let office = Office::new(Arc::clone(&state), registry, kinds, clock.clone()).unwrap();
    Bench {
        _folder: folder,
        state,
        clock,
        office,
    }
}

impl Bench {
    fn row(&self, name: &str) -> Option<AccessRow> {
        let rows = self.state.access_rows().unwrap();
        rows.into_iter().find(|row| row.name.as_str() == name)
    }

    fn act(&self, name: &str, action: Action) -> Result<Issued, OfficeError> {
        self.office.change(Holder::Device, name, &action, "Wang")
    }

    /// `what subject` of the audit log, oldest first.
    fn audit(&self) -> Vec<String> {
        let mut log = self.state.audit_log(u64::MAX, 100).unwrap();
        log.reverse();
        log.iter()
            .map(|row| format!("{} {}", row.what, row.subject))
            .collect()
    }
}

fn rotate(grace: Span) -> Action {
    Action::Rotate { grace, chosen: None }
}

fn new_device(id: &str) -> NewDevice {
    NewDevice {
        id: DeviceId::new(id).unwrap(),
        site: SiteId::new("s-1").unwrap(),
        profile: "lamp".into(),
        gateway: None,
        name: None,
        position: None,
        password: NewPassword::Made,
    }
}

#[test]
fn a_device_is_disabled_and_enabled_and_keeps_the_password_of_the_file() {
    let bench = bench();
    let disabled = bench.act("pump-1", Action::Disable).unwrap();
    assert!(!disabled.row.enabled && disabled.secret.is_none() && !disabled.next_start);
    assert_eq!(disabled.row.password, Password::Registry);
    let enabled = bench.act("pump-1", Action::Enable).unwrap();
    assert!(enabled.row.enabled);
    assert_eq!((enabled.row.revision, &*enabled.row.changed_by), (2, "Wang"));
    assert_eq!(bench.audit(), ["device disabled pump-1", "device enabled pump-1"]);
    assert!(matches!(
        bench.act("pump-9", Action::Disable),
        Err(OfficeError::Unknown { .. })
    ));
    assert!(matches!(
        bench.act("#", Action::Disable),
        Err(OfficeError::Refused(_))
    ));
}

#[test]
fn a_new_password_is_told_once_and_the_old_one_ends_at_once_or_after_its_grace() {
    // Given a device with the password of the file,
    let bench = bench();
    // when it gets a new one with an hour of grace,
    let issued = bench.act("pump-1", rotate(Span::from_secs(3600))).unwrap();
    // then that of the file counts beside it for an hour;
    let old = issued.row.old.unwrap();
    assert!(old.hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$dG93"));
    assert_eq!(old.until.millis_since(NOW), 3_600_000);
    let secret = issued.secret.unwrap();
    // the next rotation without grace ends both;
    let again = bench.act("pump-1", rotate(Span::ZERO)).unwrap();
    assert_eq!(again.row.old, None);
    assert_ne!(again.secret.as_deref(), Some(secret.as_str()));
    // and no secret is written anywhere.
    let log = format!(
        "{:?}{:?}",
        bench.state.audit_log(u64::MAX, 9).unwrap(),
        bench.row("pump-1")
    );
    assert!(!log.contains(&secret) && !log.contains(&again.secret.unwrap()));
    assert!(
        bench.act("pump-1", rotate(Span::from_secs(31 * 86_400))).is_err(),
        "grace of 31 days"
    );
}

#[test]
fn a_revoked_device_is_let_in_by_a_new_password_only() {
    let bench = bench();
    bench.act("pump-1", rotate(Span::from_secs(60))).unwrap();
    let revoked = bench.act("pump-1", Action::Revoke).unwrap().row;
    assert_eq!(
        (revoked.password, revoked.old, revoked.enabled),
        (Password::None, None, false)
    );
    assert!(matches!(
        bench.act("pump-1", Action::Enable),
        Err(OfficeError::Conflict(_))
    ));
    let rotated = bench.act("pump-1", rotate(Span::from_secs(60))).unwrap();
    assert!(rotated.row.enabled && rotated.row.old.is_none());
}

#[test]
fn a_chosen_password_has_to_be_long_enough() {
    let bench = bench();
    let chosen = |password: &str| Action::Rotate {
        grace: Span::ZERO,
        chosen: Some(password.to_owned()),
    };
    assert!(matches!(
        bench.act("pump-1", chosen("short")),
        Err(OfficeError::Secret(_))
    ));
    assert_eq!(bench.row("pump-1"), None);
    let issued = bench.act("pump-1", chosen("long enough")).unwrap();
    assert_eq!(issued.secret, None, "who chose it knows it");
}

#[test]
fn a_device_is_added_where_there_is_a_place_for_it_and_removed_again() {
    let bench = bench();
    let issued = bench.office.add_device(&new_device("lamp-1"), "Wang").unwrap();
    assert!(issued.next_start && issued.secret.is_some());
    // The same name again, a name of the file, a site or a kind that there is not, a gateway that there is not:
    let wrong = [
        new_device("lamp-1"),
        new_device("pump-1"),
        NewDevice {
            site: SiteId::new("s-9").unwrap(),
            ..new_device("lamp-2")
        },
        NewDevice {
            profile: "submarine".into(),
            ..new_device("lamp-2")
        },
        NewDevice {
            gateway: DeviceId::new("gw").ok(),
            ..new_device("lamp-2")
        },
        NewDevice {
            gateway: DeviceId::new("lamp-2").ok(),
            ..new_device("lamp-2")
        },
    ];
    for device in wrong {
        assert!(bench.office.add_device(&device, "Wang").is_err(), "{device:?}");
    }
    let listed = bench.office.devices().unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|d| (d.id.as_str(), d.declared, d.password))
        .collect();
    assert_eq!(
        shown,
        [
            ("lamp-1", "added", "own"),
            ("pump-1", "registry", "registry"),
            ("pump-2", "registry", "missing")
        ]
    );
    bench.office.remove_device("lamp-1", "Wang").unwrap();
    assert_eq!(bench.row("lamp-1"), None);
    assert!(matches!(
        bench.office.remove_device("pump-1", "Wang"),
        Err(OfficeError::Conflict(_))
    ));
    assert_eq!(bench.audit(), ["device added lamp-1", "device removed lamp-1"]);
}

#[test]
fn of_many_devices_all_are_added_or_none() {
    let bench = bench();
    let behind = NewDevice {
        gateway: DeviceId::new("lamp-2").ok(),
        ..new_device("lamp-1")
    };
    // A list whose third device is wrong names it, and leaves nothing;
    let list = [behind.clone(), new_device("lamp-2"), new_device("pump-1")];
    let (place, error) = bench.office.add_devices(&list, "Wang", |_| Ok(())).unwrap_err();
    assert_eq!(place, 2);
    assert!(matches!(error, OfficeError::Taken { .. }));
    // nor does one whose passwords cannot be kept;
    let full = |_: &[Issued]| Err(OfficeError::File("no room".to_owned()));
    assert!(bench.office.add_devices(&list[..2], "Wang", full).is_err());
    assert!(bench.state.added_devices().unwrap().is_empty() && bench.audit().is_empty());
    // a gateway may stand behind its devices.
    let issued = bench.office.add_devices(&list[..2], "Wang", |_| Ok(())).unwrap();
    assert_eq!(issued.len(), 2);
    assert!(matches!(
        bench.office.remove_device("lamp-2", "Wang"),
        Err(OfficeError::Conflict(_))
    ));
}

#[test]
fn an_account_has_a_name_of_its_own_and_filters_within_bounds() {
    let bench = bench();
    let hears = || vec!["tw/v1/+/telemetry".into()];
    let add = |name: &str, publish: Vec<Box<str>>, subscribe| {
        bench.office.add_account(name, publish, subscribe, None, "Wang")
    };
    let issued = add("scada", vec!["tw/v1/pump-1/cmd".into()], hears()).unwrap();
    assert!(issued.secret.is_some() && !issued.next_start);
    for (name, publish, subscribe) in [
        ("scada", vec![], hears()),
        ("pump-1", vec![], hears()),
        ("#", vec![], hears()),
        ("a/b", vec![], hears()),
        ("nothing", vec![], vec![]),
        ("all", vec![], vec!["#".into()]),
        ("sys", vec![], vec!["$SYS/#".into()]),
        ("says-all", vec!["tw/v1/#".into()], hears()),
        ("many", vec![], vec!["tw/v1/a/b".into(); 51]),
    ] {
        assert!(add(name, publish, subscribe).is_err(), "{name}");
    }
    assert!(
        bench.office.add_device(&new_device("scada"), "Wang").is_err(),
        "the name is an account's"
    );
    let accounts = bench.office.accounts().unwrap();
    assert_eq!(accounts.len(), 1);
    assert_eq!(&*accounts[0].publish[0], "tw/v1/pump-1/cmd");
    let disabled = bench
        .office
        .change(Holder::Account, "scada", &Action::Disable, "Wang");
    assert!(!disabled.unwrap().row.enabled);
    assert!(
        bench
            .office
            .change(Holder::Account, "pump-1", &Action::Disable, "Wang")
            .is_err()
    );
    bench.office.remove_account("scada", "Wang").unwrap();
    assert_eq!(
        bench.audit(),
        [
            "account added scada",
            "account disabled scada",
            "account removed scada"
        ]
    );
}

#[test]
fn a_token_registers_as_many_devices_as_it_says_until_its_time() {
    // Given a token for two lamps,
    let bench = bench();
    let new = NewToken {
        site: SiteId::new("s-1").unwrap(),
        profile: "sewage-station".into(),
        gateway: None,
        uses: 2,
        expires: Span::from_secs(60),
    };
    let (_, token) = bench.office.add_token(&new, "Wang").unwrap();
    // when a device of the file without a password brings it, it has one at once;
    let first = bench.office.provision(&token, "pump-2").unwrap();
    assert_eq!((first.row.name.as_str(), first.next_start), ("pump-2", false));
    // a device that has one already, or that is nobody's name, does not use it up;
    for name in ["pump-2", "pump-1", "#", ""] {
        assert!(bench.office.provision(&token, name).is_err(), "{name}");
    }
    // a new device is added where the token says;
    let second = bench.office.provision(&token, "pump-3").unwrap();
    assert!(second.next_start && second.secret != first.secret);
    assert_eq!(bench.state.added_devices().unwrap()[0].site.as_str(), "s-1");
    // and a third finds it used up.
    assert!(matches!(
        bench.office.provision(&token, "pump-4"),
        Err(OfficeError::Token)
    ));
    // A token that is too old, taken back or never made does not count either.
    let (_, old) = bench.office.add_token(&new, "Wang").unwrap();
    let (row, gone) = bench.office.add_token(&new, "Wang").unwrap();
    bench.office.remove_token(&row.id, "Wang").unwrap();
    bench.clock.advance(Span::from_secs(60));
    for token in [&*old, &gone, "twp_guess", ""] {
        assert!(
            matches!(bench.office.provision(token, "pump-5"), Err(OfficeError::Token)),
            "{token}"
        );
    }
    let written = format!("{:?}", bench.state.audit_log(u64::MAX, 99).unwrap());
    assert!(!written.contains("twp_") && !written.contains(&first.secret.unwrap()));
}
