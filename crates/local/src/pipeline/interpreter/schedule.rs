//! Which steps run when: several programs at the same time, everything else at once and in order.
//!
//! Each job runs on a thread of its own, as many as the environment allows. Steps that run no program (registering,
//! conditions, failing) are done where the schedule is kept, in the order of the definition, so that of two packages that
//! can be registered the first in the definition gets the lower version. What is known to the outside is told from here
//! alone.
//!
//! After a failure, and after somebody asked to stop, no step begins; those that run come to their end, which a stop
//! brings about. Of several failures the first in the definition is the execution's.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, Builder, Scope as Threads};

use refit_app::ports::StepState;
use serde_json::Value;

use super::scope::Scope;
use super::{Context, Done, Environment, OnStep, StepEnd, job, run_step};
use crate::pipeline::definition::{Definition, Step, StepKind};

/// The place of a step in the definition, and how it ended.
type Answer = (usize, thread::Result<Result<Done, StepEnd>>);

/// What all steps of an execution share.
#[derive(Clone, Copy)]
struct Shared<'a> {
    definition: &'a Definition,
    parameters: &'a BTreeMap<String, Value>,
    context: &'a Context,
    environment: &'a Environment<'a>,
}

/// What became of the steps so far; numbers are places in the definition.
pub(super) struct Schedule<'a> {
    shared: Shared<'a>,
    properties: BTreeMap<String, Value>,
    skipped: BTreeSet<String>,
    running: BTreeSet<usize>,
    states: BTreeMap<usize, StepState>,
    failures: BTreeMap<usize, String>,
    is_stopped: bool,
}

impl<'a> Schedule<'a> {
    /// A schedule of which nothing has run.
    pub(super) fn new(
        definition: &'a Definition,
        parameters: &'a BTreeMap<String, Value>,
        context: &'a Context,
        environment: &'a Environment<'a>,
    ) -> Schedule<'a> {
        Schedule {
            shared: Shared { definition, parameters, context, environment },
            properties: BTreeMap::new(),
            skipped: BTreeSet::new(),
            running: BTreeSet::new(),
            states: BTreeMap::new(),
            failures: BTreeMap::new(),
            is_stopped: false,
        }
    }

    /// Runs the steps, and returns the states of those that began, in the order of the definition.
    pub(super) fn run(mut self, on_step: OnStep<'_>) -> (Result<(), StepEnd>, Vec<StepState>) {
        let (sender, answers) = mpsc::channel();
        thread::scope(|threads| {
            loop {
                self.begin_all(threads, &sender, on_step);
                if self.running.is_empty() {
                    break;
                }
                let (index, result) = answers.recv().expect("invariant: this function has a sender too");
                self.running.remove(&index);
                self.settle(index, result.unwrap_or_else(|panic| resume_unwind(panic)), on_step);
            }
        });
        let end = match self.failures.pop_first() {
            Some((_, reason)) => Err(StepEnd::Failed(reason)),
            None if self.is_stopped => Err(StepEnd::Stopped),
            None => Ok(()),
        };
        (end, self.states.into_values().collect())
    }

    /// Begins every step that may.
    fn begin_all<'t>(&mut self, threads: &'t Threads<'t, '_>, sender: &Sender<Answer>, on_step: OnStep<'_>)
    where
        'a: 't,
    {
        while self.failures.is_empty()
            && !self.is_stopped
            && let Some((index, step)) = self.next_step()
        {
            if self.is_skipped(step) {
                self.skipped.insert(step.name.clone());
                continue;
            }
            if (self.shared.environment.is_stopping)() {
                self.is_stopped = true;
                return;
            }
            let state = StepState {
                name: step.name.clone(),
                kind: step.kind.name().to_owned(),
                status: "Executing".to_owned(),
                failure_reason: None,
                package_arn: None,
            };
            on_step(&state, None);
            self.states.insert(index, state);
            let shared = self.shared;
            if !is_job(step) {
                let result = shared.run(step, &self.properties);
                self.settle(index, result, on_step);
                continue;
            }
            let properties = self.properties.clone();
            let answer = sender.clone();
            let work = move || {
                let result = catch_unwind(AssertUnwindSafe(|| shared.run(step, &properties)));
                // The receiver is gone when the schedule itself broke.
                let _ = answer.send((index, result));
            };
            match Builder::new().name("step".to_owned()).spawn_scoped(threads, work) {
                Ok(_) => drop(self.running.insert(index)),
                Err(error) => {
                    self.settle(index, Err(format!("its thread could not be started: {error}").into()), on_step);
                }
            }
        }
    }

    /// The first step of the definition that can begin, or be skipped, now.
    fn next_step(&self) -> Option<(usize, &'a Step)> {
        let is_settled = |name: &String| self.properties.contains_key(name) || self.skipped.contains(name);
        let has_room = self.running.len() < self.shared.environment.max_parallel_steps.get();
        self.shared.definition.steps().iter().enumerate().find(|(index, step)| {
            !is_settled(&step.name)
                && !self.running.contains(index)
                && step.after.iter().all(is_settled)
                && (has_room || !is_job(step) || self.is_skipped(step))
        })
    }

    /// Whether a step's branch was not taken, or something that it needs was skipped.
    fn is_skipped(&self, step: &Step) -> bool {
        let is_other_branch = step.branch.as_ref().is_some_and(|branch| {
            let outcome = self.properties.get(&branch.condition).map(|it| it["Outcome"] == "True");
            outcome != Some(branch.taken)
        });
        is_other_branch || step.after.iter().any(|it| self.skipped.contains(it))
    }

    /// Notes how a step ended.
    fn settle(&mut self, index: usize, result: Result<Done, StepEnd>, on_step: OnStep<'_>) {
        let state = self.states.get_mut(&index).expect("invariant: a step that ended has begun");
        let mut reused_from = None;
        match result {
            Ok(done) => {
                "Succeeded".clone_into(&mut state.status);
                state.package_arn = done.properties.get("ModelPackageArn").and_then(Value::as_str).map(str::to_owned);
                self.properties.insert(state.name.clone(), done.properties);
                reused_from = done.reused_from;
            }
            Err(StepEnd::Stopped) => {
                "Stopped".clone_into(&mut state.status);
                self.is_stopped = true;
            }
            Err(StepEnd::Failed(reason) | StepEnd::Faulted(_, reason)) => {
                "Failed".clone_into(&mut state.status);
                state.failure_reason = Some(reason.clone());
                let reason = match self.shared.definition.steps()[index].kind {
                    StepKind::Fail(_) => reason,
                    StepKind::Processing(_)
                    | StepKind::Training(_)
                    | StepKind::RegisterModel(_)
                    | StepKind::Condition(_) => format!("step `{}` failed: {reason}", state.name),
                };
                self.failures.insert(index, reason);
            }
        }
        on_step(state, reused_from.as_deref());
    }
}

impl Shared<'_> {
    /// Runs one step, whose expressions see the properties of those that succeeded before it began.
    fn run(&self, step: &Step, properties: &BTreeMap<String, Value>) -> Result<Done, StepEnd> {
        let scope = Scope {
            definition: self.definition,
            parameters: self.parameters,
            properties,
            context: self.context,
            objects: self.environment.objects,
            now: self.environment.clock.now(),
            job_name: job::job_name(&self.context.execution_id, &step.name),
        };
        run_step(step, &scope, self.environment)
    }
}

/// Whether a step runs a program, and takes time and room.
fn is_job(step: &Step) -> bool {
    match step.kind {
        StepKind::Processing(_) | StepKind::Training(_) => true,
        StepKind::RegisterModel(_) | StepKind::Condition(_) | StepKind::Fail(_) => false,
    }
}
