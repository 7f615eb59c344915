//! Rules that look at several points: deviation, votes, expressions, and whether a group still protects.

use telemetry::{Quality, SeriesId, Timestamp, Uncertain};

use super::memory::Seen;
use super::{Engine, EventKind, Tags, Transition};
use crate::lifecycle::Suppression;
use crate::rules::condition::{above, level};
use crate::rules::expression::Input;
use crate::rules::{Condition, Verdict};

/// What a point is worth to a rule that looks at several.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Worth {
    /// It has a value.
    Value(Seen),
    /// Silent, faulted, inhibited, or never seen.
    Lost,
}

impl Engine {
    /// The newest sample of a point has changed.
    pub(super) fn joint_of_point(&mut self, place: usize, time: Timestamp, out: &mut Vec<Transition>) {
        let mut index = 0;
        while let Some(rule) = self
            .points
            .get(place)
            .and_then(|memory| memory.joint.get(index).copied())
        {
            self.judge_jointly(rule, time, out);
            index += 1;
        }
    }

    /// Silence, faults, maintenance or test of a device have changed.
    pub(super) fn joint_of_device(&mut self, device: usize, out: &mut Vec<Transition>) {
        let Some(points) = self.devices.get(device).map(|memory| memory.points.clone()) else {
            return;
        };
        let time = self.wall();
        for place in points {
            self.joint_of_point(usize::try_from(place).unwrap_or(usize::MAX), time, out);
        }
    }

    fn judge_jointly(&mut self, rule: u32, time: Timestamp, out: &mut Vec<Transition>) {
        if self.is_out_of_force(rule) {
            return;
        }
        let (verdict, value, good) = self.joint_verdict(rule);
        let seen = Seen {
            time,
            arrived: self.now,
            value,
            quality: if good {
                Quality::Good
            } else {
                Quality::Uncertain(Uncertain::Reported)
            },
            late: false,
        };
        if verdict == Verdict::Nothing {
            self.hold_unknown(rule, out);
        } else {
            self.newest_sample(rule, verdict, seen, Tags::NONE, out);
        }
    }

    /// Nobody knows any more: an active alarm is held and marked.
    fn hold_unknown(&mut self, rule: u32, out: &mut Vec<Transition>) {
        let Some(state) = self
            .state_mut(rule)
            .filter(|state| state.alarm.is_active() && !state.stale)
        else {
            return;
        };
        state.stale = true;
        self.emit(rule, EventKind::Stale, Tags::NONE, false, out);
    }

    /// Whether a rule that looks at several points cannot be decided now.
    pub(super) fn is_unknown(&self, rule: u32) -> bool {
        self.rule(rule).is_some_and(|rule| rule.condition.is_joint())
            && self.joint_verdict(rule).0 == Verdict::Nothing
    }

    /// The verdict, the value that decides, and whether every value was without doubt.
    fn joint_verdict(&self, rule: u32) -> (Verdict, f64, bool) {
        let Some(found) = self.rule(rule) else {
            return (Verdict::Nothing, 0.0, true);
        };
        match &found.condition {
            Condition::Deviation {
                other,
                limit,
                deadband,
            } => {
                let pair = (found.series.map(|series| self.worth(series)), self.worth(*other));
                let (Some(Worth::Value(one)), Worth::Value(two)) = pair else {
                    return (Verdict::Nothing, 0.0, true);
                };
                let apart = (one.value - two.value).abs();
                let good = one.quality.is_good() && two.quality.is_good();
                (above(apart, *limit, *deadband, good), apart, good)
            }
            Condition::Vote {
                group,
                votes,
                limit,
                deadband,
            } => self.votes(*group, *votes, (*limit, *deadband), self.is_active(rule)),
            Condition::Expression { expression, inputs } => {
                let inputs: Vec<Input> = inputs
                    .iter()
                    .map(|series| match self.worth(*series) {
                        Worth::Value(seen) => Some((seen.value, seen.quality.is_good())),
                        Worth::Lost => None,
                    })
                    .collect();
                let good = inputs.iter().flatten().all(|(_, good)| *good);
                (expression.judge(&inputs), 1.0, good)
            }
            Condition::Protection { group } => {
                let members = self.members(*group);
                let lost = members
                    .iter()
                    .filter(|series| self.worth(**series) == Worth::Lost)
                    .count();
                let all = lost == members.len() && !self.waits_for_grace(&members);
                (level(all, lost < members.len(), true), 0.0, true)
            }
            _ => (Verdict::Nothing, 0.0, true),
        }
    }

    /// A group that was never heard of is not lost before its silence is an alarm.
    fn waits_for_grace(&self, members: &[SeriesId]) -> bool {
        members.iter().any(|series| {
            self.point(*series).is_some_and(|point| {
                point.newest().is_none() && !self.is_silent(point.device) && !self.is_inhibited(point.device)
            })
        })
    }

    fn members(&self, group: usize) -> Vec<SeriesId> {
        let group = self.plant.groups.get(group);
        group.map_or_else(Vec::new, |group| {
            group.members.iter().map(|(_, series)| *series).collect()
        })
    }

    /// How many vote, and whether that is enough. A voter that is lost lowers the votes needed, never below one; where all are
    /// lost nobody knows. While the alarm is active a voter goes on voting within its dead band.
    fn votes(
        &self,
        group: usize,
        votes: usize,
        (limit, deadband): (f64, f64),
        active: bool,
    ) -> (Verdict, f64, bool) {
        let (mut violating, mut holding, mut lost) = (0_usize, 0_usize, 0_usize);
        let (mut greatest, mut good) = (f64::NEG_INFINITY, true);
        let members = self.members(group);
        for series in &members {
            let Worth::Value(seen) = self.worth(*series) else {
                lost += 1;
                continue;
            };
            greatest = greatest.max(seen.value);
            good &= seen.quality.is_good();
            violating += usize::from(seen.value >= limit);
            holding += usize::from(seen.value >= limit - deadband);
        }
        if lost == members.len() {
            return (Verdict::Nothing, 0.0, true);
        }
        let needed = votes.saturating_sub(lost).max(1);
        let enough = violating >= needed;
        let held = active && holding >= needed;
        (level(enough, !held, good), greatest, good)
    }

    /// What a series is worth.
    fn worth(&self, series: SeriesId) -> Worth {
        let Some(point) = self.point(series) else {
            return Worth::Lost;
        };
        let silent =
            self.is_silent(point.device) || point.silence_rules.iter().any(|rule| self.is_active(*rule));
        match point.newest() {
            Some(seen) if !silent && !self.is_inhibited(point.device) => {
                // Out of its range, but beyond the end: most likely gas.
                let over = point.rules.iter().any(|rule| {
                    self.rule(*rule)
                        .is_some_and(|rule| rule.condition.is_over_range(seen.value, seen.quality))
                });
                if seen.quality.is_bad() && !over {
                    Worth::Lost
                } else {
                    Worth::Value(*seen)
                }
            }
            Some(_) | None => Worth::Lost,
        }
    }

    /// Under maintenance or test: what it says does not count.
    fn is_inhibited(&self, device: usize) -> bool {
        self.devices
            .get(device)
            .is_some_and(|memory| memory.test_until.is_some() || memory.out_until.is_some())
    }

    /// How many alarms of a group are active; those of points out of service aside.
    #[must_use]
    pub fn active_in(&self, group: usize) -> u32 {
        u32::try_from(self.active_rules(group).count()).unwrap_or(u32::MAX)
    }

    /// The gravest priority among the active alarms of a group.
    #[must_use]
    pub fn gravest_in(&self, group: usize) -> Option<telemetry::profile::Priority> {
        self.active_rules(group)
            .filter_map(|rule| Some(self.rule(rule)?.priority))
            .max()
    }

    fn active_rules(&self, group: usize) -> impl Iterator<Item = u32> {
        let members = self
            .plant
            .groups
            .get(group)
            .map_or(&[][..], |group| &group.members);
        let mut devices: Vec<usize> = members.iter().map(|(device, _)| *device).collect();
        devices.dedup();
        let rules = devices
            .into_iter()
            .filter_map(|device| self.devices.get(device))
            .flat_map(|memory| memory.rules.iter().copied());
        rules.filter(|rule| {
            self.state_of(*rule).is_some_and(|state| {
                state.alarm.is_active() && !state.suppressed.has(Suppression::OutOfService)
            })
        })
    }
}
