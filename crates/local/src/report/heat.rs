//! The drift of all features at a glance: a row a feature, a cell a window, darker the nearer to the threshold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{Markup, html};
use refit_core::trigger::{FeatureJudgment, Judgment};

use super::text;

/// Shares of the threshold at which a cell gets darker; the last is the threshold itself.
const LEVELS: [(f64, &str); 5] =
    [(0.25, "heat-0"), (0.5, "heat-1"), (0.75, "heat-2"), (1.0, "heat-3"), (f64::INFINITY, "heat-4")];
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
            @for (index, (_, class)) in LEVELS.iter().enumerate() {
                li {
                    svg.key viewBox="0 0 14 12" width="14" height="12" aria-hidden="true" { rect class=(class) width="14" height="12" {} }
                    (["below a quarter of the threshold", "a quarter", "half", "three quarters", "beyond the threshold"][index])
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
    let Some(share) = cell.and_then(share) else { return "heat-none" };
    LEVELS.iter().find(|it| share < it.0).map_or("heat-4", |it| it.1)
}

fn told(name: &str, window: Timestamp, cell: Option<&FeatureJudgment>) -> String {
    let value = cell
        .and_then(|it| it.value)
        .filter(|it| it.is_finite())
        .map_or_else(|| "undefined".to_owned(), |it| format!("{it:.4}"));
    let drifted = if cell.is_some_and(|it| it.is_drifted) { ", drifted" } else { "" };
    format!("{}, window to {}: {value}{drifted}", text::visible(name), window.strftime("%Y-%m-%d"))
}
