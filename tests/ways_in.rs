//! The gate's ways in, with clients that nobody here wrote: TLS, certificates, and a machine at its limits.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use crate::support::mqtt::Client;
use crate::support::peers;
use crate::support::program::{self, Server, Setup};
use crate::support::{ask, county, http, wait};

const TOPIC: &str = "tw/v1/station-1/telemetry";

/// Writes `ca.pem`, and a pair for each name, `{name}.pem` and `{name}.key`, valid until the start of `year`.
fn issue(folder: &Path, authority: &CertifiedIssuer<'static, KeyPair>, name: &str, year: i32) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "Test county CA");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// mosquitto_pub over TLS; `more` says who it is.
fn publish(folder: &Path, port: u16, level: f64, more: &[&str]) -> Output {
    let (ca, port) = (folder.join("ca.pem"), port.to_string());
    let message = format!(r#"{{"ts":{},"values":{{"level":{level}}}}}"#, ask::now());
    let fixed = [
        "-h",
        "localhost",
        "-p",
        &port,
        "-q",
        "1",
        "-t",
        TOPIC,
        "-m",
        &message,
        "--cafile",
    ];
    peers::run(
        "mosquitto_pub",
        &[&fixed[..], &[ca.to_str().unwrap()], more].concat(),
    )
}

/// The addresses of the further listeners, as the program prints them.
fn further(server: &Server, kind: &str) -> SocketAddr {
    loop {
        let line = server.line(wait::LONG).expect("a line for each listener");
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["MQTT", address, said, ..] = words.as_slice()
            && said.trim_end_matches(',') == kind
        {
            return address.parse().unwrap();
        }
    }
}

#[test]
fn devices_come_in_over_tls_with_a_password_or_with_a_certificate_which_is_renewed_in_place() {
    // Given a server with a TLS listener beside the plain one,
    let setup = Setup::new(
        &county::one_station(),
        "[mqtt]\nlisten = \"127.0.0.1:0\"\n[[mqtt.listener]]\naddress = \"127.0.0.1:0\"\nkind = \"tls\"\n\
         certificate = \"server.pem\"\nkey = \"server.key\"\n\
         client_certificates = \"optional\"\nclient_ca = \"ca.pem\"\n",
    );
    let (folder, authority) = (setup.path(), authority());
    for name in ["server", "station-1", "stranger"] {
        issue(folder, &authority, name, 2090);
    }
    let server = setup.start();
    let port = further(&server, "tls").port();
    let file = |name: &str| folder.join(name).display().to_string();
    let stored = |level: f64| {
        wait::until("the level is stored", wait::SOON, || {
            let value = ask::latest_value(server.web, "station-1", "level");
            ((value - level).abs() < 1e-9)
                .then_some(())
                .ok_or_else(|| value.to_string())
        });
    };
    // when mosquitto_pub comes with a password, then its reading is stored;
    let password = ["-u", "station-1", "-P", "secret", "-i", "station-1"];
    let output = publish(folder, port, 1.25, &password);
    assert!(output.status.success(), "{output:?}");
    stored(1.25);
    // when it comes with the device's certificate and no password, too;
    let (certificate, key) = (file("station-1.pem"), file("station-1.key"));
    let output = publish(
        folder,
        port,
        1.5,
        &["--cert", &certificate, "--key", &key, "-i", "station-1"],
    );
    assert!(output.status.success(), "{output:?}");
    stored(1.5);
    // and with a certificate that names no device it is refused.
    let (certificate, key) = (file("stranger.pem"), file("stranger.key"));
    let output = publish(
        folder,
        port,
        9.0,
        &["--cert", &certificate, "--key", &key, "-i", "stranger"],
    );
    assert!(!output.status.success(), "{output:?}");

    // When the certificate is replaced and the program is told so, then it shows the new one.
    let days = || {
        let page = http::get(server.web, "/metrics").unwrap().body;
        let line = page
            .lines()
            .find(|line| line.starts_with("townwatch_gate_certificate_days_left{"));
        let line = line.unwrap_or_else(|| panic!("no certificate in {page}"));
        assert!(line.contains("subject=\"CN=server\""), "{line}");
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let before = days();
    issue(folder, &authority, "server", 2091);
    server.signal("-HUP");
    wait::until("the new certificate counts", wait::SOON, || {
        let more = days() - before;
        // 2090 has 365 days.
        ((more - 365.0).abs() < 0.1)
            .then_some(())
            .ok_or_else(|| more.to_string())
    });
    assert!(publish(folder, port, 2.0, &password).status.success());
    stored(2.0);
    assert!(server.stop().success());
}

/// F15: no file descriptors left.
#[test]
fn without_descriptors_those_who_are_here_are_served_and_newcomers_are_turned_away_until_there_are_some() {
    // Given a server that may have few files open, with a connected device,
    let setup = Setup::new(
        &county::one_station(),
        "[mqtt]\nlisten = \"127.0.0.1:0\"\nconnect_timeout = \"1min\"\n",
    );
    let mut limited = Command::new("sh");
    limited
        .env("TOWNWATCH_LOG", "off")
        .args(["-c", "ulimit -n 150; exec \"$0\" serve --config \"$1\""])
        .arg(program::command().get_program())
        .arg(setup.path().join("townwatch.toml"));
    let server = Server::start(limited);
    let mut device = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    let reading = |level: f64| format!(r#"{{"ts":{},"values":{{"level":{level}}}}}"#, ask::now());
    device.publish_acked(TOPIC, reading(1.0).as_bytes()).unwrap();
    // when more sockets come than it can have, then those beyond are closed, not left to hang;
    let mut strangers: Vec<TcpStream> = (0..400)
        .map(|_| TcpStream::connect(server.mqtt).unwrap())
        .collect();
    wait::until("somebody is turned away", wait::LONG, || {
        let mut away = 0;
        for socket in &mut strangers {
            socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let closed = match socket.read(&mut [0]) {
                Ok(count) => count == 0,
                Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
            };
            away += u32::from(closed);
        }
        if away > 100 { Ok(()) } else { Err(away.to_string()) }
    });
    // the device is served as before;
    device.publish_acked(TOPIC, reading(2.0).as_bytes()).unwrap();
    // and when they have gone, everybody can come again.
    drop(strangers);
    let mut again = wait::until("there is room", wait::LONG, || {
        Client::connect(server.mqtt, "station-1", "secret")
    });
    again.publish_acked(TOPIC, reading(3.0).as_bytes()).unwrap();
    assert!(server.stop().success());
}
