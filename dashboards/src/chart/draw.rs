//! The drawing of a chart: no decisions but places and colours.

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::Chart;
use super::scale::Axis;
use super::trace::{Mark, Trace};
use crate::font;
use crate::unit;

/// Why a chart could not be drawn: only when plotters or the font is broken.
#[derive(Debug, thiserror::Error)]
#[error("the chart could not be drawn: {0}")]
pub struct DrawError(String);

/// The colours; the style sheet of the pages replaces them by name in the dark.
const LINE: RGBColor = RGBColor(0x1f, 0x5f, 0xa8);
const BAND: RGBColor = RGBColor(0xbf, 0xd6, 0xee);
const GRID: RGBColor = RGBColor(0xe1, 0xe5, 0xea);
const FRAME: RGBColor = RGBColor(0x9a, 0xa3, 0xad);
const INK: RGBColor = RGBColor(0x33, 0x3b, 0x44);
const BAD: RGBColor = RGBColor(0xc0, 0x20, 0x20);
const DOUBT: RGBColor = RGBColor(0xb0, 0x6a, 0x00);

/// plotters writes a font size of this divided by 1.24, so 15 shows as 12 px.
const TEXT_PX: u32 = 15;
const LABEL_LEFT_PX: u32 = 58;
const LABEL_BOTTOM_PX: u32 = 26;
const TOP_PX: i32 = 28;

type Plot<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// The chart as an SVG document.
///
/// # Errors
/// [`DrawError`] when plotters cannot draw.
pub fn svg(chart: &Chart<'_>) -> Result<String, DrawError> {
    font::register();
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (chart.width, chart.height)).into_drawing_area();
        draw(&root, chart).map_err(|error| DrawError(error.to_string()))?;
        root.present().map_err(|error| DrawError(error.to_string()))?;
    }
    Ok(crate::svg::finish(&text, &label(chart)))
}

/// What a reader without eyes is told.
fn label(chart: &Chart<'_>) -> String {
    let lang = chart.lang;
    let title = lang.of(&chart.signal.title);
    let unit = unit::printed(&chart.signal.unit);
    let span = format!(
        "{} – {}",
        chart.civil.minute(chart.from),
        chart.civil.minute(chart.to)
    );
    match chart.trace.extent() {
        Some((least, greatest)) => {
            let places = chart.signal.decimals;
            let (least, greatest) = (unit::number(least, places), unit::number(greatest, places));
            format!("{title} {span}: {least} … {greatest} {unit}")
        }
        None => format!("{title} {span}: {}", lang.texts().no_data),
    }
}

type Failure = DrawingAreaErrorKind<std::io::Error>;

fn draw(root: &DrawingArea<SVGBackend<'_>, Shift>, chart: &Chart<'_>) -> Result<(), Failure> {
    let x = time_axis(chart);
    let extent = extent(chart);
    let y = Axis::of_values(chart.signal, extent, (chart.height / 45).clamp(2, 8), chart.lang);
    let style = text_style(INK);
    let unit = unit::printed(&chart.signal.unit);
    let title = chart.lang.of(&chart.signal.title);
    let head = if unit.is_empty() {
        title.to_owned()
    } else {
        format!("{title} ({unit})")
    };
    root.draw_text(&head, &style, (8, 4))?;
    let (ticks_x, ticks_y) = (x.ticks.len(), y.ticks.len());
    let mut plot = ChartBuilder::on(root)
        .margin_top(TOP_PX)
        .margin_right(14)
        .set_label_area_size(LabelAreaPosition::Left, LABEL_LEFT_PX)
        .set_label_area_size(LabelAreaPosition::Bottom, LABEL_BOTTOM_PX)
        .build_cartesian_2d(x, y)?;
    plot.configure_mesh()
        .x_labels(ticks_x)
        .y_labels(ticks_y)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FRAME)
        .label_style(style)
        .draw()?;
    bounds(&mut plot, chart)?;
    trace(&mut plot, chart)?;
    if chart.trace.segments.is_empty() {
        let text = chart.lang.texts().no_data;
        let middle = (i32_of(chart.width) / 2, i32_of(chart.height) / 2 - 8);
        root.draw_text(text, &text_style(FRAME), middle)?;
    }
    Ok(())
}

/// From the least to the greatest value, with the bounds and what they count from.
fn extent(chart: &Chart<'_>) -> (f64, f64) {
    let extent = chart.trace.extent();
    if chart.bounds.is_empty() {
        return extent.unwrap_or((0.0, 1.0));
    }
    let limits = chart.bounds.iter().map(|(limit, _)| *limit);
    let (least, greatest) = extent.unwrap_or((0.0, 0.0));
    (least.min(0.0), limits.fold(greatest, f64::max))
}

/// A line for each bound, with its words above it.
fn bounds(plot: &mut Plot<'_, '_>, chart: &Chart<'_>) -> Result<(), Failure> {
    let (from, to) = (ms(chart.from), ms(chart.to));
    for (limit, words) in &chart.bounds {
        let line = [(from, *limit), (to, *limit)];
        plot.draw_series(LineSeries::new(line, DOUBT.stroke_width(1)))?;
        let words = Text::new(words.clone(), (from, *limit), text_style(DOUBT));
        plot.draw_series([words])?;
    }
    Ok(())
}

fn time_axis(chart: &Chart<'_>) -> Axis {
    let marks_max = usize::try_from(chart.width / 70).unwrap_or(8);
    let ticks = chart.civil.ticks(chart.from, chart.to, marks_max);
    let ticks = ticks.into_iter().map(|(at, label)| (ms(at), label)).collect();
    Axis::new(ms(chart.from), ms(chart.to).max(ms(chart.from) + 1.0), ticks)
}

fn trace(plot: &mut Plot<'_, '_>, chart: &Chart<'_>) -> Result<(), Failure> {
    use telemetry::profile::SignalKind;
    let steps = matches!(chart.signal.kind, SignalKind::Bool | SignalKind::State) && !chart.trace.summarised;
    let stepped;
    let shown: &Trace = if steps {
        stepped = chart.trace.stepped();
        &stepped
    } else {
        &chart.trace
    };
    for segment in &shown.segments {
        if shown.summarised && segment.len() > 1 {
            plot.draw_series([Polygon::new(band(segment), BAND.filled())])?;
        }
        match segment.as_slice() {
            [only] => {
                let place = (ms(only.time), only.value);
                plot.draw_series([Circle::new(place, 2, LINE.filled())])?;
            }
            _ => {
                let line = segment.iter().map(|mark| (ms(mark.time), mark.value));
                plot.draw_series(LineSeries::new(line, LINE.stroke_width(1)))?;
            }
        }
    }
    let doubtful = shown
        .uncertain
        .iter()
        .map(|(time, value)| Circle::new((ms(*time), *value), 3, DOUBT));
    plot.draw_series(doubtful)?;
    let floor = plot.y_range().start;
    let bad = shown
        .bad
        .iter()
        .map(|time| Cross::new((ms(*time), floor), 3, BAD));
    plot.draw_series(bad).map(|_| ())
}

/// Along the greatest values and back along the least ones.
fn band(segment: &[Mark]) -> Vec<(f64, f64)> {
    let above = segment.iter().map(|mark| (ms(mark.time), mark.max));
    let below = segment.iter().rev().map(|mark| (ms(mark.time), mark.min));
    above.chain(below).collect()
}

fn text_style(colour: RGBColor) -> TextStyle<'static> {
    (font::FAMILY, TEXT_PX).into_font().color(&colour)
}

/// Milliseconds as plotters takes them; exact for 285,000 years.
fn ms(at: telemetry::Timestamp) -> f64 {
    at.millis() as f64
}

fn i32_of(px: u32) -> i32 {
    i32::try_from(px).unwrap_or(i32::MAX)
}
