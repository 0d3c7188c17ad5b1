//! The page of one comparison of files: the answer, then each feature with both distributions drawn.

use maud::{Markup, html};
use refit_data::drift::{FeatureComparison, FeatureScores, SideCounts};
use refit_data::report::{DriftReport, FeatureReport, Method, ScoreReport};
use refit_stats::scores::BinnedScores;
use refit_stats::verdict::Verdict;

use super::text::{self, Tone};
use super::{histogram, page};

/// What the page is about.
#[derive(Debug, Clone, Copy)]
pub struct DriftPage<'a> {
    /// The report.
    pub report: &'a DriftReport,
    /// What it was made from: the distributions.
    pub comparisons: &'a [FeatureComparison],
    /// What was compared with what.
    pub title: &'a str,
}

/// More features than this are folded away.
const SHOWN: usize = 60;

/// Writes the page as one HTML file without scripts.
#[must_use]
pub fn render_drift(it: &DriftPage<'_>) -> String {
    page(&format!("{} – drift", it.title), &body(it))
}

fn body(it: &DriftPage<'_>) -> Markup {
    let report = it.report;
    let features = by_reach(&report.features);
    html! {
        main {
            header {
                p.kicker { "Refit drift" }
                h1 { (text::visible(it.title)) }
                p.answer { (verdict(report.dataset.verdict)) " " (text::visible(&report.dataset.reasons.join("; "))) "." }
                p.meta {
                    (text::count(report.current.rows)) " rows"
                    @if let Some(window) = &report.current.window { " (" (window.start) " – " (window.end) ")" }
                    " against " (text::count(report.reference.rows)) " of the reference. "
                    (method(report.method))
                }
            }
            section {
                h2 { "Features" }
                (legend())
                div.multiples { @for feature in features.iter().take(SHOWN) { (small(it, feature)) } }
                @if SHOWN < features.len() {
                    details {
                        summary { (text::counted(features.len() - SHOWN, "further feature", "further features")) ", less drifted" }
                        div.multiples { @for feature in features.iter().skip(SHOWN) { (small(it, feature)) } }
                    }
                }
            }
            @if report.prediction.is_some() || report.target.is_some() {
                section {
                    h2 { "Prediction and label" }
                    div.multiples { @for feature in report.prediction.iter().chain(&report.target) { (small(it, feature)) } }
                    (quality(report))
                }
            }
            section { h2 { "Scores" } (scores(&features)) (ignored(report)) }
            @if !report.segments.is_empty() { section { h2 { "Segments" } (segments(report)) } }
        }
        footer { "Reference " code { (report.baseline_id) } ". Written by Refit; this page loads nothing and runs no script." }
    }
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Exact => "Every score is from all rows.",
        Method::Profile => "Scores are from profiles, with the error that these allow.",
    }
}

/// Features that came farthest beyond their thresholds first.
fn by_reach(features: &[FeatureReport]) -> Vec<&FeatureReport> {
    let mut features: Vec<&FeatureReport> = features.iter().collect();
    let reach = |it: &FeatureReport| {
        let rank = match it.verdict {
            Verdict::Errored => 3.0,
            Verdict::Drifted => 2.0,
            Verdict::Inconclusive => 1.0,
            Verdict::Stable => 0.0,
        };
        (rank, it.decisive().map_or(0.0, |score| score.value / it.threshold))
    };
    features.sort_by(|a, b| {
        let ((rank_a, a), (rank_b, b)) = (reach(a), reach(b));
        f64::total_cmp(&rank_b, &rank_a).then(b.total_cmp(&a))
    });
    features
}

fn verdict(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Stable => text::badge(Tone::Good, "stable"),
        Verdict::Drifted => text::badge(Tone::Bad, "drifted"),
        Verdict::Inconclusive => text::badge(Tone::Unsure, "inconclusive"),
        Verdict::Errored => text::badge(Tone::Bad, "errored"),
    }
}

fn legend() -> Markup {
    html! {
        ul.legend {
            li { svg.key viewBox="0 0 14 12" width="14" height="12" aria-hidden="true" { rect.before width="14" height="12" {} } "reference" }
            li { svg.key viewBox="0 0 14 12" width="14" height="12" aria-hidden="true" { rect.now width="14" height="12" {} } "current" }
            li { "shares of the rows that have a value" }
        }
    }
}

fn small(page: &DriftPage<'_>, feature: &FeatureReport) -> Markup {
    let comparison = page.comparisons.iter().find(|it| it.name == feature.name);
    html! {
        figure.small {
            figcaption { strong { (text::visible(&feature.name)) } span { (verdict(feature.verdict)) } }
            @match comparison.map(|it| &it.scores) {
                Some(FeatureScores::Numeric(scores)) => { (histogram::numbers(&feature.name, scores.w20.as_ref().unwrap_or(&scores.q10))) }
                Some(FeatureScores::Categorical(scores)) => {
                    @let BinnedScores { reference, current, .. } = &scores.counts;
                    (histogram::categories(&feature.name, &scores.categories, reference, current))
                }
                Some(FeatureScores::Undefined) | None => { p.empty { "No values to draw." } }
            }
            p.key-line { (text::visible(&feature.reasons.join("; "))) "." }
        }
    }
}

fn scores(features: &[&FeatureReport]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Feature" } th { "Verdict" } th { "By" } th.number { "Score" } th.number { "Threshold" } th.number { "q-value" }
                th.number { "PSI" } th.number { "KS" } th.number { "JS" } th.number { "Wasserstein" } th.number { "Cramér's V" }
                th.number { "Missing before" } th.number { "now" }
            } }
            tbody {
                @for it in features {
                    tr {
                        th scope="row" { (text::visible(&it.name)) br; small { (it.kind) } }
                        td { (verdict(it.verdict)) }
                        td { (it.verdict_by) }
                        td.number { (score(it.decisive())) }
                        td.number { (text::number(it.threshold)) }
                        td.number { (text::optional(it.q_value)) }
                        td.number { (score(it.scores.psi_q10.as_ref().or(it.scores.psi.as_ref()))) }
                        td.number { (score(it.scores.ks.as_ref())) }
                        td.number { (score(it.scores.js_distance_base2.as_ref())) }
                        td.number { (score(it.scores.wasserstein1.as_ref())) }
                        td.number { (score(it.scores.cramers_v.as_ref())) }
                        td.number { (missing(it.reference)) }
                        td.number { (missing(it.current)) }
                    }
                }
            }
        } }
    }
}

fn score(score: Option<&ScoreReport>) -> String {
    match score {
        None => text::UNDEFINED.to_owned(),
        Some(it) if 0.0 < it.error_bound => {
            format!("{}\u{a0}±\u{a0}{}", text::number(it.value), text::number(it.error_bound))
        }
        Some(it) => text::number(it.value),
    }
}

fn missing(counts: SideCounts) -> String {
    if counts.count == 0 {
        return text::UNDEFINED.to_owned();
    }
    text::percent((counts.missing + counts.non_finite) as f64 / counts.count as f64)
}

fn quality(report: &DriftReport) -> Markup {
    html! {
        @if !report.quality.is_empty() {
            div.scroll { table {
                thead { tr { th { "Metric" } th.number { "Reference" } th.number { "Current" } } }
                tbody { @for it in &report.quality {
                    tr { th scope="row" { (it.metric) } td.number { (text::optional(it.reference)) } td.number { (text::optional(it.current)) } }
                } }
            } }
        }
    }
}

fn segments(report: &DriftReport) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "Segment" } th { "Value" } th { "Verdict" } th.number { "Rows before" } th.number { "now" } th { "Drifted" } } }
            tbody {
                @for it in &report.segments {
                    @let drifted: Vec<&str> = it.features.iter().filter(|it| it.verdict == Verdict::Drifted).map(|it| it.name.as_str()).collect();
                    tr {
                        th scope="row" { (text::visible(&it.segment)) }
                        td { (text::visible(&it.value)) }
                        td { (verdict(it.dataset.verdict)) }
                        td.number { (text::count(it.reference_rows)) }
                        td.number { (text::count(it.current_rows)) }
                        td.wide-text { (text::visible(&drifted.join(", "))) }
                    }
                }
            }
        } }
    }
}

fn ignored(report: &DriftReport) -> Markup {
    html! {
        @if !report.ignored.is_empty() {
            p.lead {
                "Not compared: "
                @for (at, it) in report.ignored.iter().enumerate() {
                    @if 0 < at { "; " }
                    code { (text::visible(&it.name)) } " (" (text::visible(&it.reason)) ")"
                }
                "."
            }
        }
    }
}
