//! Questions to VictoriaMetrics and what its answers mean. Pure, but for the sending.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use telemetry::quality::Quality;
use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};

use super::engine::{Owner, Places};
use super::http::{self, QueryError};
use super::line::VALUE;
use super::victoria::Victoria;

/// Most bytes of an answer: about 500,000 samples. A larger one is given up, and half of its time is asked for.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How far is looked back for the last sample, step by step; what is older than the last is not found.
const LOOK_BACK: [Span; 5] = [
    Span::from_secs(3600),
    Span::from_secs(86_400),
    Span::from_secs(30 * 86_400),
    Span::from_secs(400 * 86_400),
    Span::from_secs(7305 * 86_400),
];

impl Victoria {
    /// What each of these holds in `from..to`, in order of time; `from` before `to`.
    pub(super) async fn ranges(
        &self,
        owners: &[Owner],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Vec<Sample>>, QueryError> {
        let mut form = self.export_url.clone();
        for Owner { device, signal } in owners {
            let selector = format!(
                "{{__name__=\"{}_{VALUE}\",device={device:?},signal={signal:?}}}",
                self.measurement
            );
            form.query_pairs_mut().append_pair("match[]", &selector);
        }
        form.query_pairs_mut()
            .append_pair("start", &seconds(from))
            .append_pair("end", &seconds(to.minus(Span::from_millis(1))));
        read_series(owners, &self.post(form).await?)
    }

    /// The last sample of each of these before `to`, which may be later than `now`.
    pub(super) async fn lasts(
        &self,
        owners: &[Owner],
        to: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Option<Sample>>, QueryError> {
        let ahead = u64::try_from(to.millis_since(now)).unwrap_or(0);
        let mut found: Vec<Option<Sample>> = vec![None; owners.len()];
        for back in LOOK_BACK {
            let back = Span::from_millis(back.millis().saturating_add(ahead));
            let open: Vec<usize> = (found.iter().enumerate())
                .filter(|(_, found)| found.is_none())
                .map(|(place, _)| place)
                .collect();
            if open.is_empty() {
                break;
            }
            let of: Vec<Owner> = open
                .iter()
                .filter_map(|place| owners.get(*place).cloned())
                .collect();
            for (place, sample) in open.into_iter().zip(self.lasts_within(&of, to, back).await?) {
                if let Some(slot) = found.get_mut(place) {
                    *slot = sample;
                }
            }
        }
        Ok(found)
    }

    /// The last sample of each of these in the time `back` before `to`, asked for as two instant queries: when it was,
    /// and what.
    async fn lasts_within(
        &self,
        owners: &[Owner],
        to: Timestamp,
        back: Span,
    ) -> Result<Vec<Option<Sample>>, QueryError> {
        let any_of = |names: BTreeSet<&str>| {
            let names: Vec<String> = names.into_iter().map(|name| name.replace('.', "\\\\.")).collect();
            names.join("|")
        };
        let devices = any_of(owners.iter().map(|owner| owner.device.as_str()).collect());
        let signals = any_of(owners.iter().map(|owner| owner.signal.as_str()).collect());
        let selector = format!(
            "{{__name__=\"{}_{VALUE}\",device=~\"{devices}\",signal=~\"{signals}\"}}[{}ms]",
            self.measurement,
            back.millis()
        );
        let mut answers = Vec::with_capacity(2);
        for function in ["tlast_over_time", "last_over_time"] {
            let mut form = self.instant_url.clone();
            form.query_pairs_mut()
                .append_pair("query", &format!("{function}({selector})"))
                .append_pair("time", &seconds(to.minus(Span::from_millis(1))))
                // Without this the time would be half a minute ago at the latest,
                .append_pair("nocache", "1")
                // and without this a cluster leaves out what a dead `vmstorage` has. Its export never does.
                .append_pair("deny_partial_response", "1");
            answers.push(read_instant(&self.post(form).await?)?);
        }
        let (values, times) = (
            answers.pop().unwrap_or_default(),
            answers.pop().unwrap_or_default(),
        );
        Ok(last_of_each(owners, &times, &values))
    }

    /// Sends what stands in the query part of `form` as a form.
    async fn post(&self, mut form: reqwest::Url) -> Result<String, QueryError> {
        let body = form.query().unwrap_or_default().to_owned();
        form.set_query(None);
        let request = self
            .http
            .post(form)
            .body(body)
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let response = http::successful(request.send().await).await?;
        http::text(response, ANSWER_BYTES_MAX).await
    }
}

/// The labels of a series, and a number about it.
type Instant = BTreeMap<BTreeMap<String, String>, f64>;

/// Of several series of an owner (they differ in quality, or site) the one with the latest sample; of two with the same
/// time the one of better quality.
fn last_of_each(owners: &[Owner], times: &Instant, values: &Instant) -> Vec<Option<Sample>> {
    let places = Places::of(owners);
    let mut found: Vec<Option<Sample>> = vec![None; owners.len()];
    for (labels, time) in times {
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        let slot = places.get(label("device"), label("signal"));
        let (Some(slot), Some(value)) = (slot.and_then(|place| found.get_mut(place)), values.get(labels))
        else {
            continue;
        };
        let sample = Sample {
            time: from_seconds(*time),
            value: *value,
            quality: quality_of(labels),
        };
        let later = |known: &Sample| {
            sample.time > known.time || (sample.time == known.time && sample.quality < known.quality)
        };
        if slot.as_ref().is_none_or(later) {
            *slot = Some(sample);
        }
    }
    found
}

/// An answer to an instant query. Source: Prometheus, "HTTP API", section "Instant queries"; VictoriaMetrics, "Cluster
/// version", section "Cluster availability", for `isPartial`.
fn read_instant(text: &str) -> Result<Instant, QueryError> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
        #[serde(default, rename = "isPartial")]
        is_partial: bool,
    }
    #[derive(Deserialize)]
    struct Data {
        result: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        metric: BTreeMap<String, String>,
        value: (f64, String),
    }
    let wrong = |error: &dyn std::fmt::Display| QueryError::Form(error.to_string());
    let answer: Answer = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    if answer.is_partial {
        return Err(wrong(&"a part of the engine did not answer"));
    }
    let rows = answer.data.result.into_iter().map(|mut row| {
        row.metric.remove("__name__");
        let value = row.value.1.parse().map_err(|error| wrong(&error))?;
        Ok((row.metric, value))
    });
    rows.collect()
}

fn quality_of(labels: &BTreeMap<String, String>) -> Quality {
    let name = labels.get(super::line::QUALITY).map_or("good", String::as_str);
    Quality::from_name(name).unwrap_or(Quality::Bad(telemetry::Bad::Reported))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds of a time that an engine holds are far within 64 bits"
)]
fn from_seconds(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1000.0).round() as i64)
}

/// Seconds since 1970 with milliseconds; no time before that is asked for.
fn seconds(time: Timestamp) -> String {
    let ms = time.millis().max(0);
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// One line of `/api/v1/export`. Source: VictoriaMetrics, "How to export data in JSON line format".
#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    values: Vec<Option<f64>>,
    timestamps: Vec<i64>,
}

/// The samples of each owner out of its series, which differ in their quality (or in a site that a device has left), in
/// order of time. Of several with one time the one of better quality counts: the engine does not know which came later.
fn read_series(owners: &[Owner], text: &str) -> Result<Vec<Vec<Sample>>, QueryError> {
    let places = Places::of(owners);
    let mut all: Vec<BTreeMap<Timestamp, Sample>> = vec![BTreeMap::new(); owners.len()];
    for line in text.lines().filter(|line| !line.is_empty()) {
        let series: Series =
            serde_json::from_str(line).map_err(|error| QueryError::Form(error.to_string()))?;
        let label = |name: &str| series.metric.get(name).map_or("", String::as_str);
        let place = places.get(label("device"), label("signal"));
        let Some(samples) = place.and_then(|place| all.get_mut(place)) else {
            continue;
        };
        let quality = quality_of(&series.metric);
        for (ms, value) in series.timestamps.into_iter().zip(series.values) {
            let Some(value) = value else {
                continue; // Not a number: nothing that we have sent.
            };
            let sample = Sample {
                time: Timestamp::from_millis(ms),
                value,
                quality,
            };
            samples
                .entry(sample.time)
                .and_modify(|known| {
                    if sample.quality < known.quality {
                        *known = sample;
                    }
                })
                .or_insert(sample);
        }
    }
    Ok(all
        .into_iter()
        .map(|samples| samples.into_values().collect())
        .collect())
}

#[cfg(test)]
mod tests {
    use telemetry::quality::Bad;

    use super::*;

    #[test]
    fn series_that_differ_in_quality_are_one_again() {
        // The form of VictoriaMetrics 1.79's answers, as seen.
        let text = "{\"metric\":{\"__name__\":\"townwatch_value\",\"device\":\"d\",\"signal\":\"level\",\"quality\":\"good\"},\"values\":[1.5,2],\"timestamps\":[1000,3000]}\n\
                    {\"metric\":{\"__name__\":\"townwatch_value\",\"device\":\"d\",\"signal\":\"level\",\"quality\":\"bad_out_of_range\"},\"values\":[9,null,8],\"timestamps\":[2000,2500,3000]}\n";
        let owners = [owner("c"), owner("d")];
        let found = read_series(&owners, text).unwrap();
        assert_eq!(found[0], []);
        let found: Vec<(i64, f64, Quality)> = found[1]
            .iter()
            .map(|sample| (sample.time.millis(), sample.value, sample.quality))
            .collect();
        let bad = Quality::Bad(Bad::OutOfRange);
        assert_eq!(
            found,
            [
                (1000, 1.5, Quality::Good),
                (2000, 9.0, bad),
                (3000, 2.0, Quality::Good)
            ]
        );
        assert_eq!(read_series(&owners[..1], "").unwrap(), [Vec::new()]);
        assert!(read_series(&owners, "<html>").is_err());
    }

    #[test]
    fn the_last_sample_is_the_latest_of_all_series_of_the_signal() {
        // The form of VictoriaMetrics 1.79's answers, as seen: the last good value is older than the last bad one.
        let answer = |good: &str, bad: &str| {
            let row = |quality: &str, value: &str| {
                format!(
                    "{{\"metric\":{{\"device\":\"d\",\"signal\":\"level\",\"quality\":\"{quality}\"}},\"value\":[1795469930,\"{value}\"]}}"
                )
            };
            let rows = [row("good", good), row("bad_out_of_range", bad)].join(",");
            let text = format!(
                "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{rows}]}}}}"
            );
            read_instant(&text).unwrap()
        };
        let times = answer("1795469924.901", "1795469925.001");
        let last = last_of_each(&[owner("c"), owner("d")], &times, &answer("1.5", "9"));
        let want = Sample {
            time: Timestamp::from_millis(1_795_469_925_001),
            value: 9.0,
            quality: Quality::Bad(Bad::OutOfRange),
        };
        assert_eq!(last, [None, Some(want)]);
        assert!(read_instant("<html>").is_err());
        // A part is not the whole.
        let all = r#"{"status":"success","isPartial":false,"data":{"resultType":"vector","result":[]}}"#;
        assert!(read_instant(all).unwrap().is_empty());
        assert!(read_instant(&all.replace("false", "true")).is_err());
    }

    fn owner(device: &str) -> Owner {
        Owner {
            device: device.to_owned(),
            signal: "level".to_owned(),
        }
    }

    #[test]
    fn times_are_seconds_with_milliseconds() {
        assert_eq!(
            seconds(Timestamp::from_millis(1_795_469_924_901)),
            "1795469924.901"
        );
        assert_eq!(seconds(Timestamp::from_millis(-5)), "0.000");
    }
}
