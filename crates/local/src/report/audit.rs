//! The versions, the audit log, and how the numbers of the page came about.

use std::collections::BTreeMap;

use maud::{Markup, html};
use refit_core::package::Package;

use super::text::{Tone, badge};
use super::{Report, text};

/// Every version.
pub(super) fn versions(report: &Report<'_>) -> Markup {
    let metric = report.document.quality.metric;
    html! {
        section id="versions" {
            h2 { "Versions" }
            @if report.history.packages.is_empty() {
                p.empty { "No version was registered." }
            } @else {
                div.scroll {
                    table {
                        thead { tr {
                            th { "Version" } th { "Status" } th { "Trained on" } th { "Held out on" }
                            th.number { (text::metric(metric)) " there" } th { "Promoted" } th { "Replaced" } th { "Run" } th { "Archive" }
                        } }
                        tbody { @for package in &report.history.packages { (row(report, package)) } }
                    }
                }
                p.key-line { "Values are with their standard error, by resampling days." }
            }
        }
    }
}

fn row(report: &Report<'_>, package: &Package) -> Markup {
    html! {
        tr {
            th scope="row" { "v" (package.version) }
            td { (text::package_status(package.status)) }
            td { (text::window(&package.train)) }
            td { (text::window(&package.holdout)) }
            td.number.nowrap { (text::measured(package.quality.get(&report.document.quality.metric))) }
            td { @if let Some(at) = package.promoted_at { (text::moment(at)) } @else { "never" } }
            td { @if let Some(version) = package.replaced { "v" (version) } @else { (text::UNDEFINED) } }
            td { (package.run.as_ref().map_or_else(|| text::visible("made elsewhere"), |it| text::visible(text::run(it)))) }
            td { code title=(package.artifact.to_string()) { (package.artifact.short()) } }
        }
    }
}

/// The log and the yardstick.
pub(super) fn section(report: &Report<'_>) -> Markup {
    let audit = &report.document.audit;
    let mut facts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &report.history.audit {
        *facts.entry(entry.event.fact.name()).or_default() += 1;
    }
    html! {
        section id="audit" {
            h2 { "How to check this page" }
            div.card {
                p {
                    @if audit.verified { (badge(Tone::Good, "verified")) } @else { (badge(Tone::Bad, "not verified")) }
                    " " (text::count(audit.entries)) " audit entries"
                    @if audit.verified { ": each follows the one before by its hash, and together they add up to the stored state." }
                    @else { ": the chain is broken or does not add up to the stored state. Do not rely on this page." }
                }
                dl.facts-list {
                    div { dt { "Head" } dd { code { (audit.head) } } }
                    div { dt { "Data" } dd { code { (report.document.data.digest) } } }
                    div { dt { "Policy" } dd { code { (report.history.head.policy) } } }
                    div { dt { "Check it" } dd { code { "refit audit verify " (text::visible(report.history.head.model.as_ref())) " --state DIR" } } }
                    div { dt { "Explain a decision" } dd { code { "refit explain DECISION --state DIR" } } }
                }
                @if !facts.is_empty() {
                    details.inner {
                        summary { "Entries by kind" }
                        div.scroll { table { tbody { @for (name, count) in &facts { tr { td { code { (name) } } td.number { (text::count(*count as u64)) } } } } } }
                    }
                }
            }
            h3 { "The yardstick" }
            (yardstick(report))
        }
    }
}

fn yardstick(report: &Report<'_>) -> Markup {
    let document = report.document;
    let first = document.promotions.first().map(|it| it.version);
    let rows: u64 = document.quality.windows.iter().map(|it| it.rows).sum();
    html! {
        p {
            "“Served” scores each prediction that the champion of its time made. “Never retrained” scores the first champion"
            @if let Some(version) = first { " (version " (version) ")" }
            " on the same rows, all the time. Rows until " (text::day(document.data.warmup_end)) " only trained the first champion and are not counted. "
            "The means weight each of the " (text::counted(document.quality.windows.len(), "window", "windows")) " by its rows, "
            (text::count(rows)) " in all."
        }
    }
}
