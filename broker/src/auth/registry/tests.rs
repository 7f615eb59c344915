use super::*;
use crate::auth::rules::Who as RuleWho;
use crate::auth::rules::{NOBODY, Rule};

/// argon2-cffi 25.1.0 (PyPI), 64 KiB, 1 pass, 1 lane: the password `secret`, and with another salt again.
const SECRET: &str =
    "$argon2id$v=19$m=64,t=1,p=1$dG93bndhdGNodGVzdCEhIQ$/IzmfUZDINO3Xx+rfNSmTXRMqu+s6LgAd7RM7GgEu0Q";

fn device(name: &str, hashes: &[&str]) -> Rule {
    Rule {
        name: DeviceId::new(name).unwrap(),
        who: RuleWho::Device {
            speaks_for: vec![],
            life_safety: false,
        },
        enabled: true,
        hashes: hashes.iter().map(|&hash| hash.into()).collect(),
    }
}

fn authenticator(rules: Vec<Rule>) -> RegistryAuthenticator {
    let (rules, errors) = Rules::build(rules);
    assert!(errors.is_empty(), "{errors:?}");
    RegistryAuthenticator::with_rules(rules, Anonymous::Refuse)
}

fn login<'a>(user: &'a str, password: &'a str) -> Login<'a> {
    Login {
        client_id: user,
        user: Some(user),
        password: Some(password.as_bytes()),
        certificate: None,
        peer: "192.0.2.1:1".parse().unwrap(),
    }
}

async fn enter(door: &RegistryAuthenticator, user: &str, password: &str) -> Result<Identity, Refusal> {
    door.authenticate(login(user, password)).await
}

fn other_hash() -> String {
    use argon2::{Algorithm, Params, PasswordHasher, Version};
    let params = Params::new(64, 1, 1, None).unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(b"another", b"saltsalt")
        .unwrap()
        .to_string()
}

#[test]
fn the_password_of_nobody_is_verified_like_any_other() {
    // A string that did not parse would fail at once and tell who exists.
    let wrong = Argon2::default().verify_password(b"guess", NOBODY).unwrap_err();
    assert_eq!(wrong, argon2::password_hash::Error::PasswordInvalid);
}

#[test]
fn a_refusal_is_told_on_the_next_full_step_whatever_it_cost() {
    let began = Instant::now();
    for (took_ms, told_ms) in [(0, 100), (1, 100), (100, 100), (101, 200), (250, 300)] {
        let now = began + std::time::Duration::from_millis(took_ms);
        assert_eq!(
            answer_at(began, now),
            began + std::time::Duration::from_millis(told_ms),
            "{took_ms}"
        );
    }
}

#[tokio::test]
async fn nobody_comes_in_under_empty_rules() {
    let door = authenticator(vec![]);
    for (user, password) in [("pump-1", "secret"), ("", ""), ("#", ""), ("+", "secret")] {
        assert_eq!(
            enter(&door, user, password).await,
            Err(Refusal::BadCredentials),
            "{user}"
        );
    }
    let anonymous = Login {
        user: None,
        password: None,
        ..login("x", "")
    };
    assert_eq!(door.authenticate(anonymous).await, Err(Refusal::NotAuthorized));
    assert_eq!(door.permissions_of("pump-1"), None);
    assert_eq!(door.permissions_of("/x"), None);
}

#[tokio::test]
async fn a_device_that_is_disabled_goes_at_once_and_comes_back_when_it_is_enabled() {
    // Given a device that is in,
    let door = authenticator(vec![device("pump-1", &[SECRET])]);
    let changes = door.changes();
    let identity = enter(&door, "pump-1", "secret").await.unwrap();
    assert!(matches!(door.review(&identity), Review::Stays(_)));
    // when it is disabled,
    let disabled = Rule {
        enabled: false,
        ..device("pump-1", &[SECRET])
    };
    door.apply(Rules::build(vec![disabled]).0);
    // then it has to go, its right password is told so, a wrong one learns nothing, and nothing is remembered of it.
    assert!(changes.has_changed().unwrap());
    assert_eq!(door.review(&identity), Review::Ends(Ending::NotAuthorized));
    assert!(lock(&door.verified).is_empty());
    assert_eq!(door.permissions_of("pump-1"), None);
    assert_eq!(
        enter(&door, "pump-1", "secret").await,
        Err(Refusal::NotAuthorized)
    );
    assert_eq!(
        enter(&door, "pump-1", "guess").await,
        Err(Refusal::BadCredentials)
    );
    door.apply(Rules::build(vec![device("pump-1", &[SECRET])]).0);
    assert!(enter(&door, "pump-1", "secret").await.is_ok());
    // A device that is no longer registered is a stranger.
    door.apply(Rules::default());
    assert_eq!(door.review(&identity), Review::Ends(Ending::NotAuthorized));
    assert_eq!(
        enter(&door, "pump-1", "secret").await,
        Err(Refusal::BadCredentials)
    );
}

#[tokio::test]
async fn a_replaced_password_ends_with_its_grace_and_not_before() {
    // Given a device that is in with its old password,
    let (door, new) = (authenticator(vec![device("pump-1", &[SECRET])]), other_hash());
    let old = enter(&door, "pump-1", "secret").await.unwrap();
    // when it gets a new one, with grace,
    door.apply(Rules::build(vec![device("pump-1", &[&new, SECRET])]).0);
    // then both open, and it stays;
    assert!(matches!(door.review(&old), Review::Stays(_)));
    assert!(enter(&door, "pump-1", "secret").await.is_ok());
    let renewed = enter(&door, "pump-1", "another").await.unwrap();
    assert_eq!(
        enter(&door, "pump-1", "neither").await,
        Err(Refusal::BadCredentials)
    );
    // and when the grace is over, the old one does not.
    door.apply(Rules::build(vec![device("pump-1", &[&new])]).0);
    assert_eq!(door.review(&old), Review::Ends(Ending::Replaced));
    assert!(matches!(door.review(&renewed), Review::Stays(_)));
    assert_eq!(
        enter(&door, "pump-1", "secret").await,
        Err(Refusal::BadCredentials)
    );
}

#[tokio::test]
async fn a_certificate_opens_for_its_device_only_and_as_long_as_it_is_enabled() {
    let door = authenticator(vec![device("pump-1", &[]), device("pump-2", &[SECRET])]);
    let with = |user: Option<&'static str>, client_id: &'static str| Login {
        client_id,
        user,
        password: None,
        certificate: Some("pump-1"),
        ..login("", "")
    };
    let identity = door.authenticate(with(None, "pump-1")).await.unwrap();
    assert!(door.authenticate(with(Some("pump-1"), "")).await.is_ok());
    assert_eq!(
        door.authenticate(with(Some("pump-2"), "")).await,
        Err(Refusal::BadCredentials)
    );
    assert_eq!(
        door.authenticate(with(None, "pump-2")).await,
        Err(Refusal::ClientIdNotValid)
    );
    let stranger = Login {
        certificate: Some("pump-9"),
        ..with(None, "")
    };
    assert_eq!(door.authenticate(stranger).await, Err(Refusal::NotAuthorized));
    // A password does not open where there is none.
    assert_eq!(enter(&door, "pump-1", "").await, Err(Refusal::BadCredentials));
    let disabled = Rule {
        enabled: false,
        ..device("pump-1", &[])
    };
    door.apply(Rules::build(vec![disabled]).0);
    assert_eq!(door.review(&identity), Review::Ends(Ending::NotAuthorized));
}

#[tokio::test]
async fn an_account_has_sessions_of_its_own_that_no_device_shares() {
    // Given an account `a` and a device whose id looks like one of its client ids,
    let account = Rule {
        who: RuleWho::Account {
            publish: vec![],
            subscribe: vec!["tw/v1/#".into()],
        },
        ..device("a", &[SECRET])
    };
    let door = authenticator(vec![account, device("a-1", &[SECRET])]);
    let by = |client_id: &'static str| Login {
        client_id,
        ..login("a", "secret")
    };
    let first = door.authenticate(by("a-1")).await.unwrap();
    // then their sessions differ, and the account may only hear.
    assert_eq!(&*first.key("a-1"), "a/a-1");
    assert_eq!(&*enter(&door, "a-1", "secret").await.unwrap().key("a-1"), "a-1");
    assert!(door.permissions_of("a/a-1").unwrap().may_hear("tw/v1/x/state"));
    assert!(!door.permissions_of("a-1").unwrap().may_hear("tw/v1/x/state"));
    assert_eq!(
        door.permissions_of("a"),
        None,
        "a device of that name there is not"
    );
    assert_eq!(first.permissions().may_publish("tw/v1/x/cmd"), None);
    assert_eq!(door.authenticate(by("b")).await, Err(Refusal::ClientIdNotValid));
}

#[tokio::test]
async fn who_guesses_is_slowed_down_and_others_are_not() {
    let door = authenticator(vec![device("pump-1", &[SECRET])]);
    for _ in 0..limits::FAILED_LOGINS_FREE {
        assert_eq!(
            enter(&door, "pump-1", "guess").await,
            Err(Refusal::BadCredentials)
        );
    }
    // Even the right password has to wait there,
    assert_eq!(enter(&door, "pump-1", "secret").await, Err(Refusal::TooFast));
    // not so from elsewhere,
    let elsewhere = Login {
        peer: "192.0.2.2:1".parse().unwrap(),
        ..login("pump-1", "secret")
    };
    assert!(door.authenticate(elsewhere).await.is_ok());
    // nor when the pause is over.
    let place = door.place("pump-1", login("pump-1", "").peer);
    let later = Instant::now() + std::time::Duration::from_secs(1);
    assert!(lock(&door.slow_down).is_open(place, later));
}

#[tokio::test]
async fn a_device_of_after_the_start_is_told_to_come_later() {
    let later = Rule {
        who: RuleWho::NotYet,
        ..device("new-1", &[SECRET])
    };
    let door = authenticator(vec![later]);
    assert_eq!(enter(&door, "new-1", "secret").await, Err(Refusal::Unavailable));
    assert_eq!(enter(&door, "new-1", "guess").await, Err(Refusal::BadCredentials));
}
