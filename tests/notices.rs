//! The channels of notices over the whole path: a dead one is replaced by the next, and is an alarm of the server itself.

use std::net::TcpListener;

use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::receiver::Receiver;
use crate::support::{ask, county, wait};

#[test]
fn a_dead_channel_is_replaced_by_the_next_and_is_an_alarm_itself() {
    // Given a duty desk whose first channel is dead and whose second one works, and a gas panel,
    let second = Receiver::start();
    let dead = {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
        nobody.local_addr().unwrap()
    };
    let configuration = second.configuration();
    let (alarms, second_lines) = configuration.split_once("[[alarms.webhook]]").unwrap();
    let alarms = alarms.replacen("\"]", &format!("\", \"{dead}\"]"), 1);
    let config = format!(
        "{alarms}public_url = \"https://tw.example\"\n[[alarms.webhook]]{second_lines}\
         [[alarms.channel]]\nkind = \"wecom\"\nname = \"group\"\nkey = \"k\"\nurl = \"http://{dead}/send\"\n\
         [[alarms.recipient]]\nname = \"duty\"\nchannels = [\"group\", \"inspectors\"]\nnext_channel_after = \"5s\"\n"
    );
    let registry = format!(
        "{}{}",
        county::HEAD,
        county::mqtt_device("panel-1", "gas-detector-panel")
    );
    let setup = Setup::new(&registry, &config);
    let server = setup.start();
    let mut panel = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    // when gas is found,
    let sent = ask::now();
    panel
        .publish_acked("tw/v1/panel-1/telemetry", br#"{"values":{"gas_01":60}}"#)
        .unwrap();
    // then the second channel is told within the time, with a link and a key of its own,
    let told = wait::until("the next channel is told", wait::LONG, || {
        let keys =
            second.keys(|body| body.contains("GAS-L2-01") && body.contains("https://tw.example/alarms/"));
        keys.first().cloned().ok_or_else(|| "not yet".to_owned())
    });
    println!("A34: told over the next channel after {} ms", ask::now() - sent);
    assert!(told.ends_with(".raised.duty@inspectors"), "{told}");
    // and that a channel failed is an alarm, which goes over the one that works.
    wait::until("the server says it of itself", wait::LONG, || {
        let open = ask::alarms(server.web, true, "townwatch", "SRV-NOTIFY");
        open.first().cloned().ok_or_else(|| "not yet".to_owned())
    });
    wait::until("people are told of it", wait::LONG, || {
        let keys = second.keys(|body| body.contains("SRV-NOTIFY"));
        keys.first().cloned().ok_or_else(|| "not yet".to_owned())
    });
    assert!(server.stop().success());
}
