//! When a device reports: pure, so that history, live and a second start agree on the instants.

use crate::device::World;
use crate::noise;
use crate::num::whole;
use crate::sun::{DAY, RUN_DOWN};

const MINUTE: i64 = 60_000;
/// A lamp reports once in so long while its loop has power.
const LAMP_EVERY: i64 = 15 * MINUTE;
/// From a contactor's move to the cabinet's report of it.
const SWITCHED: i64 = 2000;

/// A device's instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Every `interval` ms, `phase` ms after the whole interval.
    Every { interval: i64, phase: i64 },
    /// A sleeper's heartbeat: once a day, a quarter of an hour early or late.
    Heartbeat { key: u64 },
    /// A cabinet: as [`Self::Every`], and 2 s after its contactors have closed or opened.
    Cabinet { interval: i64, phase: i64 },
    /// A lamp: `delay` ms after its loop is switched on, then every 15 min, and `delay` ms after it is put out,
    /// before the contactor opens.
    Lamp { delay: i64 },
}

impl Plan {
    /// The first instant after `after`.
    pub(crate) fn next(self, world: &World, after: i64) -> i64 {
        match self {
            Self::Every { interval, phase } => next_whole(interval, phase, after),
            Self::Cabinet { interval, phase } => {
                let lighting = world.sun.lighting(after);
                let opened = [lighting.last_off, lighting.off].map(|off| off + RUN_DOWN + SWITCHED);
                let switched = [lighting.on + SWITCHED]
                    .into_iter()
                    .chain(opened)
                    .filter(|at| *at > after)
                    .min();
                let next = next_whole(interval, phase, after);
                switched.map_or(next, |at| at.min(next))
            }
            Self::Heartbeat { key } => {
                let day = (after - phase(key)).div_euclid(DAY);
                (day - 1..=day + 2)
                    .map(|day| beat(key, day))
                    .find(|at| *at > after)
                    .unwrap_or(after + DAY)
            }
            Self::Lamp { delay } => {
                let lighting = world.sun.lighting(after);
                if after < lighting.last_off + delay {
                    return lighting.last_off + delay;
                }
                let first = lighting.on + delay;
                if after < first {
                    return first;
                }
                let next = first + ((after - first) / LAMP_EVERY + 1) * LAMP_EVERY;
                if next < lighting.off {
                    next
                } else {
                    lighting.off + delay
                }
            }
        }
    }

    /// How many instants there are after `from` and up to `to`.
    pub(crate) fn count(self, world: &World, from: i64, to: i64) -> u64 {
        if let Self::Every { interval, phase } = self {
            let upto = |t: i64| (t - phase).div_euclid(interval);
            return u64::try_from(upto(to) - upto(from)).unwrap_or(0);
        }
        let mut n = 0;
        let mut t = self.next(world, from);
        while t <= to {
            n += 1;
            t = self.next(world, t);
        }
        n
    }

    /// The sequence number of a report at its instant, for devices that never pause.
    pub(crate) fn seq(self, t: i64) -> Option<i64> {
        match self {
            Self::Every { interval, phase } | Self::Cabinet { interval, phase }
                if (t - phase).rem_euclid(interval) == 0 =>
            {
                Some((t - phase) / interval)
            }
            Self::Every { .. } | Self::Cabinet { .. } | Self::Heartbeat { .. } | Self::Lamp { .. } => None,
        }
    }
}

fn next_whole(interval: i64, phase: i64, after: i64) -> i64 {
    ((after - phase).div_euclid(interval) + 1) * interval + phase
}

fn phase(key: u64) -> i64 {
    whole(noise::unit(key, -1) * 86_400.0) * 1000
}

fn beat(key: u64, day: i64) -> i64 {
    day * DAY + phase(key) + whole(noise::spread(key, day) * 900.0) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::county::{County, CountySize};

    #[test]
    fn the_next_instant_is_always_later_and_counting_agrees() {
        let county = County::generate(CountySize::Small, 1);
        let (from, to) = (1_795_000_000_000, 1_795_000_000_000 + 3 * DAY);
        for plan in [
            Plan::Every {
                interval: 300_000,
                phase: 7000,
            },
            Plan::Cabinet {
                interval: 300_000,
                phase: 7000,
            },
            Plan::Heartbeat { key: 5 },
            Plan::Lamp { delay: 9000 },
        ] {
            let (mut t, mut n) = (from, 0);
            loop {
                let next = plan.next(&county.world, t);
                assert!(next > t, "{plan:?} at {t}");
                t = next;
                if t > to {
                    break;
                }
                n += 1;
            }
            assert_eq!(plan.count(&county.world, from, to), n, "{plan:?}");
        }
    }

    #[test]
    fn a_lamp_reports_all_night_and_says_goodbye_when_it_is_put_out() {
        // Given noon of a day, when the reports until the next noon are listed,
        let county = County::generate(CountySize::Small, 1);
        let noon = 1_795_406_400_000;
        let plan = Plan::Lamp { delay: 30_000 };
        let night = county.world.sun.lighting(noon);
        let mut reports = vec![plan.next(&county.world, noon)];
        while *reports.last().unwrap() < noon + DAY {
            reports.push(plan.next(&county.world, *reports.last().unwrap()));
        }
        reports.pop();
        // then the first comes 30 s after switching on, one every 15 min, and the last 30 s after switching off.
        assert_eq!(reports.first(), Some(&(night.on + 30_000)));
        assert_eq!(reports.last(), Some(&(night.off + 30_000)));
        let lit = reports.len() - 1;
        assert!(
            reports[..lit]
                .windows(2)
                .all(|pair| pair[1] - pair[0] == LAMP_EVERY)
        );
        let powered = |t: &i64| county.world.sun.lighting(*t).powered;
        assert!(reports.iter().all(powered));
    }

    #[test]
    fn a_cabinet_reports_its_contactors_at_once() {
        let county = County::generate(CountySize::Small, 1);
        let noon = 1_795_406_400_000;
        let night = county.world.sun.lighting(noon);
        let plan = Plan::Cabinet {
            interval: 3_600_000,
            phase: 1,
        };
        assert_eq!(plan.next(&county.world, night.on), night.on + SWITCHED);
        assert_eq!(
            plan.next(&county.world, night.off + RUN_DOWN - 1),
            night.off + RUN_DOWN + SWITCHED
        );
        assert_eq!(plan.seq(night.on + SWITCHED), None);
    }

    #[test]
    fn a_sleeper_beats_once_a_day_within_a_quarter_of_an_hour() {
        let county = County::generate(CountySize::Small, 1);
        let plan = Plan::Heartbeat { key: 77 };
        let mut t = 1_795_000_000_000;
        t = plan.next(&county.world, t);
        for _ in 0..30 {
            let next = plan.next(&county.world, t);
            assert!((next - t - DAY).abs() <= 30 * MINUTE, "{}", next - t);
            t = next;
        }
    }
}
