//! The results as text for people and as JSON for programs.

use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::UnitResult;
use super::compute::{Identified, Level};
use crate::columns::align;

/// Which language people get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// 中文.
    #[default]
    Chinese,
    /// English.
    English,
}

/// One JSON value, an array of one object a unit:
/// `{"id","s","major_hazard","alpha","r","level"}`, the numbers with every digit of the decimal.
#[must_use]
pub fn json(results: &[UnitResult]) -> String {
    let mut out = String::from("[");
    for (place, result) in results.iter().enumerate() {
        let Identified {
            s,
            major_hazard,
            alpha,
            r,
            level,
        } = &result.identified;
        let id = serde_json::Value::from(result.id.as_str());
        let level = level.map_or_else(|| "null".to_owned(), |level| u8::from(level).to_string());
        let comma = if place == 0 { "" } else { "," };
        let (alpha, r) = (or_null(*alpha), or_null(*r));
        // Writing to a String cannot fail.
        let _infallible = write!(
            out,
            "{comma}\n  {{\"id\": {id}, \"s\": {}, \"major_hazard\": {major_hazard}, \"alpha\": {alpha}, \"r\": {r}, \"level\": {level}}}",
            s.normalize(),
        );
    }
    out.push_str("\n]\n");
    out
}

fn or_null(number: Option<Decimal>) -> String {
    number.map_or_else(|| "null".to_owned(), |number| number.normalize().to_string())
}

/// A table with a head line, one line a unit.
#[must_use]
pub fn text(results: &[UnitResult], language: Language) -> String {
    let chinese = language == Language::Chinese;
    let head: [&str; 6] = if chinese {
        [
            "单元",
            "S = Σq/Q",
            "500 m内人数",
            "α",
            "R",
            "结论（GB 18218-2018）",
        ]
    } else {
        [
            "unit",
            "S = Σq/Q",
            "people within 500 m",
            "α",
            "R",
            "result (GB 18218-2018)",
        ]
    };
    let mut rows: Vec<[String; 6]> = vec![head.map(str::to_owned)];
    for result in results {
        let found = &result.identified;
        let shown =
            |number: Option<Decimal>| number.map_or_else(|| "-".to_owned(), |n| n.normalize().to_string());
        rows.push([
            result.id.clone(),
            found.s.normalize().to_string(),
            result.people_within_500m.to_string(),
            shown(found.alpha),
            shown(found.r),
            verdict(found, chinese),
        ]);
    }
    align(&rows)
}

fn verdict(found: &Identified, chinese: bool) -> String {
    let Some(level) = found.level else {
        return if chinese {
            "不构成重大危险源"
        } else {
            "not a major hazard"
        }
        .to_owned();
    };
    if chinese {
        let name = match level {
            Level::One => "一级",
            Level::Two => "二级",
            Level::Three => "三级",
            Level::Four => "四级",
        };
        format!("{name}重大危险源")
    } else {
        format!("major hazard, level {}", u8::from(level))
    }
}
