//! Each kind of channel over HTTP, against a real socket.

use super::*;

/// A room with one channel of these lines, to this receiver.
fn room_of(receiver: &Receiver, lines: &str) -> Room {
    let address = receiver.address();
    let lines = lines.replace("URL", &format!("http://{address}"));
    Room::with(&format!(
        "public_url = \"https://tw.example/\"\nallow = [\"{address}\"]\n[[channel]]\nname = \"c\"\n{lines}"
    ))
}

/// Sends the notice of a gas alarm once; how it ended and what came.
async fn told(does: &'static [Does], lines: &str) -> (Outcome, Request) {
    let receiver = Receiver::start(does).await;
    let room = room_of(&receiver, lines);
    let service = room.open();
    let notice = room.gas_notice(&service);
    let outcome = room.send(&notice).await;
    (outcome, receiver.got()[0].clone())
}

const TAKEN: &[Does] = &[Does::Says("200 ok", r#"{"errcode":0,"errmsg":"ok"}"#)];

#[tokio::test(flavor = "multi_thread")]
async fn a_dingtalk_robot_is_told_with_a_signature_and_a_link() {
    let lines = "kind = \"dingtalk\"\nurl = \"URL/robot/send\"\ntoken = \"tok\"\nsecret = \"SECabc\"\n";
    let (outcome, request) = told(TAKEN, lines).await;
    assert_eq!(outcome, Outcome::Delivered);
    let line = request.line();
    assert!(
        line.starts_with("POST /robot/send?access_token=tok&timestamp="),
        "{line}"
    );
    assert!(line.contains("&sign="), "{line}");
    let body = request.json();
    let text = body["markdown"]["text"].as_str().unwrap();
    for part in [
        "### 紧急报警：高，站 / critical: high, depot",
        "数值40.0 %LEL，限值25 %LEL",
        "value 40.0 %LEL, limit 25 %LEL",
        "G1~HI~1",
        "[查看与确认 / see and acknowledge](https://tw.example/alarms/G1~HI~1)",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wecom_robot_is_told_in_the_language_of_the_channel() {
    let lines = "kind = \"wecom\"\nurl = \"URL/send\"\nkey = \"k1\"\nlanguage = \"en\"\n";
    let (outcome, request) = told(TAKEN, lines).await;
    assert_eq!(outcome, Outcome::Delivered);
    assert!(
        request.line().starts_with("POST /send?key=k1 "),
        "{}",
        request.line()
    );
    let body = request.json();
    let text = body["markdown"]["content"].as_str().unwrap();
    assert!(
        text.contains("critical: high, depot") && !text.contains("报警"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feishu_robot_is_told_with_the_signature_in_the_body() {
    let lines = "kind = \"feishu\"\nurl = \"URL/hook\"\ntoken = \"t-1\"\nsecret = \"s\"\nlanguage = \"zh\"\n";
    let (outcome, request) = told(&[Does::Says("200 ok", r#"{"code":0}"#)], lines).await;
    assert_eq!(outcome, Outcome::Delivered);
    assert!(
        request.line().starts_with("POST /hook/t-1 "),
        "{}",
        request.line()
    );
    let body = request.json();
    assert!(body["sign"].is_string() && body["timestamp"].is_string());
    let post = &body["content"]["post"]["zh_cn"];
    assert_eq!(post["title"], "紧急报警：高，站");
    assert_eq!(post["content"][1][0]["href"], "https://tw.example/alarms/G1~HI~1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_of_short_messages_is_asked_as_its_template_says() {
    let lines = "kind = \"sms\"\nurl = \"URL/send?user=u\"\nphones = [\"13800000000\", \"13900000000\"]\n\
        form = \"json\"\nbody = '{\"to\":\"{phone}\",\"msg\":\"{text}\",\"id\":\"{key}\"}'\nlanguage = \"zh\"\n\
        success = '\"ok\":true'\nheaders = { authorization = \"Basic eA==\" }\n";
    let (outcome, request) = told(&[Does::Says("200 ok", r#"{"ok":true}"#)], lines).await;
    assert_eq!(outcome, Outcome::Delivered);
    assert_eq!(request.header("authorization"), Some("Basic eA=="));
    let body = request.json();
    assert_eq!(body["to"], "13800000000,13900000000");
    assert_eq!(body["id"], "G1~HI~1.raised.c");
    assert!(body["msg"].as_str().unwrap().starts_with("报警：高"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_receiver_gets_version_4() {
    let receiver = Receiver::start(&[OK]).await;
    let room = room_of(
        &receiver,
        "kind = \"alertmanager\"\nurl = \"URL/am\"\ntoken = \"bearer\"\nalerts_max = 2\n",
    );
    let service = room.open();
    let raised = room.gas_notice(&service);
    // Given an alarm that was raised and has cleared, and another one of the same rule,
    let with = |id: &str, seq, over: bool| {
        let mut payload: serde_json::Value = serde_json::from_str(&raised.payload).unwrap();
        payload["alarm"]["id"] = id.into();
        if over {
            payload["alarm"]["returned_at"] = 1_090_000.into();
        }
        Notice {
            key: format!("{id}.{seq}").into(),
            seq,
            payload: payload.to_string(),
            ..raised.clone()
        }
    };
    let members = vec![with("a", 1, false), with("b", 3, false), with("a", 2, true)];
    // when they are sent together,
    let channel = room.channel(0);
    let parcel = Parcel {
        key: "k".into(),
        members,
        left: 4,
    };
    assert_eq!(channel.send(&parcel, room.clock.now()).await, Outcome::Delivered);
    // then each is there once, with its last state, under the keys of the form.
    let request = receiver.got()[0].clone();
    assert_eq!(request.header("authorization"), Some("Bearer bearer"));
    let body = request.json();
    assert_eq!(
        (&body["version"], &body["status"]),
        (&"4".into(), &"firing".into())
    );
    assert_eq!(body["truncatedAlerts"], 4);
    assert_eq!(
        body["groupLabels"],
        serde_json::json!({"alertname": "HI", "site": "s1"})
    );
    assert_eq!(body["receiver"], "c");
    assert_eq!(body["commonLabels"]["severity"], "critical");
    let alerts = body["alerts"].as_array().unwrap();
    let states: Vec<&str> = alerts
        .iter()
        .map(|alert| alert["status"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["resolved", "firing"]);
    assert_eq!(alerts[1]["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(alerts[1]["labels"]["occurrence"], "b");
    assert_eq!(alerts[0]["generatorURL"], "https://tw.example/alarms/G1~HI~1");
    assert_eq!(alerts[0]["fingerprint"].as_str().unwrap().len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_misbehaves_is_a_failed_attempt_and_no_more() {
    // F23: hangs and drips are left after five seconds, all at the same time.
    let cases: [(&'static [Does], &str); 6] = [
        (&[OH], "500"),
        (&[Does::Resets], ""),
        (&[Does::Hangs], "tim"),
        (&[Does::Drips], "tim"),
        (&[Does::Floods], "65536"),
        (
            &[Does::Says("302 found\r\nlocation: http://169.254.169.254/", "")],
            "302",
        ),
    ];
    let mut tasks = tokio::task::JoinSet::new();
    for (does, word) in cases {
        tasks.spawn(async move {
            let lines = "kind = \"wecom\"\nurl = \"URL/send\"\nkey = \"secret-key\"\n";
            let (outcome, _) = told(does, lines).await;
            let Outcome::Failed(why) = outcome else {
                panic!("{does:?}: {outcome:?}")
            };
            assert!(why.contains(word), "{does:?}: {why}");
            assert!(!why.contains("secret-key"), "{why}");
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_in_test_or_late_says_so_first() {
    let receiver = Receiver::start(TAKEN).await;
    let room = room_of(&receiver, "kind = \"dingtalk\"\nurl = \"URL/\"\ntoken = \"t\"\n");
    let service = room.open();
    let mut notice = room.gas_notice(&service);
    let mut payload: serde_json::Value = serde_json::from_str(&notice.payload).unwrap();
    payload["tags"] = serde_json::json!(["TEST", "LATE"]);
    notice.payload = payload.to_string();
    // When it is sent two minutes after it was made,
    notice.made_at = room.clock.now().minus(Span::from_secs(125));
    assert_eq!(room.send(&notice).await, Outcome::Delivered);
    // then it says all of that.
    let body = receiver.got()[0].json();
    let title = body["markdown"]["title"].as_str().unwrap();
    assert!(title.starts_with("【测试】【迟到】紧急报警"), "{title}");
    assert!(title.contains("[TEST] [LATE] critical"), "{title}");
    let text = body["markdown"]["text"].as_str().unwrap();
    assert!(text.contains("【12") && text.contains("秒后才送达】"), "{text}");
    assert!(text.contains("s LATER"), "{text}");
}
