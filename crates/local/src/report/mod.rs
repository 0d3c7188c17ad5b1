//! The HTML report: one self-contained page that tells what happened to a model and why.
//!
//! It reads from top to bottom: the answer, quality over time, the runs, why each ended as it did, what the triggers saw,
//! what people were told, and how to check all of it. The page has no script and loads nothing; its content security policy
//! allows the one style sheet by its hash. Every text, in elements and in attributes, is escaped by the template, and
//! `text::visible` writes out characters that would deceive a reader.
//!
//! Not here: the numbers themselves ([`crate::replay`]).

mod audit;
mod comparison;
mod drift;
mod errors;
mod evaluation;
mod heat;
mod histogram;
mod interval;
mod moments;
mod notices;
mod performance;
mod plot;
mod quality;
mod runs;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod why;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use refit_app::ports::Alert;
use refit_core::evaluation::improvement;
use refit_core::policy::{ImprovementMode, ModelPolicy};
use refit_core::run::Run;
use refit_core::{Digest, RunId};

pub use comparison::{DriftPage, render_drift};
pub use evaluation::{EvaluationPage, render_evaluation};

use crate::replay::{Document, History};

/// The style sheet, in the page as it is here.
const STYLE: &str = include_str!("style.css");

/// What the page is about.
#[derive(Debug, Clone, Copy)]
struct Report<'a> {
    document: &'a Document,
    history: &'a History,
    policy: &'a ModelPolicy,
    alerts: &'a [Alert],
}

/// Writes the report as one HTML file.
#[must_use]
pub fn render(document: &Document, history: &History, policy: &ModelPolicy, alerts: &[Alert]) -> String {
    let report = Report { document, history, policy, alerts };
    page(&format!("{} – Refit report", history.head.model), &body(&report))
}

/// A whole page.
fn page(title: &str, body: &Markup) -> String {
    let security =
        format!("default-src 'none'; style-src '{}'; img-src data:; base-uri 'none'; form-action 'none'", style_hash());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(security);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (text::visible(title)) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

fn body(report: &Report<'_>) -> Markup {
    html! {
        main {
            (summary::header(report))
            nav aria-label="Contents" {
                a href="#quality" { "Quality" }
                a href="#runs" { "Runs" }
                a href="#why" { "Why" }
                a href="#performance" { "Performance" }
                a href="#drift" { "Drift" }
                a href="#notices" { "Alerts" }
                a href="#versions" { "Versions" }
                a href="#audit" { "Audit" }
            }
            (quality::section(report))
            (runs::section(report))
            (why::section(report))
            (performance::section(report))
            (drift::section(report))
            (notices::section(report))
            (audit::versions(report))
            (audit::section(report))
        }
        footer { "Times are UTC. Written by Refit; this page loads nothing and runs no script." }
    }
}

/// The style sheet's hash as a content security policy names it.
fn style_hash() -> String {
    let digest = Digest::of(STYLE.as_bytes());
    let hex = digest.hex().as_bytes().chunks(2);
    let bytes: Vec<u8> = hex
        .map(|it| it.iter().fold(0, |sum, digit| 16 * sum + char::from(*digit).to_digit(16).map_or(0, |it| it as u8)))
        .collect();
    format!("sha256-{}", base64(&bytes))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0_usize, |sum, index| 256 * sum + chunk.get(index).map_or(0, |it| usize::from(*it)));
        for index in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * index)) & 63];
            out.push(if index <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

impl Report<'_> {
    /// The first time on every time axis.
    fn start(&self) -> Timestamp {
        let windows = self.document.quality.windows.first().map(|it| it.start);
        let runs = self.history.runs.first().map(|it| it.requested_at);
        [windows, runs].into_iter().flatten().fold(self.document.data.warmup_end, Timestamp::min)
    }

    /// The last time on every time axis.
    fn end(&self) -> Timestamp {
        let windows = self.document.quality.windows.iter().map(|it| it.end);
        let runs = self.history.runs.iter().map(|it| it.outcome.as_ref().map_or(it.requested_at, |it| it.at));
        windows.chain(runs).fold(self.document.data.end, Timestamp::max)
    }

    fn find_run(&self, id: &RunId) -> Option<&Run> {
        self.history.runs.iter().find(|it| &it.id == id)
    }

    /// When a run ended; the end of the report while it is under way.
    fn run_end(&self, run: &Run) -> Timestamp {
        run.outcome.as_ref().map_or_else(|| self.end(), |it| it.at)
    }

    /// How much better what was served is, as a share of the first champion's value; negative when worse.
    fn gain(&self, frozen: Option<f64>, refit: Option<f64>) -> Option<f64> {
        improvement(self.document.quality.metric, ImprovementMode::Relative, frozen?, refit?)
    }
}
