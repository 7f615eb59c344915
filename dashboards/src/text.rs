//! The two languages of the pages: every text stands in both, side by side, or it does not compile.

use axum::http::{HeaderMap, header};
use telemetry::profile::{Priority, Title};
use telemetry::quality::{Bad, Quality, Uncertain};
use telemetry::registry::SiteKind;

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lang {
    /// Chinese (simplified): the default.
    #[default]
    Zh,
    /// English.
    En,
}

/// Name of the cookie that keeps the choice.
pub const COOKIE: &str = "townwatch_lang";

impl Lang {
    /// `zh` or `en`; none for other texts.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "zh" => Some(Self::Zh),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// The language of a request: `?lang=`, else the cookie, else `Accept-Language`, else Chinese.
    #[must_use]
    pub fn choose(query: Option<&str>, headers: &HeaderMap) -> Self {
        query
            .and_then(Self::parse)
            .or_else(|| crate::access::cookie(headers, COOKIE).and_then(Self::parse))
            .or_else(|| accepted(headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?))
            .unwrap_or_default()
    }

    /// `zh` or `en`, for addresses.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    /// For the `lang` attribute. Source: BCP 47.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Zh => Self::En,
            Self::En => Self::Zh,
        }
    }

    /// A title in this language.
    #[must_use]
    pub fn of(self, title: &Title) -> &str {
        match self {
            Self::Zh => &title.zh,
            Self::En => &title.en,
        }
    }

    /// All texts of the pages.
    #[must_use]
    pub const fn texts(self) -> &'static Texts {
        match self {
            Self::Zh => &ZH,
            Self::En => &EN,
        }
    }
}

/// The first of the two languages that stands in `Accept-Language`; browsers write them in order of weight.
fn accepted(text: &str) -> Option<Lang> {
    text.split(',').find_map(|part| {
        let tag = part.split([';', '-']).next().unwrap_or_default().trim();
        Lang::parse(&tag.to_ascii_lowercase())
    })
}

macro_rules! texts {
    ($($key:ident: $zh:literal, $en:literal;)*) => {
        /// Every text of the pages in one language.
        #[derive(Debug)]
        pub struct Texts {
            $(
                #[doc = $en]
                pub $key: &'static str,
            )*
        }
        static ZH: Texts = Texts { $($key: $zh,)* };
        static EN: Texts = Texts { $($key: $en,)* };
        #[cfg(test)]
        const PAIRS: &[(&str, &str, &str)] = &[$((stringify!($key), $zh, $en),)*];
    };
}

pub(crate) mod cases;

texts! {
    product: "镇望", "Townwatch";
    overview: "县域总览", "County";
    sites: "站点", "Sites";
    site: "站点", "Site";
    alarms: "报警", "Alarms";
    cases: "案卷", "Cases";
    case: "案卷", "Case";
    alarm_history: "报警记录", "Alarm history";
    dead_letters: "死信", "Dead letters";
    dead_letters_why: "无法解读的报文原样保留在此：不丢弃，也不计入数据。", "Messages that nobody could read are kept here as they came: not dropped, and not counted as data.";
    figures: "指标", "Figures";
    figure: "指标", "Figure";
    other_language: "English", "中文";
    skip: "跳到正文", "Skip to content";
    live: "实时", "live";
    connecting: "连接中", "connecting";
    disconnected: "连接中断，数据可能已过时", "connection lost, the page may be out of date";
    messages_per_s: "条/秒", "messages/s";
    points_per_s: "点/秒", "points/s";
    open_alarms: "未消除报警", "open alarms";
    unacknowledged: "未确认", "unacknowledged";
    map: "县域地图", "County map";
    map_loading: "地图载入中…", "loading the map…";
    download: "下载", "download";
    chart_loading: "曲线载入中…", "loading the chart…";
    failed_to_load: "载入失败", "could not be loaded";
    no_script: "本页的地图、曲线与实时更新需要 JavaScript。", "Map, charts and live updates of this page need JavaScript.";
    legend: "图例", "Legend";
    no_data: "无数据", "no data";
    some_silent: "部分设备无数据", "some devices without data";
    stale: "数据中断", "stale";
    not_durable: "尚未落盘", "not yet durable";
    normal: "正常", "normal";
    life_safety: "生命安全", "life safety";
    computed_at: "计算于", "computed at";
    not_computed: "尚未计算", "not computed yet";
    not_available: "无法给出", "not available";
    numerator: "分子", "numerator";
    denominator: "分母", "denominator";
    unknown: "未知", "unknown";
    excluded: "排除", "excluded";
    formula: "公式", "Formula";
    policy: "规则版本", "Policy";
    revision: "修订", "Revision";
    period: "时段", "Period";
    parts: "组成", "Parts";
    part: "对象", "Item";
    evidence: "依据", "Evidence";
    reason: "原因", "Reason";
    value: "数值", "Value";
    audit: "核查", "audit";
    remarks: "说明", "Remarks";
    no_open_alarms: "目前没有未消除的报警", "no open alarms now";
    no_alarms: "没有报警记录", "no alarms recorded";
    more_alarms: "条更多报警", "more alarms";
    older: "更早的报警", "older alarms";
    dropped: "因容量上限丢弃", "dropped at the bound:";
    all_alarms: "全部报警记录", "all alarms";
    since: "发生", "since";
    cleared: "消除", "cleared";
    limit: "限值", "limit";
    acknowledge: "确认", "Acknowledge";
    acknowledged_by: "已确认", "acknowledged by";
    your_name: "姓名", "Name";
    remark: "处理意见", "Remark";
    ack_failed: "确认失败", "not acknowledged";
    act_failed: "未执行", "not done";
    act_done: "已执行", "done";
    reset: "复位", "Reset";
    shelve: "搁置", "Shelve";
    unshelve: "取消搁置", "Unshelve";
    set_aside_for: "时长", "for";
    permit: "作业票", "permit";
    maintenance: "检修与测试", "maintenance and test";
    maintenance_why: "测试报警只发给测试人员；停用设备的报警照常记录，不通知", "alarms of a test go to testers only; of what is out of service they are recorded and told to nobody";
    start_test: "开始测试", "Start a test";
    end_test: "结束测试", "End the test";
    take_out: "停用", "Take out of service";
    put_back: "恢复使用", "Return to service";
    priority: "级别", "Priority";
    state: "状态", "State";
    rule: "规则", "Rule";
    device: "设备", "Device";
    devices: "设备", "Devices";
    signal: "信号", "Signal";
    unit: "单位", "Unit";
    quality: "质量", "Quality";
    age: "距今", "Age";
    time: "时间", "Time";
    kind: "类型", "Kind";
    town: "乡镇（街道）", "Town";
    name: "名称", "Name";
    organisation: "运维单位", "Operator";
    position: "位置", "Position";
    search: "搜索", "Search";
    search_hint: "名称或编号", "name or id";
    all_kinds: "全部类型", "all kinds";
    all_towns: "全部乡镇", "all towns";
    filter: "筛选", "Filter";
    found: "处", "sites";
    page: "页", "page";
    previous: "上一页", "previous";
    next: "下一页", "next";
    no_sites: "没有符合条件的站点", "no site matches";
    latest_values: "最新数值", "Latest values";
    charts: "曲线", "Charts";
    last_day: "24 小时", "24 h";
    last_week: "7 天", "7 days";
    last_month: "30 天", "30 days";
    ledger: "收数账", "Ledger";
    ledger_why: "收到 = 入库 + 重复 + 拒收 + 死信", "received = stored + duplicate + rejected + dead letters";
    adds_up: "账平", "adds up";
    does_not_add_up: "账不平", "does not add up";
    messages: "报文", "messages";
    received: "收到", "received";
    stored: "入库", "stored";
    duplicate: "重复", "duplicate";
    late: "迟到", "late";
    rejected: "拒收", "rejected";
    dead_lettered: "死信", "dead letters";
    missing: "缺号", "missing";
    bad_quality: "坏值", "bad quality";
    clock_skew: "时钟异常", "clock skew";
    last_heard: "最后通信", "last heard";
    never: "从未", "never";
    select_device: "选择设备", "Choose a device";
    more_devices: "台设备，请从下方选择", "devices: choose one below";
    lamp_lit: "亮", "lit";
    lamp_dark: "灭", "dark";
    in_alarm: "报警", "in alarm";
    lamps: "路灯", "lamps";
    lamp_note: "白天断电的路灯无数据属正常", "lamps without power by day send nothing";
    payload: "报文", "Payload";
    sender: "发送方", "Sender";
    topic: "主题", "Topic";
    arrived: "到达", "Arrived";
    no_dead_letters: "没有死信", "no dead letters";
    sign_in: "登录", "Sign in";
    token: "访问令牌", "Access token";
    token_wrong: "令牌无效", "the token is not known";
    problem: "出错了", "Something went wrong";
    back: "返回总览", "back to the county";
    coverage: "标准化运维覆盖率", "Standardised O&M coverage";
    lighting_rate: "亮灯率（昨夜）", "Lighting rate, last night";
    gas_hazard: "燃气重大危险源与四色图", "Gas hazards, four colours";
    volume: "污水处理量", "Sewage treated";
    cod: "COD减排量", "COD reduced";
    nh3n: "氨氮减排量", "NH3-N reduced";
    red: "红", "red";
    orange: "橙", "orange";
    yellow: "黄", "yellow";
    blue: "蓝", "blue";
    grey: "灰（无数据）", "grey (no data)";
    major_hazard: "重大危险源", "major hazard";
    level: "级", "level";
    not_major: "不构成", "none";
    ungraded: "未分级", "not graded";
    scope: "范围", "Scope";
    bounds: "目标与限值", "Bounds";
    met: "达标", "met";
    not_met: "未达标", "not met";
    confidence: "可信度", "confidence";
    variants: "其他口径", "Other readings";
    north: "北", "N";
    settled: "已消除", "cleared";
    returned: "已恢复未确认", "returned, unacknowledged";
    active_acked: "已确认未消除", "acknowledged, active";
    active_unacked: "未确认", "active, unacknowledged";
    latched_unacked: "锁存未确认", "latched, unacknowledged";
    latched_acked: "锁存待复位", "latched, to be reset";
    shelved: "已搁置", "shelved";
    by_design: "设计抑制", "suppressed by design";
    out_of_service: "停用", "out of service";
    history_note: "补传", "back-filled";
    uncertain: "存疑", "uncertain";
    chart_note: "线断处为无数据；× 坏值；○ 存疑值；色带为时段内最小至最大值", "a broken line is missing data; × bad value; ○ uncertain value; the band runs from least to greatest value";
    county_time: "县域时间", "County time";
}

/// What a kind of site is called.
#[must_use]
pub const fn kind_name(kind: SiteKind, lang: Lang) -> &'static str {
    let (zh, en) = match kind {
        SiteKind::SewageStation => ("污水处理站", "sewage station"),
        SiteKind::LpgDepot => ("液化气储配站", "LPG depot"),
        SiteKind::LpgDeliveryPoint => ("液化气配送点", "LPG delivery point"),
        SiteKind::ManholeCover => ("窨井盖", "manhole cover"),
        SiteKind::LightingLoop => ("路灯回路", "lighting loop"),
        SiteKind::WasteBin => ("垃圾分类箱", "waste bin"),
        SiteKind::DustStation => ("扬尘监测站", "dust station"),
        SiteKind::Bridge => ("桥隧", "bridge or tunnel"),
        SiteKind::Server => ("本服务器", "this server"),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// Every kind of site, in the order of lists and legends.
pub const KINDS: [SiteKind; 8] = [
    SiteKind::LpgDepot,
    SiteKind::LpgDeliveryPoint,
    SiteKind::SewageStation,
    SiteKind::ManholeCover,
    SiteKind::LightingLoop,
    SiteKind::Bridge,
    SiteKind::DustStation,
    SiteKind::WasteBin,
];

/// The kind as the API writes it.
#[must_use]
pub const fn kind_code(kind: SiteKind) -> &'static str {
    match kind {
        SiteKind::SewageStation => "sewage_station",
        SiteKind::LpgDepot => "lpg_depot",
        SiteKind::LpgDeliveryPoint => "lpg_delivery_point",
        SiteKind::ManholeCover => "manhole_cover",
        SiteKind::LightingLoop => "lighting_loop",
        SiteKind::WasteBin => "waste_bin",
        SiteKind::DustStation => "dust_station",
        SiteKind::Bridge => "bridge",
        SiteKind::Server => "server",
    }
}

/// What a priority is called.
#[must_use]
pub const fn priority_name(priority: Priority, lang: Lang) -> &'static str {
    let (zh, en) = match priority {
        Priority::Critical => ("紧急", "critical"),
        Priority::High => ("重要", "high"),
        Priority::Medium => ("一般", "medium"),
        Priority::Low => ("提示", "low"),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// The priority as the API writes it.
#[must_use]
pub const fn priority_code(priority: Priority) -> &'static str {
    priority_name(priority, Lang::En)
}

/// What a quality is called; the API writes [`Quality::name`].
#[must_use]
pub const fn quality_name(quality: Quality, lang: Lang) -> &'static str {
    let (zh, en) = match quality {
        Quality::Good => ("好", "good"),
        Quality::Uncertain(Uncertain::Reported) => ("存疑：设备自报", "uncertain: reported by the device"),
        Quality::Uncertain(Uncertain::ClockSkew) => ("存疑：设备时钟异常", "uncertain: clock skew"),
        Quality::Uncertain(Uncertain::Warming) => ("存疑：预热或校准", "uncertain: warming up"),
        Quality::Bad(Bad::Reported) => ("坏值：设备自报", "bad: reported by the device"),
        Quality::Bad(Bad::OutOfRange) => ("坏值：超出量程", "bad: out of range"),
        Quality::Bad(Bad::WrongType) => ("坏值：类型不符", "bad: wrong type"),
        Quality::Bad(Bad::NotFinite) => ("坏值：无数值", "bad: not a number"),
        Quality::Bad(Bad::Exception) => ("坏值：Modbus 异常应答", "bad: Modbus exception"),
        Quality::Bad(Bad::NoAnswer) => ("坏值：无应答", "bad: no answer"),
        Quality::Bad(Bad::SensorFault) => ("坏值：传感器故障", "bad: sensor fault"),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// A length of time in words, to two places: `3 min`, `2 h 5 min`, `4 天 3 h`.
#[must_use]
pub fn age(ms: i64, lang: Lang) -> String {
    let s = ms.max(0) / 1000;
    let day = if lang == Lang::Zh { "天" } else { "d" };
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} {day} {} h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_stands_in_both_languages_and_in_the_embedded_font() {
        check_pairs(PAIRS);
    }

    /// Both languages are there, each in its own script, and the font has every character.
    pub(super) fn check_pairs(pairs: &[(&str, &str, &str)]) {
        let known: std::collections::BTreeSet<char> =
            include_str!("../assets/fonts/characters.txt").chars().collect();
        for (key, zh, en) in pairs {
            assert!(!zh.trim().is_empty() && !en.trim().is_empty(), "{key}");
            let hanzi = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
            assert!(*key == "other_language" || !en.chars().any(hanzi), "{key}: {en}");
            for c in zh.chars().chain(en.chars()) {
                assert!(known.contains(&c), "{key}: the font lacks {c:?}");
            }
        }
    }

    #[test]
    fn the_language_is_the_asked_one_else_the_cookie_else_the_browser_else_chinese() {
        let with = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect()
        };
        let english = with(&[("accept-language", "fr-FR,en-GB;q=0.8,zh;q=0.5")]);
        assert_eq!(Lang::choose(None, &english), Lang::En);
        assert_eq!(Lang::choose(Some("zh"), &english), Lang::Zh);
        let cookie = with(&[("cookie", "townwatch_lang=en"), ("accept-language", "zh-CN")]);
        assert_eq!(Lang::choose(None, &cookie), Lang::En);
        assert_eq!(Lang::choose(Some("xx"), &with(&[])), Lang::Zh);
    }

    #[test]
    fn the_code_of_a_kind_is_the_one_of_the_registry() {
        for kind in KINDS {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind_code(kind));
        }
    }
}
