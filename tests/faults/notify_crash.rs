//! F24, A28 and A29: the server dies while it tells people. A notice that is on disk is sent after the start, under the key that it
//! had, so that a receiver that looks at keys has it once.

use std::sync::atomic::{AtomicBool, Ordering};

use store::state::State;
use store::state::alarms::{Fate, Notice};

use super::probe::{Need, has};
use super::strace::Attached;
use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::receiver::{Delivery, Receiver};
use crate::support::{ask, county, wait};

/// After so long a notice that waits has been sent by a server that is ready. Source: `alarms.md`, A28.
const SENT_WITHIN_MS: i64 = 5_000;

fn setup(receiver: &Receiver) -> Setup {
    let registry = format!(
        "{}{}",
        county::HEAD,
        county::mqtt_device("panel-1", "gas-detector-panel")
    );
    Setup::new(&registry, &receiver.configuration())
}

fn is_raised(body: &str) -> bool {
    body.contains("GAS-L2-01") && body.contains("alarm.raised")
}

/// The notice of the leak, as it is on disk.
fn on_disk(setup: &Setup) -> Result<Notice, String> {
    let state = State::open_read_only(&setup.data().join("state.db")).map_err(|error| error.to_string())?;
    let notices = state.notices(100).map_err(|error| error.to_string())?;
    let leak = notices.iter().find(|notice| is_raised(&notice.payload));
    leak.cloned().ok_or_else(|| format!("{notices:?}"))
}

/// What the receiver got of the leak since `before` deliveries of it.
fn sent_again(receiver: &Receiver, before: usize) -> Delivery {
    wait::until("the notice is sent", wait::SOON, || {
        let got = receiver.deliveries(is_raised);
        got.get(before).cloned().ok_or_else(|| format!("{got:?}"))
    })
}

fn is_delivered(setup: &Setup) {
    wait::until(
        "the notice is known as delivered",
        wait::SOON,
        || match on_disk(setup)? {
            notice if notice.fate == Fate::Delivered => Ok(()),
            notice => Err(format!("{notice:?}")),
        },
    );
}

#[test]
fn a28_killed_between_commit_and_call_the_notice_is_sent_once_after_the_start() {
    if !has("F24 killed before the call", Need::Strace) {
        return;
    }
    // Given a server whose connections to receivers take a minute to begin,
    let receiver = Receiver::start();
    let setup = setup(&receiver);
    let server = setup.start();
    let mut panel = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    let log = setup.path().join("strace.log");
    let slow = Attached::to_calls(server.pid(), "connect", "delay_enter=60000000", &[], &log);
    // when a leak and its notice are on disk, and it is killed before the receiver was called,
    let topic = "tw/v1/panel-1/telemetry";
    panel
        .publish_acked(topic, br#"{"values":{"gas_01":60}}"#)
        .unwrap();
    let committed = wait::until("the notice is on disk", wait::SOON, || on_disk(&setup));
    server.kill();
    drop(slow);
    assert_eq!(committed.fate, Fate::Waiting, "{committed:?}");
    assert!(receiver.bodies().is_empty(), "{:?}", receiver.bodies());
    // then it is sent after the start, at once, under the key that is on disk,
    let server = setup.start();
    let ready = ask::now();
    let told = sent_again(&receiver, 0);
    println!("A28: told {} ms after the server was ready", told.at - ready);
    assert!(told.at - ready <= SENT_WITHIN_MS, "{} ms", told.at - ready);
    assert_eq!(*told.key, *committed.key);
    is_delivered(&setup);
    // and once: neither the running server nor another start sends it again.
    assert!(server.stop().success());
    let server = setup.start();
    tell_another(&server, &receiver);
    assert_eq!(receiver.deliveries(is_raised).len(), 1, "{:?}", receiver.bodies());
    assert_eq!(ask::alarms(server.web, false, "panel-1", "GAS-L2-01").len(), 1);
    assert!(server.stop().success());
}

#[test]
fn a29_killed_between_call_and_record_the_notice_is_sent_again_under_the_same_key() {
    // Given a receiver that takes the first call about a leak and never answers it,
    let called = AtomicBool::new(false);
    let receiver = Receiver::answering(move |_, body| {
        let first = is_raised(body) && !called.swap(true, Ordering::Relaxed);
        (!first).then_some(200)
    });
    let setup = setup(&receiver);
    let server = setup.start();
    let mut panel = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    let topic = "tw/v1/panel-1/telemetry";
    // when a leak is found, and the server is killed when the receiver has the notice and nobody has recorded it,
    panel
        .publish_acked(topic, br#"{"values":{"gas_01":60}}"#)
        .unwrap();
    let first = sent_again(&receiver, 0);
    server.kill();
    let left = on_disk(&setup).unwrap();
    assert_eq!(left.fate, Fate::Waiting, "{left:?}");
    // then it is sent again after the start, at once, as it was,
    let server = setup.start();
    let ready = ask::now();
    let again = sent_again(&receiver, 1);
    println!(
        "A29: told again {} ms after the server was ready",
        again.at - ready
    );
    assert!(again.at - ready <= SENT_WITHIN_MS, "{} ms", again.at - ready);
    assert_eq!((&again.key, &again.body), (&first.key, &first.body));
    is_delivered(&setup);
    // so that a receiver that looks at keys has it once, and nobody sends it a third time.
    tell_another(&server, &receiver);
    assert_eq!(receiver.keys(is_raised).len(), 1);
    assert_eq!(receiver.deliveries(is_raised).len(), 2, "{:?}", receiver.bodies());
    assert!(server.stop().success());
}

/// Whatever of the first leak is still to be sent goes out before a later one is told.
fn tell_another(server: &crate::support::program::Server, receiver: &Receiver) {
    let mut panel = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    panel
        .publish_acked("tw/v1/panel-1/telemetry", br#"{"values":{"gas_02":60}}"#)
        .unwrap();
    wait::until("another leak is told", wait::SOON, || {
        let told = receiver.keys(|body| body.contains("GAS-L2-02") && body.contains("alarm.raised"));
        if told.is_empty() {
            Err(format!("{:?}", receiver.bodies()))
        } else {
            Ok(())
        }
    });
}
