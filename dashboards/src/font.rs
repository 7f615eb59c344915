//! The one embedded font: measures every text that plotters places, and is served to the browser.

use std::sync::OnceLock;

use plotters::style::{FontStyle, register_font};

/// A subset of WenQuanYi Micro Hei (Apache-2.0); `assets/fonts/README.md` says how it was made.
pub(crate) const TTF: &[u8] = include_bytes!("../assets/fonts/townwatch-cjk.ttf");
/// Its family name in charts, maps and style sheets.
pub(crate) const FAMILY: &str = "Townwatch";

/// Makes the font known to plotters, once per process. Without it plotters draws no text.
pub(crate) fn register() {
    static DONE: OnceLock<bool> = OnceLock::new();
    let known = DONE.get_or_init(|| register_font(FAMILY, FontStyle::Normal, TTF).is_ok());
    if !known {
        tracing::error!("the embedded font cannot be read, charts stay without text");
    }
}

#[cfg(test)]
mod tests {
    use plotters::prelude::*;

    #[test]
    fn the_font_measures_chinese_wider_than_latin() {
        super::register();
        let width = |text: &str| {
            let style: TextStyle<'_> = (super::FAMILY, 16).into_font().into();
            style.font.box_size(text).unwrap().0
        };
        assert!(width("亮灯率") > width("lit"));
        assert!(
            width("窨井盖泗瓯") > 60,
            "five hanzi at 16 px are about 80 px wide"
        );
    }
}
