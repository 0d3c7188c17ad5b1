//! The main plot: what was served against the first champion left alone, and what happened when.

use std::ops::Range;

use maud::{Markup, html};
use plotters::prelude::{ChartBuilder, Circle, Color as _, LineSeries, PathElement, Polygon, RGBColor, Rectangle};
use plotters::style::text_anchor::{HPos, VPos};
use refit_core::policy::Direction;

use super::moments::{self, Kind, Moment};
use super::plot::{
    Area, FROZEN, GRID, INK, Painted, REFIT, SHADE, TimeAxis, draw, draw_axes, px, seconds, segments, size, text_style,
    value_range, write,
};
use super::{Report, text};
use crate::replay::QualityWindow;

/// The sizes of a plot in CSS pixels: one for screens, one for phones.
#[derive(Debug, Clone, Copy)]
struct Layout {
    class: &'static str,
    width: i32,
    chart: i32,
    left: i32,
    right: i32,
    font: i32,
    ticks: usize,
}

const WIDE: Layout = Layout { class: "plot wide", width: 1000, chart: 330, left: 76, right: 124, font: 12, ticks: 13 };
const NARROW: Layout = Layout { class: "plot narrow", width: 380, chart: 230, left: 66, right: 10, font: 11, ticks: 5 };

/// The height of one lane of markers.
const LANE: i32 = 24;

/// The height of the dates below the plot.
const DATES: i32 = 26;

/// More points than this are a line without dots.
const DOTS: usize = 80;

/// The section.
pub(super) fn section(report: &Report<'_>) -> Markup {
    let quality = &report.document.quality;
    let name = text::metric(quality.metric);
    let better = match quality.metric.direction() {
        Direction::HigherIsBetter => "higher is better",
        Direction::LowerIsBetter => "lower is better",
    };
    let moments = moments::all(report);
    let is_measured = |it: &QualityWindow| [it.frozen, it.refit].iter().flatten().any(|it| it.is_finite());
    html! {
        section id="quality" {
            h2 { "Quality over time" }
            @if quality.windows.iter().any(is_measured) {
                figure.card {
                    figcaption {
                        (name) " in each window, " (better) (unit(report)) "."
                    }
                    (legend(&moments))
                    (plot(report, &moments, WIDE))
                    (plot(report, &moments, NARROW))
                }
                (table(report))
            } @else {
                p.empty { "No window has labels yet: there is no quality to show." }
            }
        }
    }
}

/// The unit of a metric, for metrics that have one.
pub(super) fn unit(report: &Report<'_>) -> Markup {
    use refit_core::policy::Metric;
    match report.document.quality.metric {
        Metric::Mae | Metric::Rmse => html! { ", in the unit of " code { (text::visible(&report.policy.data.label)) } },
        Metric::Accuracy
        | Metric::Precision
        | Metric::Recall
        | Metric::F1
        | Metric::Auc
        | Metric::LogLoss
        | Metric::Brier
        | Metric::R2
        | Metric::AucOvrMacro
        | Metric::MacroPrecision
        | Metric::MacroRecall
        | Metric::MacroF1
        | Metric::WeightedPrecision
        | Metric::WeightedRecall
        | Metric::WeightedF1
        | Metric::SharpeRatio
        | Metric::WinRate
        | Metric::MaxDrawdown => {
            html! {}
        }
    }
}

fn legend(moments: &[Moment]) -> Markup {
    html! {
        ul.legend {
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.refit d="M0 6H26" {} circle.refit cx="13" cy="6" r="3" {} } "served (Refit)" }
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.frozen d="M0 6H26" {} } "first champion, never retrained" }
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.shade d="M0 1H26V11H0Z" {} } "never retrained is worse" }
            @for kind in Kind::ALL.into_iter().filter(|kind| moments.iter().any(|it| it.kind == *kind)) {
                li { (kind.sign()) (match kind {
                    Kind::Promoted => "promoted (version)",
                    Kind::RolledBack => "rolled back (to version)",
                    Kind::Refused => "rejected",
                    Kind::Broke => "failed",
                    Kind::Asked => "waiting for approval",
                }) }
            }
        }
    }
}

fn plot(report: &Report<'_>, moments: &[Moment], layout: Layout) -> Markup {
    let lanes: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| moments.iter().any(|it| it.kind == *kind)).collect();
    let height = layout.chart + LANE * i32::try_from(lanes.len()).unwrap_or(0) + 4;
    let label = format!(
        "{} per window: what was served against the first champion, never retrained. The values are in the table below.",
        text::metric(report.document.quality.metric)
    );
    draw((layout.width, height), layout.class, &label, |area| {
        let axis = TimeAxis::new(report.start(), report.end(), layout.ticks);
        paint_lines_of_moments(area, moments, &axis, layout, height)?;
        paint_chart(report, area, &axis, layout)?;
        for (index, kind) in lanes.iter().enumerate() {
            let middle = layout.chart + LANE * i32::try_from(index).unwrap_or(0) + LANE / 2;
            paint_lane(area, *kind, moments, &axis, layout, middle)?;
        }
        Ok(())
    })
}

/// Where a time stands across the plot, in units.
fn across(axis: &TimeAxis, layout: Layout, time: i64) -> i32 {
    px(layout.left) + (axis.share(time) * f64::from(px(layout.width - layout.left - layout.right))).round() as i32
}

/// Vertical lines at each change of the champion, behind everything else.
fn paint_lines_of_moments(
    area: &Area<'_>,
    moments: &[Moment],
    axis: &TimeAxis,
    layout: Layout,
    height: i32,
) -> Painted {
    for moment in moments.iter().filter(|it| matches!(it.kind, Kind::Promoted | Kind::RolledBack)) {
        let x = across(axis, layout, seconds(moment.at));
        let color = moment.kind.color().mix(0.45).stroke_width(size(1));
        // The dates between plot and lanes stay readable.
        area.draw(&PathElement::new([(x, px(8)), (x, px(layout.chart - DATES))], color))?;
        area.draw(&PathElement::new([(x, px(layout.chart)), (x, px(height - 4))], color))?;
    }
    Ok(())
}

fn paint_lane(
    area: &Area<'_>,
    kind: Kind,
    moments: &[Moment],
    axis: &TimeAxis,
    layout: Layout,
    middle: i32,
) -> Painted {
    let y = px(middle);
    let edges = [(px(layout.left), y), (px(layout.width - layout.right), y)];
    area.draw(&PathElement::new(edges, GRID.stroke_width(size(1))))?;
    write(area, kind.name(), (px(layout.left - 8), y), text_style(layout.font - 1, &INK, HPos::Right, VPos::Center))?;
    let mine: Vec<&Moment> = moments.iter().filter(|it| it.kind == kind).collect();
    for (index, moment) in mine.iter().enumerate() {
        let x = across(axis, layout, seconds(moment.at));
        if kind == Kind::Asked {
            // A wait has a length; a short one is still visible.
            let until = across(axis, layout, seconds(moment.until)).max(x + px(3));
            area.draw(&Rectangle::new([(x, y - px(3)), (until, y + px(3))], kind.color().filled()))?;
            continue;
        }
        kind.paint(area, (x, y))?;
        let next = mine.get(index + 1).map_or(i32::MAX, |it| across(axis, layout, seconds(it.at)));
        // Without room before the next marker the version stands in the table only.
        if let (Some(version), true) = (moment.version, px(38) <= next.saturating_sub(x)) {
            let style = text_style(layout.font - 1, &kind.color(), HPos::Left, VPos::Center);
            write(area, &format!("v{version}"), (x + px(9), y), style)?;
        }
    }
    Ok(())
}

fn middle(window: &QualityWindow) -> i64 {
    i64::midpoint(seconds(window.start), seconds(window.end))
}

fn paint_chart(report: &Report<'_>, area: &Area<'_>, axis: &TimeAxis, layout: Layout) -> Painted {
    let quality = &report.document.quality;
    let values = quality.windows.iter().flat_map(|it| [it.frozen, it.refit]).flatten();
    let (floor, _) = quality.metric.range();
    let Some(range) = value_range(values, floor) else { return Ok(()) };
    let upper = area.split_vertically(size(layout.chart)).0;
    let mut chart = ChartBuilder::on(&upper)
        .margin_top(size(8))
        .margin_right(size(layout.right))
        .x_label_area_size(size(DATES))
        .y_label_area_size(size(layout.left))
        .build_cartesian_2d(axis.clone(), range.clone())?;
    draw_axes(&mut chart, axis, 6, 4, layout.font)?;
    for shape in worse_areas(&quality.windows, quality.metric.direction()) {
        chart.draw_series([Polygon::new(shape, SHADE.mix(0.35).filled())])?;
    }
    for (color, width, value) in [(FROZEN, 2, frozen as Pick), (REFIT, 3, refit as Pick)] {
        let line: Vec<(i64, Option<f64>)> = quality.windows.iter().map(|it| (middle(it), value(it))).collect();
        for segment in segments(line.into_iter()) {
            if segment.len() == 1 || (color == REFIT && quality.windows.len() <= DOTS) {
                chart.draw_series(segment.iter().map(|it| Circle::new(*it, px(3), color.filled())))?;
            }
            chart.draw_series(LineSeries::new(segment, color.stroke_width(size(width))))?;
        }
    }
    paint_names(report, area, axis, layout, &range)
}

/// Points by time.
type Line = Vec<(i64, f64)>;

/// Reads one line's value.
type Pick = fn(&QualityWindow) -> Option<f64>;

fn frozen(window: &QualityWindow) -> Option<f64> {
    window.frozen.filter(|it| it.is_finite())
}

fn refit(window: &QualityWindow) -> Option<f64> {
    window.refit.filter(|it| it.is_finite())
}

/// The lines' names at their ends, where there is room beside the plot.
fn paint_names(report: &Report<'_>, area: &Area<'_>, axis: &TimeAxis, layout: Layout, range: &Range<f64>) -> Painted {
    if layout.right < 100 {
        return Ok(());
    }
    let windows = &report.document.quality.windows;
    let (top, bottom) = (8.0, f64::from(layout.chart - DATES));
    let mut names: Vec<(f64, i64, &str, RGBColor)> = Vec::new();
    for (name, color, value) in [("never retrained", FROZEN, frozen as Pick), ("served (Refit)", REFIT, refit as Pick)]
    {
        let last = windows.iter().rev().find_map(|it| Some((value(it)?, middle(it))));
        let Some((value, time)) = last else { continue };
        names.push((bottom - (value - range.start) / (range.end - range.start) * (bottom - top), time, name, color));
    }
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Names that would touch move apart by half of what is missing.
    if let [upper, lower] = names.as_mut_slice() {
        let missing = (18.0 - (lower.0 - upper.0)).max(0.0);
        upper.0 -= missing / 2.0;
        lower.0 += missing / 2.0;
    }
    for (y, time, name, color) in names {
        let x = across(axis, layout, time) + px(10);
        write(
            area,
            name,
            (x, (y * f64::from(px(1))).round() as i32),
            text_style(layout.font, &color, HPos::Left, VPos::Center),
        )?;
    }
    Ok(())
}

/// The areas between the lines where the frozen one is worse, cut where they cross.
fn worse_areas(windows: &[QualityWindow], direction: Direction) -> Vec<Line> {
    let mut areas = Vec::new();
    let (mut upper, mut lower): (Line, Line) = (Vec::new(), Vec::new());
    let mut before: Option<(i64, f64, f64)> = None;
    let mut close = |upper: &mut Line, lower: &mut Line| {
        if 1 < upper.len() {
            areas.push(upper.drain(..).chain(lower.drain(..).rev()).collect());
        }
        upper.clear();
        lower.clear();
    };
    for window in windows {
        let (Some(frozen), Some(refit)) = (frozen(window), refit(window)) else {
            close(&mut upper, &mut lower);
            before = None;
            continue;
        };
        let sign = match direction {
            Direction::HigherIsBetter => -1.0,
            Direction::LowerIsBetter => 1.0,
        };
        let (time, worse) = (middle(window), sign * (frozen - refit));
        if let Some((last_time, last_worse, last_refit)) = before
            && last_worse * worse < 0.0
        {
            let share = last_worse / (last_worse - worse);
            let crossing = (
                last_time + (share * (time - last_time) as f64).round() as i64,
                last_refit + share * (refit - last_refit),
            );
            upper.push(crossing);
            lower.push(crossing);
            if worse < 0.0 {
                close(&mut upper, &mut lower);
            }
        }
        if 0.0 <= worse {
            upper.push((time, frozen));
            lower.push((time, refit));
        } else {
            close(&mut upper, &mut lower);
        }
        before = Some((time, worse, refit));
    }
    close(&mut upper, &mut lower);
    areas
}

/// The plot in numbers.
fn table(report: &Report<'_>) -> Markup {
    let quality = &report.document.quality;
    html! {
        details {
            summary { "The numbers of " (text::counted(quality.windows.len(), "window", "windows")) }
            div.scroll {
                table {
                    thead { tr { th { "Window" } th.number { "Rows" } th.number { "Served" } th.number { "Never retrained" } th.number { "Served is better by" } } }
                    tbody {
                        @for window in &quality.windows {
                            @let gain = report.gain(window.frozen, window.refit);
                            tr {
                                td.nowrap { (text::window(&refit_core::Window { start: window.start, end: window.end })) }
                                td.number { (text::count(window.rows)) }
                                td.number { (text::optional(window.refit)) }
                                td.number { (text::optional(window.frozen)) }
                                td.number { (gain.map_or_else(|| text::UNDEFINED.to_owned(), text::percent)) }
                            }
                        }
                    }
                    tfoot { tr {
                        th { "Mean, weighted by rows" }
                        td.number { (text::count(quality.windows.iter().map(|it| it.rows).sum())) }
                        td.number { (text::optional(quality.mean.refit)) }
                        td.number { (text::optional(quality.mean.frozen)) }
                        td.number { (report.gain(quality.mean.frozen, quality.mean.refit).map_or_else(|| text::UNDEFINED.to_owned(), text::percent)) }
                    } }
                }
            }
        }
    }
}
