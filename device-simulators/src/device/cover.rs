//! A smart manhole cover: asleep but for a heartbeat a day and for what happens to it.

use super::Moment;
use crate::fault::FaultKind;
use crate::noise::{self, smooth, unit};
use crate::num::real;
use crate::reading::Reading;
use crate::sun::DAY;

/// Parameters of a cover.
#[derive(Debug)]
pub(crate) struct Cover {
    pub(crate) key: u64,
    /// Water below the sewer's crown in dry weather, m.
    pub(crate) water: f64,
    /// Battery at the beginning of 2025, V.
    pub(crate) battery: f64,
}

impl Cover {
    pub(super) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        let Moment { world, t, .. } = moment;
        let opened = moment.since(FaultKind::CoverOpened).is_some();
        let lean = 0.2 + 1.2 * unit(self.key, 1) + 0.1 * noise::flicker(self.key, t, 60_000);
        let tilt = if opened {
            35.0 + 45.0 * unit(self.key, 2)
        } else {
            lean
        };
        let water = self.water * (1.0 + 0.3 * smooth(noise::key(self.key, 3), t, DAY / 3))
            + 0.5 * world.influent.rain(t);
        let methane = 1.2 + 1.1 * smooth(noise::key(self.key, 4), t, DAY / 2);
        let years = real(t - 20_089 * DAY) / (365.0 * real(DAY));
        out.number("tilt", tilt, 1);
        out.flag("opened", opened);
        out.number("water_level", water.clamp(0.0, 10.0), 2);
        out.number("ch4", if opened { 0.3 } else { methane.max(0.0) }, 1);
        out.number("battery", (self.battery - 0.035 * years).clamp(2.9, 3.7), 2);
        out.number(
            "rsrp",
            -98.0 + 10.0 * noise::spread(self.key, 5) + 4.0 * noise::flicker(self.key, t, 600_000),
            0,
        );
    }
}
