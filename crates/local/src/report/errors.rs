//! How the predictions on a hold-out err: confusion of classes, calibration of probabilities, errors of numbers.

use maud::{Markup, html};
use refit_app::measure::Predictions;
use refit_core::policy::Task;
use refit_stats::quality::{self, Scored};

use super::evaluation::has_classes;
use super::text;

/// Most classes whose confusion is drawn.
const MAX_CLASSES: usize = 20;
/// Bins of equal width for probabilities.
const BINS: usize = 10;
/// The calibration plot's side in CSS pixels.
const SIDE: f64 = 240.0;

/// The sections that fit the task.
pub(super) fn sections(task: Task, predictions: &Predictions, classes: &[String]) -> Markup {
    let kind = match task {
        Task::Regression => quality::Task::Regression,
        Task::Binary => quality::Task::Binary,
        Task::Multiclass => quality::Task::Multiclass,
    };
    let scored = |scores: &[f64]| Scored::new(kind, &predictions.labels, scores).ok();
    let candidate = scored(&predictions.candidate);
    let champion = predictions.champion.as_deref().and_then(scored);
    let names: Vec<String> = if task == Task::Binary { vec!["0".to_owned(), "1".to_owned()] } else { classes.to_vec() };
    let roles = [("Candidate", candidate.as_ref()), ("Champion", champion.as_ref())];
    html! {
        @if has_classes(task) {
            section {
                h2 { "Confusion" }
                p.lead { "Rows are what was true, columns what was predicted; a cell has the share of its row." }
                div.multiples {
                    @for (role, scored) in roles {
                        @if let Some(table) = scored.and_then(Scored::confusion_table) { figure.small { figcaption { strong { (role) } } (confusion(&names, &table)) } }
                    }
                }
            }
        }
        @if task == Task::Binary {
            section {
                h2 { "Calibration" }
                p.lead { "How often class 1 came true where it was predicted with about this probability; on the diagonal both agree." }
                div.multiples {
                    @for (role, scored) in roles {
                        @if let Some(scored) = scored { figure.small { figcaption { strong { (role) } } (calibration(scored)) } }
                    }
                }
            }
        }
        @if task == Task::Regression { (regression(candidate.as_ref(), champion.as_ref())) }
    }
}

fn confusion(names: &[String], table: &[Vec<u64>]) -> Markup {
    let shown = table.len().min(MAX_CLASSES);
    let name = |at: usize| names.get(at).map_or_else(|| at.to_string(), |it| text::visible(it).into_owned());
    html! {
        div.scroll { table.confusion {
            thead { tr { th { "" } @for class in 0..shown { th.number { (name(class)) } } } }
            tbody {
                @for (class, row) in table.iter().enumerate().take(shown) {
                    @let total: u64 = row.iter().sum();
                    tr {
                        th scope="row" { (name(class)) }
                        @for (predicted, count) in row.iter().enumerate().take(shown) {
                            @let share = if total == 0 { 0.0 } else { *count as f64 / total as f64 };
                            td.number class=[(class == predicted).then_some("right")] { (text::count(*count)) br; small { (format!("{:.0} %", 100.0 * share)) } }
                        }
                    }
                }
            }
        } }
        @if shown < table.len() { p.meta { "The first " (shown) " of " (table.len()) " classes." } }
    }
}

/// One bin of probabilities.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    rows: u64,
    predicted: f64,
    came_true: f64,
}

fn calibration(scored: &Scored) -> Markup {
    let mut bins = [Bin::default(); BINS];
    for (label, score) in scored.labels().iter().zip(scored.scores()) {
        let bin = &mut bins[((score * BINS as f64) as usize).min(BINS - 1)];
        bin.rows += 1;
        bin.predicted += score;
        bin.came_true += label;
    }
    let filled: Vec<Bin> = bins.into_iter().filter(|it| 0 < it.rows).collect();
    let (x, y) = (|it: f64| format!("{:.1}", 24.0 + it * SIDE), |it: f64| format!("{:.1}", 6.0 + (1.0 - it) * SIDE));
    let point = |it: &Bin| (it.predicted / it.rows as f64, it.came_true / it.rows as f64);
    let line: Vec<String> = filled.iter().map(|it| format!("{},{}", x(point(it).0), y(point(it).1))).collect();
    let most = filled.iter().map(|it| it.rows).max().unwrap_or(1) as f64;
    html! {
        svg.calibration viewBox="0 0 276 270" width="276" height="270" role="img" aria-label="calibration" {
            path.frame d={ "M24 6H264V246H24Z" } {}
            path.diagonal d="M24 246L264 6" {}
            polyline.line points=(line.join(" ")) {}
            @for bin in &filled {
                circle.dot cx=(x(point(bin).0)) cy=(y(point(bin).1)) r=(format!("{:.1}", 2.5 + 4.0 * (bin.rows as f64 / most).sqrt())) {
                    title { (text::count(bin.rows)) " rows, predicted " (text::number(point(bin).0)) ", came true " (text::number(point(bin).1)) }
                }
            }
            @for tick in [0.0, 0.5, 1.0] {
                text x=(x(tick)) y="262" text-anchor="middle" { (tick) }
                text x="18" y=(y(tick)) text-anchor="end" { (tick) }
            }
        }
    }
}

fn regression(candidate: Option<&Scored>, champion: Option<&Scored>) -> Markup {
    let columns: Vec<_> = [("Candidate", candidate), ("Champion", champion)]
        .into_iter()
        .filter_map(|(role, scored)| Some((role, scored?.regression_errors()?)))
        .collect();
    html! {
        @if !columns.is_empty() {
            section {
                h2 { "Errors" }
                div.scroll { table {
                    thead { tr { th { "" } @for (role, _) in &columns { th.number { (role) } } } }
                    tbody {
                        tr { th scope="row" { "bias (prediction − label)" } @for (_, it) in &columns { td.number { (text::number(it.bias)) } } }
                        tr { th scope="row" { "median absolute error" } @for (_, it) in &columns { td.number { (text::number(it.median_absolute)) } } }
                        tr { th scope="row" { "largest absolute error" } @for (_, it) in &columns { td.number { (text::number(it.max_error)) } } }
                        tr { th scope="row" { "mean absolute percentage error" } @for (_, it) in &columns { td.number { (text::percent(it.mape)) } } }
                    }
                } }
            }
        }
    }
}
