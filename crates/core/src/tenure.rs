//! Tenures: which version was champion from when to when, why, and by whose word. Read from the audit log alone.
//!
//! A tenure begins with whatever event changes the champion, so that no way to become champion is forgotten here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::approval::Approval;
use crate::audit::{AuditEvent, Fact};
use crate::evaluation::{AutoPromotion, GateResult, Verdict};
use crate::model::{Inconsistent, Model};
use crate::names::{Digest, ModelId, ObjectUri, RunId};
use crate::trigger::Cause;

/// A change of the champion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The number of its event in the log.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The kind of event, for example `model_promoted`.
    pub event: String,
    /// Who carried it out; for a rollback who asked for it.
    pub by: Actor,
    /// Why, in the words of the log, where it has some.
    pub reason: Option<String>,
}

/// How the version came about, or was promoted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The run that made or promoted it.
    pub run: RunId,
    /// Why the run was requested.
    pub causes: Vec<Cause>,
    /// Who asked for it.
    pub requested_by: Actor,
    /// When.
    pub requested_at: Timestamp,
    /// The decision behind the request.
    pub decision: String,
    /// What the gates said together.
    pub verdict: Option<Verdict>,
    /// What each gate said.
    pub gates: Vec<GateResult>,
    /// What the rule for promotion without a person said.
    pub rule: Option<AutoPromotion>,
    /// What people said, if they were asked.
    pub approval: Option<Approval>,
}

/// A version's time as champion: from `began` up to, and not at, `ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenure {
    /// The version.
    pub version: u64,
    /// Its package.
    pub package_arn: String,
    /// Where its archive is.
    pub archive: ObjectUri,
    /// The digest of the archive that was judged.
    pub artifact: Digest,
    /// How it became champion.
    pub began: Change,
    /// How it came about; as it stood when it became champion.
    pub origin: Option<Origin>,
    /// How it was promoted, where that was by another run than the one that made it.
    pub promotion: Option<Origin>,
    /// How it stopped being champion.
    pub ended: Option<Change>,
    /// The champion after it.
    pub followed_by: Option<u64>,
}

impl Tenure {
    /// Whether it was champion at `time`.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.began.at <= time && self.ended.as_ref().is_none_or(|it| time < it.at)
    }
}

/// What the log says about the champions of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Champions {
    /// The model.
    pub model: ModelId,
    /// Since when it is under watch.
    pub watched_since: Timestamp,
    /// Its champions, oldest first.
    pub tenures: Vec<Tenure>,
}

impl Champions {
    /// Reads a whole log; `None` when it is empty.
    ///
    /// # Errors
    /// Says where the log does not add up.
    pub fn read<'a>(events: impl IntoIterator<Item = &'a AuditEvent>) -> Result<Option<Champions>, Inconsistent> {
        let mut events = events.into_iter();
        let Some(first) = events.next() else { return Ok(None) };
        let mut state = Model::begin(first)?;
        let mut champions = Champions { model: first.model.clone(), watched_since: first.at, tenures: Vec::new() };
        champions.note(&state, first, None)?;
        for event in events {
            let before = state.head.champion;
            state.apply(event)?;
            champions.note(&state, event, before)?;
        }
        Ok(Some(champions))
    }

    /// The tenure at `time`; `None` when nothing was live.
    #[must_use]
    pub fn at(&self, time: Timestamp) -> Option<&Tenure> {
        // Times of a log need not rise: a clock may be set back. The last that contains the time counts.
        self.tenures.iter().rfind(|it| it.contains(time))
    }

    fn note(&mut self, state: &Model, event: &AuditEvent, before: Option<u64>) -> Result<(), Inconsistent> {
        let after = state.head.champion;
        if after == before {
            return Ok(());
        }
        let change = change(state, event);
        if let Some(last) = self.tenures.last_mut().filter(|it| it.ended.is_none()) {
            last.ended = Some(change.clone());
            last.followed_by = after;
        }
        let Some(version) = after else { return Ok(()) };
        let missing = || Inconsistent::Missing { seq: event.seq, what: format!("package version {version}") };
        let package = state.packages.get(&version).ok_or_else(missing)?;
        self.tenures.push(Tenure {
            version,
            package_arn: package.arn.clone(),
            archive: package.model.clone(),
            artifact: package.artifact.clone(),
            began: change,
            origin: package.run.as_ref().and_then(|it| origin(state, it)),
            promotion: event.fact.run().filter(|it| Some(*it) != package.run.as_ref()).and_then(|it| origin(state, it)),
            ended: None,
            followed_by: None,
        });
        Ok(())
    }
}

fn change(state: &Model, event: &AuditEvent) -> Change {
    let is_rollback = matches!(event.fact, Fact::ModelRolledBack { .. });
    let rollback = state.head.rolled_back.as_ref().filter(|_| is_rollback);
    let reason = if let Fact::ModelAdopted { reason, .. } = &event.fact {
        Some(reason.clone())
    } else {
        rollback.map(|it| it.reason.clone())
    };
    Change {
        seq: event.seq,
        at: event.at,
        event: event.fact.name().to_owned(),
        by: rollback.map_or_else(|| event.actor.clone(), |it| it.by.clone()),
        reason,
    }
}

fn origin(state: &Model, run: &RunId) -> Option<Origin> {
    let run = state.runs.get(run)?;
    let evaluation = run.evaluation.as_ref();
    Some(Origin {
        run: run.id.clone(),
        causes: run.causes.clone(),
        requested_by: run.requested_by.clone(),
        requested_at: run.requested_at,
        decision: run.decision.clone(),
        verdict: evaluation.map(|it| it.verdict),
        gates: evaluation.map(|it| it.gates.clone()).unwrap_or_default(),
        rule: evaluation.map(|it| it.auto_promotion.clone()),
        approval: state.approvals.get(&run.id).map(|it| (**it).clone()),
    })
}
