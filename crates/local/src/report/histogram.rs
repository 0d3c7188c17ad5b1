//! Two distributions in one drawing: the reference as an area, the current data as a line over it; categories as pairs of bars.

use maud::{Markup, html};
use refit_stats::scores::BinnedScores;

use super::plot::axis_number;
use super::text;

/// A drawing's size in CSS pixels, and the room for labels.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 120.0;
const BELOW: f64 = 18.0;
const TOP: f64 = 6.0;

/// The most categories that are drawn; the others are one bar.
const MAX_BARS: usize = 8;
const ROW: f64 = 20.0;
const NAMES: f64 = 92.0;
/// Longer names are cut; the whole name is the row's title.
const MAX_NAME: usize = 13;

fn share(count: u64, counts: &[u64]) -> f64 {
    let total: u64 = counts.iter().sum();
    if total == 0 { 0.0 } else { count as f64 / total as f64 }
}

/// Shares by bin, the outer bins as wide as the one beside them.
pub(super) fn numbers(name: &str, bins: &BinnedScores) -> Markup {
    let n_bins = bins.reference.len();
    let edges = outer_edges(&bins.edges);
    let (low, high) = (edges[0], edges[edges.len() - 1]);
    let x = |value: f64| if low < high { WIDTH * (value - low) / (high - low) } else { WIDTH / 2.0 };
    // Bins may have different widths, so heights are densities.
    let density = |counts: &[u64], at: usize| {
        let width = (edges[at + 1] - edges[at]) / (high - low);
        if 0.0 < width { share(counts[at], counts) / width } else { 0.0 }
    };
    let top = (0..n_bins).flat_map(|at| [density(&bins.reference, at), density(&bins.current, at)]);
    let top = top.filter(|it| it.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let floor = HEIGHT - BELOW;
    let outline = |counts: &[u64]| {
        let mut path = format!("M{:.1} {floor:.1}", x(edges[0]));
        for at in 0..n_bins {
            let y = floor - (floor - TOP) * density(counts, at) / top;
            path.push_str(&format!("L{:.1} {y:.1}L{:.1} {y:.1}", x(edges[at]), x(edges[at + 1])));
        }
        path.push_str(&format!("L{:.1} {floor:.1}", x(high)));
        path
    };
    let label = format!("Distribution of {name} in the reference and now");
    let view = format!("0 0 {WIDTH} {HEIGHT}");
    html! {
        svg.histogram viewBox=(view) width=(WIDTH) height=(HEIGHT) role="img" aria-label=(text::visible(&label)) {
            path.before d=(outline(&bins.reference)) {}
            path.now-line d=(outline(&bins.current)) {}
            path.floor d=(format!("M0 {floor}H{WIDTH}")) {}
            text x="0" y=(HEIGHT - 4.0) { (axis_number(low)) }
            text x=(WIDTH) y=(HEIGHT - 4.0) text-anchor="end" { (axis_number(high)) }
        }
    }
}

/// The edges with an outer bin on both ends as wide as its neighbor.
fn outer_edges(edges: &[f64]) -> Vec<f64> {
    let (first, last) = match (edges.first(), edges.last()) {
        (Some(first), Some(last)) => (*first, *last),
        (_, _) => return vec![0.0, 1.0],
    };
    let width = |at: usize| edges.get(at + 1).map_or(0.5, |next| next - edges[at]);
    let mut all = vec![first - width(0)];
    all.extend_from_slice(edges);
    all.push(last + width(edges.len().saturating_sub(2)));
    all
}

/// Shares by category, the most frequent first.
pub(super) fn categories(name: &str, names: &[Option<String>], reference: &[u64], current: &[u64]) -> Markup {
    let mut order: Vec<usize> = (0..names.len()).filter(|at| names[*at].is_some()).collect();
    let weight = |at: usize| share(reference[at], reference).max(share(current[at], current));
    order.sort_by(|a, b| weight(*b).total_cmp(&weight(*a)).then(names[*a].cmp(&names[*b])));
    let (shown, rest) = order.split_at(order.len().min(MAX_BARS));
    let row = |at: &usize| {
        let shares = (share(reference[*at], reference), share(current[*at], current));
        (names[*at].clone().unwrap_or_default(), shares)
    };
    let mut rows: Vec<(String, (f64, f64))> = shown.iter().map(row).collect();
    if shown.len() < names.len() {
        let shown: (f64, f64) = rows.iter().fold((0.0, 0.0), |sum, it| (sum.0 + it.1.0, sum.1 + it.1.1));
        let n_rest = rest.len();
        let words = if n_rest == 0 { "others".to_owned() } else { format!("{n_rest} others") };
        rows.push((words, ((1.0 - shown.0).max(0.0), (1.0 - shown.1).max(0.0))));
    }
    let top = rows.iter().flat_map(|it| [it.1.0, it.1.1]).fold(f64::MIN_POSITIVE, f64::max);
    let width = |share: f64| format!("{:.1}", (WIDTH - NAMES) * share / top);
    let height = ROW * rows.len() as f64;
    let label = format!("Shares of the values of {name} in the reference and now");
    let view = format!("0 0 {WIDTH} {height}");
    html! {
        svg.histogram viewBox=(view) width=(WIDTH) height=(height) role="img" aria-label=(text::visible(&label)) {
            @for (at, (name, (before, now))) in rows.iter().enumerate() {
                @let y = ROW * at as f64;
                text x=(NAMES - 6.0) y=(y + 13.0) text-anchor="end" {
                    title { (text::visible(name)) ": " (text::percent(*before)) " → " (text::percent(*now)) }
                    (short(name))
                }
                rect.before x=(NAMES) y=(y + 2.0) width=(width(*before)) height="7" {}
                rect.now x=(NAMES) y=(y + 10.0) width=(width(*now)) height="7" {}
            }
        }
    }
}

fn short(name: &str) -> String {
    if name.is_empty() {
        return "(empty)".to_owned();
    }
    let visible = text::visible(name);
    if visible.chars().count() <= MAX_NAME {
        return visible.into_owned();
    }
    visible.chars().take(MAX_NAME - 1).chain(['…']).collect()
}
