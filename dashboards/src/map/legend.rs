//! The legend below the map: which shape is which kind, which colour and letter is which condition.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::MapOf;
use super::symbol;
use crate::live::condition::Condition;
use crate::svg::escape;
use crate::text;

const LINE_PX: i32 = 22;
const TEXT_PX: f64 = 12.0;
const GAP_PX: i32 = 14;

/// The legend as SVG elements, with its height. `y` is its upper edge; lines break at the width of the map.
pub(super) fn draw(of: &MapOf<'_>, y: i32, has_lamps: bool) -> (String, i32) {
    let width = i32::try_from(of.width).unwrap_or(i32::MAX);
    let mut flow = Flow {
        x: 12,
        y: y + LINE_PX / 2,
        width,
        out: String::new(),
    };
    let kinds: BTreeSet<_> = of.catalogue.sites().iter().map(|site| site.kind).collect();
    for kind in text::KINDS.into_iter().filter(|kind| kinds.contains(kind)) {
        let shape = format!(
            "<path d=\"{}\" fill=\"none\" stroke=\"#5b6670\" stroke-width=\"1.5\"/>",
            symbol::outline(kind)
        );
        flow.put(&shape, 12, text::kind_name(kind, of.lang));
    }
    flow.line();
    let counts = of.snapshot.counts();
    let shown = Condition::ALL.into_iter().filter_map(|condition| {
        let count = *counts.sites.get(condition.code())?;
        Some((condition, count))
    });
    for (condition, count) in shown {
        let shape = format!(
            "<rect x=\"-8\" y=\"-8\" width=\"16\" height=\"16\" rx=\"2\" fill=\"{}\"/>\
             <text y=\"4\" text-anchor=\"middle\" font-size=\"11\" fill=\"{}\">{}</text>",
            symbol::fill(condition),
            symbol::ink(condition),
            symbol::letter(condition, of.lang)
        );
        flow.put(
            &shape,
            9,
            &format!("{} {count}", symbol::words(condition, of.lang)),
        );
    }
    if has_lamps {
        flow.line();
        let texts = of.lang.texts();
        for (class, words) in
            super::draw::LAMPS
                .iter()
                .zip([texts.no_data, texts.lamp_dark, texts.lamp_lit, texts.in_alarm])
        {
            let dot = format!("<circle r=\"3\" fill=\"{class}\"/>");
            flow.put(&dot, 4, &format!("{} {words}", texts.lamps));
        }
    }
    let height = flow.y + LINE_PX / 2 - y;
    (flow.out, height)
}

struct Flow {
    x: i32,
    y: i32,
    width: i32,
    out: String,
}

impl Flow {
    fn put(&mut self, shape: &str, half: i32, words: &str) {
        let text = super::draw::measure(words, TEXT_PX);
        let whole = half * 2 + 5 + text + GAP_PX;
        if self.x > 12 && self.x + whole - GAP_PX > self.width - 4 {
            self.line();
        }
        let (x, y) = (self.x + half, self.y);
        // Writing to a String cannot fail.
        let _written = write!(
            self.out,
            "<g transform=\"translate({x} {y})\">{shape}<text class=\"ink\" x=\"{}\" y=\"4\" font-size=\"{TEXT_PX}\" \
             fill=\"#333b44\">{}</text></g>",
            half + 5,
            escape(words)
        );
        self.x += whole;
    }

    fn line(&mut self) {
        if self.x > 12 {
            self.x = 12;
            self.y += LINE_PX;
        }
    }
}
