//! A65: the sign of life, and a worker that stands still.

use super::*;

fn room_of(receiver: &Receiver, more: &str) -> Room {
    let address = receiver.address();
    Room::with(&format!(
        "allow = [{address:?}]\n[heartbeat]\nurl = \"http://{address}/life/token\"\nevery = \"10s\"\n{more}"
    ))
}

#[test]
fn a65_a_blocked_worker_misses_the_sign_of_life_and_is_known_to_stand_still() {
    // Given a worker whose looks at the outbox have one thread,
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let receiver = Receiver::start(&[OK]).await;
        let room = room_of(&receiver, "");
        let service = room.open();
        let (cancel, worker) = room.run(&service);
        // that gives signs of life in the form of Alertmanager,
        until(|| receiver.got().len() >= 3).await;
        let body = receiver.got()[0].json();
        assert_eq!(body["alerts"][0]["labels"]["alertname"], "Watchdog");
        assert_eq!(
            (&body["status"], &body["version"]),
            (&"firing".into(), &"4".into())
        );
        // when that thread hangs,
        let (release, hang) = std::sync::mpsc::sync_channel::<()>(1);
        let blocked = tokio::task::spawn_blocking(move || hang.recv());
        let before = receiver.got().len();
        let from = room.clock.now();
        until(|| room.clock.now().millis_since(from) > 40_000).await;
        // then at most the sign that was under way came in four intervals,
        assert!(
            receiver.got().len() <= before + 1,
            "signs of life while the worker hangs"
        );
        // and the program knows it within half a minute.
        let (status, later) = (service.notify_status(), ManualClock::at(room.clock.now()));
        later.advance(room.clock.monotonic());
        later.advance(Span::from_secs(31));
        assert!(status.stands_still(&later) && status.failed(&later) == 1);
        // When it goes on, so do the signs.
        release.send(()).unwrap();
        blocked.await.unwrap().unwrap();
        let now = receiver.got().len();
        until(|| receiver.got().len() > now + 1).await;
        cancel.cancel();
        worker.await.unwrap();
        assert_eq!(service.notify_status().failed(&later), 0, "it has ended in order");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_of_life_that_does_not_get_through_is_a_failed_channel() {
    let receiver = Receiver::start(&[OH]).await;
    let room = room_of(&receiver, "form = \"get\"\n");
    let service = room.open();
    let (cancel, worker) = room.run(&service);
    until(|| service.notify_status().failed(&*room.clock) == 1).await;
    cancel.cancel();
    worker.await.unwrap();
    let state = service.notify_status().channels().remove(0);
    assert_eq!(&*state.name, "heartbeat");
    assert!(
        state
            .last_error
            .is_some_and(|why| why.contains("500") && !why.contains("token"))
    );
    assert!(receiver.got()[0].line().starts_with("GET /life/token "));
}

#[test]
fn alarms_whose_time_nobody_lets_pass_are_not_watching() {
    // Given alarms whose time somebody has promised to let pass five times a second,
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
    let room = Room::at("", Arc::clone(&clock) as Arc<dyn Clock>);
    let service = room.open();
    assert!(service.is_watching(), "nobody has promised anything");
    service.expect_ticks(Duration::from_millis(200));
    // when half a minute passes without that, then no sign of life is to be given,
    clock.advance(Span::from_secs(31));
    assert!(!service.is_watching());
    // and with the next look it is again.
    service.tick();
    assert!(service.is_watching());
}
