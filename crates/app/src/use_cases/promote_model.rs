//! Votes, notice, traffic, promotion; and the way back.

use async_trait::async_trait;
use refit_core::plan::{
    Plan, Question, Record, RollbackRequest, Step, VoteRequest, WaitingOn, plan_rollback, plan_rollback_request,
};
use refit_core::run::RunStatus;
use refit_core::{Digest, Guard, ModelId};

use super::park::{or_park, refuse_damaged};
use super::perform::{Performed, serve};
use super::publish_events::published_up_to;
use super::{Asked, Context, Outcome, Planner, Situation, drive, keep_asked, refuse};
use crate::error::AppError;
use crate::measure::MAX_FILE_BYTES;
use crate::ports::{EndpointError, EndpointStatus, ObjectError, Variant};
use crate::state::{Loaded, LookAt, RecordContext, Scope, find_answer, load, record};

/// A vote with the id that makes it count once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRequest {
    /// Names the request.
    pub id: String,
    /// What is decided.
    pub vote: VoteRequest,
}

struct Promote<'a> {
    request: Option<&'a ApprovalRequest>,
}

#[async_trait]
impl Planner for Promote<'_> {
    async fn ask(&self, context: &Context, situation: &Situation<'_>) -> Result<Question, AppError> {
        let model = &situation.loaded.model;
        let published = published_up_to(context, &model.head.model).await?;
        let serving = serving(context, &model.head.endpoint.name).await?;
        let archive = archive(context, situation).await?;
        let vote = self.request.filter(|_| situation.is_request_open).map(|it| it.vote.clone());
        Ok(Question::Promote { published, serving, archive, vote })
    }

    fn request_id(&self) -> Option<&str> {
        self.request.map(|it| it.id.as_str())
    }
}

/// The package that an endpoint serves alone.
pub(super) async fn serving(context: &Context, endpoint: &str) -> Result<Option<String>, AppError> {
    match context.ports.endpoints.describe(endpoint).await {
        Ok(state) if state.status == EndpointStatus::InService => match &state.variants[..] {
            [only] => Ok(Some(only.package_arn.clone())),
            _ => Ok(None),
        },
        Ok(_) | Err(EndpointError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The digest of the archive that is about to be served, where the planner asks for it.
async fn archive(context: &Context, situation: &Situation<'_>) -> Result<Option<Digest>, AppError> {
    let model = &situation.loaded.model;
    let run = model.active_run().filter(|it| it.status == RunStatus::RollingOut);
    let candidate = run.and_then(|it| model.packages.get(&it.candidate?));
    let is_served = situation.performed.iter().any(|it| matches!(it, Step::Serve { .. }));
    let Some(candidate) = candidate.filter(|_| !is_served) else { return Ok(None) };
    match context.ports.objects.get(&candidate.model, MAX_FILE_BYTES).await {
        Ok(object) => Ok(Some(Digest::of(&object.bytes))),
        Err(ObjectError::NotFound(_) | ObjectError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Carries on the promotion or rollback of a model, after a vote if there is one.
///
/// # Errors
/// See [`AppError`].
#[tracing::instrument(name = "promote_model", skip_all, fields(model.id = %model))]
pub async fn promote_model(
    context: &Context,
    model: &ModelId,
    request: Option<&ApprovalRequest>,
) -> Result<Outcome, AppError> {
    drive(context, model, &Promote { request }).await
}

/// A rollback with the id that makes it count once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackOrder {
    /// Names the request.
    pub id: String,
    /// What is asked.
    pub rollback: RollbackRequest,
}

/// Takes the champion back, or carries on a rollback that was begun. Looks at nothing but HEAD and two packages: a broken policy, run or approval is no obstacle.
///
/// # Errors
/// See [`AppError`].
#[tracing::instrument(name = "rollback_model", skip_all, fields(model.id = %model))]
pub async fn rollback_model(
    context: &Context,
    model: &ModelId,
    order: Option<&RollbackOrder>,
) -> Result<Outcome, AppError> {
    or_park(context, model, carry_back(context, model, order).await).await
}

async fn carry_back(context: &Context, model: &ModelId, order: Option<&RollbackOrder>) -> Result<Outcome, AppError> {
    let table = &*context.ports.table;
    let mut outcome = Outcome::default();
    let mut performed: Vec<Step> = Vec::new();
    let scope = if Guard::RollbackReadsLittle.is_kept() { Scope::Rollback } else { Scope::Everything };
    for _ in 0..super::MAX_ROUNDS {
        let loaded = load(table, model, scope).await?.ok_or_else(|| AppError::UnknownModel(model.to_string()))?;
        refuse_damaged(model, loaded.model.find_damaged_rollback())?;
        let head = &loaded.model.head;
        let answer = match order {
            Some(order) => find_answer(table, model, &order.id).await?,
            None => None,
        };
        let open = order.filter(|_| answer.is_none());
        if let Some(answer) = answer.filter(|_| outcome.recorded.is_empty()) {
            outcome.repeat(answer);
        }
        let plan = match (&head.active_rollback, open) {
            (Some(_), _) => plan_rollback(&loaded.model, &performed),
            (None, Some(order)) => plan_rollback_request(&loaded.model, &order.rollback),
            (None, None) => Plan::Wait { on: WaitingOn::Nothing, until: None },
        };
        let planned: Record = match plan {
            Plan::Record(planned) => *planned,
            Plan::Perform(step) => {
                match restore(context, &loaded, &step).await? {
                    // The record before made the model due at once: the sweep comes again until the endpoint is ready.
                    Performed::Wait { on, .. } => {
                        outcome.waiting_on = Some(on);
                        return Ok(outcome);
                    }
                    Performed::Outdated => performed.clear(),
                    Performed::Done | Performed::Learned(_) => performed.push(step),
                }
                continue;
            }
            Plan::Wait { on, .. } => {
                outcome.waiting_on = Some(on);
                return Ok(outcome);
            }
            Plan::Refuse(refusal) => {
                let request_id = open.map(|it| it.id.as_str());
                if refuse(table, &loaded, request_id, &refusal, &mut outcome).await? {
                    return Ok(outcome);
                }
                continue;
            }
        };
        let now = context.now();
        let is_begun = head.active_rollback.is_some();
        let request_id = open.filter(|_| !is_begun).map(|it| it.id.as_str());
        // Due at once: whatever else the model was doing has to find out.
        let question = match open {
            Some(order) => Question::Rollback { request: order.rollback.clone() },
            None => Question::Nothing,
        };
        let asked = Asked { performed: &performed, question, request_id };
        let snapshot = keep_asked(context, &loaded, &head.policy, &planned, now, asked).await?;
        let record_context = RecordContext {
            now,
            policy: &head.policy,
            look_at: LookAt::At(now),
            request_id,
            snapshot: snapshot.as_ref(),
        };
        match record(table, &loaded, &planned, &record_context).await {
            Ok(_) => {
                outcome.recorded.push(planned.fact.name().to_owned());
                performed.clear();
            }
            Err(error) if error.is_conflict() => performed.clear(),
            Err(error) => return Err(error),
        }
    }
    Err(AppError::Contended(model.to_string()))
}

/// Performs the one kind of step that a rollback has.
async fn restore(context: &Context, loaded: &Loaded, step: &Step) -> Result<Performed, AppError> {
    let Step::Serve { endpoint, variant, package_arn } = step else {
        return Err(AppError::Invalid("a rollback only changes what is served".to_owned()));
    };
    let variants = [Variant { name: variant.clone(), package_arn: package_arn.clone(), weight: 1.0 }];
    serve(context, loaded, endpoint, &variants).await
}
