//! What people ask about the past: what was live, and how a run or a version came about, as a chain in the log's order.

use std::sync::Arc;

use jiff::Timestamp;
use refit_core::audit::{AuditEntry, Fact};
use refit_core::decision::DecisionRecord;
use refit_core::package::Package;
use refit_core::run::Run;
use refit_core::tenure::{Champions, Tenure};
use refit_core::{ModelId, RunId};
use serde::Serialize;

use crate::error::AppError;
use crate::ports::Table;
use crate::queries::{list_audit, list_decisions, list_packages};
use crate::state::find_run;

/// What was live at a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveAt {
    /// The model.
    pub model: ModelId,
    /// The time that was asked for.
    pub at: Timestamp,
    /// Since when the model is under watch.
    pub watched_since: Timestamp,
    /// The champion then; `None` when nothing was live.
    pub live: Option<Tenure>,
    /// When the first champion came, if there was one.
    pub first_champion_at: Option<Timestamp>,
}

/// One event of a run's chain, with the decision behind it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    /// The event.
    pub entry: AuditEntry,
    /// The decision, if a judgment was made.
    pub decision: Option<DecisionRecord>,
}

/// How a run came about and what became of it: trigger, decision, run, evaluation, approval, promotion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunExplanation {
    /// The run.
    pub run: Arc<Run>,
    /// Its events in the order of the log, and those of the rollback of what it made.
    pub chain: Vec<Link>,
    /// When what it made was champion.
    pub tenures: Vec<Tenure>,
}

/// What a version is, how it came about and when it was champion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionExplanation {
    /// The model.
    pub model: ModelId,
    /// The package.
    pub package: Package,
    /// The run that made it, if one did.
    pub made_by: Option<RunExplanation>,
    /// When it was champion.
    pub tenures: Vec<Tenure>,
}

/// What was live at `at`, from the audit log alone.
///
/// # Errors
/// [`AppError::UnknownModel`] without a log; [`AppError::Inconsistent`] when it does not add up.
pub async fn live_at(table: &dyn Table, model: &ModelId, at: Timestamp) -> Result<LiveAt, AppError> {
    let champions = champions(&list_audit(table, model).await?, model)?;
    Ok(LiveAt {
        model: model.clone(),
        at,
        watched_since: champions.watched_since,
        live: champions.at(at).cloned(),
        first_champion_at: champions.tenures.first().map(|it| it.began.at),
    })
}

fn champions(entries: &[AuditEntry], model: &ModelId) -> Result<Champions, AppError> {
    let champions = Champions::read(entries.iter().map(|it| &it.event))?;
    champions.ok_or_else(|| AppError::UnknownModel(model.to_string()))
}

/// The chain of a run.
///
/// # Errors
/// [`AppError::NotFound`] when there is no such run.
pub async fn explain_run(table: &dyn Table, id: &RunId) -> Result<RunExplanation, AppError> {
    let unknown = || AppError::NotFound(format!("there is no run `{id}`: `refit runs` lists them"));
    let run = find_run(table, id).await?.ok_or_else(unknown)?;
    let model = id.model();
    let entries = list_audit(table, &model).await?;
    let tenures = champions(&entries, &model)?.tenures;
    let mut decisions = list_decisions(table, &model).await?;
    let chain = entries
        .into_iter()
        .filter(|it| concerns(&it.event.fact, &run))
        .map(|entry| {
            let id = DecisionRecord::id(&model, entry.event.seq);
            let found = decisions.iter().position(|it| it.id == id);
            Link { decision: found.map(|it| decisions.swap_remove(it)), entry }
        })
        .collect();
    let tenures = tenures.into_iter().filter(|it| Some(it.version) == run.candidate).collect();
    Ok(RunExplanation { run, chain, tenures })
}

/// Whether a fact is about the run, or takes back what it made.
fn concerns(fact: &Fact, run: &Run) -> bool {
    if let Fact::RollbackStarted { from, .. } | Fact::ModelRolledBack { from, .. } = fact {
        return run.candidate == Some(*from);
    }
    fact.run() == Some(&run.id)
}

/// What a version is and how it came about.
///
/// # Errors
/// [`AppError::NotFound`] when there is no such version.
pub async fn explain_version(table: &dyn Table, model: &ModelId, version: u64) -> Result<VersionExplanation, AppError> {
    let unknown =
        || AppError::NotFound(format!("there is no version {version} of {model}: `refit packages {model}` lists them"));
    let packages = list_packages(table, model).await?;
    let package = packages.into_iter().find(|it| it.version == version).ok_or_else(unknown)?;
    let tenures = champions(&list_audit(table, model).await?, model)?.tenures;
    let made_by = match &package.run {
        Some(run) => Some(explain_run(table, run).await?),
        None => None,
    };
    Ok(VersionExplanation {
        model: model.clone(),
        package,
        made_by,
        tenures: tenures.into_iter().filter(|it| it.version == version).collect(),
    })
}
