//! The lines on which Modbus units are asked.

use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Transport;

/// A unit on a serial line of this machine. All units of a port must have the same settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SerialUnit {
    /// Device file, e.g. `/dev/ttyS1`.
    pub port: Box<str>,
    /// Bits per second, 300 to 1,000,000. Default 9600.
    #[serde(default = "baud")]
    pub baud: u32,
    /// Default `none`. The Modbus specification recommends `even`, most devices come with `none`.
    #[serde(default)]
    pub parity: Parity,
    /// 1 or 2. Default 1.
    #[serde(default = "one")]
    pub stop_bits: u8,
    /// Unit id, 1–247.
    pub unit: u8,
}

fn baud() -> u32 {
    9600
}

fn one() -> u8 {
    1
}

/// The parity bit of a serial line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// Without.
    #[default]
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// One line: what is reached through one socket or one port, one request at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModbusLine {
    /// Modbus/TCP.
    Tcp(SocketAddr),
    /// Modbus RTU frames through a serial server.
    RtuOverTcp(SocketAddr),
    /// Modbus RTU over a serial port.
    Serial {
        /// Device file.
        port: Box<str>,
        /// Bits per second.
        baud: u32,
        /// Parity bit.
        parity: Parity,
        /// Stop bits, 1 or 2.
        stop_bits: u8,
    },
}

impl ModbusLine {
    /// What two lines must not share: the socket address or the port.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Tcp(address) | Self::RtuOverTcp(address) => address.to_string(),
            Self::Serial { port, .. } => port.to_string(),
        }
    }

    /// The transport of the unit of that id on this line.
    #[must_use]
    pub fn transport(&self, unit: u8) -> Transport {
        match self {
            Self::Tcp(address) => Transport::Modbus {
                address: *address,
                unit,
            },
            Self::RtuOverTcp(address) => Transport::RtuOverTcp {
                address: *address,
                unit,
            },
            Self::Serial {
                port,
                baud,
                parity,
                stop_bits,
            } => Transport::Rtu(SerialUnit {
                port: port.clone(),
                baud: *baud,
                parity: *parity,
                stop_bits: *stop_bits,
                unit,
            }),
        }
    }

    /// Whether frames are Modbus RTU, which have no number that tells one answer from another.
    #[must_use]
    pub const fn is_rtu(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }
}

impl std::fmt::Display for ModbusLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::RtuOverTcp(address) => write!(f, "rtu+tcp:{address}"),
            Self::Serial {
                port,
                baud,
                parity,
                stop_bits,
            } => {
                let parity = match parity {
                    Parity::None => "none",
                    Parity::Even => "even",
                    Parity::Odd => "odd",
                };
                write!(f, "rtu:{port},{baud},{parity},{stop_bits}")
            }
        }
    }
}

/// Why a text names no line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no modbus address; 10.0.0.7:502, rtu+tcp:10.0.0.7:4001 and rtu:/dev/ttyS1,9600,even,1 are")]
pub struct LineError(String);

impl FromStr for ModbusLine {
    type Err = LineError;

    fn from_str(text: &str) -> Result<Self, LineError> {
        let wrong = || LineError(text.to_owned());
        if let Some(address) = text.strip_prefix("rtu+tcp:") {
            return address.parse().map(Self::RtuOverTcp).map_err(|_| wrong());
        }
        let Some(serial) = text.strip_prefix("rtu:") else {
            let address = text.strip_prefix("tcp:").unwrap_or(text);
            return address.parse().map(Self::Tcp).map_err(|_| wrong());
        };
        let mut parts = serial.split(',');
        let port = parts.next().filter(|port| !port.is_empty()).ok_or_else(wrong)?;
        let baud = parts.next().map_or(Ok(9600), str::parse).map_err(|_| wrong())?;
        let parity = match parts.next() {
            None | Some("none") => Parity::None,
            Some("even") => Parity::Even,
            Some("odd") => Parity::Odd,
            Some(_) => return Err(wrong()),
        };
        let stop_bits = parts.next().map_or(Ok(1), str::parse).map_err(|_| wrong())?;
        let line = Self::Serial {
            port: port.into(),
            baud,
            parity,
            stop_bits,
        };
        if parts.next().is_some() || line.nonsense().is_some() {
            return Err(wrong());
        }
        Ok(line)
    }
}

impl ModbusLine {
    /// What is wrong with its settings.
    pub(crate) fn nonsense(&self) -> Option<String> {
        let Self::Serial { baud, stop_bits, .. } = self else {
            return None;
        };
        if !(300..=1_000_000).contains(baud) {
            return Some(format!("baud {baud}; 300 to 1000000 are allowed"));
        }
        (!(1..=2).contains(stop_bits)).then(|| format!("stop_bits {stop_bits}; 1 or 2 are allowed"))
    }
}

impl Transport {
    /// The line and the unit id of a device that is polled; `None` for one that is not.
    #[must_use]
    pub fn modbus(&self) -> Option<(ModbusLine, u8)> {
        match self {
            Self::Mqtt | Self::Hj212 { .. } => None,
            Self::Modbus { address, unit } => Some((ModbusLine::Tcp(*address), *unit)),
            Self::RtuOverTcp { address, unit } => Some((ModbusLine::RtuOverTcp(*address), *unit)),
            Self::Rtu(serial) => {
                let line = ModbusLine::Serial {
                    port: serial.port.clone(),
                    baud: serial.baud,
                    parity: serial.parity,
                    stop_bits: serial.stop_bits,
                };
                Some((line, serial.unit))
            }
        }
    }

    /// The name of the way, for people and programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Modbus { .. } => "modbus",
            Self::RtuOverTcp { .. } => "rtu_over_tcp",
            Self::Rtu(_) => "rtu",
            Self::Hj212 { .. } => "hj212",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_survives_its_text() {
        for (text, shown) in [
            ("10.0.0.7:502", "tcp:10.0.0.7:502"),
            ("rtu+tcp:10.0.0.7:4001", "rtu+tcp:10.0.0.7:4001"),
            ("rtu:/dev/ttyS1", "rtu:/dev/ttyS1,9600,none,1"),
            ("rtu:/dev/ttyS1,19200,even,2", "rtu:/dev/ttyS1,19200,even,2"),
        ] {
            let line: ModbusLine = text.parse().unwrap();
            assert_eq!(line.to_string(), shown);
            assert_eq!(shown.parse::<ModbusLine>().unwrap(), line);
        }
        for wrong in [
            "",
            "10.0.0.7",
            "rtu:",
            "rtu:/dev/ttyS1,fast",
            "rtu:/dev/ttyS1,9600,some",
            "rtu:/dev/ttyS1,9600,even,3",
            "rtu:/dev/ttyS1,9600,even,1,1",
            "rtu+tcp:/dev/ttyS1",
        ] {
            assert!(wrong.parse::<ModbusLine>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_transport_is_written_as_the_registry_has_it() {
        for (text, way) in [
            (r#"{"modbus":{"address":"10.0.0.7:502","unit":3}}"#, "modbus"),
            (
                r#"{"rtu_over_tcp":{"address":"10.0.0.7:4001","unit":3}}"#,
                "rtu_over_tcp",
            ),
            (r#"{"rtu":{"port":"/dev/ttyS1","unit":3}}"#, "rtu"),
            (
                r#"{"rtu":{"port":"/dev/ttyS1","baud":9600,"parity":"none","unit":3}}"#,
                "rtu",
            ),
        ] {
            let transport: Transport = serde_json::from_str(text).unwrap();
            assert_eq!((transport.name(), transport.modbus().unwrap().1), (way, 3));
        }
    }
}
