//! Reading a configuration and saying what is wrong with it, with file, line and a suggestion.

mod files;
mod modbus;
mod mqtt;
mod remote;
mod retention;
pub(super) mod rules;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use telemetry::profile::{Profile, ProfileError, builtin};
use telemetry::registry::Registry;
use telemetry::{Catalogue, SeriesId};

use super::{Config, External, Token, beside, node_of};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Which file.
    pub file: String,
    /// Line, from 1; none when it is about the whole file.
    pub line: Option<usize>,
    /// Column, from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub suggestion: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)?;
        if !self.suggestion.is_empty() {
            write!(f, "\n  try: {}", self.suggestion)?;
        }
        Ok(())
    }
}

/// A configuration with everything that it names, read and checked.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The configuration.
    pub config: Config,
    /// The registry that it names.
    pub registry: Registry,
    /// The built-in profiles and those that it names.
    pub profiles: BTreeMap<Box<str>, Arc<Profile>>,
}

/// Reads the configuration in `file` and everything that it names.
///
/// # Errors
/// All that is wrong with it, at least one finding.
pub(crate) fn read(file: &Path) -> Result<Checked, Vec<Finding>> {
    let text = read_text(file).map_err(|finding| vec![finding])?;
    let here = Source { file, text: &text };
    let mut config: Config = toml::from_str(&text).map_err(|error| vec![here.syntax(&error)])?;
    config.mqtt.resolve(file);
    if let Some(external) = &mut config.external {
        external.resolve(file);
    }
    if let Some(remote) = &mut config.remote {
        remote.resolve(file);
    }
    let mut findings = contradictions(&config, &here);
    let profiles = read_profiles(&config, &here, &mut findings);
    let registry = read_registry(&config, &here, &mut findings);
    findings.extend(files::findings(file, &config));
    if let Some(registry) = &registry {
        let mut next = 0;
        let number = |_: &telemetry::DeviceId, _: &telemetry::profile::Signal| {
            next += 1;
            SeriesId(next)
        };
        // The server is a device of its own catalogue: its rules can be overridden as well.
        let mut whole_county = registry.clone();
        if crate::server::register_self(&mut whole_county, &profiles).is_err() {
            let what = "the server cannot be registered among the devices";
            findings.push(whole(file, what, "this is a fault of the program"));
        }
        match Catalogue::build(whole_county, &profiles, number) {
            Ok(catalogue) => {
                findings.extend(modbus::life_safety_nonsense(&config, &here, &catalogue));
                match rules::read(file, &config.alarms, &catalogue) {
                    Ok(book) => config.alarms.book = Arc::new(book),
                    Err(found) => findings.extend(found),
                }
            }
            Err(error) => {
                let path = beside(file, config.registry.file.get_ref());
                findings.push(whole(
                    &path,
                    error.to_string(),
                    "mend the entry, or register what it names",
                ));
            }
        }
    }
    match registry {
        Some(registry) if findings.is_empty() => Ok(Checked {
            config,
            registry,
            profiles,
        }),
        _ => Err(findings),
    }
}

struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn at(&self, span: Range<usize>, what: String, suggestion: impl Into<String>) -> Finding {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        Finding {
            file: self.file.display().to_string(),
            line: Some(line),
            column: Some(column),
            what,
            suggestion: suggestion.into(),
        }
    }

    fn syntax(&self, error: &toml::de::Error) -> Finding {
        let message = error.message().trim().to_owned();
        let suggestion = suggest(&message);
        match error.span() {
            Some(span) => self.at(span, message, suggestion),
            None => whole(self.file, message, suggestion),
        }
    }
}

/// For "unknown field `x`, expected one of `a`, `b`": the expected name nearest to `x`.
fn suggest(message: &str) -> String {
    if message.starts_with("missing field") {
        return "townwatch check --print shows every key".to_owned();
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(unknown) = names.next() else {
        return "townwatch check --print shows the form".to_owned();
    };
    let nearest = names
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, name)) if distance <= 3 => format!("{name} instead of {unknown}"),
        _ => "townwatch check --print shows every key".to_owned(),
    }
}

fn whole(file: &Path, what: impl Into<String>, suggestion: impl Into<String>) -> Finding {
    Finding {
        file: file.display().to_string(),
        line: None,
        column: None,
        what: what.into(),
        suggestion: suggestion.into(),
    }
}

fn read_text(file: &Path) -> Result<String, Finding> {
    std::fs::read_to_string(file).map_err(|error| {
        whole(
            file,
            format!("cannot be read: {error}"),
            "townwatch check --print > FILE makes a new one",
        )
    })
}

/// A file that the configuration names.
fn read_named(file: &Path) -> Result<String, Finding> {
    read_text(file).map_err(|finding| Finding {
        suggestion: "mend the path, or take the line out".to_owned(),
        ..finding
    })
}

fn contradictions(config: &Config, here: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(retention::findings(&config.data, here));
    let web = &config.web.listen;
    if !web.get_ref().ip().is_loopback() && config.web.tokens.is_empty() {
        let what = format!(
            "web.listen = {}: anybody in the network could acknowledge alarms",
            web.get_ref()
        );
        findings.push(here.at(web.span(), what, "add a [[web.token]], or listen on 127.0.0.1"));
    }
    findings.extend(mqtt::findings(&config.mqtt, here));
    findings.extend(
        config
            .web
            .tokens
            .iter()
            .filter_map(|token| token_nonsense(token, here)),
    );
    if let Some(external) = &config.external {
        external_nonsense(external, here, &mut findings);
    }
    if let Some(remote) = &config.remote {
        remote::findings(remote, here, &mut findings);
    }
    findings.extend(modbus::pause_nonsense(config, here));
    if let Err(error) = config.alarms.check() {
        findings.push(whole(
            here.file,
            error.to_string(),
            "townwatch check --print shows the ranges",
        ));
    }
    if let Err(error) = config.cases.check() {
        findings.push(whole(
            here.file,
            error.to_string(),
            "townwatch check --print shows the ranges",
        ));
    }
    findings
}

fn external_nonsense(external: &External, here: &Source<'_>, findings: &mut Vec<Finding>) {
    let nodes = &external.nodes;
    let wrong = nodes.get_ref().iter().find(|node| node_of(node).is_none());
    if nodes.get_ref().is_empty() || wrong.is_some() {
        let what = match wrong {
            Some(node) => format!("external.nodes: {node:?} is not host:port"),
            None => "external.nodes is empty".to_owned(),
        };
        findings.push(here.at(nodes.span(), what, "[\"broker.example:8883\"]"));
    }
    let workers = &external.workers;
    if !(1..=64).contains(workers.get_ref()) {
        let what = format!("external.workers = {}", workers.get_ref());
        findings.push(here.at(workers.span(), what, "1 to 64"));
    } else if !external.shared && *workers.get_ref() > 1 {
        let what =
            "external.workers: without shared subscriptions each worker would get every message".to_owned();
        findings.push(here.at(workers.span(), what, "workers = 1, or shared = true"));
    }
    if let (Some(password), None) = (&external.password, &external.user) {
        let what = "external.password without external.user".to_owned();
        findings.push(here.at(password.span(), what, "add the user"));
    }
    let half = match (&external.certificate, &external.key, &external.ca) {
        (Some(path), None, _) | (None, Some(path), _) => Some((path, "certificate and key go together")),
        (Some(path), Some(_), None) => Some((path, "a client certificate needs external.ca as well")),
        _ => None,
    };
    if let Some((path, what)) = half {
        findings.push(here.at(path.span(), format!("external: {what}"), "add the missing one"));
    }
    for path in [&external.ca, &external.certificate, &external.key]
        .into_iter()
        .flatten()
    {
        if let Err(error) = std::fs::read(path.get_ref()) {
            let what = format!("{} cannot be read: {error}", path.get_ref().display());
            findings.push(here.at(path.span(), what, "mend the path, or take the line out"));
        }
    }
}

fn token_nonsense(token: &Token, here: &Source<'_>) -> Option<Finding> {
    let digest = token.sha256.get_ref();
    if digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let what = format!(
        "the sha256 of token {:?} is not 64 hexadecimal digits",
        token.name
    );
    Some(here.at(token.sha256.span(), what, "printf %s TOKEN | sha256sum"))
}

fn read_profiles(
    config: &Config,
    here: &Source<'_>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<Box<str>, Arc<Profile>> {
    let mut profiles = builtin().unwrap_or_else(|error| {
        findings.push(whole(
            Path::new("built-in profiles"),
            error.to_string(),
            "this is a fault of the program",
        ));
        BTreeMap::new()
    });
    let Some(named) = &config.registry.profiles else {
        return profiles;
    };
    let folder = beside(here.file, named.get_ref());
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => {
            let what = format!("the folder {} cannot be read: {error}", folder.display());
            findings.push(here.at(named.span(), what, "mend the path, or take the line out"));
            return profiles;
        }
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        match read_text(&path).and_then(|text| read_profile(&path, &text)) {
            Ok(profile) => {
                profiles.insert(profile.kind.clone(), Arc::new(profile));
            }
            Err(finding) => findings.push(finding),
        }
    }
    profiles
}

fn read_profile(path: &Path, text: &str) -> Result<Profile, Finding> {
    Profile::parse(&path.display().to_string(), text).map_err(|error| match error {
        ProfileError::Syntax { source, .. } => Source { file: path, text }.syntax(&source),
        ProfileError::Nonsense { what, .. } => whole(path, what, "mend the named part"),
    })
}

fn read_registry(config: &Config, here: &Source<'_>, findings: &mut Vec<Finding>) -> Option<Registry> {
    let named = &config.registry.file;
    let path = beside(here.file, named.get_ref());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let what = format!("the registry {} cannot be read: {error}", path.display());
            findings.push(here.at(
                named.span(),
                what,
                "townwatch simulate --registry-out FILE writes an example",
            ));
            return None;
        }
    };
    let there = Source {
        file: &path,
        text: &text,
    };
    let finding = if path.extension().is_some_and(|ending| ending == "toml") {
        match toml::from_str(&text) {
            Ok(registry) => return Some(registry),
            Err(error) => there.syntax(&error),
        }
    } else {
        match serde_json::from_str(&text) {
            Ok(registry) => return Some(registry),
            Err(error) => Finding {
                file: path.display().to_string(),
                line: Some(error.line()),
                column: Some(error.column()),
                what: error.to_string(),
                suggestion: suggest(&error.to_string()),
            },
        }
    };
    findings.push(finding);
    None
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::TEMPLATE;

    const REGISTRY: &str =
        r#"{"county":{"name":{"zh":"某","en":"some"},"position":{"latitude":27.5,"longitude":119.7}}}"#;

    pub(super) fn check(change: impl Fn(&str) -> String) -> Result<Checked, Vec<Finding>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("county.json"), REGISTRY).unwrap();
        let file = folder.path().join("townwatch.toml");
        std::fs::write(&file, change(TEMPLATE)).unwrap();
        read(&file)
    }

    #[test]
    fn the_template_is_a_sound_configuration_and_says_the_defaults() {
        let from_template = check(str::to_owned).unwrap().config;
        let bare: Config = toml::from_str("[registry]\nfile = \"county.json\"").unwrap();
        // Positions in the file differ; values must not.
        let shown = |config: &Config| {
            let text = format!("{config:?}");
            let without_end = |part: &str| {
                part.split_once(", ")
                    .map_or_else(String::new, |(_, rest)| rest.to_owned())
            };
            let mut parts = text.split("span: ");
            let head = parts.next().unwrap_or_default().to_owned();
            parts.map(without_end).fold(head, |all, part| all + &part)
        };
        assert_eq!(shown(&from_template), shown(&bare));
    }

    #[test]
    fn the_template_shows_every_key() {
        // Given the template with its commented keys switched on,
        let all: String = TEMPLATE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(key) if key.starts_with('[') || key.contains(" = ") => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        // then it is still read, so no key in it is unknown; and a missing one is named here.
        let config: Config = toml::from_str(&all).unwrap();
        assert_eq!(config.web.tokens.len(), 1);
        assert_eq!(config.mqtt.listeners.len(), 1);
        assert!(config.mqtt.life_safety_places.is_some());
        assert_eq!(config.alarms.webhooks.len(), 1);
        let alarms = &config.alarms;
        assert_eq!((alarms.channels.len(), alarms.recipients.len()), (8, 1));
        assert!(alarms.heartbeat.is_some() && alarms.public_url.is_some());
        let kinds = alarms.channels.iter().map(|channel| channel.way.kind());
        assert_eq!(kinds.collect::<std::collections::BTreeSet<_>>().len(), 8);
        assert!(config.data.retention.diagnostic.is_some());
        assert!(config.external.is_some() && config.hj212.listen.is_some());
        assert!(config.remote.is_some_and(|remote| remote.shows_every_key()));
        assert!(config.figures.policy.is_some() && config.figures.alarm_health.is_some());
        assert!(config.registry.profiles.is_some());
    }

    #[test]
    fn an_external_broker_that_cannot_be_is_found() {
        let with = |lines: &str| {
            let section = format!("[external]\n{lines}\n\n[web]");
            check(move |text| text.replacen("[web]", &section, 1))
        };
        assert!(with("nodes = [\"a:1883\", \"[::1]:1883\"]").is_ok());
        for (lines, word) in [
            ("nodes = []", "empty"),
            ("nodes = [\"a\"]", "host:port"),
            ("nodes = [\"a:0\"]", "host:port"),
            ("nodes = [\"a:1\"]\nworkers = 65", "workers = 65"),
            ("nodes = [\"a:1\"]\nshared = false", "every message"),
            ("nodes = [\"a:1\"]\npassword = \"x\"", "without external.user"),
            ("nodes = [\"a:1\"]\nca = \"nowhere.pem\"", "cannot be read"),
            ("nodes = [\"a:1\"]\nkey = \"county.json\"", "go together"),
        ] {
            let findings = with(lines).unwrap_err();
            assert_eq!(findings.len(), 1, "{findings:#?}");
            assert!(findings[0].what.contains(word), "{findings:#?}");
            assert!(findings[0].line.is_some());
        }
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_and_the_right_word() {
        let findings = check(|text| text.replacen("\nconnections_max", "\nconections_max", 1)).unwrap_err();
        assert_eq!(findings.len(), 1);
        let line = TEMPLATE
            .lines()
            .position(|line| line.starts_with("connections_max"))
            .unwrap()
            + 1;
        assert_eq!(findings[0].line, Some(line));
        assert_eq!(
            findings[0].suggestion,
            "connections_max instead of conections_max"
        );
    }

    #[test]
    fn every_contradiction_is_found_at_once() {
        let findings = check(|text| {
            text.replace("127.0.0.1:8080", "0.0.0.0:8080")
                .replace("county.json", "nowhere.json")
                .replacen("keep = \"400d\"", "keep = \"1h\"", 1)
        })
        .unwrap_err();
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(findings.len(), 3, "{text:#?}");
        assert!(text.iter().all(|line| line.contains("try: ")), "{text:#?}");
    }

    #[test]
    fn a_class_that_is_kept_for_less_than_a_day_and_no_room_for_series_are_found() {
        let with = |lines: &str| {
            let lines = format!("{lines}\n\n[registry]");
            check(move |text| text.replacen("[registry]", &lines, 1))
        };
        assert!(with("retention.diagnostic = \"30d\"").is_ok());
        let findings = with("retention.diagnostic = \"3h\"\nretention.compliance = \"1h\"").unwrap_err();
        assert_eq!(findings.len(), 2, "{findings:#?}");
        assert!(findings[0].what.contains("compliance = 1h") && findings[0].line.is_some());
        let none = check(|text| text.replacen("series_max = 2000000", "series_max = 0", 1)).unwrap_err();
        assert!(none[0].what.contains("series_max = 0"), "{none:#?}");
    }

    #[test]
    fn a_wrong_span_or_address_is_named_with_its_line() {
        for (from, to) in [("\"5s\"", "\"5 parsecs\""), ("127.0.0.1:1883", "localhost")] {
            let findings = check(|text| text.replace(from, to)).unwrap_err();
            assert!(findings[0].line.is_some(), "{findings:?}");
        }
    }
}
