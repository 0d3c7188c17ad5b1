//! What a planner is asked: all that was collected for it, owned, so that it can be stored and asked again.
//!
//! A use case collects a [`Question`] and nothing else can ask a planner on its way to a record. So no planner has an input
//! that its decision does not keep: a new input is a new field here.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AdoptionRequest, CancelRequest, CandidateOutputs, CheckInputs, DeclaredPipeline, EvaluateInputs, Fleet,
    ManualRequest, ObservedExecution, OutputsProblem, Plan, PromoteInputs, PromotionRequest, Queue, Recent, Record,
    ResumeRequest, RetryRequest, RollbackRequest, Slots, StartInputs, Step, SuspendRequest, VoteRequest, WaitingOn,
    plan_adopt, plan_cancel, plan_check, plan_evaluate, plan_promote, plan_promotion_request, plan_resume, plan_retry,
    plan_rollback_request, plan_start, plan_suspend,
};
use crate::audit::Fact;
use crate::model::Model;
use crate::names::{Digest, ObjectUri};
use crate::package::Package;
use crate::policy::{ModelPolicy, Span};
use crate::run::Run;
use crate::trigger::{Signal, WindowEvidence};

/// One planner, and what was collected for it beyond the state, the policy and the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// Nobody is asked: what there was to answer has been answered.
    Nothing,
    /// [`plan_check`].
    Check {
        /// Closed windows that were not judged yet, oldest first.
        windows: Vec<WindowEvidence>,
        /// What was stored before.
        recent: Recent,
        /// A person's request.
        manual: Option<ManualRequest>,
    },
    /// An alarm or an event is recorded; the check follows.
    Signal {
        /// The call.
        signal: Signal,
    },
    /// [`plan_suspend`].
    Suspend {
        /// A person's request.
        request: SuspendRequest,
    },
    /// [`plan_resume`].
    Resume {
        /// A person's request.
        request: ResumeRequest,
    },
    /// [`plan_retry`].
    Retry {
        /// A person's request.
        request: RetryRequest,
        /// The run that is to be tried again, if there is one.
        run: Option<Arc<Run>>,
    },
    /// [`plan_cancel`].
    Cancel {
        /// A person's request.
        request: CancelRequest,
    },
    /// [`plan_start`].
    Start {
        /// The pipeline, or why it cannot be described.
        pipeline: Option<Result<DeclaredPipeline, String>>,
        /// The fleet's slots.
        slots: Arc<Slots>,
        /// The fleet's queue.
        queue: Arc<Queue>,
        /// How many slots there are.
        concurrent_runs: u32,
        /// After how much waiting a run counts as one priority higher.
        aging: Span,
        /// Below which address runs write.
        runs_root: ObjectUri,
    },
    /// [`plan_evaluate`].
    Evaluate {
        /// The execution.
        execution: Option<ObservedExecution>,
        /// The execution that has the run's display name, when the run does not know its execution.
        found: Option<String>,
        /// The outputs.
        outputs: Option<Result<Box<CandidateOutputs>, OutputsProblem>>,
    },
    /// [`plan_promote`].
    Promote {
        /// How far the log is published.
        published: u64,
        /// The package that the endpoint serves alone, if it serves one alone.
        serving: Option<String>,
        /// The digest of the candidate's archive, where the planner needs it.
        archive: Option<Digest>,
        /// A person's vote.
        vote: Option<VoteRequest>,
    },
    /// [`plan_promotion_request`].
    PromoteVersion {
        /// A person's request.
        request: PromotionRequest,
        /// The version as it is stored.
        package: Option<Box<Package>>,
    },
    /// [`plan_adopt`].
    Adopt {
        /// A person's request.
        request: AdoptionRequest,
        /// What is to be champion, or why it cannot be.
        package: Result<Box<Package>, String>,
        /// The package that the endpoint serves alone, if it serves one alone.
        serving: Option<String>,
    },
    /// [`plan_rollback_request`].
    Rollback {
        /// A person's request.
        request: RollbackRequest,
    },
}

impl Question {
    /// What comes next: asks the planner.
    pub fn plan(&self, model: &Model, policy: &ModelPolicy, now: Timestamp, performed: &[Step]) -> Plan {
        match self {
            Question::Nothing => Plan::Wait { on: WaitingOn::Nothing, until: None },
            Question::Check { windows, recent, manual } => {
                plan_check(&CheckInputs { model, policy, now, windows, recent, manual: manual.as_ref(), performed })
            }
            Question::Signal { signal } => Record::carried_out(Fact::SignalReceived { signal: signal.clone() }),
            Question::Suspend { request } => plan_suspend(model, request),
            Question::Resume { request } => plan_resume(model, policy, request),
            Question::Start { pipeline, slots, queue, concurrent_runs, aging, runs_root } => plan_start(&StartInputs {
                model,
                policy,
                now,
                pipeline: pipeline.as_ref().map(|it| it.as_ref().map_err(String::as_str)),
                fleet: Fleet { slots, queue, concurrent_runs: *concurrent_runs, aging: *aging },
                runs_root,
                performed,
            }),
            Question::Retry { request, run } => plan_retry(model, request, run.as_deref()),
            Question::Cancel { request } => plan_cancel(model, request, now, performed),
            Question::Evaluate { execution, found, outputs } => plan_evaluate(&EvaluateInputs {
                model,
                policy,
                now,
                execution: execution.as_ref(),
                found: found.as_deref(),
                outputs: outputs.as_ref().map(|it| it.as_deref()),
                performed,
            }),
            Question::Promote { published, serving, archive, vote } => plan_promote(&PromoteInputs {
                model,
                policy,
                now,
                published: *published,
                serving: serving.as_deref(),
                archive: archive.as_ref(),
                vote: vote.as_ref(),
                performed,
            }),
            Question::PromoteVersion { request, package } => {
                plan_promotion_request(model, policy, now, request, package.as_deref())
            }
            Question::Adopt { request, package, serving } => {
                plan_adopt(model, request, package.as_deref().map_err(String::as_str), serving.as_deref())
            }
            Question::Rollback { request } => plan_rollback_request(model, request),
        }
    }

    /// The plan of a planner that needs no policy, so that a broken one is no obstacle; `None` for all others.
    #[must_use]
    pub fn plan_without_policy(&self, model: &Model) -> Option<Plan> {
        match self {
            Question::Rollback { request } => Some(plan_rollback_request(model, request)),
            Question::Nothing
            | Question::Check { .. }
            | Question::Signal { .. }
            | Question::Suspend { .. }
            | Question::Resume { .. }
            | Question::Start { .. }
            | Question::Retry { .. }
            | Question::Cancel { .. }
            | Question::Evaluate { .. }
            | Question::Promote { .. }
            | Question::PromoteVersion { .. }
            | Question::Adopt { .. } => None,
        }
    }
}
