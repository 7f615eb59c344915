//! Floods: budgets, digests, and a robot that says "too fast".

use super::*;

/// Ordinary notices for a channel, made of a real one.
fn ordinary(model: &Notice, count: usize) -> Vec<Notice> {
    (0..count)
        .map(|number| {
            let mut payload: serde_json::Value = serde_json::from_str(&model.payload).unwrap();
            let id = format!("L{number}~HI~1");
            payload["alarm"]["id"] = id.clone().into();
            payload["alarm"]["life_safety"] = false.into();
            Notice {
                key: format!("{id}.raised.group").into(),
                life_safety: false,
                payload: payload.to_string(),
                ..model.clone()
            }
        })
        .collect()
}

fn group(receiver: &Receiver, more: &str) -> Room {
    let address = receiver.address();
    Room::with(&format!(
        "allow = [{address:?}]\n[[channel]]\nname = \"group\"\nkind = \"wecom\"\nkey = \"k\"\n\
         language = \"zh\"\nurl = \"http://{address}/\"\n{more}"
    ))
}

const TAKEN: Does = Does::Says("200 ok", r#"{"errcode":0}"#);

fn text(request: &Request) -> String {
    request.json()["markdown"]["content"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_becomes_few_digests_and_gas_is_told_alone_and_first() {
    // Given a group that takes 20 a minute, 45 ordinary notices, and gas,
    let receiver = Receiver::start(&[TAKEN]).await;
    let room = group(&receiver, "");
    let service = room.open();
    let gas = room.gas_notice(&service);
    service.add_notices(ordinary(&gas, 45));
    // when the worker runs,
    let (cancel, worker) = room.run(&service);
    let all = |service: &AlarmService| {
        let notices = service.notices(100).unwrap();
        notices.len() == 46 && notices.iter().all(|notice| notice.fate == Fate::Delivered)
    };
    until(|| all(&service)).await;
    cancel.cancel();
    worker.await.unwrap();
    // then everybody is told of everything with four messages: gas alone, and digests of 20, 20 and 5.
    let got = receiver.got();
    assert_eq!(got.len(), 4);
    let texts: Vec<String> = got.iter().map(text).collect();
    assert!(
        texts.iter().any(|text| text.contains("紧急报警：高")
            && text.contains("G1~HI~1")
            && !text.contains("条报警"))
    );
    for number in 0..45 {
        let id = format!("L{number}~HI~1");
        assert!(texts.iter().any(|text| text.contains(&id)), "{id} was not told");
    }
    assert_eq!(
        texts.iter().filter(|text| text.contains("20条报警通知")).count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_waits_and_comes_together_when_there_is_room() {
    // Given a group that takes 4 a minute, of which one is kept for gas,
    let receiver = Receiver::start(&[TAKEN]).await;
    let room = group(&receiver, "per_minute = 4\n");
    let service = room.open();
    let gas = room.gas_notice(&service);
    let (cancel, worker) = room.run(&service);
    until(|| receiver.got().len() == 1).await;
    // when ordinary notices come one after the other, each when the last one was looked at,
    for (number, notice) in ordinary(&gas, 8).into_iter().enumerate() {
        service.add_notices(vec![notice]);
        let told = (number + 2).min(3);
        until(|| receiver.got().len() >= told).await;
    }
    let last = room.clock.now();
    until(|| {
        service
            .notices(100)
            .unwrap()
            .iter()
            .all(|notice| notice.fate == Fate::Delivered)
    })
    .await;
    cancel.cancel();
    worker.await.unwrap();
    // then two went alone (with gas that is three), and six together when a minute was over.
    let got = receiver.got();
    assert_eq!(got.len(), 4);
    assert!(text(&got[3]).contains("6条报警通知"), "{}", text(&got[3]));
    assert!(room.clock.now().millis_since(last) > 20_000);
    assert_eq!(service.notify_status().channels()[0].queued, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_says_too_fast_is_asked_again_a_minute_later() {
    // Given a robot that says once that it is asked too often,
    let receiver = Receiver::start(&[
        Does::Says("200 ok", r#"{"errcode":45009,"errmsg":"freq"}"#),
        TAKEN,
    ])
    .await;
    let room = group(&receiver, "");
    let service = room.open();
    let gas = room.gas_notice(&service);
    let begun = room.clock.now();
    let (cancel, worker) = room.run(&service);
    until(|| receiver.got().len() == 1).await;
    service.add_notices(ordinary(&gas, 3));
    // then nothing is lost, and nothing is sent for a minute.
    until(|| {
        service
            .notices(100)
            .unwrap()
            .iter()
            .all(|notice| notice.fate == Fate::Delivered)
    })
    .await;
    assert!(room.clock.now().millis_since(begun) >= 60_000);
    cancel.cancel();
    worker.await.unwrap();
    assert_eq!(service.notices(100).unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_does_not_forget_what_was_sent_in_the_last_minute() {
    // Given a group that takes one a minute and has had it,
    let receiver = Receiver::start(&[TAKEN]).await;
    let room = group(&receiver, "per_minute = 1\n");
    let gas = {
        let service = room.open();
        let gas = room.gas_notice(&service);
        let (cancel, worker) = room.run(&service);
        until(|| fate(&service) == Fate::Delivered).await;
        cancel.cancel();
        worker.await.unwrap();
        service.close();
        gas
    };
    let restarted = room.clock.now();
    // when the program starts again with another notice,
    let service = room.open();
    service.add_notices(ordinary(&gas, 1));
    let (cancel, worker) = room.run(&service);
    until(|| receiver.got().len() == 2).await;
    cancel.cancel();
    worker.await.unwrap();
    // then that waits its minute.
    assert!(room.clock.now().millis_since(restarted) >= 55_000);
}
