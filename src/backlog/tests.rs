use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use telemetry::Timestamp;
use telemetry::time::ManualClock;

use super::*;

fn backlog() -> (Backlog, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
    let panel = "panel".parse().unwrap();
    (
        Backlog::new(HashSet::from([panel]), Arc::clone(&clock) as Arc<dyn Clock>),
        clock,
    )
}

fn is_ready(work: &mut std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(work.as_mut().poll(&mut context), Poll::Ready(()))
}

#[tokio::test]
async fn who_sends_faster_than_the_alarms_judge_waits_until_they_have_caught_up() {
    let (backlog, clock) = backlog();
    // Given messages that are judged as they come, nobody waits;
    backlog.appended(Lsn(10));
    backlog.taken(Lsn(10));
    assert!(is_ready(&mut pin!(backlog.caught_up())));
    // when the first of twenty more has been in the journal for longer than 250 ms,
    backlog.appended(Lsn(20));
    clock.advance(Span::from_millis(200));
    backlog.appended(Lsn(30));
    assert!(is_ready(&mut pin!(backlog.caught_up())), "200 ms is near enough");
    clock.advance(Span::from_millis(51));
    backlog.appended(Lsn(31));
    // then a sender waits,
    let mut waits = pin!(backlog.caught_up());
    assert!(!is_ready(&mut waits));
    assert_eq!((backlog.age(), backlog.held()), (Span::from_millis(251), 1));
    // also while the alarms work on what is newer: 30 has been there for 150 ms,
    clock.advance(Span::from_millis(99));
    backlog.taken(Lsn(20));
    assert_eq!(backlog.age(), Span::from_millis(150));
    assert!(!is_ready(&mut waits));
    // and goes on when they are near: 31 has been there for 99 ms.
    backlog.taken(Lsn(30));
    assert_eq!(backlog.age(), Span::from_millis(99));
    assert!(is_ready(&mut waits));
}

#[test]
fn only_a_batch_of_a_life_safety_device_itself_is_urgent() {
    let (backlog, _) = backlog();
    let from = |sender: &str| RawMessage {
        arrived: Timestamp::from_millis(0),
        origin: telemetry::Origin::Mqtt,
        sender: sender.parse().unwrap(),
        topic: "tw/v1/panel/telemetry".into(),
        payload: bytes::Bytes::new(),
    };
    assert!(backlog.is_urgent(&[from("panel")]));
    // A gateway that speaks for it may be telling its last days.
    assert!(!backlog.is_urgent(&[from("gateway")]));
}

#[test]
fn what_the_alarms_had_before_the_journal_answered_is_not_unread() {
    let (backlog, clock) = backlog();
    backlog.taken(Lsn(7));
    backlog.appended(Lsn(7));
    backlog.appended(Lsn(6));
    clock.advance(Span::from_secs(9));
    assert_eq!(backlog.age(), Span::ZERO);
}

#[test]
fn days_without_a_reader_take_little_memory_and_keep_the_age_of_the_oldest() {
    let mut unread = Unread::default();
    let last = MARKS_MAX as u64 * 3;
    for number in 1..=last {
        unread.appended(Lsn(number), Span::from_secs(number));
    }
    assert_eq!(unread.marks.len(), MARKS_MAX);
    assert_eq!(unread.age(Span::from_secs(last)), Span::from_secs(last - 1));
    unread.taken(Lsn(last));
    assert_eq!(unread.age(Span::from_secs(last)), Span::ZERO);
}
