//! Words, numbers and times as a person reads them, and invisible characters made visible.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use refit_core::approval::Choice;
use refit_core::evaluation::Verdict;
use refit_core::package::{Measured, PackageStatus};
use refit_core::policy::{GateMetric, GatePolicy, ImprovementMode, Metric};
use refit_core::run::RunStatus;
use refit_core::trigger::{CauseKind, WindowVerdict};
use refit_core::{RunId, Window};

/// What stands where a number is undefined.
pub(super) const UNDEFINED: &str = "–";

/// Text from data with control characters, direction overrides and other invisible characters written out.
///
/// Markup in it is escaped where every text is: by the template.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_deceptive) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_deceptive(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Whether a character shows nothing itself but changes how its neighbors look. Joiners are left alone: scripts need them.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A number with as many digits as are worth reading.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return UNDEFINED.to_owned();
    }
    let size = value.abs();
    let text = if size == 0.0 {
        "0".to_owned()
    } else if 1000.0 <= size {
        let sign = if value < 0.0 { "-" } else { "" };
        // A float to integer conversion saturates, which is far beyond any metric.
        format!("{sign}{}", count(size.round() as u64))
    } else if 100.0 <= size {
        format!("{value:.1}")
    } else if 1.0 <= size {
        format!("{value:.2}")
    } else if 0.001 <= size {
        format!("{value:.3}")
    } else {
        format!("{value:.1e}")
    };
    text.replace('-', "\u{2212}")
}

/// A number that may be missing.
pub(super) fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| UNDEFINED.to_owned(), number)
}

/// A measured value with its standard error.
pub(super) fn measured(value: Option<&Measured>) -> String {
    match value {
        None => UNDEFINED.to_owned(),
        Some(Measured { value, standard_error: Some(error), .. }) if error.is_finite() => {
            format!("{}\u{a0}±\u{a0}{}", number(*value), number(*error))
        }
        Some(Measured { value, .. }) => number(*value),
    }
}

/// A count with a thin space between thousands.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if 0 < index && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A share as percent.
pub(super) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return UNDEFINED.to_owned();
    }
    let value = 100.0 * share;
    let text = if value.abs() < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") };
    format!("{}\u{a0}%", text.replace('-', "\u{2212}"))
}

/// A change with its sign, in the unit of its mode.
pub(super) fn change(value: f64, mode: ImprovementMode) -> String {
    let text = match mode {
        ImprovementMode::Absolute => number(value),
        ImprovementMode::Relative | ImprovementMode::ErrorReduction => percent(value),
    };
    if 0.0 < value && value.is_finite() { format!("+{text}") } else { text }
}

/// How an improvement was measured.
pub(super) fn mode(mode: ImprovementMode) -> &'static str {
    match mode {
        ImprovementMode::Absolute => "in the metric's unit",
        ImprovementMode::Relative => "of the champion's value",
        ImprovementMode::ErrorReduction => "of the champion's error",
    }
}

fn format_time(time: Timestamp, format: &str) -> String {
    time.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

/// A day.
pub(super) fn day(time: Timestamp) -> String {
    format_time(time, "%-d\u{a0}%b\u{a0}%Y")
}

/// A day and time for machines and readers: a `time` element.
pub(super) fn moment(time: Timestamp) -> Markup {
    html! { time datetime=(time.to_string()) { (format_time(time, "%-d\u{a0}%b\u{a0}%Y")) " " (format_time(time, "%H:%M")) } }
}

/// A window, by days when it begins and ends at midnight.
pub(super) fn window(window: &Window) -> String {
    let is_whole = |time: Timestamp| time.as_second().rem_euclid(86_400) == 0;
    if is_whole(window.start) && is_whole(window.end) {
        return format!("{} – {}", day(window.start), day(window.end));
    }
    let format = "%-d\u{a0}%b\u{a0}%Y %H:%M";
    format!("{} – {}", format_time(window.start, format), format_time(window.end, format))
}

/// A length of time in the largest unit that says enough.
pub(super) fn duration(start: Timestamp, end: Timestamp) -> String {
    let seconds = end.as_second().saturating_sub(start.as_second()).max(0);
    let (value, unit) = match seconds {
        0..90 => (seconds, "second"),
        90..5_400 => ((seconds + 30) / 60, "minute"),
        5_400..172_800 => ((seconds + 1_800) / 3_600, "hour"),
        _ => ((seconds + 43_200) / 86_400, "day"),
    };
    if value == 1 { format!("1\u{a0}{unit}") } else { format!("{value}\u{a0}{unit}s") }
}

/// A period as one names it in a sentence.
pub(super) fn period(start: Timestamp, end: Timestamp) -> String {
    let days = (end.as_second() - start.as_second() + 43_200) / 86_400;
    match days {
        300..=380 if 350 <= days => "the year".to_owned(),
        70.. => format!("{}\u{a0}months", (days as f64 / 30.44).round()),
        15.. => format!("{}\u{a0}weeks", (days as f64 / 7.0).round()),
        _ => duration(start, end),
    }
}

/// A count of things.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {many}", count(number as u64)) }
}

/// The part of a run's id that tells it from others of its model.
pub(super) fn run(id: &RunId) -> &str {
    let id: &str = id.as_ref();
    id.rsplit_once('-').map_or(id, |it| it.1)
}

/// A metric's name on a screen.
pub(super) fn metric(metric: Metric) -> &'static str {
    match metric {
        Metric::Accuracy => "accuracy",
        Metric::Precision => "precision",
        Metric::Recall => "recall",
        Metric::F1 => "F1",
        Metric::Auc => "AUC",
        Metric::LogLoss => "log loss",
        Metric::Brier => "Brier score",
        Metric::Mae => "MAE",
        Metric::Rmse => "RMSE",
        Metric::R2 => "R²",
        Metric::AucOvrMacro => "AUC (one against the rest)",
        Metric::MacroPrecision => "macro precision",
        Metric::MacroRecall => "macro recall",
        Metric::MacroF1 => "macro F1",
        Metric::WeightedPrecision => "weighted precision",
        Metric::WeightedRecall => "weighted recall",
        Metric::WeightedF1 => "weighted F1",
        Metric::SharpeRatio => "Sharpe ratio",
        Metric::WinRate => "win rate",
        Metric::MaxDrawdown => "maximum drawdown",
    }
}

/// What a gate looks at, on a screen.
pub(super) fn gate_metric(metric: &GateMetric) -> String {
    match metric {
        GateMetric::Measured(it) => self::metric(*it).to_owned(),
        GateMetric::Custom(custom) => custom.name.clone(),
    }
}

/// A gate by its name.
pub(super) fn gate(gate: &GatePolicy) -> String {
    let metric = gate_metric(&gate.metric);
    let segments = if gate.segments.is_empty() { String::new() } else { format!(" by {}", gate.segments.join(", ")) };
    let trial = if gate.dry_run { "dry-run gate" } else { "gate" };
    format!("{trial} on {metric}{segments}")
}

/// How good news is; shown by a sign as well as by a color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Unsure,
    /// An answer, not an accident.
    Refused,
    Plain,
}

/// A short word in a box.
pub(super) fn badge(tone: Tone, text: &str) -> Markup {
    let (class, sign) = match tone {
        Tone::Good => ("badge good", "✓"),
        Tone::Bad => ("badge bad", "✕"),
        Tone::Unsure => ("badge unsure", "?"),
        Tone::Refused => ("badge unsure", "■"),
        Tone::Plain => ("badge", ""),
    };
    html! {
        span class=(class) {
            @if !sign.is_empty() { span.sign aria-hidden="true" { (sign) } }
            (visible(text))
        }
    }
}

/// A run's status.
pub(super) fn status(status: RunStatus) -> Markup {
    let (tone, word) = match status {
        RunStatus::Succeeded => (Tone::Good, "promoted"),
        RunStatus::Rejected => (Tone::Refused, "rejected"),
        RunStatus::Failed => (Tone::Bad, "failed"),
        RunStatus::TimedOut => (Tone::Bad, "timed out"),
        RunStatus::Canceled => (Tone::Plain, "canceled"),
        RunStatus::Requested => (Tone::Plain, "requested"),
        RunStatus::Queued => (Tone::Plain, "queued"),
        RunStatus::Starting => (Tone::Plain, "starting"),
        RunStatus::Training => (Tone::Plain, "training"),
        RunStatus::Evaluating => (Tone::Plain, "evaluating"),
        RunStatus::AwaitingApproval => (Tone::Plain, "awaiting approval"),
        RunStatus::Announced => (Tone::Plain, "announced"),
        RunStatus::RollingOut => (Tone::Plain, "rolling out"),
        RunStatus::Stopping => (Tone::Plain, "stopping"),
    };
    badge(tone, word)
}

/// A gate's verdict in a word.
pub(super) fn verdict_name(verdict: Verdict) -> (Tone, &'static str) {
    match verdict {
        Verdict::Passed => (Tone::Good, "passed"),
        Verdict::Failed => (Tone::Bad, "failed"),
        Verdict::Inconclusive => (Tone::Unsure, "inconclusive"),
        Verdict::Errored => (Tone::Bad, "errored"),
    }
}

/// A gate's verdict.
pub(super) fn verdict(verdict: Verdict) -> Markup {
    let (tone, word) = verdict_name(verdict);
    badge(tone, word)
}

/// What a window was found to be.
pub(super) fn window_verdict(verdict: WindowVerdict) -> Markup {
    match verdict {
        WindowVerdict::Stable => badge(Tone::Good, "stable"),
        WindowVerdict::Drifted => badge(Tone::Bad, "drifted"),
        WindowVerdict::Degraded => badge(Tone::Bad, "degraded"),
        WindowVerdict::Broken => badge(Tone::Bad, "broken"),
        WindowVerdict::Inconclusive => badge(Tone::Unsure, "inconclusive"),
        WindowVerdict::Errored => badge(Tone::Bad, "errored"),
    }
}

/// Where a version stands.
pub(super) fn package_status(status: PackageStatus) -> Markup {
    match status {
        PackageStatus::Candidate => badge(Tone::Plain, "candidate"),
        PackageStatus::Champion => badge(Tone::Good, "champion"),
        PackageStatus::Retired => badge(Tone::Plain, "retired"),
        PackageStatus::Rejected => badge(Tone::Refused, "rejected"),
        PackageStatus::RolledBack => badge(Tone::Bad, "rolled back"),
    }
}

/// What a person decided.
pub(super) fn choice(choice: Choice) -> Markup {
    match choice {
        Choice::Approve => badge(Tone::Good, "approved"),
        Choice::Decline => badge(Tone::Bad, "declined"),
    }
}

/// Why a run was asked for, in a word or two.
pub(super) fn cause(kind: CauseKind) -> &'static str {
    match kind {
        CauseKind::PerformanceDrop => "performance drop",
        CauseKind::PerformanceFloor => "performance floor",
        CauseKind::EstimatedPerformance => "estimated performance",
        CauseKind::DataDrift => "data drift",
        CauseKind::PredictionDrift => "prediction drift",
        CauseKind::ConceptDrift => "concept drift",
        CauseKind::Age => "age",
        CauseKind::PredictionVolume => "prediction volume",
        CauseKind::NewRecords => "new records",
        CauseKind::Schedule => "schedule",
        CauseKind::Alarm => "alarm",
        CauseKind::Event => "event",
        CauseKind::Manual => "manual",
    }
}
