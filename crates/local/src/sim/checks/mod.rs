//! The invariants of RELIABILITY 1.2 that do not concern traffic, each by its id, checked after every transaction.
//!
//! The checker replays the transactions that the table accepted onto a copy of its own, so that it sees every state there
//! ever was and not only those between two deliveries. It knows the models from the keys that are written.

mod asked;
mod fleet;
mod heard;
mod model;
mod names;
mod promises;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashMap;
use refit_app::documents::{Document, FLEET, head_key, policy_key, queue_key, slots_key};
use refit_app::ports::{Body, Key, Write};
use refit_core::audit::AuditEntry;
use refit_core::model::Model;
use refit_core::plan::{Queue, QueueEntry, Slots};
use refit_core::policy::Policy;
use refit_core::run::run_of_display_name;
use refit_core::{Digest, ModelId, RunId};

use self::heard::Heard;
use self::model::ModelChecker;
use super::record::Transaction;
use crate::memory::{MODEL, MemoryWorld, poll};

pub use asked::{Asked, words};
pub use names::{CHECKS, Check, sentence};

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's id, one of [`CHECKS`].
    pub id: &'static str,
    /// What was found.
    pub text: String,
}

impl Violation {
    /// A violation of the invariant `id`.
    #[must_use]
    pub fn new(id: &'static str, text: impl Into<String>) -> Violation {
        debug_assert!(CHECKS.iter().any(|it| it.id == id), "{id} is listed");
        Violation { id, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.text)
    }
}

impl Hash for Checker {
    /// Everything that a later check may ask for. The copies of items and documents are those of the world's table, and
    /// what was heard is the beginning of what its publisher has sent.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Checker {
            frozen: _,
            items: _,
            models,
            heard,
            slots,
            policies,
            starts,
            removed,
            asked: _,
            forbidden: _,
            touched,
        } = self;
        (heard.published_count, heard.alerted_count, slots, starts, removed, touched).hash(hasher);
        policies.keys().for_each(|it| it.hash(hasher));
        models.values().for_each(|it| it.hash(hasher));
    }
}

/// What a check says.
pub type Checked = Result<(), Violation>;

macro_rules! ensure {
    ($condition:expr, $id:literal, $($text:tt)+) => {
        if !$condition {
            return Err($crate::sim::checks::Violation::new($id, format!($($text)+)));
        }
    };
}
pub(crate) use ensure;

/// Everything that is remembered between checks.
#[derive(Debug, Clone)]
pub struct Checker {
    /// Every item as it was last written: as it was when the checker was frozen, and what was written since.
    frozen: Arc<HashMap<Key, Body>>,
    items: HashMap<Key, Body>,
    models: BTreeMap<ModelId, ModelChecker>,
    heard: Heard,
    /// How many runs may hold a slot.
    slots: usize,
    /// Policies by digest: what may be promoted without a person, and how soon a run may follow another.
    policies: Arc<BTreeMap<Digest, Arc<Policy>>>,
    /// How many calls to start were checked.
    starts: usize,
    /// How many removed objects were checked.
    removed: usize,
    /// What people asked for, by the name of the request.
    asked: BTreeMap<String, Asked>,
    /// Policies that must not come into force.
    forbidden: BTreeSet<Digest>,
    /// Models of which something was written since the checker was frozen.
    touched: BTreeSet<ModelId>,
}

impl Default for Checker {
    fn default() -> Self {
        Checker::new()
    }
}

impl Checker {
    /// A checker of a world in which nothing was written yet, with one slot.
    #[must_use]
    pub fn new() -> Checker {
        Checker {
            frozen: Arc::default(),
            items: HashMap::new(),
            models: BTreeMap::new(),
            heard: Heard::default(),
            slots: 1,
            policies: Arc::default(),
            starts: 0,
            removed: 0,
            asked: BTreeMap::new(),
            forbidden: BTreeSet::new(),
            touched: BTreeSet::new(),
        }
    }

    /// The same with so many slots.
    #[must_use]
    pub fn with_slots(mut self, slots: usize) -> Checker {
        self.slots = slots;
        self
    }

    /// Lets the checker judge what models do under this policy.
    pub fn learn(&mut self, policy: &Policy) {
        let digest = policy.digest();
        if !self.policies.contains_key(&digest) {
            Arc::make_mut(&mut self.policies).insert(digest, Arc::new(policy.clone()));
        }
    }

    /// Lets the checker judge what comes of a request.
    pub fn ask(&mut self, id: &str, asked: Asked) {
        self.asked.insert(id.to_owned(), asked);
    }

    /// Lets the checker refuse a policy that is not to come into force.
    pub fn forbid(&mut self, policy: Digest) {
        self.forbidden.insert(policy);
    }

    /// Makes clones cheap: what was seen so far is shared by them. What was verified by then is verified again only where it changed.
    pub fn freeze(&mut self) {
        self.touched.clear();
        let items = std::mem::take(&mut self.items);
        Arc::make_mut(&mut self.frozen).extend(items);
        self.heard.freeze();
    }

    /// The log of the test world's model so far.
    #[must_use]
    pub fn entries(&self) -> &[Arc<AuditEntry>] {
        self.models.iter().find(|(id, _)| id.as_ref() == MODEL).map_or(&[], |(_, it)| it.entries())
    }

    /// The log of a model so far.
    #[must_use]
    pub fn entries_of(&self, model: &ModelId) -> &[Arc<AuditEntry>] {
        self.models.get(model).map_or(&[], |it| it.entries())
    }

    /// What a model's log adds up to.
    #[must_use]
    pub fn folded(&self, model: &ModelId) -> Option<&Model> {
        self.models.get(model)?.folded()
    }

    /// The models that were seen.
    pub fn models(&self) -> impl Iterator<Item = &ModelId> {
        self.models.keys()
    }

    /// Checks what happened since the last time.
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&mut self, world: &MemoryWorld, transactions: &[Transaction]) -> Checked {
        for transaction in transactions {
            self.check_transaction(world, transaction)?;
        }
        self.check_removed(world)?;
        self.check_executions(world)
    }

    /// Checks the end of a history as a whole: the stored table against the log, by Refit's own verification, of each model of which
    /// something was written since the checker was frozen.
    ///
    /// # Errors
    /// The first violation.
    pub fn finish(&mut self, world: &MemoryWorld) -> Checked {
        self.check_executions(world)?;
        for (id, model) in self.models.iter().filter(|it| self.touched.contains(it.0)) {
            let report = poll(refit_app::queries::verify_audit(&world.table, id)).unwrap_done();
            let report = report.map_err(|error| {
                Violation::new("U3", format!("the log cannot be verified: {}", refit_app::chain(&error)))
            })?;
            ensure!(report.verified, "U3", "{}", report.problems.join("; "));
            ensure!(
                report.entries == model.entries().len() as u64,
                "U2",
                "{} entries are stored, {} were written",
                report.entries,
                model.entries().len()
            );
        }
        Ok(())
    }

    fn check_transaction(&mut self, world: &MemoryWorld, transaction: &Transaction) -> Checked {
        let mut changed: BTreeMap<Option<ModelId>, Vec<(&Key, &Body)>> = BTreeMap::new();
        for write in &*transaction.writes {
            if let Some(id) = self.model_of(write.key()).filter(|it| !self.touched.contains(it)) {
                self.touched.insert(id);
            }
            match write {
                Write::Put { key, body, .. } => {
                    if key.sort.starts_with("FILE#") {
                        fleet::check_file(self.item(key), key, body)?;
                    }
                    if self.item(key) != Some(body) {
                        changed.entry(self.model_of(key)).or_default().push((key, body));
                    }
                }
                Write::Delete { key, .. } => {
                    let is_log = key.partition.starts_with("AUDIT#");
                    ensure!(!is_log, "U2", "{key} was deleted");
                    ensure!(!is_kept(key), "P6", "{key} was deleted");
                }
                Write::Check { .. } => {}
            }
        }
        if let Some((key, body)) = changed.get(&None).into_iter().flatten().find(|it| *it.0 == policy_key()) {
            fleet::check_policy(world, transaction, self.item(key), body, &self.forbidden)?;
        }
        for (id, changed) in &changed {
            if let Some(id) = id {
                self.check_model(world, transaction, id, changed)?;
            }
        }
        if let Some((key, body)) = changed.get(&None).into_iter().flatten().find(|it| *it.0 == slots_key()) {
            fleet::check_freed(world, self.item(key), key, body)?;
        }
        for (key, body) in changed.values().flatten() {
            self.items.insert((*key).clone(), (*body).clone());
        }
        let is_slot = |key: &Key| {
            (key.partition == FLEET && ["SLOTS", "QUEUE"].contains(&&*key.sort)) || key.sort.starts_with("RUN#")
        };
        if changed.values().flatten().any(|it| is_slot(it.0)) {
            self.check_slots()?;
        }
        self.heard.hear(&world.publisher, transaction.published);
        for (id, changed) in &changed {
            let cursor = changed.iter().find(|it| it.0.partition.starts_with("CURSOR#"));
            if let (Some(model), Some((key, body))) = (id.as_ref().and_then(|it| self.models.get_mut(it)), cursor) {
                model.check_cursor(key, body, &self.heard.published, &self.heard.alerted)?;
            }
        }
        Ok(())
    }

    fn check_model(
        &mut self,
        world: &MemoryWorld,
        transaction: &Transaction,
        id: &ModelId,
        changed: &[(&Key, &Body)],
    ) -> Checked {
        let is_state = |key: &Key| key.partition.starts_with("MODEL#") && !key.sort.starts_with("REQUEST#");
        let states = changed.iter().filter(|it| is_state(it.0)).count();
        let logged: Vec<_> = changed.iter().filter(|it| it.0.partition.starts_with("AUDIT#")).collect();
        ensure!(
            states == 0 || logged.len() == 1,
            "U1",
            "{states} items of {id} changed with {} audit entries",
            logged.len()
        );
        ensure!(logged.len() <= 1, "U1", "one transaction appended {} audit entries", logged.len());
        for (key, _) in changed.iter().filter(|it| it.0.sort.starts_with("REQUEST#")) {
            ensure!(self.item(key).is_none(), "E1", "request {key} was answered twice");
        }
        for (key, body) in changed.iter().filter(|it| it.0.sort.starts_with("REQUEST#")) {
            let is_refused = !parse::<serde_json::Value>(key, body)?["refused"].is_null();
            ensure!(!is_refused || changed.len() == 1, "I4", "request {key} was refused and changed something");
        }
        let entry = match logged.first() {
            Some((key, body)) => {
                ensure!(self.item(key).is_none(), "U2", "entry {key} was overwritten");
                Some(parse_written::<AuditEntry>(key, body)?)
            }
            None => None,
        };
        let model = self.models.entry(id.clone()).or_insert_with(|| ModelChecker::new(id));
        model.change(changed)?;
        if let Some(entry) = entry {
            model.append(entry)?;
            let head = changed.iter().find(|it| *it.0 == head_key(id));
            ensure!(head.is_some(), "P5", "HEAD of {id} did not change with its log");
            model.check_state()?;
            let (policies, asked) = (&self.policies, &self.asked);
            promises::check(model, &promises::Seen { world, transaction, policies, asked })?;
        }
        Ok(())
    }

    /// L1, L2: slots are held by exactly the runs whose status holds one, and by no more than there are.
    fn check_slots(&self) -> Checked {
        let slots =
            self.item(&slots_key()).map(|it| parse_written::<Slots>(&slots_key(), it)).transpose()?.unwrap_or_default();
        let runs = self.models.values().flat_map(ModelChecker::runs);
        let holders: BTreeSet<&RunId> = runs.filter(|it| it.status.holds_slot()).map(|it| &it.id).collect();
        let stored: BTreeSet<&RunId> = slots.holders.keys().collect();
        ensure!(
            stored.is_subset(&holders),
            "L2",
            "slots are held by {stored:?}, runs that may hold one are {holders:?}"
        );
        ensure!(stored == holders, "L1", "slots are held by {stored:?}, runs that hold one are {holders:?}");
        ensure!(stored.len() <= self.slots, "L1", "{} of {} slots are held", stored.len(), self.slots);
        self.check_queue()
    }

    /// L1: the queue holds exactly the runs that wait for a slot, as they say.
    fn check_queue(&self) -> Checked {
        let queue =
            self.item(&queue_key()).map(|it| parse_written::<Queue>(&queue_key(), it)).transpose()?.unwrap_or_default();
        let runs = self.models.values().flat_map(ModelChecker::runs);
        let waiting: BTreeMap<RunId, QueueEntry> =
            runs.filter_map(|it| Some((it.id.clone(), QueueEntry::of(it)?))).collect();
        // Parking is the queue's own business.
        let unparked = |it: &QueueEntry| QueueEntry { parked_until: None, ..it.clone() };
        let queued: BTreeMap<RunId, QueueEntry> =
            queue.entries.iter().map(|(id, it)| (id.clone(), unparked(it))).collect();
        ensure!(queued == waiting, "L1", "the queue holds {queued:?}, the runs that wait say {waiting:?}");
        Ok(())
    }

    /// P6: what is removed belongs to a run that has ended, and neither the champion nor what a rollback could still restore
    /// is among it.
    fn check_removed(&mut self, world: &MemoryWorld) -> Checked {
        for uri in world.objects.removed_from(self.removed) {
            self.removed += 1;
            let mut parts = uri.key().split('/').skip_while(|it| *it != "runs").skip(1);
            let run: Option<RunId> = parts.next().and_then(|it| it.parse().ok());
            let model = run.as_ref().and_then(|it| self.folded(&it.model()));
            let (Some(run), Some(model)) = (run, model) else {
                return Err(Violation::new("P6", format!("{uri}, which no run wrote, was removed")));
            };
            ensure!(model.head.active_run.as_ref() != Some(&run), "P6", "{uri} of the active run was removed");
            let mut versions: Vec<u64> = model.head.champion.into_iter().chain(model.head.previous_champion).collect();
            let rollback = model.head.active_rollback.as_ref().map(|it| it.to);
            versions.extend(rollback.into_iter().chain(model.active_run().and_then(|it| it.candidate)));
            let mut seen = BTreeSet::new();
            while let Some(version) = versions.pop().filter(|_| seen.len() <= model.packages.len()) {
                let Some(package) = model.packages.get(&version).filter(|_| seen.insert(version)) else { continue };
                ensure!(package.run.as_ref() != Some(&run), "P6", "{uri} was removed, version {version} is in use");
                ensure!(package.removed_at.is_none(), "P6", "version {version} is in use and called removed");
                versions.extend(package.replaced.into_iter().chain(package.replaced_before.iter().copied().flatten()));
            }
        }
        Ok(())
    }

    /// T1, T2: one execution for a run, started by the one request that was stored before.
    fn check_executions(&mut self, world: &MemoryWorld) -> Checked {
        if world.pipelines.start_count() == self.starts {
            return Ok(());
        }
        let starts = world.pipelines.starts_from(self.starts);
        for (key, request) in &starts {
            let executions = world.pipelines.count_of(&request.pipeline, &request.display_name);
            ensure!(executions <= 1, "T1", "{} names {executions} executions", request.display_name);
            let (run, number) = run_of_display_name(&request.display_name)
                .ok_or_else(|| Violation::new("T2", format!("`{}` is no run's name", request.display_name)))?;
            let stored = self.models.get(&run.model()).and_then(|it| it.run(&run)).and_then(|it| it.request.as_ref());
            let stored = stored.map(|it| it.attempt(number)).ok_or_else(|| {
                Violation::new("T2", format!("{} was started without a stored request", request.display_name))
            })?;
            ensure!(stored.start_key == *key, "T1", "{} was started under another key", request.display_name);
            ensure!(
                stored.parameters == request.parameters && stored.definition_version == request.version,
                "T2",
                "{} was started with something else than is stored",
                request.display_name
            );
            let document = stored.output.join("request.json").ok().and_then(|it| world.objects.peek(&it));
            ensure!(
                document.is_some_and(|it| *it == *stored.document.as_bytes()),
                "T2",
                "{} trains another request than is stored",
                request.display_name
            );
        }
        self.starts += starts.len();
        Ok(())
    }

    fn item(&self, key: &Key) -> Option<&Body> {
        self.items.get(key).or_else(|| self.frozen.get(key))
    }

    /// The model that a key belongs to.
    fn model_of(&self, key: &Key) -> Option<ModelId> {
        let (kind, rest) = key.partition.split_once('#')?;
        let name = match kind {
            "MODEL" | "AUDIT" | "CURSOR" | "LOOK" => rest,
            "WIN" => rest.split('#').next()?,
            _ => return None,
        };
        let known = self.models.keys().find(|it| it.as_ref() == name);
        known.cloned().or_else(|| name.parse().ok())
    }
}

/// Whether a model's item is never to be removed.
fn is_kept(key: &Key) -> bool {
    let kept = ["HEAD", "PACKAGE#", "APPROVAL#", "RUN#"];
    key.partition.starts_with("MODEL#") && kept.iter().any(|it| key.sort.starts_with(it))
}

/// Reads a document that functions write with its text: of one in so many the text is read anew, must say the same, and is what
/// is checked further.
fn parse_written<T: Document + PartialEq>(key: &Key, body: &Body) -> Result<Arc<T>, Violation> {
    const LOOKED_AT: usize = 16;
    let document: Arc<T> = parse(key, body)?;
    if body.len().is_multiple_of(LOOKED_AT) {
        let read = parse::<T>(key, &Body::from(body.as_str()))?;
        ensure!(read == document, "U3", "{key} is written as something else than it is");
        return Ok(read);
    }
    Ok(document)
}

fn parse<T: Document>(key: &Key, body: &Body) -> Result<Arc<T>, Violation> {
    body.read().map_err(|error| Violation::new("U3", format!("{key} does not parse: {error}")))
}
