//! A county of five sites for the tests of this crate, with hostile names among them.

use std::sync::{Arc, Mutex};

use alarms::AlarmService;
use alarms::cases::evidence::Telemetry;
use alarms::cases::{Calendar, CaseAlarm, CaseService, CaseSettings, Deadlines, Evidence, Rules};
use alarms::figures::{AlarmFact, AlarmFacts, Figures, HealthPolicy, Policy};
use alarms::service::GroupView;
use alarms::settings::AlarmSettings;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use store::state::State;
use store::state::access::Holder;
use store::testkit::MemorySeries;
use telemetry::time::{ManualClock, Span};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use telemetry::registry::Registry;
use telemetry::{Catalogue, SeriesId, SiteId, Timestamp};
use tokio::sync::broadcast;

use crate::access::Access;
use crate::book::{
    AckError, Acknowledged, Act, AlarmBook, AlarmStage, AlarmView, Change, Changes, DeviceAct, InForce,
    LogFilter, LogView, ServiceBook, Wanted,
};
use crate::exporter::{ExportJob, ExportOrder, Exporter};
use crate::live::LiveFeed;
use crate::registrar::{Changed, Credential, CredentialAction, Registrar, RegistrarError};
use crate::web::{App, Push, Web};

/// 2026-11-23T20:00:00+08:00.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_435_200_000);

/// For so long before [`NOW`] the log of the alarms is known.
pub(crate) const KNOWN: Span = Span::from_secs(60 * 86_400);

/// What must never come out as markup.
pub(crate) const HOSTILE: &str = "<script>alert('x')</script>\"&";

pub(crate) const REGISTRY: &str = r#"
[county]
name = { zh = "示范县", en = "Model County" }
position = { latitude = 27.56, longitude = 119.72 }
[[organisation]]
id = "om-a"
name = { zh = "甲运维公司", en = "Contractor A" }
[[site]]
id = "station-1"
kind = "sewage_station"
name = { zh = "一号站", en = "Station 1" }
organisation = "om-a"
town = "东坑镇"
position = { latitude = 27.50, longitude = 119.60 }
[[site]]
id = "depot-1"
kind = "lpg_depot"
name = { zh = "城南储配站", en = "South depot" }
organisation = "om-a"
town = "鹤溪街道"
position = { latitude = 27.55, longitude = 119.70 }
[[site]]
id = "cover-1"
kind = "manhole_cover"
name = { zh = "<script>alert('x')</script>\"&", en = "<script>alert('x')</script>\"&" }
organisation = "om-a"
town = "<script>alert('x')</script>\"&"
position = { latitude = 27.58, longitude = 119.75 }
[[site]]
id = "loop-1"
kind = "lighting_loop"
name = { zh = "人民路回路", en = "Renmin Road loop" }
organisation = "om-a"
town = "鹤溪街道"
position = { latitude = 27.60, longitude = 119.80 }
[[site]]
id = "bridge-1"
kind = "bridge"
name = { zh = "大桥", en = "Great bridge" }
organisation = "om-a"
town = "鹤溪街道"
position = { latitude = 27.52, longitude = 119.68 }
[[device]]
id = "st-1"
site = "station-1"
profile = "sewage-station-small"
attributes = { sill_m = 3.5 }
[[device]]
id = "depot-1-valves"
site = "depot-1"
profile = "lpg-depot-valves"
[[device]]
id = "cv-1"
site = "cover-1"
profile = "manhole-cover"
name = { zh = "<script>alert('x')</script>\"&", en = "<script>alert('x')</script>\"&" }
[[device]]
id = "lamp-1"
site = "loop-1"
profile = "street-lamp"
position = { latitude = 27.601, longitude = 119.801 }
attributes = { rated_power_w = 100 }
"#;

/// The county above; series are numbered 1, 2, … in the order of the devices.
pub(crate) fn catalogue() -> Arc<Catalogue> {
    let registry: Registry = toml::from_str(REGISTRY).unwrap();
    let profiles = telemetry::profile::builtin().unwrap();
    let mut next = 0;
    let number = |_: &telemetry::DeviceId, _: &telemetry::profile::Signal| {
        next += 1;
        SeriesId(next)
    };
    Arc::new(Catalogue::build(registry, &profiles, number).unwrap())
}

pub(crate) fn place(catalogue: &Catalogue, site: &str) -> usize {
    catalogue
        .sites()
        .iter()
        .position(|s| s.id.as_str() == site)
        .unwrap()
}

/// Somebody knows of it.
pub(crate) fn acknowledge(alarm: &mut AlarmView) {
    alarm.acknowledged = Some(Acknowledged {
        at: NOW.into(),
        by: "王工".into(),
        remark: "已派人".into(),
    });
    alarm.state = AlarmStage::Acknowledged;
}

/// An open alarm of a rule of a device's profile, raised now.
pub(crate) fn alarm(catalogue: &Catalogue, device: &str, rule: &str) -> AlarmView {
    let entry = catalogue.device(device).unwrap();
    let site = catalogue.site_of(entry).unwrap();
    let rule = entry.profile.rules.iter().find(|r| &*r.id == rule).unwrap();
    let signal = rule
        .signal
        .as_ref()
        .and_then(|name| entry.profile.signal_index(name.as_str()));
    let signal = signal.map(|place| &entry.profile.signals[place]);
    let title = telemetry::profile::Title {
        zh: device.into(),
        en: device.into(),
    };
    AlarmView {
        id: format!("{device}~{}~1", rule.id),
        rule: format!("{device}/{}", rule.id),
        title: rule.title.clone(),
        priority: rule.priority,
        life_safety: entry.profile.life_safety,
        silence: rule.kind == telemetry::profile::RuleKind::Silence,
        state: AlarmStage::Unacknowledged,
        open: true,
        stale: false,
        durable: true,
        tags: Vec::new(),
        site: site.id.clone(),
        site_name: site.name.clone(),
        device: entry.device.id.clone(),
        device_name: entry.device.name.clone().unwrap_or(title),
        signal: signal.map(|signal| signal.name.to_string()),
        signal_title: signal.map(|signal| signal.title.clone()),
        unit: signal.map(|signal| signal.unit.to_string()),
        decimals: signal.map_or(0, |signal| signal.decimals),
        value: Some(3.4),
        limit: Some(3.3),
        since: NOW.into(),
        raised: NOW.into(),
        returned: None,
        acknowledged: None,
        raised_seq: 1,
    }
}

/// Alarms in memory.
pub(crate) struct MemoryBook {
    log: ServiceBook,
    alarms: Mutex<Vec<AlarmView>>,
    changes: broadcast::Sender<AlarmView>,
}

impl MemoryBook {
    pub(crate) fn new(alarms: Vec<AlarmView>, log: ServiceBook) -> Self {
        Self {
            log,
            alarms: Mutex::new(alarms),
            changes: broadcast::Sender::new(16),
        }
    }
}

impl AlarmBook for MemoryBook {
    fn list(&self, wanted: &Wanted) -> Result<Vec<AlarmView>, Box<dyn std::error::Error + Send + Sync>> {
        let all = self.alarms.lock().unwrap();
        let site = |alarm: &AlarmView| {
            wanted
                .site
                .as_deref()
                .is_none_or(|site| alarm.site.as_str() == site)
        };
        let fits = |alarm: &&AlarmView| (alarm.open || !wanted.open_only) && site(alarm);
        Ok(all.iter().filter(fits).take(wanted.limit).cloned().collect())
    }

    fn log(&self, wanted: &LogFilter) -> Result<Vec<LogView>, Box<dyn std::error::Error + Send + Sync>> {
        self.log.log(wanted)
    }

    fn acknowledge(&self, id: &str, by: &str, remark: &str) -> Result<AlarmView, AckError> {
        let mut all = self.alarms.lock().unwrap();
        let found = all.iter_mut().find(|alarm| alarm.id == id);
        let alarm = found.ok_or_else(|| AckError::Unknown(id.to_owned()))?;
        if !alarm.state.wants_acknowledgement() {
            return Err(AckError::NotOwed {
                id: id.to_owned(),
                why: "already acknowledged".to_owned(),
            });
        }
        alarm.acknowledged = Some(Acknowledged {
            at: NOW.into(),
            by: by.into(),
            remark: remark.into(),
        });
        alarm.state = AlarmStage::Acknowledged;
        drop(self.changes.send(alarm.clone()));
        Ok(alarm.clone())
    }

    fn act(&self, id: &str, act: Act, by: &str, _remark: &str) -> Result<AlarmView, AckError> {
        let mut all = self.alarms.lock().unwrap();
        let found = all.iter_mut().find(|alarm| alarm.id == id);
        let alarm = found.ok_or_else(|| AckError::Unknown(id.to_owned()))?;
        if act == Act::Reset || alarm.life_safety {
            return Err(AckError::NotAllowed {
                what: id.to_owned(),
                why: format!("{by} may not"),
            });
        }
        alarm.state = AlarmStage::Shelved;
        Ok(alarm.clone())
    }

    fn act_on_device(&self, device: &str, act: DeviceAct, by: &str, _remark: &str) -> Result<(), AckError> {
        match act {
            DeviceAct::EndTest => Err(AckError::NotAllowed {
                what: device.to_owned(),
                why: format!("{by} may not"),
            }),
            _ => Ok(()),
        }
    }

    fn rules(&self, _site: Option<&str>, device: Option<&str>) -> InForce {
        InForce {
            version: 3,
            book: "2026-12".to_owned(),
            digest: "00".to_owned(),
            since: NOW,
            next_change: None,
            count: 0,
            rules: Vec::new(),
            groups: device
                .map(|device| GroupView {
                    id: device.to_owned(),
                    points: 2,
                    active: 0,
                    gravest: None,
                })
                .into_iter()
                .collect(),
        }
    }

    fn changes(&self) -> Box<dyn Changes> {
        Box::new(Following(self.changes.subscribe()))
    }
}

struct Following(broadcast::Receiver<AlarmView>);

impl Changes for Following {
    fn next<'a>(&'a mut self) -> std::pin::Pin<Box<dyn Future<Output = Change> + Send + 'a>> {
        Box::pin(async move {
            self.0
                .recv()
                .await
                .map_or(Change::Over, |alarm| Change::Alarm(Box::new(alarm)))
        })
    }
}

/// Knows the device `st-1` and the token `twp_good`, and remembers nothing.
struct Clerk;

/// Writes ten lines; of the series `endless` until nobody takes any more, of `broken` ten lines and fails.
struct Scribe;

impl Exporter for Scribe {
    fn plan(&self, order: ExportOrder) -> Result<ExportJob, String> {
        let what = order.series.first().cloned().unwrap_or_default();
        if what == "nothing" {
            return Err("no series is like \"nothing\"".to_owned());
        }
        Ok(Box::new(move |to, cancel| {
            let mut line = 0;
            while line < 10 || (what == "endless" && !cancel.is_cancelled()) {
                writeln!(to, "{line}")?;
                line += 1;
            }
            match what.as_str() {
                "broken" => Err(std::io::Error::other("the disk is gone")),
                "panic" => panic!("a defect, on purpose"),
                _ => Ok(()),
            }
        }))
    }
}

impl Clerk {
    fn shown(holder: Holder, name: &str, by: Option<&str>) -> Result<Credential, RegistrarError> {
        if (holder, name) != (Holder::Device, "st-1") {
            return Err(RegistrarError::Unknown(format!("{} {name}", holder.name())));
        }
        Ok(Credential {
            name: name.to_owned(),
            kind: holder.name(),
            enabled: true,
            password_of: "own",
            revision: 1,
            changed_at: None,
            changed_by: by.map(str::to_owned),
            rotated_at: None,
            old_until: None,
            publish: None,
            subscribe: None,
        })
    }
}

impl Registrar for Clerk {
    fn credential(&self, holder: Holder, name: &str) -> Result<Credential, RegistrarError> {
        Self::shown(holder, name, None)
    }

    fn accounts(&self) -> Result<Vec<Credential>, RegistrarError> {
        Ok(Vec::new())
    }

    fn change(
        &self,
        holder: Holder,
        name: &str,
        action: CredentialAction,
        by: &str,
    ) -> Result<Changed, RegistrarError> {
        Ok(Changed {
            credential: Self::shown(holder, name, Some(by))?,
            password: matches!(action, CredentialAction::Rotate { .. }).then(|| "told-once".to_owned()),
            takes_effect: "now",
        })
    }

    fn provision(&self, token: &str, device: &str) -> Result<Changed, RegistrarError> {
        if token != "twp_good" {
            return Err(RegistrarError::Token);
        }
        self.change(
            Holder::Device,
            device,
            CredentialAction::Rotate {
                grace: telemetry::time::Span::ZERO,
            },
            "token",
        )
    }
}

/// Nobody ever raised an alarm.
struct NoFacts;

impl AlarmFacts for NoFacts {
    fn facts(
        &self,
        _: &SiteId,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<Vec<AlarmFact>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Vec::new())
    }
}

/// No rule is known: a person decides alone.
struct NoTelemetry;

impl Evidence for NoTelemetry {
    fn of(
        &self,
        _: &CaseAlarm,
        _: Timestamp,
    ) -> Result<Option<Telemetry>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(None)
    }
}

/// The cases in that database, by the rules of the program.
fn cases(state: &Arc<State>, catalogue: &Arc<Catalogue>, clock: &Arc<ManualClock>) -> Arc<CaseService> {
    let rules = Rules {
        settings: CaseSettings::default(),
        calendar: Calendar::builtin().unwrap(),
        deadlines: Deadlines::builtin().unwrap(),
    };
    let (state, of, clock) = (Arc::clone(state), Arc::clone(catalogue), Arc::clone(clock));
    Arc::new(CaseService::open(state, of, clock, Arc::new(NoTelemetry), rules).unwrap())
}

/// The web over the county above, with everything that a test may put into it.
pub(crate) struct County {
    pub(crate) app: Arc<App>,
    pub(crate) router: Router,
    pub(crate) series: Arc<MemorySeries>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) cancel: CancellationToken,
    _folder: tempfile::TempDir,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl County {
    /// With those alarms and that access, decided once.
    pub(crate) async fn with(alarms: &[(&str, &str)], access: Access) -> Self {
        Self::with_push(alarms, access, None).await
    }

    /// The same, with a door for pushed readings.
    pub(crate) async fn with_push(alarms: &[(&str, &str)], access: Access, push: Option<Push>) -> Self {
        let catalogue = catalogue();
        let series = Arc::new(MemorySeries::default());
        let clock = Arc::new(ManualClock::at(NOW));
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
        let cases = cases(&state, &catalogue, &clock);
        let figures = Figures::new(
            Arc::clone(&catalogue),
            series.clone(),
            Arc::new(NoFacts),
            Policy::builtin().unwrap(),
            clock.clone(),
        )
        .map(|figures| figures.with_cases(cases.clone()))
        .unwrap();
        // Its log is known since long ago, and the engine has run ever since.
        state.alarms_were_down(NOW.minus(KNOWN)).unwrap();
        let service = AlarmService::open(
            Arc::clone(&state),
            Arc::clone(&catalogue),
            clock.clone(),
            Arc::clone(figures.sun()) as _,
            AlarmSettings::default(),
        );
        let service = Arc::new(service.unwrap());
        let log = ServiceBook::new(Arc::clone(&service), Arc::clone(&catalogue));
        let figures = figures.with_alarm_log(service, HealthPolicy::builtin().unwrap());
        let alarms = alarms
            .iter()
            .map(|(device, rule)| alarm(&catalogue, device, rule))
            .collect();
        let cancel = CancellationToken::new();
        let web = Web {
            catalogue: Arc::clone(&catalogue),
            series: series.clone(),
            state,
            cases,
            alarms: Arc::new(MemoryBook::new(alarms, log)),
            figures: Arc::new(figures),
            clock,
            live: Arc::new(LiveFeed::new(Arc::clone(&catalogue))),
            field: Arc::new(crate::field::NoField),
            access,
            push,
            registrar: Arc::new(Clerk),
            exporter: Arc::new(Scribe),
            metrics: Arc::new(|| "townwatch_more 1\n".to_owned()),
            readiness: Arc::new(|| None),
        };
        let app = App::new(web, cancel.clone());
        crate::pulse::decide(&app).await;
        let router = crate::routes::router(Arc::clone(&app));
        Self {
            app,
            router,
            series,
            catalogue,
            cancel,
            _folder: folder,
        }
    }

    /// Open to all, with one critical alarm of the station and one of the hostile cover.
    pub(crate) async fn open() -> Self {
        Self::with(
            &[("st-1", "SW-LEVEL-HH"), ("cv-1", "COVER-OPEN")],
            Access::OpenOnLoopback,
        )
        .await
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 16 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text,
        }
    }

    pub(crate) async fn get(&self, address: &str) -> Answer {
        self.ask(
            Request::get(address)
                .header("host", "127.0.0.1:8080")
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn post(&self, address: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post(address).header("host", "127.0.0.1:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}
