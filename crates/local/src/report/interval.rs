//! An improvement with its interval as a small picture: zero, the thresholds, the bounds and the value.

use maud::{Markup, html};
use refit_core::evaluation::Improvement;

/// The picture's width and height in CSS pixels.
const SIZE: (f64, f64) = (230.0, 34.0);

/// Draws it; `label` says the same in words.
pub(super) fn plot(improvement: &Improvement, thresholds: &[f64], label: &str) -> Markup {
    let bound = |it: Option<f64>| it.filter(|it| it.is_finite());
    let (lower, upper) = (bound(improvement.lower_bound), bound(improvement.upper_bound));
    if !improvement.value.is_finite() {
        return html! { "–" };
    }
    let values =
        [Some(0.0), Some(improvement.value), lower, upper].into_iter().flatten().chain(thresholds.iter().copied());
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| (low.min(it), high.max(it)));
    let span = if low < high { high - low } else { 1.0 };
    let x = |value: f64| format!("{:.1}", 14.0 + (value - low) / span * (SIZE.0 - 28.0));
    let middle = "20";
    html! {
        svg.interval viewBox={ "0 0 " (SIZE.0) " " (SIZE.1) } width=(SIZE.0) height=(SIZE.1) role="img" aria-label=(label) {
            line.track x1="4" x2=(SIZE.0 - 4.0) y1=(middle) y2=(middle) {}
            line.zero x1=(x(0.0)) x2=(x(0.0)) y1="10" y2="30" {}
            text x=(x(0.0)) y="8" text-anchor="middle" { "0" }
            @for threshold in thresholds {
                line.limit x1=(x(*threshold)) x2=(x(*threshold)) y1="10" y2="30" {}
                path.limit d={ "M" (x(*threshold)) " 11l-4-6h8z" } {}
            }
            @if let (Some(lower), Some(upper)) = (lower, upper) {
                line.range x1=(x(lower)) x2=(x(upper)) y1=(middle) y2=(middle) {}
                line.range x1=(x(lower)) x2=(x(lower)) y1="16" y2="24" {}
                line.range x1=(x(upper)) x2=(x(upper)) y1="16" y2="24" {}
            }
            circle.value cx=(x(improvement.value)) cy=(middle) r="4.5" {}
        }
    }
}
