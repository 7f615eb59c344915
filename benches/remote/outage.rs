//! Catching up after an engine was away: journal read, decoded, sent, the start of the server included.

use telemetry::time::{Clock, SystemClock};

use crate::support::engines::{Influx, TOKEN, Victoria};
use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::{ask, county, wait};

fn station(id: &str) -> String {
    format!(
        "{}{}",
        county::HEAD,
        county::mqtt_device(id, "sewage-station-small")
    )
}

/// Fills the journal of a server, gives it its engine back, and prints.
pub(crate) fn run() {
    const MESSAGES: i64 = 100_000;
    const FREELY: &str =
        "[mqtt]\nlisten = \"127.0.0.1:0\"\n[mqtt.device]\nmessages_per_s = 100000\nkib_per_s = 100000\n";
    let mut influx = Influx::start();
    let mut victoria = Victoria::start("", "", &[]);
    let mut engines = vec![("VictoriaMetrics 1.79", None)];
    if let Some(influx) = &mut influx {
        engines.push(("InfluxDB 2.7.12", Some(influx)));
    }
    for (name, influx) in &mut engines {
        let lines = match influx {
            Some(influx) => format!(
                "engine = \"influxdb2\"\nurl = \"http://{}\"\norganisation = \"county\"\nbucket = \"townwatch\"\n\
                 token = \"{TOKEN}\"\n",
                influx.address
            ),
            None => format!(
                "engine = \"victoriametrics\"\nurl = \"http://{}\"\n",
                victoria.address
            ),
        };
        let setup = Setup::new(&station("station-1"), &format!("{FREELY}[remote]\n{lines}"));
        let server = setup.start();
        match influx {
            Some(influx) => influx.kill(),
            None => victoria.kill(),
        }
        let base = ask::now() - MESSAGES;
        let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
        let mut in_flight = 0;
        for time in base..base + MESSAGES {
            let level = f64::from(u32::try_from(time % 399).unwrap()) / 100.0;
            let payload = format!(
                r#"{{"ts":{time},"values":{{"level":{level},"flow":1.5,"total":100.5,"pump_1_run":true,"pump_1_fault":false,"mains":true}}}}"#
            );
            client
                .publish("tw/v1/station-1/telemetry", payload.as_bytes())
                .unwrap();
            in_flight += 1;
            if in_flight == 50 {
                client.read_puback().unwrap();
                in_flight -= 1;
            }
        }
        for _ in 0..in_flight {
            client.read_puback().unwrap();
        }
        // The writer waits for up to half a minute between two tries: it is started anew, so that the time is of work alone.
        assert!(server.stop().success());
        match influx {
            Some(influx) => influx.resume(),
            None => victoria.resume(),
        }
        let clock = SystemClock::new();
        let server = setup.start();
        wait::until("all is sent", wait::LONG, || {
            let behind = ask::metric(server.web, "remote_behind_messages");
            if behind < 0.5 {
                Ok(())
            } else {
                Err(behind.to_string())
            }
        });
        let sent = ask::metric(server.web, "remote_sent_points_total");
        let ms = clock.monotonic().millis();
        println!("{name}: {MESSAGES} messages, {sent} points sent in {ms} ms after a start");
    }
}
