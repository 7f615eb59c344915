//! Manhole covers, and the rest of a model county: delivery points, bins, dust stations, bridges.

use rand::RngExt;
use telemetry::registry::{Attributes, SiteKind};

use super::Plan;
use super::build::{Amounts, Builder, New, Spot, number, title};
use super::names::town_of;
use crate::device::{Bin, Bridge, Cover, DeliveryPoint, Dust, Model};

const MINUTE: i64 = 60_000;

/// Prefix of the ids, kind of site, organisation, Chinese and English name.
struct Kind(&'static str, SiteKind, &'static str, &'static str, &'static str);

pub(super) fn covers(builder: &mut Builder, amount: usize) {
    for n in 0..amount {
        let town = town_of(n);
        let kind = if n % 3 == 0 {
            ("污水井盖", "sewer cover")
        } else {
            ("雨水井盖", "storm drain cover")
        };
        let mut attributes = Attributes::new();
        number(&mut attributes, "overflow_level_m", 1.6);
        let at = builder.scatter(n, 1.2);
        let name = title(
            format!("{}{}{:04}", town.zh, kind.0, n + 1),
            format!("{} {} {:04}", town.en, kind.1, n + 1),
        );
        let site = builder.add_site(Spot {
            id: format!("manhole-{:04}", n + 1),
            kind: SiteKind::ManholeCover,
            name: name.clone(),
            organisation: "drainage",
            town: town.zh,
            position: at,
            attributes,
        });
        let key = builder.key();
        let cover = Cover {
            key,
            water: builder.rng.random_range(0.1..0.6),
            battery: builder.rng.random_range(3.5..3.66),
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
        builder.add_device(site, new, |_| ());
    }
}

pub(super) fn build(builder: &mut Builder, amounts: &Amounts) {
    for n in 0..amounts.points {
        let model = Model::DeliveryPoint(DeliveryPoint {
            key: builder.key(),
            stock: builder.rng.random_range(12.0..28.0),
        });
        let kind = Kind(
            "lpg-point",
            SiteKind::LpgDeliveryPoint,
            "gas",
            "瓶装燃气配送点",
            "LPG delivery point",
        );
        single(builder, n, &kind, model, MINUTE);
    }
    for n in 0..amounts.bins {
        let model = Model::Bin(Bin {
            key: builder.key(),
            fills: builder.rng.random_range(40.0..98.0),
        });
        let kind = Kind("bin", SiteKind::WasteBin, "city", "垃圾分类箱", "waste bin");
        single(builder, n, &kind, model, 30 * MINUTE);
    }
    for n in 0..amounts.dust {
        let model = Model::Dust(Dust { key: builder.key() });
        let kind = Kind(
            "dust",
            SiteKind::DustStation,
            "city",
            "扬尘监测站",
            "dust station",
        );
        single(builder, n, &kind, model, MINUTE);
    }
    for n in 0..amounts.bridges {
        let model = Model::Bridge(Bridge { key: builder.key() });
        let kind = Kind("bridge", SiteKind::Bridge, "drainage", "大桥", "bridge");
        single(builder, n, &kind, model, MINUTE);
    }
}

fn single(builder: &mut Builder, n: usize, kind: &Kind, model: Model, interval: i64) {
    let town = town_of(n);
    let at = builder.scatter(n, 2.0);
    let name = title(
        format!("{}{}{:03}", town.zh, kind.3, n + 1),
        format!("{} {} {:03}", town.en, kind.4, n + 1),
    );
    let site = builder.add_site(Spot {
        id: format!("{}-site-{:03}", kind.0, n + 1),
        kind: kind.1,
        name: name.clone(),
        organisation: kind.2,
        town: town.zh,
        position: at,
        attributes: Attributes::new(),
    });
    let plan = builder.every(interval);
    let new = New {
        id: format!("{}-{:03}", kind.0, n + 1),
        name,
        model,
        plan: Some(plan),
        log: plan,
        slave: None,
        uplink: None,
    };
    builder.add_device(site, new, |_| ());
}
