use super::*;

fn subject(priority: Priority) -> Subject<'static> {
    Subject {
        priority: Some(priority),
        group: Some("tank-farm"),
        kind: Some("gas"),
        place: None,
    }
}

fn route(to: &str) -> Route {
    Route {
        to: to.into(),
        ..Route::default()
    }
}

fn names(found: &[Arc<str>]) -> Vec<&str> {
    found.iter().map(|name| &**name).collect()
}

fn told(telling: &Telling, priority: Priority, test: bool) -> Vec<String> {
    let found = telling.recipients(&[subject(priority)], test, Timestamp::from_millis(0));
    found.iter().map(ToString::to_string).collect()
}

fn with(routes: Vec<Route>) -> Telling {
    Telling::new(routes, &[], &[], &TimeZone::UTC).unwrap()
}

#[test]
fn without_a_route_everything_goes_to_everybody() {
    assert_eq!(told(&with(vec![]), Priority::Low, false), ["all"]);
    assert_eq!(told(&with(vec![]), Priority::Low, true), ["all"]);
}

#[test]
fn a_route_takes_what_it_asks_for() {
    let telling = with(vec![
        Route {
            priority: Some(Priorities::One(Priority::Critical)),
            ..route("inspectors")
        },
        Route {
            priority: Some(Priorities::Some(vec![Priority::High, Priority::Critical])),
            ..route("engineers")
        },
        Route {
            group: Some("elsewhere".into()),
            ..route("others")
        },
        Route {
            kind: Some("gas".into()),
            ..route("gas")
        },
    ]);
    assert_eq!(
        told(&telling, Priority::Critical, false),
        ["inspectors", "engineers", "gas"]
    );
    assert_eq!(told(&telling, Priority::High, false), ["engineers", "gas"]);
    assert_eq!(told(&telling, Priority::Low, false), ["gas"]);
}

#[test]
fn what_no_route_wants_goes_to_everybody_and_tests_to_testers_only() {
    let telling = with(vec![
        Route {
            priority: Some(Priorities::One(Priority::Critical)),
            ..route("inspectors")
        },
        Route {
            test: true,
            ..route("testers")
        },
    ]);
    assert_eq!(told(&telling, Priority::Low, false), ["all"]);
    assert_eq!(told(&telling, Priority::Critical, true), ["testers"]);
    let none = with(vec![route("inspectors")]);
    assert!(told(&none, Priority::Critical, true).is_empty());
}

#[test]
fn who_hears_of_a_points_gas_hears_of_its_fault() {
    let telling = with(vec![Route {
        priority: Some(Priorities::One(Priority::Critical)),
        ..route("inspectors")
    }]);
    let subjects = [subject(Priority::High), subject(Priority::Critical)];
    let found = telling.recipients(&subjects, false, Timestamp::from_millis(0));
    assert_eq!(names(&found), ["inspectors"]);
}

#[test]
fn the_roster_says_who_is_on_duty_and_a_hole_in_it_leaves_nobody_uncovered() {
    let duty = |person: &str, from: &str, to: &str| Duty {
        person: person.into(),
        zone: Some("Asia/Shanghai".into()),
        from: from.into(),
        to: to.into(),
    };
    let roster = [duty("li", "02:30", "14:30"), duty("wang", "14:30", "22:00")];
    let telling = Telling::new(vec![], &[], &roster, &TimeZone::UTC).unwrap();
    let at = |hour: i64| {
        // Shanghai is 8 h east.
        let at = Timestamp::from_millis((hour - 8) * 3_600_000);
        let found = telling.recipients(&[subject(Priority::High)], false, at);
        names(&found).join(" ")
    };
    assert_eq!(at(3), "li");
    assert_eq!(at(15), "wang");
    assert_eq!(at(23), "li wang");
}

#[test]
fn steps_stand_in_the_order_of_their_time() {
    let step = |seconds, to: &str| Step {
        after: Span::from_secs(seconds),
        to: vec![to.into()],
    };
    let steps = [step(180, "supervisor"), step(60, "second")];
    let telling = Telling::new(vec![], &steps, &[], &TimeZone::UTC).unwrap();
    assert_eq!(telling.step_after(0), Some(Span::from_secs(60)));
    assert_eq!(names(&telling.step(0, Timestamp::from_millis(0))), ["second"]);
    assert_eq!(names(&telling.step(1, Timestamp::from_millis(0))), ["supervisor"]);
    assert_eq!(telling.step_after(2), None);
}

#[test]
fn nonsense_is_refused_by_name() {
    let zone = &TimeZone::UTC;
    let step = Step {
        after: Span::ZERO,
        to: vec![],
    };
    assert!(
        Telling::new(vec![], &[step], &[], zone)
            .unwrap_err()
            .contains("escalation")
    );
    let duty = Duty {
        person: "li".into(),
        zone: Some("Nowhere".into()),
        from: "00:00".into(),
        to: "00:00".into(),
    };
    assert!(
        Telling::new(vec![], &[], &[duty], zone)
            .unwrap_err()
            .contains("li")
    );
    assert!(Telling::new(vec![route("")], &[], &[], zone).is_err());
}

#[test]
fn a_route_may_ask_for_a_place_and_for_hours() {
    let route = |to: &str| Route {
        to: to.into(),
        ..Route::default()
    };
    let routes = vec![
        Route {
            town: Some("longquan".into()),
            ..route("longquan-desk")
        },
        Route {
            organisation: Some("contractor".into()),
            ..route("contractor")
        },
        Route {
            site: Some("st-1".into()),
            hours: Some("18:00-08:00".into()),
            ..route("night-watch")
        },
    ];
    let telling = Telling::new(routes, &[], &[], &TimeZone::UTC).unwrap();
    let place = |site: &str, town: &str| Place {
        site: site.into(),
        town: town.into(),
        organisation: "contractor".into(),
    };
    let told = |place: &Place, hour: i64| {
        let subject = Subject {
            place: Some(place),
            ..Subject::default()
        };
        let at = Timestamp::from_millis(hour * 3_600_000);
        telling
            .recipients(&[subject], false, at)
            .iter()
            .map(|to| to.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(&place("st-1", "longquan"), 20),
        ["longquan-desk", "contractor", "night-watch"]
    );
    assert_eq!(
        told(&place("st-1", "longquan"), 12),
        ["longquan-desk", "contractor"]
    );
    assert_eq!(told(&place("st-2", "other"), 20), ["contractor"]);
    let sun = Route {
        hours: Some("dusk-dawn".into()),
        ..route("x")
    };
    assert!(
        Telling::new(vec![sun], &[], &[], &TimeZone::UTC)
            .unwrap_err()
            .contains("HH:MM")
    );
}
