//! Candidate and champion on the parts of the hold-out that gates name.

use std::collections::{BTreeMap, BTreeSet};

use refit_core::evaluation::SegmentEvidence;
use refit_core::policy::{GatePolicy, Metric, Task};

use super::predictions::Predictions;
use super::quality::compare_part;

/// Most comparisons of one evaluation, so that its document stays far below an item's limit.
const MAX_COMPARISONS: usize = 200;
/// Most values with too few rows that are listed.
const MAX_SMALL: usize = 50;

/// The evidence by segment and value, and how many values were left out.
pub(super) fn compare_segments(
    task: Task,
    gates: &[GatePolicy],
    predictions: &Predictions,
    seed: &str,
) -> (Vec<SegmentEvidence>, u64) {
    let (mut found, mut left_out) = (Vec::new(), 0);
    let (mut comparisons, mut small) = (0, 0);
    for (segment, asked) in asked_metrics(gates) {
        let mut values: Vec<(Option<String>, Vec<usize>)> = predictions.rows_by_value(&segment).into_iter().collect();
        // The largest first: what is left out is what says least.
        values.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
        for (value, rows) in values {
            let metrics: Vec<Metric> =
                asked.iter().filter(|(_, least)| **least <= rows.len() as u64).map(|(metric, _)| *metric).collect();
            let has_room = if metrics.is_empty() {
                small += 1;
                small <= MAX_SMALL
            } else {
                comparisons += metrics.len();
                comparisons <= MAX_COMPARISONS
            };
            if !has_room {
                left_out += 1;
                continue;
            }
            let part = predictions.take(&rows);
            let champion = part.champion.as_deref();
            let metrics = compare_part(task, &metrics, &part.times, &part.labels, &part.candidate, champion, seed);
            found.push(SegmentEvidence { segment: segment.clone(), value, rows: rows.len() as u64, metrics });
        }
    }
    (found, left_out)
}

/// The segments that gates name.
pub(super) fn asked_segments(gates: &[GatePolicy]) -> BTreeSet<String> {
    gates.iter().flat_map(|it| it.segments.iter().cloned()).collect()
}

/// By segment, the metrics that gates ask for with the least rows that one of them takes.
fn asked_metrics(gates: &[GatePolicy]) -> BTreeMap<String, BTreeMap<Metric, u64>> {
    let mut asked: BTreeMap<String, BTreeMap<Metric, u64>> = BTreeMap::new();
    for gate in gates {
        for segment in &gate.segments {
            if let Some(metric) = gate.metric.measured() {
                let least = asked.entry(segment.clone()).or_default().entry(metric).or_insert(u64::MAX);
                *least = (*least).min(gate.min_segment_rows);
            }
        }
    }
    asked
}
