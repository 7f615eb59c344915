//! Who and what there is in the county: the form in which it is written down, read and exported.
//!
//! A registry is plain data (TOML or JSON). [`crate::Catalogue`] is the same, checked and looked up fast.

mod line;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, SiteId};
use crate::profile::Title;
use crate::time::Timestamp;

pub use line::{LineError, ModbusLine, Parity, SerialUnit};

/// Everything that is registered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// The county itself.
    pub county: County,
    /// Contractors and bureaus.
    #[serde(default, rename = "organisation")]
    pub organisations: Vec<Organisation>,
    /// Places.
    #[serde(default, rename = "site")]
    pub sites: Vec<Site>,
    /// What speaks.
    #[serde(default, rename = "device")]
    pub devices: Vec<Device>,
    /// Passed and failed evaluations of standardised O&M (标准化运维评价).
    #[serde(default, rename = "evaluation")]
    pub evaluations: Vec<Evaluation>,
}

/// The county: where its sun rises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct County {
    /// Its name.
    pub name: Title,
    /// Where sunset and sunrise are computed for: its seat.
    pub position: Position,
    /// IANA time zone. Default `Asia/Shanghai`.
    #[serde(default = "shanghai")]
    pub zone: Box<str>,
}

fn shanghai() -> Box<str> {
    "Asia/Shanghai".into()
}

impl Default for County {
    fn default() -> Self {
        Self {
            name: Title {
                zh: "未命名县".into(),
                en: "unnamed county".into(),
            },
            position: Position {
                latitude: 27.56,
                longitude: 119.72,
            },
            zone: shanghai(),
        }
    }
}

/// WGS 84, degrees: latitude −90..=90 north positive, longitude −180..=180 east positive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// A contractor, a bureau, an enterprise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// Short name without spaces.
    pub id: Box<str>,
    /// What people call it.
    pub name: Title,
}

/// What kind of place a site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteKind {
    /// Rural sewage station 农村生活污水处理设施.
    SewageStation,
    /// LPG depot 液化石油气储配站: one unit in the sense of GB 18218 (its tank farm).
    LpgDepot,
    /// LPG delivery point 配送点.
    LpgDeliveryPoint,
    /// Manhole cover 窨井盖.
    ManholeCover,
    /// A lighting loop 路灯回路: its controller and its lamps.
    LightingLoop,
    /// Waste bin 智能垃圾分类箱.
    WasteBin,
    /// Dust station 扬尘监测站.
    DustStation,
    /// Bridge or tunnel 桥隧.
    Bridge,
    /// The server itself 本服务器. Made by the program, never registered; no map and no count of sites shows it.
    Server,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// Yes or no.
    Flag(bool),
    /// A number; the attribute's name carries its unit.
    Number(f64),
    /// A text.
    Text(Box<str>),
}

/// Facts of a site or a device that figures and rules read. Names that have a meaning:
/// sewage station `design_capacity_tpd` (t/d), `in_service`, `exempted`, `no_outflow_registered` (flags), `sill_m` (m);
/// LPG depot `people_within_500m`, and for its LEC grading `lec_l`, `lec_e`, `lec_c`; LPG tank `volume_m3`, `design_max_t` (t);
/// lamp `rated_power_w` (W), `road_class`; loop `road_class`, `lamps`.
pub type Attributes = BTreeMap<Box<str>, Attribute>;

/// A place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Name in topics, addresses and figures.
    pub id: SiteId,
    /// What kind of place.
    pub kind: SiteKind,
    /// What people call it.
    pub name: Title,
    /// Who runs it: an [`Organisation::id`].
    pub organisation: Box<str>,
    /// Town or street 乡镇（街道）.
    pub town: Box<str>,
    /// Where it is.
    pub position: Position,
    /// Facts that figures and rules read.
    #[serde(default)]
    pub attributes: Attributes,
}

/// What speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// MQTT client id, user name and topic level; for Modbus the name of the unit.
    pub id: DeviceId,
    /// Where it stands.
    pub site: SiteId,
    /// [`crate::Profile::kind`].
    pub profile: Box<str>,
    /// What people call it. Default: its id.
    pub name: Option<Title>,
    /// Where it is, when not at its site's position.
    pub position: Option<Position>,
    /// How it is reached. Default: it connects to the gate over MQTT.
    #[serde(default)]
    pub transport: Transport,
    /// The device that may speak for it over MQTT, e.g. a station's gateway that back-fills.
    pub gateway: Option<DeviceId>,
    /// Password as a PHC string (argon2id). Without: the device cannot log in.
    pub password_hash: Option<Box<str>>,
    /// Facts that figures and rules read; they go before the site's.
    #[serde(default)]
    pub attributes: Attributes,
}

/// How a device is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// It connects to the gate.
    #[default]
    Mqtt,
    /// It is polled over Modbus/TCP.
    Modbus {
        /// Address of the gateway or unit.
        address: SocketAddr,
        /// Unit id, 0–255.
        unit: u8,
    },
    /// It is polled in Modbus RTU frames through a transparent serial server.
    RtuOverTcp {
        /// Address of the serial server.
        address: SocketAddr,
        /// Unit id, 1–247.
        unit: u8,
    },
    /// It is polled in Modbus RTU frames over a serial line of this machine.
    Rtu(SerialUnit),
    /// It is an HJ 212 data logger 数采仪 that connects over TCP.
    Hj212 {
        /// Its number, as it stands in every packet: 1 to 24 letters and digits, of one device only.
        mn: Box<str>,
        /// The password in its packets, in the clear as there. Without: any is taken.
        password: Option<Box<str>>,
    },
}

/// The result of one evaluation of standardised O&M of a sewage station.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Which station.
    pub site: SiteId,
    /// When it was evaluated.
    pub at: Timestamp,
    /// Until when the result counts.
    pub valid_until: Timestamp,
    /// Points, 0 to 100.
    pub score: f64,
    /// Who evaluated.
    pub evaluator: Box<str>,
}
