//! Why each run was asked for and ended as it did.

use maud::{Markup, html};
use refit_core::approval::Approval;
use refit_core::evaluation::{Comparison, Evaluation, Improvement};
use refit_core::policy::{GatePolicy, ImprovementMode, Metric};
use refit_core::run::{Run, TrainingRequest};

use super::{Report, interval, runs, text};

/// The section.
pub(super) fn section(report: &Report<'_>) -> Markup {
    html! {
        section id="why" {
            h2 { "Why" }
            @if report.history.runs.is_empty() {
                p.empty { "There is no run to explain." }
            } @else {
                p.lead {
                    "Each run with its evidence. Candidate and champion are compared on the same fresh hold-out, which neither has seen; "
                    "the bounds are one-sided at 95 %, by resampling days."
                }
            }
            @for (index, run) in report.history.runs.iter().enumerate() {
                // The newest run is what most readers come for.
                (story(report, run, index + 1 == report.history.runs.len()))
            }
        }
    }
}

fn story(report: &Report<'_>, run: &Run, is_newest: bool) -> Markup {
    html! {
        details.card.story id=(text::visible(text::run(&run.id))) open[is_newest] {
            summary {
                span.id { (text::visible(text::run(&run.id))) }
                (text::status(run.status))
                @if let Some(version) = run.candidate { span.version { "v" (version) } }
                span.summary-text { (text::day(run.requested_at)) " · " (runs::causes(run)) }
            }
            h4 { "Causes" }
            ul { @for cause in &run.causes { li { strong { (text::cause(cause.kind)) } ": " (text::visible(&cause.reason)) } } }
            p.meta {
                "Asked for by " strong { (text::visible(&run.requested_by.id)) } " on " (text::moment(run.requested_at))
                ", decision " code { (text::visible(&run.decision)) }
                @if let Some(champion) = run.champion { ", champion then: version " (champion) }
            }
            @if let Some(request) = &run.request { (training(request, run)) }
            @if let Some(evaluation) = &run.evaluation { (evidence(report, evaluation)) }
            @for approval in report.history.approvals.iter().filter(|it| it.run == run.id) { (votes(approval, run.outcome.is_none())) }
            h4 { "End" }
            @match &run.outcome {
                Some(outcome) => p { (text::moment(outcome.at)) ": " (text::visible(&outcome.reason)) },
                None => p { "Under way." },
            }
        }
    }
}

fn training(request: &TrainingRequest, run: &Run) -> Markup {
    html! {
        h4 { "Training" }
        dl.facts-list {
            div { dt { "Trained on" } dd { (text::window(&request.train)) } }
            div { dt { "Held out" } dd { (text::window(&request.holdout)) } }
            div { dt { "Pipeline" } dd {
                (text::visible(&request.pipeline)) ", definition " (request.definition_version) " "
                code title=(request.definition_digest.to_string()) { (request.definition_digest.short()) }
            } }
            @if let Some(execution) = &run.execution { div { dt { "Execution" } dd { code { (text::visible(execution)) } } } }
            @if let Some(seed) = seed(&request.document) { div { dt { "Seed" } dd { code { (text::visible(&seed)) } } } }
        }
        details.inner {
            summary { "Request document" }
            pre { code { (text::visible(&request.document)) } }
        }
    }
}

/// The seed in a request document.
fn seed(document: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(document).ok()?;
    Some(document.get("seed")?.to_string())
}

fn evidence(report: &Report<'_>, evaluation: &Evaluation) -> Markup {
    html! {
        h4 { "Evidence on " (text::count(evaluation.evidence.rows)) " held-out rows" }
        @if evaluation.evidence.metrics.is_empty() {
            p.empty { "Nothing was measured." }
        } @else {
            div.scroll {
                table {
                    thead { tr {
                        th { "Metric" } th.number { "Candidate" } th.number { "Champion" } th.number { "Improvement" }
                        th { "Interval" } th { "One-sided 95\u{a0}% bounds" }
                    } }
                    tbody {
                        @for (metric, comparison) in &evaluation.evidence.metrics {
                            (metric_row(report, evaluation, *metric, comparison))
                        }
                    }
                }
            }
            @if evaluation.evidence.metrics.values().any(|it| !it.improvements.is_empty()) { (key()) }
        }
        h4 { "Gates " (text::verdict(evaluation.verdict)) }
        @if evaluation.gates.is_empty() { p { "The policy has no gates." } }
        ul.gates {
            @for result in &evaluation.gates {
                li { (text::verdict(result.verdict)) " " @if !result.is_enforced() { (text::badge(text::Tone::Plain, "dry run")) " " } (text::visible(&result.reasons.join("; "))) }
            }
            li {
                @if evaluation.auto_promotion.is_granted { (text::badge(text::Tone::Good, "promoted without a person")) }
                @else { (text::badge(text::Tone::Plain, "needs a person")) }
                " " (text::visible(&evaluation.auto_promotion.reason))
            }
        }
    }
}

fn key() -> Markup {
    html! {
            p.key-line {
                svg.interval viewBox="0 0 18 16" width="18" height="16" aria-hidden="true" { line.zero x1="9" x2="9" y1="1" y2="15" {} } "no change "
                svg.interval viewBox="0 0 18 16" width="18" height="16" aria-hidden="true" { line.limit x1="9" x2="9" y1="3" y2="15" {} path.limit d="M9 7l-4-6h8z" {} }
                "a gate's threshold "
                svg.interval viewBox="0 0 26 16" width="26" height="16" aria-hidden="true" { line.range x1="1" x2="25" y1="8" y2="8" {} circle.value cx="13" cy="8" r="4.5" {} }
                "improvement with its bounds; right is better"
            }
    }
}

fn metric_row(report: &Report<'_>, evaluation: &Evaluation, metric: Metric, comparison: &Comparison) -> Markup {
    let shown = shown_improvement(report, evaluation, metric, comparison);
    html! {
        tr {
            th scope="row" { (text::metric(metric)) }
            td.number { (text::measured(comparison.candidate.as_ref())) }
            td.number { (text::measured(comparison.champion.as_ref())) }
            @if let Some((mode, improvement)) = shown {
                @let bounds = bounds(improvement, mode);
                td.number { strong { (text::change(improvement.value, mode)) } br; small { (text::mode(mode)) } }
                td { (interval::plot(improvement, &thresholds(evaluation, metric, mode), &format!("{}, {bounds}", text::change(improvement.value, mode)))) }
                td.nowrap { (bounds) }
            } @else {
                td.number { (text::UNDEFINED) }
                td { (text::UNDEFINED) }
                td { @if comparison.champion.is_none() { "no champion to compare with" } @else { "undefined" } }
            }
        }
    }
}

/// The improvement in the mode that decided, or in the first that is defined.
fn shown_improvement<'a>(
    report: &Report<'_>,
    evaluation: &Evaluation,
    metric: Metric,
    comparison: &'a Comparison,
) -> Option<(ImprovementMode, &'a Improvement)> {
    let gates = evaluation
        .gates
        .iter()
        .map(|it| &it.gate)
        .filter(|it| it.metric == metric.into() && it.segments.is_empty() && is_relative(it))
        .map(|it| it.mode);
    let auto = report.policy.promotion.auto_promote.iter().filter(|it| it.metric == metric).map(|it| it.mode);
    let rest = [ImprovementMode::Relative, ImprovementMode::ErrorReduction, ImprovementMode::Absolute];
    gates.chain(auto).chain(rest).find_map(|mode| Some((mode, comparison.improvements.get(&mode)?)))
}

fn is_relative(gate: &GatePolicy) -> bool {
    gate.min_improvement.is_some() || gate.max_regression.is_some() || gate.lower_bound_above.is_some()
}

/// The gates' thresholds on this improvement, without repetition.
fn thresholds(evaluation: &Evaluation, metric: Metric, mode: ImprovementMode) -> Vec<f64> {
    let mut found: Vec<f64> = Vec::new();
    let of_metric = |it: &&GatePolicy| it.metric == metric.into() && it.mode == mode && it.segments.is_empty();
    for gate in evaluation.gates.iter().map(|it| &it.gate).filter(of_metric) {
        found.extend(
            [gate.min_improvement, gate.max_regression.map(|it| -it), gate.lower_bound_above].into_iter().flatten(),
        );
    }
    found.retain(|it| it.is_finite());
    found.sort_by(f64::total_cmp);
    found.dedup();
    found
}

fn bounds(improvement: &Improvement, mode: ImprovementMode) -> String {
    let bound = |it: Option<f64>| it.map_or_else(|| "unknown".to_owned(), |it| text::change(it, mode));
    match (improvement.lower_bound, improvement.upper_bound) {
        (None, None) => "too few days for bounds".to_owned(),
        (lower, upper) => format!("{} to {}", bound(lower), bound(upper)),
    }
}

fn votes(approval: &Approval, is_open: bool) -> Markup {
    html! {
        h4 { "Approval" }
        p {
            "Asked on " (text::moment(approval.requested_at))
            ", " (text::counted(approval.needed as usize, "person", "people")) " must approve before " (text::moment(approval.expires_at)) "."
            @if approval.votes.is_empty() { @if is_open { " Nobody has answered yet." } @else { " Nobody answered." } }
        }
        @if !approval.votes.is_empty() {
            ul.gates {
                @for vote in &approval.votes {
                    li {
                        (text::choice(vote.choice)) " by " strong { (text::visible(&vote.by.id)) } " on " (text::moment(vote.at))
                        @if !vote.comment.is_empty() { ": “" (text::visible(&vote.comment)) "”" }
                    }
                }
            }
        }
    }
}
