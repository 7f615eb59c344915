//! Clients that nobody here wrote: `mosquitto_pub` and `mosquitto_sub` of Debian's `mosquitto-clients`.

use std::process::{Output, Stdio};

use broker::Anonymous;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::*;

fn command(program: &str, port: u16, version: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-V", version])
        .kill_on_drop(true);
    command
}

async fn output(mut command: Command) -> Output {
    let run = command.output();
    tokio::time::timeout(PATIENCE, run)
        .await
        .expect("the client ends")
        .expect("mosquitto-clients is installed")
}

const VERSIONS: [&str; 2] = ["mqttv311", "mqttv5"];

#[tokio::test]
async fn mosquitto_pub_and_sub_work_in_both_versions_and_with_every_qos() {
    let intake = Default::default();
    let gate = gate(&intake, Anonymous::SubscribeOnly, |_| {}).await;
    let port = gate.local_addr().port();
    let mut subscriptions = 0;
    for sub_version in VERSIONS {
        for pub_version in VERSIONS {
            for qos in ["0", "1", "2"] {
                // Given a subscriber that ends after one message,
                let mut sub = command("mosquitto_sub", port, sub_version);
                sub.args(["-t", "tw/v1/#", "-q", qos, "-C", "1", "-F", "%t %q %p"]);
                let mut sub = sub
                    .stdout(Stdio::piped())
                    .spawn()
                    .expect("mosquitto-clients is installed");
                subscriptions += 1;
                until("it is subscribed", || {
                    gate.counters().subscriptions == subscriptions
                })
                .await;
                // when a device publishes,
                let mut publisher = command("mosquitto_pub", port, pub_version);
                publisher.args(["-i", "pump-1", "-u", "pump-1", "-P", "secret", "-q", qos]);
                publisher.args(["-t", "tw/v1/pump-1/telemetry", "-m", r#"{"values":{"tilt":1}}"#]);
                let sent = output(publisher).await;
                assert!(sent.status.success(), "{sent:?}");
                // then it is told topic, QoS and payload.
                let mut lines = BufReader::new(sub.stdout.take().unwrap()).lines();
                let line = tokio::time::timeout(PATIENCE, lines.next_line())
                    .await
                    .unwrap()
                    .unwrap()
                    .unwrap();
                assert_eq!(
                    line,
                    format!(r#"tw/v1/pump-1/telemetry {qos} {{"values":{{"tilt":1}}}}"#)
                );
                assert!(sub.wait().await.unwrap().success());
            }
        }
    }
    assert_eq!(intake.taken().len(), 12);
}

#[tokio::test]
async fn mosquitto_pub_says_what_it_is_told() {
    let (gate, intake) = plain_gate().await;
    let port = gate.local_addr().port();
    for (version, code, said) in [
        (
            "mqttv311",
            5,
            "Connection error: Connection Refused: not authorised.",
        ),
        ("mqttv5", 135, "Connection error: Not authorized"),
    ] {
        let mut publisher = command("mosquitto_pub", port, version);
        publisher.args(["-t", "tw/v1/pump-1/telemetry", "-m", "x"]);
        let refused = output(publisher).await;
        assert_eq!(refused.status.code(), Some(code), "{refused:?}");
        assert_eq!(
            String::from_utf8_lossy(&refused.stderr).lines().next(),
            Some(said)
        );
    }
    for (version, said) in [
        (
            "mqttv311",
            "Connection error: Connection Refused: bad user name or password.",
        ),
        ("mqttv5", "Connection error: Bad User Name or Password"),
    ] {
        let mut publisher = command("mosquitto_pub", port, version);
        publisher.args([
            "-i",
            "pump-1",
            "-u",
            "pump-1",
            "-P",
            "guess",
            "-t",
            "tw/v1/pump-1/x",
            "-m",
            "x",
        ]);
        let refused = output(publisher).await;
        assert_eq!(
            String::from_utf8_lossy(&refused.stderr).lines().next(),
            Some(said)
        );
    }
    assert!(intake.taken().is_empty());
}

#[tokio::test]
async fn a_burst_of_mosquitto_pub_is_acknowledged_to_the_last_line() {
    let (gate, intake) = plain_gate().await;
    for version in VERSIONS {
        let mut publisher = command("mosquitto_pub", gate.local_addr().port(), version);
        publisher.args(["-i", "pump-1", "-u", "pump-1", "-P", "secret", "-q", "1", "-l"]);
        publisher.args(["-t", "tw/v1/pump-1/telemetry"]);
        let mut child = publisher
            .stdin(Stdio::piped())
            .spawn()
            .expect("mosquitto-clients is installed");
        let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
        let mut stdin = child.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stdin, lines.as_bytes())
            .await
            .unwrap();
        drop(stdin);
        assert!(
            tokio::time::timeout(PATIENCE, child.wait())
                .await
                .unwrap()
                .unwrap()
                .success()
        );
    }
    let expected: Vec<String> = (0..1000).chain(0..1000).map(|n| n.to_string()).collect();
    assert_eq!(intake.payloads(), expected);
    assert_eq!(gate.counters().pubacks, 2000);
}

#[tokio::test]
async fn mosquitto_sub_finds_what_waited_for_it_and_what_is_retained() {
    for version in VERSIONS {
        let home = Home::default();
        let gate = home.gate().await;
        let port = gate.local_addr().port();
        // Given a client with a session that stays, which has subscribed (-E) and gone,
        let lasting = |filter: &str| {
            let mut sub = command("mosquitto_sub", port, version);
            sub.args(["-i", "scada", "-c", "-q", "2", "-t", filter]);
            sub
        };
        let mut first = lasting("tw/v1/+/telemetry");
        first.arg("-E");
        let gone = output(first).await;
        assert!(gone.status.success(), "{gone:?}");
        // when messages are published with each QoS, and one is retained,
        let publish = |topic: &str, qos: &str, message: &str, retain: bool| {
            let mut publisher = command("mosquitto_pub", port, version);
            publisher.args(["-i", "pump-1", "-u", "pump-1", "-P", "secret", "-q", qos]);
            publisher.args(["-t", topic, "-m", message]);
            if retain {
                publisher.arg("-r");
            }
            publisher
        };
        for (qos, message) in [("0", "zero"), ("1", "one"), ("2", "two")] {
            let sent = output(publish("tw/v1/pump-1/telemetry", qos, message, false)).await;
            assert!(sent.status.success(), "{sent:?}");
        }
        assert!(
            output(publish("tw/v1/pump-1/state", "1", "on", true))
                .await
                .status
                .success()
        );
        // then the two with QoS 1 and 2 have waited for it,
        let mut again = lasting("tw/v1/+/telemetry");
        again.args(["-C", "2", "-F", "%q %p"]);
        let got = output(again).await;
        assert_eq!(String::from_utf8_lossy(&got.stdout), "1 one\n2 two\n", "{got:?}");
        // and who comes later finds the retained one, with its flag.
        let mut late = command("mosquitto_sub", port, version);
        late.args(["-t", "tw/v1/+/state", "-q", "1", "-C", "1", "-F", "%r %p"]);
        let got = output(late).await;
        assert_eq!(String::from_utf8_lossy(&got.stdout), "1 on\n", "{got:?}");
    }
}
