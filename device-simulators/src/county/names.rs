//! Names of places, and where they lie.

use telemetry::profile::Title;
use telemetry::registry::Position;

/// The county's seat. Source: issue, 27.56°N 119.72°E.
pub(crate) const SEAT: Position = Position {
    latitude: 27.56,
    longitude: 119.72,
};

/// A town: Chinese name, English name, km east and north of the seat.
pub(crate) struct Town {
    pub(crate) zh: &'static str,
    pub(crate) en: &'static str,
    pub(crate) east: f64,
    pub(crate) north: f64,
}

const fn town(zh: &'static str, en: &'static str, east: f64, north: f64) -> Town {
    Town { zh, en, east, north }
}

/// Towns over some thirty kilometres; the first is the seat.
pub(crate) const TOWNS: [Town; 9] = [
    town("云溪镇", "Yunxi", 0.0, 0.0),
    town("竹里镇", "Zhuli", 8.5, 4.0),
    town("白岩镇", "Baiyan", -9.0, 6.5),
    town("石桥乡", "Shiqiao", 3.5, 12.0),
    town("桃川镇", "Taochuan", 13.5, -5.0),
    town("南坪镇", "Nanping", -4.0, -11.0),
    town("松垟乡", "Songyang", -13.0, -3.5),
    town("清潭镇", "Qingtan", 7.0, -13.0),
    town("古渡乡", "Gudu", -7.5, 14.0),
];

const FIRST: [(&str, &str); 12] = [
    ("上", "Shang"),
    ("下", "Xia"),
    ("前", "Qian"),
    ("后", "Hou"),
    ("东", "Dong"),
    ("西", "Xi"),
    ("大", "Da"),
    ("小", "Xiao"),
    ("新", "Xin"),
    ("高", "Gao"),
    ("里", "Li"),
    ("外", "Wai"),
];
const SECOND: [(&str, &str); 13] = [
    ("洋", "yang"),
    ("坑", "keng"),
    ("岭", "ling"),
    ("潭", "tan"),
    ("湾", "wan"),
    ("坪", "ping"),
    ("溪", "xi"),
    ("桥", "qiao"),
    ("塘", "tang"),
    ("源", "yuan"),
    ("山", "shan"),
    ("田", "tian"),
    ("林", "lin"),
];

/// The `n`-th village; after 156 the names come again.
pub(crate) fn village(n: usize) -> Title {
    // 7 and 156 have no common divisor, so the names are mixed and none comes early again.
    let n = n * 7 % (FIRST.len() * SECOND.len());
    let first = FIRST.get(n % FIRST.len()).copied().unwrap_or_default();
    let second = SECOND.get(n / FIRST.len()).copied().unwrap_or_default();
    Title {
        zh: format!("{}{}村", first.0, second.0).into(),
        en: format!("{}{}", first.1, second.1).into(),
    }
}

/// The town that thing number `n` belongs to.
pub(crate) fn town_of(n: usize) -> &'static Town {
    TOWNS.get(n % TOWNS.len()).unwrap_or(&TOWNS[0])
}

/// A position so many km east and north of the seat, to a tenth of a metre.
/// Source: WGS 84, one degree of latitude 110.8 km, of longitude 98.7 km here.
pub(crate) fn position(east: f64, north: f64) -> Position {
    let round = |degrees: f64| (degrees * 1e6).round() / 1e6;
    Position {
        latitude: round(SEAT.latitude + north / 110.8),
        longitude: round(SEAT.longitude + east / 98.7),
    }
}
