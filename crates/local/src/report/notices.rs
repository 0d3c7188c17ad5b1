//! What people were told, and what a guard held back.

use jiff::Timestamp;
use maud::{Markup, html};
use refit_app::ports::{Alert, AlertKind};
use refit_core::decision::DecisionKind;

use super::text::{Tone, badge};
use super::{Report, text};
use crate::replay::DecisionSummary;

/// The section.
pub(super) fn section(report: &Report<'_>) -> Markup {
    html! {
        section id="notices" {
            h2 { "Alerts and decisions held back" }
            h3 { "Alerts sent" }
            @if report.alerts.is_empty() {
                p.empty { "No alert was sent." }
            } @else {
                div.scroll {
                    table {
                        thead { tr { th { "Time" } th { "About" } th { "Subject" } } }
                        tbody { @for alert in report.alerts { (alert_row(alert)) } }
                    }
                }
            }
            h3 { "Held back by a guard" }
            (held_back(report))
        }
    }
}

fn alert_row(alert: &Alert) -> Markup {
    let (tone, kind) = match alert.kind {
        AlertKind::Failure => (Tone::Bad, "failure"),
        AlertKind::Drift => (Tone::Plain, "drift"),
        AlertKind::Approval => (Tone::Plain, "approval"),
        AlertKind::BeforePromotion => (Tone::Plain, "before promotion"),
        AlertKind::Promotion => (Tone::Good, "promotion"),
        AlertKind::Rollback => (Tone::Bad, "rollback"),
    };
    html! {
        tr { td.nowrap { (text::moment(alert.time)) } td { (badge(tone, kind)) } td.wide-text { (text::visible(&alert.subject)) } }
    }
}

/// Decisions in a row that the same guard held back.
#[derive(Debug, PartialEq)]
struct Held<'a> {
    first: Timestamp,
    last: Timestamp,
    count: usize,
    guard: &'a str,
    decision: &'a DecisionSummary,
}

const SUPPRESSED: &str = "suppressed: ";

fn held_back(report: &Report<'_>) -> Markup {
    let groups = group(&report.document.decisions);
    html! {
        @if groups.is_empty() {
            p.empty { "Nothing was held back." }
        } @else {
            p.lead { "Triggers that asked for a run while a guard forbade one; checks in a row with the same guard are one line." }
            div.scroll {
                table {
                    thead { tr { th { "First" } th { "Last" } th.number { "Checks" } th { "Guard" } th { "What the triggers said first" } } }
                    tbody {
                        @for held in &groups {
                            tr {
                                td.nowrap { (text::moment(held.first)) }
                                td.nowrap { (text::moment(held.last)) }
                                td.number { (text::count(held.count as u64)) }
                                td.wide-text { (text::visible(held.guard)) }
                                td.wide-text {
                                    @for reason in held.decision.reasons.iter().filter(|it| it.contains(SUPPRESSED)) {
                                        div { (text::visible(reason.split(SUPPRESSED).next().unwrap_or(reason).trim_end_matches([' ', ';']))) }
                                    }
                                    small { "decision " code { (text::visible(&held.decision.id)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn group(decisions: &[DecisionSummary]) -> Vec<Held<'_>> {
    let mut groups: Vec<Held<'_>> = Vec::new();
    for decision in decisions.iter().filter(|it| it.kind == DecisionKind::Check) {
        let Some(guard) = decision.reasons.iter().find_map(|it| Some(it.rsplit_once(SUPPRESSED)?.1)) else { continue };
        match groups.last_mut() {
            Some(last) if last.guard == guard => {
                last.last = decision.at;
                last.count += 1;
            }
            _ => groups.push(Held { first: decision.at, last: decision.at, count: 1, guard, decision }),
        }
    }
    groups
}
