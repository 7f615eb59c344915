//! What is wrong with `[mqtt]`.

use std::collections::BTreeMap;
use std::ops::Range;

use telemetry::time::Span;

use super::{Finding, Source};
use crate::config::mqtt::{Listener, Mqtt, Shown};

/// Source: [`broker::GateConfig`].
const CONNECT_TIMEOUT: std::ops::RangeInclusive<Span> = Span::from_millis(100)..=Span::from_secs(60);

pub(super) fn findings(mqtt: &Mqtt, here: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !mqtt.enabled {
        return findings;
    }
    let mut find = |at: Range<usize>, what: String, suggestion: &str| {
        findings.push(here.at(at, what, suggestion));
    };
    let listen = &mqtt.listen;
    match listen.get_ref().0 {
        Some(address) if !address.ip().is_loopback() && !mqtt.plaintext_beyond_loopback => find(
            listen.span(),
            format!("mqtt.listen = {address}: passwords and readings would cross the network unencrypted"),
            "a [[mqtt.listener]] of kind tls, or plaintext_beyond_loopback = true below a VPN",
        ),
        None if mqtt.listeners.is_empty() => find(
            listen.span(),
            "mqtt.listen = \"none\" and no [[mqtt.listener]]: no device could connect".to_owned(),
            "\"127.0.0.1:1883\", a [[mqtt.listener]], or enabled = false",
        ),
        Some(_) | None => {}
    }
    if !CONNECT_TIMEOUT.contains(mqtt.connect_timeout.get_ref()) {
        let what = format!("mqtt.connect_timeout = {}", mqtt.connect_timeout.get_ref());
        find(mqtt.connect_timeout.span(), what, "100ms to 1min");
    }
    let places = *mqtt.connections_max.get_ref();
    if !(1..=1_000_000).contains(&places) {
        let what = format!("mqtt.connections_max = {places}");
        find(mqtt.connections_max.span(), what, "1 to 1000000");
    } else if mqtt.life_safety_places.is_some_and(|kept| kept >= places) {
        let what = "mqtt.life_safety_places leaves no place for any other device".to_owned();
        find(mqtt.connections_max.span(), what, "fewer than connections_max");
    }
    for (table, payload) in [
        ("device", mqtt.device.payload_kib_max),
        ("gateway", mqtt.gateway.payload_kib_max),
    ] {
        if !(4..=1024).contains(&payload) {
            let what = format!("mqtt.{table}.payload_kib_max = {payload}");
            find(0..0, what, "4 to 1024");
        }
    }
    let mut taken = BTreeMap::new();
    for listener in &mqtt.listeners {
        findings.extend(of_listener(listener, mqtt.plaintext_beyond_loopback, here));
        let address = *listener.address.get_ref();
        if address.port() != 0 && taken.insert(address, ()).is_some() {
            let what = format!("two listeners at {address}");
            findings.push(here.at(listener.address.span(), what, "another port"));
        }
    }
    findings
}

fn of_listener(listener: &Listener, plaintext: bool, here: &Source<'_>) -> Option<Finding> {
    let (kind, address) = (*listener.kind.get_ref(), *listener.address.get_ref());
    let shown = listener.client_certificates;
    let at_kind =
        |what: &str, suggestion: &str| Some(here.at(listener.kind.span(), what.to_owned(), suggestion));
    let has_files = listener.certificate.is_some() || listener.key.is_some();
    if !kind.is_encrypted() {
        if has_files || listener.client_ca.is_some() || shown != Shown::None {
            return at_kind(
                "a listener with certificates that is not encrypted",
                "kind = tls or wss",
            );
        }
        if !address.ip().is_loopback() && !plaintext {
            let what = format!("a listener at {address} without encryption");
            let suggestion = "kind = tls or wss, or plaintext_beyond_loopback = true in [mqtt] below a VPN";
            return Some(here.at(listener.address.span(), what, suggestion));
        }
    } else if listener.certificate.is_none() || listener.key.is_none() {
        return at_kind(
            "an encrypted listener without certificate or key",
            "certificate = FILE and key = FILE",
        );
    }
    if !kind.is_websocket() && !listener.origins.is_empty() {
        return at_kind(
            "origins are of pages, and pages speak WebSocket only",
            "kind = ws or wss",
        );
    }
    if (shown == Shown::None) == listener.client_ca.is_some() {
        let what = "client_certificates and client_ca belong together".to_owned();
        let suggestion = "client_certificates = optional or required, and client_ca = FILE";
        return Some(here.at(listener.kind.span(), what, suggestion));
    }
    let error = listener.gate().check().err()?;
    at_kind(
        &telemetry::with_causes(&error),
        "PEM files that this program can read; a certificate and its own key",
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::mqtt::Mqtt;

    /// What is found in an `[mqtt]` table, in one line each.
    fn found(table: &str, folder: &Path) -> Vec<String> {
        let file = folder.join("townwatch.toml");
        let mut mqtt: Mqtt = toml::from_str(table).unwrap();
        mqtt.resolve(&file);
        let here = Source {
            file: &file,
            text: table,
        };
        findings(&mqtt, &here).iter().map(ToString::to_string).collect()
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("server.pem", issued.cert.pem());
        write("server.key", issued.signing_key.serialize_pem());
        write("other.key", other.serialize_pem());
        folder
    }

    #[test]
    fn what_is_sound_passes() {
        let folder = folder();
        for table in [
            "",
            "listen = \"0.0.0.0:1883\"\nplaintext_beyond_loopback = true",
            "listen = \"none\"\n[[listener]]\naddress = \"0.0.0.0:8883\"\nkind = \"tls\"\n\
             certificate = \"server.pem\"\nkey = \"server.key\"\n\
             client_certificates = \"required\"\nclient_ca = \"server.pem\"",
            "[[listener]]\naddress = \"127.0.0.1:9001\"\nkind = \"ws\"\norigins = [\"*\"]",
        ] {
            assert_eq!(found(table, folder.path()), [""; 0], "{table}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_a_way_out() {
        let folder = folder();
        let tls = "[[listener]]\naddress = \"0.0.0.0:8883\"\nkind = \"tls\"\n";
        let ws = "[[listener]]\naddress = \"0.0.0.0:9001\"\nkind = \"ws\"\n";
        let files = "certificate = \"server.pem\"\nkey = \"server.key\"\n";
        for (table, word) in [
            ("listen = \"0.0.0.0:1883\"".to_owned(), "unencrypted"),
            ("listen = \"none\"".to_owned(), "no device could connect"),
            (ws.to_owned(), "without encryption"),
            (tls.to_owned(), "without certificate or key"),
            (format!("{ws}{files}"), "not encrypted"),
            (format!("{tls}{files}origins = [\"*\"]"), "pages"),
            (
                format!("{tls}{files}client_certificates = \"optional\""),
                "belong together",
            ),
            (
                format!("{tls}{files}client_ca = \"server.pem\""),
                "belong together",
            ),
            (
                format!("{tls}certificate = \"server.pem\"\nkey = \"other.key\""),
                "do not make a pair",
            ),
            (
                format!("{tls}certificate = \"nowhere.pem\"\nkey = \"server.key\""),
                "nowhere.pem",
            ),
            (format!("{tls}{files}{tls}{files}"), "two listeners"),
            ("connections_max = 0".to_owned(), "connections_max = 0"),
            (
                "connections_max = 5\nlife_safety_places = 5".to_owned(),
                "no place",
            ),
            ("connect_timeout = \"1h\"".to_owned(), "connect_timeout"),
            (
                "[device]\npayload_kib_max = 2048".to_owned(),
                "mqtt.device.payload_kib_max",
            ),
        ] {
            let found = found(&table, folder.path());
            assert_eq!(found.len(), 1, "{table}: {found:#?}");
            assert!(
                found[0].contains(word) && found[0].contains("try: "),
                "{table}: {found:#?}"
            );
        }
    }
}
