//! What is: status, models, runs, packages.

use std::path::Path;
use std::sync::Arc;

use refit_app::queries;
use refit_core::ModelId;
use refit_core::approval::Approval;
use refit_core::model::Head;
use refit_core::run::{Run, RunStatus};
use refit_local::world::{Access, World};
use serde::Serialize;
use serde_json::json;

use crate::arguments::Format;
use crate::output::{Exit, answer, escaped, table, word};
use crate::state;

fn dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |it| it.to_string())
}

#[derive(Serialize)]
struct Status {
    head: Arc<Head>,
    active_run: Option<Run>,
    approval: Option<Approval>,
    waits_on: String,
    published: u64,
    next_look_at: Option<jiff::Timestamp>,
}

fn read_status(world: &World, model: &ModelId, flag: &str) -> anyhow::Result<Status> {
    let table = &*world.context.ports.table;
    let head = world.block_on(queries::get_head(table, model))?;
    let loaded = world.block_on(refit_app::state::load(table, model, refit_app::state::Scope::Everything))?;
    let published = world.block_on(refit_app::use_cases::publish_events::published_up_to(&world.context, model))?;
    let active_run = loaded.as_ref().and_then(|it| it.model.active_run().cloned());
    let approval =
        active_run.as_ref().and_then(|run| loaded.as_ref()?.model.approvals.get(&run.id).map(|it| (**it).clone()));
    let next_look_at = loaded.and_then(|it| it.look_at);
    let waits_on = match (&active_run, &approval) {
        (Some(run), Some(approval)) if run.status == RunStatus::AwaitingApproval => {
            format!(
                "{} waits for approval until {}: refit approve {}{flag} --basis {} --if-match {}",
                run.id, approval.expires_at, run.id, approval.basis, approval.generation
            )
        }
        (Some(run), _) => format!("{} is {}", run.id, run.status),
        (None, _) => "the next check".to_owned(),
    };
    Ok(Status { head, active_run, approval, waits_on, published, next_look_at })
}

/// `refit status`.
pub(crate) fn status(model: Option<&str>, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let mut all = Vec::new();
    for model in state::models(&world, model)? {
        all.push(read_status(&world, &model, &state::flag(state))?);
    }
    answer(format, &json!({ "schema": 1, "now": world.now(), "models": all }), |_| {
        let models: String = all.iter().map(show_status).collect();
        format!("now {}\n{models}", world.now())
    })?;
    Ok(Exit::Yes)
}

fn show_status(status: &Status) -> String {
    let head = &status.head;
    let version = |it: Option<u64>| dash(it.map(|it| format!("version {it}")));
    let mut lines = vec![
        ("champion", version(head.champion)),
        ("before it", version(head.previous_champion)),
        ("waits on", status.waits_on.clone()),
        ("next look", dash(status.next_look_at)),
        ("last check", head.checked_at.to_string()),
        ("last run", dash(head.last_run_at)),
    ];
    for judgment in [&head.performance, &head.drift].into_iter().flatten() {
        let verdict = word(judgment.verdict);
        lines.push((judgment.kind.name(), format!("{verdict}: {} {}", judgment.window, judgment.reason)));
    }
    if let Some(it) = &head.suspended {
        lines.push(("suspended", format!("by {} at {}: {}", it.by, it.at, it.reason)));
    }
    for signal in &head.signals {
        lines.push(("called", format!("{} {}: {}", signal.kind, signal.source, signal.reason)));
    }
    if 0 < head.setbacks {
        lines.push((
            "setbacks",
            match head.setbacks {
                1 => "the last candidate was rejected or rolled back".to_owned(),
                row => format!("the last {row} candidates were rejected or rolled back"),
            },
        ));
    }
    if let Some(at) = head.released_at {
        lines.push(("released", format!("left the policy at {at}: neither checked nor retrained")));
    }
    if let Some(reason) = &head.frozen {
        lines.push(("frozen", format!("promotion needs a person: {reason}")));
    }
    lines.push(("audit log", format!("{} entries, published up to {}", head.audit_seq, status.published)));
    let lines: String = lines.iter().map(|(name, text)| format!("  {name:<11} {}\n", escaped(text))).collect();
    format!("\n{}\n{lines}", head.model)
}

/// `refit models`.
pub(crate) fn models(state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let mut heads = Vec::new();
    for model in state::models(&world, None)? {
        heads.push(world.block_on(queries::get_head(&*world.context.ports.table, &model))?);
    }
    answer(format, &heads, |heads| {
        let rows: Vec<Vec<String>> = heads
            .iter()
            .map(|it| {
                vec![
                    it.model.to_string(),
                    dash(it.champion),
                    dash(it.active_run.as_ref()),
                    it.run_count.to_string(),
                    it.checked_at.to_string(),
                ]
            })
            .collect();
        table(&["MODEL", "CHAMPION", "ACTIVE RUN", "RUNS", "CHECKED AT"], &rows)
    })?;
    Ok(Exit::Yes)
}

/// `refit runs`.
pub(crate) fn runs(model: Option<&str>, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let mut runs = Vec::new();
    for model in state::models(&world, model)? {
        runs.extend(world.block_on(queries::list_runs(&*world.context.ports.table, &model))?);
    }
    answer(format, &runs, |runs| {
        let row = |run: &Run| {
            let causes: Vec<&str> = run.causes.iter().map(|it| it.kind.name()).collect();
            let reason = run.outcome.as_ref().map(|it| it.reason.clone());
            vec![
                run.id.to_string(),
                run.requested_at.to_string(),
                causes.join(","),
                run.status.to_string(),
                dash(run.candidate),
                dash(reason),
            ]
        };
        table(
            &["RUN", "REQUESTED AT", "CAUSES", "STATUS", "VERSION", "OUTCOME"],
            &runs.iter().map(row).collect::<Vec<_>>(),
        )
    })?;
    Ok(Exit::Yes)
}

/// `refit packages`.
pub(crate) fn packages(model: Option<&str>, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let mut packages = Vec::new();
    let mut models = Vec::new();
    for model in state::models(&world, model)? {
        let found = world.block_on(queries::list_packages(&*world.context.ports.table, &model))?;
        models.extend(found.iter().map(|_| model.clone()));
        packages.extend(found);
    }
    answer(format, &packages, |packages| {
        let row = |(it, model): (&refit_core::package::Package, &ModelId)| {
            let quality: Vec<String> =
                it.quality.iter().map(|(metric, value)| format!("{} {:.3}", metric.name(), value.value)).collect();
            vec![
                model.to_string(),
                it.version.to_string(),
                word(it.status),
                dash(it.run.as_ref()),
                it.train.to_string(),
                quality.join(", "),
                dash(it.promoted_at),
            ]
        };
        let rows: Vec<Vec<String>> = packages.iter().zip(&models).map(row).collect();
        table(&["MODEL", "VERSION", "STATUS", "RUN", "TRAINED ON", "ON ITS HOLD-OUT", "PROMOTED AT"], &rows)
    })?;
    Ok(Exit::Yes)
}
