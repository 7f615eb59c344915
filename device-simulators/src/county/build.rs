//! How a county is made out of a seed.

use std::collections::HashMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use telemetry::profile::Title;
use telemetry::registry::{Attribute, Attributes, Organisation, Position, Site, SiteKind};
use telemetry::{DeviceId, SiteId};

use super::names::{SEAT, position, town_of};
use super::{County, CountySize, Device, Judged, Plan, Slave, city, depot, lighting, stations};
use crate::device::{Model, World};
use crate::influent::Influent;
use crate::noise;
use crate::sun::Sun;

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
    stations::build(&mut builder, amounts.large, amounts.small);
    depot::build(&mut builder, amounts.depots);
    city::covers(&mut builder, amounts.covers);
    lighting::build(&mut builder, size, amounts.loops, amounts.lamps);
    city::build(&mut builder, &amounts);
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

pub(super) fn flag(attributes: &mut Attributes, name: &str, value: bool) {
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

    /// A new Modbus listener.
    pub(super) fn add_gateway(&mut self) -> usize {
        self.gateways += 1;
        self.gateways - 1
    }

    /// Notes an evaluation of a site: `years_ago`, and with which score.
    pub(super) fn add_judgement(&mut self, site: usize, years_ago: i16, score: i16) {
        if let Some(site) = self.sites.get(site) {
            self.judged.push(Judged {
                site: site.id.clone(),
                years_ago,
                score: f64::from(score),
                evaluator: "县住房和城乡建设局",
            });
        }
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
}
