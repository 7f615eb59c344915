//! Whether enough of a period is known to call a bound met.

use super::policy::HealthPolicy;
use crate::figures::form::{Figure, words};

/// Withholds that bounds are met where less of the period is known than the policy asks; that one is missed stands, whatever is
/// not known.
pub(in crate::figures) fn withhold(policy: &HealthPolicy, figure: &mut Figure) {
    let known = 100.0 * (1.0 - figure.unknown.share.unwrap_or(0.0));
    if known >= policy.known_min {
        return;
    }
    let mut withheld = false;
    for bound in figure.bounds.iter_mut().filter(|bound| bound.met == Some(true)) {
        bound.met = None;
        withheld = true;
    }
    if withheld {
        let min = policy.known_min;
        figure.notes.push(words(
            format!("已知时间不足时段的{min}%，不评“达标”"),
            format!("less than {min} % of the period is known: no bound is called met"),
        ));
    }
}
