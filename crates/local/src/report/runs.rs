//! The runs: on one time axis, then the same facts in words.

use jiff::Timestamp;
use maud::{Markup, html};
use refit_core::run::Run;

use super::moments::{self, Kind};
use super::plot::{TimeAxis, seconds};
use super::{Report, text};
use crate::replay::RollbackSummary;

/// The section.
pub(super) fn section(report: &Report<'_>) -> Markup {
    html! {
        section id="runs" {
            h2 { "Runs" }
            @if report.history.runs.is_empty() {
                p.empty { "No run was requested: no trigger fired." }
            } @else {
                p.lead {
                    "From request to end, one row a run. A solid bar is training and evaluation, a framed one waiting for a person; the mark at its end is as in the plot above. Gates are named by their metric."
                }
                (timeline(report))
                (table(report))
            }
        }
    }
}

/// A place on the time axis as SVG wants it.
fn place(axis: &TimeAxis, time: Timestamp) -> f64 {
    100.0 * axis.share(seconds(time))
}

fn percent(value: f64) -> String {
    format!("{value:.2}%")
}

fn timeline(report: &Report<'_>) -> Markup {
    let axis = TimeAxis::new(report.start(), report.end(), 8);
    let labels = axis.labels();
    html! {
        div.card.timeline {
            div.run.axis aria-hidden="true" {
                span {}
                svg height="18" {
                    @for (time, label) in &labels {
                        text x=(percent(100.0 * axis.share(*time))) y="13" text-anchor=(anchor(axis.share(*time))) { (label) }
                    }
                }
                span {}
            }
            @for run in &report.history.runs {
                div.run {
                    a.id href={ "#" (text::visible(text::run(&run.id))) } { (text::visible(text::run(&run.id))) }
                    (bar(report, run, &axis, &labels))
                    div.facts {
                        (text::status(run.status))
                        @if let Some(version) = run.candidate { span.version { "v" (version) } }
                        @for cause in &run.causes { span.badge.cause { (text::cause(cause.kind)) } }
                        @for gate in run.evaluation.iter().flat_map(|it| &it.gates) {
                            @let (tone, word) = text::verdict_name(gate.verdict);
                            @let metric = text::gate_metric(&gate.gate.metric);
                            span.gate title={ (text::gate(&gate.gate)) ": " (word) } { (text::badge(tone, &metric)) }
                        }
                    }
                }
            }
        }
    }
}

fn anchor(share: f64) -> &'static str {
    if share < 0.04 {
        "start"
    } else if 0.96 < share {
        "end"
    } else {
        "middle"
    }
}

fn bar(report: &Report<'_>, run: &Run, axis: &TimeAxis, labels: &[(i64, String)]) -> Markup {
    let end = report.run_end(run);
    let asked = report.history.approvals.iter().find(|it| it.run == run.id).map(|it| it.requested_at);
    let trained = asked.unwrap_or(end);
    let (from, to, until) = (place(axis, run.requested_at), place(axis, trained), place(axis, end));
    let told = format!("{}: {} to {}", text::run(&run.id), text::day(run.requested_at), text::day(end));
    html! {
        svg height="26" role="img" aria-label=(text::visible(&told)) {
            @for (time, _) in labels {
                @let x = percent(100.0 * axis.share(*time));
                line.grid x1=(x) x2=(x) y1="0" y2="26" {}
            }
            line.track x1="0" x2="100%" y1="13" y2="13" {}
            rect.train x=(percent(from)) y="9" width=(percent((to - from).max(0.35))) height="8" {}
            @if asked.is_some() { rect.wait x=(percent(to)) y="9.75" width=(percent((until - to).max(0.35))) height="6.5" {} }
            svg x=(percent(until)) y="13" overflow="visible" {
                @match moments::ending(run.status) {
                    Some(kind) => (kind.shape()),
                    None if run.status.is_terminal() => path.mark.canceled d="M0-5V5" {},
                    None => circle.mark.open r="4.5" {},
                }
            }
        }
    }
}

fn table(report: &Report<'_>) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th { "Run" } th { "Requested" } th { "Why" } th { "Status" } th { "Candidate" } th { "Took" } th { "How it ended" }
                } }
                tbody {
                    @for (index, run) in report.history.runs.iter().enumerate() {
                        tr {
                            td { a href={ "#" (text::visible(text::run(&run.id))) } { (text::visible(text::run(&run.id))) } }
                            td.nowrap { (text::moment(run.requested_at)) }
                            td { (causes(run)) }
                            td { (text::status(run.status)) }
                            td { @if let Some(version) = run.candidate { "v" (version) } @else { (text::UNDEFINED) } }
                            td.nowrap {
                                @if let Some(outcome) = &run.outcome { (text::duration(run.requested_at, outcome.at)) } @else { "under way" }
                            }
                            td.wide-text {
                                @if let Some(outcome) = &run.outcome { (text::visible(&outcome.reason)) } @else { (text::UNDEFINED) }
                            }
                        }
                        @let until = report.history.runs.get(index + 1).map_or(Timestamp::MAX, |it| it.requested_at);
                        @for rollback in report.document.rollbacks.iter().filter(|it| run.requested_at <= it.at && it.at < until) {
                            (rollback_row(rollback))
                        }
                    }
                }
            }
        }
    }
}

fn rollback_row(rollback: &RollbackSummary) -> Markup {
    html! {
        tr.rollback {
            td { (Kind::RolledBack.sign()) }
            td.nowrap { (text::moment(rollback.at)) }
            td colspan="5" {
                strong { "Rolled back from version " (rollback.from) " to version " (rollback.to) ": " }
                (text::visible(&rollback.reason))
            }
        }
    }
}

/// The kinds of cause in words.
pub(super) fn causes(run: &Run) -> String {
    let kinds: Vec<&str> = run.causes.iter().map(|it| text::cause(it.kind)).collect();
    kinds.join(", ")
}
