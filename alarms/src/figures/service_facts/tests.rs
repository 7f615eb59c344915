use std::sync::Arc;

use store::state::State;
use telemetry::time::{Clock, ManualClock};
use telemetry::{Batch, Lsn, Point, Quality, Sample};

use super::*;
use crate::figures::testkit::{County, at};
use crate::figures::{Colour, Figures, Scope};
use crate::settings::AlarmSettings;

const DEPOT: &str = "[[site]]\nid = \"d\"\nkind = \"lpg_depot\"\nname = { zh = \"储配站\", en = \"depot\" }\norganisation = \"o\"\n\
    town = \"t\"\nposition = { latitude = 27.5, longitude = 119.7 }\nattributes = { lec_l = 1, lec_e = 1, lec_c = 7 }\n\
    [[device]]\nid = \"panel\"\nsite = \"d\"\nprofile = \"gas-detector-panel\"\n";

#[test]
fn a_gas_alarm_of_the_service_makes_its_depot_red_until_it_is_acknowledged() {
    // Given a depot, the alarm service on a real database, and a clock,
    let start = "2026-11-23T12:00:00+08:00";
    let county = County::new(DEPOT, start);
    let clock = Arc::new(ManualClock::at(at(start)));
    let folder = tempfile::tempdir().unwrap();
    let service = AlarmService::open(
        Arc::new(State::open(&folder.path().join("state.db")).unwrap()),
        Arc::clone(&county.catalogue),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::clone(county.figures().sun()) as Arc<dyn crate::Daylight>,
        AlarmSettings::default(),
    );
    let service = Arc::new(service.unwrap());
    let figures = Figures::new(
        Arc::clone(&county.catalogue),
        county.series.clone(),
        service.clone(),
        county.policy.clone(),
        clock.clone(),
    )
    .unwrap();
    let series = county.catalogue.series_id("panel", "gas_03").unwrap();
    let mut lsn = 0;
    let mut read = |value: f64| {
        lsn += 1;
        let sample = Sample {
            time: clock.now(),
            value,
            quality: Quality::Good,
        };
        county.series.insert(series, sample);
        let point = Point {
            series,
            sample,
            arrived: clock.now(),
            backfill: false,
        };
        service.observe(&Batch {
            first: Lsn(lsn),
            last: Lsn(lsn),
            points: vec![point],
            heard: vec![(0, clock.now())],
            ..Batch::default()
        });
    };
    let colour = || {
        figures
            .compute("gas_hazard", None, None, &Scope::County)
            .unwrap()
            .colour
    };
    read(2.0);
    assert_eq!(colour(), Some(Colour::Blue));
    // when a detector reads 60 %LEL, the depot is red,
    read(60.0);
    assert_eq!(colour(), Some(Colour::Red));
    // and stays so an hour after the gas is gone, because nobody has acknowledged it;
    for _ in 0..60 {
        clock.advance(Span::from_secs(60));
        read(2.0);
    }
    assert!(
        listed(&service, true)
            .iter()
            .all(|alarm| alarm.returned_at.is_some())
    );
    assert_eq!(colour(), Some(Colour::Red));
    // when somebody does, it is blue again.
    for alarm in listed(&service, true) {
        service.acknowledge(&alarm.id, "inspector", "checked").unwrap();
    }
    assert!(!listed(&service, false).is_empty());
    assert_eq!(colour(), Some(Colour::Blue));
}

fn listed(service: &AlarmService, open_only: bool) -> Vec<AlarmView> {
    let filter = AlarmFilter {
        open_only,
        ..AlarmFilter::default()
    };
    service.list(&filter).unwrap()
}
