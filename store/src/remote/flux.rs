//! Questions to InfluxDB 2 and what its answers mean. Pure, but for the sending.
//!
//! The question is built with the crate's `Query`; its answer is read here, because the crate's reader panics on some of
//! them, such as an empty value.

use std::collections::BTreeMap;

use influxdb2::models::Query;
use telemetry::quality::Quality;
use telemetry::sample::Sample;
use telemetry::time::Timestamp;

use super::engine::{Owner, Places};
use super::http::{self, QueryError};
use super::influx::Influx;
use super::line::{QUALITY, VALUE};

/// Most bytes of an answer: about 70,000 samples. A larger one is given up, and half of its time is asked for.
const ANSWER_BYTES_MAX: usize = 16 << 20;

impl Influx {
    /// What each of these holds in `from..to`, in order of time; `from` before `to`.
    pub(super) async fn ranges(
        &self,
        owners: &[Owner],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Vec<Sample>>, QueryError> {
        self.ask(owners, &self.question(owners, from, to, "")).await
    }

    /// The last sample of each of these before `to`.
    pub(super) async fn lasts(
        &self,
        owners: &[Owner],
        to: Timestamp,
    ) -> Result<Vec<Option<Sample>>, QueryError> {
        let question = self.question(owners, Timestamp::EPOCH, to, "|> last() ");
        let found = self.ask(owners, &question).await?;
        // A device that has moved to another site has a last sample at each.
        Ok(found.into_iter().map(|mut samples| samples.pop()).collect())
    }

    fn question(&self, owners: &[Owner], from: Timestamp, to: Timestamp, then: &str) -> String {
        let bucket = quoted(&self.bucket);
        let measurement = quoted(&self.measurement);
        let (from, to) = (from.to_rfc3339(), to.to_rfc3339());
        let owned: Vec<String> = owners
            .iter()
            .map(|owner| {
                let (device, signal) = (quoted(&owner.device), quoted(&owner.signal));
                format!("(r.device == {device} and r.signal == {signal})")
            })
            .collect();
        let owned = any_of(&owned);
        format!(
            "from(bucket: {bucket}) |> range(start: {from}, stop: {to}) |> filter(fn: (r) => r._measurement == {measurement} \
             and {owned}) {then}|> keep(columns: [\"_time\", \"_value\", \"_field\", \"device\", \"signal\"])"
        )
    }

    async fn ask(&self, owners: &[Owner], question: &str) -> Result<Vec<Vec<Sample>>, QueryError> {
        let mut query = Query::new(question.to_owned());
        query.dialect = None;
        let body = serde_json::to_string(&query).map_err(|error| QueryError::Form(error.to_string()))?;
        let sent = self
            .http
            .post(self.query_url.clone())
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .header(reqwest::header::ACCEPT, "application/csv")
            .body(body)
            .send()
            .await;
        let response = http::successful(sent).await?;
        read_rows(owners, &http::text(response, ANSWER_BYTES_MAX).await?)
    }
}

/// That one of the terms holds, as a tree: Flux refuses a chain of some hundred as nested too deeply.
fn any_of(terms: &[String]) -> String {
    match terms {
        [] => "false".to_owned(),
        [term] => term.clone(),
        _ => {
            let (left, right) = terms.split_at(terms.len() / 2);
            format!("({} or {})", any_of(left), any_of(right))
        }
    }
}

/// A Flux string literal. Source: Flux language specification, "String literals".
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' | '$' => {
                quoted.push('\\');
                quoted.push(character);
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// Where the columns of a table are.
#[derive(Clone, Copy)]
struct Columns {
    time: usize,
    value: usize,
    field: usize,
    device: usize,
    signal: usize,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Option<Self> {
        let place = |name: &str| header.iter().position(|cell| cell == name);
        Some(Self {
            time: place("_time")?,
            value: place("_value")?,
            field: place("_field")?,
            device: place("device")?,
            signal: place("signal")?,
        })
    }
}

/// Values and qualities of one owner, which come in tables of their own.
#[derive(Default)]
struct Halves {
    values: BTreeMap<Timestamp, f64>,
    qualities: BTreeMap<Timestamp, Quality>,
}

impl Halves {
    /// Both joined by their time. A value without a quality is good.
    fn joined(self) -> Vec<Sample> {
        let sample = |(time, value): (Timestamp, f64)| Sample {
            time,
            value,
            quality: self.qualities.get(&time).copied().unwrap_or_default(),
        };
        self.values.into_iter().map(sample).collect()
    }
}

/// The samples of each owner.
fn read_rows(owners: &[Owner], text: &str) -> Result<Vec<Vec<Sample>>, QueryError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let places = Places::of(owners);
    let mut found: Vec<Halves> = owners.iter().map(|_| Halves::default()).collect();
    let mut columns: Option<Columns> = None;
    for row in reader.records() {
        let row = row.map_err(|error| QueryError::Form(error.to_string()))?;
        if row.iter().any(|cell| cell == "_value") {
            let known = Columns::of(&row);
            columns = Some(known.ok_or_else(|| wrong("a table without time, field or tags"))?);
            continue;
        }
        let Some(columns) = columns else {
            // An error in the middle of an answer is a table of its own.
            return Err(QueryError::Form(row.iter().collect::<Vec<_>>().join(" ")));
        };
        let cell = |place: usize| row.get(place).unwrap_or_default();
        let place = places.get(cell(columns.device), cell(columns.signal));
        if let Some(halves) = place.and_then(|place| found.get_mut(place)) {
            read_row(
                cell(columns.time),
                cell(columns.field),
                cell(columns.value),
                halves,
            )?;
        }
    }
    Ok(found.into_iter().map(Halves::joined).collect())
}

fn read_row(time: &str, field: &str, value: &str, halves: &mut Halves) -> Result<(), QueryError> {
    let time: Timestamp = time.parse().map_err(|_| wrong("a row without a time"))?;
    match field {
        VALUE => {
            let value = value.parse().map_err(|_| wrong("a value that is no number"))?;
            halves.values.insert(time, value);
        }
        QUALITY => {
            let code: i64 = value.parse().map_err(|_| wrong("a quality that is no code"))?;
            let code = u8::try_from(code).unwrap_or(u8::MAX);
            halves.qualities.insert(time, Quality::from_code(code));
        }
        _ => {}
    }
    Ok(())
}

fn wrong(what: &str) -> QueryError {
    QueryError::Form(what.to_owned())
}

#[cfg(test)]
mod tests {
    use telemetry::quality::Bad;

    use super::*;

    #[test]
    fn values_and_qualities_are_joined_and_an_error_in_the_answer_is_one() {
        // The form of InfluxDB 2.7.12's answers, as seen.
        let text = ",result,table,_field,_time,_value,device,signal\r\n,_result,0,quality,2026-11-23T00:00:00Z,0,d,level\r\n\
                    ,_result,0,quality,2026-11-23T00:00:00.5Z,129,d,level\r\n\r\n\
                    ,result,table,_field,_time,_value,device,signal\r\n,_result,1,value,2026-11-23T00:00:00Z,1.5,d,level\r\n\
                    ,_result,1,value,2026-11-23T00:00:00.5Z,9,d,level\r\n,_result,2,value,2026-11-23T00:00:00Z,7,e,level\r\n\r\n";
        let owners = ["c", "d"].map(|device| Owner {
            device: device.to_owned(),
            signal: "level".to_owned(),
        });
        let samples = read_rows(&owners, text).unwrap();
        let first: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let want = [
            Sample {
                time: first,
                value: 1.5,
                quality: Quality::Good,
            },
            Sample {
                time: Timestamp::from_millis(first.millis() + 500),
                value: 9.0,
                quality: Quality::Bad(Bad::OutOfRange),
            },
        ];
        assert_eq!(samples, [Vec::new(), want.to_vec()]);
        assert_eq!(read_rows(&owners[..1], "\r\n").unwrap(), [Vec::new()]);
        assert!(read_rows(&owners, "error,reference\r\nFailed to parse query,897\r\n").is_err());
    }

    #[test]
    fn many_terms_become_a_tree() {
        let terms = ["a", "b", "c", "d", "e"].map(str::to_owned);
        assert_eq!(any_of(&terms), "((a or b) or (c or (d or e)))");
        assert_eq!(any_of(&terms[..1]), "a");
        assert_eq!(any_of(&[]), "false");
    }

    #[test]
    fn a_name_cannot_end_its_quotes() {
        assert_eq!(quoted(r#"a"b\c${d}"#), r#""a\"b\\c\${d}""#);
    }
}
