//! What a rule book changes, and what it is refused for. The county of the engine's tests: gas detector G1 (HI 25 %LEL,
//! life safety), level L1, lamp N1, pump P1, all at site s1 of organisation o.

use super::*;
use crate::engine::tests::catalogue;
use crate::rules::{Compiled, Condition, NO_DEVICE, Rule, compile};

/// 1970-01-02 begins in Shanghai, 8 h east, after 16 h in UTC.
const SECOND_DAY_S: i64 = 57_600;

fn at(seconds: i64, text: &str) -> Result<Compiled, String> {
    let book = RuleBook::parse("rules.toml", text).map_err(|error| error.to_string())?;
    let at = Timestamp::from_millis(seconds * 1000);
    compile(&catalogue(), &book, at, Span::ZERO).map_err(|error| error.to_string())
}

fn rule<'a>(compiled: &'a Compiled, id: &str) -> &'a Rule {
    compiled.rules.iter().find(|rule| &*rule.id == id).unwrap()
}

fn limit(compiled: &Compiled, id: &str) -> Option<f64> {
    rule(compiled, id).condition.limit()
}

#[test]
fn an_override_holds_on_its_days_only_and_says_why() {
    let text = "version = \"1970-01\"\n[[override]]\nrule = \"HI\"\nsite = \"s1\"\nfrom = \"1970-01-02\"\n\
                until = \"1970-01-03\"\nlimit = 20\nreason = \"hot work\"\n";
    let before = at(SECOND_DAY_S - 1, text).unwrap();
    assert_eq!(limit(&before, "G1/HI"), Some(25.0));
    assert_eq!(rule(&before, "G1/HI").changed, None);
    let on_the_day = at(SECOND_DAY_S, text).unwrap();
    assert_eq!(limit(&on_the_day, "G1/HI"), Some(20.0));
    let why = rule(&on_the_day, "G1/HI").changed.as_deref();
    assert_eq!(why, Some("rules.toml:2: hot work"));
    let after = at(SECOND_DAY_S + 86_400, text).unwrap();
    assert_eq!(limit(&after, "G1/HI"), Some(25.0));
    let book = RuleBook::parse("rules.toml", text).unwrap();
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let next = |seconds: i64| {
        book.next_change(Timestamp::from_millis(seconds * 1000), &zone)
            .map(|next| next.millis() / 1000)
    };
    assert_eq!(next(0), Some(SECOND_DAY_S));
    assert_eq!(next(SECOND_DAY_S), Some(SECOND_DAY_S + 86_400));
    assert_eq!(next(SECOND_DAY_S + 86_400), None);
}

#[test]
fn what_is_nearer_to_the_device_wins_wherever_it_stands_in_the_file() {
    let of = |place: &str, limit: u32| {
        format!("[[override]]\nrule = \"H*\"\nprofile = \"gas\"\n{place}limit = {limit}\nreason = \"test\"\n")
    };
    let (device, site) = (of("device = \"G1\"\n", 18), of("site = \"s1\"\n", 19));
    let county = of("", 21);
    assert_eq!(
        limit(&at(0, &format!("{device}{site}{county}")).unwrap(), "G1/HI"),
        Some(18.0)
    );
    assert_eq!(
        limit(&at(0, &format!("{site}{county}")).unwrap(), "G1/HI"),
        Some(19.0)
    );
    // Of equally near ones the last.
    assert_eq!(
        limit(&at(0, &format!("{county}{}", of("", 22))).unwrap(), "G1/HI"),
        Some(22.0)
    );
}

#[test]
fn a_life_safety_rule_is_weakened_by_two_persons_only() {
    let change = |keys: &str| format!("[[override]]\nrule = \"HI\"\nreason = \"test\"\n{keys}\n");
    for weaker in [
        "limit = 30",
        "enabled = false",
        "on_delay = \"10s\"",
        "schedule = \"08:00-18:00\"",
        "approved_by = [\"Li\", \"Li \"]\nlimit = 30",
    ] {
        let refusal = at(0, &change(weaker)).unwrap_err();
        assert!(
            refusal.starts_with("rules.toml:1: ") && refusal.contains("2 persons"),
            "{weaker}: {refusal}"
        );
    }
    let approved = at(0, &change("approved_by = [\"Li\", \"Wang\"]\nenabled = false")).unwrap();
    assert!(approved.rules.iter().all(|rule| &*rule.id != "G1/HI"));
    // Stricter needs nobody, and neither does what saves no life.
    assert_eq!(limit(&at(0, &change("limit = 10")).unwrap(), "G1/HI"), Some(10.0));
    let level = "[[override]]\nrule = \"HI\"\ndevice = \"L1\"\nreason = \"test\"\nlimit = 90\n";
    assert_eq!(limit(&at(0, level).unwrap(), "L1/HI"), Some(90.0));
}

#[test]
fn a_vote_looks_at_points_of_several_devices_and_its_group_protects() {
    let text = "[[group]]\nid = \"farm\"\ntitle = { zh = \"罐区\", en = \"tank farm\" }\n\
                members = [\"G1/gas\", \"L1/level\"]\n\
                [[rule]]\nid = \"2OO2\"\ntitle = { zh = \"二选二\", en = \"two of two\" }\nkind = \"vote\"\n\
                group = \"farm\"\nvotes = 2\nlimit = 30\n";
    let compiled = at(0, text).unwrap();
    let vote = rule(&compiled, "G1/2OO2");
    assert_eq!((vote.device, vote.life_safety), (NO_DEVICE, true));
    assert!(matches!(
        vote.condition,
        Condition::Vote {
            group: 0,
            votes: 2,
            ..
        }
    ));
    assert_eq!(compiled.plant.groups[0].members.len(), 2);
    let lost = rule(&compiled, "G1/farm.protection");
    assert_eq!((lost.priority, lost.system), (Priority::Critical, true));
}

#[test]
fn what_cannot_be_is_refused_with_its_line() {
    let group = "[[group]]\nid = \"g\"\ntitle = { zh = \"组\", en = \"group\" }\nmembers = [\"G1/gas\"]\n";
    let rule = |keys: &str| format!("[[rule]]\nid = \"R\"\ntitle = {{ zh = \"则\", en = \"rule\" }}\n{keys}");
    for (text, words) in [
        ("[[override]]\nrule = \"HI\"\nlimit = 20\n".to_owned(), ["rules.toml:1", "reason"]),
        (
            "\n[[override]]\nrule = \"HI\"\nreason = \"x\"\n".to_owned(),
            ["rules.toml:2", "changes nothing"],
        ),
        (
            "[[override]]\nrule = \"HI\"\nreason = \"x\"\nlimt = 20\n".to_owned(),
            ["rules.toml:4", "limt"],
        ),
        (
            "[[override]]\nrule = \"HI\"\nreason = \"x\"\nlimit = 20\nfrom = \"tomorrow\"\n".to_owned(),
            ["rules.toml:1", "YYYY-MM-DD"],
        ),
        (
            "[[override]]\nrule = \"HI\"\nreason = \"x\"\nlimit = 2\nfrom = \"2026-02-01\"\nuntil = \"2026-02-01\"\n"
                .to_owned(),
            ["rules.toml:1", "not after"],
        ),
        (
            "[[override]]\nrule = \"NONE\"\nreason = \"x\"\nlimit = 20\n".to_owned(),
            ["rules.toml:1", "no device"],
        ),
        (
            "[[override]]\nrule = \"HI\"\ndevice = \"G9\"\nreason = \"x\"\nlimit = 20\n".to_owned(),
            ["rules.toml:1", "G9"],
        ),
        (
            "[[override]]\nrule = \"silence\"\nreason = \"x\"\nlimit = 20\n".to_owned(),
            ["rules.toml:1", "limit means nothing"],
        ),
        (
            format!("{group}{}", rule("kind = \"vote\"\ngroup = \"g\"\nvotes = 2\nlimit = 1\n")),
            ["rules.toml:5", "1 to that many"],
        ),
        (
            rule("kind = \"cel\"\nexpression = \"A > 1\"\npoints = { A = \"G1/nothing\" }\n"),
            ["rules.toml:1", "nothing"],
        ),
        (
            rule("kind = \"deviation\"\npoint = \"G1/gas\"\nother = \"L1/level\"\n"),
            ["rules.toml:1", "limit is missing"],
        ),
    ] {
        let refusal = at(0, &text).unwrap_err();
        for word in words {
            assert!(refusal.contains(word), "{text}: {refusal}");
        }
    }
}

#[test]
fn an_override_of_tomorrow_is_refused_today() {
    let text =
        "[[override]]\nrule = \"HI\"\nfrom = \"2099-01-01\"\nreason = \"x\"\nlimit = 90\ndevice = \"G1\"\n";
    assert!(at(0, text).unwrap_err().contains("2 persons"));
}
