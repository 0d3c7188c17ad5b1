//! The page of one evaluation: the gates, the metrics with their intervals, segments, and how the predictions err.

use maud::{Markup, html};
use refit_app::measure::Predictions;
use refit_core::evaluation::{Comparison, CustomComparison, CustomValue, Evaluation, GateResult, Improvement};
use refit_core::policy::{GateMetric, GatePolicy, ImprovementMode, Metric, ModelPolicy, Task};
use refit_core::run::Run;

use super::{errors, interval, page, text};

/// What the page is about.
#[derive(Debug, Clone, Copy)]
pub struct EvaluationPage<'a> {
    /// What was evaluated: a run's id or a file.
    pub title: &'a str,
    /// The policy whose gates were asked.
    pub policy: &'a ModelPolicy,
    /// The run, if it is one of this state.
    pub run: Option<&'a Run>,
    /// The answers with their evidence.
    pub evaluation: &'a Evaluation,
    /// The held-out rows, if they are at hand.
    pub predictions: Option<&'a Predictions>,
    /// The names of the classes, of a multiclass model.
    pub classes: &'a [String],
}

/// Writes the page as one HTML file without scripts.
#[must_use]
pub fn render_evaluation(it: &EvaluationPage<'_>) -> String {
    page(&format!("{} – evaluation", it.title), &body(it))
}

fn body(it: &EvaluationPage<'_>) -> Markup {
    let evaluation = it.evaluation;
    html! {
        main {
            header {
                p.kicker { "Refit evaluation" }
                h1 { (text::visible(it.title)) }
                p.answer { (text::verdict(evaluation.verdict)) " " (in_words(evaluation)) }
                p.meta {
                    (text::count(evaluation.evidence.rows)) " held-out rows that neither model has seen"
                    @if let Some(request) = it.run.and_then(|run| run.request.as_ref()) {
                        " (" (text::window(&request.holdout)) "); trained on " (text::window(&request.train))
                    }
                    "."
                }
            }
            section { h2 { "Gates" } (gates(evaluation)) (auto_promotion(evaluation)) }
            section { h2 { "Metrics" } (metrics(evaluation)) (custom(evaluation)) }
            @for result in evaluation.gates.iter().filter(|it| !it.segments.is_empty()) {
                section { h2 { "By " (text::visible(&result.gate.segments.join(", "))) } (segments(evaluation, result)) }
            }
            @if let Some(predictions) = it.predictions { (errors::sections(it.policy.task, predictions, it.classes)) }
        }
        footer {
            "Predictions " code { (evaluation.evidence.predictions.hex()) } ". Bounds are one-sided 95\u{a0}% each, by resampling days."
        }
    }
}

fn in_words(evaluation: &Evaluation) -> String {
    let enforced = evaluation.gates.iter().filter(|it| it.is_enforced());
    let (mut all, mut passed, mut trial) = (0, 0, 0);
    for result in enforced {
        all += 1;
        passed += usize::from(result.verdict == refit_core::evaluation::Verdict::Passed);
    }
    for _ in evaluation.gates.iter().filter(|it| !it.is_enforced()) {
        trial += 1;
    }
    let trial = if trial == 0 {
        String::new()
    } else {
        format!(" {} not enforced.", text::counted(trial, "more is", "more are"))
    };
    match all {
        0 => format!("The policy enforces no gates.{trial}"),
        _ => format!("{passed} of {} passed.{trial}", text::counted(all, "gate", "gates")),
    }
}

fn gates(evaluation: &Evaluation) -> Markup {
    html! {
        @if evaluation.gates.is_empty() { p.empty { "The policy has no gates." } } @else {
            div.scroll { table {
                thead { tr { th { "Gate" } th { "Asks for" } th { "Answer" } th { "Why" } } }
                tbody {
                    @for result in &evaluation.gates {
                        tr {
                            th scope="row" { (text::visible(&text::gate_metric(&result.gate.metric))) @if result.gate.dry_run { br; small { "dry run" } } }
                            td.nowrap { @for line in asks(&result.gate) { (line) br; } }
                            td { (text::verdict(result.verdict)) }
                            td.wide-text { @for reason in &result.reasons { (text::visible(reason)) br; } }
                        }
                    }
                }
            } }
        }
    }
}

/// The conditions of a gate, one line each.
fn asks(gate: &GatePolicy) -> Vec<String> {
    let change = |it: f64| match gate.mode {
        ImprovementMode::Absolute => it.to_string(),
        ImprovementMode::Relative | ImprovementMode::ErrorReduction => text::percent(it),
    };
    let mut lines = Vec::new();
    lines.extend(gate.min.map(|it| format!("at least {it}")));
    lines.extend(gate.max.map(|it| format!("at most {it}")));
    lines.extend(gate.min_improvement.map(|it| format!("better by {}", change(it))));
    lines.extend(gate.max_regression.map(|it| format!("worse by at most {}", change(it))));
    lines.extend(gate.lower_bound_above.map(|it| format!("lower bound above {}", change(it))));
    if !gate.segments.is_empty() {
        lines.push(format!("on each {}", gate.segments.join(", ")));
    }
    lines
}

fn auto_promotion(evaluation: &Evaluation) -> Markup {
    html! {
        p {
            @if evaluation.auto_promotion.is_granted { (text::badge(text::Tone::Good, "promoted without a person")) }
            @else { (text::badge(text::Tone::Plain, "needs a person")) }
            " " (text::visible(&evaluation.auto_promotion.reason))
        }
    }
}

fn metrics(evaluation: &Evaluation) -> Markup {
    html! {
        @if evaluation.evidence.metrics.is_empty() { p.empty { "Nothing was measured." } } @else {
            div.scroll { table {
                thead { tr {
                    th { "Metric" } th.number { "Candidate" } th.number { "Champion" } th.number { "Improvement" } th { "Interval" } th { "Bounds" }
                } }
                tbody { @for (metric, comparison) in &evaluation.evidence.metrics { (metric_row(evaluation, *metric, comparison)) } }
            } }
        }
    }
}

fn metric_row(evaluation: &Evaluation, metric: Metric, comparison: &Comparison) -> Markup {
    let gates =
        || evaluation.gates.iter().map(|it| &it.gate).filter(|it| it.metric == metric.into() && it.segments.is_empty());
    let modes = gates().map(|it| it.mode).chain([ImprovementMode::Relative, ImprovementMode::Absolute]);
    let shown = modes.into_iter().find_map(|mode| Some((mode, comparison.improvements.get(&mode)?)));
    html! {
        tr {
            th scope="row" { (text::metric(metric)) }
            td.number { (text::measured(comparison.candidate.as_ref())) }
            td.number { (text::measured(comparison.champion.as_ref())) }
            @if let Some((mode, improvement)) = shown {
                @let bounds = bounds(improvement, mode);
                @let limits: Vec<f64> = gates().filter(|it| it.mode == mode).flat_map(limits).collect();
                td.number { (moved(improvement.value, mode)) br; small { (text::mode(mode)) } }
                td { (interval::plot(improvement, &limits, &format!("{}, {bounds}", text::change(improvement.value, mode)))) }
                td.nowrap { (bounds) }
            } @else {
                td.number { (text::UNDEFINED) } td { (text::UNDEFINED) }
                td { @if comparison.champion.is_none() { "no champion to compare with" } @else { "undefined" } }
            }
        }
    }
}

fn limits(gate: &GatePolicy) -> impl Iterator<Item = f64> {
    [gate.min_improvement, gate.max_regression.map(|it| -it), gate.lower_bound_above].into_iter().flatten()
}

/// An improvement in the color of its direction.
fn moved(value: f64, mode: ImprovementMode) -> Markup {
    let class = if value < 0.0 { "worse" } else { "better" };
    html! { strong class=(class) { (text::change(value, mode)) } }
}

fn bounds(improvement: &Improvement, mode: ImprovementMode) -> String {
    match (improvement.lower_bound, improvement.upper_bound) {
        (Some(lower), Some(upper)) => format!("{} to {}", text::change(lower, mode), text::change(upper, mode)),
        _ => "no bounds".to_owned(),
    }
}

fn custom(evaluation: &Evaluation) -> Markup {
    let all = &evaluation.evidence.custom;
    html! {
        @if !all.is_empty() {
            h3 { "What the pipeline measured itself" }
            div.scroll { table {
                thead { tr { th { "Metric" } th.number { "Candidate" } th.number { "Champion" } th { "Better is" } th { "Problems" } } }
                tbody { @for (name, metric) in all { (custom_row(name, metric)) } }
            } }
        }
    }
}

fn custom_row(name: &str, metric: &CustomComparison) -> Markup {
    let value = |it: Option<CustomValue>| match it {
        Some(CustomValue { value, standard_error: Some(error) }) => {
            format!("{} ± {}", text::number(value), text::number(error))
        }
        Some(CustomValue { value, standard_error: None }) => text::number(value),
        None => text::UNDEFINED.to_owned(),
    };
    html! {
        tr {
            th scope="row" { (text::visible(name)) }
            td.number { (value(metric.candidate)) }
            td.number { (value(metric.champion)) }
            td { (metric.direction.map_or("unknown", |it| match it {
                refit_core::policy::Direction::HigherIsBetter => "higher",
                refit_core::policy::Direction::LowerIsBetter => "lower",
            })) }
            td { (text::visible(&metric.problems.join("; "))) }
        }
    }
}

/// The values of one gate's segments, worst first.
fn segments(evaluation: &Evaluation, result: &GateResult) -> Markup {
    let GateMetric::Measured(metric) = result.gate.metric else { return html! {} };
    let mut rows: Vec<_> = result.segments.iter().collect();
    rows.sort_by(|a, b| b.verdict.cmp(&a.verdict).then_with(|| b.rows.cmp(&a.rows)));
    html! {
        p.lead { (text::metric(metric)) " on each value with at least " (text::count(result.gate.min_segment_rows)) " rows." }
        div.scroll { table {
            thead { tr {
                th { "Value" } th.number { "Rows" } th { "Answer" } th.number { "Candidate" } th.number { "Champion" } th.number { "Improvement" } th { "Why" }
            } }
            tbody {
                @for row in rows {
                    @let evidence = evaluation.evidence.segments.iter().find(|it| it.name() == row.name);
                    @let comparison = evidence.and_then(|it| it.metrics.get(&metric));
                    tr {
                        th scope="row" { (text::visible(&row.name)) }
                        td.number { (text::count(row.rows)) }
                        td { (text::verdict(row.verdict)) }
                        td.number { (text::measured(comparison.and_then(|it| it.candidate.as_ref()))) }
                        td.number { (text::measured(comparison.and_then(|it| it.champion.as_ref()))) }
                        td.number { @match comparison.and_then(|it| it.improvements.get(&result.gate.mode)) {
                            Some(it) => { (moved(it.value, result.gate.mode)) },
                            None => { (text::UNDEFINED) },
                        } }
                        td.wide-text { (text::visible(&row.reason)) }
                    }
                }
            }
        } }
        @if 0 < evaluation.evidence.segments_left_out {
            p.meta { (text::count(evaluation.evidence.segments_left_out)) " more values were left out." }
        }
    }
}

/// Whether a task has classes to confuse.
pub(super) fn has_classes(task: Task) -> bool {
    match task {
        Task::Regression => false,
        Task::Binary | Task::Multiclass => true,
    }
}
