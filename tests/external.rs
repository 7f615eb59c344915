//! An external broker as the source: Debian's mosquitto, started by each test on a free port in a folder of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest::external::{External, ExternalConfig, Sink, Tls};
use telemetry::time::{Span, SystemClock};
use telemetry::{Origin, RawMessage};
use tokio_util::sync::CancellationToken;

use crate::support::mqtt::Client;
use crate::support::peers::Peer;
use crate::support::program::{Server, Setup};
use crate::support::{ask, county, http, wait};

/// A broker that keeps everything for who is not there.
struct Mosquitto {
    folder: tempfile::TempDir,
    address: SocketAddr,
    process: Option<Peer>,
}

impl Mosquitto {
    fn start() -> Self {
        Self::with("allow_anonymous true\n")
    }

    /// With further lines of configuration.
    fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free a moment ago; nobody else asks for this very one.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = address.port();
        let location = folder.path().display();
        let config = format!(
            "listener {port} 127.0.0.1\n{more}user root\npersistence true\npersistence_location {location}/\n\
             max_queued_messages 0\nmax_inflight_messages 100\nlog_type error\n"
        );
        std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Self {
            folder,
            address,
            process: None,
        };
        broker.run();
        broker
    }

    fn run(&mut self) {
        let program = Path::new("/usr/sbin/mosquitto");
        assert!(
            program.exists(),
            "mosquitto is missing: run tests/run once, it installs the peers"
        );
        let process = Command::new(program)
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map(Peer)
            .unwrap();
        self.process = Some(process);
        wait::until("mosquitto listens", wait::SOON, || {
            TcpStream::connect(self.address)
                .map(|_| ())
                .map_err(|error| error.to_string())
        });
    }

    /// Ends it as an operator would; it writes down what it keeps.
    fn stop(&mut self) {
        let mut peer = self.process.take().unwrap();
        let pid = peer.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        peer.0.wait().unwrap();
    }
}

fn config(broker: &Mosquitto, more: &str) -> String {
    format!(
        "[external]\nnodes = [\"{}\"]\nclient_id = \"tw-test\"\n{more}\n",
        broker.address
    )
}

fn metric(server: &Server, name: &str) -> f64 {
    let page = http::get(server.web, "/metrics")
        .map(|answer| answer.body)
        .unwrap_or_default();
    let line = page
        .lines()
        .find(|line| line.rsplit_once(' ').is_some_and(|(first, _)| first == name));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok())
        .unwrap_or(0.0)
}

fn wait_until_subscribed(server: &Server, workers: f64) {
    wait::until("the workers are subscribed", wait::LONG, || {
        let connected = metric(server, "townwatch_external_connected");
        if connected >= workers {
            Ok(())
        } else {
            Err(connected.to_string())
        }
    });
}

/// What the broker has acknowledged to a device: time in ms → value.
type Account = Arc<Mutex<BTreeMap<i64, f64>>>;

/// Publishes with ten in flight until it is told to stop; what is not acknowledged is not in the account.
fn load(address: SocketAddr, device: &str, base: i64, account: &Account, stop: &AtomicBool) {
    let mut client = Client::connect(address, device, "any").unwrap();
    let topic = format!("tw/v1/{device}/telemetry");
    let mut in_flight = BTreeMap::new();
    let mut next = base;
    while !stop.load(Ordering::SeqCst) || !in_flight.is_empty() {
        while in_flight.len() < 10 && !stop.load(Ordering::SeqCst) {
            next += 1;
            let value = f64::from(u32::try_from(next % 4999).unwrap()) / 1000.0;
            let payload = format!(r#"{{"ts":{next},"seq":{next},"values":{{"flow":{value}}}}}"#);
            let id = client.publish(&topic, payload.as_bytes()).unwrap();
            in_flight.insert(id, (next, value));
        }
        let id = client.read_puback().unwrap();
        if let Some((ts, value)) = in_flight.remove(&id) {
            account.lock().unwrap().insert(ts, value);
        }
    }
}

#[test]
fn two_workers_share_the_load_and_a_kill_loses_and_doubles_nothing() {
    // Given a broker, two workers, and three stations that publish to the broker,
    let broker = Mosquitto::start();
    let mut registry = county::HEAD.to_owned();
    let devices: Vec<String> = (0..3).map(|place| format!("station-{place}")).collect();
    for device in &devices {
        registry += &county::mqtt_device(device, "sewage-station-small");
    }
    let setup = Setup::new(
        &registry,
        &config(&broker, "workers = 2\n[mqtt]\nenabled = false"),
    );
    let server = setup.start();
    wait_until_subscribed(&server, 2.0);
    // No more behind than a slow device: a clock that is 15 min behind, evenly, is not believed.
    let base = ask::now() - 500_000;
    let stop = Arc::new(AtomicBool::new(false));
    let accounts: Vec<Account> = devices.iter().map(|_| Account::default()).collect();
    let loads: Vec<_> = (devices.iter().zip(&accounts))
        .map(|(device, account)| {
            let (address, device) = (broker.address, device.clone());
            let (account, stop) = (Arc::clone(account), Arc::clone(&stop));
            std::thread::spawn(move || load(address, &device, base, &account, &stop))
        })
        .collect();
    // when both have taken some of it, and the program is killed under the load,
    wait::until("both workers have taken messages", wait::LONG, || {
        let of = |worker: u8| {
            metric(
                &server,
                &format!("townwatch_external_worker_acknowledged_total{{worker=\"{worker}\"}}"),
            )
        };
        let (first, second) = (of(0), of(1));
        if first > 100.0 && second > 100.0 {
            Ok(())
        } else {
            Err(format!("{first} {second}"))
        }
    });
    server.kill();
    let behind = accounts[0].lock().unwrap().len();
    wait::until("the stations go on without it", wait::LONG, || {
        let now = accounts[0].lock().unwrap().len();
        if now > behind + 200 {
            Ok(())
        } else {
            Err(now.to_string())
        }
    });
    let server = setup.start();
    wait_until_subscribed(&server, 2.0);
    stop.store(true, Ordering::SeqCst);
    for load in loads {
        load.join().unwrap();
    }
    // then every message that the broker had acknowledged is there, once, and nothing else.
    for (device, account) in devices.iter().zip(&accounts) {
        let account = account.lock().unwrap();
        let to = base + 500_000;
        let points = wait::until(&format!("{device} has all"), wait::LONG, || {
            let points = ask::points(server.web, device, "flow", base, to);
            if points.len() >= account.len() {
                Ok(points)
            } else {
                Err(format!("{} of {}", points.len(), account.len()))
            }
        });
        let have: BTreeMap<i64, f64> = points.iter().map(|(ms, value, _)| (*ms, *value)).collect();
        assert_eq!(have.len(), points.len(), "no time stands twice");
        assert_eq!(have, *account);
        let ledger = wait::until(&format!("the ledger of {device} has all"), wait::LONG, || {
            let ledger = ask::ledger(server.web, device);
            let stored = ledger["stored"].as_u64().unwrap();
            if stored >= u64::try_from(account.len()).unwrap() {
                Ok(ledger)
            } else {
                Err(ledger.to_string())
            }
        });
        // What the broker delivers again after the kill is a duplicate, not stored once more.
        assert_eq!(
            ledger["stored"].as_u64(),
            u64::try_from(account.len()).ok(),
            "{ledger}"
        );
        assert_eq!(ledger["adds_up"], true, "{ledger}");
    }
    println!(
        "duplicates by redelivery: {}",
        metric(&server, "townwatch_external_redelivered_total")
    );
}

#[test]
fn a_broker_that_is_restarted_is_found_again_and_what_it_kept_arrives() {
    let mut broker = Mosquitto::start();
    let setup = Setup::new(
        &county::one_station(),
        &config(&broker, "workers = 1\nshared = false"),
    );
    let server = setup.start();
    wait_until_subscribed(&server, 1.0);
    let topic = "tw/v1/station-1/telemetry";
    let say = |level: f64| {
        let mut client = Client::connect(broker.address, "station-1", "any").unwrap();
        let payload = format!(r#"{{"ts":{},"values":{{"level":{level}}}}}"#, ask::now());
        client.publish_acked(topic, payload.as_bytes()).unwrap();
    };
    let arrives = |server: &Server, level: f64| {
        wait::until("the reading arrives", wait::LONG, || {
            let latest = ask::latest_value(server.web, "station-1", "level");
            if (latest - level).abs() < 1e-9 {
                Ok(())
            } else {
                Err(latest.to_string())
            }
        });
    };
    say(1.25);
    arrives(&server, 1.25);
    // A message about nobody who is registered, and one on a topic of nobody's, are dead letters.
    let mut client = Client::connect(broker.address, "other", "any").unwrap();
    client.publish_acked("tw/v1/other/telemetry", b"{}").unwrap();
    wait::until("a dead letter is there", wait::SOON, || {
        let letters = http::json(server.web, "/api/v1/dead-letters");
        let ours = letters[0]["origin"] == "external" && letters[0]["sender"] == "other";
        if ours { Ok(()) } else { Err(letters.to_string()) }
    });
    // While the program is not there, the broker keeps what comes.
    assert!(server.stop().success());
    say(1.5);
    let server = setup.start();
    arrives(&server, 1.5);
    // While the broker is not there, the program says so, and comes back by itself.
    broker.stop();
    wait::until("it is not ready without its broker", wait::SOON, || {
        let answer = http::get(server.web, "/readyz")?;
        if answer.status == 503 && answer.body.contains("external broker") {
            Ok(())
        } else {
            Err(answer.body)
        }
    });
    broker.run();
    wait_until_subscribed(&server, 1.0);
    let mut client = Client::connect(broker.address, "station-1", "any").unwrap();
    let payload = format!(r#"{{"ts":{},"values":{{"level":1.75}}}}"#, ask::now());
    client.publish_acked(topic, payload.as_bytes()).unwrap();
    arrives(&server, 1.75);
}

/// What a bare source is given: refuses at first, then keeps.
#[derive(Default)]
struct Journal {
    refuses: AtomicBool,
    asked: Mutex<u32>,
    kept: Mutex<Vec<RawMessage>>,
}

impl Journal {
    fn sink(self: &Arc<Self>) -> Sink {
        let journal = Arc::clone(self);
        Arc::new(move |messages| {
            let journal = Arc::clone(&journal);
            Box::pin(async move {
                *journal.asked.lock().unwrap() += 1;
                if journal.refuses.load(Ordering::SeqCst) {
                    return Err("the disk is full".into());
                }
                journal.kept.lock().unwrap().extend(messages);
                Ok(())
            })
        })
    }
}

fn settings(broker: &Mosquitto) -> ExternalConfig {
    ExternalConfig {
        nodes: vec![("127.0.0.1".to_owned(), broker.address.port())],
        client_id: "bare".to_owned(),
        login: None,
        tls: None,
        filters: vec!["tw/v1/+/telemetry".to_owned()],
        group: Some("bare".to_owned()),
        workers: 1,
        session_expiry: Duration::from_secs(3600),
        receive_max: 20,
        reconnect_max: Span::from_millis(500),
        nobody: "external".parse().unwrap(),
    }
}

fn wait_for(what: &str, external: &External, enough: impl Fn(&BTreeMap<&str, u64>) -> bool) {
    wait::until(what, wait::LONG, || {
        let counts: BTreeMap<_, _> = external.counters().iter().collect();
        if enough(&counts) {
            Ok(())
        } else {
            Err(format!("{counts:?}"))
        }
    });
}

#[test]
fn what_the_journal_refuses_is_not_acknowledged_and_comes_again() {
    let broker = Mosquitto::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let inside = runtime.enter();
    let journal = Arc::new(Journal::default());
    journal.refuses.store(true, Ordering::SeqCst);
    let cancel = CancellationToken::new();
    let external = External::start(
        settings(&broker),
        journal.sink(),
        Arc::new(SystemClock::new()),
        &cancel,
    );
    wait_for("it is subscribed", &external, |counts| counts["connected"] == 1);
    let mut client = Client::connect(broker.address, "st-1", "any").unwrap();
    for number in 0..50 {
        let payload = format!(r#"{{"seq":{number}}}"#);
        client
            .publish_acked("tw/v1/st-1/telemetry", payload.as_bytes())
            .unwrap();
    }
    // While it refuses, nothing is acknowledged, and the broker sends the same again and again.
    wait_for("it is sent again", &external, |counts| {
        counts["redelivered_total"] > 0
    });
    wait_for("it is refused again", &external, |counts| {
        counts["refused_total"] > 1
    });
    let counts: BTreeMap<_, _> = external.counters().iter().collect();
    assert_eq!(counts["acknowledged_total"], 0, "{counts:?}");
    // When there is room again, everything comes in its order.
    journal.refuses.store(false, Ordering::SeqCst);
    wait_for("all is acknowledged", &external, |counts| {
        counts["acknowledged_total"] >= 50
    });
    runtime.block_on(external.stop());
    drop(inside);
    let kept = journal.kept.lock().unwrap();
    let mut seen = Vec::new();
    for message in kept.iter() {
        assert_eq!(
            (message.origin, message.sender.as_str()),
            (Origin::External, "st-1")
        );
        let text = String::from_utf8(message.payload.to_vec()).unwrap();
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    let want: Vec<String> = (0..50).map(|number| format!(r#"{{"seq":{number}}}"#)).collect();
    assert_eq!(seen, want);
}

#[test]
fn tls_with_a_client_certificate_is_spoken_and_a_foreign_authority_is_not_believed() {
    // Given a broker with a certificate that wants to see one,
    let authority = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), rcgen::Issuer::new(params, key))
    };
    let leaf = |name: &str, issuer: &rcgen::Issuer<'static, rcgen::KeyPair>| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
    };
    let (ca, issuer) = authority("town");
    let (foreign_ca, _) = authority("elsewhere");
    let (server_pem, server_key) = leaf("127.0.0.1", &issuer);
    let (client_pem, client_key) = leaf("townwatch", &issuer);
    let folder = tempfile::tempdir().unwrap();
    let mut more = "require_certificate true\nuse_identity_as_username true\n".to_owned();
    for (option, file, text) in [
        ("cafile", "ca.pem", &ca),
        ("certfile", "server.pem", &server_pem),
        ("keyfile", "server.key", &server_key),
    ] {
        let path = folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        writeln!(more, "{option} {}", path.display()).unwrap();
    }
    let broker = Mosquitto::with(&more);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let inside = runtime.enter();
    let start = |ca: &str| {
        let tls = Tls {
            ca: ca.as_bytes().to_vec(),
            client: Some((client_pem.clone().into_bytes(), client_key.clone().into_bytes())),
        };
        let settings = ExternalConfig {
            tls: Some(tls),
            ..settings(&broker)
        };
        let sink = Arc::new(Journal::default()).sink();
        External::start(
            settings,
            sink,
            Arc::new(SystemClock::new()),
            &CancellationToken::new(),
        )
    };
    // when one asks that believes its authority, and one that believes another,
    let external = start(&ca);
    wait_for("it is subscribed over TLS", &external, |counts| {
        counts["connected"] == 1
    });
    runtime.block_on(external.stop());
    let deceived = start(&foreign_ca);
    // then only the first comes in.
    wait_for("it does not believe", &deceived, |counts| {
        counts["failures_total"] > 1
    });
    assert!(!deceived.is_connected());
    runtime.block_on(deceived.stop());
    drop(inside);
}
