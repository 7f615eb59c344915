//! LPG depots: tanks and a detector panel behind one Modbus gateway, and the controller that speaks for them.

use rand::RngExt;
use telemetry::registry::{Attributes, SiteKind};

use super::build::{Builder, New, Spot, number, title};
use super::names::town_of;
use super::{Plan, Slave};
use crate::device::{Model, Panel, Tank, Valves};

const MINUTE: i64 = 60_000;
/// The panel's unit id; the tanks have 1, 2, …
const PANEL_UNIT: u8 = 10;

/// A depot's tank farm: tanks of `volume` m³, people within 500 m, LEC factors.
struct Farm {
    tanks: u8,
    volume: f64,
    people: f64,
    lec: [f64; 3],
}

/// 180 t with 120 people is a major hazard of level 3, 67.5 t with 64 of level 4; 45 t and 22.5 t are none.
const FARMS: [Farm; 5] = [
    Farm {
        tanks: 4,
        volume: 100.0,
        people: 120.0,
        lec: [1.0, 6.0, 40.0],
    },
    Farm {
        tanks: 2,
        volume: 50.0,
        people: 35.0,
        lec: [1.0, 6.0, 15.0],
    },
    Farm {
        tanks: 3,
        volume: 50.0,
        people: 64.0,
        lec: [0.5, 6.0, 40.0],
    },
    Farm {
        tanks: 2,
        volume: 25.0,
        people: 8.0,
        lec: [0.5, 6.0, 15.0],
    },
    Farm {
        tanks: 2,
        volume: 50.0,
        people: 0.0,
        lec: [0.5, 6.0, 7.0],
    },
];

pub(super) fn build(builder: &mut Builder, amount: usize) {
    for (n, farm) in FARMS.iter().enumerate().take(amount) {
        let site = add_site(builder, n, farm);
        add_devices(builder, site, n, farm);
    }
}

fn add_site(builder: &mut Builder, n: usize, farm: &Farm) -> usize {
    let town = town_of(n * 2);
    let mut attributes = Attributes::new();
    number(&mut attributes, "people_within_500m", farm.people);
    for (name, value) in ["lec_l", "lec_e", "lec_c"].into_iter().zip(farm.lec) {
        number(&mut attributes, name, value);
    }
    let position = builder.scatter(n * 2, 2.5);
    builder.add_site(Spot {
        id: format!("depot-{}", n + 1),
        kind: SiteKind::LpgDepot,
        name: title(
            format!("{}液化石油气储配站", town.zh),
            format!("{} LPG depot", town.en),
        ),
        organisation: "gas",
        town: town.zh,
        position,
        attributes,
    })
}

/// In this order: the controller, its tanks, the panel.
fn add_devices(builder: &mut Builder, site: usize, n: usize, farm: &Farm) {
    let gateway = builder.add_gateway();
    let controller = builder.next_place();
    let tanks = usize::from(farm.tanks);
    let valves = Valves {
        key: builder.key(),
        panel: controller + tanks + 1,
        tanks: (controller + 1..=controller + tanks).collect(),
    };
    let plan = builder.every(MINUTE);
    let slave = |id: &str, zh: String, en: String, model: Model, unit: u8| New {
        id: format!("depot-{}-{id}", n + 1),
        name: title(zh, en),
        model,
        plan: None,
        log: Plan::Every {
            interval: MINUTE,
            phase: 0,
        },
        slave: Some(Slave { gateway, unit }),
        uplink: Some(controller),
    };
    let own = New {
        id: format!("depot-{}-valves", n + 1),
        name: title("阀门控制器", "valve controller"),
        model: Model::Valves(valves),
        plan: Some(plan),
        log: plan,
        slave: None,
        uplink: None,
    };
    builder.add_device(site, own, |_| ());
    for unit in 1..=farm.tanks {
        let tank = Model::Tank(Tank {
            key: builder.key(),
            days: builder.rng.random_range(3..7),
            low: builder.rng.random_range(20.0..32.0),
            high: builder.rng.random_range(74.0..83.0),
            propane: builder.rng.random_range(0.4..0.7),
        });
        let tank = slave(
            &format!("tank-{unit}"),
            format!("{unit}号储罐"),
            format!("tank {unit}"),
            tank,
            unit,
        );
        builder.add_device(site, tank, |device| {
            number(&mut device.attributes, "volume_m3", farm.volume);
            // 0.9 × 0.5 t/m³ × volume. Source: `domain.md` §2.1.
            number(&mut device.attributes, "design_max_t", 0.45 * farm.volume);
        });
    }
    let panel = Model::Panel(Panel { key: builder.key() });
    let name = ("可燃气体报警控制器".to_owned(), "gas detector panel".to_owned());
    builder.add_device(site, slave("panel", name.0, name.1, panel, PANEL_UNIT), |_| ());
}
