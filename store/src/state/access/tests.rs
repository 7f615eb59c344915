use super::*;

fn open() -> (tempfile::TempDir, State) {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.db")).unwrap();
    (folder, state)
}

fn row(name: &str) -> AccessRow {
    AccessRow {
        name: DeviceId::new(name).unwrap(),
        holder: Holder::Account,
        password: Password::Own("$argon2id$new".into()),
        old: Some(OldPassword {
            hash: "$argon2id$old".into(),
            until: Timestamp::from_millis(99),
        }),
        enabled: true,
        revision: 3,
        changed_at: Timestamp::from_millis(7),
        changed_by: "Wang".into(),
        rotated_at: Some(Timestamp::from_millis(6)),
        publish: vec!["tw/v1/a/cmd".into()],
        subscribe: vec!["tw/v1/#".into(), "tw/v1/\"x/+".into()],
    }
}

fn added(id: &str) -> Device {
    let body =
        format!(r#"{{"id": "{id}", "site": "s-1", "profile": "lamp", "password_hash": "$argon2id$x"}}"#);
    serde_json::from_str(&body).unwrap()
}

fn entry(what: &'static str) -> AuditEntry<'static> {
    AuditEntry {
        at: Timestamp::from_millis(5),
        by: "Wang",
        what,
        subject: "pump-1",
        detail: "",
    }
}

#[test]
fn a_change_is_kept_whole_and_seen_by_another_process() {
    // Given a watch of another opener of the file,
    let (folder, state) = open();
    let other = State::open(&folder.path().join("state.db")).unwrap();
    let watch = other.access_watch().unwrap();
    let before = watch.revision().unwrap();
    // when rows, a device and a token are written in one change,
    let device_row = AccessRow {
        holder: Holder::Device,
        password: Password::Registry,
        old: None,
        rotated_at: None,
        publish: vec![],
        subscribe: vec![],
        ..row("pump-1")
    };
    let token = TokenRow {
        id: "t-1".into(),
        sha256: [7; 32],
        site: SiteId::new("s-1").unwrap(),
        profile: "lamp".into(),
        gateway: Some(DeviceId::new("gw").unwrap()),
        uses_left: 2,
        expires_at: Timestamp::from_millis(100),
        made_at: Timestamp::from_millis(1),
        made_by: "Wang".into(),
    };
    state
        .change_access(|change| {
            change.put(&row("ops"))?;
            change.put(&device_row)?;
            change.add_device(&added("lamp-9"))?;
            change.put_token(&token)?;
            change.audit(entry("device added"))
        })
        .unwrap();
    // then the other sees that, and what: the added device without its hash.
    assert_eq!(watch.revision().unwrap(), before + 1);
    assert_eq!(other.access_rows().unwrap(), [row("ops"), device_row]);
    let bare = Device {
        password_hash: None,
        ..added("lamp-9")
    };
    assert_eq!(other.added_devices().unwrap(), std::slice::from_ref(&bare));
    assert_eq!(other.provisioning_tokens().unwrap(), std::slice::from_ref(&token));
    assert_eq!(other.audit_log(u64::MAX, 10).unwrap().len(), 1);
    let found = other.change_access(|change| change.token(&[7; 32])).unwrap();
    assert_eq!(found, Some(token));
    // The registry file goes before what was added.
    let registry = Registry {
        devices: vec![added("lamp-9")],
        ..Registry::default()
    };
    let (merged, in_both) = other.with_added(registry).unwrap();
    assert_eq!(
        (merged.devices, in_both),
        (vec![added("lamp-9")], vec![bare.id.clone()])
    );
    assert_eq!(other.with_added(Registry::default()).unwrap().0.devices, [bare]);
}

#[test]
fn a_change_that_fails_leaves_nothing() {
    let (_folder, state) = open();
    let failed: Result<(), StateError> = state.change_access(|change| {
        change.put(&row("ops"))?;
        change.audit(entry("account added"))?;
        change.add_device(&added("lamp-9"))?;
        change.add_device(&added("lamp-9"))
    });
    assert!(matches!(failed, Err(StateError::Engine { .. })));
    assert!(state.access_rows().unwrap().is_empty() && state.added_devices().unwrap().is_empty());
    assert!(state.audit_log(u64::MAX, 10).unwrap().is_empty());
    assert_eq!(state.access_watch().unwrap().revision().unwrap(), 0);
}

#[test]
fn the_audit_log_grows_and_is_never_rewritten() {
    // Given three lines,
    let (_folder, state) = open();
    for what in ["one", "two", "three"] {
        state.audit(entry(what)).unwrap();
    }
    // then they come newest first, in pages,
    let page = state.audit_log(3, 1).unwrap();
    assert_eq!((page[0].seq, &*page[0].what, &*page[0].by), (2, "two", "Wang"));
    // and the file itself refuses to change or lose one.
    let writer = state.writer.lock().unwrap();
    for sql in ["UPDATE audit SET by = 'x'", "DELETE FROM audit"] {
        let error = writer.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[test]
fn a_damaged_row_is_named_and_lets_nobody_in() {
    let (_folder, state) = open();
    state.change_access(|change| change.put(&row("ops"))).unwrap();
    for sql in [
        "UPDATE access SET name = '#'",
        "UPDATE access SET name = 'ops', password = 'none'",
        "UPDATE access SET password = 'own', subscribe = 'tw/v1/#'",
    ] {
        state.writer.lock().unwrap().execute(sql, []).unwrap();
        let error = state.access_rows().unwrap_err();
        assert!(
            matches!(error, StateError::Damaged { table: "access", .. }),
            "{sql}: {error}"
        );
    }
}
