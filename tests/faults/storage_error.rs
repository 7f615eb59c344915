//! F05 and F06: fsync fails, once and always. The server never acknowledges what it cannot keep; it says why it
//! ends, and when it ends again and again it comes back without a disk, so that gas alarms still go out.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::ledger::Load;
use super::probe::{Need, has};
use super::strace::{self, Attached};
use crate::support::mqtt::Client;
use crate::support::program::{Server, Setup, call, command};
use crate::support::receiver::Receiver;
use crate::support::{ask, county, http, wait};

/// The exit code of a failed storage.
const STORAGE: Option<i32> = Some(6);

fn raised(rule: &'static str) -> impl Fn(&str) -> bool {
    move |body| body.contains(rule) && body.contains("alarm.raised")
}

#[test]
fn one_failed_fsync_ends_the_server_at_once_and_nothing_acknowledged_is_lost() {
    if !has("F05 fsync fails once", Need::Strace) {
        return;
    }
    // Given stations under load,
    let load = Load::new("f05");
    let receiver = Receiver::start();
    let setup = Setup::new(&load.registry(), &receiver.configuration());
    let server = setup.start();
    let address = server.mqtt;
    let log = setup.path().join("strace.log");
    let (status, failed_at, ended_at) = load.run(address, || {
        load.wait_for(300);
        // when one fsync of the journal fails,
        let files = [setup.data().join("journal.db-wal")];
        let attached = Attached::to(server.pid(), "error=EIO:when=1", &files, &log);
        let status = server.exited();
        let ended_at = ask::now();
        (status, attached.first_injected_ms().unwrap(), ended_at)
    });
    // then the server has ended with the code that says so, at once, and told people,
    assert_eq!(status.code(), STORAGE);
    println!("F05: ended {} ms after the failed fsync", ended_at - failed_at);
    assert!(
        ended_at - failed_at < 3_000,
        "it took {} ms",
        ended_at - failed_at
    );
    assert!(
        !receiver.keys(raised("SRV-STORAGE")).is_empty(),
        "{:?}",
        receiver.bodies()
    );
    // and no acknowledgement came after the error but those that were on their way.
    assert_eq!(load.acknowledged_after(failed_at + 500), 0);
    // It starts again, has everything that was acknowledged, and is well.
    let server = setup.start();
    load.check(server.web);
    wait::until("it is ready", wait::SOON, || {
        let answer = http::get(server.web, "/readyz")?;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.body)
        }
    });
    wait::until("the storage alarm is over", wait::LONG, || {
        match ask::alarms(server.web, true, "townwatch", "SRV-STORAGE").first() {
            None => Ok(()),
            Some(alarm) if alarm["state"] == "returned_unacknowledged" => Ok(()),
            Some(alarm) => Err(alarm.to_string()),
        }
    });
    println!("F05: {} messages were acknowledged", load.acknowledged());
    assert!(server.stop().success());
}

/// Every file that the server makes durable in its data folder.
fn files(setup: &Setup) -> Vec<PathBuf> {
    let names = ["state.db", "journal.db", "mqtt.db", "series.db"];
    let mut files: Vec<PathBuf> = names
        .iter()
        .flat_map(|name| {
            [
                (*name).to_owned(),
                format!("{name}-wal"),
                format!("{name}-journal"),
            ]
        })
        .map(|name| setup.data().join(name))
        .collect();
    files.extend([
        setup.data(),
        setup.data().join("townwatch.lock"),
        setup.data().join("probe"),
    ]);
    files
}

/// `serve`, as a supervisor would start it.
fn serve(setup: &Setup) -> Command {
    let mut serve = command();
    serve.args(["serve", "--degraded-look-every", "500ms", "--config"]);
    serve.arg(setup.path().join("townwatch.toml"));
    serve
}

#[test]
fn when_fsync_always_fails_the_fourth_start_is_degraded_and_a_gas_alarm_still_goes_out() {
    if !has("F06 fsync always fails", Need::Strace) {
        return;
    }
    // Given a server that has known better days: a leak on channel 2 is open,
    let registry = format!(
        "{}{}",
        county::HEAD,
        county::mqtt_device("panel-1", "gas-detector-panel")
    );
    let receiver = Receiver::start();
    let setup = Setup::new(&registry, &receiver.configuration());
    let server = setup.start();
    let topic = "tw/v1/panel-1/telemetry";
    let mut panel = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    panel
        .publish_acked(topic, br#"{"values":{"gas_02":60}}"#)
        .unwrap();
    wait::until("the leak is told", wait::SOON, || {
        let told = receiver.keys(raised("GAS-L2-02"));
        if told.is_empty() {
            Err(format!("{:?}", receiver.bodies()))
        } else {
            Ok(())
        }
    });
    assert!(server.stop().success());
    // when every fsync fails, then three starts in a row end and say why,
    for _ in 0..3 {
        let mut failing = strace::under(&serve(&setup), "error=EIO", &files(&setup));
        let ended = failing.stdin(Stdio::null()).output().unwrap();
        assert_eq!(ended.status.code(), STORAGE, "{ended:?}");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(
            said.contains("disk I/O error") || said.contains("Input/output error"),
            "{said}"
        );
    }
    // and the fourth is degraded: it serves, says so, and knows the open alarm.
    let server = Server::start(strace::under(&serve(&setup), "error=EIO", &files(&setup)));
    let ready = http::get(server.web, "/readyz").unwrap();
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(ready.body.contains("degraded"), "{ready:?}");
    assert_eq!(ask::alarms(server.web, true, "panel-1", "GAS-L2-02").len(), 1);
    // A live 60 %LEL pages, marked; nothing is acknowledged.
    let sent = ask::now();
    let mut panel = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    panel.publish(topic, br#"{"values":{"gas_01":60}}"#).unwrap();
    let told = wait::until("the leak is told without a disk", wait::SOON, || {
        let bodies = receiver.bodies();
        let told = bodies.iter().find(|body| raised("GAS-L2-01")(body)).cloned();
        told.ok_or_else(|| format!("{bodies:?}"))
    });
    let after = ask::now() - sent;
    println!("F06: told after {after} ms");
    assert!(after <= 5_000, "told after {after} ms");
    assert!(told.contains(r#""durable":false"#), "{told}");
    assert!(panel.read_puback().is_err(), "acknowledged without a disk");
    wait::until("the failure of the storage is told", wait::SOON, || {
        let told = receiver.keys(raised("SRV-STORAGE"));
        if told.is_empty() {
            Err(format!("{:?}", receiver.bodies()))
        } else {
            Ok(())
        }
    });
    // When the disk works again it ends, to be started as usual, and nothing is damaged.
    strace::release(server.pid());
    assert_eq!(server.exited().code(), STORAGE);
    let server = Server::start(serve(&setup));
    wait::until("it is ready", wait::SOON, || {
        let answer = http::get(server.web, "/readyz")?;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.body)
        }
    });
    assert_eq!(ask::alarms(server.web, true, "panel-1", "GAS-L2-02").len(), 1);
    // The device sends again what was not acknowledged; now it is, and the leak is an alarm of its own.
    let mut panel = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    panel
        .publish_acked(topic, br#"{"values":{"gas_01":60}}"#)
        .unwrap();
    wait::until("the leak is an alarm on disk", wait::SOON, || match ask::alarms(
        server.web,
        true,
        "panel-1",
        "GAS-L2-01",
    )
    .first()
    {
        Some(alarm) if alarm["durable"] == true => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(server.stop().success());
    // Three starts that failed and one without a disk have damaged no file.
    let (code, said, errors) = call(&["verify", setup.data().to_str().unwrap()]);
    assert_eq!(code, 0, "{said}{errors}");
    assert!(said.contains("nothing is wrong"), "{said}");
}
