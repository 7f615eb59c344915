//! The import table of `design.md` §4, held by a test: who may import whom, and who may know what.

use std::collections::BTreeMap;
use std::path::Path;

/// Crate folder → our crates that it may import. The root package may import all of them.
const MAY_IMPORT: [(&str, &[&str]); 7] = [
    ("telemetry", &[]),
    ("store", &["telemetry"]),
    ("broker", &["telemetry"]),
    ("device-simulators", &["telemetry"]),
    ("ingest", &["telemetry", "store"]),
    ("alarms", &["telemetry", "store"]),
    ("dashboards", &["telemetry", "store", "alarms"]),
];

/// Library → the only crates that may know it.
const KNOWN_ONLY_TO: [(&str, &[&str]); 7] = [
    ("rumqttd", &["broker"]),
    ("rusqlite", &["store"]),
    ("plotters", &["dashboards"]),
    ("influxdb2", &["store"]),
    ("axum", &["dashboards"]),
    ("tokio-modbus", &[]),
    ("tokio-serial", &["ingest", "device-simulators"]),
];

fn manifest(folder: &str) -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join("Cargo.toml");
    std::fs::read_to_string(&path)
        .unwrap()
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dependencies(folder: &str, section: &str) -> Vec<String> {
    let manifest = manifest(folder);
    manifest
        .get(section)
        .and_then(toml::Value::as_table)
        .map_or_else(Vec::new, |table| table.keys().cloned().collect())
}

#[test]
fn each_crate_imports_only_what_the_import_table_allows() {
    let table: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    for (folder, allowed) in &table {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for dependency in dependencies(folder, section) {
                let ours = table.contains_key(dependency.as_str());
                let fine = !ours || allowed.contains(&dependency.as_str());
                assert!(
                    fine,
                    "{folder} imports {dependency} ({section}); the import table forbids it"
                );
            }
        }
    }
}

#[test]
fn the_import_table_names_every_crate_of_the_workspace() {
    let root = manifest(".");
    let members = root["workspace"]["members"].as_array().unwrap();
    let mut members: Vec<&str> = members.iter().map(|member| member.as_str().unwrap()).collect();
    let mut named: Vec<&str> = MAY_IMPORT.iter().map(|(folder, _)| *folder).collect();
    members.sort_unstable();
    named.sort_unstable();
    assert_eq!(members, named);
}

#[test]
fn a_library_that_belongs_behind_a_seam_is_known_to_one_crate() {
    for (library, owners) in KNOWN_ONLY_TO {
        for (folder, _) in MAY_IMPORT.iter().chain([&(".", &[][..])]) {
            // Tests may look behind a seam; the program may not.
            let known = dependencies(folder, "dependencies")
                .iter()
                .any(|name| name == library);
            assert!(
                !known || owners.contains(folder),
                "{folder} knows {library}; only {owners:?} may"
            );
        }
    }
}

#[test]
fn every_dependency_is_declared_once_in_the_workspace() {
    for (folder, _) in MAY_IMPORT.iter().chain([&(".", &[][..])]) {
        let manifest = manifest(folder);
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for (name, value) in table {
                let inherited = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(
                    inherited,
                    "{folder}: {name} has a version of its own; declare it in the root Cargo.toml"
                );
            }
        }
    }
}
