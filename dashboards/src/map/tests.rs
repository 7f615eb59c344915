//! The map shows every site by shape, colour, letter and words, and stays small with many lamps.

use std::collections::HashMap;

use super::*;
use crate::live::Board;
use crate::live::condition::{Condition, Tier};
use crate::testkit;

fn drawn(lang: Lang, tiers: &HashMap<usize, Tier>) -> String {
    let catalogue = testkit::catalogue();
    let board = Board::new(Arc::clone(&catalogue));
    let heard = vec![Some(testkit::NOW); catalogue.devices().len()];
    let high = testkit::alarm(&catalogue, "st-1", "SW-POWER");
    let _changed = board.update(vec![high], heard, tiers, testkit::NOW);
    let live = LiveFeed::new(Arc::clone(&catalogue));
    let snapshot = board.read();
    svg(&MapOf {
        catalogue: &catalogue,
        snapshot: &snapshot,
        live: &live,
        lang,
        width: 900,
    })
    .unwrap()
}

#[test]
fn every_site_is_a_link_with_its_state_in_words() {
    let svg = drawn(Lang::Zh, &HashMap::new());
    for site in ["station-1", "depot-1", "cover-1", "loop-1", "bridge-1"] {
        assert_eq!(
            svg.matches(&format!("href=\"/sites/{site}?lang=zh\"")).count(),
            1,
            "{site}"
        );
    }
    assert!(svg.contains("<title>一号站 · 污水处理站 · 重要 · 1 未消除报警</title>"));
    assert!(
        svg.contains("<title>城南储配站 · 液化气储配站 · 灰（无数据）</title>"),
        "not computed is grey"
    );
}

#[test]
fn a_gas_site_has_its_colour_and_its_letter_in_both_languages() {
    let catalogue = testkit::catalogue();
    let tiers = HashMap::from([(testkit::place(&catalogue, "depot-1"), Tier::Orange)]);
    for (lang, letter) in [(Lang::Zh, "橙"), (Lang::En, "O")] {
        let svg = drawn(lang, &tiers);
        assert!(svg.contains(symbol::fill(Condition::Tier(Tier::Orange))));
        assert!(svg.contains(&format!(">{letter}</text>")));
    }
}

#[test]
fn the_drawing_is_well_formed_and_without_script() {
    let svg = drawn(Lang::En, &HashMap::new());
    for tag in ["svg", "g", "a", "title", "text"] {
        let opened = svg.matches(&format!("<{tag} ")).count() + svg.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, svg.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert!(!svg.contains("<script") && !svg.contains("style=\""));
}

#[test]
fn a_map_is_drawn_once_for_all_who_look_within_a_second() {
    let cache = MapCache::default();
    let mut drawn = 0;
    for wish in [900, 950, 1199] {
        let map = cache.get(Lang::Zh, wish, |width| {
            drawn += 1;
            assert_eq!(width, 900);
            Ok::<_, ()>("<svg/>".to_owned())
        });
        assert_eq!(&*map.unwrap(), "<svg/>");
    }
    assert_eq!(drawn, 1);
}
