//! Checks one model's triggers: on schedule, because a person asks, or because an alarm or an event calls.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use refit_core::Digest;
use refit_core::ModelId;
use refit_core::plan::{ManualRequest, Question, Recent, ResumeRequest, RetryRequest, SuspendRequest, next_check};
use refit_core::policy::{EventPolicy, ModelPolicy, TriggersPolicy};
use refit_core::trigger::{CauseKind, Signal};

use super::clean_outputs::clean_outputs;
use super::park::or_park;
use super::record_window::lost::record_lost;
use super::{Context, Outcome, Planner, Situation, drive, policy};
use crate::error::{AppError, ErrorClass};
use crate::measure::collect_windows;
use crate::recent::load_recent;
use crate::state::find_run;

/// What is asked of a model's triggers, with the id that makes it count once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerRequest {
    /// Names the request.
    pub id: String,
    /// What is asked.
    pub ask: TriggerAsk,
}

/// What can be asked of a model's triggers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerAsk {
    /// A person asks for a run.
    Run(ManualRequest),
    /// An alarm or an event asks for one.
    Signal(Signal),
    /// A person suspends the triggers.
    Suspend(SuspendRequest),
    /// A person asks for a run for the reasons of one that has ended.
    Retry(RetryRequest),
    /// A person ends a suspension, or what the loop breaker stopped.
    Resume(ResumeRequest),
}

/// A call from outside, before it is known which models listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A CloudWatch alarm went off.
    Alarm {
        /// Which.
        arn: String,
        /// When its state changed, in any form that is the same for the same change.
        changed_at: String,
    },
    /// An event on the bus.
    Event {
        /// Its `source`.
        source: String,
        /// Its `detail-type`.
        detail_type: String,
        /// Its `id`.
        id: String,
    },
}

impl Call {
    /// The name of the call: the same call delivered again has it again.
    fn id(&self) -> String {
        let parts = match self {
            Call::Alarm { arn, changed_at } => ["alarm", arn, changed_at],
            Call::Event { source, detail_type, id } => ["event", &Signal::event_source(source, detail_type), id],
        };
        format!("call-{}", Digest::of_list(&parts).hex())
    }

    /// What the call means to a model; `None` when it does not listen.
    fn signal(&self, policy: &TriggersPolicy) -> Option<Signal> {
        match self {
            Call::Alarm { arn, .. } => {
                let alarm = policy.alarms.iter().find(|it| &it.arn == arn)?;
                Some(Signal { kind: CauseKind::Alarm, source: arn.clone(), reason: alarm.reason.clone() })
            }
            Call::Event { source, detail_type, .. } => {
                let listens = |it: &&EventPolicy| &it.source == source && &it.detail_type == detail_type;
                let event = policy.events.iter().find(listens)?;
                let source = Signal::event_source(source, detail_type);
                Some(Signal { kind: CauseKind::Event, source, reason: event.reason.clone() })
            }
        }
    }
}

struct Check<'a> {
    request: Option<&'a TriggerRequest>,
    /// Whether something may have to be removed.
    may_clean: AtomicBool,
}

#[async_trait]
impl Planner for Check<'_> {
    async fn ask(&self, context: &Context, situation: &Situation<'_>) -> Result<Question, AppError> {
        let model = &situation.loaded.model;
        let policy = &situation.in_force.model;
        let may_clean = policy.retention.is_some() || !model.head.cleaning.is_empty();
        self.may_clean.store(may_clean, Ordering::Relaxed);
        let manual = match (self.request.map(|it| &it.ask), situation.is_request_open) {
            (Some(TriggerAsk::Run(manual)), true) => Some(manual.clone()),
            (Some(TriggerAsk::Retry(request)), true) => {
                let run = find_run(&*context.ports.table, &request.run).await?;
                return Ok(Question::Retry { request: request.clone(), run });
            }
            (Some(TriggerAsk::Suspend(request)), true) => return Ok(Question::Suspend { request: request.clone() }),
            (Some(TriggerAsk::Resume(request)), true) => return Ok(Question::Resume { request: request.clone() }),
            (Some(TriggerAsk::Signal(signal)), true) => return Ok(Question::Signal { signal: signal.clone() }),
            (Some(TriggerAsk::Run(_) | TriggerAsk::Retry(_) | TriggerAsk::Suspend(_)), false) => {
                return Ok(Question::Nothing);
            }
            // What was asked is recorded: the check that it wants is made like any other.
            (Some(TriggerAsk::Resume(_) | TriggerAsk::Signal(_)), false) | (None, _) => None,
        };
        let is_due = next_check(&model.head, policy, situation.now) <= situation.now;
        let recent = if is_due || manual.is_some() {
            load_recent(&*context.ports.table, &model.head, policy, model.champion(), situation.now).await?
        } else {
            Recent::default()
        };
        let windows = if manual.is_none() && is_due {
            record_lost(context, policy, model.head.checked_at, situation.now).await?;
            collect_windows(context, model, policy, &recent, situation.now).await?.windows
        } else {
            Vec::new()
        };
        Ok(Question::Check { windows, recent, manual })
    }

    fn request_id(&self) -> Option<&str> {
        self.request.map(|it| it.id.as_str())
    }
}

/// Checks the triggers of a model, if a check is due or somebody asks.
///
/// # Errors
/// See [`AppError`].
#[tracing::instrument(name = "check_triggers", skip_all, fields(model.id = %model))]
pub async fn check_triggers(
    context: &Context,
    model: &ModelId,
    request: Option<&TriggerRequest>,
) -> Result<Outcome, AppError> {
    let check = Check { request, may_clean: AtomicBool::new(false) };
    let mut outcome = drive(context, model, &check).await?;
    if request.is_none() && check.may_clean.into_inner() {
        or_park(context, model, clean_outputs(context, model, &mut outcome).await).await?;
    }
    Ok(outcome)
}

/// Hands a call to every model whose policy listens to it, and checks their triggers. A call that nobody listens to is
/// counted by a line of the log and changes nothing.
///
/// # Errors
/// See [`AppError`]; the other models are served before the first failure is reported.
pub async fn receive_call(context: &Context, call: &Call) -> Result<Vec<(ModelId, Outcome)>, AppError> {
    let listeners = listeners(context, call).await?;
    if listeners.is_empty() {
        tracing::info!(call = ?call, "a call that no model listens to");
    }
    let id = call.id();
    let mut outcomes = Vec::new();
    let mut failure = None;
    for (model, signal) in listeners {
        let request = TriggerRequest { id: id.clone(), ask: TriggerAsk::Signal(signal) };
        match check_triggers(context, &model, Some(&request)).await {
            Ok(outcome) => outcomes.push((model, outcome)),
            // A model that is not under watch yet has nothing to retrain.
            Err(error) if error.class() == ErrorClass::Rejected => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(outcomes), Err)
}

async fn listeners(context: &Context, call: &Call) -> Result<Vec<(ModelId, Signal)>, AppError> {
    let Some(digest) = policy::current(context).await? else { return Ok(Vec::new()) };
    let fleet = policy::read(context, &digest).await?;
    let listens = |model: &ModelPolicy| Some((model.id.clone(), call.signal(&model.triggers)?));
    Ok(fleet.models.iter().filter_map(listens).collect())
}
