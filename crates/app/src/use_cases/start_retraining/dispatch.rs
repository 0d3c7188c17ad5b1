//! The fleet as a subject: starts the runs whose turn it is, and keeps slots and queue true to the runs.
//!
//! The slot is taken by the run's own record ([`drive`]), which fails if slots, queue or model changed meanwhile. Here is
//! what has no model's log: entries that are not true any more are removed, entries that cannot be started are parked, and
//! slots of runs that are over are freed once the service says that nothing of theirs runs. Each tells people.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use refit_core::audit::AuditEvent;
use refit_core::plan::{Dispatch, Fleet, Holder, POLL, Queue, QueueEntry, START_GRACE, Slots, plan_dispatch};
use refit_core::policy::{Fleet as FleetPolicy, Span};
use refit_core::run::{Run, RunStatus};
use refit_core::{Digest, Guard, ModelId, RunId};
use serde::Serialize;

use super::super::park::{find_lost_entry, is_whole, refuse_damaged};
use super::super::{Context, InForce, drive, policy};
use super::Start;
use crate::documents::{
    Document, audit_partition, head_key, parse, parse_shared, queue_key, run_key, slots_key, to_body,
};
use crate::error::{AppError, ErrorClass, chain};
use crate::ports::{Alert, AlertKind, Expect, Failure, Item, Key, PipelineError, PublishError, Write};
use crate::queries::get_head;
use crate::state::{Loaded, Scope, load, transaction_token};

/// Most runs that one wake-up starts: far more than come free at once. The sweep goes on with the rest.
const MAX_ROUNDS: u32 = 100;
/// How often a run is tried by one wake-up: a slot may come free just after its model was looked at, but not time and again.
const MAX_TRIES: u32 = 3;
/// How long a run is passed over that could not be started though its turn had come: people are told each time.
const RETRY: Span = Span::from_const_seconds(6 * 3_600);
/// After how long it is asked whether the model of a holder can be looked at.
const LONG: Span = Span::from_const_seconds(3_600);

/// Slots and queue as they were read.
struct Read {
    slots: Arc<Slots>,
    slots_expect: Expect,
    queue: Arc<Queue>,
    queue_expect: Expect,
}

fn document<T: Document + Default>(item: Option<&Item>) -> Result<(Arc<T>, Expect), AppError> {
    match item {
        Some(item) => Ok((parse_shared(item)?, Expect::Generation(item.generation))),
        None => Ok((Arc::default(), Expect::Absent)),
    }
}

async fn read(context: &Context) -> Result<Read, AppError> {
    let table = &*context.ports.table;
    let (queue, queue_expect) = document(table.get(&queue_key()).await?.as_ref())?;
    let (slots, slots_expect) = document(table.get(&slots_key()).await?.as_ref())?;
    Ok(Read { slots, slots_expect, queue, queue_expect })
}

/// The fleet's part of the current policy: a model that left the policy has no say in it.
pub(super) async fn fleet_policy(context: &Context, in_force: &InForce) -> Result<FleetPolicy, AppError> {
    match policy::current(context).await? {
        Some(digest) if digest != in_force.digest => Ok(policy::read(context, &digest).await?.fleet.clone()),
        _ => Ok(in_force.policy.fleet.clone()),
    }
}

/// The fleet's part of the current policy; where none is current any more, of the one that the woken model follows.
async fn settings(context: &Context, woken: &ModelId) -> Result<Option<FleetPolicy>, AppError> {
    let digest = match policy::current(context).await? {
        Some(digest) => digest,
        None => match get_head(&*context.ports.table, woken).await {
            Ok(head) => head.policy.clone(),
            // Whoever wakes it tells people of it; the queue has other models.
            Err(AppError::Corrupt { .. } | AppError::UnknownModel(_)) => return Ok(None),
            Err(error) => return Err(error),
        },
    };
    Ok(Some(policy::read(context, &digest).await?.fleet.clone()))
}

/// Starts runs until no slot is free or nobody is ready; the facts that were recorded.
pub(super) async fn dispatch(context: &Context, woken: &ModelId) -> Result<Vec<String>, AppError> {
    let mut recorded = Vec::new();
    let mut tried: BTreeMap<RunId, u32> = BTreeMap::new();
    for _ in 0..MAX_ROUNDS {
        let read = read(context).await?;
        if read.queue.entries.is_empty() {
            return Ok(recorded);
        }
        let Some(settings) = settings(context, woken).await? else { return Ok(recorded) };
        let fleet = Fleet {
            slots: &read.slots,
            queue: &read.queue,
            concurrent_runs: settings.concurrent_runs,
            aging: settings.priority_aging,
        };
        match plan_dispatch(&fleet, context.now()) {
            Dispatch::Start(run) => {
                let times = tried.entry(run.clone()).or_default();
                *times += 1;
                recorded.extend(start(context, &read, &run, *times).await?);
            }
            Dispatch::WaitForSlot { .. } => {
                if !Guard::SlotsReclaimed.is_kept() || !reclaim(context, &read).await? {
                    return Ok(recorded);
                }
            }
            Dispatch::WaitUntil(_) | Dispatch::Rest => return Ok(recorded),
        }
    }
    Ok(recorded)
}

/// Starts the run whose turn it is, or gets it out of the way.
async fn start(context: &Context, read: &Read, id: &RunId, times: u32) -> Result<Vec<String>, AppError> {
    let item = context.ports.table.get(&run_key(id)).await?;
    let run: Option<Arc<Run>> = match item.as_ref().map(parse_shared).transpose() {
        Ok(run) => run,
        Err(error) => return park(context, read, id, RETRY, Some(&chain(&error))).await,
    };
    if run.as_ref().is_none_or(|it| it.status != RunStatus::Queued) {
        let stands = run.map_or_else(|| "is not there".to_owned(), |it| format!("is {}", it.status));
        return remove(context, read, id, item.as_ref(), &stands).await;
    }
    if MAX_TRIES < times && Guard::TriesBounded.is_kept() {
        return park(context, read, id, RETRY, Some("its model does not know it as its run under way")).await;
    }
    match drive(context, &id.model(), &Start).await {
        Ok(outcome) => Ok(outcome.recorded),
        // Somebody else is at it; what there is to do is planned anew from what they wrote.
        Err(error) if error.class() == ErrorClass::Conflict => Ok(Vec::new()),
        Err(error) => {
            tracing::warn!(run.id = %id, "a run could not be started: {}", chain(&error));
            let (after, why) = match error.class() {
                ErrorClass::Retryable | ErrorClass::Conflict => (POLL, None),
                ErrorClass::Bug | ErrorClass::Rejected => (RETRY, Some(chain(&error))),
            };
            let read = self::read(context).await?;
            // Once it has its slot it is out of the way: its own wake-ups carry it on.
            if read.queue.entries.contains_key(id) {
                park(context, &read, id, after, why.as_deref()).await
            } else {
                Ok(Vec::new())
            }
        }
    }
}

/// Passes a run over for a while, so that it does not stand in the way of the others.
async fn park(
    context: &Context,
    read: &Read,
    id: &RunId,
    after: Span,
    why: Option<&str>,
) -> Result<Vec<String>, AppError> {
    let mut queue = Queue::clone(&read.queue);
    let until = after.after(context.now());
    if let Some(entry) = queue.entries.get_mut(id) {
        entry.parked_until = Some(until);
    }
    // Told first: whoever dies in between tells it twice, but nothing is changed without a word.
    if let Some(why) = why {
        let body = format!("{why}\nOther runs go before it until {until}; then it is tried again.");
        tell(context, id, &format!("run {id} cannot be started"), &body).await?;
    }
    write(context, &[put(queue_key(), read.queue_expect, &queue)]).await.map(|_| Vec::new())
}

/// Removes an entry that does not say what its run says.
async fn remove(
    context: &Context,
    read: &Read,
    id: &RunId,
    item: Option<&Item>,
    stands: &str,
) -> Result<Vec<String>, AppError> {
    let mut queue = Queue::clone(&read.queue);
    queue.entries.remove(id);
    let writes = [put(queue_key(), read.queue_expect, &queue), unchanged(run_key(id), item)];
    let body = format!("Run {id} {stands}, but stands in the queue. Its entry is removed.");
    tell(context, id, &format!("a false entry of the queue is removed: {id}"), &body).await?;
    write(context, &writes).await.map(|_| Vec::new())
}

/// Puts a queued run into the queue that lost it, or says something else of it than the run itself.
pub(super) async fn enqueue(context: &Context, loaded: &Loaded, run: &Run) -> Result<(), AppError> {
    let table = &*context.ports.table;
    let (queue, expect) = document::<Queue>(table.get(&queue_key()).await?.as_ref())?;
    let head = table.get(&head_key(&loaded.model.head.model)).await?;
    let is_right = queue.entries.get(&run.id).is_some_and(|it| it.is_of(run, context.now()));
    let Some(entry) = QueueEntry::of(run).filter(|_| !is_right) else { return Ok(()) };
    let is_current = match &head {
        Some(item) => parse::<refit_core::model::Head>(item)?.audit_seq == loaded.model.head.audit_seq,
        None => false,
    };
    if is_current {
        let mut queue = Queue::clone(&queue);
        queue.entries.insert(run.id.clone(), entry);
        let head = unchanged(head_key(&loaded.model.head.model), head.as_ref());
        write(context, &[put(queue_key(), expect, &queue), head]).await?;
    }
    Ok(())
}

/// Frees one slot whose run is over or gone, and of which the service says that nothing runs; whether there was one.
async fn reclaim(context: &Context, read: &Read) -> Result<bool, AppError> {
    for (id, holder) in &read.slots.holders {
        let item = context.ports.table.get(&run_key(id)).await?;
        let run: Option<Arc<Run>> = item.as_ref().map(parse_shared).transpose().unwrap_or_default();
        let Some(stands) = wrongly_held(context, id, holder, run.as_deref(), item.is_some()).await? else { continue };
        let kept = match running(context, holder, run.as_deref()).await? {
            Running::Yes(arn) => Some(format!("its execution {arn} runs")),
            Running::Unknown => Some("an execution of it may not be listed yet".to_owned()),
            Running::No => None,
        };
        if let Some(why) = kept.filter(|_| Guard::ReclaimAsks.is_kept()) {
            tracing::warn!(run.id = %id, "a slot is kept: the run {stands}, and {why}");
            continue;
        }
        let mut slots = Slots::clone(&read.slots);
        slots.holders.remove(id);
        let writes = [put(slots_key(), read.slots_expect, &slots), unchanged(run_key(id), item.as_ref())];
        let body = format!("Run {id} {stands} and held a slot; no execution of it runs. The slot is freed.");
        tell(context, id, &format!("the slot of {id} is freed"), &body).await?;
        write(context, &writes).await?;
        return Ok(true);
    }
    Ok(false)
}

/// How a run stands that holds a slot without right; `None` when it holds it rightly.
async fn wrongly_held(
    context: &Context,
    id: &RunId,
    holder: &Holder,
    run: Option<&Run>,
    is_there: bool,
) -> Result<Option<String>, AppError> {
    let Some(run) = run else {
        return Ok(Some(if is_there { "cannot be read" } else { "is not there" }.to_owned()));
    };
    if !run.status.holds_slot() {
        return Ok(Some(format!("is {}", run.status)));
    }
    match get_head(&*context.ports.table, &id.model()).await {
        // It may just have been taken; damage is looked for when it was held for long.
        Ok(head) if head.active_run.as_ref() == Some(id) => {
            let is_new = context.now() < LONG.after(holder.since);
            if is_new { Ok(None) } else { find_damage(context, id).await }
        }
        Ok(_) => Ok(Some("is not its model's run under way".to_owned())),
        Err(AppError::Corrupt { .. } | AppError::UnknownModel(_)) => {
            Ok(Some("belongs to a model that cannot be read".to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// What is wrong with the model of a holder, if something is: whoever cannot be looked at never leaves its slot.
async fn find_damage(context: &Context, id: &RunId) -> Result<Option<String>, AppError> {
    let damage = match load(&*context.ports.table, &id.model(), Scope::Everything).await {
        Ok(Some(loaded)) => match is_whole(context, &loaded.model).await {
            Ok(_) => refuse_torn(context, &loaded).await,
            Err(error) => Err(error),
        },
        Ok(None) => return Ok(None),
        Err(error) => Err(error),
    };
    match damage {
        Err(error @ (AppError::Corrupt { .. } | AppError::Damaged { .. })) => {
            Ok(Some(format!("belongs to a model that cannot be looked at ({})", chain(&error))))
        }
        Err(error) => Err(error),
        Ok(()) => Ok(None),
    }
}

/// An error when the log does not end where HEAD says: nothing more can be recorded.
async fn refuse_torn(context: &Context, loaded: &Loaded) -> Result<(), AppError> {
    let table = &*context.ports.table;
    let head = &loaded.model.head;
    let next = Key::new(&audit_partition(&head.model), &AuditEvent::sort(head.audit_seq.saturating_add(1)));
    let is_behind = table.get(&next).await?.is_some();
    let torn = if is_behind {
        Some(format!("HEAD does not know of {next}"))
    } else {
        find_lost_entry(context, &loaded.model).await?
    };
    // Somebody may just have recorded it.
    let is_torn = torn.is_some() && loaded.is_current(table).await?;
    refuse_damaged(&head.model, torn.filter(|_| is_torn))
}

/// Whether something of a holder runs.
enum Running {
    /// This execution.
    Yes(String),
    /// Nothing, or what was started a short time ago is not listed yet.
    Unknown,
    /// Nothing.
    No,
}

/// Whether an execution of a holder is not over, by the service's word: what the run says, and what has the holder's name. A run
/// that is damaged may still name an execution of an earlier attempt.
async fn running(context: &Context, holder: &Holder, run: Option<&Run>) -> Result<Running, AppError> {
    let pipelines = &*context.ports.pipelines;
    let named = match pipelines.find_by_display_name(&holder.pipeline, &holder.display_name).await {
        Ok(arn) => arn,
        Err(PipelineError::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let is_listed = named.is_some();
    let told = run.and_then(|it| it.execution.clone()).filter(|it| Some(it) != named.as_ref());
    for arn in named.into_iter().chain(told) {
        match pipelines.observe(&arn).await {
            Ok(execution) if execution.status.is_terminal() => {}
            Ok(_) => return Ok(Running::Yes(arn)),
            Err(PipelineError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let now = context.now();
    // A time to come is not waited for: it is damage.
    let taken = run.and_then(|it| it.starting_at).into_iter().chain([holder.since]).filter(|it| *it <= now).max();
    let may_come = !is_listed && taken.is_some_and(|it| now < START_GRACE.after(it));
    Ok(if may_come { Running::Unknown } else { Running::No })
}

fn put<T: Serialize>(key: Key, expect: Expect, document: &T) -> Write {
    Write::Put { key, expect, body: to_body(document), due: None }
}

fn unchanged(key: Key, item: Option<&Item>) -> Write {
    Write::Check { key, expect: item.map_or(Expect::Absent, |it| Expect::Generation(it.generation)) }
}

/// Writes, unless somebody else did first.
async fn write(context: &Context, writes: &[Write]) -> Result<(), AppError> {
    match context.ports.table.transact(&transaction_token(writes), writes).await {
        Ok(()) => Ok(()),
        Err(error) if error.failure() == Failure::Conflict => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn tell(context: &Context, run: &RunId, subject: &str, body: &str) -> Result<(), AppError> {
    let now: Timestamp = context.now();
    let alert = Alert {
        dedupe_id: format!("fleet-{}", Digest::of_list(&[run.as_ref(), body]).short()),
        time: now,
        kind: AlertKind::Failure,
        model: run.model().to_string(),
        subject: format!("Refit: {subject}"),
        body: body.to_owned(),
    };
    match context.ports.publisher.alert(&alert).await {
        Ok(()) | Err(PublishError::Refused { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
