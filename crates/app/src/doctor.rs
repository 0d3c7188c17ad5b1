//! Looks for what should not be: each finding says what is wrong and what to do.

use jiff::Timestamp;
use refit_core::ModelId;
use refit_core::model::Model;
use refit_core::plan::{POLL, Slots};
use refit_core::policy::Span;
use serde::Serialize;

use crate::documents::{parse, slots_key};
use crate::error::{AppError, chain};
use crate::ports::EndpointError;
use crate::queries::verify_audit;
use crate::state::{Scope, find_run, load};
use crate::use_cases::publish_events::published_up_to;
use crate::use_cases::{Context, policy};

/// How long a model may be overdue before it counts: two rounds of the sweep's own patience.
const OVERDUE: Span = Span::from_const_seconds(600);

/// Something that should not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The model, or `fleet`.
    pub about: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub advice: String,
}

/// What was looked at and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Examination {
    /// What was looked at, one line each.
    pub checked: Vec<String>,
    /// What should not be.
    pub findings: Vec<Finding>,
}

impl Examination {
    fn check(&mut self, about: &dyn std::fmt::Display, what: &str, problem: Option<(String, String)>) {
        self.checked.push(format!("{about}: {what}"));
        if let Some((problem, advice)) = problem {
            self.findings.push(Finding { about: about.to_string(), problem, advice });
        }
    }
}

/// Looks at the fleet and each of its models.
///
/// # Errors
/// A service's failure; what is wrong with the state is a finding, not an error.
pub async fn examine(context: &Context) -> Result<Examination, AppError> {
    let mut examination = Examination::default();
    for model in policy::known_models(context).await? {
        examine_model(context, &model, &mut examination).await?;
    }
    examine_slots(context, &mut examination).await?;
    Ok(examination)
}

async fn examine_model(context: &Context, id: &ModelId, examination: &mut Examination) -> Result<(), AppError> {
    let table = &*context.ports.table;
    let loaded = match load(table, id, Scope::Everything).await {
        Ok(loaded) => loaded,
        Err(error @ AppError::Corrupt { .. }) => {
            let advice = "restore it from a backup; a rollback needs nothing but HEAD and two packages".to_owned();
            examination.check(id, "the state can be read", Some((chain(&error), advice)));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let unwatched = || ("it is in the policy but not under watch".to_owned(), "apply the policy again".to_owned());
    examination.check(id, "the state can be read", loaded.is_none().then(unwatched));
    let Some(loaded) = loaded else { return Ok(()) };
    let now = context.now();
    let audit = verify_audit(table, id).await?;
    let broken = (!audit.verified).then(|| {
        (
            audit.problems.join("; "),
            format!("compare with a backup before you change anything: refit audit verify {id}"),
        )
    });
    examination.check(id, "the audit log is whole", broken);
    let published = published_up_to(context, id).await?;
    examination.check(id, "the log is published", unpublished(&loaded.model, published));
    examination.check(id, "the model is looked at", overdue(loaded.look_at, now));
    examination.check(id, "the run is within its time", late_run(&loaded.model, now));
    let serving = wrong_service(context, &loaded.model).await?;
    examination.check(id, "the endpoint serves the champion", serving);
    Ok(())
}

fn unpublished(model: &Model, published: u64) -> Option<(String, String)> {
    let behind = model.head.audit_seq.checked_sub(published).filter(|it| 0 < *it)?;
    let advice =
        "the sweep tries again; if it stays so, the event bus or the alert topic does not take messages".to_owned();
    Some((format!("{behind} entries of the log are not published"), advice))
}

fn overdue(look_at: Option<Timestamp>, now: Timestamp) -> Option<(String, String)> {
    let advice = "is the schedule of the sweep on? each failing event leaves an alert that says why".to_owned();
    match look_at {
        None => Some(("nothing will ever look at it: its alarm clock is missing".to_owned(), advice)),
        Some(at) if OVERDUE.after(at) < now => {
            Some((format!("nobody has looked at it since it was due at {at}"), advice))
        }
        Some(_) => None,
    }
}

fn late_run(model: &Model, now: Timestamp) -> Option<(String, String)> {
    let run = model.active_run()?;
    let deadline = run.deadline.filter(|_| run.status.holds_slot())?;
    let advice = format!("the sweep stops it; if the service does not, stop {} there", run.execution.as_deref()?);
    (POLL.after(deadline) < now)
        .then(|| (format!("{} still trains, it should have ended by {deadline}", run.id), advice))
}

async fn wrong_service(context: &Context, model: &Model) -> Result<Option<(String, String)>, AppError> {
    let head = &model.head;
    // Between two champions the endpoint may show either.
    let is_moving = head.active_rollback.is_some() || model.active_run().is_some_and(|it| it.announced.is_some());
    let Some(champion) = model.champion().filter(|_| !is_moving) else { return Ok(None) };
    let advice = "the next check sets it right; if it does not, look at the endpoint".to_owned();
    let endpoint = &head.endpoint.name;
    match context.ports.endpoints.describe(endpoint).await {
        Ok(state) => {
            let is_right = matches!(&state.variants[..], [only] if only.package_arn == champion.arn);
            let problem = || format!("endpoint `{endpoint}` does not serve version {}, the champion", champion.version);
            Ok((!is_right).then(|| (problem(), advice)))
        }
        Err(EndpointError::NotFound(_)) => Ok(Some((format!("endpoint `{endpoint}` does not exist"), advice))),
        Err(error) => Err(error.into()),
    }
}

async fn examine_slots(context: &Context, examination: &mut Examination) -> Result<(), AppError> {
    let table = &*context.ports.table;
    let slots = table.get(&slots_key()).await?.as_ref().map(parse::<Slots>).transpose()?;
    for run_id in slots.unwrap_or_default().holders.keys() {
        let run = find_run(table, run_id).await?;
        let is_held_rightly = run.as_ref().is_some_and(|it| it.status.holds_slot());
        let stands = run.map_or_else(|| "is not there".to_owned(), |it| format!("is {}", it.status));
        let problem = || {
            let advice = "this is a bug: slots follow the runs' status; report it with the audit log".to_owned();
            (format!("run {run_id} {stands} and holds a slot"), advice)
        };
        examination.check(&"fleet", &format!("the slot of {run_id}"), (!is_held_rightly).then(problem));
    }
    Ok(())
}
