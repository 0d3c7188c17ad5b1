//! What a replay or demo ends with: one document, the same however often the process was killed on the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use refit_app::AppError;
use refit_app::ports::Table;
use refit_app::queries;
use refit_core::approval::{Approval, Choice};
use refit_core::audit::{AuditEntry, Fact};
use refit_core::decision::{DecisionKind, DecisionRecord};
use refit_core::evaluation::{GateResult, Verdict};
use refit_core::model::Head;
use refit_core::package::Package;
use refit_core::policy::Metric;
use refit_core::run::{OutcomeCode, Run, RunStatus};
use refit_core::trigger::{CauseKind, Judgment};
use refit_core::{Digest, ModelId, RunId};
use serde::Serialize;

/// The document (DESIGN section 7).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// Document version.
    pub schema: u16,
    /// Which world: `local`.
    pub world: String,
    /// What was played.
    pub data: DataSummary,
    /// The runs, oldest first.
    pub runs: Vec<RunSummary>,
    /// Changes of the champion.
    pub promotions: Vec<Promotion>,
    /// Candidates that were refused.
    pub rejections: Vec<Ending>,
    /// Runs that broke.
    pub failures: Vec<Ending>,
    /// Champions that were taken back.
    pub rollbacks: Vec<RollbackSummary>,
    /// What people were asked and said.
    pub approvals: Vec<ApprovalSummary>,
    /// Quality over time.
    pub quality: Quality,
    /// Decisions that changed something or were held back by a guard; quiet checks are only counted.
    pub decisions: Vec<DecisionSummary>,
    /// Checks at which no trigger fired.
    pub quiet_checks: u64,
    /// The audit log.
    pub audit: AuditSummary,
    /// Where the HTML report is.
    pub report: String,
}

/// What was played.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataSummary {
    /// The file's name.
    pub source: String,
    /// The digest of its content.
    pub digest: Digest,
    /// Its rows.
    pub rows: u64,
    /// The first event.
    pub start: Timestamp,
    /// The last event.
    pub end: Timestamp,
    /// Until when rows only trained the first champion.
    pub warmup_end: Timestamp,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    /// Its id.
    pub id: RunId,
    /// Its model.
    pub model: ModelId,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// Why.
    pub causes: Vec<CauseKind>,
    /// Where it stands.
    pub status: RunStatus,
    /// How many executions it started.
    pub attempts: u32,
    /// Its gates' answers.
    pub verdicts: Vec<VerdictSummary>,
    /// The candidate's and the champion's values on the hold-out.
    pub metrics: BTreeMap<Metric, MetricSummary>,
    /// The candidate's version.
    pub candidate: Option<u64>,
    /// How it ended, in words.
    pub outcome: Option<String>,
}

/// One gate's answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerdictSummary {
    /// The gate's metric.
    pub metric: String,
    /// The answer.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<String>,
    /// Whether the gate is on trial: shown, not enforced.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// One metric on the hold-out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricSummary {
    /// The candidate's value.
    pub candidate: Option<f64>,
    /// The champion's value.
    pub champion: Option<f64>,
}

/// A change of the champion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Promotion {
    /// When.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// The new champion.
    pub version: u64,
    /// The champion before.
    pub replaced: Option<u64>,
    /// Who approved; empty when the policy promoted without a person.
    pub approved_by: Vec<String>,
}

/// How a run ended without promotion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ending {
    /// When.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// The candidate, if there was one.
    pub version: Option<u64>,
    /// Why, for programs.
    pub code: OutcomeCode,
    /// Why, for people.
    pub reason: String,
}

/// A champion that was taken back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RollbackSummary {
    /// When.
    pub at: Timestamp,
    /// The champion that was taken back.
    pub from: u64,
    /// The champion that was restored.
    pub to: u64,
    /// Why.
    pub reason: String,
}

/// What people were asked and said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalSummary {
    /// The run.
    pub run: RunId,
    /// Since when people were asked.
    pub requested_at: Timestamp,
    /// Who said what.
    pub votes: Vec<VoteSummary>,
}

/// One vote.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoteSummary {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub choice: Choice,
    /// Why.
    pub comment: String,
}

/// Quality over time: what was served against the first champion left alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// The measure.
    pub metric: Metric,
    /// By window.
    pub windows: Vec<QualityWindow>,
    /// The row-weighted means.
    pub mean: QualityMean,
}

/// One window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QualityWindow {
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// How many rows.
    pub rows: u64,
    /// The first champion, never retrained.
    pub frozen: Option<f64>,
    /// What was served.
    pub refit: Option<f64>,
}

/// The row-weighted means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QualityMean {
    /// The first champion, never retrained.
    pub frozen: Option<f64>,
    /// What was served.
    pub refit: Option<f64>,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionSummary {
    /// Its id, for `refit explain`.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// About what.
    pub kind: DecisionKind,
    /// What was decided.
    pub outcome: String,
    /// Why.
    pub reasons: Vec<String>,
    /// The run it concerns.
    pub run: Option<RunId>,
}

/// The audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditSummary {
    /// How many entries.
    pub entries: u64,
    /// Whether the chain holds and adds up to the state.
    pub verified: bool,
    /// The hash of the last entry.
    pub head: Digest,
}

/// Everything stored about a model, as a report needs it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct History {
    /// The head.
    pub head: Head,
    /// Runs, oldest first.
    pub runs: Vec<Run>,
    /// Packages, oldest first.
    pub packages: Vec<Package>,
    /// Requests for approval.
    pub approvals: Vec<Approval>,
    /// Judgments: drift by time, then performance by time.
    pub judgments: Vec<Judgment>,
    /// Decision records, oldest first.
    pub decisions: Vec<DecisionRecord>,
    /// The log, oldest first.
    pub audit: Vec<AuditEntry>,
}

impl History {
    /// Reads everything stored about a model.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn read(table: &dyn Table, model: &ModelId) -> Result<History, AppError> {
        Ok(History {
            head: Arc::unwrap_or_clone(queries::get_head(table, model).await?),
            runs: queries::list_runs(table, model).await?,
            packages: queries::list_packages(table, model).await?,
            approvals: queries::list_approvals(table, model).await?,
            judgments: queries::list_judgments(table, model).await?,
            decisions: queries::list_decisions(table, model).await?,
            audit: queries::list_audit(table, model).await?,
        })
    }

    /// The runs as the document shows them.
    #[must_use]
    pub fn run_summaries(&self) -> Vec<RunSummary> {
        self.runs.iter().map(|run| summarize_run(run, &self.head.model)).collect()
    }

    /// Changes of the champion, oldest first.
    #[must_use]
    pub fn promotions(&self) -> Vec<Promotion> {
        let promoted = self.audit.iter().filter_map(|entry| match &entry.event.fact {
            Fact::ModelPromoted { run, version, replaced } => Some((entry.event.at, run, *version, *replaced)),
            _ => None,
        });
        promoted
            .map(|(at, run, version, replaced)| {
                let approval = self.approvals.iter().find(|it| &it.run == run);
                let approved_by = approval.map(|it| it.votes.iter().map(|vote| vote.by.to_string()).collect());
                Promotion { at, run: run.clone(), version, replaced, approved_by: approved_by.unwrap_or_default() }
            })
            .collect()
    }

    /// Runs that ended with one of these statuses, oldest first.
    #[must_use]
    pub fn endings(&self, statuses: &[RunStatus]) -> Vec<Ending> {
        let ended = self.runs.iter().filter(|it| statuses.contains(&it.status));
        ended
            .filter_map(|run| {
                let outcome = run.outcome.as_ref()?;
                let reason = outcome.reason.clone();
                Some(Ending { at: outcome.at, run: run.id.clone(), version: run.candidate, code: outcome.code, reason })
            })
            .collect()
    }

    /// Champions that were taken back, oldest first.
    #[must_use]
    pub fn rollbacks(&self) -> Vec<RollbackSummary> {
        let facts = self.audit.iter().filter_map(|entry| match &entry.event.fact {
            Fact::ModelRolledBack { from, to, reason } => {
                Some(RollbackSummary { at: entry.event.at, from: *from, to: *to, reason: reason.clone() })
            }
            _ => None,
        });
        facts.collect()
    }

    /// What people were asked and said, oldest first.
    #[must_use]
    pub fn approval_summaries(&self) -> Vec<ApprovalSummary> {
        let summarize = |approval: &Approval| ApprovalSummary {
            run: approval.run.clone(),
            requested_at: approval.requested_at,
            votes: approval
                .votes
                .iter()
                .map(|it| VoteSummary {
                    by: it.by.to_string(),
                    at: it.at,
                    choice: it.choice,
                    comment: it.comment.clone(),
                })
                .collect(),
        };
        self.approvals.iter().map(summarize).collect()
    }

    /// Decisions that changed something or were held back, and how many checks were quiet.
    #[must_use]
    pub fn decision_summaries(&self) -> (Vec<DecisionSummary>, u64) {
        let is_quiet =
            |it: &&DecisionRecord| it.kind == DecisionKind::Check && it.outcome.ends_with("no trigger fired");
        let quiet = self.decisions.iter().filter(is_quiet).count() as u64;
        let told = self.decisions.iter().filter(|it| !is_quiet(it));
        let summaries = told
            .map(|it| DecisionSummary {
                id: it.id.clone(),
                at: it.at,
                kind: it.kind,
                outcome: it.outcome.clone(),
                reasons: it.reasons.clone(),
                run: it.run.clone(),
            })
            .collect();
        (summaries, quiet)
    }
}

fn summarize_run(run: &Run, model: &ModelId) -> RunSummary {
    let gates: &[GateResult] = run.evaluation.as_ref().map_or(&[], |it| &it.gates);
    let metrics = run.evaluation.as_ref().map(|evaluation| {
        let value = |it: &Option<refit_core::package::Measured>| it.as_ref().map(|it| it.value);
        let metrics = evaluation.evidence.metrics.iter();
        metrics
            .map(|(metric, it)| {
                (*metric, MetricSummary { candidate: value(&it.candidate), champion: value(&it.champion) })
            })
            .collect()
    });
    RunSummary {
        id: run.id.clone(),
        model: model.clone(),
        requested_at: run.requested_at,
        causes: run.causes.iter().map(|it| it.kind).collect(),
        status: run.status,
        attempts: u32::from(run.execution.is_some()),
        verdicts: gates
            .iter()
            .map(|it| VerdictSummary {
                metric: it.gate.metric.name().to_owned(),
                verdict: it.verdict,
                reasons: it.reasons.clone(),
                dry_run: it.gate.dry_run,
            })
            .collect(),
        metrics: metrics.unwrap_or_default(),
        candidate: run.candidate,
        outcome: run.outcome.as_ref().map(|it| it.reason.clone()),
    }
}
