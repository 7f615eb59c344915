//! The meters of the sewage stations, read for a period: what volume and reductions have in common.

use telemetry::DeviceEntry;
use telemetry::profile::Title;
use telemetry::registry::Site;
use telemetry::time::Timestamp;

use super::FigureError;
use super::asked::{Asked, series_link, signal};
use super::form::{Excluded, words};
use super::totaliser::{Metered, Oddity, meter};

/// The signal that counts the treated water, m³.
const TOTAL: &str = "total";
/// The signal of which `total` is the sum, m³/h.
const FLOW: &str = "flow";

/// One station's meter over a period.
pub(super) struct Station<'a> {
    pub(super) site: &'a Site,
    pub(super) entry: &'a DeviceEntry,
    pub(super) metered: Metered,
    pub(super) link: String,
}

/// Reads the totalisers of all stations in the scope. A station with several has one entry each; one
/// without goes to `excluded`.
pub(super) fn read<'a>(
    asked: &'a Asked<'_>,
    from: Timestamp,
    to: Timestamp,
    excluded: &mut Vec<Excluded>,
) -> Result<Vec<Station<'a>>, FigureError> {
    let policy = &asked.policy.sewage_volume;
    let days = asked.sun.days(from, to)?;
    let mut stations = Vec::new();
    for (site, devices) in asked.stations(excluded) {
        let before = stations.len();
        for entry in devices {
            let Some(total) = signal(entry, TOTAL) else {
                continue;
            };
            let flow = entry
                .profile
                .signal_index(FLOW)
                .and_then(|place| entry.profile.signals.get(place));
            let rate_max = flow.and_then(|flow| flow.range).map(|[_, most]| most);
            stations.push(Station {
                site,
                entry,
                metered: meter(asked.series, total, &days, rate_max, policy)?,
                link: series_link(entry, TOTAL, from, to),
            });
        }
        if stations.len() == before {
            let reason = words("没有累计流量计", "it has no totaliser");
            excluded.push(Excluded::site(site, "no_totaliser", reason));
        }
    }
    Ok(stations)
}

/// What a reader must know of a meter.
pub(super) fn notes(metered: &Metered) -> Vec<Title> {
    let mut notes = Vec::new();
    for (oddity, zh, en) in [
        (
            Oddity::RollOver,
            "累计流量过零（已计入）",
            "totaliser rolled over (counted)",
        ),
        (Oddity::Reset, "累计流量复位", "totaliser reset"),
        (
            Oddity::Jump,
            "累计流量跳变（不计）",
            "totaliser jumped (not counted)",
        ),
    ] {
        let times = metered.count(oddity);
        if times > 0 {
            notes.push(words(format!("{zh} {times} 次"), format!("{en}, {times} times")));
        }
    }
    if !metered.heard {
        notes.push(words("时段内无读数", "no reading in the period"));
    } else if metered.unknown.millis() > 0 {
        let unknown = metered.unknown;
        notes.push(words(
            format!("{unknown}的水量未知"),
            format!("volume unknown for {unknown}"),
        ));
    }
    notes
}
