//! Decision records: why something was decided, with the numbers, immutable.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::actor::Actor;
use crate::model::Model;
use crate::names::{Digest, ModelId, RunId};
use crate::plan::{Decision, Record};
use crate::snapshot::StoredSnapshot;

/// What was decided about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// Whether to retrain.
    Check,
    /// Whether a candidate is good enough.
    Evaluation,
    /// Whether to promote.
    Promotion,
    /// Whether to take the champion back.
    Rollback,
}

/// Why something was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionRecord {
    /// Document version.
    pub schema: u16,
    /// Its id, `<model>-d<number>`, numbered as the audit event it stands behind.
    pub id: String,
    /// The model.
    pub model: ModelId,
    /// When.
    pub at: Timestamp,
    /// What was decided about.
    pub kind: DecisionKind,
    /// Who or what asked.
    pub actor: Actor,
    /// The policy in force.
    pub policy: Digest,
    /// The champion then.
    pub champion: Option<u64>,
    /// The run it concerns.
    pub run: Option<RunId>,
    /// What was decided, in one sentence.
    pub outcome: String,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
    /// The numbers it rests on, for people.
    pub inputs: Arc<Value>,
    /// All that the planner looked at: asked again, it gives the same answer.
    pub snapshot: StoredSnapshot,
}

impl DecisionRecord {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;

    /// The record of `decision`, which stands behind the next event of `state`.
    #[must_use]
    pub fn new(
        state: &Model,
        record: &Record,
        decision: &Decision,
        policy: &Digest,
        at: Timestamp,
        snapshot: StoredSnapshot,
    ) -> DecisionRecord {
        let head = &state.head;
        DecisionRecord {
            schema: DecisionRecord::SCHEMA,
            id: DecisionRecord::id(&head.model, head.audit_seq + 1),
            model: head.model.clone(),
            at,
            kind: decision.kind,
            actor: record.actor.clone(),
            policy: policy.clone(),
            champion: head.champion,
            run: record.fact.run().cloned(),
            outcome: decision.outcome.clone(),
            reasons: decision.reasons.clone(),
            inputs: Arc::clone(&decision.inputs),
            snapshot,
        }
    }

    /// The id of the decision behind audit event `seq`.
    #[must_use]
    pub fn id(model: &ModelId, seq: u64) -> String {
        format!("{model}-d{seq:06}")
    }

    /// The model and number that an id names.
    #[must_use]
    pub fn parse_id(id: &str) -> Option<(ModelId, u64)> {
        let (model, number) = id.rsplit_once("-d")?;
        Some((model.parse().ok()?, number.parse().ok()?))
    }

    /// Where it is stored below its model.
    #[must_use]
    pub fn sort(seq: u64) -> String {
        format!("DECISION#{seq:012}")
    }
}
