//! The champion's quality, window by window, against its hold-out score: as measured, and as estimated before labels came.

use std::collections::BTreeMap;

use maud::{Markup, html};
use plotters::prelude::{ChartBuilder, Circle, Color as _, LineSeries, PathElement};
use refit_core::policy::{Direction, Metric, PerformancePolicy};
use refit_core::trigger::{Judgment, JudgmentKind, WindowVerdict};

use super::moments::Kind;
use super::plot::{
    Area, CHANCE, ESTIMATE, INTERVAL, LIMIT, Painted, REFIT, TimeAxis, TimeChart, axis_number, draw, draw_axes, px,
    seconds, segments, size, value_range,
};
use super::{Report, text};

/// The judgments that the section shows.
struct Shown<'a> {
    report: &'a Report<'a>,
    metric: Metric,
    measured: Vec<&'a Judgment>,
    /// Estimates of the same metric, of several revisions of a window the last.
    estimated: Vec<&'a Judgment>,
}

impl<'a> Shown<'a> {
    /// `None` where the policy judges windows by no metric.
    fn of(report: &'a Report<'a>) -> Option<Shown<'a>> {
        let triggers = &report.policy.triggers;
        let measured = triggers.performance.as_ref().map(|it| it.metric);
        let metric = measured.or(triggers.estimated_performance.as_ref().map(|it| it.metric))?;
        let of = |kind| report.history.judgments.iter().filter(move |it| it.kind == kind);
        let mut estimated: BTreeMap<_, &Judgment> = BTreeMap::new();
        let is_of_metric = |it: &&Judgment| it.quality.as_ref().is_some_and(|it| it.metric == metric);
        for it in of(JudgmentKind::EstimatedPerformance).filter(is_of_metric) {
            let last = estimated.entry((it.window.start, it.champion)).or_insert(it);
            if last.age() <= it.age() {
                *last = it;
            }
        }
        let (measured, estimated) = (of(JudgmentKind::Performance).collect(), estimated.into_values().collect());
        Some(Shown { report, metric, measured, estimated })
    }

    fn floor(&self) -> Option<f64> {
        self.report.policy.triggers.performance.as_ref().and_then(|it| it.floor)
    }

    fn is_drawn(&self) -> bool {
        self.measured.iter().chain(&self.estimated).any(|it| value(it).is_some())
    }

    fn measured_of(&self, estimate: &Judgment) -> Option<&&'a Judgment> {
        self.measured.iter().find(|it| is_same(it, estimate))
    }

    /// What was estimated for a window that was measured, with its interval.
    fn estimate_of(&self, measured: &Judgment) -> Option<String> {
        let estimated = measured.quality.as_ref().and_then(|it| it.estimated)?;
        let estimate = self.estimated.iter().find(|it| is_same(it, measured) && value(it) == Some(estimated));
        let off = estimate.and_then(|it| half(it));
        Some(with_half(estimated, off))
    }
}

/// The section.
pub(super) fn section(report: &Report<'_>) -> Markup {
    let triggers = &report.policy.triggers;
    let shown = Shown::of(report).filter(|it| !it.measured.is_empty() || !it.estimated.is_empty());
    html! {
        section id="performance" {
            h2 { "What the performance trigger saw" }
            @if let Some(policy) = &triggers.performance { p.lead { (rule(policy)) } }
            @if let Some(shown) = shown {
                @if shown.is_drawn() {
                    figure.card {
                        figcaption {
                            (text::metric(shown.metric)) " of the champion in each judged window, against its score on its own hold-out"
                            @if !shown.estimated.is_empty() { ", and what was estimated from its scores before labels came, with its 95\u{a0}% interval" }
                            "."
                        }
                        (legend(&shown))
                        (plot(&shown, (1000, 240), "plot wide"))
                        (plot(&shown, (380, 200), "plot narrow"))
                    }
                }
                @if !shown.measured.is_empty() { (table(&shown)) }
                @if !shown.estimated.is_empty() { (estimates_table(&shown)) }
            } @else {
                p.empty {
                    @if triggers.performance.is_none() { "The policy has no performance trigger." } @else { "No window has been judged on performance." }
                }
            }
        }
    }
}

/// Whether both judge one window of one champion.
fn is_same(a: &Judgment, b: &Judgment) -> bool {
    a.window == b.window && a.champion == b.champion
}

/// A judgment's value that can be drawn.
fn value(judgment: &Judgment) -> Option<f64> {
    judgment.quality.as_ref().and_then(|it| it.value).filter(|it| it.is_finite())
}

/// Half of an estimate's interval: 95 of 100 normal values lie within so many standard errors.
fn half(judgment: &Judgment) -> Option<f64> {
    const ERRORS: f64 = 1.96;
    let error = judgment.quality.as_ref().and_then(|it| it.standard_error);
    error.map(|it| ERRORS * it).filter(|it| it.is_finite() && 0.0 <= *it)
}

/// An estimate's interval, as far as the metric goes.
fn interval(judgment: &Judgment) -> Option<(f64, f64)> {
    let (value, half) = (value(judgment)?, half(judgment)?);
    let (low, high) = judgment.quality.as_ref()?.metric.range();
    Some(((value - half).max(low), (value + half).min(high)))
}

fn with_half(value: f64, half: Option<f64>) -> String {
    let value = text::optional(Some(value));
    half.map_or_else(|| value.clone(), |it| format!("{value} \u{b1} {}", text::optional(Some(it))))
}

fn rule(policy: &PerformancePolicy) -> String {
    let name = text::metric(policy.metric);
    let drop = policy.max_drop.map(|it| {
        format!("is worse than the hold-out score by more than {}, and not by chance (99.9\u{a0}%)", text::percent(it))
    });
    let word = match policy.metric.direction() {
        Direction::HigherIsBetter => "below",
        Direction::LowerIsBetter => "above",
    };
    let floor = policy.floor.map(|it| format!("is {word} {}", axis_number(it)));
    let conditions: Vec<String> = [drop, floor].into_iter().flatten().collect();
    if conditions.is_empty() {
        return format!("Windows are judged by {name}; the policy names no limit.");
    }
    format!(
        "Fires when {name} {}. Windows under {} labelled rows are inconclusive.",
        conditions.join(", or "),
        text::count(policy.min_rows)
    )
}

fn legend(shown: &Shown<'_>) -> Markup {
    let floor = shown.floor();
    html! {
        ul.legend {
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.refit d="M0 6H26" {} } "window" }
            @if !shown.estimated.is_empty() {
                li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.estimate-range d="M13 0V12" {} path.estimate d="M0 6H26" {} } "estimated before labels came" }
            }
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.chance d="M0 6H26" {} } "hold-out score of the champion" }
            @if floor.is_some() { li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.limit-line d="M0 6H26" {} } "worst acceptable value" } }
            li { (Kind::Broke.sign()) "degraded" }
        }
    }
}

fn middle(judgment: &Judgment) -> i64 {
    i64::midpoint(seconds(judgment.window.start), seconds(judgment.window.end))
}

fn plot(shown: &Shown<'_>, (width, height): (i32, i32), class: &str) -> Markup {
    draw(
        (width, height),
        class,
        "The champion's quality per judged window. The values are in the table below.",
        |area| paint(shown, area, if width < 600 { 5 } else { 13 }),
    )
}

fn paint(shown: &Shown<'_>, area: &Area<'_>, ticks: usize) -> Painted {
    let (report, judgments) = (shown.report, &shown.measured);
    let axis = TimeAxis::new(report.start(), report.end(), ticks);
    let floor = shown.floor();
    let qualities = judgments.iter().chain(&shown.estimated).filter_map(|it| it.quality.as_ref());
    let ends = shown.estimated.iter().filter_map(|it| interval(it)).flat_map(|it| [it.0, it.1]);
    let values = qualities.flat_map(|it| [it.value, it.baseline]).flatten().chain(floor).chain(ends);
    let Some(range) = value_range(values, shown.metric.range().0) else { return Ok(()) };
    let mut chart = ChartBuilder::on(area)
        .margin_top(size(8))
        .margin_right(size(14))
        .x_label_area_size(size(26))
        .y_label_area_size(size(56))
        .build_cartesian_2d(axis.clone(), range)?;
    draw_axes(&mut chart, &axis, 5, 4, 12)?;
    if let Some(floor) = floor.filter(|it| it.is_finite()) {
        let ends = [(seconds(report.start()), floor), (seconds(report.end()), floor)];
        chart.draw_series(LineSeries::new(ends, LIMIT.stroke_width(size(1))))?;
    }
    let is_alone = |it: &&&Judgment| shown.measured_of(it).is_none();
    for judgment in judgments.iter().chain(shown.estimated.iter().filter(is_alone)) {
        if let Some(baseline) = judgment.quality.as_ref().and_then(|it| it.baseline).filter(|it| it.is_finite()) {
            let ends = vec![(seconds(judgment.window.start), baseline), (seconds(judgment.window.end), baseline)];
            chart.draw_series([PathElement::new(ends, CHANCE.stroke_width(size(2)))])?;
        }
    }
    paint_estimates(shown, &mut chart)?;
    let line = judgments.iter().map(|it| (middle(it), it.quality.as_ref().and_then(|it| it.value)));
    for segment in segments(line) {
        chart.draw_series(segment.iter().map(|it| Circle::new(*it, px(2), REFIT.filled())))?;
        chart.draw_series(LineSeries::new(segment, REFIT.stroke_width(size(2))))?;
    }
    for judgment in judgments.iter().filter(|it| it.verdict == WindowVerdict::Degraded) {
        let Some(value) = judgment.quality.as_ref().and_then(|it| it.value).filter(|it| it.is_finite()) else {
            continue;
        };
        let (x, y) = chart.backend_coord(&(middle(judgment), value));
        Kind::Broke.paint(area, (x, y))?;
    }
    Ok(())
}

/// Intervals as upright lines, and through their middles the second line of the plot.
fn paint_estimates(shown: &Shown<'_>, chart: &mut TimeChart<'_, '_>) -> Painted {
    for it in &shown.estimated {
        if let Some((low, high)) = interval(it) {
            let ends = vec![(middle(it), low), (middle(it), high)];
            chart.draw_series([PathElement::new(ends, INTERVAL.stroke_width(size(1)))])?;
        }
    }
    for segment in segments(shown.estimated.iter().map(|it| (middle(it), value(it)))) {
        chart.draw_series(LineSeries::new(segment, ESTIMATE.stroke_width(size(2))))?;
    }
    Ok(())
}

fn table(shown: &Shown<'_>) -> Markup {
    let judgments = &shown.measured;
    html! {
        details {
            summary { "The judgments of " (text::counted(judgments.len(), "window", "windows")) }
            div.scroll {
                table {
                    thead { tr {
                        th { "Window" } th.number { "Champion" } th.number { "Labelled rows" } th.number { "Value" } @if !shown.estimated.is_empty() { th.number { "Estimated" } } th.number { "Hold-out" }
                        th.number { "Worse by" } th { "Verdict" } th { "Why" }
                    } }
                    tbody {
                        @for judgment in judgments {
                            @let quality = judgment.quality.as_ref();
                            tr {
                                td.nowrap { (text::window(&judgment.window)) }
                                td.number { @if let Some(version) = judgment.champion { "v" (version) } @else { (text::UNDEFINED) } }
                                td.number { (text::count(judgment.rows)) }
                                td.number { (text::optional(quality.and_then(|it| it.value))) }
                                @if !shown.estimated.is_empty() {
                                    td.number { (shown.estimate_of(judgment).unwrap_or_else(|| text::UNDEFINED.to_owned())) }
                                }
                                td.number { (text::optional(quality.and_then(|it| it.baseline))) }
                                td.number { (quality.and_then(|it| it.worsening).map_or_else(|| text::UNDEFINED.to_owned(), text::percent)) }
                                td { (text::window_verdict(judgment.verdict)) }
                                td.wide-text { (text::visible(&judgment.reason)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn estimates_table(shown: &Shown<'_>) -> Markup {
    html! {
        details {
            summary { "The estimates of " (text::counted(shown.estimated.len(), "window", "windows")) }
            div.scroll {
                table {
                    thead { tr {
                        th { "Window" } th.number { "Champion" } th.number { "Predicted rows" } th.number { "Estimated" } th { "Verdict" } th { "Why" }
                    } }
                    tbody {
                        @for judgment in &shown.estimated {
                            tr {
                                td.nowrap { (text::window(&judgment.window)) }
                                td.number { @if let Some(version) = judgment.champion { "v" (version) } @else { (text::UNDEFINED) } }
                                td.number { (text::count(judgment.rows)) }
                                td.number { (value(judgment).map_or_else(|| text::UNDEFINED.to_owned(), |it| with_half(it, half(judgment)))) }
                                td { (text::window_verdict(judgment.verdict)) }
                                td.wide-text { (text::visible(&judgment.reason)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
