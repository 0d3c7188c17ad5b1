//! Loads the part of a model's state that decisions read, and records facts: state and audit event in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use refit_core::Guard;
use refit_core::audit::AuditEntry;
use refit_core::decision::DecisionRecord;
use refit_core::model::{Head, Model};
use refit_core::package::Package;
use refit_core::plan::{Queue, Record, Slots};
use refit_core::run::Run;
use refit_core::snapshot::StoredSnapshot;
use refit_core::{Digest, ModelId, RunId};
use serde::Serialize;

use crate::documents::{
    Document, approval_key, audit_partition, due_shard, head_key, look_key, model_partition, package_key, parse_shared,
    queue_key, request_key, run_key, slots_key, to_body, to_shared_body, watched_key,
};
use crate::error::AppError;
use crate::ports::{Body, Due, Expect, Item, Key, Table, TableError, Write};
use crate::queries::list_items;

mod answers;
mod generations;
mod token;

use self::generations::Generations;
pub use answers::{Answer, find_answer, record_refusal};
pub use token::transaction_token;

/// A model's state as it was read, with the generations that a write must find unchanged.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The state.
    pub model: Model,
    /// The fleet's slots.
    pub slots: Arc<Slots>,
    /// The fleet's queue.
    pub queue: Arc<Queue>,
    /// When the model is looked at next.
    pub look_at: Option<Timestamp>,
    generations: Generations,
}

impl Loaded {
    /// Whether HEAD is still as it was read.
    ///
    /// # Errors
    /// See [`AppError`].
    pub(crate) async fn is_current(&self, table: &dyn Table) -> Result<bool, AppError> {
        let key = head_key(&self.model.head.model);
        let now = table.get(&key).await?.map(|it| it.generation);
        Ok(now == self.generations.find(&key))
    }
}

struct Reader<'a> {
    table: &'a dyn Table,
    generations: Generations,
}

impl Reader<'_> {
    async fn item(&mut self, key: &Key) -> Result<Option<Item>, AppError> {
        let item = self.table.get(key).await?;
        if let Some(item) = &item {
            self.generations.note(item.key.clone(), item.generation);
        }
        Ok(item)
    }

    async fn shared<T: Document>(&mut self, key: &Key) -> Result<Option<Arc<T>>, AppError> {
        let Some(item) = self.table.get(key).await? else { return Ok(None) };
        let document = parse_shared(&item)?;
        self.generations.note(item.key, item.generation);
        Ok(Some(document))
    }

    /// The active run with its approval, slots and queue; the version of the run's candidate.
    async fn load_run(&mut self, loaded: &mut Loaded) -> Result<Option<u64>, AppError> {
        let mut candidate = None;
        if let Some(run_id) = loaded.model.head.active_run.clone() {
            if let Some(run) = self.shared::<Run>(&run_key(&run_id)).await? {
                candidate = run.candidate;
                loaded.model.runs.insert(run_id.clone(), run);
            }
            if let Some(approval) = self.shared(&approval_key(&run_id)).await? {
                loaded.model.approvals.insert(run_id, approval);
            }
        }
        if let Some(stored) = self.shared(&slots_key()).await? {
            loaded.slots = stored;
        }
        if let Some(stored) = self.shared(&queue_key()).await? {
            loaded.queue = stored;
        }
        Ok(candidate)
    }

    async fn load_package(&mut self, model: &mut Model, version: u64) -> Result<(), AppError> {
        if !model.packages.contains_key(&version)
            && let Some(package) = self.shared(&package_key(&model.head.model, version)).await?
        {
            model.packages.insert(version, package);
        }
        Ok(())
    }
}

/// How much of a model a decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// HEAD, the active run with its approval and candidate, the champion and the one before.
    Everything,
    /// HEAD and the packages that a rollback touches: nothing else may stand in its way.
    Rollback,
}

/// Loads a model; `None` when it is not under watch.
///
/// # Errors
/// See [`AppError`].
pub async fn load(table: &dyn Table, id: &ModelId, scope: Scope) -> Result<Option<Loaded>, AppError> {
    let mut reader = Reader { table, generations: Generations::default() };
    // Before HEAD: whoever records something in between sets it anew, so that it is not moved by what was true before.
    let look_at = reader.item(&look_key(id)).await?.and_then(|it| it.due).map(|it| it.at);
    let Some(head) = reader.shared::<Head>(&head_key(id)).await? else { return Ok(None) };
    if head.model != *id {
        let why = format!("its HEAD is that of {}", head.model);
        return Err(AppError::Damaged { model: id.to_string(), why });
    }
    let model = Model {
        head,
        runs: BTreeMap::new(),
        packages: BTreeMap::new(),
        approvals: BTreeMap::new(),
        judgments: BTreeMap::new(),
    };
    let mut versions = vec![model.head.champion, model.head.previous_champion];
    if let Some(rollback) = &model.head.active_rollback {
        versions.extend([Some(rollback.from), Some(rollback.to)]);
    }
    let mut loaded =
        Loaded { model, slots: Arc::default(), queue: Arc::default(), look_at, generations: Generations::default() };
    match scope {
        Scope::Everything => versions.push(reader.load_run(&mut loaded).await?),
        Scope::Rollback => {}
    }
    for version in versions.into_iter().flatten() {
        reader.load_package(&mut loaded.model, version).await?;
    }
    loaded.generations = reader.generations;
    Ok(Some(loaded))
}

/// Loads what [`Scope::Rollback`] left out. What changed meanwhile does not fit together with HEAD as it was read, or is
/// noticed by the record that follows.
///
/// # Errors
/// See [`AppError`].
pub(crate) async fn load_rest(table: &dyn Table, loaded: &mut Loaded) -> Result<(), AppError> {
    let mut reader = Reader { table, generations: std::mem::take(&mut loaded.generations) };
    if let Some(version) = reader.load_run(loaded).await? {
        reader.load_package(&mut loaded.model, version).await?;
    }
    loaded.generations = reader.generations;
    Ok(())
}

/// Loads every package of a model besides.
///
/// # Errors
/// See [`AppError`].
pub(crate) async fn load_packages(table: &dyn Table, loaded: &mut Loaded) -> Result<(), AppError> {
    let Loaded { model, generations, .. } = loaded;
    for item in list_items(table, &model_partition(&model.head.model), "PACKAGE#").await? {
        let package: Arc<Package> = parse_shared(&item)?;
        generations.note(item.key, item.generation);
        model.packages.insert(package.version, package);
    }
    Ok(())
}

fn put<T: Serialize>(generations: &Generations, key: Key, document: &T) -> Write {
    Write::Put { expect: generations.expect(&key), key, body: to_body(document), due: None }
}

fn put_shared<T: Serialize + Document>(generations: &Generations, key: Key, document: &Arc<T>) -> Write {
    Write::Put { expect: generations.expect(&key), key, body: to_shared_body(document), due: None }
}

fn look_write(generations: &Generations, model: &ModelId, at: Timestamp) -> Write {
    let key = look_key(model);
    let body = to_body(&serde_json::json!({ "schema": 1, "model": model }));
    Write::Put { expect: generations.expect(&key), key, body, due: Some(Due { shard: due_shard(model), at }) }
}

/// When to look at a model again.
#[derive(Clone, Copy)]
pub enum LookAt<'a> {
    /// At this time.
    At(Timestamp),
    /// When the state says that follows.
    Then(&'a (dyn Fn(&Model) -> Timestamp + Sync)),
}

impl LookAt<'_> {
    fn of(self, after: &Model) -> Timestamp {
        match self {
            LookAt::At(at) => at,
            LookAt::Then(of) => of(after),
        }
    }
}

/// What belongs to a record besides the fact.
#[derive(Clone)]
pub struct RecordContext<'a> {
    /// The time.
    pub now: Timestamp,
    /// The policy in force.
    pub policy: &'a Digest,
    /// When to look at the model again.
    pub look_at: LookAt<'a>,
    /// The request that this record answers.
    pub request_id: Option<&'a str>,
    /// What the planner looked at; needed for a decision.
    pub snapshot: Option<&'a StoredSnapshot>,
}

/// Records one fact: the changed documents, the audit entry, the decision record, the alarm clock and the slots in one
/// transaction that fails if anything read has changed.
///
/// # Errors
/// [`AppError::is_conflict`] when somebody else wrote first; nothing was written then.
pub async fn record(
    table: &dyn Table,
    loaded: &Loaded,
    record: &Record,
    context: &RecordContext<'_>,
) -> Result<Model, AppError> {
    let before = &loaded.model;
    let id = &before.head.model;
    let seq = before.head.audit_seq + 1;
    let decision_id = DecisionRecord::id(id, seq);
    let cause = match (&record.decision, record.fact.run().and_then(|run| before.runs.get(run))) {
        (Some(_), _) => decision_id.clone(),
        (None, Some(run)) => run.decision.clone(),
        (None, None) => context.request_id.unwrap_or("refit").to_owned(),
    };
    let mut event = before.next_event(record.fact.clone(), record.actor.clone(), &cause, context.now);
    event.snapshot = context.snapshot.map(|it| it.digest.clone());
    let (entry, entry_text) = AuditEntry::written(event);
    let mut after = before.clone();
    after.apply_entry(&entry)?;

    let generations = &loaded.generations;
    let mut writes = vec![put_shared(generations, head_key(id), &after.head)];
    writes.extend(
        changed(&before.runs, &after.runs).map(|(run, document)| put_shared(generations, run_key(run), document)),
    );
    writes.extend(
        changed(&before.packages, &after.packages)
            .map(|(version, document)| put_shared(generations, package_key(id, *version), document)),
    );
    writes.extend(
        changed(&before.approvals, &after.approvals)
            .filter(|_| Guard::ChangesStored.is_kept())
            .map(|(run, document)| put_shared(generations, approval_key(run), document)),
    );
    writes.extend(
        after
            .judgments
            .iter()
            .filter(|(sort, it)| before.judgments.get(*sort) != Some(it))
            .map(|(sort, document)| put_shared(generations, Key::new(&model_partition(id), sort), document)),
    );
    // Who waits and who holds a slot follows from the runs' statuses alone, in the same transaction.
    if let Some(slots) = loaded.slots.follow(before, &after, context.now) {
        let slots = Arc::new(slots);
        let mut write = put_shared(generations, slots_key(), &slots);
        if !Guard::SlotsConditional.is_kept() {
            write = put_shared(&generations_now(table, &slots_key()).await?, slots_key(), &slots);
        }
        writes.push(write);
    }
    if let Some(queue) = loaded.queue.follow(before, &after) {
        writes.push(put_shared(generations, queue_key(), &Arc::new(queue)));
    }
    if let Some(decision) = &record.decision {
        let unkept = || AppError::Invalid(format!("decision {decision_id} does not keep what it was made on"));
        let snapshot = context.snapshot.ok_or_else(unkept)?.clone();
        let document = DecisionRecord::new(before, record, decision, context.policy, context.now, snapshot);
        writes.push(put(generations, Key::new(&model_partition(id), &DecisionRecord::sort(seq)), &document));
    }
    if let Some(request_id) = context.request_id.filter(|_| Guard::RequestMarked.is_kept()) {
        let answer = Answer { schema: Answer::SCHEMA, seq: Some(seq), refused: None };
        // Whoever answered it first, by a fact or by a refusal, answered it for good.
        let key = request_key(id, request_id);
        writes.push(Write::Put { key, expect: Expect::Absent, body: to_body(&answer), due: None });
    }
    let audit_key = Key::new(&audit_partition(id), &refit_core::audit::AuditEvent::sort(seq));
    if Guard::AuditedInOneTransaction.is_kept() {
        let body = Body::of(entry_text, Arc::new(entry));
        writes.push(Write::Put { key: audit_key, expect: Expect::Absent, body, due: None });
    }
    if Guard::LookSet.is_kept() {
        writes.push(look_write(generations, id, context.look_at.of(&after)));
    }
    if !Guard::StaleRefused.is_kept() {
        forget_beliefs(table, &mut writes, "").await?;
    }
    if !Guard::RetryIsAnotherRun.is_kept() {
        forget_beliefs(table, &mut writes, "RUN#").await?;
    }
    table.transact(&transaction_token(&writes), &writes).await.map_err(|error| explain_conflict(id, error))?;
    tracing::info!(model.id = %id, audit.seq = seq, fact = record.fact.name(), "recorded {}", record.fact.name());
    Ok(after)
}

/// Lets writes find whatever is there, where the sort name begins so: only what a guard that was taken away leaves.
async fn forget_beliefs(table: &dyn Table, writes: &mut [Write], prefix: &str) -> Result<(), AppError> {
    for write in writes.iter_mut().filter(|it| it.key().sort.starts_with(prefix)) {
        if let Write::Put { key, expect: believed, .. } = write {
            *believed = generations_now(table, key).await?.expect(key);
        }
    }
    Ok(())
}

/// What a write must find when it believes nothing: only what a guard that was taken away leaves.
async fn generations_now(table: &dyn Table, key: &Key) -> Result<Generations, AppError> {
    Ok(Generations::of(table.get(key).await?))
}

/// Whatever is stored of a model changes together with its HEAD, and HEAD is the first that is compared: when HEAD is as
/// it was read and something else is not, what is stored does not fit together, and no repetition helps.
fn explain_conflict(model: &ModelId, error: TableError) -> AppError {
    match error {
        TableError::Conflict { key }
            if key.partition == audit_partition(model)
                || key.partition == model_partition(model)
                    && key != head_key(model)
                    && !key.sort.starts_with("REQUEST#") =>
        {
            AppError::Damaged { model: model.to_string(), why: format!("{key} is not what HEAD says") }
        }
        error => error.into(),
    }
}

/// Moves the alarm clock without touching the state; does nothing when it is right already or was moved meanwhile.
///
/// # Errors
/// See [`AppError`].
pub async fn reschedule(table: &dyn Table, loaded: &Loaded, look_at: Timestamp) -> Result<(), AppError> {
    if loaded.look_at == Some(look_at) {
        return Ok(());
    }
    send_look(table, &[look_write(&loaded.generations, &loaded.model.head.model, look_at)]).await
}

/// Writes an alarm clock, unless somebody else did.
async fn send_look(table: &dyn Table, writes: &[Write]) -> Result<(), AppError> {
    match table.transact(&transaction_token(writes), writes).await {
        Ok(()) => Ok(()),
        Err(error) if error.failure() == crate::ports::Failure::Conflict => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Moves the alarm clock of a model of which nothing else can be read; does nothing when it was moved meanwhile.
///
/// # Errors
/// See [`AppError`].
pub(crate) async fn postpone(table: &dyn Table, model: &ModelId, look_at: Timestamp) -> Result<(), AppError> {
    let Some(item) = table.get(&look_key(model)).await? else { return Ok(()) };
    let writes = [look_write(&Generations::of(Some(item)), model, look_at)];
    send_look(table, &writes).await
}

/// Begins the watch of a model: its first event.
///
/// # Errors
/// See [`AppError`].
pub async fn begin(
    table: &dyn Table,
    event: refit_core::audit::AuditEvent,
    look_at: Timestamp,
) -> Result<Model, AppError> {
    let model = Model::begin(&event)?;
    let id = model.head.model.clone();
    let none = Generations::default();
    let audit_key = Key::new(&audit_partition(&id), &refit_core::audit::AuditEvent::sort(1));
    let writes = [
        put_shared(&none, head_key(&id), &model.head),
        Write::Put { key: audit_key, expect: Expect::Absent, body: to_body(&AuditEntry::new(event)), due: None },
        look_write(&none, &id, look_at),
        put(&none, watched_key(&id), &serde_json::json!({ "schema": 1, "model": id })),
    ];
    table.transact(&transaction_token(&writes), &writes).await?;
    Ok(model)
}

fn changed<'a, K: Ord, V: PartialEq>(
    before: &'a BTreeMap<K, Arc<V>>,
    after: &'a BTreeMap<K, Arc<V>>,
) -> impl Iterator<Item = (&'a K, &'a Arc<V>)> {
    let is_same = |a: &Arc<V>, b: &Arc<V>| Arc::ptr_eq(a, b) || a == b;
    let is_changed = move |(key, value): &(&K, &Arc<V>)| !before.get(key).is_some_and(|it| is_same(it, value));
    after.iter().filter(is_changed)
}

/// Makes a model due now, so that the sweep wakes it next.
///
/// # Errors
/// [`AppError::is_conflict`] when its alarm clock was moved meanwhile.
pub(crate) async fn make_due(table: &dyn Table, model: &ModelId, now: Timestamp) -> Result<(), AppError> {
    let item = table.get(&look_key(model)).await?;
    if item.as_ref().and_then(|it| it.due).is_some_and(|it| it.at <= now) {
        return Ok(());
    }
    let writes = [look_write(&Generations::of(item), model, now)];
    Ok(table.transact(&transaction_token(&writes), &writes).await?)
}

/// A run, wherever it stands.
///
/// # Errors
/// See [`AppError`].
pub async fn find_run(table: &dyn Table, id: &RunId) -> Result<Option<Arc<Run>>, AppError> {
    table.get(&run_key(id)).await?.as_ref().map(parse_shared).transpose()
}
