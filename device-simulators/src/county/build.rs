//! How a county is made out of a seed.

use std::collections::HashMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use telemetry::profile::Title;
use telemetry::registry::{Attribute, Attributes, Organisation, Position, Site, SiteKind};
use telemetry::{DeviceId, SiteId};

use super::lighting;
use super::names::{SEAT, position, town_of, village};
use super::{County, CountySize, Device, Judged, Plan, Slave};
use crate::device::{Bin, Bridge, Cover, DeliveryPoint, Dust, Model, Panel, Sewage, Tank, Valves, World};
use crate::influent::Influent;
use crate::noise;
use crate::num::count;
use crate::sun::Sun;

const MINUTE: i64 = 60_000;

/// How many of each.
pub(super) struct Amounts {
    pub(super) large: usize,
    pub(super) small: usize,
    pub(super) depots: usize,
    pub(super) points: usize,
    pub(super) covers: usize,
    pub(super) loops: usize,
    pub(super) lamps: usize,
    pub(super) bins: usize,
    pub(super) dust: usize,
    pub(super) bridges: usize,
}

impl Amounts {
    /// Source: issue 3, point 2, and `domain.md` §7.
    const fn of(size: CountySize) -> Self {
        match size {
            CountySize::Small => Self {
                large: 8,
                small: 16,
                depots: 4,
                points: 0,
                covers: 80,
                loops: 6,
                lamps: 400,
                bins: 0,
                dust: 0,
                bridges: 0,
            },
            CountySize::Model => Self {
                large: 120,
                small: 480,
                depots: 5,
                points: 40,
                covers: 3000,
                loops: 250,
                lamps: 20_000,
                bins: 500,
                dust: 30,
                bridges: 5,
            },
        }
    }
}

/// A county in the making.
pub(super) struct Builder {
    pub(super) rng: Pcg64,
    seed: u64,
    sites: Vec<Site>,
    devices: Vec<Device>,
    judged: Vec<Judged>,
    gateways: usize,
}

/// What a new device needs to be told; the rest follows.
pub(super) struct New {
    pub(super) id: String,
    pub(super) name: Title,
    pub(super) model: Model,
    pub(super) plan: Option<Plan>,
    pub(super) log: Plan,
    pub(super) slave: Option<Slave>,
    /// Place of the device that speaks for it; without: its own connection.
    pub(super) uplink: Option<usize>,
}

pub(super) fn build(size: CountySize, seed: u64) -> County {
    let amounts = Amounts::of(size);
    let mut builder = Builder {
        rng: Pcg64::seed_from_u64(seed),
        seed,
        sites: Vec::new(),
        devices: Vec::new(),
        judged: Vec::new(),
        gateways: 0,
    };
    builder.sewage(&amounts);
    for n in 0..amounts.depots {
        builder.depot(n);
    }
    builder.covers(amounts.covers);
    lighting::build(&mut builder, size, amounts.loops, amounts.lamps);
    builder.city(&amounts);
    let places: HashMap<DeviceId, usize> = (builder.devices.iter().enumerate())
        .map(|(place, device)| (device.id.clone(), place))
        .collect();
    County {
        size,
        seed,
        world: World {
            seed,
            sun: Sun::new(SEAT.latitude, SEAT.longitude),
            influent: Influent::new(seed),
        },
        organisations: organisations(),
        sites: builder.sites,
        devices: builder.devices,
        judged: builder.judged,
        gateways: builder.gateways,
        places,
    }
}

fn organisations() -> Vec<Organisation> {
    [
        ("water-a", "清源环境运维有限公司", "Qingyuan O&M contractor"),
        ("water-b", "碧水环保运维有限公司", "Bishui O&M contractor"),
        ("gas", "云溪燃气有限公司", "Yunxi Gas company"),
        ("lighting", "县路灯管理所", "county lighting office"),
        ("drainage", "县市政设施管理中心", "county municipal works"),
        ("city", "县综合行政执法局", "county urban management bureau"),
    ]
    .into_iter()
    .map(|(id, zh, en)| Organisation {
        id: id.into(),
        name: title(zh, en),
    })
    .collect()
}

pub(super) fn title(zh: impl Into<Box<str>>, en: impl Into<Box<str>>) -> Title {
    Title {
        zh: zh.into(),
        en: en.into(),
    }
}

pub(super) fn number(attributes: &mut Attributes, name: &str, value: f64) {
    attributes.insert(name.into(), Attribute::Number(value));
}

fn flag(attributes: &mut Attributes, name: &str, value: bool) {
    attributes.insert(name.into(), Attribute::Flag(value));
}

/// One site to be.
pub(super) struct Spot {
    pub(super) id: String,
    pub(super) kind: SiteKind,
    pub(super) name: Title,
    pub(super) organisation: &'static str,
    pub(super) town: &'static str,
    pub(super) position: Position,
    pub(super) attributes: Attributes,
}

impl Builder {
    /// A key of noise that no other thing has.
    pub(super) fn key(&mut self) -> u64 {
        noise::key(self.seed, 0x5eed ^ self.rng.random::<u64>())
    }

    pub(super) fn scatter(&mut self, n: usize, km: f64) -> Position {
        let town = town_of(n);
        let east = town.east + self.rng.random_range(-km..km);
        let north = town.north + self.rng.random_range(-km..km);
        position(east, north)
    }

    pub(super) fn next_place(&self) -> usize {
        self.devices.len()
    }

    pub(super) fn add_site(&mut self, spot: Spot) -> usize {
        self.sites.push(Site {
            id: SiteId::new(&spot.id).expect("ids here are made of letters, digits and dashes"),
            kind: spot.kind,
            name: spot.name,
            organisation: spot.organisation.into(),
            town: spot.town.into(),
            position: spot.position,
            attributes: spot.attributes,
        });
        self.sites.len() - 1
    }

    pub(super) fn add_device(&mut self, site: usize, new: New, more: impl FnOnce(&mut Device)) -> usize {
        let place = self.devices.len();
        let secret = [self.rng.random::<u64>(), self.rng.random::<u64>()];
        let mut bytes = [0; 16];
        for (byte, from) in bytes
            .iter_mut()
            .zip(secret.iter().flat_map(|part| part.to_be_bytes()))
        {
            *byte = from;
        }
        let mut device = Device {
            id: DeviceId::new(&new.id).expect("ids here are made of letters, digits and dashes"),
            site,
            name: new.name,
            position: None,
            model: new.model,
            plan: new.plan,
            log: new.log,
            slave: new.slave,
            uplink: new.uplink.unwrap_or(place),
            secret: new.uplink.is_none().then_some(bytes),
            attributes: Attributes::new(),
        };
        more(&mut device);
        self.devices.push(device);
        place
    }

    /// A plan of reports every `interval`, at an instant of its own.
    pub(super) fn every(&mut self, interval: i64) -> Plan {
        let seconds = self.rng.random_range(0..interval / 1000);
        Plan::Every {
            interval,
            phase: seconds * 1000,
        }
    }

    fn sewage(&mut self, amounts: &Amounts) {
        for n in 0..amounts.large + amounts.small {
            self.station(n, amounts.large);
        }
    }

    fn station(&mut self, n: usize, large_ones: usize) {
        let large = n < large_ones;
        let number_of_kind = if large { n } else { n - large_ones };
        let capacity = if large {
            [30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 120.0, 35.0]
                .get(n % 8)
                .copied()
                .unwrap_or(30.0)
        } else {
            [5.0, 8.0, 10.0, 15.0, 20.0, 25.0]
                .get(n % 6)
                .copied()
                .unwrap_or(5.0)
        };
        let no_outflow = !large && number_of_kind % 16 == 5;
        let town = town_of(n);
        let village = village(n);
        let mut attributes = Attributes::new();
        number(&mut attributes, "design_capacity_tpd", capacity);
        flag(&mut attributes, "in_service", true);
        flag(
            &mut attributes,
            "exempted",
            large && verdict(n, large_ones) == Verdict::Exempted,
        );
        flag(&mut attributes, "no_outflow_registered", no_outflow);
        number(&mut attributes, "sill_m", 3.3);
        number(&mut attributes, "limit_cod_mg_l", 60.0);
        number(&mut attributes, "limit_nh3n_mg_l", 15.0);
        let at = self.scatter(n, 3.5);
        let prefix = if large { "sw" } else { "sws" };
        let site = self.add_site(Spot {
            id: format!("{prefix}-site-{:03}", number_of_kind + 1),
            kind: SiteKind::SewageStation,
            name: title(
                format!("{}{}污水处理站", town.zh, village.zh),
                format!("{} {} sewage station", town.en, village.en),
            ),
            organisation: if n.is_multiple_of(2) { "water-a" } else { "water-b" },
            town: town.zh,
            position: at,
            attributes,
        });
        self.judge(site, n, large_ones);
        let model = Model::Sewage(Sewage {
            key: self.key(),
            large,
            capacity,
            load: self.rng.random_range(0.55..0.92),
            delay: self.rng.random_range(5..40) * MINUTE,
            total: self.rng.random_range(20_000.0..150_000.0),
            // One large station in eight treats badly: its effluent is near the limit, and beyond.
            treatment: if large && n % 8 == 4 {
                0.22
            } else {
                self.rng.random_range(0.85..1.0)
            },
            sill: 3.3,
            no_outflow,
        });
        let slave = large.then(|| {
            self.gateways += 1;
            Slave {
                gateway: self.gateways - 1,
                unit: 1,
            }
        });
        let log = if large {
            Plan::Every {
                interval: 5 * MINUTE,
                phase: 0,
            }
        } else {
            self.every(15 * MINUTE)
        };
        let new = New {
            id: format!("{prefix}-{:03}", number_of_kind + 1),
            name: title(
                format!("{}测控终端", village.zh),
                format!("{} station RTU", village.en),
            ),
            model,
            plan: (!large).then_some(log),
            log,
            slave,
            uplink: None,
        };
        self.add_device(site, new, |_| ());
    }

    fn judge(&mut self, site: usize, n: usize, large_ones: usize) {
        let Some(site) = self.sites.get(site).map(|site| site.id.clone()) else {
            return;
        };
        let (years_ago, score) = match verdict(n, large_ones) {
            Verdict::Missing => return,
            Verdict::Passed | Verdict::Exempted => (1, self.rng.random_range(82..97)),
            Verdict::Failed => (1, self.rng.random_range(58..78)),
            Verdict::Expired => (3, self.rng.random_range(82..90)),
        };
        self.judged.push(Judged {
            site,
            years_ago,
            score: f64::from(score),
            evaluator: "县住房和城乡建设局",
        });
    }

    fn covers(&mut self, amount: usize) {
        for n in 0..amount {
            let town = town_of(n);
            let kind = if n % 3 == 0 {
                ("污水井盖", "sewer cover")
            } else {
                ("雨水井盖", "storm drain cover")
            };
            let mut attributes = Attributes::new();
            number(&mut attributes, "overflow_level_m", 1.6);
            let at = self.scatter(n, 1.2);
            let name = title(
                format!("{}{}{:04}", town.zh, kind.0, n + 1),
                format!("{} {} {:04}", town.en, kind.1, n + 1),
            );
            let site = self.add_site(Spot {
                id: format!("manhole-{:04}", n + 1),
                kind: SiteKind::ManholeCover,
                name: name.clone(),
                organisation: "drainage",
                town: town.zh,
                position: at,
                attributes,
            });
            let key = self.key();
            let cover = Cover {
                key,
                water: self.rng.random_range(0.1..0.6),
                battery: self.rng.random_range(3.5..3.66),
            };
            let plan = Plan::Heartbeat { key };
            let new = New {
                id: format!("cover-{:04}", n + 1),
                name,
                model: Model::Cover(cover),
                plan: Some(plan),
                log: plan,
                slave: None,
                uplink: None,
            };
            self.add_device(site, new, |_| ());
        }
    }

    fn city(&mut self, amounts: &Amounts) {
        for n in 0..amounts.points {
            let model = Model::DeliveryPoint(DeliveryPoint {
                key: self.key(),
                stock: self.rng.random_range(12.0..28.0),
            });
            let kind = Kind(
                "lpg-point",
                SiteKind::LpgDeliveryPoint,
                "gas",
                "瓶装燃气配送点",
                "LPG delivery point",
            );
            self.single(n, &kind, model, MINUTE);
        }
        for n in 0..amounts.bins {
            let model = Model::Bin(Bin {
                key: self.key(),
                fills: self.rng.random_range(40.0..98.0),
            });
            let kind = Kind("bin", SiteKind::WasteBin, "city", "垃圾分类箱", "waste bin");
            self.single(n, &kind, model, 30 * MINUTE);
        }
        for n in 0..amounts.dust {
            let model = Model::Dust(Dust { key: self.key() });
            let kind = Kind(
                "dust",
                SiteKind::DustStation,
                "city",
                "扬尘监测站",
                "dust station",
            );
            self.single(n, &kind, model, MINUTE);
        }
        for n in 0..amounts.bridges {
            let model = Model::Bridge(Bridge { key: self.key() });
            let kind = Kind("bridge", SiteKind::Bridge, "drainage", "大桥", "bridge");
            self.single(n, &kind, model, MINUTE);
        }
    }

    fn single(&mut self, n: usize, kind: &Kind, model: Model, interval: i64) {
        let town = town_of(n);
        let at = self.scatter(n, 2.0);
        let name = title(
            format!("{}{}{:03}", town.zh, kind.3, n + 1),
            format!("{} {} {:03}", town.en, kind.4, n + 1),
        );
        let site = self.add_site(Spot {
            id: format!("{}-site-{:03}", kind.0, n + 1),
            kind: kind.1,
            name: name.clone(),
            organisation: kind.2,
            town: town.zh,
            position: at,
            attributes: Attributes::new(),
        });
        let plan = self.every(interval);
        let new = New {
            id: format!("{}-{:03}", kind.0, n + 1),
            name,
            model,
            plan: Some(plan),
            log: plan,
            slave: None,
            uplink: None,
        };
        self.add_device(site, new, |_| ());
    }

    fn depot(&mut self, n: usize) {
        let Some(farm) = FARMS.get(n % FARMS.len()) else {
            return;
        };
        let town = town_of(n * 2);
        let mut attributes = Attributes::new();
        number(&mut attributes, "people_within_500m", farm.people);
        for (name, value) in ["lec_l", "lec_e", "lec_c"].into_iter().zip(farm.lec) {
            number(&mut attributes, name, value);
        }
        let at = self.scatter(n * 2, 2.5);
        let site = self.add_site(Spot {
            id: format!("depot-{}", n + 1),
            kind: SiteKind::LpgDepot,
            name: title(
                format!("{}液化石油气储配站", town.zh),
                format!("{} LPG depot", town.en),
            ),
            organisation: "gas",
            town: town.zh,
            position: at,
            attributes,
        });
        let gateway = self.gateways;
        self.gateways += 1;
        // In this order: the controller, its tanks, the panel.
        let controller = self.next_place();
        let tanks: Vec<usize> = (controller + 1..=controller + farm.tanks).collect();
        let valves = Model::Valves(Valves {
            key: self.key(),
            panel: controller + farm.tanks + 1,
            tanks: tanks.clone(),
        });
        let plan = self.every(MINUTE);
        let new = |id: &str, zh: &str, en: &str, model: Model| New {
            id: format!("depot-{}-{id}", n + 1),
            name: title(zh, en),
            model,
            plan: None,
            log: Plan::Every {
                interval: MINUTE,
                phase: 0,
            },
            slave: None,
            uplink: Some(controller),
        };
        let valves = New {
            plan: Some(plan),
            log: plan,
            uplink: None,
            ..new("valves", "阀门控制器", "valve controller", valves)
        };
        self.add_device(site, valves, |_| ());
        for number_of in 1..=u8::try_from(tanks.len()).unwrap_or(u8::MAX) {
            let tank = Tank {
                key: self.key(),
                days: self.rng.random_range(3..7),
                low: self.rng.random_range(20.0..32.0),
                high: self.rng.random_range(74.0..83.0),
                propane: self.rng.random_range(0.4..0.7),
            };
            let id = format!("tank-{number_of}");
            let tank = new(
                &id,
                &format!("{number_of}号储罐"),
                &format!("tank {number_of}"),
                Model::Tank(tank),
            );
            let tank = New {
                slave: Some(Slave {
                    gateway,
                    unit: number_of,
                }),
                ..tank
            };
            self.add_device(site, tank, |device| {
                number(&mut device.attributes, "volume_m3", farm.volume);
                // 0.9 × 0.5 t/m³ × volume. Source: `domain.md` §2.1.
                number(&mut device.attributes, "design_max_t", 0.45 * farm.volume);
            });
        }
        let panel = Model::Panel(Panel { key: self.key() });
        let panel = New {
            slave: Some(Slave { gateway, unit: 10 }),
            ..new("panel", "可燃气体报警控制器", "gas detector panel", panel)
        };
        self.add_device(site, panel, |_| ());
    }
}

/// Prefix of the ids, kind of site, organisation, Chinese and English name.
struct Kind(&'static str, SiteKind, &'static str, &'static str, &'static str);

/// A depot's tank farm: tanks of `volume` m³, people within 500 m, LEC factors.
struct Farm {
    tanks: usize,
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
    let round = if count(large_ones) < 20.0 { 8 } else { 20 };
    match n % round {
        4 => Verdict::Failed,
        5 => Verdict::Expired,
        6 => Verdict::Missing,
        7 if n < large_ones => Verdict::Exempted,
        _ => Verdict::Passed,
    }
}
