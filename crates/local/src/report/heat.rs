//! The drift of all features at a glance: a row a feature, a cell a window, darker the nearer to the threshold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{Markup, html};
use refit_core::trigger::{FeatureJudgment, Judgment};

use super::text;

/// Shares of the threshold below which a cell has a shade, and what the shade says.
const SHADES: [(f64, &str, &str); 4] = [
    (0.25, "heat-0", "below a quarter of the threshold"),
    (0.5, "heat-1", "a quarter"),
    (0.75, "heat-2", "half"),
    (f64::INFINITY, "heat-3", "three quarters and more, not drifted"),
];
/// The shade of what counts: a distance beyond the threshold that chance alone reaches is not drift.
const DRIFTED: (&str, &str) = ("heat-4", "drifted");
/// A cell's size and distance, in CSS pixels.
const CELL: (usize, usize) = (14, 16);
/// Room for the names.
const NAMES: usize = 150;
/// Names longer than this are cut; the whole name is the row's title.
const MAX_NAME: usize = 20;

/// The map; features in the order given.
pub(super) fn map(judgments: &[&Judgment], features: &[&str]) -> Markup {
    let windows: Vec<Timestamp> = judgments.iter().map(|it| it.window.end).collect();
    let mut cells: BTreeMap<(&str, Timestamp), &FeatureJudgment> = BTreeMap::new();
    for judgment in judgments {
        for feature in &judgment.features {
            cells.insert((&feature.name, judgment.window.end), feature);
        }
    }
    let (size, pitch) = CELL;
    let (width, height) = (NAMES + pitch * windows.len(), pitch * features.len());
    html! {
        ul.legend {
            @for (class, says) in SHADES.iter().map(|it| (it.1, it.2)).chain([DRIFTED]) {
                li {
                    svg.key viewBox="0 0 14 12" width="14" height="12" aria-hidden="true" { rect class=(class) width="14" height="12" {} }
                    (says)
                }
            }
        }
        div.wide {
            svg.heat viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) role="img"
                aria-label="Distance of each feature from the reference, by window" {
                @for (row, name) in features.iter().enumerate() {
                    text.heat-name x=(NAMES - 8) y=(row * pitch + 11) text-anchor="end" { title { (text::visible(name)) } (short(name)) }
                    @for (column, window) in windows.iter().enumerate() {
                        @let cell = cells.get(&(*name, *window)).copied();
                        rect class=(class(cell)) x=(NAMES + column * pitch) y=(row * pitch) width=(size) height=(size) rx="2" {
                            title { (told(name, *window, cell)) }
                        }
                    }
                }
            }
        }
    }
}

fn short(name: &str) -> String {
    let visible = text::visible(name);
    if visible.chars().count() <= MAX_NAME {
        return visible.into_owned();
    }
    visible.chars().take(MAX_NAME - 1).chain(['…']).collect()
}

fn share(cell: &FeatureJudgment) -> Option<f64> {
    Some(cell.value? / cell.threshold).filter(|it| it.is_finite())
}

fn class(cell: Option<&FeatureJudgment>) -> &'static str {
    if cell.is_some_and(|it| it.is_drifted()) {
        return DRIFTED.0;
    }
    let Some(share) = cell.and_then(share) else { return "heat-none" };
    SHADES.iter().find(|it| share < it.0).map_or("heat-3", |it| it.1)
}

fn told(name: &str, window: Timestamp, cell: Option<&FeatureJudgment>) -> String {
    let value = cell
        .and_then(|it| it.value)
        .filter(|it| it.is_finite())
        .map_or_else(|| "undefined".to_owned(), |it| format!("{it:.4}"));
    let drifted = if cell.is_some_and(|it| it.is_drifted()) { ", drifted" } else { "" };
    format!("{}, window to {}: {value}{drifted}", text::visible(name), window.strftime("%Y-%m-%d"))
}

#[cfg(test)]
mod tests {
    use refit_core::policy::DriftMetric;
    use refit_core::trigger::WindowVerdict;

    use super::*;

    #[test]
    fn only_what_counts_as_drift_is_shown_as_drifted() {
        let cell = |value: Option<f64>, is_drifted| FeatureJudgment {
            name: "x".to_owned(),
            metric: DriftMetric::Psi,
            value,
            error_bound: 0.0,
            chance: Some(0.4),
            q_value: Some(0.5),
            threshold: 0.2,
            verdict: if is_drifted { WindowVerdict::Drifted } else { WindowVerdict::Stable },
        };
        for (value, is_drifted, expected) in [
            (Some(0.01), false, "heat-0"),
            (Some(0.12), false, "heat-2"),
            (Some(0.3), false, "heat-3"),
            (Some(0.5), true, "heat-4"),
            (Some(f64::NAN), false, "heat-none"),
            (None, false, "heat-none"),
        ] {
            assert_eq!(class(Some(&cell(value, is_drifted))), expected, "{value:?}");
        }
    }
}
