//! F23: receivers of notices that hang, fail, reset, drip, and point somewhere else. The one that works is told at
//! once, the others when they work, and nobody is led to an address that is not allowed.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::receiver::{Delivery, Receiver};
use crate::support::{ask, county, wait};

/// A receiver that reads the head of each request and then does something; how often it was asked.
fn bad(
    what: impl Fn(usize, &mut std::net::TcpStream) + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let what = Arc::new(what);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (count, what) = (Arc::clone(&count), Arc::clone(&what));
            std::thread::spawn(move || {
                let mut head = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while head.read_line(&mut line).is_ok_and(|read| read > 2) {
                    line.clear();
                }
                let place = count.fetch_add(1, Ordering::Relaxed);
                what(place, &mut stream);
            });
        }
    });
    (address, asked)
}

#[test]
fn receivers_that_misbehave_hold_up_nobody_and_lead_nowhere() {
    // Given a good receiver, and others that hang, fail twice, reset, drip their answer, and redirect to a private one,
    let good = Receiver::start();
    let (forbidden, led_there) = bad(|_, _| {});
    let (hangs, hangs_asked) = bad(|_, _| std::thread::park_timeout(Duration::from_secs(120)));
    let fails = Receiver::answering(|place, _| Some(if place < 2 { 500 } else { 200 }));
    let (resets, resets_asked) = bad(|_, _| {});
    let (drips, drips_asked) = bad(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            .ok();
        while stream.write_all(b"x").is_ok() {
            std::thread::park_timeout(Duration::from_millis(500));
        }
    });
    let (redirects, redirects_asked) = bad(move |_, stream| {
        let to = format!("http://{forbidden}/metadata");
        write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .ok();
    });
    let mut config = good.configuration();
    let others = [
        ("hangs", hangs),
        ("fails", fails.address()),
        ("resets", resets),
        ("drips", drips),
        ("redirects", redirects),
    ];
    let allowed: String = others
        .iter()
        .map(|(_, address)| format!(", \"{address}\""))
        .collect();
    config = config.replacen("\"]", &format!("\"{allowed}]"), 1);
    for (name, address) in others {
        config += &format!("[[alarms.webhook]]\nname = \"{name}\"\nurl = \"http://{address}/hook\"\n");
    }
    let registry = format!(
        "{}{}",
        county::HEAD,
        county::mqtt_device("panel-1", "gas-detector-panel")
    );
    let setup = Setup::new(&registry, &config);
    let server = setup.start();
    // when gas is found on four channels,
    let mut panel = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    let payload = br#"{"values":{"gas_01":60,"gas_02":60,"gas_03":60,"gas_04":60}}"#;
    let sent = ask::now();
    panel.publish_acked("tw/v1/panel-1/telemetry", payload).unwrap();
    // then the good receiver is told of all of them at once,
    wait::until("the good receiver is told", wait::SOON, || {
        let told = good.keys(|body| body.contains("GAS-L2-0"));
        if told.len() == 4 {
            Ok(())
        } else {
            Err(format!("{told:?}"))
        }
    });
    println!(
        "F23: told after {} ms beside receivers that misbehave",
        ask::now() - sent
    );
    // the one that failed is asked until it works, each time under the key of the notice,
    wait::until("the failing one has all notices", wait::LONG, || {
        let asked = fails.deliveries(|body| body.contains("GAS-"));
        let failed = asked.get(..2).ok_or_else(|| format!("{asked:?}"))?;
        let again = |notice: &Delivery| {
            let mut later = asked.iter().skip(2);
            later.any(|later| later.key == notice.key && later.body == notice.body)
        };
        if failed.iter().all(again) {
            Ok(())
        } else {
            Err(format!("{asked:?}"))
        }
    });
    // the others are given up and asked again: neither a silence nor an answer without an end is waited for,
    for (name, asked) in [
        ("hangs", &hangs_asked),
        ("resets", &resets_asked),
        ("drips", &drips_asked),
        ("redirects", &redirects_asked),
    ] {
        wait::until(&format!("the one that {name} is asked again"), wait::LONG, || {
            let asked = asked.load(Ordering::Relaxed);
            if asked >= 2 {
                Ok(())
            } else {
                Err(asked.to_string())
            }
        });
    }
    // and nobody was led to the address that is not allowed.
    assert_eq!(led_there.load(Ordering::Relaxed), 0, "a redirect was followed");
    // A later alarm finds its way, too.
    panel
        .publish_acked("tw/v1/panel-1/telemetry", br#"{"values":{"gas_05":60}}"#)
        .unwrap();
    wait::until("the good receiver is told again", wait::LONG, || {
        let told = good.keys(|body| body.contains("GAS-L2-05"));
        if told.is_empty() {
            Err("not yet".to_owned())
        } else {
            Ok(())
        }
    });
    assert!(server.stop().success());
}
