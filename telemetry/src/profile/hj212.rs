//! Where the values stand in the packets of an HJ 212 data logger.

use serde::Deserialize;

use super::{Profile, unity};
use crate::id::SignalName;

/// `[hj212]`: which factor of a packet is which signal.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hj212Map {
    /// One entry a factor and field.
    #[serde(default, rename = "point")]
    pub points: Vec<Hj212Point>,
}

/// Where one signal stands: signal = raw × scale + offset.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hj212Point {
    /// Which signal.
    pub signal: SignalName,
    /// Code of the factor, e.g. `w01018`; the five codes of HJ/T 212-2005 whose meaning is sure need no entry of
    /// their own.
    pub code: Box<str>,
    /// `Rtd` real-time (the default), `Avg`, `Min`, `Max`, `Cou` sum, `RS` running, `RT` running time.
    #[serde(default = "real_time")]
    pub field: Box<str>,
    /// Commands in which it counts, e.g. `[2061]` hours, `[2031]` days. Default: all.
    #[serde(default)]
    pub cn: Vec<u16>,
    /// Default 1.
    #[serde(default = "unity")]
    pub scale: f64,
    /// Attribute (a number) of the device that goes before `scale`: loggers disagree about some units.
    pub scale_attribute: Option<Box<str>>,
    /// Default 0.
    #[serde(default)]
    pub offset: f64,
}

fn real_time() -> Box<str> {
    "Rtd".into()
}

/// Why the table of a profile makes no sense, if it makes none.
pub(super) fn nonsense(profile: &Profile) -> Option<String> {
    let points = &profile.hj212.points;
    let what = |point: &Hj212Point| format!("hj212 point {}-{}", point.code, point.field);
    for (place, point) in points.iter().enumerate() {
        let signal = &point.signal;
        if profile.signal_index(signal.as_str()).is_none() {
            return Some(format!("{}: there is no signal {signal}", what(point)));
        }
        if point.code.is_empty() || !point.code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Some(format!("{}: a code is letters and digits", what(point)));
        }
        if !point.scale.is_finite() || !point.offset.is_finite() {
            return Some(format!("{}: scale and offset are finite numbers", what(point)));
        }
        let same = points.iter().skip(place + 1).find(|other| {
            let both = |cn: &u16| other.cn.contains(cn);
            let meet = point.cn.is_empty() || other.cn.is_empty() || point.cn.iter().any(both);
            other.code == point.code && other.field == point.field && meet
        });
        if same.is_some() {
            return Some(format!("{} stands there twice for one command", what(point)));
        }
    }
    None
}
