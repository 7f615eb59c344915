//! A chart shows gaps as gaps, keeps every peak, and says in which unit it speaks.

use store::series::gather;
use telemetry::Timestamp;
use telemetry::quality::{Bad, Quality, Uncertain};
use telemetry::sample::Sample;
use telemetry::time::Span;

use super::*;
use crate::testkit;

const MINUTE: i64 = 60_000;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(testkit::NOW.millis() + minute * MINUTE)
}

fn good(minute: i64, value: f64) -> Sample {
    Sample {
        time: at(minute),
        value,
        quality: Quality::Good,
    }
}

fn every() -> Span {
    Span::from_secs(900)
}

fn drawn(device: &str, signal: &str, trace: Trace) -> String {
    let catalogue = testkit::catalogue();
    let entry = catalogue.device(device).unwrap();
    let signal = &entry.profile.signals[entry.profile.signal_index(signal).unwrap()];
    let civil = Civil::new("Asia/Shanghai");
    let chart = Chart {
        signal,
        trace,
        from: at(-1440),
        to: at(0),
        width: 720,
        height: 190,
        lang: Lang::Zh,
        civil: &civil,
        bounds: Vec::new(),
    };
    svg(&chart).unwrap()
}

fn lines(svg: &str) -> usize {
    svg.matches("<polyline fill=\"none\" opacity=\"1\" stroke=\"#1F5FA8\"")
        .count()
}

#[test]
fn the_line_is_broken_where_more_than_three_reports_are_missing() {
    // Reports every 15 min: 45 min apart is still one line, 46 min apart is two.
    let near = Trace::of_samples(&[good(-100, 1.0), good(-55, 2.0), good(-40, 2.0)], every());
    assert_eq!(near.segments.len(), 1);
    let far = [good(-120, 1.0), good(-105, 1.0), good(-59, 2.0), good(-44, 2.0)];
    let far = Trace::of_samples(&far, every());
    assert_eq!(far.segments.len(), 2);
    assert_eq!(lines(&drawn("st-1", "flow", near)), 1);
    assert_eq!(lines(&drawn("st-1", "flow", far)), 2);
}

#[test]
fn windows_break_the_line_too_and_keep_the_peak_of_a_single_sample() {
    // A sample each minute for two hours, one spike, then four hours of nothing, then an hour more.
    let early = (-600..-480).map(|m| good(m, if m == -555 { 9.0 } else { 1.0 }));
    let late = (-240..-180).map(|m| good(m, 1.0));
    let width = Span::from_secs(600);
    let windows = gather(early.chain(late), at(-600), width);
    let trace = Trace::of_windows(&windows, at(-600), width, Span::from_secs(60));
    assert_eq!(trace.segments.len(), 2);
    assert_eq!(trace.extent(), Some((1.0, 9.0)), "the spike lasts");
    let svg = drawn("st-1", "flow", trace);
    assert_eq!(lines(&svg), 2);
    assert_eq!(
        svg.matches("fill=\"#BFD6EE\"").count(),
        2,
        "a band under each stretch"
    );
}

#[test]
fn bad_samples_are_marked_and_never_drawn_as_values() {
    let bad = Sample {
        time: at(-30),
        value: 0.0,
        quality: Quality::Bad(Bad::NoAnswer),
    };
    let doubtful = Sample {
        time: at(-15),
        value: 5.5,
        quality: Quality::Uncertain(Uncertain::ClockSkew),
    };
    let trace = Trace::of_samples(&[good(-45, 5.0), bad, doubtful], every());
    assert_eq!(
        trace.extent(),
        Some((5.0, 5.5)),
        "the stored 0 of a bad sample is no value"
    );
    assert_eq!((trace.bad.len(), trace.uncertain.len()), (1, 1));
    let svg = drawn("st-1", "flow", trace);
    assert!(svg.contains("stroke=\"#C02020\""), "a cross for the bad one");
    assert!(svg.contains("stroke=\"#B06A00\""), "a ring for the doubtful one");
}

#[test]
fn title_unit_and_civil_time_stand_on_the_chart() {
    let svg = drawn(
        "st-1",
        "flow",
        Trace::of_samples(&[good(-30, 1.0), good(-15, 2.0)], every()),
    );
    assert!(svg.contains("出水瞬时流量 (m³/h)"));
    // The axis ends at 20:00 in Shanghai; midnight is written as its date.
    assert!(svg.contains("18:00") && svg.contains("11-23"), "{svg}");
    assert!(
        svg.contains("aria-label=\"出水瞬时流量 2026-11-22 20:00 – 2026-11-23 20:00: 1.00 … 2.00 m³/h\"")
    );
}

#[test]
fn states_are_steps_between_their_names() {
    let trace = Trace::of_samples(&[good(-30, 0.0), good(-15, 1.0)], every());
    assert_eq!(trace.stepped().segments[0].len(), 3, "0, still 0, 1");
    let svg = drawn("st-1", "pump_1_run", trace);
    assert!(svg.contains("运行") && svg.contains("停"));
}

#[test]
fn nothing_to_draw_says_so() {
    assert!(drawn("st-1", "flow", Trace::default()).contains("无数据"));
}
