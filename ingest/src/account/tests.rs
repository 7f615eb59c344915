use telemetry::time::ManualClock;
use telemetry::{Origin, Timestamp};

use super::*;
use crate::testkit;

fn batch(first: u64, last: u64, stored: u64) -> Batch {
    let ledger = Ledger {
        messages: 1,
        received: stored + 1,
        stored,
        dead_lettered: 1,
        ..Ledger::default()
    };
    let letter = DeadLetter {
        lsn: Lsn(last),
        arrived: Timestamp::EPOCH,
        origin: Origin::Mqtt,
        sender: "lamp-1".parse().unwrap(),
        topic: "x".into(),
        reason: "y".into(),
        payload: vec![1; 10].into(),
    };
    Batch {
        first: Lsn(first),
        last: Lsn(last),
        ledger: vec![(0, ledger)],
        dead_letters: vec![letter],
        ..Batch::default()
    }
}

#[test]
fn what_is_not_committed_is_in_the_totals_and_comes_again_after_a_crash() {
    // Given an accountant that has committed one batch and taken a second,
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
    let catalogue = Arc::new(testkit::catalogue());
    let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
    let open = || {
        Accountant::open(
            Arc::clone(&state),
            Arc::clone(&catalogue),
            Arc::clone(&clock) as Arc<dyn Clock>,
            AccountSettings::default(),
        )
        .unwrap()
    };
    let id = catalogue.devices()[0].device.id.to_string();
    let mut accountant = open();
    accountant.take(&batch(1, 5, 10)).unwrap();
    assert_eq!(accountant.cursor(), Lsn::ZERO, "a second has not passed");
    clock.advance(Span::from_secs(1));
    accountant.idle().unwrap();
    assert_eq!(accountant.cursor(), Lsn(5));
    accountant.take(&batch(6, 8, 100)).unwrap();
    // when it is looked at,
    // then the totals hold both, the database and the cursor only the first.
    assert_eq!(accountant.totals().ledger(0).stored, 110);
    assert!(accountant.totals().sum().adds_up());
    assert_eq!(state.ledger(&id).unwrap().stored, 10);
    assert_eq!(state.dead_letters(9).unwrap().len(), 1);
    // When it crashes and starts again,
    drop(accountant);
    let mut again = open();
    // then it asks for the second once more, and nothing is counted twice.
    assert_eq!(again.cursor(), Lsn(5));
    assert_eq!(again.totals().ledger(0).stored, 10);
    again.take(&batch(6, 8, 100)).unwrap();
    again.finish().unwrap();
    assert_eq!(state.ledger(&id).unwrap().stored, 110);
    assert_eq!(state.dead_letters(9).unwrap().len(), 2);
    assert_eq!(state.account_cursor().unwrap(), Lsn(8));
}

#[test]
fn many_bytes_of_dead_letters_do_not_wait_for_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
    let settings = AccountSettings {
        pending_bytes_max: 20,
        ..AccountSettings::default()
    };
    let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
    let mut accountant = Accountant::open(state, Arc::new(testkit::catalogue()), clock, settings).unwrap();
    accountant.take(&batch(1, 1, 1)).unwrap();
    assert_eq!(accountant.cursor(), Lsn::ZERO);
    accountant.take(&batch(2, 2, 1)).unwrap();
    assert_eq!(accountant.cursor(), Lsn(2));
}
