//! From a request to a running execution: freeze what is trained, take a slot, start.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Dispatch, Fleet, POLL, Plan, Record, Step, WaitingOn, plan_dispatch};
use crate::audit::Fact;
use crate::model::Model;
use crate::names::{Digest, ObjectUri};
use crate::package::Package;
use crate::policy::{ModelPolicy, Priority, Span, Strategy, Task};
use crate::run::{Outcome, OutcomeCode, Run, RunStatus, TrainingRequest};
use crate::trigger::CauseKind;
use crate::window::Window;

/// What a pipeline declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredPipeline {
    /// The newest version of its definition.
    pub version: u64,
    /// Its digest.
    pub digest: Digest,
    /// Its parameters, each with its default if it has one.
    pub parameters: BTreeMap<String, Option<String>>,
}

/// What starting looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct StartInputs<'a> {
    /// The state: HEAD, the active run, the champion's package.
    pub model: &'a Model,
    /// What is wanted.
    pub policy: &'a ModelPolicy,
    /// The time.
    pub now: Timestamp,
    /// The pipeline, or why it cannot be described.
    pub pipeline: Option<Result<&'a DeclaredPipeline, &'a str>>,
    /// The fleet's slots and queue.
    pub fleet: Fleet<'a>,
    /// Below which address runs write.
    pub runs_root: &'a ObjectUri,
    /// Steps performed since the run's status last changed.
    pub performed: &'a [Step],
}

/// Plans the way of a run from Requested to Training.
pub fn plan_start(inputs: &StartInputs<'_>) -> Plan {
    let Some(run) = inputs.model.active_run() else {
        return Plan::Wait { on: WaitingOn::Nothing, until: None };
    };
    match run.status {
        RunStatus::Requested => plan_freeze(inputs, run),
        RunStatus::Queued => plan_queued(inputs, run),
        RunStatus::Starting => plan_starting(inputs, run),
        RunStatus::Training
        | RunStatus::Evaluating
        | RunStatus::AwaitingApproval
        | RunStatus::Announced
        | RunStatus::RollingOut
        | RunStatus::Stopping
        | RunStatus::Succeeded
        | RunStatus::Rejected
        | RunStatus::Failed
        | RunStatus::Canceled
        | RunStatus::TimedOut => Plan::Wait { on: WaitingOn::Nothing, until: None },
    }
}

fn plan_starting(inputs: &StartInputs<'_>, run: &Run) -> Plan {
    let Some(request) = run.attempt_request() else {
        let reason = "its frozen request is missing".to_owned();
        let outcome = Outcome { at: inputs.now, code: OutcomeCode::NotStartable, reason };
        return Record::carried_out(Fact::RunEnded { run: run.id.clone(), status: RunStatus::Failed, outcome });
    };
    let write =
        Step::WriteRequest { run: run.id.clone(), output: request.output.clone(), document: request.document.clone() };
    if !inputs.performed.contains(&write) {
        return Plan::Perform(write);
    }
    Plan::Perform(Step::StartExecution {
        run: run.id.clone(),
        attempt: run.attempt(),
        display_name: run.display_name(),
        request: Box::new(request),
    })
}

/// Only the run whose turn it is takes a slot, whichever model was woken.
fn plan_queued(inputs: &StartInputs<'_>, run: &Run) -> Plan {
    let (on, until) = match plan_dispatch(&inputs.fleet, inputs.now) {
        Dispatch::Start(next) if next == run.id => {
            return Record::carried_out(Fact::RunStarting { run: run.id.clone() });
        }
        Dispatch::Start(next) => (WaitingOn::Turn { next }, POLL.after(inputs.now)),
        Dispatch::WaitForSlot { holders } => (WaitingOn::Slot { holders }, POLL.after(inputs.now)),
        Dispatch::WaitUntil(ready_at) => match run.ready_at.filter(|it| inputs.now < *it) {
            Some(until) => (WaitingOn::Backoff { until }, until),
            None => (WaitingOn::Backoff { until: ready_at }, POLL.after(inputs.now)),
        },
        Dispatch::Rest => (WaitingOn::Nothing, POLL.after(inputs.now)),
    };
    Plan::Wait { on, until: Some(until) }
}

fn plan_freeze(inputs: &StartInputs<'_>, run: &Run) -> Plan {
    let fail = |reason: String| {
        let outcome = Outcome { at: inputs.now, code: OutcomeCode::NotStartable, reason };
        Record::carried_out(Fact::RunEnded { run: run.id.clone(), status: RunStatus::Failed, outcome })
    };
    let pipeline = match inputs.pipeline {
        Some(Ok(pipeline)) => pipeline,
        Some(Err(why)) => return fail(format!("the pipeline cannot be started: {why}")),
        None => return fail("the pipeline was not described".to_owned()),
    };
    let champion = inputs.model.champion();
    let (train, holdout) = match intervals(inputs.policy, champion, inputs.now) {
        Ok(intervals) => intervals,
        Err(reason) => return fail(reason),
    };
    let output = match inputs.runs_root.join(run.id.as_ref()) {
        Ok(output) => output,
        Err(error) => return fail(error.to_string()),
    };
    let offered = offered_parameters(inputs.policy, run, champion, &train, &holdout, &output);
    let mut parameters = BTreeMap::new();
    for (name, default) in &pipeline.parameters {
        match offered.get(name.as_str()).cloned().or_else(|| inputs.policy.pipeline.parameters.get(name).cloned()) {
            Some(value) => {
                parameters.insert(name.clone(), value);
            }
            None if default.is_some() => {}
            None => {
                return fail(format!(
                    "the pipeline's parameter `{name}` has no value: set it under `pipeline.parameters` or give it a default"
                ));
            }
        }
    }
    if let Some(name) = inputs.policy.pipeline.parameters.keys().find(|it| !pipeline.parameters.contains_key(*it)) {
        return fail(format!("`pipeline.parameters` sets `{name}`, which the pipeline does not declare"));
    }
    let request = TrainingRequest {
        pipeline: inputs.policy.pipeline_name(),
        definition_version: pipeline.version,
        definition_digest: pipeline.digest.clone(),
        start_key: TrainingRequest::first_key(&run.id, run.requested_at),
        parameters,
        train,
        holdout,
        document: request_document(inputs.policy, run, &train, &holdout),
        output,
        resources: inputs.policy.pipeline.resources.clone(),
    };
    let priority = priority(inputs.policy, run);
    Record::carried_out(Fact::RunQueued { run: run.id.clone(), priority, request: Arc::new(request) })
}

/// What a person asks for is not behind the usual.
fn priority(policy: &ModelPolicy, run: &Run) -> Priority {
    let is_asked = run.causes.iter().any(|it| it.kind == CauseKind::Manual);
    if is_asked { policy.priority.max(Priority::High) } else { policy.priority }
}

/// Train on `[a, b)`, hold out `[b, c)`: `c` is the last full hour whose labels are in, `b` is at or after the end of what
/// the champion learned from, so that neither model has seen the hold-out.
fn intervals(policy: &ModelPolicy, champion: Option<&Package>, now: Timestamp) -> Result<(Window, Window), String> {
    let labelled = policy.data.label_maturity.before(policy.data.label_delay.before(now));
    let end = Span::hours(1).floor(labelled);
    let mut begin = policy.training.holdout.before(end);
    if let Some(champion) = champion {
        begin = begin.max(champion.train.end);
    }
    if end <= begin {
        return Err(format!(
            "there is no fresh hold-out: labels are known up to {end}, the champion learned from data up to {begin}; wait for newer labels"
        ));
    }
    Ok((Window { start: policy.training.window.before(begin), end: begin }, Window { start: begin, end }))
}

/// Every parameter that Refit can give; a pipeline gets those it declares.
fn offered_parameters(
    policy: &ModelPolicy,
    run: &Run,
    champion: Option<&Package>,
    train: &Window,
    holdout: &Window,
    output: &ObjectUri,
) -> BTreeMap<&'static str, String> {
    let strategy = match policy.pipeline.strategy {
        Strategy::Full => "full",
        Strategy::Incremental => "incremental",
    };
    let mut offered = BTreeMap::from([
        ("RefitRunId", run.id.to_string()),
        ("TrainStart", train.start.to_string()),
        ("TrainEnd", train.end.to_string()),
        ("HoldoutStart", holdout.start.to_string()),
        ("HoldoutEnd", holdout.end.to_string()),
        ("ReferenceUri", policy.data.reference.to_string()),
        ("CaptureUri", policy.data.capture.to_string()),
        ("LabelsUri", policy.data.labels.to_string()),
        ("ModelPackageGroup", policy.package_group.clone()),
        ("ChampionPackageArn", champion.map_or_else(|| "none".to_owned(), |it| it.arn.clone())),
        // A processing input must exist: without a champion it is a small document that says so.
        ("ChampionModelUri", champion.map_or_else(|| format!("{output}/no-champion.json"), |it| it.model.to_string())),
        ("OutputUri", output.to_string()),
        ("Strategy", strategy.to_owned()),
    ]);
    offered.extend(policy.pipeline.resources.parameters());
    offered
}

/// The document that tells the steps what to do: `request.json` of the training contract.
fn request_document(policy: &ModelPolicy, run: &Run, train: &Window, holdout: &Window) -> String {
    let task = match policy.task {
        Task::Regression => "regression",
        Task::Binary => "binary",
        Task::Multiclass => "multiclass",
    };
    let features: Vec<_> =
        policy.data.features.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
    json!({
        "schema": 1,
        "run_id": run.id,
        "model": policy.id,
        "task": task,
        "time": policy.data.time,
        "label": policy.data.label,
        "prediction": policy.data.prediction,
        "features": features,
        "segments": policy.data.segments,
        "strategy": policy.pipeline.strategy,
        // The model decides the seed, so that two runs on the same data train the same model.
        "seed": Digest::of_list(&["seed", policy.id.as_ref()]).seed() >> 12,
        "train": train,
        "holdout": holdout,
    })
    .to_string()
}
