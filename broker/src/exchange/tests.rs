use std::sync::Arc;

use bytes::Bytes;
use telemetry::DeviceId;

use super::*;
use crate::codec::packet::{QoS, RetainHandling, Will};
use crate::keeper::Room;
use crate::message::Message;
use crate::session::outbox::Out;
use crate::session::{LeftWill, Subscription};
use crate::{KeeperError, MemoryKeeper};

struct Bench {
    exchange: Exchange,
    keeper: Arc<MemoryKeeper>,
    tally: Arc<Tally>,
}

fn bench() -> Bench {
    let keeper = Arc::<MemoryKeeper>::default();
    let tally = Arc::<Tally>::default();
    let exchange = Exchange::load(keeper.clone(), tally.clone(), at(0)).unwrap();
    Bench {
        exchange,
        keeper,
        tally,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn caller(key: &str, expiry_s: u32) -> Caller {
    let will = Will {
        topic: "tw/v1/pump-1/state".into(),
        payload: Bytes::from_static(b"off"),
        qos: QoS::One,
        retain: false,
        properties: None,
    };
    Caller {
        key: key.into(),
        clean: false,
        expiry_s,
        receive_maximum: None,
        will: Some(LeftWill {
            will,
            sender: DeviceId::new("pump-1").unwrap(),
        }),
        now: at(0),
    }
}

fn wish(path: &str) -> Wish {
    Wish {
        path: path.into(),
        subscription: Subscription {
            qos: QoS::One,
            no_local: false,
            as_published: false,
            id: None,
        },
        handling: RetainHandling::Always,
    }
}

fn message(topic: &str) -> Message {
    Message {
        topic: topic.into(),
        payload: Bytes::from_static(b"x"),
        qos: QoS::One,
        retain: false,
        from: 0,
        arrived: at(0),
        expiry_s: None,
        properties: None,
    }
}

fn gone(will: WillWish) -> Left {
    Left {
        will,
        expiry_s: None,
        now: at(10),
    }
}

fn waiting(exchange: &Exchange, session: &Arc<Session>) -> usize {
    let collected = exchange.collect(session, at(0), usize::MAX, &mut |_| true);
    (collected.out.iter())
        .filter(|out| matches!(out, Out::Publish { .. }))
        .count()
}

#[test]
fn a_message_that_nobody_hears_asks_for_nothing() {
    let bench = bench();
    assert!(!bench.exchange.hears("a"));
    assert!(bench.exchange.route(&[message("a")], Vec::new()).is_none());
    let entered = bench.exchange.enter(caller("s", 0)).unwrap();
    let subscribed = bench.exchange.subscribe(&entered.session, vec![wish("a")]);
    // A session that ends with its connection is not kept either.
    assert!(subscribed.kept.is_none());
    assert!(bench.exchange.hears("a") && !bench.exchange.hears("b"));
    assert!(bench.exchange.route(&[message("a")], Vec::new()).is_none());
    assert_eq!(waiting(&bench.exchange, &entered.session), 1);
}

#[test]
fn a_session_that_ends_leaves_nothing_behind() {
    // Given a session with a subscription and a message, once of each kind,
    for expiry_s in [0, 100] {
        let bench = bench();
        let entered = bench.exchange.enter(caller("s", expiry_s)).unwrap();
        drop(
            bench
                .exchange
                .subscribe(&entered.session, vec![wish("a"), wish("$share/g/b")]),
        );
        drop(bench.exchange.route(&[message("a"), message("b")], Vec::new()));
        // when its client goes and does not come back in time,
        let (due, _) = bench.exchange.leave(&entered.session, gone(WillWish::Forget));
        assert!(due.is_none());
        assert_eq!(bench.exchange.hears("a"), expiry_s > 0);
        let (wills, _) = bench.exchange.sweep(at(110));
        assert!(wills.is_empty());
        // then the tree, the list, the queues and the keeper are empty.
        assert!(!bench.exchange.hears("a") && !bench.exchange.hears("b"));
        assert_eq!(bench.exchange.list().by_key.len(), 0);
        assert_eq!(bench.exchange.list().lasting, 0);
        drop(entered);
        assert_eq!(bench.exchange.stock.load(Ordering::Relaxed), 0);
        for room in Room::ALL {
            assert_eq!(bench.keeper.count(room), 0, "{room:?}");
        }
    }
}

#[test]
fn a_session_whose_owner_may_not_come_in_any_more_is_forgotten_with_its_will() {
    let bench = bench();
    let keys = ["gone", "here", "welcome"];
    let sessions = keys.map(|key| bench.exchange.enter(caller(key, 100)).unwrap().session);
    for session in [&sessions[0], &sessions[2]] {
        drop(bench.exchange.leave(session, gone(WillWish::Stay)));
    }
    drop(bench.exchange.prune(&|key| key == "welcome"));
    // Whoever is connected is told by its connection.
    let list = bench.exchange.list();
    assert!(!list.by_key.contains_key("gone"));
    assert!(list.by_key.contains_key("here") && list.by_key.contains_key("welcome"));
    drop(list);
    assert_eq!(bench.keeper.count(Room::Wills), 2);
    assert_eq!(bench.tally.wills.get(), 0);
}

#[test]
fn one_session_too_many_is_refused_and_a_passing_one_is_not() {
    let bench = bench();
    bench.exchange.list().lasting = crate::limits::LASTING_SESSIONS_MAX;
    let refused = bench.exchange.enter(caller("s", 1)).err();
    assert_eq!(refused, Some(crate::codec::reason::QUOTA_EXCEEDED));
    assert!(bench.exchange.enter(caller("s", 0)).is_ok());
}

#[test]
fn a_session_that_is_taken_up_for_one_connection_is_kept_no_more() {
    let bench = bench();
    let entered = bench.exchange.enter(caller("s", 100)).unwrap();
    drop(bench.exchange.subscribe(&entered.session, vec![wish("a")]));
    drop(bench.exchange.leave(&entered.session, gone(WillWish::Stay)));
    drop(bench.exchange.route(&[message("a")], Vec::new()));
    let again = bench.exchange.enter(caller("s", 0)).unwrap();
    assert!(again.present);
    assert_eq!(waiting(&bench.exchange, &again.session), 1);
    for room in Room::ALL {
        assert_eq!(bench.keeper.count(room), 0, "{room:?}");
    }
    let (due, _) = bench.exchange.leave(&again.session, gone(WillWish::Publish));
    assert!(due.is_some());
    assert!(!bench.exchange.enter(caller("s", 0)).unwrap().present);
}

#[test]
fn a_keeper_that_cannot_be_read_is_an_error() {
    struct Broken;
    impl Keeper for Broken {
        fn load(&self, _: &mut dyn FnMut(Room, &[u8], &[u8])) -> Result<(), KeeperError> {
            Err(KeeperError::Unreadable("bad sector".into()))
        }
        fn keep(&self, _: Vec<Change>) -> Keeping {
            Box::pin(std::future::ready(Ok(())))
        }
    }
    let loaded = Exchange::load(Arc::new(Broken), Arc::default(), at(0));
    assert_eq!(loaded.err(), Some(KeeperError::Unreadable("bad sector".into())));
}
