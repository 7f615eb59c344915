//! Loops and lamps, along their roads.

use rand::RngExt;
use telemetry::registry::{Attribute, Attributes, Position, SiteKind};

use super::CountySize;
use super::Plan;
use super::build::{Builder, New, Spot, number, title};
use super::names::{position, town_of};
use crate::device::{Lamp, LoopController, Model, Road};
use crate::num::count;

const MINUTE: i64 = 60_000;
/// From lamp to lamp, km.
const SPACING: f64 = 0.035;
/// Loops of one controller.
const CIRCUITS: usize = 6;

pub(super) fn build(builder: &mut Builder, size: CountySize, loops: usize, lamps: usize) {
    for n in 0..loops {
        let lamps_here = lamps / loops + usize::from(n < lamps % loops);
        // In a model county the lamps of four roads in five talk to their cabinet over the power line.
        let own_radio = size == CountySize::Small || n.is_multiple_of(5);
        road(builder, n, lamps_here, own_radio);
    }
}

/// A lamp to be.
struct Draft {
    rated: f64,
    dead: bool,
    circuit: usize,
    along: f64,
}

fn road(builder: &mut Builder, n: usize, lamps: usize, own_radio: bool) {
    let road = if n.is_multiple_of(3) {
        Road::Arterial
    } else {
        Road::Branch
    };
    let drafts = drafts(builder, road, lamps);
    let town = town_of(n);
    let east = town.east + builder.rng.random_range(-1.5..1.5);
    let north = town.north + builder.rng.random_range(-1.5..1.5);
    let site = add_site(builder, n, road, lamps, position(east, north));
    let controller = builder.next_place();
    add_controller(builder, site, n, &drafts, road);
    let (mut east, mut north) = (east, north);
    let mut heading = builder.rng.random_range(0.0..std::f64::consts::TAU);
    for (i, draft) in drafts.iter().enumerate() {
        let lamp = Lamp {
            key: builder.key(),
            rated: draft.rated,
            road,
            dead: draft.dead,
            controller,
            circuit: draft.circuit,
            along: draft.along,
            phase: i % 3,
        };
        let plan = Plan::Lamp {
            delay: builder.rng.random_range(5_000..95_000),
        };
        let new = New {
            id: format!("lamp-{:03}-{:03}", n + 1, i + 1),
            name: title(format!("{}号灯", i + 1), format!("lamp {}", i + 1)),
            model: Model::Lamp(lamp),
            plan: Some(plan),
            log: plan,
            slave: None,
            uplink: (!own_radio).then_some(controller),
        };
        let at = position(east, north);
        builder.add_device(site, new, |device| {
            device.position = Some(at);
            number(&mut device.attributes, "rated_power_w", draft.rated);
            let class = Attribute::Text(class(road).into());
            device.attributes.insert("road_class".into(), class);
        });
        heading += builder.rng.random_range(-0.12..0.12);
        east += SPACING * heading.cos();
        north += SPACING * heading.sin();
    }
}

/// Road class. Source: `domain.md` §3.3.
const fn class(road: Road) -> &'static str {
    match road {
        Road::Arterial => "主干路",
        Road::Branch => "支路",
    }
}

fn drafts(builder: &mut Builder, road: Road, lamps: usize) -> Vec<Draft> {
    let rated = match road {
        Road::Arterial => 150.0,
        Road::Branch => 75.0,
    };
    (0..lamps)
        .map(|i| {
            let circuit = i * CIRCUITS / lamps.max(1);
            let first = (circuit * lamps).div_ceil(CIRCUITS);
            Draft {
                rated,
                dead: builder.rng.random_bool(0.01),
                circuit,
                along: count(i - first.min(i)) / (count(lamps) / count(CIRCUITS)),
            }
        })
        .collect()
}

fn add_site(builder: &mut Builder, n: usize, road: Road, lamps: usize, position: Position) -> usize {
    let (zh, en) = match road {
        Road::Arterial => ("大道", "Avenue"),
        Road::Branch => ("路", "Road"),
    };
    let town = town_of(n);
    let mut attributes = Attributes::new();
    attributes.insert("road_class".into(), Attribute::Text(class(road).into()));
    number(&mut attributes, "lamps", count(lamps));
    builder.add_site(Spot {
        id: format!("road-{:03}", n + 1),
        kind: SiteKind::LightingLoop,
        name: title(
            format!("{}{}号{zh}", town.zh, n + 1),
            format!("{} {en} {}", town.en, n + 1),
        ),
        organisation: "lighting",
        town: town.zh,
        position,
        attributes,
    })
}

fn add_controller(builder: &mut Builder, site: usize, n: usize, drafts: &[Draft], road: Road) {
    let controller = builder.next_place();
    let burning = |draft: &&Draft| !draft.dead;
    let watts = |circuit: Option<usize>| -> f64 {
        (drafts.iter().filter(burning))
            .filter(|draft| circuit.is_none_or(|circuit| draft.circuit == circuit))
            .map(|draft| draft.rated)
            .sum()
    };
    let model = LoopController {
        key: builder.key(),
        lamps: controller + 1..controller + 1 + drafts.len(),
        rated: watts(None),
        late: if road == Road::Branch { 0.5 } else { 1.0 },
    };
    let plan = Plan::Cabinet {
        interval: 5 * MINUTE,
        phase: builder.rng.random_range(0..300) * 1000,
    };
    let new = New {
        id: format!("loop-{:03}", n + 1),
        name: title(format!("{}号控制箱", n + 1), format!("cabinet {}", n + 1)),
        model: Model::Loop(model),
        plan: Some(plan),
        log: plan,
        slave: None,
        uplink: None,
    };
    builder.add_device(site, new, |device| {
        // What loop 1 draws at full light: 220 V, power factor 0.96.
        let amperes = (watts(Some(0)) / (220.0 * 0.96) * 100.0).round() / 100.0;
        number(&mut device.attributes, "loop_1_rated_a", amperes);
    });
}
