//! Checks one model's triggers: on schedule, or because a person asks.

use async_trait::async_trait;
use refit_core::ModelId;
use refit_core::plan::{ManualRequest, Question, next_check};

use super::{Context, Outcome, Planner, Situation, drive};
use crate::error::AppError;
use crate::measure::collect_windows;

/// A person's request to retrain, with the id that makes it count once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerRequest {
    /// Names the request.
    pub id: String,
    /// What is asked.
    pub manual: ManualRequest,
}

struct Check<'a> {
    request: Option<&'a TriggerRequest>,
}

#[async_trait]
impl Planner for Check<'_> {
    async fn ask(&self, context: &Context, situation: &Situation<'_>) -> Result<Question, AppError> {
        let model = &situation.loaded.model;
        let policy = &situation.in_force.model;
        let manual = self.request.filter(|_| situation.is_request_open).map(|it| &it.manual);
        if self.request.is_some() && manual.is_none() {
            return Ok(Question::Nothing);
        }
        let is_due = next_check(&model.head, policy) <= situation.now;
        let windows = if manual.is_none() && is_due {
            collect_windows(context, model, policy, situation.now).await?.windows
        } else {
            Vec::new()
        };
        Ok(Question::Check { windows, manual: manual.cloned() })
    }

    fn request_id(&self) -> Option<&str> {
        self.request.map(|it| it.id.as_str())
    }
}

/// Checks the triggers of a model, if a check is due or a person asks.
///
/// # Errors
/// See [`AppError`].
#[tracing::instrument(name = "check_triggers", skip_all, fields(model.id = %model))]
pub async fn check_triggers(
    context: &Context,
    model: &ModelId,
    request: Option<&TriggerRequest>,
) -> Result<Outcome, AppError> {
    drive(context, model, &Check { request }).await
}
