//! A real InfluxDB 2.7 behind the program: what a load client has acknowledged is in its bucket once, whatever happens
//! to the engine, the line to it, and the program.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::engines::{Held, Influx, TOKEN, publish_levels};
use crate::support::mqtt::Client;
use crate::support::program::{Server, Setup};
use crate::support::proxy::{Line, Proxy};
use crate::support::{ask, county, http, wait};

const STATION: &str = "station-1";
const DAY_MS: i64 = 86_400_000;
/// Asia/Shanghai is eight hours ahead of UTC, without summer time.
const ZONE_MS: i64 = 8 * 3_600_000;

fn remote(address: SocketAddr, bucket: &str, token: &str, more: &str) -> String {
    format!(
        "[remote]\nengine = \"influxdb2\"\nurl = \"http://{address}\"\norganisation = \"county\"\nbucket = \"{bucket}\"\n\
         token = \"{token}\"\ngather = \"50ms\"\n{more}\n"
    )
}

fn publish(server: &Server, times: impl IntoIterator<Item = i64>, account: &mut Held) {
    publish_levels(server, STATION, times, account, ("0", "129"));
}

fn wait_for(influx: &Influx, bucket: &str, account: &Held) {
    let held = wait::until("the engine holds what was acknowledged", wait::LONG, || {
        let held = influx.held(bucket, STATION, "level")?;
        if held.len() >= account.len() {
            Ok(held)
        } else {
            Err(format!("{} of {}", held.len(), account.len()))
        }
    });
    assert_eq!(&held, account);
}

#[test]
fn an_outage_restarts_and_a_slow_line_lose_and_double_nothing() {
    let Some(mut influx) = Influx::start() else { return };
    // Given an engine behind a line that can be made bad, and points in it,
    let line = Proxy::start(influx.address, Line::default());
    let setup = Setup::new(
        &county::one_station(),
        &remote(line.address, "townwatch", TOKEN, "timeout = \"1s\"\nread = true"),
    );
    let server = setup.start();
    let base = ask::now() - 200_000;
    let mut account = Held::new();
    publish(&server, base..base + 200, &mut account);
    wait_for(&influx, "townwatch", &account);
    // when the engine is gone while more comes,
    influx.kill();
    publish(&server, base + 200..base + 400, &mut account);
    wait::until("the outage shows", wait::SOON, || {
        let behind = ask::metric(server.web, "remote_behind_messages");
        if ask::metric(server.web, "remote_up") < 0.5 && behind >= 200.0 {
            Ok(())
        } else {
            Err(behind.to_string())
        }
    });
    // (the program itself goes on: the newest level is on its pages)
    let newest = account.last_key_value().unwrap().1.0;
    assert!((ask::latest_value(server.web, STATION, "level") - newest).abs() < 1e-9);
    // and the program is killed in the meantime, and more comes,
    server.kill();
    let server = setup.start();
    wait::until("the newest level is on its pages again", wait::SOON, || {
        let latest = http::json(server.web, "/api/v1/devices/station-1/latest");
        let shown = ask::find_signal(&latest, "level").and_then(|level| level["value"].as_f64());
        if shown.is_some_and(|shown| (shown - newest).abs() < 1e-9) {
            Ok(())
        } else {
            Err(latest.to_string())
        }
    });
    publish(&server, base + 400..base + 600, &mut account);
    // then all of it is there when the engine is back, once.
    influx.resume();
    wait_for(&influx, "townwatch", &account);
    // When answers are slow, and then do not come within the time-out,
    line.set(Line {
        delay: Duration::from_millis(200),
        ..Line::default()
    });
    publish(&server, base + 600..base + 800, &mut account);
    wait_for(&influx, "townwatch", &account);
    line.set(Line {
        silent: true,
        ..Line::default()
    });
    let retried = ask::metric(server.web, "remote_retried_total");
    publish(&server, base + 800..base + 1000, &mut account);
    wait::until("a write is tried again", wait::SOON, || {
        let now = ask::metric(server.web, "remote_retried_total");
        if now > retried {
            Ok(())
        } else {
            Err(now.to_string())
        }
    });
    line.set(Line::default());
    wait_for(&influx, "townwatch", &account);
    // or when the connection breaks in the middle, again and again,
    line.set(Line {
        reset_after: Some(3),
        ..Line::default()
    });
    publish(&server, base + 1000..base + 2000, &mut account);
    wait::until("the line has broken a few times", wait::SOON, || {
        if line.resets() > 2 {
            Ok(())
        } else {
            Err(line.resets().to_string())
        }
    });
    line.set(Line::default());
    // then nothing is lost, nothing is there twice, and nothing was refused.
    wait_for(&influx, "townwatch", &account);
    assert!(ask::metric(server.web, "remote_refused_points_total").abs() < 0.5);
    wait::until("nothing is held any more", wait::SOON, || {
        let held = ask::metric(server.web, "remote_held_messages");
        // The server's own readings come every few seconds.
        if held < 50.0 {
            Ok(())
        } else {
            Err(held.to_string())
        }
    });
    assert!(server.stop().success());
}

#[test]
fn points_older_than_the_bucket_keeps_are_dead_letters_and_their_neighbours_arrive() {
    let Some(influx) = Influx::start() else { return };
    // Given a bucket that keeps an hour,
    influx.make_bucket("short", 3600);
    let setup = Setup::new(
        &county::one_station(),
        &remote(influx.address, "short", TOKEN, ""),
    );
    let server = setup.start();
    // when history of three hours ago comes in one message with what is new,
    let now = ask::now();
    let old: Vec<i64> = (0..7).map(|place| now - 3 * 3_600_000 + place).collect();
    let new: Vec<i64> = (0..40).map(|place| now - 60_000 + place).collect();
    let mut readings: Vec<String> = Vec::new();
    for time in new.iter().take(20).chain(&old).chain(new.iter().skip(20)) {
        readings.push(format!(
            r#"{{"ts":{time},"backfill":true,"values":{{"level":1.25}}}}"#
        ));
    }
    let mut client = Client::connect(server.mqtt, STATION, "secret").unwrap();
    let payload = format!("[{}]", readings.join(","));
    client
        .publish_acked("tw/v1/station-1/telemetry", payload.as_bytes())
        .unwrap();
    // then the new is in the bucket,
    let account: Held = new.iter().map(|time| (*time, (1.25, "0".to_owned()))).collect();
    wait_for(&influx, "short", &account);
    // and each old point is a dead letter with what InfluxDB said about it.
    let letters = wait::until("the old points are dead letters", wait::SOON, || {
        let letters = http::json(server.web, "/api/v1/dead-letters");
        if letters.as_array().unwrap().len() == 7 {
            Ok(letters)
        } else {
            Err(letters.to_string())
        }
    });
    for letter in letters.as_array().unwrap() {
        assert_eq!(letter["topic"], "remote/influxdb2", "{letter}");
        assert!(
            letter["reason"].as_str().unwrap().contains("retention policy"),
            "{letter}"
        );
        let line = letter["payload"].as_str().unwrap();
        let time: i64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(
            old.contains(&time) && line.contains("device=station-1"),
            "{letter}"
        );
    }
    assert!((ask::metric(server.web, "remote_refused_points_total") - 7.0).abs() < 0.5);
    // A restart sends none of it again, and makes no second letter.
    assert!(server.stop().success());
    let server = setup.start();
    wait::until("all is sent", wait::SOON, || {
        let behind = ask::metric(server.web, "remote_behind_messages");
        if behind < 0.5 {
            Ok(())
        } else {
            Err(behind.to_string())
        }
    });
    let letters = http::json(server.web, "/api/v1/dead-letters");
    assert_eq!(letters.as_array().unwrap().len(), 7);
}

#[test]
fn a_wrong_token_loses_nothing_and_a_reader_without_history_shows_what_the_engine_has() {
    let Some(influx) = Influx::start() else { return };
    // Given a program whose token the engine does not know,
    let setup = Setup::new(
        &county::one_station(),
        &remote(influx.address, "townwatch", "wrong", ""),
    );
    let server = setup.start();
    let base = ask::now() - 200_000;
    let mut account = Held::new();
    publish(&server, base..base + 100, &mut account);
    wait::until("the engine has refused us a few times", wait::SOON, || {
        let retried = ask::metric(server.web, "remote_retried_total");
        if retried > 2.0 && ask::metric(server.web, "remote_up") < 0.5 {
            Ok(())
        } else {
            Err(retried.to_string())
        }
    });
    // then no point is given up: with the right token all of it arrives.
    assert!(ask::metric(server.web, "remote_refused_points_total").abs() < 0.5);
    server.kill();
    setup.configure(&remote(influx.address, "townwatch", TOKEN, ""));
    let server = setup.start();
    wait_for(&influx, "townwatch", &account);
    assert_eq!(
        http::json(server.web, "/api/v1/dead-letters")
            .as_array()
            .unwrap()
            .len(),
        0
    );
    // And a second program, which has nothing of its own, reads the same from the engine,
    let second = Setup::new(
        &county::one_station(),
        &remote(influx.address, "townwatch", TOKEN, "read = true"),
    );
    let reader = second.start();
    let shown = ask::points(reader.web, STATION, "level", base, base + 100);
    let of_first = ask::points(server.web, STATION, "level", base, base + 100);
    assert_eq!(shown.len(), 100);
    assert_eq!(shown, of_first, "times, values and qualities");
    // and says so instead of showing less when the engine is gone.
    drop(influx);
    let path = format!(
        "/api/v1/series?device={STATION}&signal=level&from={base}&to={}",
        base + 100
    );
    let answer = http::get(reader.web, &path).unwrap();
    assert!(answer.status >= 500, "{answer:?}");
}

#[test]
fn charts_and_figures_need_no_local_history() {
    let Some(influx) = Influx::start() else { return };
    // Given a station whose totaliser stood at 100.0 m³ at the midnight that began yesterday, and at 120.0 at its end; by
    // day its level was 1.0 m in one half of an hour and 2.0 m in the other,
    let feeding = Setup::new(
        &county::one_station(),
        &remote(influx.address, "townwatch", TOKEN, ""),
    );
    let feeder = feeding.start();
    let today = (ask::now() + ZONE_MS).div_euclid(DAY_MS) * DAY_MS - ZONE_MS;
    let yesterday = today - DAY_MS;
    let noon = yesterday + DAY_MS / 2;
    let mut client = Client::connect(feeder.mqtt, STATION, "secret").unwrap();
    for (time, values) in [
        (yesterday, r#"{"total":100.0}"#),
        (noon, r#"{"total":112.5,"level":1.0}"#),
        (noon + 1_800_000, r#"{"level":2.0}"#),
        (today - 1, r#"{"total":120.0}"#),
    ] {
        let payload = format!(r#"{{"ts":{time},"backfill":true,"values":{values}}}"#);
        client
            .publish_acked("tw/v1/station-1/telemetry", payload.as_bytes())
            .unwrap();
    }
    let totals = [(yesterday, 100.0), (noon, 112.5), (today - 1, 120.0)];
    let totals = totals.map(|(time, value)| (time, (value, "0".to_owned())));
    wait::until("the engine has the totals", wait::LONG, || {
        let held = influx.held("townwatch", STATION, "total")?;
        if held == Held::from(totals.clone()) {
            Ok(())
        } else {
            Err(format!("{held:?}"))
        }
    });
    let levels = wait::until("the engine has the levels", wait::LONG, || {
        let held = influx.held("townwatch", STATION, "level")?;
        if held.len() == 2 {
            Ok(held)
        } else {
            Err(format!("{held:?}"))
        }
    });
    assert_eq!(levels[&noon].0.total_cmp(&1.0), std::cmp::Ordering::Equal);
    assert!(feeder.stop().success());
    // when the local history is gone, once with and once without the engine,
    for (more, shows) in [("read = true", true), ("read = false", false)] {
        let fresh = Setup::new(
            &county::one_station(),
            &remote(influx.address, "townwatch", TOKEN, more),
        );
        let server = fresh.start();
        // then 20.0 m³ = 0.002 万t were treated yesterday, and the engine alone knows that.
        let figure = http::json(
            server.web,
            &format!("/api/v1/figures/sewage_volume?from={yesterday}&to={today}"),
        );
        let value = figure["value"]
            .as_f64()
            .map(|value| match figure["unit"].as_str() {
                Some("m3") => value,
                _ => value * 1e4,
            });
        let chart = http::json(
            server.web,
            &format!(
                "/api/v1/series?device={STATION}&signal=level&from={noon}&to={}&every=1h&agg=mean",
                noon + 3_600_000
            ),
        );
        let mean = chart["points"][0][1].as_f64();
        let picture = format!("/charts/{STATION}/level.svg?from={noon}&to={}", noon + 3_600_000);
        let picture = http::get(server.web, &picture).unwrap();
        if shows {
            assert!((value.unwrap() - 20.0).abs() < 1e-6, "{figure}");
            assert!((mean.unwrap() - 1.5).abs() < 1e-9, "{chart}");
            assert_eq!(picture.status, 200, "{picture:?}");
        } else {
            assert!(value.is_none_or(|value| value.abs() < 1e-9), "{figure}");
            assert_eq!(mean, None, "{chart}");
        }
    }
}

#[test]
fn what_the_journal_has_no_room_for_while_the_engine_is_away_is_counted_to_the_message_and_raises_an_alarm() {
    let Some(mut influx) = Influx::start() else { return };
    // Given a journal of 4 MiB, and an engine that is away,
    let setup = Setup::new(
        &county::one_station(),
        &remote(influx.address, "townwatch", TOKEN, ""),
    );
    let file = setup.path().join("townwatch.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replacen("[data]", "[data]\njournal_mib_max = 4", 1)).unwrap();
    let server = setup.start();
    let base = ask::now() - 200_000;
    influx.kill();
    // when messages of 9 MB come in the meantime, each of one reading,
    let mut client = Client::connect(server.mqtt, STATION, "secret").unwrap();
    let room = " ".repeat(30_000);
    for place in 0..300 {
        let payload = format!(
            r#"{{"ts":{},"seq":{place},"values":{{"level":1.0}}}}{room}"#,
            base + place
        );
        wait::until("it is acknowledged", wait::LONG, || {
            // More than the local store has taken in is refused, which ends the connection.
            client
                .publish_acked("tw/v1/station-1/telemetry", payload.as_bytes())
                .or_else(|error| {
                    client = Client::connect(server.mqtt, STATION, "secret")?;
                    Err(error)
                })
        });
    }
    // then every one was acknowledged, and is in the local store,
    wait::until("all are in the local store", wait::SOON, || {
        let here = ask::points(server.web, STATION, "level", base, base + 300).len();
        if here == 300 {
            Ok(())
        } else {
            Err(here.to_string())
        }
    });
    influx.resume();
    // and what the engine has, when it is back, and what is missed are all of them, but for some of the server's own.
    wait::until("the engine has what is left", wait::LONG, || {
        let behind = ask::metric(server.web, "remote_behind_messages");
        if behind < 0.5 {
            Ok(())
        } else {
            Err(behind.to_string())
        }
    });
    let there = influx.held("townwatch", STATION, "level").unwrap();
    let missed = ask::metric(server.web, "remote_missed_messages_total");
    assert!(
        missed > 100.0 && there.len() > 60,
        "{missed} missed, {} there",
        there.len()
    );
    // The newest are there without a gap.
    let newest: Vec<i64> = there.keys().rev().take(60).copied().collect();
    assert_eq!(newest, (base + 240..base + 300).rev().collect::<Vec<i64>>());
    let sent = ask::metric(server.web, "remote_sent_points_total");
    assert!((sent - there.len() as f64).abs() < 0.5, "{sent} sent");
    let gone = 300.0 - there.len() as f64;
    assert!(
        (0.0..60.0).contains(&(missed - gone)),
        "{missed} missed, {gone} not there"
    );
    wait::until("it is an alarm", wait::LONG, || {
        let alarms = ask::alarms(server.web, false, "townwatch", "SRV-REMOTE-LOST");
        if alarms.is_empty() {
            Err("none".to_owned())
        } else {
            Ok(())
        }
    });
}
