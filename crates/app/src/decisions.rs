//! Asks planners again what they decided: with the recorded policy the answer must be the recorded one, byte for byte; with a
//! proposed policy it says what would have been decided otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use refit_core::audit::AuditEntry;
use refit_core::decision::{DecisionKind, DecisionRecord};
use refit_core::model::Model;
use refit_core::plan::{Plan, Record};
use refit_core::policy::{ModelPolicy, Policy};
use refit_core::proposal::{Proposal, Proposed};
use refit_core::snapshot::Snapshot;
use refit_core::{Digest, ModelId};
use serde::Serialize;

use crate::documents::to_body;
use crate::error::{AppError, chain};
use crate::measure::verdicts::judge_question;
use crate::ports::Failure;
use crate::queries::{list_audit, list_decisions};
use crate::snapshots;
use crate::use_cases::{Context, policy};

/// One decision, asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayedDecision {
    /// Its id.
    pub decision: String,
    /// When it was made.
    pub at: Timestamp,
    /// What was decided about.
    pub kind: DecisionKind,
    /// What was decided.
    pub outcome: String,
    /// The digest of the inputs.
    pub snapshot: Digest,
    /// Whether the planner gives the recorded fact and decision again, byte for byte.
    pub is_equal: bool,
    /// What is not as recorded.
    pub problems: Vec<String>,
}

/// A decision that a proposed policy does not simply confirm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionDifference {
    /// The model.
    pub model: ModelId,
    /// The decision.
    pub decision: String,
    /// When it was made.
    pub at: Timestamp,
    /// What was decided about.
    pub kind: DecisionKind,
    /// What was decided.
    pub recorded: String,
    /// What the proposed policy makes of it; never [`Proposed::Same`].
    pub proposed: Proposed,
}

/// What a proposed policy makes of the recorded decisions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ReplayedPolicy {
    /// How many decisions were asked again.
    pub decisions: usize,
    /// How many would be the same.
    pub same: usize,
    /// How many would be different.
    pub different: usize,
    /// How many cannot be told.
    pub cannot_be_told: usize,
    /// Those that would not be the same, by model and time.
    pub differences: Vec<DecisionDifference>,
}

/// A decision with everything that its planner looked at.
struct Case<'a> {
    entry: &'a AuditEntry,
    decision: DecisionRecord,
    /// The inputs, the state and the policy, or why they are not there.
    asked: Result<(Arc<Snapshot>, Model, ModelPolicy), String>,
}

/// Reads policies once.
struct Policies<'a> {
    context: &'a Context,
    read: BTreeMap<Digest, Result<Arc<Policy>, String>>,
}

impl Policies<'_> {
    async fn model(&mut self, digest: &Digest, id: &ModelId) -> Result<Result<ModelPolicy, String>, AppError> {
        if !self.read.contains_key(digest) {
            let found = told(policy::read(self.context, digest).await)?;
            self.read.insert(digest.clone(), found);
        }
        let missing = || format!("policy {} does not name {id}", digest.short());
        Ok(match &self.read[digest] {
            Ok(policy) => policy.find_model(id).cloned().ok_or_else(missing),
            Err(why) => Err(why.clone()),
        })
    }
}

/// What is damaged or gone is a finding; a service that fails is an error.
fn told<T>(result: Result<T, AppError>) -> Result<Result<T, String>, AppError> {
    match result {
        Ok(found) => Ok(Ok(found)),
        Err(error @ (AppError::Corrupt { .. } | AppError::CorruptObject { .. })) => Ok(Err(chain(&error))),
        Err(AppError::Object(error)) if error.failure() == Failure::NotFound => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// The decisions of a model with their inputs, in the order of the log; and what does not fit together.
async fn cases<'a>(
    context: &Context,
    id: &ModelId,
    entries: &'a [AuditEntry],
    policies: &mut Policies<'_>,
) -> Result<Vec<Case<'a>>, AppError> {
    let records = list_decisions(&*context.ports.table, id).await?;
    let mut records: BTreeMap<u64, DecisionRecord> =
        records.into_iter().filter_map(|it| Some((DecisionRecord::parse_id(&it.id)?.1, it))).collect();
    let mut whole: Option<Model> = None;
    let mut cases = Vec::new();
    for entry in entries {
        if let (Some(decision), Some(whole)) = (records.remove(&entry.event.seq), &whole) {
            let asked = match told(snapshots::read(context, &decision.snapshot).await)? {
                Err(why) => Err(why),
                Ok(_) if entry.event.snapshot.as_ref() != Some(&decision.snapshot.digest) => {
                    Err("the log names other inputs: the record was changed".to_owned())
                }
                Ok(snapshot) => match (snapshot.state.part_of(whole), policies.model(&snapshot.policy, id).await?) {
                    (Err(error), _) => Err(error.to_string()),
                    (_, Err(why)) => Err(why),
                    (Ok(state), Ok(policy)) => Ok((snapshot, state, policy)),
                },
            };
            cases.push(Case { entry, decision, asked });
        }
        match &mut whole {
            None => whole = Some(Model::begin(&entry.event)?),
            Some(model) => model.apply(&entry.event)?,
        }
    }
    Ok(cases)
}

/// Asks every decision of a model again, oldest first.
///
/// # Errors
/// A service's failure, or a log that does not add up: `refit audit verify` says where. An answer that is not the recorded
/// one is a finding, not an error.
pub async fn replay_model(context: &Context, id: &ModelId) -> Result<Vec<ReplayedDecision>, AppError> {
    let entries = list_audit(&*context.ports.table, id).await?;
    let mut policies = Policies { context, read: BTreeMap::new() };
    let cases = cases(context, id, &entries, &mut policies).await?;
    Ok(cases.iter().map(replay).collect())
}

fn replay(case: &Case<'_>) -> ReplayedDecision {
    let decision = &case.decision;
    let problems = match &case.asked {
        Ok((snapshot, state, policy)) => {
            match snapshot.question.plan(state, policy, snapshot.now, &snapshot.performed) {
                Plan::Record(record) => compare(case, snapshot, state, &record),
                Plan::Perform(_) => vec!["the planner asks for a step instead".to_owned()],
                Plan::Wait { on, .. } => vec![format!("the planner decides nothing: {on}")],
                Plan::Refuse(refusal) => vec![format!("the planner refuses: {refusal}")],
            }
        }
        Err(why) => vec![why.clone()],
    };
    ReplayedDecision {
        decision: decision.id.clone(),
        at: decision.at,
        kind: decision.kind,
        outcome: decision.outcome.clone(),
        snapshot: decision.snapshot.digest.clone(),
        is_equal: problems.is_empty(),
        problems,
    }
}

/// Where an answer is not the recorded one, byte for byte: the audit event, and the decision record, each as a whole.
fn compare(case: &Case<'_>, snapshot: &Snapshot, state: &Model, record: &Record) -> Vec<String> {
    let (event, decision) = (&case.entry.event, &case.decision);
    let Some(answer) = &record.decision else { return vec!["the planner gives no reasons any more".to_owned()] };
    let kept = decision.snapshot.clone();
    let again = DecisionRecord::new(state, record, answer, &snapshot.policy, snapshot.now, kept);
    let mut next = state.next_event(record.fact.clone(), record.actor.clone(), &again.id, snapshot.now);
    next.snapshot = Some(decision.snapshot.digest.clone());
    [("the event", to_body(event), to_body(&next)), ("the decision", to_body(decision), to_body(&again))]
        .into_iter()
        .filter(|(_, recorded, again)| recorded != again)
        .map(|(what, recorded, again)| differ(what, &recorded, &again))
        .collect()
}

/// Shows two texts from a little before the place where they part.
fn differ(what: &str, recorded: &str, again: &str) -> String {
    const BEFORE: usize = 40;
    const SHOWN: usize = 160;
    let common = recorded.chars().zip(again.chars()).take_while(|(one, other)| one == other).count();
    let part = |text: &str| text.chars().skip(common.saturating_sub(BEFORE)).take(SHOWN).collect::<String>();
    format!("{what} differs: recorded …{}…, again …{}…", part(recorded), part(again))
}

/// Asks every recorded decision again under a proposed policy. Models that the proposed policy does not name are left out.
///
/// # Errors
/// A service's failure, or a log that does not add up.
pub async fn replay_decisions(context: &Context, proposed: &Policy) -> Result<ReplayedPolicy, AppError> {
    let mut replayed = ReplayedPolicy::default();
    let mut policies = Policies { context, read: BTreeMap::new() };
    for model in policy::models(context).await?.unwrap_or_default() {
        let Some(proposed) = proposed.find_model(&model) else { continue };
        let entries = list_audit(&*context.ports.table, &model).await?;
        let mut proposal = Proposal::default();
        for case in cases(context, &model, &entries, &mut policies).await? {
            let answer = match &case.asked {
                Ok((snapshot, state, recorded)) => {
                    let mut snapshot = Snapshot::clone(snapshot);
                    judge_question(&mut snapshot.question, &proposed.triggers);
                    proposal.decide(&snapshot, state, recorded, proposed, &case.decision.outcome)
                }
                Err(why) => Proposed::CannotBeTold { why: why.clone() },
            };
            add(&mut replayed, &model, case.decision, answer);
        }
    }
    Ok(replayed)
}

fn add(replayed: &mut ReplayedPolicy, model: &ModelId, decision: DecisionRecord, proposed: Proposed) {
    replayed.decisions += 1;
    match &proposed {
        Proposed::Same => {
            replayed.same += 1;
            return;
        }
        Proposed::Different { .. } => replayed.different += 1,
        Proposed::CannotBeTold { .. } => replayed.cannot_be_told += 1,
    }
    replayed.differences.push(DecisionDifference {
        model: model.clone(),
        decision: decision.id,
        at: decision.at,
        kind: decision.kind,
        recorded: decision.outcome,
        proposed,
    });
}
