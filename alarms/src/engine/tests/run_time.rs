//! For how long something has run within a window.

use super::*;
use crate::rules::{Condition, Plant, PlantDevice, Rule};
use telemetry::Point;
use telemetry::profile::{Active, Priority, Title};

fn hours(hours: u64) -> Span {
    Span::from_secs(hours * 3600)
}

/// A pump that may run 3 h within 6 h; known between samples at most an hour apart.
fn pump() -> Engine {
    let plant = Plant {
        devices: vec![PlantDevice {
            name: "P".into(),
            ..PlantDevice::default()
        }],
        groups: Vec::new(),
    };
    let rule = Rule {
        id: "P/RUN".into(),
        title: Title {
            zh: "运行超时".into(),
            en: "runs too long".into(),
        },
        device: 0,
        shown_at: 0,
        signal: None,
        series: Some(SeriesId(1)),
        condition: Condition::RunTime {
            values: [1.0].into(),
            limit: hours(3),
            window: hours(6),
            max_gap: hours(1),
        },
        on_delay: Span::ZERO,
        off_delay: Span::ZERO,
        priority: Priority::Low,
        active: Active::Always,
        schedule: None,
        life_safety: false,
        latching: false,
        re_alarm: None,
        system: false,
        changed: None,
    };
    Engine::new(
        plant,
        vec![rule],
        spans(),
        night(),
        Arc::default(),
        Timestamp::EPOCH,
    )
}

#[test]
fn stretches_of_running_are_added_up_and_a_gap_is_not_running() {
    let mut engine = pump();
    let mut said = Vec::new();
    // Minutes and state. It runs from 0 to 60 and from 120 to 180; after that nobody knows for 90 min; then from 270 to 330
    // and on: 3 h are full at 330, where 6 h before is −30, so all of it counts.
    for (minutes, value) in [
        (0, 1.0),
        (60, 0.0),
        (120, 1.0),
        (180, 1.0),
        (270, 1.0),
        (329, 1.0),
        (330, 0.0),
        // 6 h before is 60 and a millisecond: the first hour has left the window.
        (420, 0.0),
    ] {
        let time = s(f64::from(minutes) * 60.0);
        let mut out = Vec::new();
        let point = Point {
            series: SeriesId(1),
            sample: telemetry::Sample {
                time,
                value,
                quality: Quality::Good,
            },
            arrived: time,
            backfill: false,
        };
        engine.sample(&point, &mut out);
        let known = out
            .iter()
            .filter(|transition| transition.event != EventKind::Notified);
        said.extend(known.map(|transition| {
            format!(
                "{minutes} {} {}",
                transition.event.name(),
                transition.value.unwrap_or(-1.0)
            )
        }));
    }
    assert_eq!(said, ["330 raised 3", "420 cleared 2"]);
}
