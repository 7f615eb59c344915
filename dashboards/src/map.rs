//! The county map as SVG: frame and graticule drawn by plotters, sites and lamps laid on top as links with
//! titles, which plotters cannot write.
//!
//! [`symbol`] says what a kind and a condition look like; `draw` puts everything in its place; [`MapCache`]
//! draws at most once a second, however many look.

mod draw;
mod legend;
mod room;
pub mod symbol;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use telemetry::Catalogue;
use tokio::time::Instant;

pub use draw::svg;

use crate::live::LiveFeed;
use crate::live::board::Snapshot;
use crate::text::Lang;

/// The widths in which the map is drawn, in px; a wish is answered with the next smaller one.
pub const WIDTHS: [u32; 6] = [340, 480, 620, 760, 900, 1200];
/// For how long a drawn map is good.
const FRESH: Duration = Duration::from_secs(1);

/// What a map shows.
#[derive(Clone, Copy, Debug)]
pub struct MapOf<'a> {
    /// What there is.
    pub catalogue: &'a Catalogue,
    /// How the sites are.
    pub snapshot: &'a Snapshot,
    /// What the lamps said.
    pub live: &'a LiveFeed,
    /// Language of the texts.
    pub lang: Lang,
    /// Whole width, in px.
    pub width: u32,
}

/// A map and when it was drawn.
type Drawn = (Instant, Arc<str>);

/// The last drawn map of each language and width. Bounded: two languages, six widths.
#[derive(Debug, Default)]
pub struct MapCache {
    drawn: Mutex<HashMap<(Lang, u32), Drawn>>,
}

impl MapCache {
    /// The map, drawn anew when the last one is older than a second. Blocking: tens of milliseconds for
    /// 25,000 devices. While one draws, others wait and take its drawing.
    ///
    /// # Errors
    /// What `draw` answers.
    pub fn get<E>(
        &self,
        lang: Lang,
        wish: u32,
        draw: impl FnOnce(u32) -> Result<String, E>,
    ) -> Result<Arc<str>, E> {
        let width = WIDTHS
            .into_iter()
            .rfind(|width| *width <= wish)
            .unwrap_or(WIDTHS[0]);
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, map)) = drawn.get(&(lang, width))
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(map));
        }
        let map: Arc<str> = draw(width)?.into();
        drawn.insert((lang, width), (Instant::now(), Arc::clone(&map)));
        Ok(map)
    }
}

#[cfg(test)]
mod tests;
