//! What can be asked for. Each request counts once, by the caller's key; what follows is done by the woken functions.

use refit_app::ports::{Expect, Key, TableError, Token, Write};
use refit_app::queries;
use refit_app::state::{find_answer, find_run};
use refit_app::use_cases::check_triggers::{TriggerAsk, TriggerRequest, check_triggers};
use refit_app::use_cases::evaluate_candidate::{self, CancelOrder};
use refit_app::use_cases::existing::{PromotionOrder, promote_version};
use refit_app::use_cases::policy::{self, Applied, Change};
use refit_app::use_cases::promote_model::{ApprovalRequest, RollbackOrder, promote_model, rollback_model};
use refit_app::{AppError, Context, Outcome};
use refit_core::approval::{ApprovalState, Choice};
use refit_core::plan::{
    CancelRequest, ManualRequest, PromotionRequest, ResumeRequest, RetryRequest, RollbackRequest, SuspendRequest,
    VoteRequest,
};
use refit_core::policy::{diff, read};
use refit_core::{Digest, ModelId, RunId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::{Answer, Asked};
use crate::principal::Right;
use crate::problem::Problem;

/// The partition of what callers' keys were used for.
const KEYS: &str = "API";

/// What a caller's key was used for.
#[derive(Serialize, Deserialize)]
struct Used {
    schema: u16,
    body: Digest,
    at: jiff::Timestamp,
}

/// Names a change by the caller's key, and refuses a key that was used for another one.
async fn claim(context: &Context, asked: &Asked<'_>, target: &str) -> Result<String, Problem> {
    let id = asked.request_id()?;
    let if_match = crate::header(asked.headers, "if-match").unwrap_or_default();
    let body = Digest::of_list(&[target, if_match, &String::from_utf8_lossy(asked.body)]);
    let used = Used { schema: 1, body: body.clone(), at: context.now() };
    let key = Key::new(KEYS, &id);
    let write = Write::Put {
        key: key.clone(),
        expect: Expect::Absent,
        body: serde_json::to_string(&used).expect("invariant: own documents serialize").into(),
        due: None,
    };
    let table = &*context.ports.table;
    // Named by what is written: the same request at the same moment is the same transaction.
    let token = Token(Digest::of_list(&[&id, body.hex(), &used.at.to_string()]).hex()[..36].to_owned());
    match table.transact(&token, &[write]).await {
        Ok(()) => return Ok(id),
        Err(TableError::Conflict { .. }) => {}
        Err(error) => return Err(AppError::from(error).into()),
    }
    let stored = table.get(&key).await.map_err(AppError::from)?;
    match stored.and_then(|it| serde_json::from_str::<Used>(&it.body).ok()) {
        Some(stored) if stored.body == body => Ok(id),
        Some(_) | None => Err(Problem::new(422, "this Idempotency-Key named another request: choose another key")),
    }
}

/// Answers a change: what was recorded, or why it was refused. A service that could not be reached after the record is for
/// the woken function.
async fn answer(
    context: &Context,
    model: &ModelId,
    id: &str,
    result: Result<Outcome, AppError>,
) -> Result<Answer, Problem> {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(AppError::UnknownModel(_)) => return Err(Problem::not_found("there is no such model")),
        Err(error) => match find_answer(&*context.ports.table, model, id).await? {
            Some(known) => Outcome { refused: known.refused, ..Outcome::default() },
            None => return Err(error.into()),
        },
    };
    let operation = format!("{model}.{id}");
    if let Some(why) = &outcome.refused {
        return Err(Problem::new(409, why).with("operation", operation.into()).with("model", json!(model)));
    }
    Ok(Answer::accepted(json!({ "operation": operation, "model": model, "outcome": outcome })))
}

/// A text that people will read.
fn reason(text: &str) -> Result<String, Problem> {
    match text.trim() {
        "" => Err(Problem::new(422, "reason: people will read it, say why")),
        filled => Ok(filled.to_owned()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunBody {
    reason: String,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoBody {}

pub(crate) async fn create_run(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    request_run(context, asked, &asked.model()?).await
}

/// Asks for a run of a model, as the body says.
pub(crate) async fn request_run(context: &Context, asked: &Asked<'_>, model: &ModelId) -> Result<Answer, Problem> {
    let body: RunBody = asked.body()?;
    if body.force {
        asked.principal.check(Right::Force)?;
    }
    let manual = ManualRequest { actor: asked.principal.actor(), reason: reason(&body.reason)?, force: body.force };
    ask_triggers(context, asked, model, "run", TriggerAsk::Run(manual)).await
}

async fn ask_triggers(
    context: &Context,
    asked: &Asked<'_>,
    model: &ModelId,
    what: &str,
    ask: TriggerAsk,
) -> Result<Answer, Problem> {
    queries::get_head(&*context.ports.table, model).await?;
    let id = claim(context, asked, &format!("{what} {model}")).await?;
    let request = TriggerRequest { id: id.clone(), ask };
    answer(context, model, &id, check_triggers(context, model, Some(&request)).await).await
}

pub(crate) async fn suspend_model(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let body: ReasonBody = asked.body()?;
    suspend(context, asked, &asked.model()?, reason(&body.reason)?).await
}

/// Suspends a model's triggers.
pub(crate) async fn suspend(
    context: &Context,
    asked: &Asked<'_>,
    model: &ModelId,
    reason: String,
) -> Result<Answer, Problem> {
    let ask = TriggerAsk::Suspend(SuspendRequest { actor: asked.principal.actor(), reason });
    ask_triggers(context, asked, model, "suspend", ask).await
}

pub(crate) async fn resume_model(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let body: ReasonBody = asked.body()?;
    resume(context, asked, &asked.model()?, body.reason).await
}

/// Resumes a model's triggers.
pub(crate) async fn resume(
    context: &Context,
    asked: &Asked<'_>,
    model: &ModelId,
    reason: String,
) -> Result<Answer, Problem> {
    let ask = TriggerAsk::Resume(ResumeRequest { actor: asked.principal.actor(), reason });
    ask_triggers(context, asked, model, "resume", ask).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    reason: String,
    from: Option<u64>,
}

pub(crate) async fn roll_back_model(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let model = asked.model()?;
    let body: RollbackBody = asked.body()?;
    let (actor, reason) = (asked.principal.actor(), reason(&body.reason)?);
    let id = claim(context, asked, &format!("rollback {model}")).await?;
    let order = RollbackOrder { id: id.clone(), rollback: RollbackRequest { actor, reason, from: body.from } };
    answer(context, &model, &id, rollback_model(context, &model, Some(&order)).await).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PromotionBody {
    version: u64,
    reason: String,
}

pub(crate) async fn create_promotion(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let model = asked.model()?;
    let body: PromotionBody = asked.body()?;
    queries::get_head(&*context.ports.table, &model).await?;
    let request =
        PromotionRequest { version: body.version, actor: asked.principal.actor(), reason: reason(&body.reason)? };
    let id = claim(context, asked, &format!("promotion {model}")).await?;
    let order = PromotionOrder { id: id.clone(), request };
    answer(context, &model, &id, promote_version(context, &model, &order).await).await
}

/// The run in the path, which must be there.
async fn known_run(context: &Context, asked: &Asked<'_>) -> Result<RunId, Problem> {
    let run = asked.run()?;
    let found = find_run(&*context.ports.table, &run).await?;
    found.map(|it| it.id.clone()).ok_or_else(|| Problem::not_found("there is no such run"))
}

pub(crate) async fn cancel_run(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let run = known_run(context, asked).await?;
    let body: ReasonBody = asked.body()?;
    let cancel = CancelRequest { run: run.clone(), actor: asked.principal.actor(), reason: reason(&body.reason)? };
    let id = claim(context, asked, &format!("cancel {run}")).await?;
    let order = CancelOrder { id: id.clone(), cancel };
    answer(context, &run.model(), &id, evaluate_candidate::cancel_run(context, &order).await).await
}

pub(crate) async fn retry_run(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let run = known_run(context, asked).await?;
    let NoBody {} = asked.body()?;
    let model = run.model();
    let what = format!("retry {run}");
    ask_triggers(context, asked, &model, &what, TriggerAsk::Retry(RetryRequest { run, actor: asked.principal.actor() }))
        .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VoteBody {
    choice: Choice,
    #[serde(default)]
    comment: String,
    basis: Option<Digest>,
}

pub(crate) async fn vote_approval(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let run = known_run(context, asked).await?;
    let if_match = asked.if_match()?;
    let body: VoteBody = asked.body()?;
    let table = &*context.ports.table;
    let approval = queries::find_approval(table, &run).await?;
    let approval = approval.ok_or_else(|| Problem::not_found("nobody was asked about such a run"))?;
    let id = claim(context, asked, &format!("vote {run}")).await?;
    // A repeated vote gets its first answer, whatever has changed since.
    if find_answer(table, &run.model(), &id).await?.is_none() {
        if approval.state(context.now()) == ApprovalState::Expired {
            return Err(Problem::new(410, &format!("the request expired at {}", approval.expires_at)));
        }
        if approval.generation != if_match {
            return Err(Problem::new(412, "somebody has voted since you looked: look again, then decide"));
        }
    }
    let vote = VoteRequest {
        run: run.clone(),
        actor: asked.principal.actor(),
        choice: body.choice,
        comment: body.comment,
        basis: body.basis,
        if_match: Some(if_match),
    };
    let request = ApprovalRequest { id: id.clone(), vote };
    let model = run.model();
    answer(context, &model, &id, promote_model(context, &model, Some(&request)).await).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigBody {
    source: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn replace_config(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let seen = asked.if_match()?;
    let body: ConfigBody = asked.body()?;
    let after = read(&body.source).map_err(|problems| {
        let list: Vec<Value> = problems
            .0
            .iter()
            .map(|it| json!({ "line": it.line, "column": it.column, "path": it.path, "message": it.message }))
            .collect();
        Problem::new(422, "the policy is not valid").with("problems", list.into())
    })?;
    let pointer = policy::pointer(context).await?;
    let before = match &pointer {
        Some(pointer) => Some(policy::read(context, &pointer.policy).await?),
        None => None,
    };
    let current = pointer.map_or(0, |it| it.number);
    // What is current already is an answer to whoever repeats the request that made it so.
    if current != seen && before.as_ref().is_none_or(|it| it.digest() != after.digest()) {
        return Err(Problem::new(412, &format!("configuration {current} is current: look again, then apply")));
    }
    let changes = diff(before.as_deref(), &after);
    if body.dry_run {
        return Ok(Answer::ok(json!({ "dry_run": true, "changes": changes })).with_etag(current));
    }
    let actor = asked.principal.actor();
    let change = Change {
        policy: &after,
        source: Some(&body.source),
        actor: &actor,
        comment: &body.comment,
        restores: None,
        seen: Some(current),
        origin: context.now(),
    };
    let applied = policy::apply_change(context, &change).await?;
    Ok(applied_answer(&applied, json!(changes)))
}

fn applied_answer(applied: &Applied, changes: Value) -> Answer {
    let body = json!({ "dry_run": false, "applied": applied, "changes": changes });
    Answer::ok(body).with_etag(applied.number)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigRollbackBody {
    number: Option<u64>,
    #[serde(default)]
    comment: String,
}

pub(crate) async fn roll_back_config(context: &Context, asked: &Asked<'_>) -> Result<Answer, Problem> {
    let seen = asked.if_match()?;
    let body: ConfigRollbackBody = asked.body()?;
    let current = policy::pointer(context).await?.map_or(0, |it| it.number);
    if current != seen {
        return Err(Problem::new(412, &format!("configuration {current} is current: look again, then decide")));
    }
    let actor = asked.principal.actor();
    let applied = policy::roll_back_config(context, body.number, &actor, &body.comment).await;
    match applied {
        Ok(applied) => Ok(applied_answer(&applied, Value::Null)),
        Err(AppError::Invalid(why)) => Err(Problem::new(409, &why)),
        Err(error) => Err(error.into()),
    }
}
