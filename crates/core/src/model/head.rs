//! The head item of a model.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::names::{Digest, ModelId, RunId};
use crate::policy::EndpointPolicy;
use crate::trigger::{Judgment, JudgmentKind, Signal};

/// The head item of a model: what every decision begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Document version.
    pub schema: u16,
    /// The model.
    pub model: ModelId,
    /// The policy it follows.
    pub policy: Digest,
    /// Where it serves; kept here so that a rollback needs no policy.
    pub endpoint: EndpointPolicy,
    /// Who made that policy the current one.
    pub editor: Actor,
    /// When it left the policy, if it did: it is then neither checked nor retrained.
    pub released_at: Option<Timestamp>,
    /// The package that serves.
    pub champion: Option<u64>,
    /// The package that a rollback restores.
    pub previous_champion: Option<u64>,
    /// The run that is under way; at most one.
    pub active_run: Option<RunId>,
    /// The rollback that is under way.
    pub active_rollback: Option<Rollback>,
    /// The last change of the champion, if it was a rollback that nothing followed.
    pub rolled_back: Option<Rollback>,
    /// Why promotion without a person is frozen.
    pub frozen: Option<String>,
    /// Who suspended the triggers, if somebody did.
    pub suspended: Option<Suspension>,
    /// How many candidates in a row were rejected or rolled back; a person's request or resumption ends the row.
    pub setbacks: u32,
    /// What [`Head::setbacks`] was before the last promotion: a rollback of it continues that row.
    pub setbacks_before: u32,
    /// Calls from outside that no run answered yet, one a source.
    pub signals: Vec<Signal>,
    /// How many runs there were.
    pub run_count: u64,
    /// When the last run was requested.
    pub last_run_at: Option<Timestamp>,
    /// When the triggers were checked last.
    pub checked_at: Timestamp,
    /// Whether the triggers are to be checked at once: somebody called or resumed.
    pub is_check_due: bool,
    /// Scheduled times up to this one are answered; one that a guard holds back is not.
    pub scheduled_until: Timestamp,
    /// The end of the last window judged on drift.
    pub drift_judged_until: Timestamp,
    /// The end of the last window judged on performance.
    pub performance_judged_until: Timestamp,
    /// The ends of the last windows judged on anything else; the origin where a kind is missing.
    pub judged_until: BTreeMap<JudgmentKind, Timestamp>,
    /// Windows that end at or before this time are never judged.
    pub origin: Timestamp,
    /// The last judgment on drift for this champion.
    pub drift: Option<Judgment>,
    /// The last judgment on performance for this champion.
    pub performance: Option<Judgment>,
    /// The number of the last run whose keep time was looked at.
    pub cleaned_runs: u64,
    /// Expired runs whose outputs are being removed.
    pub cleaning: Vec<RunId>,
    /// The number of the last audit event.
    pub audit_seq: u64,
    /// Its hash.
    pub audit_hash: Digest,
}

/// A suspension of the triggers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A rollback: champion `from` is replaced by `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The champion that is taken back.
    pub from: u64,
    /// The champion that is restored.
    pub to: u64,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

impl Head {
    /// Whether what its endpoint serves is held to be the champion: there is one, and the model is under watch.
    #[must_use]
    pub fn keeps_endpoint(&self) -> bool {
        self.champion.is_some() && self.released_at.is_none()
    }

    /// The version of the document.
    pub const SCHEMA: u16 = 1;

    /// The end of the last window judged on a kind.
    #[must_use]
    pub fn judged_until(&self, kind: JudgmentKind) -> Timestamp {
        match kind {
            JudgmentKind::Drift => self.drift_judged_until,
            JudgmentKind::Performance => self.performance_judged_until,
            JudgmentKind::Predictions
            | JudgmentKind::Concept
            | JudgmentKind::Upstream
            | JudgmentKind::EstimatedPerformance => self.judged_until.get(&kind).copied().unwrap_or(self.origin),
        }
    }

    /// When the last run was requested, unless a clock that ran ahead says so: a time to come answers nothing.
    #[must_use]
    pub fn last_run_before(&self, now: Timestamp) -> Option<Timestamp> {
        self.last_run_at.filter(|it| *it <= now)
    }
}
