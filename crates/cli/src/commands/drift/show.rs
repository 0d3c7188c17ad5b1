//! A comparison as a table with bars, for a terminal.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use refit_data::report::{DriftReport, FeatureReport, SegmentReport};
use refit_stats::verdict::Verdict;

use crate::output::{count, escaped};

/// How many characters the bar up to the threshold has; it goes on as far again.
const TO_THRESHOLD: usize = 12;

/// Longer names are cut.
const MAX_NAME: usize = 28;

/// Whether words are colored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ink {
    Plain,
    Colored,
}

/// The comparison in text.
pub(super) fn show(report: &DriftReport) -> String {
    let is_terminal = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    write(report, if is_terminal { Ink::Colored } else { Ink::Plain })
}

fn write(report: &DriftReport, ink: Ink) -> String {
    let mut out = String::new();
    let window = report.current.window.as_ref().map(|it| format!(" from {} to {}", it.start, it.end));
    let told = format!(
        "{} rows{} against {} of the reference\n\n",
        report.current.rows,
        window.unwrap_or_default(),
        report.reference.rows
    );
    out.push_str(&told);
    let all: Vec<(&str, &FeatureReport)> = report
        .features
        .iter()
        .map(|it| ("", it))
        .chain(report.prediction.iter().map(|it| ("prediction ", it)))
        .chain(report.target.iter().map(|it| ("target ", it)))
        .collect();
    out.push_str(&table(&all, ink));
    for it in &report.quality {
        let number = |it: Option<f64>| it.map_or_else(|| "-".to_owned(), |it| format!("{it:.4}"));
        let _ = writeln!(out, "{} {} on the reference, {} now", it.metric, number(it.reference), number(it.current));
    }
    if !report.segments.is_empty() {
        out.push('\n');
        report.segments.iter().for_each(|it| out.push_str(&segment(it, ink)));
    }
    for it in &report.ignored {
        let _ = writeln!(out, "not compared: `{}`, {}", escaped(&it.name), escaped(&it.reason));
    }
    let dataset = &report.dataset;
    let _ = writeln!(out, "\n{}: {}", word(dataset.verdict, ink), escaped(&dataset.reasons.join("; ")));
    out
}

fn table(features: &[(&str, &FeatureReport)], ink: Ink) -> String {
    let name = |it: &(&str, &FeatureReport)| format!("{}{}", it.0, cut(&escaped(&it.1.name)));
    let width = features.iter().map(|it| name(it).chars().count()).max().unwrap_or(0).max("FEATURE".len());
    let mut out = format!(
        "{:width$}  {:12}  {:25}  {:>8}  {:>9}  {:>8}  {:>13}  {}\n",
        "FEATURE", "VERDICT", "", "SCORE", "THRESHOLD", "Q-VALUE", "MISSING", "BY"
    );
    for it in features {
        let feature = it.1;
        let padding = " ".repeat(12_usize.saturating_sub(feature.verdict.name().len()));
        let score = feature.decisive().map(|it| it.value);
        let _ = writeln!(
            out,
            "{:width$}  {}{padding}  {}  {:>8}  {:>9}  {:>8}  {:>13}  {}",
            name(it),
            word(feature.verdict, ink),
            bar(score, feature.threshold, feature.verdict, ink),
            score.map_or_else(|| "-".to_owned(), |it| format!("{it:.4}")),
            feature.threshold,
            feature.q_value.map_or_else(|| "-".to_owned(), |it| format!("{it:.1e}")),
            missing(feature),
            feature.verdict_by.name(),
        );
    }
    let odd = features.iter().filter(|it| matches!(it.1.verdict, Verdict::Inconclusive | Verdict::Errored));
    for it in odd {
        let _ = writeln!(out, "{}: {}", escaped(&it.1.name), escaped(&it.1.reasons.join("; ")));
    }
    out
}

/// The share of missing values on both sides.
fn missing(feature: &FeatureReport) -> String {
    let share = |missing: u64, all: u64| if all == 0 { 0.0 } else { 100.0 * missing as f64 / all as f64 };
    let (before, now) = (feature.reference, feature.current);
    let unusable = |it: refit_data::drift::SideCounts| share(it.missing + it.non_finite, it.count);
    format!("{:.1} → {:.1} %", unusable(before), unusable(now))
}

/// A bar whose mark is the threshold and whose end is at twice it.
fn bar(score: Option<f64>, threshold: f64, verdict: Verdict, ink: Ink) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let full = 2 * TO_THRESHOLD;
    let share = score.map_or(0.0, |it| it / threshold).clamp(0.0, 2.0);
    let eighths = (share * 8.0 * TO_THRESHOLD as f64).round() as usize;
    let mut cells: Vec<char> = std::iter::repeat_n('█', eighths / 8).collect();
    if cells.len() < full && !eighths.is_multiple_of(8) {
        cells.push(EIGHTHS[eighths % 8]);
    }
    cells.resize(full, ' ');
    let text = |it: &[char]| it.iter().collect::<String>();
    let (before, after) = (text(&cells[..TO_THRESHOLD]), text(&cells[TO_THRESHOLD..]));
    format!("{}│{}", colored(&before, verdict, ink), colored(&after, verdict, ink))
}

fn segment(it: &SegmentReport, ink: Ink) -> String {
    let drifted: Vec<String> =
        it.features.iter().filter(|it| it.verdict == Verdict::Drifted).map(|it| escaped(&it.name)).collect();
    let drifted = if drifted.is_empty() { String::new() } else { format!(": {}", drifted.join(", ")) };
    format!(
        "{} = {}  {}  {} against {}{drifted}\n",
        escaped(&it.segment),
        cut(&escaped(&it.value)),
        word(it.dataset.verdict, ink),
        count(usize::try_from(it.current_rows).unwrap_or(usize::MAX), "row"),
        it.reference_rows,
    )
}

fn cut(name: &str) -> String {
    if name.chars().count() <= MAX_NAME {
        return name.to_owned();
    }
    name.chars().take(MAX_NAME - 1).chain(['…']).collect()
}

fn word(verdict: Verdict, ink: Ink) -> String {
    colored(verdict.name(), verdict, ink)
}

fn colored(text: &str, verdict: Verdict, ink: Ink) -> String {
    if ink == Ink::Plain {
        return text.to_owned();
    }
    let color = match verdict {
        Verdict::Stable => 32,
        Verdict::Drifted => 31,
        Verdict::Inconclusive => 33,
        Verdict::Errored => 35,
    };
    format!("\u{1b}[{color}m{text}\u{1b}[0m")
}
