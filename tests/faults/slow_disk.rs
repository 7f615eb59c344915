//! F07: every fsync takes two seconds. Acknowledgements wait; gas alarms do not, and nothing piles up.

use super::ledger::Load;
use super::probe::{Need, has};
use super::strace::Attached;
use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::receiver::Receiver;
use crate::support::{ask, county, wait};

#[test]
fn with_every_fsync_two_seconds_slow_a_gas_alarm_is_told_at_once_marked_and_once() {
    if !has("F07 fsync takes two seconds", Need::Strace) {
        return;
    }
    // Given a gas panel that is known, stations under load, and a disk that becomes slow,
    let load = Load::new("f07");
    let registry = format!(
        "{}{}",
        load.registry(),
        county::mqtt_device("panel-1", "gas-detector-panel")
    );
    let receiver = Receiver::start();
    let setup = Setup::new(&registry, &receiver.configuration());
    let server = setup.start();
    let mut panel = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    let topic = "tw/v1/panel-1/telemetry";
    panel.publish_acked(topic, br#"{"values":{"gas_01":1}}"#).unwrap();
    let log = setup.path().join("strace.log");
    load.run(server.mqtt, || load.wait_for(300));
    let before = server.memory_kib() / 1024;
    let slow = Attached::to(server.pid(), "delay_enter=2000000", &[], &log);
    // when 60 %LEL are reported,
    let sent = ask::now();
    let payload = format!(r#"{{"ts":{sent},"values":{{"gas_01":60}}}}"#);
    panel.publish(topic, payload.as_bytes()).unwrap();
    // then people are told, and that it is not yet durable, while the device still waits for its acknowledgement,
    let is_told = |body: &str| body.contains("GAS-L2-01") && body.contains("alarm.raised");
    let told = wait::until("the notice arrives", wait::SOON, || {
        let told = receiver.bodies().into_iter().find(|body| is_told(body));
        told.ok_or_else(|| format!("{:?}", receiver.bodies()))
    });
    let after = ask::now() - sent;
    println!("F07: told after {after} ms");
    assert!(
        after < 2_000,
        "told after {after} ms: the alarm waited for the disk"
    );
    assert!(told.contains(r#""durable":false"#), "{told}");
    assert!(told.contains("[NOT YET DURABLE]"), "{told}");
    let marked = &ask::alarms(server.web, true, "panel-1", "GAS-L2-01")[0];
    assert_eq!(marked["durable"], false, "{marked}");
    // which comes when the disk is done.
    panel.read_puback().unwrap();
    let acknowledged = ask::now() - sent;
    println!("F07: acknowledged after {acknowledged} ms");
    assert!(
        acknowledged >= 2_000,
        "acknowledged after {acknowledged} ms, before the fsync"
    );
    // The mark goes when all is on disk,
    wait::until("the mark goes", wait::LONG, || {
        let open = ask::alarms(server.web, true, "panel-1", "GAS-L2-01");
        match open.first() {
            Some(alarm) if alarm["durable"] == true => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    // and half a minute of load that waits for the disk takes no memory to speak of: who waits sends nothing more.
    let held = load.run(server.mqtt, || {
        let end = ask::now() + 30_000;
        let mut most = 0;
        while ask::now() < end {
            most = most.max(server.memory_kib() / 1024);
            std::thread::park_timeout(std::time::Duration::from_millis(200));
        }
        most
    });
    println!("F07: {before} MiB before, {held} MiB at most under load");
    assert!(held <= before + 64, "{before} MiB before, {held} MiB under load");
    drop(slow);
    // and after a restart there is one alarm, told once.
    assert!(server.stop().success());
    let server = setup.start();
    let lives = ask::alarms(server.web, false, "panel-1", "GAS-L2-01");
    assert_eq!(lives.len(), 1, "{lives:?}");
    assert_eq!(lives[0]["durable"], true, "{lives:?}");
    assert_eq!(receiver.keys(is_told).len(), 1, "{:?}", receiver.bodies());
}
