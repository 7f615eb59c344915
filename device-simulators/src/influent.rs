//! What flows towards a sewage station: fourteen dry days and fourteen days with a rain event of the
//! IWA Benchmark Simulation Model No. 1, repeated for ever, as multiples of their mean.
//!
//! Source: `data/README.md` (bsm2-python 0.0.16, BSD 3-Clause, `data/LICENSE.bsm2-python`).

use crate::num::{count, place, real};
use crate::sun::{DAY, ZONE};

const DRY: &str = include_str!("../data/bsm1-dry-influent.csv");
const RAIN: &str = include_str!("../data/bsm1-rain-influent.csv");
/// Both files have one row in 15 minutes.
const STEP: i64 = 15 * 60_000;
/// Monday 2025-01-06 00:00 in China: the benchmark's first day is a Monday.
const MONDAY: i64 = 20_094 * DAY - ZONE;
/// Equalisation before the outlet: the mean over so many steps (2 h).
const EQUALISED: usize = 8;
/// A station's hydraulic limit: this many times its mean flow gets through, the rest overflows.
const PASSES_MAX: f64 = 2.2;

/// The tables of one cycle of 28 days.
#[derive(Debug)]
pub(crate) struct Influent {
    /// Flow over the mean of the dry days.
    flow: Vec<f64>,
    /// Hours × flow from the beginning of the cycle to each row.
    volume: Vec<f64>,
    /// COD over its dry mean.
    cod: Vec<f64>,
    /// NH3-N over its dry mean.
    nh3n: Vec<f64>,
    /// Flow over the flow of the dry day: above 1 it rains.
    rain: Vec<f64>,
    start: i64,
}

/// One row of a file: flow, COD and NH3-N in the file's units.
#[derive(Clone, Copy)]
struct Row(f64, f64, f64);

fn rows(text: &str) -> Vec<Row> {
    text.lines()
        .filter_map(|line| {
            let cells: Vec<f64> = line.split(',').map_while(cell).collect();
            // COD = S_I + S_S + X_I + X_S + X_BH + X_BA + X_P; NH3-N = S_NH; Q is the 16th column.
            Some(Row(
                *cells.get(15)?,
                cells.get(1..8)?.iter().sum(),
                *cells.get(10)?,
            ))
        })
        .collect()
}

/// Three flows of the rain file, as published, have a point for the thousands too: `30.044.50` is 30.0445.
fn cell(text: &str) -> Option<f64> {
    match text.trim().rsplit_once('.') {
        Some((front, back)) if front.contains('.') => format!("{front}{back}").parse().ok(),
        _ => text.trim().parse().ok(),
    }
}

fn mean(rows: &[Row], of: impl Fn(&Row) -> f64) -> f64 {
    rows.iter().map(of).sum::<f64>() / count(rows.len()).max(1.0)
}

impl Influent {
    /// The tables; the cycle begins some weeks earlier or later by `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let (dry, rain) = (rows(DRY), rows(RAIN));
        let scale = mean(&dry, |row| row.0);
        // The rain file gives thousands of m³/d.
        let all: Vec<f64> = (dry.iter().map(|row| row.0))
            .chain(rain.iter().map(|row| row.0 * 1000.0))
            .map(|flow| flow / scale)
            .collect();
        let flow = equalise(&all);
        let table = |of: fn(&Row) -> f64| {
            let mean = mean(&dry, of);
            dry.iter()
                .chain(&rain)
                .map(|row| of(row) / mean)
                .collect::<Vec<f64>>()
        };
        let weeks = i64::try_from(seed % 4).unwrap_or(0);
        let wet = (dry.iter().zip(&rain)).map(|(dry, rain)| rain.0 * 1000.0 / dry.0);
        Self {
            volume: integrate(&flow),
            flow,
            cod: table(|row| row.1),
            nh3n: table(|row| row.2),
            rain: dry.iter().map(|_| 1.0).chain(wet).collect(),
            start: MONDAY - weeks * 7 * DAY,
        }
    }

    fn cycle(&self) -> i64 {
        i64::try_from(self.flow.len()).unwrap_or(1).max(1) * STEP
    }

    fn look_up(&self, table: &[f64], t: i64) -> f64 {
        let x = real((t - self.start).rem_euclid(self.cycle())) / real(STEP);
        let (from, part) = (place(x), x.fract());
        let at = |n: usize| table.get(n % table.len().max(1)).copied().unwrap_or(0.0);
        at(from) + (at(from + 1) - at(from)) * part
    }

    /// Flow at `t` over its dry mean, 0..=2.2.
    pub(crate) fn flow(&self, t: i64) -> f64 {
        self.look_up(&self.flow, t)
    }

    /// COD at `t` over its dry mean.
    pub(crate) fn cod(&self, t: i64) -> f64 {
        self.look_up(&self.cod, t)
    }

    /// NH3-N at `t` over its dry mean.
    pub(crate) fn nh3n(&self, t: i64) -> f64 {
        self.look_up(&self.nh3n, t)
    }

    /// How hard it rains at `t`: 0 not at all, 1 hard.
    pub(crate) fn rain(&self, t: i64) -> f64 {
        ((self.look_up(&self.rain, t) - 1.2) / 1.5).clamp(0.0, 1.0)
    }

    /// The integral of [`Self::flow`] in hours, from the beginning of the first cycle to `t`: exact,
    /// so that a totaliser of it never runs backwards.
    pub(crate) fn volume(&self, t: i64) -> f64 {
        let since = t - self.start;
        let cycles = real(since.div_euclid(self.cycle()));
        let x = real(since.rem_euclid(self.cycle())) / real(STEP);
        let (from, part) = (place(x), x.fract());
        let step_h = crate::num::hours(STEP);
        let at = |n: usize| self.flow.get(n % self.flow.len().max(1)).copied().unwrap_or(0.0);
        let whole = self.volume.get(from).copied().unwrap_or(0.0);
        let rest = (at(from) + (at(from + 1) - at(from)) * part / 2.0) * part * step_h;
        cycles * self.volume.last().copied().unwrap_or(0.0) + whole + rest
    }
}

fn equalise(flow: &[f64]) -> Vec<f64> {
    (0..flow.len())
        .map(|n| {
            let sum: f64 = (0..EQUALISED)
                .filter_map(|back| flow.get((n + flow.len() - back) % flow.len().max(1)))
                .sum();
            (sum / count(EQUALISED)).min(PASSES_MAX)
        })
        .collect()
}

/// Trapezoids, wrapped: one entry more than `flow`, the last being the whole cycle's.
fn integrate(flow: &[f64]) -> Vec<f64> {
    let step_h = crate::num::hours(STEP);
    let mut sum = 0.0;
    let mut volume = vec![0.0];
    for (n, from) in flow.iter().enumerate() {
        let to = flow.get((n + 1) % flow.len().max(1)).copied().unwrap_or(*from);
        sum += (from + to) / 2.0 * step_h;
        volume.push(sum);
    }
    volume
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_read_whole_and_the_rain_comes_in_the_second_fortnight() {
        let influent = Influent::new(0);
        assert_eq!(influent.flow.len(), 2 * 14 * 96);
        let wet = |from: i64| {
            (from..from + 14)
                .filter(|day| (0..96).any(|n| influent.rain(MONDAY + day * DAY + n * STEP) > 0.3))
                .count()
        };
        assert_eq!(wet(0), 0);
        assert!(wet(14) >= 1);
    }

    #[test]
    fn a_flow_with_two_points_is_read_as_its_neighbours_show() {
        assert_eq!(cell("30.044.50"), Some(30.0445));
        assert_eq!(cell("21.477"), Some(21.477));
        assert_eq!(cell("7"), Some(7.0));
        assert_eq!(cell("x"), None);
    }

    #[test]
    fn the_volume_is_the_integral_of_the_flow_across_the_end_of_a_cycle() {
        // Given an instant a day before the cycle of 28 days ends,
        let influent = Influent::new(3);
        let from = influent.start + 27 * DAY;
        // when the flow over two days is summed in steps of a minute,
        let sum: f64 = (0..2 * 1440)
            .map(|n| influent.flow(from + n * 60_000 + 30_000) / 60.0)
            .sum();
        // then the difference of the volumes agrees.
        let volume = influent.volume(from + 2 * DAY) - influent.volume(from);
        assert!((sum - volume).abs() < 0.01, "{sum} {volume}");
    }
}
