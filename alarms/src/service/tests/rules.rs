//! Rules that change while the service runs, by their day and by hand.

use super::*;
use crate::rules::RuleBook;

/// 1970-01-02 begins in Shanghai, 8 h east, after 16 h in UTC.
const SECOND_DAY: i64 = 57_600;

fn book(text: &str) -> Arc<RuleBook> {
    Arc::new(RuleBook::parse("rules.toml", text).unwrap())
}

fn open_of(service: &AlarmService, rule: &str) -> Vec<AlarmView> {
    let mut open = service.list(&open_only()).unwrap();
    open.retain(|alarm| alarm.rule == rule);
    open
}

fn stricter() -> Arc<RuleBook> {
    book(
        "version = \"hot work\"\n[[override]]\nrule = \"HI\"\ndevice = \"G1\"\nfrom = \"1970-01-02\"\nlimit = 15\n\
         reason = \"hot work\"\n",
    )
}

#[test]
fn a_rule_changes_by_its_day_and_the_last_fresh_value_is_judged_by_it() {
    let mut desk = Desk::new();
    desk.settings.book = stricter();
    let service = desk.open();
    // Given 18 %LEL, below the profile's limit of 25,
    desk.to(SECOND_DAY - 5);
    service.observe(&desk.batch(1, &[("G1", SECOND_DAY - 5, 18.0, GOOD)]));
    service.tick();
    assert_eq!(open_of(&service, "G1/HI"), []);
    assert_eq!(service.rules_in_force(None, Some("G1")).version, 1);
    // when the day of the stricter limit begins,
    desk.to(SECOND_DAY);
    service.tick();
    // then it is raised without a new sample, and a new version is in force.
    let open = open_of(&service, "G1/HI");
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(open[0].limit, Some(15.0));
    let now = service.rules_in_force(None, Some("G1"));
    assert_eq!(
        (now.version, now.book.as_str(), now.next_change),
        (2, "hot work", None)
    );
    let rule = now.rules.iter().find(|rule| rule.id == "G1/HI").unwrap();
    assert_eq!(rule.changed.as_deref(), Some("rules.toml:2: hot work"));
    // The row of the log names the version that raised it.
    let log = service.log(None, 10).unwrap();
    let raised = (log.iter())
        .find(|row| row.event == "raised" && row.rule == "G1/HI")
        .unwrap();
    assert_eq!(raised.detail["rules"], 2);
}

#[test]
fn a_rule_that_is_gone_is_closed_and_goes_on_with_its_next_occurrence_when_it_comes_back() {
    let desk = Desk::new();
    let service = desk.open();
    desk.to(10);
    service.observe(&desk.batch(1, &[("G1", 10, 40.0, GOOD), ("L1", 10, 10.0, GOOD)]));
    assert_eq!(service.list(&open_only()).unwrap().len(), 1);
    // When it is switched off by two,
    let off = book(
        "[[override]]\nrule = \"HI\"\ndevice = \"G1\"\nenabled = false\napproved_by = [\"Li\", \"Wang\"]\nreason = \"moved\"\n",
    );
    assert_eq!(service.change_rules(Arc::clone(&off), "li").unwrap(), 2);
    // then its alarm is closed in the log, with who did it,
    assert_eq!(service.list(&open_only()).unwrap(), []);
    let log = service.log(None, 10).unwrap();
    let closed = log.iter().find(|row| row.event == "closed").unwrap();
    assert_eq!(
        (closed.rule.as_str(), closed.by.as_deref()),
        ("G1/HI", Some("li"))
    );
    // the same book again changes nothing,
    assert_eq!(service.change_rules(off, "li").unwrap(), 2);
    // and a later one that has the rule again raises occurrence 2, not 1 again.
    assert_eq!(service.change_rules(Arc::default(), "li").unwrap(), 3);
    desk.to(20);
    service.observe(&desk.batch(2, &[("G1", 20, 41.0, GOOD)]));
    let open = service.list(&open_only()).unwrap();
    assert_eq!(
        open.iter().map(|alarm| alarm.id.as_str()).collect::<Vec<_>>(),
        ["G1~HI~2"]
    );
    // Others went on all the while.
    desk.to(40);
    service.observe(&desk.batch(3, &[("L1", 40, 85.0, GOOD)]));
    desk.to(55);
    service.tick();
    assert!(
        (service.list(&open_only()).unwrap().iter()).any(|alarm| alarm.rule == "L1/HI"),
        "{:?}",
        service.list(&open_only())
    );
}

#[test]
fn versions_go_on_over_restarts_and_a_refused_book_changes_nothing() {
    let mut desk = Desk::new();
    {
        let service = desk.open();
        assert_eq!(service.change_rules(stricter(), "li").unwrap(), 2);
        let wrong = book("[[override]]\nrule = \"NONE\"\nlimit = 1\nreason = \"x\"\n");
        let refusal = service.change_rules(wrong, "li").unwrap_err();
        assert!(
            telemetry::with_causes(&refusal).contains("rules.toml:1"),
            "{refusal}"
        );
        assert_eq!(service.rules_in_force(None, None).version, 2);
    }
    // The same rules after a restart are the same version; others are a new one.
    desk.settings.book = stricter();
    assert_eq!(desk.open().rules_in_force(None, None).version, 2);
    desk.settings.book = Arc::default();
    assert_eq!(desk.open().rules_in_force(None, None).version, 3);
}

#[test]
fn points_of_several_devices_vote_in_the_server() {
    let mut desk = Desk::new();
    desk.settings.book = book(
        "[[group]]\nid = \"farm\"\ntitle = { zh = \"罐区\", en = \"tank farm\" }\nmembers = [\"G1/gas\", \"L1/level\"]\n\
         [[rule]]\nid = \"2OO2\"\ntitle = { zh = \"二选二\", en = \"two of two\" }\nkind = \"vote\"\ngroup = \"farm\"\n\
         votes = 2\nlimit = 15\n",
    );
    let service = desk.open();
    desk.to(10);
    service.observe(&desk.batch(1, &[("L1", 10, 10.0, GOOD), ("G1", 10, 20.0, GOOD)]));
    // One of two is not enough. (A voter that was never heard of would not be waited for.)
    assert_eq!(service.list(&open_only()).unwrap(), []);
    desk.to(12);
    service.observe(&desk.batch(2, &[("L1", 12, 16.0, GOOD)]));
    let open = service.list(&open_only()).unwrap();
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(
        (open[0].id.as_str(), open[0].device.as_str()),
        ("G1~2OO2~1", "G1")
    );
    let group = &service.rules_in_force(None, None).groups[0];
    assert_eq!((group.id.as_str(), group.points), ("farm", 2));
    service.acknowledge("G1~2OO2~1", "li", "on the way").unwrap();
}
