//! Gates that no candidate could pass.

use std::collections::BTreeMap;
use std::fmt;

use super::condition::{Condition, conditions, impossible};
use crate::package::Measured;
use crate::policy::{GateMetric, Metric, ModelPolicy};

/// A condition that no candidate could meet beside the champion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImpossibleGate {
    /// The path of the condition below the model.
    pub path: String,
    /// Why, with the numbers.
    pub reason: String,
}

impl fmt::Display for ImpossibleGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

/// The conditions of a policy that even a perfect candidate would miss, the champion being as good as on its own
/// hold-out: an accuracy of 0.96 cannot improve by 5 %. Those of gates on trial count, too.
#[must_use]
pub fn impossible_gates(policy: &ModelPolicy, champion: &BTreeMap<Metric, Measured>) -> Vec<ImpossibleGate> {
    let value = |metric: &GateMetric| champion.get(&metric.measured()?).map(|it| it.value);
    let mut found = Vec::new();
    for (at, gate) in policy.gates.iter().enumerate().filter(|(_, it)| it.segments.is_empty()) {
        for (condition, limit) in conditions(gate) {
            if let Some(reason) = impossible(&gate.metric, gate.mode, condition, limit, value(&gate.metric)) {
                found.push(ImpossibleGate { path: format!("gates[{at}].{}", condition.name()), reason });
            }
        }
    }
    if let Some(auto) = &policy.promotion.auto_promote {
        let metric = GateMetric::Measured(auto.metric);
        for (condition, limit) in
            [(Condition::MinImprovement, auto.min_improvement), (Condition::LowerBoundAbove, auto.lower_bound_above)]
        {
            if let Some(reason) = impossible(&metric, auto.mode, condition, limit, value(&metric)) {
                found.push(ImpossibleGate { path: format!("promotion.auto_promote.{}", condition.name()), reason });
            }
        }
    }
    found
}
