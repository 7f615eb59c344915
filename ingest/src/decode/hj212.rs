//! The content of an HJ 212 packet: `DataTime=…;w01018-Rtd=7.5,w01018-Flag=N;…`, read by the profile's `[hj212]` table.
//!
//! Times are civil, in the county's zone. Only the flag N is good; a value under any other is kept and counts as bad,
//! so that it enters no mean (HJ 212-2017 table of data flags).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use telemetry::profile::{Hj212Map, Profile};
use telemetry::registry::{Attribute, Attributes};
use telemetry::time::Timestamp;
use telemetry::{Bad, Quality};

use super::scale::Scale;
use super::signals::SignalTable;
use super::{DeviceTime, Item, Parsed, Reason, Record, too_many};

/// Real-time data.
pub(crate) const REAL_TIME: u16 = 2011;
/// Data of minutes.
const MINUTES: u16 = 2051;
/// The commands whose content is values. Source: HJ 212-2017 appendix B.
const WITH_VALUES: [u16; 6] = [REAL_TIME, 2021, 2031, 2041, MINUTES, 2061];
/// Commands that are taken and hold no values: the start of a logger, and its wish for the time.
const WITHOUT_VALUES: [u16; 2] = [2081, 1013];

/// The codes of HJ/T 212-2005 whose meaning is sure, and what HJ 212-2017 calls the same.
const OF_2005: [(&str, &str); 5] = [
    ("B01", "w00000"),
    ("001", "w01001"),
    ("011", "w01018"),
    ("060", "w21003"),
    ("101", "w21011"),
];

/// [`Hj212Map`] with places instead of names.
#[derive(Debug, Default)]
pub(crate) struct PointMap(Vec<Point>);

#[derive(Debug)]
struct Point {
    code: Box<str>,
    field: Box<str>,
    /// Empty: any.
    cn: Vec<u16>,
    signal: u16,
    factor: f64,
    offset: f64,
    scale_attribute: Option<Box<str>>,
}

impl PointMap {
    pub(crate) fn new(profile: &Profile) -> Self {
        let Hj212Map { points } = &profile.hj212;
        let point = |point: &telemetry::profile::Hj212Point| {
            let place = profile.signal_index(point.signal.as_str())?;
            Some(Point {
                code: point.code.clone(),
                field: point.field.clone(),
                cn: point.cn.clone(),
                signal: u16::try_from(place).ok()?,
                factor: point.scale,
                offset: point.offset,
                scale_attribute: point.scale_attribute.clone(),
            })
        };
        Self(points.iter().filter_map(point).collect())
    }

    fn find(&self, code: &str, field: &str, cn: u16) -> Option<&Point> {
        let by = |code: &str| {
            self.0.iter().find(|point| {
                *point.code == *code
                    && *point.field == *field
                    && (point.cn.is_empty() || point.cn.contains(&cn))
            })
        };
        let new = || OF_2005.iter().find(|(old, _)| *old == code).map(|(_, new)| *new);
        by(code).or_else(|| by(new()?))
    }
}

/// What a packet is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matter {
    /// Values.
    Values,
    /// Nothing to be read.
    Nothing,
    /// Nobody knows.
    Unknown,
}

pub(crate) fn matter(cn: u16) -> Matter {
    if WITH_VALUES.contains(&cn) {
        Matter::Values
    } else if WITHOUT_VALUES.contains(&cn) {
        Matter::Nothing
    } else {
        Matter::Unknown
    }
}

/// Whose packet it is, and what it says about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) signals: &'a SignalTable,
    /// Of the device: a scale may stand there.
    pub(crate) attributes: &'a Attributes,
    pub(crate) zone: &'a TimeZone,
    pub(crate) cn: u16,
    pub(crate) cp: &'a str,
}

/// Reads a content with values: one record.
///
/// # Errors
/// [`Reason`] when it holds too many values; `into` is then of no use.
pub(crate) fn read(packet: Packet<'_>, into: &mut Parsed) -> Result<(), Reason> {
    into.clear();
    let pairs = || {
        packet
            .cp
            .split([';', ','])
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim()))
    };
    let mut flags: Vec<(&str, Quality)> = Vec::new();
    let mut time = DeviceTime::None;
    for (name, value) in pairs() {
        if name == "DataTime" {
            time = data_time(value, packet.zone);
        } else if let Some((code, "Flag")) = name.split_once('-') {
            flags.push((code, quality(value)));
        }
    }
    flags.sort_by_key(|(code, _)| *code);
    let mut record = Record {
        time,
        // Statistics are of the past by nature: they page nobody, and do not make the clock a liar. Those of a few
        // minutes may be all that a logger sends.
        backfill: !matches!(packet.cn, REAL_TIME | 2021 | MINUTES),
        ..Record::EMPTY
    };
    for (name, value) in pairs() {
        let Some((code, field)) = name.split_once('-') else {
            continue;
        };
        if matches!(field, "Flag" | "EFlag" | "SampleTime" | "Info") {
            continue;
        }
        let Some(point) = packet.signals.hj212.find(code, field, packet.cn) else {
            record.unknown += 1;
            continue;
        };
        let flag = flags
            .binary_search_by_key(&code, |(code, _)| *code)
            .ok()
            .and_then(|place| flags.get(place))
            .map_or(Quality::Good, |(_, quality)| *quality);
        into.items.push(item(packet, point, value, flag));
        if into.is_full() {
            return Err(too_many());
        }
    }
    record.items = into.items.len();
    into.records.push(record);
    Ok(())
}

fn item(packet: Packet<'_>, point: &Point, value: &str, flag: Quality) -> Item {
    let own = point
        .scale_attribute
        .as_ref()
        .and_then(|name| match packet.attributes.get(name) {
            Some(Attribute::Number(factor)) => Some(*factor),
            Some(Attribute::Flag(_) | Attribute::Text(_)) | None => None,
        });
    let scale = Scale::new(own.unwrap_or(point.factor), point.offset);
    let (value, judged) = match value.parse::<f64>() {
        Ok(raw) => packet.signals.judge_number(point.signal, scale.apply(raw)),
        Err(_) => (0.0, Quality::Bad(Bad::WrongType)),
    };
    // What the logger says goes before what the range says: "out of service" explains a 0 better.
    let quality = if flag.is_good() { judged } else { flag };
    Item {
        signal: point.signal,
        value,
        quality,
    }
}

/// Source: HJ 212-2017 table of data flags: N normal, F stopped, M maintenance, S set by hand, D fault, C calibration,
/// T over range, B no communication.
fn quality(flag: &str) -> Quality {
    match flag {
        "N" => Quality::Good,
        "T" => Quality::Bad(Bad::OutOfRange),
        "D" => Quality::Bad(Bad::SensorFault),
        "B" => Quality::Bad(Bad::NoAnswer),
        _ => Quality::Bad(Bad::Reported),
    }
}

/// `YYYYMMDDhhmmss` in the county's zone.
fn data_time(text: &str, zone: &TimeZone) -> DeviceTime {
    let at = (text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| DateTime::strptime("%Y%m%d%H%M%S", text).ok())
        .flatten()
        .and_then(|civil| zone.to_timestamp(civil).ok());
    at.map_or(DeviceTime::Unreadable, |at| {
        DeviceTime::At(Timestamp::from_millis(at.as_millisecond()))
    })
}

/// The content of a split packet, from those of its parts in order. A part that begins with a time of its own, or with
/// the code of a factor, begins a field; any other goes on where the one before was cut.
pub(crate) fn join<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut whole = String::new();
    for part in parts {
        let cut_between_fields = part.starts_with("DataTime=") || begins_with_code(part);
        if !whole.is_empty() && cut_between_fields && !whole.ends_with([';', ',']) {
            whole.push(';');
        }
        whole.push_str(part);
    }
    whole
}

/// A letter, five digits and a hyphen, as every code of a factor of HJ 212-2017.
fn begins_with_code(part: &str) -> bool {
    let Some((code, _)) = part.split_once('-') else {
        return false;
    };
    let mut letters = code.bytes();
    code.len() == 6
        && letters.next().is_some_and(|byte| byte.is_ascii_lowercase())
        && letters.all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_civil_time_of_the_county() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        // 2021-03-20 16:31:00 +08:00, by hand with date(1).
        let want = DeviceTime::At(Timestamp::from_millis(1_616_229_060_000));
        assert_eq!(data_time("20210320163100", &zone), want);
        for bad in [
            "",
            "2021032016310",
            "20210320163160x",
            "20211320163100",
            "2021-03-20T16:3",
        ] {
            assert_eq!(data_time(bad, &zone), DeviceTime::Unreadable, "{bad}");
        }
    }

    #[test]
    fn parts_are_joined_where_they_were_cut() {
        let joined = |parts: &[&str]| join(parts.iter().copied());
        let want = "DataTime=1;w01018-Rtd=12.5,w01018-Flag=N;w21003-Rtd=1";
        for parts in [
            &["DataTime=1;w01018-Rtd=12.5,w01018-Flag=N", "w21003-Rtd=1"][..],
            &["DataTime=1;w01018-Rtd=12.5,w01018-Flag=N;", "w21003-Rtd=1"],
            &["DataTime=1;w01018-Rtd=12", ".5,w01018-Flag=N;w2100", "3-Rtd=1"],
        ] {
            assert_eq!(joined(parts), want);
        }
        assert_eq!(
            joined(&["DataTime=1;w01018-Rtd=1", "DataTime=1;w21003-Rtd=2"]),
            "DataTime=1;w01018-Rtd=1;DataTime=1;w21003-Rtd=2"
        );
    }
}
