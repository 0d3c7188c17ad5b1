//! What can be seen.

use refit_app::Context;
use refit_app::queries;
use refit_app::state::{Scope, find_answer, find_run, load};
use refit_app::use_cases::{policy, publish_events};
use refit_core::ModelId;
use refit_core::audit::AuditEntry;
use refit_core::decision::DecisionRecord;
use refit_core::run::RunStatus;
use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Asked};
use crate::problem::Problem;

fn to_value(it: &impl Serialize) -> Value {
    serde_json::to_value(it).unwrap_or(Value::Null)
}

pub(crate) async fn list_models(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let table = &*context.ports.table;
    let mut items = Vec::new();
    for model in policy::known_models(context).await? {
        // A model of a new policy has no head before it was looked at first.
        let item = match queries::get_head(table, &model).await {
            Ok(head) => json!({
                "id": model, "champion": head.champion, "active_run": head.active_run, "runs": head.run_count,
                "checked_at": head.checked_at, "suspended": head.suspended, "released_at": head.released_at,
            }),
            Err(refit_app::AppError::UnknownModel(_)) => json!({ "id": model }),
            Err(error) => return Err(error.into()),
        };
        items.push((model.to_string(), item));
    }
    asked.page(items)
}

/// What a model is doing.
pub(crate) async fn describe(context: &Context, model: &ModelId) -> Result<(Value, u64), Problem> {
    let table = &*context.ports.table;
    let unknown = || Problem::not_found("there is no such model");
    let loaded = load(table, model, Scope::Everything).await?.ok_or_else(unknown)?;
    let published = publish_events::published_up_to(context, model).await?;
    let run = loaded.model.active_run();
    let approval =
        run.filter(|it| it.status == RunStatus::AwaitingApproval).and_then(|it| loaded.model.approvals.get(&it.id));
    let seq = loaded.model.head.audit_seq;
    let body = json!({
        "id": model, "head": loaded.model.head, "active_run": run, "approval": approval, "published": published,
        "next_look_at": loaded.look_at, "now": context.now(),
    });
    Ok((body, seq))
}

pub(crate) async fn get_model(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let (body, seq) = describe(context, &asked.model()?).await?;
    Ok(Answer::ok(body).with_etag(seq))
}

/// A model's runs, oldest first; a model that does not exist is a 404.
pub(crate) async fn runs_of(context: &Context, model: &ModelId) -> Result<Vec<(String, Value)>, Problem> {
    let table = &*context.ports.table;
    queries::get_head(table, model).await?;
    let runs = queries::list_runs(table, model).await?;
    Ok(runs.iter().map(|it| (it.id.to_string(), to_value(it))).collect())
}

pub(crate) async fn list_runs(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    asked.page(runs_of(context, &asked.model()?).await?)
}

pub(crate) async fn get_run(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let run = find_run(&*context.ports.table, &asked.run()?).await?;
    let run = run.ok_or_else(|| Problem::not_found("there is no such run"))?;
    Ok(Answer::ok(to_value(&run)))
}

pub(crate) async fn get_approval(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let approval = queries::find_approval(&*context.ports.table, &asked.run()?).await?;
    let approval = approval.ok_or_else(|| Problem::not_found("nobody was asked about such a run"))?;
    let mut body = to_value(&approval);
    body["state"] = format!("{:?}", approval.state(context.now())).to_lowercase().into();
    Ok(Answer::ok(body).with_etag(approval.generation))
}

pub(crate) async fn list_packages(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let (table, model) = (&*context.ports.table, asked.model()?);
    queries::get_head(table, &model).await?;
    let packages = queries::list_packages(table, &model).await?;
    asked.page(packages.iter().map(|it| (it.version.to_string(), to_value(it))).collect())
}

pub(crate) async fn list_decisions(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let (table, model) = (&*context.ports.table, asked.model()?);
    queries::get_head(table, &model).await?;
    let decisions: Vec<DecisionRecord> = queries::list_decisions(table, &model).await?;
    asked.page(decisions.iter().map(|it| (it.id.clone(), to_value(it))).collect())
}

pub(crate) async fn get_decision(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let decision = queries::get_decision(&*context.ports.table, asked.text("decision")).await?;
    Ok(Answer::ok(to_value(&decision)))
}

pub(crate) async fn list_audit(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let (table, model) = (&*context.ports.table, asked.model()?);
    queries::get_head(table, &model).await?;
    let entries: Vec<AuditEntry> = queries::list_audit(table, &model).await?;
    asked.page(entries.iter().map(|it| (it.event.seq.to_string(), to_value(it))).collect())
}

pub(crate) async fn verify_audit(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    Ok(Answer::ok(to_value(&queries::verify_audit(&*context.ports.table, &asked.model()?).await?)))
}

/// What became of a request: `<model>.<request>`, as the request was answered.
pub(crate) async fn get_operation(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let unknown = || Problem::not_found("there is no such operation, or it is not recorded yet");
    let (model, request) = asked.text("operation").split_once('.').ok_or_else(unknown)?;
    let model: ModelId = model.parse().map_err(|_| unknown())?;
    let answer = find_answer(&*context.ports.table, &model, request).await?.ok_or_else(unknown)?;
    let status = if answer.refused.is_some() { "refused" } else { "recorded" };
    Ok(Answer::ok(json!({
        "id": asked.text("operation"), "model": model, "status": status, "audit_seq": answer.seq,
        "refused": answer.refused,
    })))
}

/// A configuration, with the number that names it.
pub(crate) async fn config_of(context: &Context, number: Option<u64>) -> Result<(Value, u64), Problem> {
    if policy::pointer(context).await?.is_none() {
        return Err(Problem::not_found("nothing was applied yet: PUT /v1/config with If-Match \"0\""));
    }
    let (entry, in_force) = policy::find_config(context, number).await?;
    let source = policy::find_source(context, &entry).await?;
    Ok((json!({ "entry": entry, "policy": *in_force, "source": source }), entry.number))
}

pub(crate) async fn get_config(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let number = asked.query.get("number").map(|it| it.parse::<u64>()).transpose();
    let number = number.map_err(|_| Problem::new(400, "number must be a whole number"))?;
    let (body, number) = config_of(context, number).await?;
    Ok(Answer::ok(body).with_etag(number))
}

pub(crate) async fn list_configs(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let report = policy::history(context).await?;
    if let Some(problem) = report.problem {
        // A broken history is shown as what it is, and never as a shorter one.
        return Err(Problem::new(500, "the history of configurations is broken").with("problem", problem.into()));
    }
    asked.page(report.entries.iter().map(|it| (it.number.to_string(), to_value(it))).collect())
}
