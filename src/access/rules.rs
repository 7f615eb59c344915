//! What the gate is told: the registry's devices with what was decided about them. Pure.

use std::collections::{BTreeMap, HashSet};

use broker::{Rule, Rules, Who};
use store::state::access::{AccessRow, Holder, Password};
use telemetry::registry::Device;
use telemetry::{Catalogue, DeviceId, Timestamp};

/// The profile of the server's own device.
const SERVER: &str = "server";

/// Rules, and until when they are right without looking again.
#[derive(Debug)]
pub(crate) struct Told {
    /// One for each name.
    pub rules: Vec<Rule>,
    /// When the next old password ends.
    pub until: Option<Timestamp>,
}

/// The rules of `now`: each device of `catalogue` with its password of the registry file, unless `rows` say something
/// else; each account of `rows`; and the devices of `added` that came after `catalogue` was built, which have to wait for
/// the next start. Rows of devices that are nowhere let nobody in.
pub(crate) fn told(catalogue: &Catalogue, rows: &[AccessRow], added: &[Device], now: Timestamp) -> Told {
    let until = rows
        .iter()
        .filter_map(|row| row.old.as_ref())
        .map(|old| old.until)
        .filter(|until| *until > now)
        .min();
    let by_name: BTreeMap<&str, &AccessRow> = rows
        .iter()
        .filter(|row| row.holder == Holder::Device)
        .map(|row| (row.name.as_str(), row))
        .collect();
    let mut rules: Vec<Rule> = Rules::of(catalogue);
    // The server's own device speaks from inside: nobody comes in under its name.
    let inner = |id: &DeviceId| {
        catalogue
            .device(id.as_str())
            .is_some_and(|entry| &*entry.profile.kind == SERVER)
    };
    rules.retain(|rule| !rule.hashes.is_empty() || !inner(&rule.name));
    let known: HashSet<DeviceId> = rules.iter().map(|rule| rule.name.clone()).collect();
    let later = added.iter().filter(|device| !known.contains(&device.id));
    rules.extend(later.map(|device| Rule {
        name: device.id.clone(),
        who: Who::NotYet,
        enabled: true,
        hashes: Vec::new(),
    }));
    for rule in &mut rules {
        if let Some(row) = by_name.get(rule.name.as_str()) {
            decide(rule, row, now);
        }
    }
    let accounts = rows.iter().filter(|row| row.holder == Holder::Account);
    rules.extend(accounts.map(|row| {
        let mut rule = Rule {
            name: row.name.clone(),
            who: Who::Account {
                publish: row.publish.clone(),
                subscribe: row.subscribe.clone(),
            },
            enabled: true,
            hashes: Vec::new(),
        };
        decide(&mut rule, row, now);
        rule
    }));
    Told { rules, until }
}

/// Puts what was decided about a name in the place of what the registry file says.
fn decide(rule: &mut Rule, row: &AccessRow, now: Timestamp) {
    match &row.password {
        Password::Registry => {}
        Password::Own(hash) => rule.hashes = vec![hash.clone()],
        Password::None => rule.hashes.clear(),
    }
    if let Some(old) = row.old.as_ref().filter(|old| old.until > now) {
        rule.hashes.push(old.hash.clone());
    }
    // Who was revoked does not come in with a certificate either.
    rule.enabled = row.enabled && row.password != Password::None;
}

#[cfg(test)]
mod tests {
    use store::state::access::OldPassword;
    use telemetry::SeriesId;
    use telemetry::registry::Registry;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn device(id: &str) -> Device {
        serde_json::from_str(&format!(
            r#"{{"id": "{id}", "site": "s-1", "profile": "street-lamp", "password_hash": "file"}}"#
        ))
        .unwrap()
    }

    fn catalogue(ids: &[&str]) -> Catalogue {
        let mut registry: Registry = toml::from_str(
            r#"
            [county]
            name = { zh = "县", en = "county" }
            position = { latitude = 27.56, longitude = 119.72 }
            [[site]]
            id = "s-1"
            kind = "lighting_loop"
            name = { zh = "站", en = "loop" }
            organisation = "o"
            town = "t"
            position = { latitude = 27.5, longitude = 119.7 }
            "#,
        )
        .unwrap();
        registry.devices = ids.iter().map(|id| device(id)).collect();
        let profiles = telemetry::profile::builtin().unwrap();
        let mut next = 0;
        let number = |_: &DeviceId, _: &telemetry::profile::Signal| {
            next += 1;
            SeriesId(next)
        };
        Catalogue::build(registry, &profiles, number).unwrap()
    }

    fn row(name: &str, password: Password) -> AccessRow {
        AccessRow {
            name: DeviceId::new(name).unwrap(),
            holder: Holder::Device,
            password,
            old: None,
            enabled: true,
            revision: 1,
            changed_at: NOW,
            changed_by: "Wang".into(),
            rotated_at: None,
            publish: vec![],
            subscribe: vec![],
        }
    }

    /// `name enabled hash,hash` for each rule.
    fn shown(told: &Told) -> Vec<String> {
        let line = |rule: &Rule| {
            let hashes: Vec<&str> = rule.hashes.iter().map(|hash| &**hash).collect();
            format!("{} {} {}", rule.name, rule.enabled, hashes.join(","))
        };
        told.rules.iter().map(line).collect()
    }

    #[test]
    fn the_registry_file_counts_until_something_else_was_decided() {
        let catalogue = catalogue(&["a", "b", "c", "d"]);
        let disabled = AccessRow {
            enabled: false,
            ..row("b", Password::Registry)
        };
        let rows = [
            disabled,
            row("c", Password::Own("new".into())),
            row("d", Password::None),
            row("gone", Password::Own("x".into())),
        ];
        let told = told(&catalogue, &rows, &[], NOW);
        assert_eq!(
            shown(&told),
            ["a true file", "b false file", "c true new", "d false "]
        );
        assert_eq!(told.until, None);
    }

    #[test]
    fn an_old_password_counts_until_its_time_and_the_rules_say_when_that_is() {
        let catalogue = catalogue(&["a", "b"]);
        let with_old = |name, until| AccessRow {
            old: Some(OldPassword {
                hash: "old".into(),
                until: Timestamp::from_millis(until),
            }),
            ..row(name, Password::Own("new".into()))
        };
        let rows = [with_old("a", 1_001), with_old("b", 1_000)];
        let told = told(&catalogue, &rows, &[], NOW);
        assert_eq!(shown(&told), ["a true new,old", "b true new"]);
        assert_eq!(told.until, Some(Timestamp::from_millis(1_001)));
    }

    #[test]
    fn a_device_that_was_added_after_the_start_waits_and_an_account_does_not() {
        let catalogue = catalogue(&["a"]);
        let account = AccessRow {
            holder: Holder::Account,
            subscribe: vec!["tw/v1/#".into()],
            ..row("ops", Password::Own("k".into()))
        };
        let rows = [row("new", Password::Own("n".into())), account];
        let told = told(&catalogue, &rows, &[device("a"), device("new")], NOW);
        assert_eq!(shown(&told), ["a true file", "new true n", "ops true k"]);
        assert_eq!(told.rules[1].who, Who::NotYet);
        assert!(matches!(told.rules[2].who, Who::Account { .. }));
    }
}
