//! The beginning of the page: the answer in one sentence, and the numbers behind it.

use maud::{Markup, html};
use refit_core::policy::Direction;
use refit_core::run::RunStatus;

use super::text;
use super::{Report, quality};

/// Differences below this share are told as none.
const NOTABLE: f64 = 0.005;

/// The title and the answer.
pub(super) fn header(report: &Report<'_>) -> Markup {
    let document = report.document;
    html! {
        header {
            p.kicker { "Refit report" }
            h1 { (text::visible(report.history.head.model.as_ref())) }
            p.period {
                (text::day(document.data.warmup_end)) " – " (text::day(document.data.end)) ", "
                (text::count(document.data.rows)) " rows of " code { (text::visible(&document.data.source)) }
                ", world " (text::visible(&document.world))
            }
            p.answer { (answer(report)) }
            (numbers(report))
            @if let Some(reason) = &report.history.head.frozen {
                p.note { strong { "Promotion without a person is frozen: " } (text::visible(reason)) }
            }
        }
    }
}

/// The answer as a sentence.
fn answer(report: &Report<'_>) -> Markup {
    let quality = &report.document.quality;
    let name = text::metric(quality.metric);
    let mean = &quality.mean;
    let (Some(frozen), Some(refit)) = (mean.frozen.filter(|it| it.is_finite()), mean.refit.filter(|it| it.is_finite()))
    else {
        return html! { "No comparison yet: no window has labels for both what was served and the first champion." };
    };
    let numbers = html! {
        (name) " " strong { (text::number(refit)) } " over " (text::period(report.document.data.warmup_end, report.document.data.end)) ", "
        strong { (text::number(frozen)) } " if never retrained"
    };
    match report.gain(Some(frozen), Some(refit)) {
        Some(gain) if NOTABLE <= gain => html! { "Kept fresh: " (numbers) ": " (difference(report, gain)) "." },
        Some(gain) if gain <= -NOTABLE => {
            html! { "Retraining did not pay off: " (numbers) ": " (difference(report, gain)) "." }
        }
        Some(_) => html! { "Retraining made no difference: " (numbers) "." },
        None => html! { (numbers) "." },
    }
}

fn difference(report: &Report<'_>, gain: f64) -> Markup {
    let metric = report.document.quality.metric;
    let share = text::percent(gain.abs());
    let (is_better, word) = (0.0 < gain, text::metric(metric));
    let text = match (metric.direction(), is_better) {
        (Direction::LowerIsBetter, true) => format!("{share} lower error"),
        (Direction::LowerIsBetter, false) => format!("{share} higher error"),
        (Direction::HigherIsBetter, true) => format!("{share} higher {word}"),
        (Direction::HigherIsBetter, false) => format!("{share} lower {word}"),
    };
    html! { strong class=(if is_better { "better" } else { "worse" }) { (text) } }
}

fn numbers(report: &Report<'_>) -> Markup {
    let document = report.document;
    let mean = &document.quality.mean;
    let name = text::metric(document.quality.metric);
    let open = document.runs.iter().filter(|it| !it.status.is_terminal()).count();
    let canceled = document.runs.iter().filter(|it| it.status == RunStatus::Canceled).count();
    let small = |label: &str, value: usize| html! { div { dt { (label) } dd { (text::count(value as u64)) } } };
    html! {
        dl.numbers.big {
            div.refit { dt { "Served" } dd { (text::optional(mean.refit)) " " small { (name) (quality::unit(report)) } } }
            div.frozen { dt { "Never retrained" } dd { (text::optional(mean.frozen)) " " small { (name) (quality::unit(report)) } } }
            div { dt { "Champion now" } dd { (champion(report)) } }
        }
        dl.numbers {
            (small("Runs", document.runs.len()))
            (small("Promotions", document.promotions.len()))
            (small("Rejections", document.rejections.len()))
            (small("Failures", document.failures.len()))
            (small("Rollbacks", document.rollbacks.len()))
            @if 0 < canceled { (small("Canceled", canceled)) }
            @if 0 < open { (small("Under way", open)) }
            div { dt { "Quiet checks" } dd { (text::count(document.quiet_checks)) } }
        }
    }
}

fn champion(report: &Report<'_>) -> Markup {
    let Some(version) = report.history.head.champion else {
        return html! { "none" };
    };
    let package = report.history.packages.iter().find(|it| it.version == version);
    html! {
        "version " (version)
        @if let Some(since) = package.and_then(|it| it.promoted_at) { " " small { "since " (text::day(since)) } }
    }
}
