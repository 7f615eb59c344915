//! Devices as CSV: read with the line of each mistake, written so that no spreadsheet takes a cell for a formula. Pure.

use std::io::{Read, Write};

use telemetry::profile::Title;
use telemetry::registry::Position;
use telemetry::{DeviceId, SiteId};

use super::office::{Issued, Listed, NewDevice};
use crate::access::office::NewPassword;

/// What `import` reads; the last four of `export` it passes over.
const COLUMNS: [&str; 13] = [
    "id",
    "site",
    "profile",
    "gateway",
    "name_zh",
    "name_en",
    "latitude",
    "longitude",
    "password_hash",
    "declared",
    "enabled",
    "password",
    "rotated_at",
];
/// Most lines of one file. More: refused.
const LINES_MAX: usize = 100_000;
/// Mistakes that are named; the rest is counted.
const MISTAKES_SHOWN: usize = 50;

/// One thing that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Mistake {
    /// Line, from 1; the header is line 1.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

/// A device and the line on which it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub line: u64,
    pub device: NewDevice,
}

/// Reads devices: a header with at least `id`, `site` and `profile`, then one device a line.
///
/// # Errors
/// All that is wrong, at most 50 mistakes and one line that counts the rest.
pub(crate) fn read(from: impl Read) -> Result<Vec<Line>, Vec<Mistake>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(from);
    let header = reader.headers().map_err(|error| vec![of(&error)])?.clone();
    let columns = Columns::find(&header).map_err(|what| vec![Mistake { line: 1, what }])?;
    let (mut lines, mut mistakes) = (Vec::new(), Vec::new());
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                match columns.device(&record) {
                    Ok(device) => lines.push(Line { line, device }),
                    Err(what) => mistakes.push(Mistake { line, what }),
                }
            }
            Err(error) => mistakes.push(of(&error)),
        }
        if lines.len() + mistakes.len() > LINES_MAX {
            let what = format!("more than {LINES_MAX} devices: split the file");
            return Err(vec![Mistake { line: 1, what }]);
        }
    }
    if mistakes.is_empty() {
        return Ok(lines);
    }
    let hidden = mistakes.len().saturating_sub(MISTAKES_SHOWN);
    mistakes.truncate(MISTAKES_SHOWN);
    if hidden > 0 {
        let what = format!("{hidden} more lines are wrong");
        mistakes.push(Mistake { line: 0, what });
    }
    Err(mistakes)
}

fn of(error: &csv::Error) -> Mistake {
    let line = error.position().map_or(1, csv::Position::line);
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("{len} cells where the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        _ => error.to_string(),
    };
    Mistake { line, what }
}

/// Where each column stands.
struct Columns([Option<usize>; COLUMNS.len()]);

impl Columns {
    fn find(header: &csv::StringRecord) -> Result<Self, String> {
        let mut found = [None; COLUMNS.len()];
        for (place, name) in header.iter().enumerate() {
            let name = name.trim_start_matches('\u{feff}');
            let slot = (COLUMNS.iter().position(|column| *column == name)).and_then(|at| found.get_mut(at));
            match slot {
                Some(slot) if slot.is_none() => *slot = Some(place),
                Some(_) => return Err(format!("the column {name} stands twice")),
                None => {
                    return Err(format!(
                        "unknown column {name:?}; there are {}",
                        COLUMNS.join(", ")
                    ));
                }
            }
        }
        for (slot, name) in found.iter().zip(COLUMNS).take(3) {
            if slot.is_none() {
                return Err(format!("the column {name} is missing"));
            }
        }
        Ok(Self(found))
    }

    fn text<'a>(&self, record: &'a csv::StringRecord, column: &str) -> Option<&'a str> {
        let at = COLUMNS.iter().position(|name| *name == column)?;
        let text = record.get((*self.0.get(at)?)?)?;
        (!text.is_empty()).then_some(text)
    }

    fn device(&self, record: &csv::StringRecord) -> Result<NewDevice, String> {
        let must = |column| {
            self.text(record, column)
                .ok_or_else(|| format!("{column} is empty"))
        };
        let degrees = |column: &'static str, most: f64| {
            let text = self.text(record, column);
            text.map(|text| {
                let number: Option<f64> = text.parse().ok();
                number
                    .filter(|number| number.is_finite() && number.abs() <= most)
                    .ok_or_else(|| format!("{column} {text:?} is not between -{most} and {most}"))
            })
            .transpose()
        };
        let id = |text: &str| DeviceId::new(text).map_err(|error| error.to_string());
        let position = match (degrees("latitude", 90.0)?, degrees("longitude", 180.0)?) {
            (Some(latitude), Some(longitude)) => Some(Position { latitude, longitude }),
            (None, None) => None,
            _ => return Err("latitude and longitude go together".to_owned()),
        };
        let name = match (self.text(record, "name_zh"), self.text(record, "name_en")) {
            (None, None) => None,
            (zh, en) => Some(Title {
                zh: zh.or(en).unwrap_or_default().into(),
                en: en.or(zh).unwrap_or_default().into(),
            }),
        };
        Ok(NewDevice {
            id: id(must("id")?)?,
            site: SiteId::new(must("site")?).map_err(|error| error.to_string())?,
            profile: must("profile")?.into(),
            gateway: self.text(record, "gateway").map(id).transpose()?,
            name,
            position,
            password: match self.text(record, "password_hash") {
                Some(hash) => NewPassword::Hash(hash.into()),
                None => NewPassword::Made,
            },
        })
    }
}

/// A cell that no spreadsheet takes for a formula. Source: OWASP ASVS 5.0.0, 1.2.10.
fn guarded(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// Writes the passwords that were made.
///
/// # Errors
/// What the file says.
pub(crate) fn write_secrets(to: impl Write, issued: &[Issued]) -> csv::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(["id", "password"])?;
    for one in issued {
        if let Some(secret) = &one.secret {
            writer.write_record([guarded(one.row.name.as_str()), guarded(secret)])?;
        }
    }
    writer.flush().map_err(Into::into)
}

/// Writes devices in the form that [`read`] reads; without hashes.
///
/// # Errors
/// What the file says.
pub(crate) fn write_devices(to: impl Write, devices: &[Listed]) -> csv::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    let shown = |column: &&str| *column != "password_hash";
    writer.write_record(COLUMNS.iter().filter(|column| shown(column)))?;
    for device in devices {
        let degrees = |of: fn(&Position) -> f64| {
            device
                .position
                .as_ref()
                .map(|position| of(position).to_string())
                .unwrap_or_default()
        };
        let name = |of: fn(&Title) -> &str| device.name.as_ref().map(of).unwrap_or_default();
        writer.write_record([
            guarded(device.id.as_str()),
            guarded(device.site.as_str()),
            guarded(&device.profile),
            guarded(device.gateway.as_ref().map_or("", |gateway| gateway.as_str())),
            guarded(name(|title| &title.zh)),
            guarded(name(|title| &title.en)),
            degrees(|position| position.latitude),
            degrees(|position| position.longitude),
            device.declared.to_owned(),
            device.enabled.to_string(),
            device.password.to_owned(),
            device.rotated_at.clone().unwrap_or_default(),
        ])?;
    }
    writer.flush().map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        read(text.as_bytes())
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn devices_are_read_with_what_is_there_and_without_what_is_not() {
        let text = "\u{feff}id, site ,profile,gateway,name_zh,latitude,longitude,password_hash\n\
                    lamp-1,loop-1,lamp,,,,,\n\
                    lamp-2,loop-1,lamp,gw-1,路灯 2,27.5,119.7,$argon2id$x\n";
        let lines = read(text.as_bytes()).unwrap();
        assert_eq!((lines[0].line, lines[1].line), (2, 3));
        let (one, two) = (&lines[0].device, &lines[1].device);
        assert_eq!(
            (one.id.as_str(), one.site.as_str(), &*one.profile),
            ("lamp-1", "loop-1", "lamp")
        );
        assert_eq!((&one.gateway, &one.name, one.position), (&None, &None, None));
        assert_eq!(one.password, NewPassword::Made);
        assert_eq!(two.gateway.as_ref().unwrap().as_str(), "gw-1");
        assert_eq!(
            &*two.name.as_ref().unwrap().en,
            "路灯 2",
            "the one name stands for both"
        );
        assert!((two.position.unwrap().longitude - 119.7).abs() < 1e-12);
        assert_eq!(two.password, NewPassword::Hash("$argon2id$x".into()));
    }

    #[test]
    fn each_mistake_has_its_line() {
        let text = "id,site,profile,latitude,longitude\n\
                    a#b,s-1,lamp,,\n\
                    ok-1,s-1,lamp,,\n\
                    ,s-1,lamp,,\n\
                    b,s-1,lamp,27.5,\n\
                    c,s-1,lamp,127.5,1\n\
                    d,s-1\n";
        let found = mistakes(text);
        let starts = [
            "2: \"a#b\" is not a device id",
            "4: id is empty",
            "5: latitude and",
            "6: latitude \"127.5\"",
            "7: 2 cells where",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (mistake, start) in found.iter().zip(starts) {
            assert!(mistake.starts_with(start), "{mistake}");
        }
        assert!(mistakes("id,site\na,b\n")[0].contains("profile is missing"));
        assert!(mistakes("id,site,profile,colour\n")[0].contains("unknown column \"colour\""));
        assert!(mistakes("id,site,profile,id\n")[0].contains("twice"));
    }

    #[test]
    fn a_thousand_mistakes_are_counted_and_fifty_are_named() {
        let text = format!("id,site,profile\n{}", "#,s,p\n".repeat(1000));
        let found = mistakes(&text);
        assert_eq!(
            (found.len(), found[50].as_str()),
            (51, "0: 950 more lines are wrong")
        );
    }

    #[test]
    fn no_cell_is_taken_for_a_formula() {
        for text in ["=1+1", "+1", "-1", "@x", "\tx", "\rx"] {
            assert_eq!(guarded(text), format!("'{text}"));
        }
        assert_eq!(guarded("路灯"), "路灯");
        let listed = Listed {
            id: DeviceId::new("-dev").unwrap(),
            site: SiteId::new("s-1").unwrap(),
            profile: "lamp".into(),
            gateway: None,
            name: Some(Title {
                zh: "=cmd|' /C calc'!A0".into(),
                en: "+lamp".into(),
            }),
            position: None,
            declared: "added",
            enabled: true,
            password: "own",
            revision: 1,
            changed_at: None,
            changed_by: None,
            rotated_at: None,
            old_until: None,
        };
        let mut out = Vec::new();
        write_devices(&mut out, &[listed]).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "id,site,profile,gateway,name_zh,name_en,latitude,longitude,declared,enabled,password,rotated_at\n\
             '-dev,s-1,lamp,,'=cmd|' /C calc'!A0,'+lamp,,,added,true,own,\n"
        );
    }
}
