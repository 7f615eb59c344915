//! What a kind of site and a condition look like: shape, colour and letter, so that colour is never alone.

use telemetry::profile::Priority;
use telemetry::registry::SiteKind;

use crate::live::condition::{Condition, Tier};
use crate::text::{self, Lang};

/// The outline of a kind of site around 0, 0, as an SVG path; 12 to 20 px wide.
#[must_use]
pub const fn outline(kind: SiteKind) -> &'static str {
    match kind {
        SiteKind::LpgDepot => "M0-11L11 0L0 11L-11 0Z",
        SiteKind::LpgDeliveryPoint => "M0-7L7 0L0 7L-7 0Z",
        SiteKind::SewageStation => "M-6.5-6.5H6.5V6.5H-6.5Z",
        SiteKind::ManholeCover => "M-5 0A5 5 0 1 1 5 0A5 5 0 1 1 -5 0Z",
        SiteKind::LightingLoop => "M0-7.5L7 5.5H-7Z",
        SiteKind::Bridge | SiteKind::Server => "M-9-4H9V4H-9Z",
        SiteKind::DustStation => "M-3.5-6.5H3.5L7 0L3.5 6.5H-3.5L-7 0Z",
        SiteKind::WasteBin => "M-6-5H6L4 6H-4Z",
    }
}

/// The fill of a condition. Chosen to stay apart for the colour-blind together with the letters.
#[must_use]
pub const fn fill(condition: Condition) -> &'static str {
    match condition {
        Condition::NoData | Condition::Tier(Tier::Grey) => "#9aa3ad",
        Condition::Normal => "#2f8f5b",
        Condition::Alarm(Priority::Critical) => "#b3123f",
        Condition::Alarm(Priority::High) => "#d9541e",
        Condition::Alarm(Priority::Medium) => "#c99700",
        Condition::Alarm(Priority::Low) => "#6b63b5",
        Condition::Tier(Tier::Blue) => "#1f66c1",
        Condition::Tier(Tier::Yellow) => "#f4d000",
        Condition::Tier(Tier::Orange) => "#f08000",
        Condition::Tier(Tier::Red) => "#d01616",
    }
}

/// The colour of the letter on [`fill`].
#[must_use]
pub const fn ink(condition: Condition) -> &'static str {
    match condition {
        Condition::Tier(Tier::Yellow | Tier::Orange) => "#1d2329",
        Condition::NoData
        | Condition::Normal
        | Condition::Alarm(_)
        | Condition::Tier(Tier::Grey | Tier::Blue | Tier::Red) => "#ffffff",
    }
}

/// One letter on the symbol; empty where all is well.
#[must_use]
pub const fn letter(condition: Condition, lang: Lang) -> &'static str {
    let (zh, en) = match condition {
        Condition::NoData | Condition::Tier(Tier::Grey) => ("?", "?"),
        Condition::Normal => ("", ""),
        Condition::Alarm(Priority::Critical) => ("急", "C"),
        Condition::Alarm(Priority::High) => ("重", "H"),
        Condition::Alarm(Priority::Medium) => ("般", "M"),
        Condition::Alarm(Priority::Low) => ("示", "L"),
        Condition::Tier(Tier::Blue) => ("蓝", "B"),
        Condition::Tier(Tier::Yellow) => ("黄", "Y"),
        Condition::Tier(Tier::Orange) => ("橙", "O"),
        Condition::Tier(Tier::Red) => ("红", "R"),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// The condition in words.
#[must_use]
pub const fn words(condition: Condition, lang: Lang) -> &'static str {
    let texts = lang.texts();
    match condition {
        Condition::NoData => texts.no_data,
        Condition::Normal => texts.normal,
        Condition::Alarm(priority) => text::priority_name(priority, lang),
        Condition::Tier(Tier::Grey) => texts.grey,
        Condition::Tier(Tier::Blue) => texts.blue,
        Condition::Tier(Tier::Yellow) => texts.yellow,
        Condition::Tier(Tier::Orange) => texts.orange,
        Condition::Tier(Tier::Red) => texts.red,
    }
}

/// What is drawn later lies on top: the worse the later, gas above the rest.
#[must_use]
pub const fn rank(condition: Condition) -> u8 {
    match condition {
        Condition::Normal => 0,
        Condition::NoData => 1,
        Condition::Alarm(Priority::Low) => 2,
        Condition::Alarm(Priority::Medium) => 3,
        Condition::Alarm(Priority::High) => 4,
        Condition::Alarm(Priority::Critical) => 5,
        Condition::Tier(Tier::Blue) => 6,
        Condition::Tier(Tier::Grey) => 7,
        Condition::Tier(Tier::Yellow) => 8,
        Condition::Tier(Tier::Orange) => 9,
        Condition::Tier(Tier::Red) => 10,
    }
}
