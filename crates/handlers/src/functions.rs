//! One handler for each function, and the one place that knows them all by name.

use std::fmt;
use std::str::FromStr;

use refit_app::documents::model_of_audit_partition;
use refit_app::queries::get_head;
use refit_app::state::find_run;
use refit_app::use_cases::check_triggers::{TriggerAsk, TriggerRequest, check_triggers, receive_call};
use refit_app::use_cases::evaluate_candidate::{CancelOrder, cancel_run, evaluate_candidate};
use refit_app::use_cases::existing::{AdoptionOrder, PromotionOrder, adopt_model, promote_version};
use refit_app::use_cases::promote_model::{ApprovalRequest, RollbackOrder, promote_model, rollback_model};
use refit_app::use_cases::publish_events::publish_events;
use refit_app::use_cases::record_window::record_window;
use refit_app::use_cases::start_retraining::start_retraining;
use refit_app::use_cases::sweep::{WAKE_UP, sweep};
use refit_app::{AppError, Context};
use refit_core::approval::Choice;
use refit_core::plan::{
    AdoptionRequest, CancelRequest, ManualRequest, PromotionRequest, ResumeRequest, RetryRequest, RollbackRequest,
    SuspendRequest, VoteRequest,
};
use refit_core::{Actor, Digest, Guard, ModelId, RunId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::{Heard, call};
use crate::event::{execution_arn, kind, model, object, run_of_execution, stream_partitions, unwrap, woken_function};
use crate::{Response, answer};

/// Refit's functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// Checks triggers.
    CheckTriggers,
    /// Starts requested runs.
    StartRetraining,
    /// Judges candidates.
    EvaluateCandidate,
    /// Votes, promotes, rolls back.
    PromoteModel,
    /// Takes in data files.
    RecordWindow,
    /// Publishes the audit log.
    PublishEvents,
    /// Wakes what is due.
    Sweep,
}

/// A name that is no function's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a function")]
pub struct UnknownFunction(String);

impl Function {
    /// Every function.
    pub const ALL: [Function; 7] = [
        Function::CheckTriggers,
        Function::StartRetraining,
        Function::EvaluateCandidate,
        Function::PromoteModel,
        Function::RecordWindow,
        Function::PublishEvents,
        Function::Sweep,
    ];

    /// The name: of the function, its handler in the template and its folder of event samples.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Function::CheckTriggers => "check-triggers",
            Function::StartRetraining => "start-retraining",
            Function::EvaluateCandidate => "evaluate-candidate",
            Function::PromoteModel => "promote-model",
            Function::RecordWindow => "record-window",
            Function::PublishEvents => "publish-events",
            Function::Sweep => "sweep",
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Function {
    type Err = UnknownFunction;

    fn from_str(text: &str) -> Result<Self, UnknownFunction> {
        Function::ALL.into_iter().find(|it| it.name() == text).ok_or_else(|| UnknownFunction(text.to_owned()))
    }
}

/// Handles one event.
///
/// # Errors
/// What is to be retried or reported; a wrong or foreign event is a [`Response`].
pub async fn handle(function: Function, context: &Context, event: &Value) -> Result<Response, AppError> {
    match function {
        Function::CheckTriggers => handle_check_triggers(context, event).await,
        Function::StartRetraining => handle_start_retraining(context, event).await,
        Function::EvaluateCandidate => handle_evaluate_candidate(context, event).await,
        Function::PromoteModel => handle_promote_model(context, event).await,
        Function::RecordWindow => handle_record_window(context, event).await,
        Function::PublishEvents => handle_publish_events(context, event).await,
        Function::Sweep => answer(sweep(context).await.map(to_value)),
    }
}

fn to_value<T: Serialize>(it: T) -> Value {
    serde_json::to_value(it).unwrap_or(Value::Null)
}

/// A person's request, as the API and the CLI send it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    Trigger {
        id: String,
        model: ModelId,
        actor: String,
        reason: String,
        #[serde(default)]
        force: bool,
    },
    Suspend {
        id: String,
        model: ModelId,
        actor: String,
        reason: String,
    },
    Resume {
        id: String,
        model: ModelId,
        actor: String,
        #[serde(default)]
        reason: String,
    },
    Vote {
        id: String,
        run: RunId,
        actor: String,
        choice: Choice,
        #[serde(default)]
        comment: String,
        basis: Option<Digest>,
        if_match: Option<u64>,
    },
    Cancel {
        id: String,
        run: RunId,
        actor: String,
        reason: String,
    },
    Retry {
        id: String,
        run: RunId,
        actor: String,
    },
    Rollback {
        id: String,
        model: ModelId,
        actor: String,
        reason: String,
        from: Option<u64>,
    },
    Promote {
        id: String,
        model: ModelId,
        version: u64,
        actor: String,
        reason: String,
    },
    Adopt {
        id: String,
        model: ModelId,
        actor: String,
        reason: String,
        package_arn: Option<String>,
        evaluation: Option<Value>,
    },
}

/// A request inside an event: an object with `kind`. `None` when the event is something else.
fn request(event: &Value) -> Option<Result<Request, String>> {
    event.get("kind")?;
    Some(Request::deserialize(event).map_err(|error| format!("the request is wrong: {error}")))
}

/// The model of one of Refit's own events, unless it is a wake-up for another function.
fn own_event(function: Function, event: &Value) -> Option<ModelId> {
    let (source, detail_type) = kind(event);
    let is_meant = detail_type != WAKE_UP || woken_function(event) == Some(function.name());
    if Guard::OwnSource.holds(source == "refit") && is_meant { model(event) } else { None }
}

async fn handle_check_triggers(context: &Context, event: &Value) -> Result<Response, AppError> {
    match request(event) {
        Some(Ok(request)) => return ask_triggers(context, request).await,
        Some(Err(why)) => return Ok(Response::refused(why)),
        None => {}
    }
    if let Some(model) = own_event(Function::CheckTriggers, event) {
        return answer(check_triggers(context, &model, None).await.map(to_value));
    }
    // One record of a queue or a topic holds one event.
    let mut details = Vec::new();
    let mut quiet = None;
    for inner in unwrap(event) {
        match call(&inner) {
            Heard::Call(call) => {
                details.extend(
                    receive_call(context, &call)
                        .await?
                        .into_iter()
                        .map(|(model, outcome)| json!({ "model": model, "outcome": outcome })),
                );
                quiet = quiet.or(Some("no model's policy listens to it"));
            }
            Heard::Quiet(why) => quiet = quiet.or(Some(why)),
            Heard::Nothing => {}
        }
    }
    if !details.is_empty() {
        return Ok(Response::done(details));
    }
    Ok(Response::ignored(quiet.unwrap_or("it is not a wake-up of a known model")))
}

/// A person's request about the triggers of a model.
async fn ask_triggers(context: &Context, request: Request) -> Result<Response, AppError> {
    let (id, model, ask) = match request {
        Request::Trigger { id, model, actor, reason, force } => {
            let actor = Actor::person(&actor);
            (id, model, TriggerAsk::Run(ManualRequest { actor, reason, force }))
        }
        Request::Suspend { id, model, actor, reason } => {
            (id, model, TriggerAsk::Suspend(SuspendRequest { actor: Actor::person(&actor), reason }))
        }
        Request::Resume { id, model, actor, reason } => {
            (id, model, TriggerAsk::Resume(ResumeRequest { actor: Actor::person(&actor), reason }))
        }
        Request::Retry { id, run, actor } => {
            let model = run.model();
            (id, model, TriggerAsk::Retry(RetryRequest { run, actor: Actor::person(&actor) }))
        }
        Request::Vote { .. }
        | Request::Rollback { .. }
        | Request::Promote { .. }
        | Request::Adopt { .. }
        | Request::Cancel { .. } => {
            let kinds = "`trigger`, `retry`, `suspend` or `resume`";
            return Ok(Response::refused(format!("this function takes requests of kind {kinds}")));
        }
    };
    let is_blank = match &ask {
        TriggerAsk::Run(ManualRequest { reason, .. }) | TriggerAsk::Suspend(SuspendRequest { reason, .. }) => {
            reason.trim().is_empty()
        }
        TriggerAsk::Retry(_) | TriggerAsk::Resume(_) | TriggerAsk::Signal(_) => false,
    };
    if is_blank {
        let what = if matches!(ask, TriggerAsk::Suspend(_)) { "a suspension" } else { "a manual trigger" };
        return Ok(Response::refused(format!("{what} needs a reason")));
    }
    answer(check_triggers(context, &model, Some(&TriggerRequest { id, ask })).await.map(to_value))
}

async fn handle_start_retraining(context: &Context, event: &Value) -> Result<Response, AppError> {
    match own_event(Function::StartRetraining, event) {
        Some(model) => answer(start_retraining(context, &model).await.map(to_value)),
        None => Ok(Response::ignored("it does not concern a requested run")),
    }
}

async fn handle_evaluate_candidate(context: &Context, event: &Value) -> Result<Response, AppError> {
    match request(event) {
        Some(Ok(Request::Cancel { id, run, actor, reason })) => {
            if reason.trim().is_empty() {
                return Ok(Response::refused("a cancellation needs a reason"));
            }
            let cancel = CancelRequest { run, actor: Actor::person(&actor), reason };
            return answer(cancel_run(context, &CancelOrder { id, cancel }).await.map(to_value));
        }
        Some(Ok(_)) => return Ok(Response::refused("this function takes requests of kind `cancel`")),
        Some(Err(why)) => return Ok(Response::refused(why)),
        None => {}
    }
    if let Some(model) = own_event(Function::EvaluateCandidate, event) {
        return answer(evaluate_candidate(context, &model).await.map(to_value));
    }
    let Some(run_id) = run_of_execution(event) else {
        return Ok(Response::ignored("its execution is no run of Refit's"));
    };
    // Anybody may start an execution under any display name: only the one that the run recorded counts.
    let run = find_run(&*context.ports.table, &run_id).await?;
    match run.as_ref().and_then(|it| it.execution.as_deref()) {
        Some(arn) if Guard::ExecutionOfRun.holds(execution_arn(event) == Some(arn)) => {
            answer(evaluate_candidate(context, &run_id.model()).await.map(to_value))
        }
        Some(_) => Ok(Response::ignored("its execution is not the one of the run")),
        None => Ok(Response::ignored("its run is not known or has no execution yet")),
    }
}

async fn handle_promote_model(context: &Context, event: &Value) -> Result<Response, AppError> {
    match request(event) {
        Some(Ok(Request::Vote { id, run, actor, choice, comment, basis, if_match })) => {
            let vote = VoteRequest { run: run.clone(), actor: Actor::person(&actor), choice, comment, basis, if_match };
            let approval = ApprovalRequest { id, vote };
            return answer(promote_model(context, &run.model(), Some(&approval)).await.map(to_value));
        }
        Some(Ok(Request::Rollback { id, model, actor, reason, from })) => {
            let rollback = RollbackRequest { actor: Actor::person(&actor), reason, from };
            let order = RollbackOrder { id, rollback };
            return answer(rollback_model(context, &model, Some(&order)).await.map(to_value));
        }
        Some(Ok(Request::Promote { reason, .. } | Request::Adopt { reason, .. })) if reason.trim().is_empty() => {
            return Ok(Response::refused("it needs a reason"));
        }
        Some(Ok(Request::Promote { id, model, version, actor, reason })) => {
            let request = PromotionRequest { version, actor: Actor::person(&actor), reason };
            let order = PromotionOrder { id, request };
            return answer(promote_version(context, &model, &order).await.map(to_value));
        }
        Some(Ok(Request::Adopt { id, model, actor, reason, package_arn, evaluation })) => {
            let request = AdoptionRequest { actor: Actor::person(&actor), reason };
            let order = AdoptionOrder { id, request, package_arn, evaluation };
            return answer(adopt_model(context, &model, &order).await.map(to_value));
        }
        Some(Ok(
            Request::Trigger { .. }
            | Request::Retry { .. }
            | Request::Cancel { .. }
            | Request::Suspend { .. }
            | Request::Resume { .. },
        )) => {
            return Ok(Response::refused(
                "this function takes requests of kind `vote`, `rollback`, `promote` or `adopt`",
            ));
        }
        Some(Err(why)) => return Ok(Response::refused(why)),
        None => {}
    }
    match own_event(Function::PromoteModel, event) {
        Some(model) => {
            // A rollback must not depend on anything else being readable.
            let head = get_head(&*context.ports.table, &model).await;
            match head {
                Ok(head) if head.active_rollback.is_some() => {
                    answer(rollback_model(context, &model, None).await.map(to_value))
                }
                Ok(_) => answer(promote_model(context, &model, None).await.map(to_value)),
                Err(error) => answer(Err(error)),
            }
        }
        None => Ok(Response::ignored("it does not concern a promotion")),
    }
}

async fn handle_record_window(context: &Context, event: &Value) -> Result<Response, AppError> {
    let mut details = Vec::new();
    for inner in unwrap(event) {
        match object(&inner) {
            Some(Ok(uri)) => details.push(to_value(record_window(context, &uri).await?)),
            Some(Err(why)) => details.push(Value::String(why)),
            None => {}
        }
    }
    if details.is_empty() { Ok(Response::ignored("it names no object")) } else { Ok(Response::done(details)) }
}

async fn handle_publish_events(context: &Context, event: &Value) -> Result<Response, AppError> {
    let mut models: Vec<ModelId> =
        stream_partitions(event).iter().filter_map(|it| model_of_audit_partition(it)).collect();
    models.extend(own_event(Function::PublishEvents, event));
    let mut details = Vec::new();
    for model in &models {
        details.push(to_value(publish_events(context, model).await?));
    }
    if details.is_empty() { Ok(Response::ignored("it concerns no audit log")) } else { Ok(Response::done(details)) }
}
