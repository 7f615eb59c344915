//! Puts the map together.

use std::fmt::Write as _;

use plotters::backend::SVGBackend;
use plotters::coord::CoordTranslate;
use plotters::prelude::*;
use telemetry::profile::Domain;
use telemetry::registry::{Attribute, Position, Site, SiteKind};

use super::room::{Place, Taken};
use super::{MapOf, legend, symbol};
use crate::chart::scale::Axis;
use crate::font;
use crate::live::board::SiteNow;
use crate::live::condition::Condition;
use crate::svg::escape;
use crate::text;
use crate::unit;

/// Why a map could not be drawn: only when plotters or the font is broken.
#[derive(Debug, thiserror::Error)]
#[error("the map could not be drawn: {0}")]
pub struct MapError(String);

/// Colours of lamps: no data, dark, lit, alarm.
pub(super) const LAMPS: [&str; 4] = ["#b4bbc3", "#3d5a80", "#e0a100", "#c62828"];
/// Above so many sites only those in trouble are reached by the tabulator key; the list page has all.
const TAB_STOPS_MAX: usize = 300;
const LABEL_PX: f64 = 12.0;
/// What margins and degrees take of the width and of the height, in px.
const LABELS_X: u32 = 64;
const LABELS_Y: u32 = 38;
/// On a narrower map, and on one with more sites, the symbols are smaller.
const SMALL_BELOW_PX: u32 = 500;
const CROWDED_ABOVE: usize = 1000;
const RATIO_LEAST: f64 = 0.45;
const RATIO_GREATEST: f64 = 0.72;

const GRID: RGBColor = RGBColor(0xe1, 0xe5, 0xea);
const FRAME: RGBColor = RGBColor(0x9a, 0xa3, 0xad);
const INK: RGBColor = RGBColor(0x5b, 0x66, 0x70);

/// The map as an SVG document.
///
/// # Errors
/// [`MapError`] when plotters cannot draw.
pub fn svg(of: &MapOf<'_>) -> Result<String, MapError> {
    font::register();
    let mut extent = Extent::of(of);
    let plot_height = extent.fit(of.width);
    let lamps = lamps(of);
    let (legend, legend_height) = legend::draw(
        of,
        i32_of(plot_height) + 4,
        lamps.iter().any(|lamps| !lamps.is_empty()),
    );
    let height = plot_height + u32::try_from(legend_height).unwrap_or(0) + 8;
    let mut base = String::new();
    let places = {
        let root = SVGBackend::with_string(&mut base, (of.width, height)).into_drawing_area();
        let places = frame(&root, of, &extent, plot_height).map_err(|error| MapError(error.to_string()))?;
        root.present().map_err(|error| MapError(error.to_string()))?;
        places
    };
    let mut out = String::new();
    out.push_str("<g font-family=\"");
    out.push_str(font::FAMILY);
    out.push_str("\">");
    for (dots, colour) in lamps.iter().zip(LAMPS) {
        lamp_dots(&mut out, dots, colour, &places);
    }
    site_symbols(&mut out, of, &places);
    out.push_str(&legend);
    out.push_str("</g>");
    let texts = of.lang.texts();
    let county = of.lang.of(&of.catalogue.registry().county.name);
    let named = crate::svg::finish(&base, &format!("{county} {}", texts.map));
    Ok(crate::svg::overlay(&named, &out))
}

/// What the map covers, in degrees.
#[derive(Clone, Copy, Debug)]
struct Extent {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

impl Extent {
    /// All sites with a margin; around the county's seat when there are none.
    fn of(of: &MapOf<'_>) -> Self {
        let seat = of.catalogue.registry().county.position;
        let sites = on_map(of).map(|(site, _)| site.position);
        let mut extent = sites.fold(None, |extent: Option<Self>, Position { latitude, longitude }| {
            let Self {
                west,
                east,
                south,
                north,
            } = extent.unwrap_or(Self {
                west: longitude,
                east: longitude,
                south: latitude,
                north: latitude,
            });
            Some(Self {
                west: west.min(longitude),
                east: east.max(longitude),
                south: south.min(latitude),
                north: north.max(latitude),
            })
        });
        let extent = extent.get_or_insert(Self {
            west: seat.longitude,
            east: seat.longitude,
            south: seat.latitude,
            north: seat.latitude,
        });
        let margin = |low: f64, high: f64| ((high - low) * 0.05).max(0.01);
        let (x, y) = (
            margin(extent.west, extent.east),
            margin(extent.south, extent.north),
        );
        Self {
            west: extent.west - x,
            east: extent.east + x,
            south: extent.south - y,
            north: extent.north + y,
        }
    }

    /// Height in px of the drawing at which a kilometre is as long north as east. Between
    /// [`RATIO_LEAST`] and [`RATIO_GREATEST`] of the width; beyond, more is shown east and west, or north and
    /// south, so that the scale stays true.
    fn fit(&mut self, width: u32) -> u32 {
        let plot = f64::from(width.saturating_sub(LABELS_X)).max(1.0);
        let shrink = f64::midpoint(self.south, self.north).to_radians().cos().max(0.05);
        let (wide, high) = ((self.east - self.west) * shrink, self.north - self.south);
        let ratio = (high / wide).clamp(RATIO_LEAST, RATIO_GREATEST);
        let (more_wide, more_high) = ((high / ratio - wide).max(0.0), (wide * ratio - high).max(0.0));
        self.west -= more_wide / shrink / 2.0;
        self.east += more_wide / shrink / 2.0;
        self.south -= more_high / 2.0;
        self.north += more_high / 2.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the ratio is clamped and the width at most 1200"
        )]
        let height = (plot * ratio).round() as u32;
        height + LABELS_Y
    }
}

/// Draws frame, graticule and degrees; answers how a position becomes px.
fn frame(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    of: &MapOf<'_>,
    extent: &Extent,
    height: u32,
) -> Result<Projection, DrawingAreaErrorKind<std::io::Error>> {
    let (area, _) = root.split_vertically(height);
    let x = degrees(extent.west, extent.east, of.width / 110, "°E");
    let y = degrees(extent.south, extent.north, height / 80, "°N");
    let (columns, rows) = (x.ticks.len(), y.ticks.len());
    let style: TextStyle<'_> = (font::FAMILY, 14).into_font().color(&INK);
    let mut plot = ChartBuilder::on(&area)
        .margin(8)
        .set_label_area_size(LabelAreaPosition::Left, 48)
        .set_label_area_size(LabelAreaPosition::Bottom, 22)
        .build_cartesian_2d(x, y)?;
    plot.configure_mesh()
        .x_labels(columns)
        .y_labels(rows)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FRAME)
        .label_style(style)
        .draw()?;
    Ok(Projection(plot.as_coord_spec().clone()))
}

/// How a position becomes px.
struct Projection(Cartesian2d<Axis, Axis>);

impl Projection {
    fn place(&self, position: Position) -> (i32, i32) {
        self.0.translate(&(position.longitude, position.latitude))
    }
}

fn degrees(from: f64, to: f64, count: u32, suffix: &str) -> Axis {
    let raw = (to - from) / f64::from(count.clamp(2, 10));
    let step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0]
        .into_iter()
        .find(|step| *step >= raw)
        .unwrap_or(45.0);
    let decimals = if step < 0.1 { 2 } else { u8::from(step < 1.0) };
    let mut ticks = Vec::new();
    let mut at = (from / step).ceil() * step;
    while at <= to && ticks.len() < 40 {
        ticks.push((at, format!("{}{suffix}", unit::number(at, decimals))));
        at += step;
    }
    Axis::new(from, to, ticks)
}

/// Positions of the lamps that are no data, dark, lit, in alarm. A lamp is lit when its power is at least a
/// fifth of its rating (default 20 W): the limit of the rule LAMP-OUT.
fn lamps(of: &MapOf<'_>) -> [Vec<Position>; 4] {
    let mut wanted = Vec::new();
    let mut lamps = Vec::new();
    for (place, entry) in of.catalogue.devices().iter().enumerate() {
        if entry.profile.domain != Domain::Lighting {
            continue;
        }
        if let (Some(position), Some(power)) = (entry.device.position, entry.profile.signal_index("power")) {
            wanted.push((place, power));
            lamps.push((place, position, entry));
        }
    }
    let samples = of.live.samples(&wanted);
    let mut classes: [Vec<Position>; 4] = Default::default();
    for ((place, position, entry), sample) in lamps.into_iter().zip(samples) {
        let fresh = entry.profile.report_interval.millis_i64().saturating_mul(3);
        let heard = of.snapshot.heard.get(place).copied().flatten();
        let rated = match entry.device.attributes.get("rated_power_w") {
            Some(Attribute::Number(watts)) => *watts,
            Some(Attribute::Flag(_) | Attribute::Text(_)) | None => 100.0,
        };
        let class = match sample {
            _ if of.snapshot.by_device.contains_key(&place) => 3,
            Some(sample)
                if heard.is_some_and(|heard| of.snapshot.at.millis_since(heard) <= fresh)
                    && !sample.quality.is_bad() =>
            {
                if sample.value >= rated * 0.2 {
                    2
                } else {
                    1
                }
            }
            _ => 0,
        };
        if let Some(class) = classes.get_mut(class) {
            class.push(position);
        }
    }
    classes
}

/// All lamps of one colour as one path of dots: twenty thousand circles would be too many elements.
fn lamp_dots(out: &mut String, dots: &[Position], colour: &str, on: &Projection) {
    if dots.is_empty() {
        return;
    }
    let mut path = String::with_capacity(dots.len() * 12);
    for dot in dots {
        let (x, y) = on.place(*dot);
        // Writing to a String cannot fail, here and below.
        let _written = write!(path, "M{x} {y}h0");
    }
    let _written = write!(
        out,
        "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"3.4\" stroke-linecap=\"round\" fill=\"none\"/>"
    );
}

/// The sites that stand on the map, with their state: all but the server itself.
fn on_map<'a>(of: &'a MapOf<'_>) -> impl Iterator<Item = (&'a Site, &'a SiteNow)> {
    let all = of.catalogue.sites().iter().zip(&of.snapshot.sites);
    all.filter(|(site, _)| site.kind != SiteKind::Server)
}

fn site_symbols(out: &mut String, of: &MapOf<'_>, on: &Projection) {
    let mut sites: Vec<(&Site, &SiteNow)> = on_map(of).collect();
    sites.sort_by_key(|(site, now)| (symbol::rank(now.condition), site.kind == SiteKind::LpgDepot));
    let many = sites.len() > TAB_STOPS_MAX;
    let mut taken = Taken::default();
    for (site, _) in &sites {
        let (x, y) = on.place(site.position);
        if site.kind == SiteKind::LpgDepot {
            taken.put((x - 12, y - 12, x + 12, y + 12));
        }
    }
    let mut labels = String::new();
    // Names from priority low up; where it is crowded from high up.
    let named_from = if sites.len() > CROWDED_ABOVE { 4 } else { 2 };
    for (site, now) in sites.iter().rev() {
        if symbol::rank(now.condition) >= named_from {
            label(&mut labels, &mut taken, of, site, on.place(site.position));
        }
    }
    for (site, now) in sites {
        let (x, y) = on.place(site.position);
        let condition = now.condition;
        let quiet = many && symbol::rank(condition) < 2;
        let _written = write!(
            out,
            "<a href=\"/sites/{id}?lang={lang}\"{tab}><g class=\"site {code}\" transform=\"translate({x} {y}){small}\">\
             <title>{title}</title><path d=\"{shape}\" fill=\"{fill}\" stroke=\"#ffffff\"/>",
            id = site.id,
            small = scale(of, site.kind, condition),
            lang = of.lang.code(),
            tab = if quiet { " tabindex=\"-1\"" } else { "" },
            code = condition.code(),
            title = escape(&title(of, site, now)),
            shape = symbol::outline(site.kind),
            fill = symbol::fill(condition),
        );
        let letter = symbol::letter(condition, of.lang);
        if !letter.is_empty() {
            let size = match site.kind {
                SiteKind::LpgDepot => 12,
                SiteKind::ManholeCover => 7,
                _ => 9,
            };
            let _written = write!(
                out,
                "<text y=\"{}\" text-anchor=\"middle\" font-size=\"{size}\" fill=\"{}\">{letter}</text>",
                f64::from(size) * 0.36,
                symbol::ink(condition)
            );
        }
        out.push_str("</g></a>");
    }
    out.push_str(&labels);
}

/// Makes a symbol smaller where there is little room: first the quiet ones, never those of gas sites.
fn scale(of: &MapOf<'_>, kind: SiteKind, condition: Condition) -> &'static str {
    let crowded = of.catalogue.sites().len() > CROWDED_ABOVE;
    match (kind, symbol::rank(condition)) {
        (SiteKind::LpgDepot, _) if of.width >= SMALL_BELOW_PX => "",
        (_, 0) if crowded => " scale(0.45)",
        _ if crowded || of.width < SMALL_BELOW_PX => " scale(0.7)",
        _ => "",
    }
}

/// What stands in the hover title: name, kind, condition, open alarms.
fn title(of: &MapOf<'_>, site: &Site, now: &SiteNow) -> String {
    let lang = of.lang;
    let mut title = format!(
        "{} · {} · {}",
        lang.of(&site.name),
        text::kind_name(site.kind, lang),
        symbol::words(now.condition, lang)
    );
    if now.open > 0 {
        let _written = write!(title, " · {} {}", now.open, lang.texts().open_alarms);
    }
    if now.some_silent {
        let _written = write!(title, " · {}", lang.texts().some_silent);
    }
    title
}

/// Writes the name right or left of the symbol, where there is room; else leaves it to the hover title.
fn label(out: &mut String, taken: &mut Taken, of: &MapOf<'_>, site: &Site, (x, y): (i32, i32)) {
    let name: String = of.lang.of(&site.name).chars().take(24).collect();
    let width = measure(&name, LABEL_PX);
    let reach = if site.kind == SiteKind::LpgDepot { 15 } else { 10 };
    let right = (x + reach, y - 8, x + reach + width, y + 8);
    let left = (x - reach - width, y - 8, x - reach, y + 8);
    let fits = |place: &Place| place.0 > 56 && place.2 < i32_of(of.width) - 10;
    let Some(place) = [right, left]
        .into_iter()
        .find(|place| fits(place) && taken.is_free(*place))
    else {
        return;
    };
    taken.put(place);
    let _written = write!(
        out,
        "<text class=\"halo\" x=\"{}\" y=\"{}\" font-size=\"{LABEL_PX}\" fill=\"#333b44\">{}</text>",
        place.0,
        y + 4,
        escape(&name)
    );
}

/// Width of a text in px, in the embedded font.
pub(super) fn measure(text: &str, px: f64) -> i32 {
    let style: TextStyle<'_> = (font::FAMILY, px).into_font().into();
    style
        .font
        .box_size(text)
        .map_or(0, |(width, _)| i32::try_from(width).unwrap_or(0))
        + 1
}

fn i32_of(px: u32) -> i32 {
    i32::try_from(px).unwrap_or(i32::MAX)
}
