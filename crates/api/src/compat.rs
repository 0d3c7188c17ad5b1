//! The paths of services that Refit replaces (`/retraining/…`): one model at a time, `?model=` where there are several.
//!
//! They look at and ask for what the others do. A change here, too, needs an `Idempotency-Key`.

use refit_app::Context;
use refit_app::queries;
use refit_app::use_cases::policy;
use refit_core::ModelId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Asked};
use crate::problem::Problem;
use crate::{change, look};

/// The model that is meant: the one in the query, or the only one.
async fn model(context: &Context, asked: &Asked<'_>) -> Result<ModelId, Problem> {
    if let Some(name) = asked.query.get("model") {
        return name.parse().map_err(|_| Problem::not_found("there is no such model"));
    }
    match policy::known_models(context).await?.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Problem::not_found("no model is under watch")),
        _ => Err(Problem::new(400, "several models are under watch: name one with ?model=")),
    }
}

async fn status_of(context: &Context, model: &ModelId) -> Result<Value, Problem> {
    let table = &*context.ports.table;
    let head = queries::get_head(table, model).await?;
    let days = head.last_run_at.map(|it| context.now().duration_since(it).as_hours() / 24);
    let decisions = queries::list_decisions(table, model).await?.len();
    Ok(json!({
        "is_running": head.suspended.is_none() && head.released_at.is_none(),
        "retraining_in_progress": head.active_run.is_some(), "last_check_time": head.checked_at,
        "last_retraining_time": head.last_run_at, "days_since_last_retraining": days,
        // Predictions are counted in windows, when a trigger asks for their number.
        "prediction_count_since_retraining": null, "total_trigger_events": head.run_count,
        "total_decisions": decisions, "model": model, "champion": head.champion,
    }))
}

pub(crate) async fn status(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let mut body = status_of(context, &model(context, asked).await?).await?;
    body["config"] = look::config_of(context, None).await?.0["policy"].take();
    Ok(Answer::ok(body))
}

pub(crate) async fn history(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    asked.page(look::runs_of(context, &model(context, asked).await?).await?)
}

pub(crate) async fn config(context: &Context, _asked: &Asked<'_>) -> Result<Answer, Problem> {
    let (body, number) = look::config_of(context, None).await?;
    Ok(Answer::ok(body).with_etag(number))
}

pub(crate) async fn export(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let model = model(context, asked).await?;
    let runs: Vec<Value> = look::runs_of(context, &model).await?.into_iter().map(|it| it.1).collect();
    let config = look::config_of(context, None).await?.0;
    let status = status_of(context, &model).await?;
    Ok(Answer::ok(json!({ "exported_at": context.now(), "status": status, "history": runs, "config": config })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StopBody {
    #[serde(default)]
    reason: String,
}

pub(crate) async fn start(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    change::resume(context, asked, &model(context, asked).await?, String::new()).await
}

pub(crate) async fn stop(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let body: StopBody = asked.body()?;
    let reason = if body.reason.trim().is_empty() { "stopped by /retraining/stop".to_owned() } else { body.reason };
    change::suspend(context, asked, &model(context, asked).await?, reason).await
}

pub(crate) async fn trigger(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    change::request_run(context, asked, &model(context, asked).await?).await
}
