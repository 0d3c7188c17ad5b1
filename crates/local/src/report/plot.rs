//! What the plots share: a time axis, inks that the style sheet recolors, and drawing into the page.
//!
//! Plotters writes fixed colors. Each is used for one purpose only, so that the style sheet can select it by the attribute
//! and give it another value on a dark page. Texts in plots are numbers, dates and fixed words, never data.

use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::{
    Cartesian2d, ChartContext, Color as _, DrawingArea, IntoDrawingArea as _, IntoFont as _, RGBColor, SVGBackend,
    Text, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What was served.
pub(super) const REFIT: RGBColor = RGBColor(0x00, 0x72, 0xB2);
/// The first champion left alone.
pub(super) const FROZEN: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
/// Where the first champion is worse.
pub(super) const SHADE: RGBColor = RGBColor(0xF0, 0xA9, 0x70);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xDF, 0xE3, 0xE8);
/// Texts.
pub(super) const INK: RGBColor = RGBColor(0x4A, 0x52, 0x60);
/// Promotions.
pub(super) const GOOD: RGBColor = RGBColor(0x00, 0x79, 0x5A);
/// What broke or was taken back.
pub(super) const BAD: RGBColor = RGBColor(0xB3, 0x26, 0x1E);
/// What was refused.
pub(super) const REFUSED: RGBColor = RGBColor(0x8A, 0x61, 0x00);
/// Waiting for people.
pub(super) const WAIT: RGBColor = RGBColor(0x6F, 0x55, 0x9E);
/// Thresholds.
pub(super) const LIMIT: RGBColor = RGBColor(0xA2, 0x3B, 0x72);
/// What was estimated before labels came.
pub(super) const ESTIMATE: RGBColor = RGBColor(0xE6, 0x9F, 0x00);
/// How far an estimate may be off.
pub(super) const INTERVAL: RGBColor = RGBColor(0xF2, 0xCF, 0x80);
/// What chance alone reaches.
pub(super) const CHANCE: RGBColor = RGBColor(0x8B, 0x92, 0x9C);

/// Plotters rounds to whole units; a unit is a quarter of a CSS pixel, so that lines are smooth.
const UNITS: i32 = 4;

/// A drawing in units.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// How drawing ends.
pub(super) type Painted = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// CSS pixels in units.
pub(super) fn px(pixels: i32) -> i32 {
    pixels * UNITS
}

/// CSS pixels in units, where plotters wants them unsigned.
pub(super) fn size(pixels: i32) -> u32 {
    px(pixels).unsigned_abs()
}

/// Draws a plot of this size in CSS pixels; `class` and `label` are the element's class and its text for screen readers.
pub(super) fn draw(
    (width, height): (i32, i32),
    class: &str,
    label: &str,
    paint: impl FnOnce(&Area<'_>) -> Painted,
) -> Markup {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (size(width), size(height))).into_drawing_area();
        paint(&area).and_then(|()| area.present()).expect("invariant: drawing into a string succeeds");
    }
    // The page has its own opening tag: without a fixed size and without a namespace, which HTML does not need.
    let begin = text.find(">\n").map_or(0, |it| it + 2);
    let end = text.rfind("</svg>").unwrap_or(text.len());
    let body = PreEscaped(&text[begin.min(end)..end]);
    let view = format!("0 0 {} {}", px(width), px(height));
    html! { svg class=(class) viewBox=(view) width=(width) height=(height) role="img" aria-label=(label) { (body) } }
}

/// A text style in CSS pixels.
pub(super) fn text_style(pixels: i32, color: &RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    // The SVG backend divides the size by 1.24.
    let font = ("sans-serif", f64::from(px(pixels)) * 1.24).into_font();
    TextStyle { font, color: color.to_backend_color(), pos: Pos::new(horizontal, vertical) }
}

/// Writes a text at a place in units.
pub(super) fn write(area: &Area<'_>, text: &str, place: (i32, i32), style: TextStyle<'static>) -> Painted {
    area.draw(&Text::new(text.to_owned(), place, style))
}

/// A plot of numbers over time.
pub(super) type TimeChart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<TimeAxis, RangedCoordf64>>;

/// Draws the axes of a plot over time, with horizontal grid lines; `tick` and `font` are in pixels.
pub(super) fn draw_axes(
    chart: &mut TimeChart<'_, '_>,
    axis: &TimeAxis,
    n_values: usize,
    tick: i32,
    font: i32,
) -> Painted {
    let labels = axis.labels();
    let time_label = |time: &i64| labels.iter().find(|it| it.0 == *time).map_or_else(String::new, |it| it.1.clone());
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(GRID.mix(0.0))
        .bold_line_style(GRID.stroke_width(size(1)))
        .axis_style(GRID.stroke_width(size(1)))
        .y_labels(n_values)
        .set_all_tick_mark_size(size(tick))
        .x_label_formatter(&time_label)
        .y_label_formatter(&|it| axis_number(*it))
        .x_label_style(text_style(font, &INK, HPos::Center, VPos::Top))
        .y_label_style(text_style(font, &INK, HPos::Right, VPos::Center))
        .draw()
}

/// The seconds of a time.
pub(super) fn seconds(time: Timestamp) -> i64 {
    time.as_second()
}

/// A time axis whose ticks are calendar dates.
#[derive(Debug, Clone)]
pub(super) struct TimeAxis {
    start: i64,
    end: i64,
    ticks: Vec<i64>,
    format: &'static str,
}

/// Distances between ticks, smallest first.
#[derive(Debug, Clone, Copy)]
enum Step {
    Hours(i64),
    Days(i64),
    Months(i8),
    Years(i16),
}

/// From hours to decades: whatever the period, few ticks.
const STEPS: [Step; 14] = [
    Step::Hours(1),
    Step::Hours(6),
    Step::Days(1),
    Step::Days(2),
    Step::Days(7),
    Step::Days(14),
    Step::Months(1),
    Step::Months(2),
    Step::Months(3),
    Step::Months(6),
    Step::Years(1),
    Step::Years(2),
    Step::Years(5),
    Step::Years(20),
];

impl TimeAxis {
    /// An axis over a period with at most `limit` ticks, where calendar steps allow it.
    pub(super) fn new(start: Timestamp, end: Timestamp, limit: usize) -> TimeAxis {
        let (start, end) = (seconds(start), seconds(end).max(seconds(start) + 60));
        let mut found = (Vec::new(), "%b");
        for step in STEPS {
            found = (ticks(step, start, end, limit), step.format());
            if found.0.len() <= limit {
                break;
            }
        }
        TimeAxis { start, end, ticks: found.0, format: found.1 }
    }

    /// The ticks with their labels; the first of each year names it, where days or months are told.
    pub(super) fn labels(&self) -> Vec<(i64, String)> {
        let mut last_year = None;
        let label = |tick: &i64| {
            let date = Timestamp::from_second(*tick).unwrap_or_default().to_zoned(TimeZone::UTC);
            let is_new = last_year.replace(date.year()) != Some(date.year());
            let text = date.strftime(self.format).to_string();
            let has_year = self.format.contains("%Y") || self.format.contains("%H");
            (*tick, if is_new && !has_year { format!("{text} {}", date.year()) } else { text })
        };
        self.ticks.iter().map(label).collect()
    }

    /// Where a time stands, from 0 at the start to 1 at the end.
    pub(super) fn share(&self, time: i64) -> f64 {
        (time.saturating_sub(self.start) as f64 / (self.end - self.start) as f64).clamp(0.0, 1.0)
    }
}

impl Step {
    fn format(self) -> &'static str {
        match self {
            Step::Hours(_) => "%-d %b %H:%M",
            Step::Days(_) => "%-d %b",
            Step::Months(_) => "%b",
            Step::Years(_) => "%Y",
        }
    }
}

fn ticks(step: Step, start: i64, end: i64, limit: usize) -> Vec<i64> {
    let mut found = Vec::new();
    let mut next = first_tick(step, start);
    // One more than allowed shows that the step is too small; further ones are not needed.
    while let Some(tick) = next.filter(|it| *it <= end && found.len() <= limit) {
        if start <= tick {
            found.push(tick);
        }
        next = match step {
            Step::Hours(hours) => tick.checked_add(3_600 * hours),
            Step::Days(days) => tick.checked_add(86_400 * days),
            Step::Months(months) => later(tick, i64::from(months)),
            Step::Years(years) => later(tick, 12 * i64::from(years)),
        };
    }
    found
}

fn first_tick(step: Step, start: i64) -> Option<i64> {
    let date = Timestamp::from_second(start).ok()?.to_zoned(TimeZone::UTC).date();
    match step {
        Step::Hours(hours) => Some(start.div_euclid(3_600 * hours) * 3_600 * hours),
        Step::Days(days) => Some(start.div_euclid(86_400 * days) * 86_400 * days),
        Step::Months(months) => midnight(Date::new(date.year(), (date.month() - 1) / months * months + 1, 1).ok()?),
        Step::Years(years) => midnight(Date::new(date.year().div_euclid(years) * years, 1, 1).ok()?),
    }
}

fn later(tick: i64, months: i64) -> Option<i64> {
    let date = Timestamp::from_second(tick).ok()?.to_zoned(TimeZone::UTC).date();
    midnight(date.checked_add(months.months()).ok()?)
}

fn midnight(date: Date) -> Option<i64> {
    Some(seconds(date.to_zoned(TimeZone::UTC).ok()?.timestamp()))
}

impl Ranged for TimeAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = i64;

    fn map(&self, value: &i64, (low, high): (i32, i32)) -> i32 {
        low + (self.share(*value) * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<i64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<i64> {
        self.start..self.end
    }
}

impl ValueFormatter<i64> for TimeAxis {
    fn format(value: &i64) -> String {
        value.to_string()
    }
}

/// A range around values that leaves some air; `None` without a value.
pub(super) fn value_range(values: impl Iterator<Item = f64>, floor: f64) -> Option<Range<f64>> {
    let mut range: Option<(f64, f64)> = None;
    for value in values.filter(|it| it.is_finite()) {
        let (low, high) = range.unwrap_or((value, value));
        range = Some((low.min(value), high.max(value)));
    }
    let (low, high) = range?;
    let air = if low < high { 0.08 * (high - low) } else { (0.1 * high.abs()).max(0.1) };
    Some((low - air).max(floor.min(low))..high + air)
}

/// A number beside an axis.
pub(super) fn axis_number(value: f64) -> String {
    let text = if 100.0 <= value.abs() { format!("{value:.0}") } else { format!("{value:.3}") };
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if short == "-0" { "0".to_owned() } else { short.replace('-', "\u{2212}") }
}

/// Cuts a line where a value is missing.
pub(super) fn segments(points: impl Iterator<Item = (i64, Option<f64>)>) -> Vec<Vec<(i64, f64)>> {
    let mut found: Vec<Vec<(i64, f64)>> = vec![Vec::new()];
    for (time, value) in points {
        match value.filter(|it| it.is_finite()) {
            Some(value) => found.last_mut().expect("invariant: there is one").push((time, value)),
            None => found.push(Vec::new()),
        }
    }
    found.retain(|it| !it.is_empty());
    found
}
