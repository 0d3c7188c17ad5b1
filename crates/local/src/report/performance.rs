//! The champion's measured quality, window by window, against its hold-out score.

use maud::{Markup, html};
use plotters::prelude::{ChartBuilder, Circle, Color as _, LineSeries, PathElement};
use refit_core::policy::{Direction, Metric, PerformancePolicy};
use refit_core::trigger::{Judgment, JudgmentKind, WindowVerdict};

use super::moments::Kind;
use super::plot::{
    Area, CHANCE, LIMIT, Painted, REFIT, TimeAxis, axis_number, draw, draw_axes, px, seconds, segments, size,
    value_range,
};
use super::{Report, text};

/// The section.
pub(super) fn section(report: &Report<'_>) -> Markup {
    let judgments: Vec<&Judgment> =
        report.history.judgments.iter().filter(|it| it.kind == JudgmentKind::Performance).collect();
    let name = report.policy.triggers.performance.as_ref().map(|it| text::metric(it.metric));
    let value = |it: &&Judgment| it.quality.as_ref().and_then(|it| it.value).is_some_and(f64::is_finite);
    html! {
        section id="performance" {
            h2 { "What the performance trigger saw" }
            @if let Some(policy) = &report.policy.triggers.performance { p.lead { (rule(policy)) } }
            @if judgments.is_empty() {
                p.empty {
                    @if name.is_none() { "The policy has no performance trigger." } @else { "No window has been judged on performance." }
                }
            } @else {
                @if judgments.iter().any(value) {
                    figure.card {
                        figcaption { (name.unwrap_or("Quality")) " of the champion in each judged window, against its score on its own hold-out." }
                        (legend(report))
                        (plot(report, &judgments, (1000, 240), "plot wide"))
                        (plot(report, &judgments, (380, 200), "plot narrow"))
                    }
                }
                (table(&judgments))
            }
        }
    }
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

fn legend(report: &Report<'_>) -> Markup {
    let floor = report.policy.triggers.performance.as_ref().and_then(|it| it.floor);
    html! {
        ul.legend {
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.refit d="M0 6H26" {} } "window" }
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.chance d="M0 6H26" {} } "hold-out score of the champion" }
            @if floor.is_some() { li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.limit-line d="M0 6H26" {} } "worst acceptable value" } }
            li { (Kind::Broke.sign()) "degraded" }
        }
    }
}

fn middle(judgment: &Judgment) -> i64 {
    i64::midpoint(seconds(judgment.window.start), seconds(judgment.window.end))
}

/// The least value of the metric that the judgments are about.
fn lowest(judgments: &[&Judgment]) -> f64 {
    judgments.iter().find_map(|it| it.quality.as_ref()).map_or(f64::NEG_INFINITY, |it| Metric::range(it.metric).0)
}

fn plot(report: &Report<'_>, judgments: &[&Judgment], (width, height): (i32, i32), class: &str) -> Markup {
    draw(
        (width, height),
        class,
        "The champion's quality per judged window. The values are in the table below.",
        |area| paint(report, judgments, area, if width < 600 { 5 } else { 13 }),
    )
}

fn paint(report: &Report<'_>, judgments: &[&Judgment], area: &Area<'_>, ticks: usize) -> Painted {
    let axis = TimeAxis::new(report.start(), report.end(), ticks);
    let floor = report.policy.triggers.performance.as_ref().and_then(|it| it.floor);
    let qualities = judgments.iter().filter_map(|it| it.quality.as_ref());
    let values = qualities.flat_map(|it| [it.value, it.baseline]).flatten().chain(floor);
    let Some(range) = value_range(values, lowest(judgments)) else { return Ok(()) };
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
    for judgment in judgments {
        if let Some(baseline) = judgment.quality.as_ref().and_then(|it| it.baseline).filter(|it| it.is_finite()) {
            let ends = vec![(seconds(judgment.window.start), baseline), (seconds(judgment.window.end), baseline)];
            chart.draw_series([PathElement::new(ends, CHANCE.stroke_width(size(2)))])?;
        }
    }
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

fn table(judgments: &[&Judgment]) -> Markup {
    html! {
        details {
            summary { "The judgments of " (text::counted(judgments.len(), "window", "windows")) }
            div.scroll {
                table {
                    thead { tr {
                        th { "Window" } th.number { "Champion" } th.number { "Labelled rows" } th.number { "Value" } th.number { "Hold-out" }
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
