//! VictoriaMetrics, a single node or a cluster: writing, and seeing that it was restarted.
//!
//! It acknowledges from memory and keeps what it got last there for some seconds. Whoever writes to it has to notice that
//! it died and send again what was acknowledged since then: see [`super::trail`].

use bytes::Bytes;
use reqwest::Url;

use super::answer::{Answer, Speaks};
use super::http::{self, Http, QueryError};
use super::settings::{RemoteError, RemoteSettings};

/// Most bytes of a page of metrics.
const METRICS_BYTES_MAX: usize = 8 << 20;

/// One tenant of a VictoriaMetrics.
#[derive(Clone, Debug)]
pub(super) struct Victoria {
    pub(super) http: Http,
    write_url: Url,
    pub(super) export_url: Url,
    pub(super) instant_url: Url,
    watch: Vec<Url>,
    pub(super) measurement: String,
}

/// What the pages of metrics say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Vitals {
    /// When each watched process was started, in whole seconds since 1970, as it says.
    pub started: Vec<String>,
    /// One of them was started less than a second ago: another start could show the same second.
    pub just_started: bool,
    /// Rows that these processes have left out since then: older than their retention, of the future, with too many tags.
    pub ignored: f64,
}

impl Vitals {
    /// Whether one of the processes that were seen `before` has been started anew. Sound unless one of them had
    /// [`just_started`](Self::just_started).
    pub(super) fn shows_restart_since(&self, before: &Self) -> bool {
        self.started != before.started
    }
}

impl Victoria {
    pub(super) fn new(
        settings: &RemoteSettings,
        query_url: Option<&str>,
        tenant: Option<&str>,
        watch: &[String],
    ) -> Result<Self, RemoteError> {
        let query = query_url.unwrap_or(&settings.url);
        let (write, read) = match tenant {
            None => (String::new(), String::new()),
            Some(tenant) => (
                format!("/insert/{tenant}/influx"),
                format!("/select/{tenant}/prometheus"),
            ),
        };
        let mut write_url = http::below(&settings.url, &format!("{write}/api/v2/write"))?;
        write_url.query_pairs_mut().append_pair("precision", "ms");
        let watch = if watch.is_empty() && tenant.is_none() {
            vec![http::below(&settings.url, "/metrics")?]
        } else {
            let pages = watch.iter().map(|page| http::below(page, ""));
            pages.collect::<Result<_, _>>()?
        };
        Ok(Self {
            http: Http::new(settings, "Bearer")?,
            write_url,
            export_url: http::below(query, &format!("{read}/api/v1/export"))?,
            instant_url: http::below(query, &format!("{read}/api/v1/query"))?,
            watch,
            measurement: settings.measurement.clone(),
        })
    }

    /// Sends lines once. The answer means that they are in memory.
    pub(super) async fn write(&self, lines: Bytes) -> Answer {
        self.http
            .write(Speaks::Victoria, self.write_url.clone(), &lines)
            .await
    }

    /// Whether there is a page of metrics to look at.
    pub(super) fn is_watched(&self) -> bool {
        !self.watch.is_empty()
    }

    /// Looks at every watched process.
    pub(super) async fn vitals(&self) -> Result<Vitals, QueryError> {
        let mut vitals = Vitals::default();
        for page in &self.watch {
            let response = http::successful(self.http.get(page.clone()).send().await).await?;
            let text = http::text(response, METRICS_BYTES_MAX).await?;
            read_page(&text, &mut vitals)?;
        }
        Ok(vitals)
    }
}

/// Source: VictoriaMetrics 1.79, `/metrics`: `vm_app_start_timestamp` and `vm_app_uptime_seconds` (whole seconds),
/// `vm_rows_ignored_total`.
fn read_page(text: &str, vitals: &mut Vitals) -> Result<(), QueryError> {
    let mut started = None;
    for line in text.lines() {
        let Some((name, value)) = line.rsplit_once(' ') else {
            continue;
        };
        match name.split('{').next() {
            Some("vm_app_start_timestamp") => started = Some(value.to_owned()),
            Some("vm_app_uptime_seconds") => vitals.just_started |= value == "0",
            Some("vm_rows_ignored_total") => vitals.ignored += value.parse().unwrap_or(0.0),
            _ => {}
        }
    }
    let missing =
        || QueryError::Form("the page of metrics does not say when the process was started".to_owned());
    vitals.started.push(started.ok_or_else(missing)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use telemetry::time::Span;

    use super::super::settings::{Credentials, EngineSettings};
    use super::*;

    fn settings(url: &str) -> RemoteSettings {
        RemoteSettings {
            engine: EngineSettings::Victoria {
                query_url: None,
                tenant: None,
                watch: Vec::new(),
            },
            url: url.to_owned(),
            credentials: Credentials::None,
            ca: None,
            measurement: "townwatch".to_owned(),
            tags: Vec::new(),
            timeout: Span::from_secs(5),
            lines_max: 10,
            replay_window: Span::ZERO,
        }
    }

    #[test]
    fn a_single_node_and_a_cluster_have_their_own_addresses() {
        // Source: VictoriaMetrics documentation, "Cluster version", section "URL format".
        let single = Victoria::new(&settings("http://h:8428/vm/"), None, None, &[]).unwrap();
        assert_eq!(
            single.write_url.as_str(),
            "http://h:8428/vm/api/v2/write?precision=ms"
        );
        assert_eq!(single.export_url.as_str(), "http://h:8428/vm/api/v1/export");
        assert_eq!(single.watch, ["http://h:8428/vm/metrics".parse().unwrap()]);
        let watch = ["http://s1:8482/metrics".to_owned()];
        let cluster = Victoria::new(
            &settings("https://insert:8480"),
            Some("https://select:8481"),
            Some("3:7"),
            &watch,
        )
        .unwrap();
        assert_eq!(
            cluster.write_url.as_str(),
            "https://insert:8480/insert/3:7/influx/api/v2/write?precision=ms"
        );
        assert_eq!(
            cluster.export_url.as_str(),
            "https://select:8481/select/3:7/prometheus/api/v1/export"
        );
        assert_eq!(
            cluster.instant_url.as_str(),
            "https://select:8481/select/3:7/prometheus/api/v1/query"
        );
        assert_eq!(cluster.watch.len(), 1);
    }

    #[test]
    fn the_page_of_metrics_says_when_it_was_started_and_what_it_left_out() {
        let page = "vm_app_start_timestamp 1790000000\nvm_rows_ignored_total{reason=\"small_timestamp\"} 3\n\
                    vm_rows_ignored_total{reason=\"nan_value\"} 4\nother 1\n";
        let mut vitals = Vitals::default();
        read_page(page, &mut vitals).unwrap();
        assert_eq!(vitals.started, ["1790000000"]);
        assert!((vitals.ignored - 7.0).abs() < 1e-9);
        assert!(read_page("<html>", &mut vitals).is_err());
    }

    #[test]
    fn a_restart_shows_and_so_does_a_start_that_is_too_young_to_tell_from_the_next() {
        let seen = |started: &str, uptime: u32| {
            let mut vitals = Vitals::default();
            let page = format!("vm_app_start_timestamp {started}\nvm_app_uptime_seconds {uptime}\n");
            read_page(&page, &mut vitals).unwrap();
            vitals
        };
        let before = seen("5", 1);
        assert!(!before.just_started && seen("5", 0).just_started);
        assert!(!seen("5", 100).shows_restart_since(&before));
        assert!(seen("6", 1).shows_restart_since(&before));
    }
}
