//! A gate's answer: over the whole hold-out, or over each value of its segments.

use serde::{Deserialize, Serialize};

use super::condition::{Answer, Bounds, Condition, Numbers, ask, conditions};
use super::{Evidence, SegmentEvidence, Verdict};
use crate::policy::{CustomMetric, GateMetric, GatePolicy, Metric};

/// Most values that are named in one sentence.
const MAX_NAMED: usize = 5;

/// One gate's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateResult {
    /// The gate.
    pub gate: GatePolicy,
    /// The answer.
    pub verdict: Verdict,
    /// Why: one sentence a condition.
    pub reasons: Vec<String>,
    /// On each value of the gate's segments; empty for a gate on the whole hold-out.
    pub segments: Vec<SegmentResult>,
}

/// One gate's answer on one value of a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentResult {
    /// The segment and its value.
    pub name: String,
    /// How many rows have it.
    pub rows: u64,
    /// The answer; Inconclusive with too few rows, which does not count.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
}

impl GateResult {
    /// Whether the answer counts: a gate on trial is only shown.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        !self.gate.dry_run
    }
}

/// Judges one gate.
pub(super) fn judge_gate(gate: &GatePolicy, evidence: &Evidence, has_champion: bool) -> GateResult {
    if !gate.segments.is_empty() {
        return judge_segments(gate, evidence, has_champion);
    }
    let numbers = match numbers(gate, evidence) {
        Ok(numbers) => numbers,
        Err(problem) => {
            let segments = Vec::new();
            return GateResult { gate: gate.clone(), verdict: Verdict::Errored, reasons: vec![problem], segments };
        }
    };
    let answers = answers(gate, &numbers, has_champion, Bounds::Alone);
    let verdict = answers.iter().map(|it| it.verdict).max().unwrap_or(Verdict::Errored);
    let reasons = if answers.is_empty() {
        vec!["the gate has no condition".to_owned()]
    } else {
        answers.into_iter().map(|it| it.reason).collect()
    };
    GateResult { gate: gate.clone(), verdict, reasons, segments: Vec::new() }
}

fn answers(gate: &GatePolicy, numbers: &Numbers, has_champion: bool, bounds: Bounds) -> Vec<Answer> {
    conditions(gate)
        .into_iter()
        .map(|(condition, limit)| {
            if condition.is_relative() && !has_champion {
                no_champion(condition)
            } else {
                ask(&gate.metric, gate.mode, condition, limit, numbers, bounds)
            }
        })
        .collect()
}

fn no_champion(condition: Condition) -> Answer {
    Answer::new(Verdict::Passed, format!("no champion yet: {} does not apply, approval does", condition.name()))
}

/// The numbers of the whole hold-out, or why there are none.
fn numbers(gate: &GatePolicy, evidence: &Evidence) -> Result<Numbers, String> {
    match &gate.metric {
        GateMetric::Measured(metric) => measured_numbers(*metric, gate, evidence),
        GateMetric::Custom(custom) => custom_numbers(custom, gate, evidence),
    }
}

fn measured_numbers(metric: Metric, gate: &GatePolicy, evidence: &Evidence) -> Result<Numbers, String> {
    let comparison = evidence.metrics.get(&metric);
    if comparison.is_none() && metric.needs_returns() {
        let name = metric.name();
        return Err(format!("{name} was not measured: predictions.parquet has no column `candidate_return`"));
    }
    Ok(Numbers::of(comparison, gate.mode))
}

fn custom_numbers(metric: &CustomMetric, gate: &GatePolicy, evidence: &Evidence) -> Result<Numbers, String> {
    let name = &metric.name;
    let custom = evidence.custom.get(name).ok_or_else(|| format!("evaluation.json has no metric `{name}`"))?;
    if let Some(problem) = custom.problems.first() {
        return Err(format!("evaluation.json, metric `{name}`: {problem}"));
    }
    match custom.direction {
        None => return Err(format!("evaluation.json, metric `{name}`: `direction` is not declared")),
        Some(direction) if direction != metric.direction => {
            let (theirs, ours) = (direction.name(), metric.direction.name());
            return Err(format!("evaluation.json says that `{name}` is {theirs}, the policy says {ours}"));
        }
        Some(_) => {}
    }
    if let Some((low, high)) = metric.range {
        for (role, value) in [("candidate", custom.candidate), ("champion", custom.champion)] {
            if let Some(value) = value.map(|it| it.value)
                && !(low <= value && value <= high)
            {
                return Err(format!("the {role}'s {name} is {value}, outside of {low} to {high}"));
            }
        }
    }
    Ok(Numbers::of_custom(&gate.metric, custom, gate.mode))
}

fn judge_segments(gate: &GatePolicy, evidence: &Evidence, has_champion: bool) -> GateResult {
    let of_gate: Vec<&SegmentEvidence> =
        evidence.segments.iter().filter(|it| gate.segments.contains(&it.segment)).collect();
    let (judged, small): (Vec<&SegmentEvidence>, Vec<&SegmentEvidence>) =
        of_gate.into_iter().partition(|it| gate.min_segment_rows <= it.rows);
    let bounds = Bounds::OneOf(judged.len() as u64);
    let metric = gate.metric.measured();
    let answered: Vec<(&SegmentEvidence, Vec<Answer>)> = judged
        .iter()
        .map(|it| {
            let comparison = metric.and_then(|metric| it.metrics.get(&metric));
            let mut answers = answers(gate, &Numbers::of(comparison, gate.mode), has_champion, bounds);
            for answer in answers.iter_mut().filter(|it| it.verdict == Verdict::Errored) {
                // A part of the rows may lack a class; only the whole hold-out has to be measurable.
                answer.verdict = Verdict::Inconclusive;
            }
            (*it, answers)
        })
        .collect();
    let mut verdict = if judged.is_empty() { Verdict::Inconclusive } else { Verdict::Passed };
    let mut reasons = Vec::new();
    for at in 0..conditions(gate).len() {
        let worst = answered
            .iter()
            .map(|(segment, answers)| (segment, &answers[at]))
            .max_by(|(_, a), (_, b)| a.verdict.cmp(&b.verdict).then_with(|| b.margin.total_cmp(&a.margin)));
        let Some((segment, answer)) = worst else { continue };
        verdict = verdict.max(answer.verdict);
        let failed = answered.iter().filter(|(_, answers)| answers[at].verdict == Verdict::Failed).count();
        let tally = if 0 < failed { format!("{failed} of {} values fail; ", answered.len()) } else { String::new() };
        reasons.push(format!("{tally}worst is {} ({} rows): {}", segment.name(), segment.rows, answer.reason));
    }
    reasons.extend(not_judged(gate, &judged, &small, evidence.segments_left_out));
    let segments = answered
        .into_iter()
        .map(|(segment, answers)| segment_result(segment, &answers))
        .chain(small.into_iter().map(|it| SegmentResult {
            name: it.name(),
            rows: it.rows,
            verdict: Verdict::Inconclusive,
            reason: format!("{} of {} rows", it.rows, gate.min_segment_rows),
        }))
        .collect();
    GateResult { gate: gate.clone(), verdict, reasons, segments }
}

fn segment_result(segment: &SegmentEvidence, answers: &[Answer]) -> SegmentResult {
    let verdict = answers.iter().map(|it| it.verdict).max().unwrap_or(Verdict::Errored);
    let reason = answers.iter().map(|it| it.reason.as_str()).collect::<Vec<_>>().join("; ");
    SegmentResult { name: segment.name(), rows: segment.rows, verdict, reason }
}

/// Which values were left out of the judgment, if any.
fn not_judged(
    gate: &GatePolicy,
    judged: &[&SegmentEvidence],
    small: &[&SegmentEvidence],
    left_out: u64,
) -> Option<String> {
    let least = gate.min_segment_rows;
    let count = small.len() as u64 + left_out;
    if count == 0 {
        let segments = gate.segments.join(", ");
        return judged.is_empty().then(|| format!("the hold-out has no value of {segments}"));
    }
    let mut names: Vec<String> =
        small.iter().take(MAX_NAMED).map(|it| format!("{} ({} rows)", it.name(), it.rows)).collect();
    if (names.len() as u64) < count {
        names.push(format!("{} more", count - names.len() as u64));
    }
    let none = if judged.is_empty() { "no value has enough rows; " } else { "" };
    Some(format!("{none}not judged for fewer than {least} rows: {}", names.join(", ")))
}
