//! A33 and A34: retries, the next channel, and what is known of a channel that fails.

use super::*;

/// A duty desk with two channels, to these receivers.
fn duty(first: &Receiver, second: &Receiver) -> Room {
    let (a, b) = (first.address(), second.address());
    Room::with(&format!(
        "allow = [{a:?}, {b:?}]\n\
         [[channel]]\nname = \"first\"\nkind = \"webhook\"\nurl = \"http://{a}/\"\n\
         [[channel]]\nname = \"second\"\nkind = \"webhook\"\nurl = \"http://{b}/\"\n\
         [[recipient]]\nname = \"duty\"\nchannels = [\"first\", \"second\"]\n"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a33_five_failures_are_retried_with_growing_pauses_and_one_key() {
    // Given a receiver that fails five times,
    let does: &[Does] = &[OH, OH, OH, OH, OH, OK];
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(
        SystemClock::new().now(),
        Timestamp::from_millis(1_000_000),
        20,
    ));
    let receiver = Receiver::start_with(does, Arc::clone(&clock)).await;
    let address = receiver.address();
    let text = format!("allow = [{address:?}]\n[[webhook]]\nname = \"hook\"\nurl = \"http://{address}/\"");
    let room = Room::at(&text, clock);
    let service = room.open();
    // when gas is found,
    room.gas(&service);
    let (cancel, worker) = room.run(&service);
    until(|| fate(&service) == Fate::Delivered).await;
    cancel.cancel();
    worker.await.unwrap();
    // then it is told with the sixth attempt, after pauses of 1, 2, 4, 8 and 16 s at least, under one key.
    let got = receiver.got();
    let keys: std::collections::BTreeSet<_> =
        got.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!((got.len(), keys.len()), (6, 1));
    for (pair, least) in got.windows(2).zip([1000, 2000, 4000, 8000, 16_000]) {
        let pause = pair[1].at.millis_since(pair[0].at);
        // A look is 20 ms apart at least, which are 400 ms of this clock.
        assert!(pause + 400 >= least, "{pause} instead of {least}");
    }
    let notice = &service.notices(1).unwrap()[0];
    assert_eq!((notice.attempts, notice.fate), (6, Fate::Delivered));
    assert_eq!(service.notices(10).unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a34_a_channel_that_fails_for_a_minute_is_replaced_by_the_next_and_known_as_failed() {
    for bad in [&[OH] as &[Does], &[Does::Hangs]] {
        // Given a first channel that fails, or hangs, and a second one that works,
        let (first, second) = (Receiver::start(bad).await, Receiver::start(&[OK]).await);
        let room = duty(&first, &second);
        let service = room.open();
        // when gas is found,
        let at = room.gas(&service);
        let (cancel, worker) = room.run(&service);
        until(|| !second.got().is_empty()).await;
        // then within a minute the second one is told, with a key of its own,
        let after = room.clock.now().millis_since(at);
        assert!(after <= 62_000, "{after} ms after it was found");
        let told = second.got()[0].clone();
        assert_eq!(told.header("webhook-id"), Some("G1~HI~1.raised.duty@second"));
        assert_eq!(told.json()["key"], "G1~HI~1.raised.duty@second");
        assert_eq!(told.json()["after_channel"], "first");
        // the first one is known as failed,
        let status = service.notify_status();
        assert_eq!(status.failed(&*room.clock), 1);
        let states = status.channels();
        let state = states.iter().find(|state| &*state.name == "first").unwrap();
        assert!(state.failing_since.is_some() && state.queued == 1, "{state:?}");
        // and is still tried; nobody is told a third time.
        cancel.cancel();
        worker.await.unwrap();
        let notices = service.notices(10).unwrap();
        assert_eq!(notices.len(), 2);
        assert!(
            notices
                .iter()
                .any(|notice| &*notice.channel == "first" && notice.fate == Fate::Waiting)
        );
        assert_eq!(second.got().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_next_channel_is_not_told_twice() {
    // Given a notice that went on to the second channel, and was delivered there,
    let (first, second) = (Receiver::start(&[OH]).await, Receiver::start(&[OK]).await);
    let room = duty(&first, &second);
    {
        let service = room.open();
        room.gas(&service);
        let (cancel, worker) = room.run(&service);
        let delivered = |notice: &Notice| &*notice.channel == "second" && notice.fate == Fate::Delivered;
        until(|| service.notices(10).unwrap().iter().any(delivered)).await;
        cancel.cancel();
        worker.await.unwrap();
        service.close();
    }
    // when the program starts again, and the first channel fails once more,
    let (service, before) = (room.open(), first.got().len());
    let (cancel, worker) = room.run(&service);
    until(|| first.got().len() > before).await;
    cancel.cancel();
    worker.await.unwrap();
    // then the second one was told once.
    assert_eq!(second.got().len(), 1);
    assert_eq!(service.notices(10).unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_refused_for_good_is_not_waited_for() {
    // Given a first channel at an address that is not listed,
    let (first, second) = (Receiver::start(&[OK]).await, Receiver::start(&[OK]).await);
    let mut room = duty(&first, &second);
    room.settings.allow.remove(0);
    let service = room.open();
    let at = room.gas(&service);
    let (cancel, worker) = room.run(&service);
    until(|| !second.got().is_empty()).await;
    // then the second one is told at once.
    assert!(room.clock.now().millis_since(at) < 30_000);
    cancel.cancel();
    worker.await.unwrap();
    assert!(first.got().is_empty());
}
