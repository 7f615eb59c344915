//! Who may come in and what with: a set of rules, checked whole before it counts. Pure.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Params};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use telemetry::{Catalogue, DeviceId};

use crate::acl::Permissions;
use crate::auth::Credential;
use crate::{limits, topic};

/// What is verified for a user that does not exist, when no rule holds a hash at all: the parameters that
/// OWASP recommends. Its password is not known to anybody.
pub(super) const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5cy1zYWx0LWhlcmU$\
                      t7ETgBn7aDGuSTgd1WThTZ8g/u0HZbpQlYWAXGHXxIc";

/// What is wrong with one rule. That rule lets nobody in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Two rules have the same name, e.g. a device and an account. Rename one; neither counts.
    #[error("{name} stands twice among the devices and accounts")]
    Twice {
        /// Which.
        name: DeviceId,
    },
    /// The stored password hash is none, or asks for more work than is allowed. Give a new password.
    #[error("the password hash of {name} cannot be used: {why}")]
    Hash {
        /// Whose.
        name: DeviceId,
        /// What is wrong; never the hash.
        why: String,
    },
    /// A filter of an account that it may not have.
    #[error("the filter {filter:?} of account {name} cannot be used: {why}")]
    Filter {
        /// Whose.
        name: DeviceId,
        /// Which.
        filter: Box<str>,
        /// What is wrong.
        why: &'static str,
    },
}

/// One name that may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its user name: a device id, or an account of the same form.
    pub name: DeviceId,
    /// What it is.
    pub who: Who,
    /// Whether it may come in at present.
    pub enabled: bool,
    /// Its passwords as argon2id PHC strings: none, one, or for a time two. Any of them opens.
    pub hashes: Vec<Box<str>>,
}

/// What comes in under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A device, and the devices that it speaks for as their gateway.
    Device {
        /// Other devices.
        speaks_for: Vec<DeviceId>,
        /// Whether its profile says that lives may hang on it.
        life_safety: bool,
    },
    /// A device that was registered after the start: nobody could read its messages yet.
    NotYet,
    /// A service account with its filters.
    Account {
        /// What it may publish: each names a kind of message, e.g. `tw/v1/pump-1/cmd`, `tw/v1/+/telemetry`.
        publish: Vec<Box<str>>,
        /// What it may hear, below `tw/v1/`.
        subscribe: Vec<Box<str>>,
    },
}

/// A rule that was checked.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) name: DeviceId,
    who: Who,
    pub(super) enabled: bool,
    pub(super) hashes: Vec<Arc<str>>,
}

impl Known {
    /// What it may do.
    pub(super) fn permissions(&self) -> Permissions {
        let name = self.name.clone();
        match &self.who {
            Who::Device { speaks_for, .. } => Permissions::device(name, speaks_for.clone()),
            Who::NotYet => Permissions::account(name, Vec::new(), Vec::new()),
            Who::Account { publish, subscribe } => {
                Permissions::account(name, publish.clone(), subscribe.clone())
            }
        }
    }

    pub(super) fn is_account(&self) -> bool {
        matches!(self.who, Who::Account { .. })
    }

    pub(super) fn is_life_safety(&self) -> bool {
        matches!(
            self.who,
            Who::Device {
                life_safety: true,
                ..
            }
        )
    }

    pub(super) fn not_yet(&self) -> bool {
        self.who == Who::NotYet
    }

    /// Whether `client_id` is one of its own. Without one it is given one.
    pub(super) fn owns(&self, client_id: &str) -> bool {
        let rest = client_id.strip_prefix(self.name.as_str());
        match rest {
            _ if client_id.is_empty() => true,
            Some("") => true,
            Some(rest) if self.is_account() => rest.starts_with('-') && DeviceId::new(client_id).is_ok(),
            Some(_) | None => false,
        }
    }
}

/// Names that may come in: nobody, unless rules say so.
#[derive(Clone, Debug)]
pub struct Rules {
    names: FxHashMap<DeviceId, Known>,
    /// What an unknown user's password is held against, so that it takes as long as a known one's.
    nobody: Arc<str>,
    /// The most passwords of one name: each refusal takes as many verifications.
    rounds: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            names: FxHashMap::default(),
            nobody: NOBODY.into(),
            rounds: 1,
        }
    }
}

impl Rules {
    /// Checks `rules`. What is wrong with some of them comes back too: those let nobody in, the others count. At the
    /// start of a program any of it is a reason not to start.
    #[must_use]
    pub fn build(rules: Vec<Rule>) -> (Self, Vec<RuleError>) {
        let mut checked = Self::default();
        let mut errors = Vec::new();
        let mut twice = Vec::new();
        let mut nobody = None;
        for rule in rules {
            match check(rule) {
                Ok(known) => {
                    nobody = nobody.or_else(|| known.hashes.first().cloned());
                    checked.rounds = checked.rounds.max(known.hashes.len());
                    if let Some(before) = checked.names.insert(known.name.clone(), known) {
                        twice.push(before.name);
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        for name in twice {
            checked.names.remove(&name);
            errors.push(RuleError::Twice { name });
        }
        checked.nobody = nobody.unwrap_or(checked.nobody);
        (checked, errors)
    }

    /// The devices of `catalogue` that have a password hash, each enabled.
    #[must_use]
    pub fn of(catalogue: &Catalogue) -> Vec<Rule> {
        let mut behind: FxHashMap<&DeviceId, Vec<DeviceId>> = FxHashMap::default();
        for entry in catalogue.devices() {
            if let Some(gateway) = &entry.device.gateway {
                behind.entry(gateway).or_default().push(entry.device.id.clone());
            }
        }
        let devices = catalogue.devices().iter();
        devices
            .map(|entry| (&entry.device, entry.profile.life_safety))
            .map(|(device, life_safety)| Rule {
                name: device.id.clone(),
                who: Who::Device {
                    speaks_for: behind.get(&device.id).cloned().unwrap_or_default(),
                    life_safety,
                },
                enabled: true,
                hashes: device.password_hash.iter().cloned().collect(),
            })
            .collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Known> {
        self.names.get(name)
    }

    /// What to verify a password against: as many hashes for everybody, known or not.
    pub(super) fn to_verify(&self, known: Option<&Known>) -> Vec<Arc<str>> {
        let own = known.into_iter().flat_map(|known| known.hashes.iter().cloned());
        own.chain(std::iter::repeat(Arc::clone(&self.nobody)))
            .take(self.rounds)
            .collect()
    }
}

/// The mark of a password hash that a client came in with.
pub(super) fn mark(hash: &str) -> Credential {
    let digest: [u8; 32] = Sha256::digest(hash.as_bytes()).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    Credential::Password([a, b, c, d, e, f, g, h])
}

fn check(rule: Rule) -> Result<Known, RuleError> {
    for hash in &rule.hashes {
        check_hash(hash).map_err(|why| RuleError::Hash {
            name: rule.name.clone(),
            why,
        })?;
    }
    if let Who::Account { publish, subscribe } = &rule.who {
        let wrong = |filter: &str, why| RuleError::Filter {
            name: rule.name.clone(),
            filter: filter.into(),
            why,
        };
        for filter in subscribe {
            check_subscribe(filter).map_err(|why| wrong(filter, why))?;
        }
        for filter in publish {
            check_publish(filter).map_err(|why| wrong(filter, why))?;
        }
    }
    Ok(Known {
        name: rule.name,
        who: rule.who,
        enabled: rule.enabled,
        hashes: rule.hashes.iter().map(|hash| Arc::from(&**hash)).collect(),
    })
}

/// Whether a password hash can be used: argon2id, as a PHC string, within [`limits::ARGON2_KIB_MAX`],
/// [`limits::ARGON2_PASSES_MAX`] and [`limits::ARGON2_LANES_MAX`].
///
/// # Errors
/// What is wrong with it; the text holds nothing of the hash.
pub fn check_hash(hash: &str) -> Result<(), String> {
    let parsed = PasswordHash::new(hash).map_err(|error| format!("it is not a PHC string ({error})"))?;
    let is_argon2id =
        Algorithm::try_from(parsed.algorithm.as_str()).is_ok_and(|found| found == Algorithm::Argon2id);
    if !is_argon2id {
        return Err("it is not argon2id".to_owned());
    }
    if parsed.hash.is_none() || parsed.salt.is_none() {
        return Err("it has no salt or no hash".to_owned());
    }
    let params = Params::try_from(&parsed).map_err(|error| format!("its parameters are wrong ({error})"))?;
    if params.m_cost() > limits::ARGON2_KIB_MAX
        || params.t_cost() > limits::ARGON2_PASSES_MAX
        || params.p_cost() > limits::ARGON2_LANES_MAX
    {
        return Err(format!(
            "it asks for more than {} KiB, {} passes or {} lanes",
            limits::ARGON2_KIB_MAX,
            limits::ARGON2_PASSES_MAX,
            limits::ARGON2_LANES_MAX
        ));
    }
    Ok(())
}

/// Whether an account may be given `filter` to hear.
///
/// # Errors
/// What is wrong with it.
pub fn check_subscribe(filter: &str) -> Result<(), &'static str> {
    topic::check_filter(filter).map_err(|_| "it is not a filter, or too long or too deep")?;
    if filter.starts_with(topic::PREFIX) {
        Ok(())
    } else {
        Err("it does not start with tw/v1/")
    }
}

/// Whether an account may be given `filter` to publish.
///
/// # Errors
/// What is wrong with it.
pub fn check_publish(filter: &str) -> Result<(), &'static str> {
    check_subscribe(filter)?;
    // tw / v1 / device or + / kind: a wildcard there would allow commands without saying so.
    match filter.split('/').nth(3) {
        None | Some("" | "+" | "#") => {
            Err("it has to name a kind of message: tw/v1/{device}/cmd, tw/v1/+/telemetry, …")
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// argon2-cffi 25.1.0 (PyPI): the password `secret`, 64 KiB, 1 pass, 1 lane.
    const SECRET: &str =
        "$argon2id$v=19$m=64,t=1,p=1$dG93bndhdGNodGVzdCEhIQ$/IzmfUZDINO3Xx+rfNSmTXRMqu+s6LgAd7RM7GgEu0Q";

    fn rule(name: &str, who: Who) -> Rule {
        Rule {
            name: DeviceId::new(name).unwrap(),
            who,
            enabled: true,
            hashes: vec![SECRET.into()],
        }
    }

    fn device() -> Who {
        Who::Device {
            speaks_for: vec![],
            life_safety: false,
        }
    }

    #[test]
    fn no_rules_let_nobody_in() {
        let (rules, errors) = Rules::build(vec![]);
        assert!(errors.is_empty() && rules.get("pump-1").is_none() && rules.get("").is_none());
        assert_eq!(rules.to_verify(None), [Arc::from(NOBODY)]);
    }

    #[test]
    fn a_hash_that_cannot_be_used_is_named_and_lets_nobody_in() {
        // Source: CVE-2018-12551, a malformed password line became a valid user.
        for (hash, why) in [
            ("", "not a PHC string"),
            ("secret", "not a PHC string"),
            ("$argon2id", "no salt"),
            (
                "$argon2id$v=19$m=64,t=1,p=1$dG93bndhdGNodGVzdCEhIQ",
                "no salt or no hash",
            ),
            (
                "$argon2i$v=19$m=64,t=1,p=1$dG93bndhdGNodGVzdCEhIQ$/IzmfUZDINO3Xx+rfNSmTXRMqu+s6LgAd7RM7GgEu0Q",
                "not argon2id",
            ),
            (
                "$argon2id$v=19$m=4194304,t=1,p=1$dG93bndhdGNodGVzdCEhIQ$/IzmfUZDINO3Xx+rfNSmTXRMqu+s6LgAd7RM7GgEu0Q",
                "more than",
            ),
            (
                "$argon2id$v=19$m=64,t=1000,p=1$dG93bndhdGNodGVzdCEhIQ$/IzmfUZDINO3Xx+rfNSmTXRMqu+s6LgAd7RM7GgEu0Q",
                "more than",
            ),
        ] {
            let broken = Rule {
                hashes: vec![hash.into()],
                ..rule("pump-1", device())
            };
            let (rules, errors) = Rules::build(vec![broken, rule("pump-2", device())]);
            assert!(
                rules.get("pump-1").is_none() && rules.get("pump-2").is_some(),
                "{hash}"
            );
            let text = errors[0].to_string();
            assert!(text.contains("pump-1") && text.contains(why), "{hash}: {text}");
            assert!(!text.contains("IzmfUZDINO3"), "{text}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_lets_neither_in() {
        let account = Who::Account {
            publish: vec![],
            subscribe: vec!["tw/v1/#".into()],
        };
        let (rules, errors) = Rules::build(vec![rule("ops", device()), rule("ops", account)]);
        assert!(rules.get("ops").is_none());
        assert_eq!(
            errors,
            [RuleError::Twice {
                name: DeviceId::new("ops").unwrap()
            }]
        );
    }

    #[test]
    fn an_account_is_given_filters_of_ours_only_and_publishes_what_is_named() {
        for filter in ["tw/v1/#", "tw/v1/+/telemetry", "tw/v1/a/cmd"] {
            assert_eq!(check_subscribe(filter), Ok(()), "{filter}");
        }
        for filter in [
            "#",
            "+/v1/#",
            "tw/#",
            "$SYS/#",
            "$share/g/tw/v1/#",
            "",
            "tw/v1/a#",
        ] {
            assert!(check_subscribe(filter).is_err(), "{filter}");
        }
        for filter in ["tw/v1/a/cmd", "tw/v1/+/telemetry", "tw/v1/a/cmd/#"] {
            assert_eq!(check_publish(filter), Ok(()), "{filter}");
        }
        for filter in [
            "tw/v1/#",
            "tw/v1/a/#",
            "tw/v1/a/+",
            "tw/v1/+/#",
            "tw/v1/a",
            "tw/v1/+",
            "#",
        ] {
            assert!(check_publish(filter).is_err(), "{filter}");
        }
        let account = Who::Account {
            publish: vec!["tw/v1/a/#".into()],
            subscribe: vec![],
        };
        let (rules, errors) = Rules::build(vec![rule("ops", account)]);
        assert!(rules.get("ops").is_none() && errors.len() == 1, "{errors:?}");
    }

    #[test]
    fn a_client_id_belongs_to_its_device_and_an_account_has_several() {
        let account = Who::Account {
            publish: vec![],
            subscribe: vec![],
        };
        let (rules, _) = Rules::build(vec![rule("pump-1", device()), rule("ops", account)]);
        let (pump, ops) = (rules.get("pump-1").unwrap(), rules.get("ops").unwrap());
        for (known, own) in [
            (pump, "pump-1"),
            (pump, ""),
            (ops, ""),
            (ops, "ops"),
            (ops, "ops-2"),
        ] {
            assert!(known.owns(own), "{} {own:?}", known.name);
        }
        for (known, foreign) in [
            (pump, "pump-1-2"),
            (pump, "pump-10"),
            (pump, "ops"),
            (ops, "ops2"),
            (ops, "ops-a/b"),
            (ops, "ops-#"),
        ] {
            assert!(!known.owns(foreign), "{} {foreign:?}", known.name);
        }
    }
}
