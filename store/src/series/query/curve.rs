//! What a chart needs of a series: no more points than pixels show, and every peak.

use telemetry::SeriesId;
use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};

use crate::series::grid::Grid;
use crate::series::reader::{SeriesError, SeriesReader};
use crate::series::sink::{Cancel, Collect};
use crate::series::window::Window;

/// Samples per pixel up to which they are drawn one by one.
const SAMPLES_PER_PIXEL: usize = 4;
/// The lengths of stored roll-ups, ms: windows of whole ones need no samples.
const WHOLE_MS: [u64; 3] = [3_600_000, 900_000, 60_000];

/// The line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// Few enough to be drawn one by one.
    Samples(Vec<Sample>),
    /// Windows of about a pixel, each with its first, least, greatest and last value: a line through these four covers
    /// the same pixels as one through all samples.
    /// Source: Jugel et al., M4: A Visualization-Oriented Time Series Data Aggregation, PVLDB 7(10), 2014.
    Windows {
        /// Those that hold anything.
        windows: Vec<Window>,
        /// Their length.
        width: Span,
    },
}

/// The curve of `series` over `from..to` on `pixels` (at least 1) pixels. Where a pixel is longer than a minute,
/// windows are whole minutes, quarters or hours of the UTC clock, so there may be fewer than pixels, and the first
/// may begin before `from`.
///
/// # Errors
/// [`SeriesError`] when it is cancelled or the store fails.
pub fn curve(
    reader: &dyn SeriesReader,
    series: SeriesId,
    from: Timestamp,
    to: Timestamp,
    pixels: usize,
    cancel: &Cancel,
) -> Result<Curve, SeriesError> {
    let mut few = Collect::up_to(pixels.max(1).saturating_mul(SAMPLES_PER_PIXEL));
    reader.scan(series, from, to, cancel, &mut few)?;
    if !few.is_overfull() {
        return Ok(Curve::Samples(few.found));
    }
    let (begin, width) = aligned(from, to, pixels);
    let windows = reader.windows_in(series, &Grid::every(begin, to, width), cancel)?;
    Ok(Curve::Windows { windows, width })
}

/// Where windows of about a pixel begin, and their length.
fn aligned(from: Timestamp, to: Timestamp, pixels: usize) -> (Timestamp, Span) {
    let ms = u64::try_from(to.millis_since(from)).unwrap_or(1);
    let pixel = ms.div_ceil(pixels.max(1) as u64).max(1);
    let whole = WHOLE_MS.into_iter().find(|whole| pixel >= *whole);
    let width = Span::from_millis(whole.map_or(pixel, |whole| pixel.div_ceil(whole) * whole));
    match whole.and_then(|whole| i64::try_from(whole).ok()) {
        Some(whole) => (
            Timestamp::from_millis(from.millis().div_euclid(whole) * whole),
            width,
        ),
        None => (from, width),
    }
}
