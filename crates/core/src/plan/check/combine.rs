//! How many of the conditions must hold.

use std::collections::BTreeSet;

use crate::policy::{Combination, TriggersPolicy};
use crate::trigger::{CauseKind, Finding, FindingOutcome};

/// The condition that a cause belongs to: its key in the policy. `None` for calls, which each suffice alone.
fn condition(kind: CauseKind) -> Option<&'static str> {
    match kind {
        CauseKind::PerformanceDrop | CauseKind::PerformanceFloor => Some("performance"),
        CauseKind::EstimatedPerformance => Some("estimated_performance"),
        CauseKind::DataDrift => Some("drift"),
        CauseKind::PredictionDrift => Some("prediction_drift"),
        CauseKind::ConceptDrift => Some("concept"),
        CauseKind::Age => Some("age"),
        CauseKind::PredictionVolume | CauseKind::NewRecords => Some("volume"),
        CauseKind::Schedule | CauseKind::Alarm | CauseKind::Event | CauseKind::Manual => None,
    }
}

/// Holds conditions back while too few of them hold together; their judgments stay unspent.
pub(super) fn combine(policy: &TriggersPolicy, findings: &mut [Finding]) {
    let configured: BTreeSet<_> = findings.iter().filter_map(|it| condition(it.kind)).collect();
    let needed = match policy.when {
        Combination::Any => 1,
        Combination::All => configured.len(),
        Combination::AtLeast(count) => count as usize,
    };
    let fired = findings.iter().filter(|it| it.outcome == FindingOutcome::Fired);
    let held: BTreeSet<_> = fired.filter_map(|it| condition(it.kind)).collect();
    if needed <= held.len() {
        return;
    }
    let missing: Vec<&str> = configured.difference(&held).copied().collect();
    for finding in findings.iter_mut() {
        if finding.outcome == FindingOutcome::Fired && condition(finding.kind).is_some() {
            finding.outcome = FindingOutcome::Suppressed;
            finding.reason = format!(
                "{}; suppressed: {} of {} conditions hold, `when: {}` needs {needed} (missing: {})",
                finding.reason,
                held.len(),
                configured.len(),
                policy.when,
                missing.join(", ")
            );
        }
    }
}
