//! What a proposed policy would have decided on the inputs of a recorded decision.
//!
//! Each decision is taken alone, on what was looked at then; what would have followed from another answer is not played on.
//! Where the inputs do not hold what the proposed policy asks for, that is the answer: nothing is guessed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::audit::Fact;
use crate::evaluation::Evidence;
use crate::model::Model;
use crate::plan::{CandidateOutputs, Plan, Question, Step};
use crate::policy::{GatePolicy, ModelPolicy, TriggersPolicy};
use crate::snapshot::Snapshot;
use crate::trigger::Judgment;

/// Most steps that a planner asks for before it comes to a record: far above what any path needs.
const MAX_STEPS: usize = 10;

/// What a proposed policy makes of one recorded decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Proposed {
    /// The same.
    Same,
    /// Something else.
    Different {
        /// What, in one sentence.
        outcome: String,
        /// Why, one sentence each.
        reasons: Vec<String>,
    },
    /// The inputs do not say.
    CannotBeTold {
        /// What is missing.
        why: String,
    },
}

/// Goes through the decisions of one model, oldest first.
#[derive(Debug, Default)]
pub struct Proposal {
    /// Windows judged anew: later checks rest on the last judgment, which must be the proposed policy's.
    judgments: BTreeMap<String, Judgment>,
}

impl Proposal {
    /// What `proposed` makes of the decision that was made on `snapshot`, in `state`, under `recorded`, with this outcome.
    #[must_use]
    pub fn decide(
        &mut self,
        snapshot: &Snapshot,
        state: &Model,
        recorded: &ModelPolicy,
        proposed: &ModelPolicy,
        outcome: &str,
    ) -> Proposed {
        if let Some(why) = missing(&snapshot.question, state, recorded, proposed) {
            return Proposed::CannotBeTold { why };
        }
        let (mut state, mut snapshot) = (state.clone(), snapshot.clone());
        let head = Arc::make_mut(&mut state.head);
        let last = [&mut head.drift, &mut head.performance].into_iter().flatten();
        let recent: &mut [Judgment] =
            if let Question::Check { recent, .. } = &mut snapshot.question { &mut recent.judgments } else { &mut [] };
        for judgment in last.chain(recent) {
            if let Some(judged) = self.judgments.get(&judgment.sort()) {
                *judgment = judged.clone();
            }
        }
        let plan = plan_to_record(&snapshot, &state, proposed);
        if let Plan::Record(record) = &plan {
            self.judgments.extend(record.fact.judgments().iter().map(|it| (it.sort(), it.clone())));
        }
        let (other, reasons) = tell(&plan);
        if other == outcome { Proposed::Same } else { Proposed::Different { outcome: other, reasons } }
    }
}

/// The plan after every step that it asks for first.
fn plan_to_record(snapshot: &Snapshot, state: &Model, policy: &ModelPolicy) -> Plan {
    let mut performed: Vec<Step> = snapshot.performed.clone();
    loop {
        match snapshot.question.plan(state, policy, snapshot.now, &performed) {
            Plan::Perform(step) if performed.len() < MAX_STEPS => performed.push(step),
            plan => return plan,
        }
    }
}

/// A plan in words: the decision's own, where it has one.
fn tell(plan: &Plan) -> (String, Vec<String>) {
    match plan {
        Plan::Record(record) => match (&record.decision, &record.fact) {
            (Some(decision), _) => (decision.outcome.clone(), decision.reasons.clone()),
            (None, Fact::RunEnded { run, status, outcome }) => {
                (format!("{run} is {status}"), vec![outcome.reason.clone()])
            }
            (None, fact) => (fact.name().to_owned(), Vec::new()),
        },
        Plan::Wait { on, .. } => (format!("nothing is decided: {on}"), Vec::new()),
        Plan::Refuse(refusal) => ("refused".to_owned(), vec![refusal.to_string()]),
        Plan::Perform(_) => ("steps without an end".to_owned(), Vec::new()),
    }
}

/// What the proposed policy asks for that was not looked at, if anything.
fn missing(question: &Question, state: &Model, recorded: &ModelPolicy, proposed: &ModelPolicy) -> Option<String> {
    match question {
        // A person's request does not wait for windows, and none were measured for it.
        Question::Check { manual: Some(_), .. } => missing_recent(recorded, proposed),
        Question::Check { manual: None, .. } => {
            missing_windows(recorded, proposed).or_else(|| missing_recent(recorded, proposed))
        }
        Question::Evaluate { outputs: Some(Ok(outputs)), .. } => missing_metrics(outputs, recorded, proposed),
        Question::Promote { .. } => missing_votes(state, recorded, proposed),
        Question::Nothing
        | Question::Signal { .. }
        | Question::Suspend { .. }
        | Question::Resume { .. }
        | Question::Start { .. }
        | Question::Retry { .. }
        | Question::Cancel { .. }
        | Question::Evaluate { .. }
        | Question::PromoteVersion { .. }
        | Question::Adopt { .. }
        | Question::Rollback { .. } => None,
    }
}

/// Whatever decides how windows are cut and measured must be as it was.
fn missing_windows(recorded: &ModelPolicy, proposed: &ModelPolicy) -> Option<String> {
    let mut data = proposed.data.clone();
    // Segments are reported on, they decide nothing about windows.
    data.segments.clone_from(&recorded.data.segments);
    if data != recorded.data {
        return Some("other `data` is asked for: the windows were measured on what was recorded".to_owned());
    }
    if proposed.window != recorded.window {
        return Some("the windows were cut by another `window`".to_owned());
    }
    // A trigger that is added here either needs no evidence or has to be compared below.
    let TriggersPolicy {
        when: _,
        timezone: _,
        check_every: _,
        schedule: _,
        drift,
        prediction_drift,
        concept,
        performance,
        estimated_performance,
        age: _,
        // Compared by `missing_recent`.
        volume: _,
        alarms: _,
        events: _,
        cooldown: _,
        // Compared by `missing_recent`.
        budget: _,
        freeze: _,
        loop_breaker: _,
        upstream,
        on_new_trigger: _,
    } = &proposed.triggers;
    let before = &recorded.triggers;
    let metrics = |it: &TriggersPolicy| it.drift.as_ref().map(|it| it.features.clone());
    if drift.is_some() && before.drift.is_some() && metrics(&proposed.triggers) != metrics(before) {
        return Some("other distances of `drift.features` are asked for than were measured".to_owned());
    }
    if concept.is_some() && *concept != before.concept {
        return Some("the errors were not watched by this detector".to_owned());
    }
    if upstream.is_some() && before.upstream.is_none() {
        return Some("missing values were not counted".to_owned());
    }
    let wanted = [
        ("drift", drift.as_ref().map(|it| word(&it.metric)), before.drift.as_ref().map(|it| word(&it.metric))),
        (
            "prediction_drift",
            prediction_drift.as_ref().map(|it| word(&it.metric)),
            before.prediction_drift.as_ref().map(|it| word(&it.metric)),
        ),
        (
            "performance",
            performance.as_ref().map(|it| word(&it.metric)),
            before.performance.as_ref().map(|it| word(&it.metric)),
        ),
        (
            "estimated_performance",
            estimated_performance.as_ref().map(|it| word(&it.metric)),
            before.estimated_performance.as_ref().map(|it| word(&it.metric)),
        ),
    ];
    wanted.into_iter().find_map(|(name, wanted, measured)| match (wanted, measured) {
        (Some(wanted), Some(measured)) if wanted != measured => {
            Some(format!("{name} was measured by {measured}, not by {wanted}"))
        }
        (Some(wanted), None) => Some(format!("{name} was not measured; {wanted} is asked for")),
        (Some(_), Some(_)) | (None, _) => None,
    })
}

/// What a check reads of the stored records depends on the policy.
fn missing_recent(recorded: &ModelPolicy, proposed: &ModelPolicy) -> Option<String> {
    let (before, wanted) = (&recorded.triggers, &proposed.triggers);
    if wanted.budget.is_some() && (before.budget.is_none() || before.timezone != wanted.timezone) {
        return Some("the month's runs were not counted for this `budget`".to_owned());
    }
    if wanted.volume.is_some() && before.volume.is_none() {
        return Some("predictions and labels were not counted".to_owned());
    }
    let drift = |it: &TriggersPolicy| it.drift.as_ref().map_or(0, |it| it.persistence.of());
    let performance = |it: &TriggersPolicy| it.performance.as_ref().map_or(0, |it| it.persistence.of());
    let estimated = |it: &TriggersPolicy| it.estimated_performance.as_ref().map_or(0, |it| it.persistence.of());
    // Without `performance` only as many estimates were read as their own persistence asks for.
    let is_short = estimated(before) < estimated(wanted) && before.performance.is_none();
    if drift(before) < drift(wanted) || performance(before) < performance(wanted) || is_short {
        return Some("more of the last judgments are asked for than were read".to_owned());
    }
    None
}

fn missing_metrics(outputs: &CandidateOutputs, recorded: &ModelPolicy, proposed: &ModelPolicy) -> Option<String> {
    if proposed.task != recorded.task {
        return Some("the candidate was measured for another task".to_owned());
    }
    let evidence = &outputs.evidence;
    let auto = proposed.promotion.auto_promote.iter().map(|it| it.metric);
    let mut wanted = proposed.gates.iter().filter_map(|it| it.metric.measured()).chain(auto);
    // Returns and custom metrics are recorded whenever the pipeline gives them; without them the gate has its answer.
    if let Some(unmeasured) = wanted.find(|it| !it.needs_returns() && !evidence.metrics.contains_key(it)) {
        return Some(format!("{} was not measured on the hold-out", unmeasured.name()));
    }
    proposed.gates.iter().find_map(|gate| missing_segment(evidence, gate))
}

/// Segments are measured where the recorded gates asked for them.
fn missing_segment(evidence: &Evidence, gate: &GatePolicy) -> Option<String> {
    let metric = gate.metric.measured()?;
    let is_measured = |segment: &String| {
        let mut of_segment = evidence.segments.iter().filter(|it| &it.segment == segment).peekable();
        of_segment.peek().is_some()
            && of_segment.all(|it| it.rows < gate.min_segment_rows || it.metrics.contains_key(&metric))
    };
    let unmeasured = gate.segments.iter().find(|it| !is_measured(it))?;
    Some(format!("{} was not measured on the segment {unmeasured}", metric.name()))
}

/// People voted on what they saw: the evaluation under the recorded gates.
fn missing_votes(state: &Model, recorded: &ModelPolicy, proposed: &ModelPolicy) -> Option<String> {
    let is_voted = state.active_run().is_some_and(|run| state.approvals.contains_key(&run.id));
    let is_same = proposed.gates == recorded.gates && proposed.promotion == recorded.promotion;
    (is_voted && !is_same)
        .then(|| "people voted on the recorded gates and promotion policy, not on the proposed ones".to_owned())
}

/// A word of the policy as it is written.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}
