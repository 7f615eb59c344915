//! Rural sewage stations: a few large ones that are polled, many small ones that report.

use rand::RngExt;
use telemetry::registry::{Attributes, SiteKind};

use super::build::{Builder, New, Spot, flag, number, title};
use super::names::{town_of, village};
use super::{Plan, Slave};
use crate::device::{Model, Sewage};

const MINUTE: i64 = 60_000;
/// Design capacities in t/d, in turn.
const LARGE: [f64; 8] = [30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 120.0, 35.0];
const SMALL: [f64; 6] = [5.0, 8.0, 10.0, 15.0, 20.0, 25.0];

/// One station to be.
struct Draft {
    large: bool,
    /// Number among its kind, from 0.
    n: usize,
    capacity: f64,
    verdict: Verdict,
}

pub(super) fn build(builder: &mut Builder, large: usize, small: usize) {
    for n in 0..large + small {
        let is_large = n < large;
        let capacity = if is_large {
            LARGE.get(n % LARGE.len())
        } else {
            SMALL.get(n % SMALL.len())
        };
        let draft = Draft {
            large: is_large,
            n: if is_large { n } else { n - large },
            capacity: capacity.copied().unwrap_or(30.0),
            verdict: verdict(n, large),
        };
        let site = add_site(builder, n, &draft);
        add_evaluation(builder, site, draft.verdict);
        add_station(builder, site, n, &draft);
    }
}

impl Draft {
    const fn prefix(&self) -> &'static str {
        if self.large { "sw" } else { "sws" }
    }

    /// One small station in sixteen never has an outflow, and is registered so.
    const fn no_outflow(&self) -> bool {
        !self.large && self.n % 16 == 5
    }
}

fn add_site(builder: &mut Builder, n: usize, draft: &Draft) -> usize {
    let (town, village) = (town_of(n), village(n));
    let mut attributes = Attributes::new();
    number(&mut attributes, "design_capacity_tpd", draft.capacity);
    flag(&mut attributes, "in_service", true);
    flag(&mut attributes, "exempted", draft.verdict == Verdict::Exempted);
    flag(&mut attributes, "no_outflow_registered", draft.no_outflow());
    number(&mut attributes, "sill_m", 3.3);
    number(&mut attributes, "limit_cod_mg_l", 60.0);
    number(&mut attributes, "limit_nh3n_mg_l", 15.0);
    let position = builder.scatter(n, 3.5);
    builder.add_site(Spot {
        id: format!("{}-site-{:03}", draft.prefix(), draft.n + 1),
        kind: SiteKind::SewageStation,
        name: title(
            format!("{}{}污水处理站", town.zh, village.zh),
            format!("{} {} sewage station", town.en, village.en),
        ),
        organisation: if n.is_multiple_of(2) { "water-a" } else { "water-b" },
        town: town.zh,
        position,
        attributes,
    })
}

fn add_station(builder: &mut Builder, site: usize, n: usize, draft: &Draft) {
    // One large station in eight treats badly: its effluent is near the limit, and beyond.
    let bad = draft.large && draft.n % 8 == 4;
    let model = Sewage {
        key: builder.key(),
        large: draft.large,
        capacity: draft.capacity,
        load: builder.rng.random_range(0.55..0.92),
        delay: builder.rng.random_range(5..40) * MINUTE,
        total: builder.rng.random_range(20_000.0..150_000.0),
        treatment: if bad {
            0.22
        } else {
            builder.rng.random_range(0.85..1.0)
        },
        sill: 3.3,
        no_outflow: draft.no_outflow(),
    };
    let slave = draft.large.then(|| Slave {
        gateway: builder.add_gateway(),
        unit: 1,
    });
    // A polled station's RTU writes down what it back-fills every 5 min.
    let log = match draft.large {
        true => Plan::Every {
            interval: 5 * MINUTE,
            phase: 0,
        },
        false => builder.every(15 * MINUTE),
    };
    let village = village(n);
    let new = New {
        id: format!("{}-{:03}", draft.prefix(), draft.n + 1),
        name: title(
            format!("{}测控终端", village.zh),
            format!("{} station RTU", village.en),
        ),
        model: Model::Sewage(model),
        plan: (!draft.large).then_some(log),
        log,
        slave,
        uplink: None,
    };
    builder.add_device(site, new, |_| ());
}

fn add_evaluation(builder: &mut Builder, site: usize, verdict: Verdict) {
    let (years_ago, score) = match verdict {
        Verdict::Missing => return,
        Verdict::Passed | Verdict::Exempted => (1, builder.rng.random_range(82..97)),
        Verdict::Failed => (1, builder.rng.random_range(58..78)),
        Verdict::Expired => (3, builder.rng.random_range(82..90)),
    };
    builder.add_judgement(site, years_ago, score);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Expired,
    Missing,
    Exempted,
}

/// Of the large stations one in eight (small county) or in twenty has failed, was never evaluated, and so on.
fn verdict(n: usize, large_ones: usize) -> Verdict {
    let round = if large_ones < 20 { 8 } else { 20 };
    match n % round {
        4 => Verdict::Failed,
        5 => Verdict::Expired,
        6 => Verdict::Missing,
        7 if n < large_ones => Verdict::Exempted,
        _ => Verdict::Passed,
    }
}
