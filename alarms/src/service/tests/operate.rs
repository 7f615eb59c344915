//! What people do beside acknowledging, over a restart.

use super::*;

#[test]
fn what_is_shelved_is_told_when_the_shelf_ends_also_over_a_restart() {
    let desk = Desk::new();
    // Given a level alarm that a person has shelved for ten minutes,
    {
        let service = desk.open();
        desk.to(20);
        service.observe(&desk.batch(1, &[("L1", 0, 85.0, GOOD), ("L1", 20, 86.0, GOOD)]));
        let shelved = service
            .act_on_alarm("L1~HI~1", AlarmAct::Shelve(Span::from_secs(600)), "李", "清淤")
            .unwrap();
        assert_eq!(shelved.state, AlarmState::Shelved);
        assert_eq!(service.counts().set_aside, 1);
    }
    // when the program starts again and the time is over while it is still so,
    let service = desk.open();
    assert_eq!(service.get("L1~HI~1").unwrap().state, AlarmState::Shelved);
    let before = service.notices(100).unwrap().len();
    desk.to(615);
    service.observe(&desk.batch(2, &[("L1", 615, 86.0, GOOD)]));
    desk.to(630);
    service.tick();
    // then it is owed again, and people are told; the log knows who shelved it, and why.
    let alarm = service.get("L1~HI~1").unwrap();
    assert_eq!(alarm.state, AlarmState::Unacknowledged);
    assert!(service.notices(100).unwrap().len() > before);
    let log = service.log(None, 100).unwrap();
    let row = log.iter().find(|row| row.event == "shelved").unwrap();
    assert_eq!(
        (row.by.as_deref(), row.remark.as_deref()),
        (Some("李"), Some("清淤"))
    );
    assert!(log.iter().any(|row| row.event == "unshelved"));
}

#[test]
fn one_person_alone_does_not_shelve_what_may_save_a_life() {
    let desk = Desk::new();
    let service = desk.open();
    service.observe(&desk.batch(1, &[("G1", 0, 40.0, GOOD)]));
    let refused = service.act_on_alarm("G1~HI~1", AlarmAct::Shelve(Span::from_secs(60)), "li", "noise");
    assert!(matches!(refused, Err(AlarmError::Refused { .. })), "{refused:?}");
    assert_eq!(service.get("G1~HI~1").unwrap().state, AlarmState::Unacknowledged);
}

#[test]
fn over_range_latches_and_is_reset_only_when_it_is_over_and_acknowledged() {
    let desk = Desk::new();
    let service = desk.open();
    let reset = || service.act_on_alarm("G1~HI~1", AlarmAct::Reset, "li", "checked");
    // Given a detector at the end of its range,
    service.observe(&desk.batch(1, &[("G1", 0, 100.0, GOOD)]));
    assert!(reset().is_err());
    // when it shows little again, as a detector may that gas has blinded,
    desk.to(20);
    service.observe(&desk.batch(2, &[("G1", 10, 5.0, GOOD), ("G1", 20, 5.0, GOOD)]));
    // then the alarm is held until a person knows and resets it.
    assert_eq!(
        service.get("G1~HI~1").unwrap().state,
        AlarmState::LatchedUnacknowledged
    );
    assert!(reset().is_err());
    service.acknowledge("G1~HI~1", "li", "on my way").unwrap();
    assert_eq!(reset().unwrap().state, AlarmState::Normal);
}

#[test]
fn a_test_is_marked_and_a_point_out_of_service_calls_nobody() {
    let desk = Desk::new();
    let service = desk.open();
    let hour = Span::from_secs(3600);
    service
        .act_on_device("G1", DeviceAct::Test(hour), "li", "yearly test")
        .unwrap();
    service
        .act_on_device("L1", DeviceAct::TakeOutOfService(hour), "li", "permit 7")
        .unwrap();
    desk.to(20);
    let samples = [
        ("G1", 0, 60.0, GOOD),
        ("L1", 0, 85.0, GOOD),
        ("L1", 20, 86.0, GOOD),
    ];
    service.observe(&desk.batch(1, &samples));
    let told: Vec<String> = (service.notices(100).unwrap().into_iter())
        .map(|notice| notice.payload)
        .collect();
    assert!(told.iter().any(|payload| payload.contains("TEST")), "{told:?}");
    assert!(!told.iter().any(|payload| payload.contains("L1/HI")), "{told:?}");
    assert_eq!(service.get("L1~HI~1").unwrap().state, AlarmState::OutOfService);
    assert!(
        service
            .act_on_device("G9", DeviceAct::EndTest, "li", "x")
            .is_err()
    );
}
