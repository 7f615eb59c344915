//! The tanks of one depot: what they may hold, and what they hold.

use rust_decimal::Decimal;
use telemetry::DeviceEntry;
use telemetry::registry::Site;
use telemetry::time::Timestamp;

use super::FigureError;
use super::asked::{Asked, signal};
use super::form::{Excluded, words};
use super::gas::usable;
use crate::hazard::{self, Identified, Item};

/// The tanks of one depot.
pub(super) struct Tanks {
    pub(super) design_max_t: f64,
    pub(super) live_t: Option<f64>,
    pub(super) identified: Option<Identified>,
}

impl Tanks {
    pub(super) fn read(
        asked: &Asked<'_>,
        site: &Site,
        devices: &[&DeviceEntry],
        at: Timestamp,
        excluded: &mut Vec<Excluded>,
    ) -> Result<Self, FigureError> {
        let mut items = Vec::new();
        let (mut design_max_t, mut live_t) = (0.0, Some(0.0));
        for entry in devices.iter().filter(|entry| is_tank(entry)) {
            let tonnes = asked.catalogue.number(entry, "design_max_t");
            match tonnes.and_then(item) {
                Some(item) => {
                    items.push(item);
                    design_max_t += tonnes.unwrap_or_default();
                }
                None => excluded.push(Excluded {
                    site: site.id.clone(),
                    device: Some(entry.device.id.clone()),
                    name: entry.device.name.clone().unwrap_or_else(|| site.name.clone()),
                    code: "no_design_max",
                    reason: words(
                        "储罐未登记设计最大量，S不含该罐",
                        "the tank has no registered design maximum; S leaves it out",
                    ),
                }),
            }
            live_t = match (live_t, live(asked, entry, at)?) {
                (Some(sum), Some(live)) => Some(sum + live),
                _ => None,
            };
        }
        let people = site.number("people_within_500m").and_then(whole);
        Ok(Self {
            design_max_t,
            live_t: live_t.filter(|_| !items.is_empty()),
            identified: if items.is_empty() {
                None
            } else {
                hazard::identify(&items, people).ok()
            },
        })
    }
}

pub(super) fn is_tank(entry: &DeviceEntry) -> bool {
    entry.device.attributes.contains_key("design_max_t") || &*entry.profile.kind == "lpg-tank"
}

/// LPG of that design maximum; none where the number is no quantity.
fn item(design_max_t: f64) -> Option<Item> {
    let item = Item {
        substance: hazard::substance("LPG")?,
        design_max_t: Decimal::from_str_exact(&design_max_t.to_string()).ok()?,
    };
    hazard::identify(&[item], None).ok().map(|_| item)
}

fn whole(number: f64) -> Option<u32> {
    if (0.0..=1e9).contains(&number) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounded up, and between 0 and 10^9"
        )]
        let people = number.ceil() as u32;
        Some(people)
    } else {
        None
    }
}

/// Live quantity of a tank, t: level × geometric volume × density.
fn live(asked: &Asked<'_>, entry: &DeviceEntry, at: Timestamp) -> Result<Option<f64>, FigureError> {
    let (Some(volume_m3), Some(level)) = (asked.catalogue.number(entry, "volume_m3"), signal(entry, "level"))
    else {
        return Ok(None);
    };
    let density_t_m3 = asked.policy.gas_hazard.lpg_density_kg_m3 / 1000.0;
    Ok(usable(asked, level, at)?.map(|sample| sample.value / 100.0 * volume_m3 * density_t_m3))
}
