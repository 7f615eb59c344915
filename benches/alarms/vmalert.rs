//! The same series and the same three threshold rules each: this program from MQTT, and vmalert over VictoriaMetrics from line
//! protocol, each from a value to its notice at a receiver on loopback. Every series is written every ten seconds.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::county::{self, DEVICES_PER_GATEWAY, SIGNALS};
use crate::hook::Hook;
use crate::support::mqtt::Client;
use crate::support::{ask, http};
use crate::{process, quantile_ms};

/// From one writing of all series to the next.
const PERIOD: Duration = Duration::from_secs(10);
/// What the first series of a device reads: within its limits, and beyond the highest.
const NORMAL: f64 = 50.5;
const HIGH: f64 = 95.5;

/// Devices that were raised. They stay over their limit.
type Raised = Arc<Mutex<HashSet<usize>>>;

/// One line of the table.
struct Measured {
    what: String,
    series: usize,
    delays: Vec<Duration>,
    /// Names of the processes, with cores and MiB of each over the stretch.
    cost: Vec<(&'static str, f64, f64)>,
}

/// How vmalert and VictoriaMetrics are run.
struct Way {
    interval: Option<&'static str>,
    offset: Option<&'static str>,
    raises: usize,
    pause: Duration,
}

/// Prints the table, with the lines of `peers` or only our own.
pub(crate) fn run(peers: bool) {
    println!(
        "\n3 threshold rules a series, {SIGNALS} series a device, each written every {} s; from a value over its limit to the notice at \
         a webhook receiver\n",
        PERIOD.as_secs()
    );
    println!("| | series | raised | p50 ms | p99 ms | max ms | CPU cores | memory MiB |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for series in [10_000, 100_000] {
        print(ours(series));
        if !peers {
            continue;
        }
        for way in [
            Way {
                interval: Some("1s"),
                offset: Some("1s"),
                raises: 30,
                pause: Duration::from_millis(1700),
            },
            Way {
                interval: Some("1s"),
                offset: None,
                raises: 15,
                pause: Duration::from_millis(3700),
            },
            Way {
                interval: None,
                offset: None,
                raises: 15,
                pause: Duration::from_millis(13_700),
            },
        ] {
            if let Some(measured) = theirs(series, &way) {
                print(measured);
            }
        }
    }
}

fn print(measured: Measured) {
    let Measured {
        what,
        series,
        mut delays,
        cost,
    } = measured;
    delays.sort_unstable();
    let shares = [0.5, 0.99, 1.0].map(|share| format!("{:.1}", quantile_ms(&delays, share)));
    let of =
        |pick: fn(&(&'static str, f64, f64)) -> String| cost.iter().map(pick).collect::<Vec<_>>().join(" + ");
    println!(
        "| {what} | {series} | {} | {} | {} | {} |",
        delays.len(),
        shares.join(" | "),
        of(|(_, cores, _)| format!("{cores:.2}")),
        of(|(name, _, memory)| format!("{memory:.0} ({name})")),
    );
}

/// What writes every series every ten seconds until it is stopped.
struct Base {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Base {
    /// `write` gets the places of devices to be written now.
    fn start(devices: usize, mut write: impl FnMut(std::ops::Range<usize>) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            // A hundred parts of all devices, evenly over the period.
            let begun = process::now();
            let part = devices.div_ceil(100);
            let mut number = 0_u32;
            while !stopping.load(Ordering::Relaxed) {
                let first = usize::try_from(number % 100).unwrap_or(0) * part;
                write(first.min(devices)..(first + part).min(devices));
                number += 1;
                let due = begun + PERIOD * number / 100;
                std::thread::park_timeout(due.saturating_duration_since(process::now()));
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// What is measured: raises one device after the other, and waits for all notices.
fn raise_all(
    raises: usize,
    pause: Duration,
    devices: usize,
    raise: impl Fn(usize) -> Instant,
    told: impl Fn(usize, Duration) -> Option<Instant>,
) -> Vec<Duration> {
    // Spread over all devices, and not in step with any interval.
    let sent: Vec<(usize, Instant)> = (0..raises)
        .map(|number| {
            std::thread::park_timeout(pause);
            let device = number * (devices / raises);
            (device, raise(device))
        })
        .collect();
    let delay = |(device, sent): (usize, Instant)| {
        let told = told(device, Duration::from_secs(180));
        let told = told.unwrap_or_else(|| panic!("device {device} is told within three minutes"));
        told.duration_since(sent)
    };
    sent.into_iter().map(delay).collect()
}

fn ours(series: usize) -> Measured {
    let hook = Hook::start();
    let setup = county::setup(series, &hook.configuration(""));
    let server = setup.start();
    let devices = series.div_ceil(SIGNALS);
    let raised = Raised::default();
    let gateways = 0..devices.div_ceil(DEVICES_PER_GATEWAY);
    let client = |place: usize| Client::connect(server.mqtt, &format!("g{place}"), "secret").unwrap();
    let clients: Arc<Mutex<Vec<Client>>> = Arc::new(Mutex::new(gateways.map(client).collect()));
    let (high, of_base) = (Arc::clone(&raised), Arc::clone(&clients));
    let base = Base::start(devices, move |places| {
        let mut clients = of_base.lock().unwrap();
        let mut sent = Vec::new();
        for place in places {
            let first = value(&high, place);
            let client = &mut clients[place / DEVICES_PER_GATEWAY];
            let message = county::message(ask::now(), first);
            client.publish(&county::topic(place), message.as_bytes()).unwrap();
            sent.push(place / DEVICES_PER_GATEWAY);
        }
        for gateway in sent {
            clients[gateway].read_puback().unwrap();
        }
    });
    // Everything was written twice before anything is measured.
    std::thread::park_timeout(PERIOD * 2);
    let before = process::cost(server.pid());
    let begun = process::now();
    let raise = |place: usize| {
        let mut clients = clients.lock().unwrap();
        raised.lock().unwrap().insert(place);
        let message = county::message(ask::now(), HIGH);
        let sent = process::now();
        clients[place / DEVICES_PER_GATEWAY]
            .publish_acked(&county::topic(place), message.as_bytes())
            .unwrap();
        sent
    };
    let told = |place: usize, deadline| {
        let rule = format!("\"rule\":\"{}/HH-0\"", county::device(place));
        hook.wait_for(&[rule, "\"alarm.raised\"".to_owned()], deadline)
    };
    let delays = raise_all(30, Duration::from_millis(1700), devices, raise, told);
    let after = process::cost(server.pid());
    let cores = (after.0 - before.0) / begun.elapsed().as_secs_f64();
    drop(base);
    assert!(server.stop().success());
    Measured {
        what: "Townwatch, from PUBLISH".to_owned(),
        series,
        delays,
        cost: vec![("townwatch", cores, after.1)],
    }
}

fn value(raised: &Raised, place: usize) -> f64 {
    if raised.lock().unwrap().contains(&place) {
        HIGH
    } else {
        NORMAL
    }
}

/// A process that ends with the benchmark.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn start(program: &str, folder: &Path, arguments: &[String]) -> Option<Peer> {
    let log = std::fs::File::create(folder.join(format!("{program}.log"))).unwrap();
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    match child {
        Ok(child) => Some(Peer(child)),
        Err(error) => {
            println!("SKIPPED: {program} cannot be started ({error}): apt install victoria-metrics");
            None
        }
    }
}

fn wait_for(address: SocketAddr) {
    let begun = process::now();
    while http::get(address, "/health").is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{address} answers within a minute"
        );
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Lines of all signals of these devices.
fn lines(places: impl Iterator<Item = usize>, ts: i64, raised: &Raised) -> String {
    places
        .flat_map(|place| {
            (0..SIGNALS).map(move |signal| {
                let value = if signal == 0 { value(raised, place) } else { NORMAL };
                format!("v,device=d{place},signal=s{signal} value={value} {ts}000000\n")
            })
        })
        .collect()
}

fn write(address: SocketAddr, lines: &str) {
    let answer = http::send(address, "/write", "", lines.as_bytes()).unwrap();
    assert_eq!(answer.status, 204, "{answer:?}");
}

fn theirs(series: usize, way: &Way) -> Option<Measured> {
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook::start();
    let (engine, alert) = (free_address(), free_address());
    let mut arguments = vec![
        format!("-storageDataPath={}", folder.path().join("data").display()),
        format!("-httpListenAddr={engine}"),
    ];
    arguments.extend(way.offset.map(|offset| format!("-search.latencyOffset={offset}")));
    let victoria = start("victoria-metrics", folder.path(), &arguments)?;
    wait_for(engine);
    let rules = folder.path().join("rules.yml");
    std::fs::write(
        &rules,
        "groups:\n- name: limits\n  rules:\n  - alert: HH\n    expr: v_value >= 90\n  - alert: H\n    expr: v_value >= 80\n  \
         - alert: L\n    expr: v_value <= 5\n",
    )
    .unwrap();
    let devices = series.div_ceil(SIGNALS);
    let raised = Raised::default();
    let high = Arc::clone(&raised);
    let base = Base::start(devices, move |places| {
        write(engine, &lines(places, ask::now(), &high));
    });
    std::thread::park_timeout(PERIOD * 2);
    let mut arguments = vec![
        format!("-rule={}", rules.display()),
        format!("-datasource.url=http://{engine}"),
        format!("-notifier.url=http://{}", hook.address),
        format!("-httpListenAddr={alert}"),
    ];
    arguments.extend(
        way.interval
            .map(|interval| format!("-evaluationInterval={interval}")),
    );
    let vmalert = start("vmalert", folder.path(), &arguments)?;
    wait_for(alert);
    std::thread::park_timeout(PERIOD);
    let before = [process::cost(victoria.0.id()), process::cost(vmalert.0.id())];
    let begun = process::now();
    let raise = |place: usize| {
        raised.lock().unwrap().insert(place);
        write(engine, &lines(std::iter::once(place), ask::now(), &raised));
        process::now()
    };
    let told = |place: usize, deadline| {
        let words = [
            "\"alertname\":\"HH\"".to_owned(),
            format!("\"device\":\"d{place}\""),
        ];
        hook.wait_for(&words, deadline)
    };
    let delays = raise_all(way.raises, way.pause, devices, raise, told);
    let seconds = begun.elapsed().as_secs_f64();
    let after = [process::cost(victoria.0.id()), process::cost(vmalert.0.id())];
    drop(base);
    let cores = |place: usize| (after[place].0 - before[place].0) / seconds;
    Some(Measured {
        what: format!(
            "vmalert, interval {}, latencyOffset {}, from 204",
            way.interval.unwrap_or("1m (default)"),
            way.offset.unwrap_or("30s (default)")
        ),
        series,
        delays,
        cost: vec![
            ("victoria-metrics", cores(0), after[0].1),
            ("vmalert", cores(1), after[1].1),
        ],
    })
}
