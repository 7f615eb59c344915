//! F19: device and server lose each other. The silence is an alarm on time; what the device kept comes afterwards and
//! pages nobody.

use std::process::Command;

use super::probe::{Need, has};
use crate::support::mqtt::Client;
use crate::support::program::{Server, Setup, command};
use crate::support::receiver::Receiver;
use crate::support::{ask, county, http, wait};

/// A network of its own: a namespace with one interface, whose other end is here.
struct Network {
    name: String,
    here: String,
    there: String,
}

fn ip(arguments: &str) {
    let ran = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(
        ran.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

impl Network {
    fn new() -> Self {
        let id = std::process::id();
        let name = format!("tw{id}");
        // Addresses of RFC 5737's TEST-NET-3, of which each test process takes a pair.
        let pair = (id % 60) * 4;
        let network = Self {
            here: format!("203.0.113.{}", pair + 1),
            there: format!("203.0.113.{}", pair + 2),
            name,
        };
        let Self { name, here, there } = &network;
        ip(&format!("netns add {name}"));
        ip(&format!(
            "link add {name} type veth peer name inside netns {name}"
        ));
        ip(&format!("addr add {here}/30 dev {name}"));
        ip(&format!("link set {name} up"));
        ip(&format!("-n {name} addr add {there}/30 dev inside"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} link set inside up"));
        network
    }

    /// Everything that devices and the gate at `port` say to each other from now on is lost, without a word to anybody.
    /// Whoever is told of alarms is on another line.
    fn cut(&self, port: u16) {
        self.lose("-I", port);
    }

    fn mend(&self, port: u16) {
        self.lose("-D", port);
    }

    fn lose(&self, change: &str, port: u16) {
        for (chain, end) in [("INPUT", "--dport"), ("OUTPUT", "--sport")] {
            let rule = format!("iptables -w {change} {chain} -p tcp {end} {port} -j DROP");
            ip(&format!("netns exec {} {rule}", self.name));
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The pair of interfaces goes with the namespace.
        Command::new("ip")
            .args(["netns", "del", &self.name])
            .status()
            .ok();
    }
}

#[test]
fn a_partition_is_told_on_time_and_what_was_kept_meanwhile_pages_nobody() {
    if !has("F19 partition", Need::NetworkNamespace) || !has("F19 partition", Need::PacketLoss) {
        return;
    }
    // Given a server in a network of its own, and a panel out here that may be silent for four seconds,
    let network = Network::new();
    let profile = include_str!("../../telemetry/profiles/gas-detector-panel.toml")
        .replace("kind = \"gas-detector-panel\"", "kind = \"quick-panel\"")
        .replace("after = \"60s\"", "after = \"4s\"");
    let registry = format!(
        "{}{}",
        county::HEAD,
        county::mqtt_device("panel-1", "quick-panel")
    );
    let receiver = Receiver::start_at(&network.here);
    let mqtt = format!(
        "[mqtt]\nlisten = \"{}:0\"\nplaintext_beyond_loopback = true\n[alarms]\ngrace = \"2s\"\nlateness = \"5s\"\n",
        network.there
    );
    let hook = receiver.configuration().replace("[alarms]\n", "");
    let setup = Setup::new(&registry, &format!("{mqtt}{hook}"));
    let folder = setup.path().join("profiles");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("quick.toml"), profile).unwrap();
    let config = setup.path().join("townwatch.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("[registry]\n", "[registry]\nprofiles = \"profiles\"\n"),
    )
    .unwrap();
    let mut inside = Command::new("ip");
    let serve = command();
    inside
        .args(["netns", "exec", &network.name])
        .arg(serve.get_program());
    inside.args(["serve", "--config"]).arg(&config);
    inside.env("TOWNWATCH_LOG", "warn,rumqttd=error");
    let server = Server::start(inside);
    let topic = "tw/v1/panel-1/telemetry";
    let mut panel = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    for _ in 0..8 {
        panel.publish_acked(topic, br#"{"values":{"gas_01":1}}"#).unwrap();
        std::thread::park_timeout(std::time::Duration::from_millis(500));
    }
    let last = ask::now();
    panel.publish_acked(topic, br#"{"values":{"gas_01":1}}"#).unwrap();
    // when nothing gets through for ten seconds, in which there is a leak that ends by itself,
    network.cut(server.mqtt.port());
    let leak = ask::now();
    std::thread::park_timeout(std::time::Duration::from_secs(10));
    network.mend(server.mqtt.port());
    // and then the panel sends what it kept, and that all is well,
    let mut panel = wait::until("the panel is back", wait::LONG, || {
        Client::connect(server.mqtt, "panel-1", "secret")
    });
    for (offset, value) in [(0, 60), (1_000, 60), (2_000, 1), (3_000, 1)] {
        let ts = leak + offset;
        let payload = format!(r#"{{"ts":{ts},"backfill":true,"values":{{"gas_01":{value}}}}}"#);
        panel.publish_acked(topic, payload.as_bytes()).unwrap();
    }
    panel.publish_acked(topic, br#"{"values":{"gas_01":1}}"#).unwrap();
    // then the silence was an alarm after four seconds, and the leak of the past pages nobody.
    let is_silence = |body: &str| body.contains("GAS-PANEL-OFFLINE") && body.contains("alarm.raised");
    let told = wait::until("the silence is told", wait::LONG, || {
        let told = receiver.deliveries(is_silence).first().cloned();
        told.ok_or_else(|| format!("{:?}", receiver.bodies()))
    });
    let notice: serde_json::Value = serde_json::from_str(&told.body).unwrap();
    let raised = notice["at"].as_i64().unwrap() - last;
    println!(
        "F19: silence was raised {raised} ms after the last word, and told after {} ms",
        told.at - last
    );
    // On time is the longest silence and a second; a notice is with its receiver two seconds later.
    assert!((4_000..=5_000).contains(&raised), "{raised} ms");
    assert!(told.at - last <= 7_000, "{} ms", told.at - last);
    // A live reading is told after it: whatever would page for the past, would have.
    panel
        .publish_acked(topic, br#"{"values":{"gas_02":60}}"#)
        .unwrap();
    wait::until("a live leak is told", wait::LONG, || {
        if receiver.keys(|body| body.contains("GAS-L2-02")).is_empty() {
            Err("no".to_owned())
        } else {
            Ok(())
        }
    });
    assert!(
        receiver.keys(|body| body.contains("GAS-L2-01")).is_empty(),
        "{:?}",
        receiver.bodies()
    );
    // What the past had to tell comes once, in a digest that names the point and its worst value.
    let is_digest = |body: &str| body.contains("alarm.digest");
    wait::until("the digest is there", wait::LONG, || {
        if receiver.keys(is_digest).is_empty() {
            Err(format!("{:?}", receiver.bodies()))
        } else {
            Ok(())
        }
    });
    let digests = receiver.deliveries(is_digest);
    assert_eq!(digests.len(), 1, "{digests:?}");
    let digest: serde_json::Value = serde_json::from_str(&digests[0].body).unwrap();
    let items = digest["items"].as_array().unwrap();
    let worst = |rule: &str| {
        let item = items.iter().find(|item| item.to_string().contains(rule));
        item.and_then(|item| item["worst"].as_f64())
    };
    assert_eq!(
        [worst("GAS-L1-01"), worst("GAS-L2-01")],
        [Some(60.0); 2],
        "{digest}"
    );
    drop(server);
    // What was kept is in the store.
    setup.configure("");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("[registry]\n", "[registry]\nprofiles = \"profiles\"\n"),
    )
    .unwrap();
    let server = setup.start();
    wait::until("all is stored", wait::LONG, || {
        let found = ask::points(server.web, "panel-1", "gas_01", leak, leak + 3_001);
        if found.len() >= 4 {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
    wait::until("it is ready", wait::LONG, || {
        let answer = http::get(server.web, "/readyz").map_err(|error| error.to_string())?;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.body)
        }
    });
    assert!(server.stop().success());
}
