//! What the attributes of the registry are called on pages.

use telemetry::registry::Attribute;

use crate::text::Lang;

/// Attribute, Chinese, English, unit. Source of the names: [`telemetry::registry::Attributes`].
const NAMES: [(&str, &str, &str, &str); 16] = [
    ("design_capacity_tpd", "设计规模", "design capacity", "t/d"),
    ("in_service", "在运", "in service", ""),
    ("exempted", "免评", "exempted", ""),
    (
        "no_outflow_registered",
        "登记长期无出水",
        "registered without outflow",
        "",
    ),
    ("sill_m", "溢流堰高", "overflow sill", "m"),
    ("limit_cod_mg_l", "COD 限值", "COD limit", "mg/L"),
    ("limit_nh3n_mg_l", "氨氮限值", "NH3-N limit", "mg/L"),
    ("people_within_500m", "500 m 内人数", "people within 500 m", ""),
    ("lec_l", "LEC 可能性 L", "LEC likelihood L", ""),
    ("lec_e", "LEC 暴露 E", "LEC exposure E", ""),
    ("lec_c", "LEC 后果 C", "LEC consequence C", ""),
    ("volume_m3", "容积", "volume", "m³"),
    ("design_max_t", "设计最大量", "design maximum", "t"),
    ("rated_power_w", "额定功率", "rated power", "W"),
    ("road_class", "道路等级", "road class", ""),
    ("lamps", "灯数", "lamps", ""),
];

/// Name and value of an attribute; one without a name of its own shows as it is registered.
pub(crate) fn attribute(name: &str, value: &Attribute, lang: Lang) -> (String, String) {
    let known = NAMES.iter().find(|(known, ..)| *known == name);
    let title = match (known, lang) {
        (None, _) => name,
        (Some((_, zh, ..)), Lang::Zh) => zh,
        (Some((_, _, en, _)), Lang::En) => en,
    };
    let value = match (value, lang) {
        (Attribute::Flag(true), Lang::Zh) => "是".to_owned(),
        (Attribute::Flag(false), Lang::Zh) => "否".to_owned(),
        (Attribute::Flag(true), Lang::En) => "yes".to_owned(),
        (Attribute::Flag(false), Lang::En) => "no".to_owned(),
        (Attribute::Number(number), _) => number.to_string(),
        (Attribute::Text(text), _) => text.to_string(),
    };
    let unit = known.map_or("", |(.., unit)| unit);
    (title.to_owned(), format!("{value} {unit}").trim_end().to_owned())
}
