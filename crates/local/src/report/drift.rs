//! How far each feature moved, window by window: one small plot a feature.

use std::collections::BTreeMap;

use maud::{Markup, html};
use plotters::prelude::{ChartBuilder, Circle, Color as _, LineSeries, PathElement};
use refit_core::policy::DriftMetric;
use refit_core::trigger::{FeatureJudgment, Judgment, JudgmentKind};

use super::plot::{
    Area, BAD, CHANCE, GOOD, LIMIT, Painted, REFIT, TimeAxis, axis_number, draw, draw_axes, px, seconds, segments, size,
};
use super::{Report, heat, text};

/// More features than this are folded away.
const SHOWN: usize = 24;

/// One feature at one window.
type Point<'a> = (i64, &'a FeatureJudgment);

/// Reads one line's value.
type Pick = fn(&FeatureJudgment) -> Option<f64>;

/// The section.
pub(super) fn section(report: &Report<'_>) -> Markup {
    let judgments: Vec<&Judgment> =
        report.history.judgments.iter().filter(|it| it.kind == JudgmentKind::Drift).collect();
    let features = by_feature(&judgments);
    html! {
        section id="drift" {
            h2 { "Drift of the features" }
            @if let Some(policy) = &report.policy.triggers.drift {
                p.lead {
                    "A feature has drifted from a distance of " (axis_number(policy.threshold)) " on, if chance alone does not reach it. "
                    "The data has drifted when " (text::percent(policy.share)) " of the features have."
                }
            }
            @if features.is_empty() {
                p.empty {
                    @if report.policy.triggers.drift.is_none() { "The policy has no drift trigger." } @else { "No window has been judged on drift." }
                }
            } @else {
                @let names: Vec<&str> = features.iter().take(SHOWN).map(|it| it.0).collect();
                (heat::map(&judgments, &names))
                (legend())
                div.multiples { @for (name, points) in features.iter().take(SHOWN) { (small(report, name, points)) } }
                @if SHOWN < features.len() {
                    details {
                        summary { (text::counted(features.len() - SHOWN, "further feature", "further features")) ", less drifted" }
                        div.multiples { @for (name, points) in features.iter().skip(SHOWN) { (small(report, name, points)) } }
                    }
                }
                (table(&judgments))
            }
        }
    }
}

/// Points by feature; the features that came farthest beyond their thresholds first.
fn by_feature<'a>(judgments: &[&'a Judgment]) -> Vec<(&'a str, Vec<Point<'a>>)> {
    let mut features: BTreeMap<&str, Vec<Point<'_>>> = BTreeMap::new();
    for judgment in judgments {
        for feature in &judgment.features {
            features.entry(&feature.name).or_default().push((seconds(judgment.window.end), feature));
        }
    }
    let reach = |points: &[Point<'_>]| {
        let shares = points.iter().filter_map(|it| Some(it.1.value? / it.1.threshold)).filter(|it| it.is_finite());
        shares.fold(0.0, f64::max)
    };
    let mut features: Vec<(&str, Vec<Point<'_>>)> = features.into_iter().collect();
    for (_, points) in &mut features {
        points.sort_by_key(|it| it.0);
    }
    features.sort_by(|a, b| reach(&b.1).total_cmp(&reach(&a.1)).then_with(|| a.0.cmp(b.0)));
    features
}

fn legend() -> Markup {
    html! {
        ul.legend {
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.refit d="M0 6H26" {} } "distance from the reference" }
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { circle.drifted cx="13" cy="6" r="4" {} } "drifted" }
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.limit-line d="M0 6H26" {} } "threshold" }
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.chance d="M0 6H26" {} } "what chance reaches once in 1,000 windows" }
            li { svg.key viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" { path.promotion d="M13 0V12" {} } "promotion" }
        }
    }
}

fn small(report: &Report<'_>, name: &str, points: &[Point<'_>]) -> Markup {
    let drifted = points.iter().filter(|it| it.1.is_drifted()).count();
    let metric = match points.last().map(|it| it.1.metric) {
        Some(DriftMetric::Psi) => "PSI",
        Some(DriftMetric::Ks) => "KS",
        Some(DriftMetric::Js) => "Jensen-Shannon",
        Some(DriftMetric::Wasserstein) => "Wasserstein",
        Some(DriftMetric::CramersV) => "Cramér's V",
        None => "",
    };
    let told = format!("{} drifted of {}", drifted, text::counted(points.len(), "window", "windows"));
    html! {
        figure.small {
            figcaption {
                strong { (text::visible(name)) }
                span { (metric) ", " (told) }
            }
            (draw((300, 130), "plot", &told, |area| paint(report, points, area)))
        }
    }
}

fn paint(report: &Report<'_>, points: &[Point<'_>], area: &Area<'_>) -> Painted {
    let axis = TimeAxis::new(report.start(), report.end(), 4);
    let values = points.iter().flat_map(|it| [it.1.value, it.1.chance, Some(it.1.threshold)]).flatten();
    let high = values.filter(|it| it.is_finite()).fold(0.0, f64::max);
    let high = if 0.0 < high { 1.12 * high } else { 1.0 };
    let mut chart = ChartBuilder::on(area)
        .margin_top(size(7))
        .margin_right(size(14))
        .x_label_area_size(size(22))
        .y_label_area_size(size(40))
        .build_cartesian_2d(axis.clone(), 0.0..high)?;
    draw_axes(&mut chart, &axis, 3, 3, 11)?;
    for promotion in &report.document.promotions {
        let ends = vec![(seconds(promotion.at), 0.0), (seconds(promotion.at), high)];
        chart.draw_series([PathElement::new(ends, GOOD.mix(0.45).stroke_width(size(1)))])?;
    }
    let picks = [(CHANCE, 1, (|it| it.chance) as Pick), (LIMIT, 1, |it| Some(it.threshold)), (REFIT, 2, |it| it.value)];
    for (color, width, pick) in picks {
        for segment in segments(points.iter().map(|it| (it.0, pick(it.1)))) {
            if segment.len() == 1 {
                chart.draw_series(segment.iter().map(|it| Circle::new(*it, px(2), color.filled())))?;
            }
            chart.draw_series(LineSeries::new(segment, color.stroke_width(size(width))))?;
        }
    }
    let drifted = points
        .iter()
        .filter(|it| it.1.is_drifted())
        .filter_map(|it| Some((it.0, it.1.value.filter(|it| it.is_finite())?)));
    chart.draw_series(drifted.map(|it| Circle::new(it, px(3), BAD.filled())))?;
    Ok(())
}

fn table(judgments: &[&Judgment]) -> Markup {
    html! {
        details {
            summary { "The judgments of " (text::counted(judgments.len(), "window", "windows")) }
            div.scroll {
                table {
                    thead { tr { th { "Window" } th.number { "Reference of" } th.number { "Rows" } th { "Verdict" } th { "Why" } } }
                    tbody {
                        @for judgment in judgments {
                            tr {
                                td.nowrap { (text::window(&judgment.window)) }
                                td.number { @if let Some(version) = judgment.champion { "v" (version) } @else { (text::UNDEFINED) } }
                                td.number { (text::count(judgment.rows)) }
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
