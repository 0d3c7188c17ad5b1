//! The safety invariants of RELIABILITY 1.2, each by its id, checked after every transaction.
//!
//! The checker replays the transactions that the table accepted onto a copy of its own, so that it sees every state there
//! ever was and not only those between two deliveries. Each violation begins with the invariant's id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use refit_app::documents::{audit_partition, cursor_key, head_key, model_partition, slots_key};
use refit_app::ports::{Key, Variant, Write};
use refit_app::use_cases::publish_events::alert_of;
use refit_core::approval::Approval;
use refit_core::audit::{AuditEntry, ChainCheck, Fact};
use refit_core::model::{Head, Model};
use refit_core::package::{Package, PackageStatus};
use refit_core::plan::Slots;
use refit_core::run::Run;
use refit_core::{ModelId, RunId};
use refit_local::memory::{MODEL, MemoryWorld, poll};
use serde::de::DeserializeOwned;

use super::record::Transaction;

/// A broken invariant: its id and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) String);

type Checked = Result<(), Violation>;

macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(Violation(format!($($text)+)));
        }
    };
}

/// Everything that is remembered between checks.
#[derive(Debug, Clone)]
pub(crate) struct Checker {
    model: ModelId,
    /// Every item as it was last written.
    items: BTreeMap<Key, Arc<str>>,
    /// The documents among them, parsed when they changed.
    stored: Arc<Stored>,
    chain: ChainCheck,
    folded: Option<Arc<Model>>,
    entries: Vec<Arc<AuditEntry>>,
    /// HEAD and what was served before each promotion, by the version that was promoted.
    before: BTreeMap<u64, (Head, Vec<Variant>)>,
    published: BTreeSet<String>,
    published_count: usize,
    alerted: BTreeSet<String>,
    alerted_count: usize,
    cursor: u64,
}

#[derive(Debug, Clone, Default)]
struct Stored {
    runs: BTreeMap<RunId, Run>,
    packages: BTreeMap<u64, Package>,
    approvals: BTreeMap<RunId, Approval>,
}

impl Checker {
    pub(crate) fn new() -> Checker {
        Checker {
            model: MODEL.parse().expect("a constant name"),
            items: BTreeMap::new(),
            stored: Arc::default(),
            chain: ChainCheck::default(),
            folded: None,
            entries: Vec::new(),
            before: BTreeMap::new(),
            published: BTreeSet::new(),
            published_count: 0,
            alerted: BTreeSet::new(),
            alerted_count: 0,
            cursor: 0,
        }
    }

    /// The log so far.
    pub(crate) fn entries(&self) -> &[Arc<AuditEntry>] {
        &self.entries
    }

    /// Checks what happened since the last time.
    pub(crate) fn check(&mut self, world: &MemoryWorld, transactions: &[Transaction]) -> Checked {
        for transaction in transactions {
            self.check_transaction(world, transaction)?;
        }
        if transactions.is_empty() { Ok(()) } else { self.check_executions(world) }
    }

    /// Checks the end of a history as a whole: the stored table against the log, by Refit's own verification.
    pub(crate) fn finish(&self, world: &MemoryWorld) -> Checked {
        self.check_executions(world)?;
        let report = poll(refit_app::queries::verify_audit(&world.table, &self.model)).unwrap_done();
        let report = report
            .map_err(|error| Violation(format!("U3: the log cannot be verified: {}", refit_app::chain(&error))))?;
        ensure!(report.verified, "U3: {}", report.problems.join("; "));
        ensure!(
            report.entries == self.entries.len() as u64,
            "U2: {} entries are stored, {} were written",
            report.entries,
            self.entries.len()
        );
        Ok(())
    }

    fn check_transaction(&mut self, world: &MemoryWorld, transaction: &Transaction) -> Checked {
        let state = model_partition(&self.model);
        let log = audit_partition(&self.model);
        let mut changed: Vec<(&Key, &str)> = Vec::new();
        for write in &transaction.writes {
            match write {
                Write::Put { key, body, .. } => {
                    if self.items.get(key).map(|it| &**it) != Some(body.as_str()) {
                        changed.push((key, body));
                    }
                }
                Write::Delete { key, .. } => {
                    ensure!(key.partition != log && key.partition != state, "U2: {key} was deleted");
                }
                Write::Check { .. } => {}
            }
        }
        let is_state = |key: &Key| key.partition == state && !key.sort.starts_with("REQUEST#");
        let states = changed.iter().filter(|it| is_state(it.0)).count();
        let logged: Vec<_> = changed.iter().copied().filter(|it| it.0.partition == log).collect();
        ensure!(
            states == 0 || logged.len() == 1,
            "U1: {states} items of the model changed with {} audit entries",
            logged.len()
        );
        ensure!(logged.len() <= 1, "U1: one transaction appended {} audit entries", logged.len());
        let head_before: Option<Head> = self.document(&head_key(&self.model))?;
        for (key, body) in &logged {
            self.check_entry(key, body, head_before.as_ref(), transaction)?;
        }
        for (key, body) in &changed {
            self.check_run_change(key, body)?;
            self.items.insert((*key).clone(), Arc::from(*body));
        }
        if !logged.is_empty() {
            self.check_state(head_before.as_ref())?;
            self.check_last_fact(world, transaction)?;
        }
        if changed.iter().any(|it| *it.0 == slots_key() || is_state(it.0)) {
            self.check_slots()?;
        }
        self.hear(world, transaction);
        if changed.iter().any(|it| *it.0 == cursor_key(&self.model)) { self.check_cursor() } else { Ok(()) }
    }

    /// U1, U2: the entry is the next one, was never there before, and fits the chain.
    fn check_entry(&mut self, key: &Key, body: &str, head: Option<&Head>, transaction: &Transaction) -> Checked {
        ensure!(!self.items.contains_key(key), "U2: entry {key} was overwritten");
        let entry: AuditEntry = parse(key, body)?;
        self.chain.next(&entry).map_err(|error| Violation(format!("U2: {error}")))?;
        if let Fact::ModelPromoted { version, .. } = &entry.event.fact {
            let head = head.ok_or_else(|| Violation("P1: a promotion without a head".to_owned()))?;
            // The endpoint has moved already; what it served before is what HEAD named.
            let served = self.expected_serving(head)?.unwrap_or_default();
            self.before.insert(*version, (head.clone(), served));
        }
        match &mut self.folded {
            None => {
                self.folded =
                    Some(Arc::new(Model::begin(&entry.event).map_err(|error| Violation(format!("U3: {error}")))?))
            }
            Some(model) => Arc::make_mut(model)
                .apply(&entry.event)
                .map_err(|error| Violation(format!("U3: {}", refit_app::chain(&error))))?,
        }
        ensure!(entry.event.at <= transaction.at, "U2: entry {key} is dated after it was written");
        self.entries.push(Arc::new(entry));
        Ok(())
    }

    /// E3, T2: what has ended stays as it is, and a frozen request is never changed.
    fn check_run_change(&mut self, key: &Key, body: &str) -> Checked {
        if key.partition != model_partition(&self.model) {
            return Ok(());
        }
        let stored = Arc::make_mut(&mut self.stored);
        if key.sort.starts_with("PACKAGE#") {
            let package: Package = parse(key, body)?;
            stored.packages.insert(package.version, package);
        } else if key.sort.starts_with("APPROVAL#") {
            let approval: Approval = parse(key, body)?;
            stored.approvals.insert(approval.run.clone(), approval);
        } else if key.sort.starts_with("RUN#") {
            let after: Run = parse(key, body)?;
            if let Some(before) = stored.runs.get(&after.id) {
                ensure!(
                    !before.status.is_terminal(),
                    "E3: run {} was {} and became {}",
                    after.id,
                    before.status,
                    after.status
                );
                ensure!(
                    before.request.is_none() || before.request == after.request,
                    "T2: the frozen request of {} changed",
                    after.id
                );
                ensure!(
                    before.execution.is_none() || before.execution == after.execution,
                    "T1: run {} changed its execution",
                    after.id
                );
            }
            stored.runs.insert(after.id.clone(), after);
        }
        Ok(())
    }

    /// P1, P5, L1, U1, U3: the stored state as a whole.
    fn check_state(&self, before: Option<&Head>) -> Checked {
        let head: Head =
            self.document(&head_key(&self.model))?.ok_or_else(|| Violation("U1: there is no head".to_owned()))?;
        let last = before.map_or(0, |it| it.audit_seq);
        ensure!(head.audit_seq == last + 1, "P5: audit_seq went from {last} to {}", head.audit_seq);
        ensure!(
            head.audit_seq == self.entries.len() as u64,
            "U1: HEAD is at {}, the log at {}",
            head.audit_seq,
            self.entries.len()
        );
        let Stored { runs, packages, approvals } = &*self.stored;
        let champions: Vec<u64> =
            packages.values().filter(|it| it.status == PackageStatus::Champion).map(|it| it.version).collect();
        let expected: Vec<u64> = head.champion.into_iter().collect();
        ensure!(champions == expected, "P1: HEAD names champion {:?}, packages say {champions:?}", head.champion);
        let active: Vec<&RunId> = runs.values().filter(|it| !it.status.is_terminal()).map(|it| &it.id).collect();
        ensure!(active.len() <= 1, "L1: {} runs are active", active.len());
        ensure!(
            active == head.active_run.iter().collect::<Vec<_>>(),
            "L1: HEAD names run {:?}, runs say {active:?}",
            head.active_run
        );
        let folded = self.folded.as_ref().ok_or_else(|| Violation("U3: nothing was folded".to_owned()))?;
        ensure!(
            folded.head == head,
            "U3: the log adds up to another HEAD: {:?} is stored, {:?} expected",
            head,
            folded.head
        );
        ensure!(&folded.runs == runs, "U3: the log adds up to other runs");
        ensure!(&folded.packages == packages, "U3: the log adds up to other packages");
        ensure!(&folded.approvals == approvals, "U3: the log adds up to other approvals");
        Ok(())
    }

    /// L1: slots are held by exactly the runs whose status holds one, and by no more than there are.
    fn check_slots(&self) -> Checked {
        let slots = self.document::<Slots>(&slots_key())?.unwrap_or_default();
        let holders: BTreeSet<&RunId> =
            self.stored.runs.values().filter(|it| it.status.holds_slot()).map(|it| &it.id).collect();
        let stored: BTreeSet<&RunId> = slots.holders.keys().collect();
        ensure!(stored == holders, "L1: slots are held by {stored:?}, runs that hold one are {holders:?}");
        ensure!(stored.len() <= 1, "L1: {} of 1 slots are held", stored.len());
        Ok(())
    }

    /// A2, P1, R1: what the last fact promises.
    fn check_last_fact(&self, world: &MemoryWorld, transaction: &Transaction) -> Checked {
        let Some(entry) = self.entries.last() else { return Ok(()) };
        let folded = self.folded.as_ref().ok_or_else(|| Violation("U3: nothing was folded".to_owned()))?;
        match &entry.event.fact {
            Fact::ModelPromoted { run, .. } => {
                let run = folded.runs.get(run).ok_or_else(|| Violation(format!("U3: there is no run {run}")))?;
                let announced = run
                    .announced
                    .as_ref()
                    .ok_or_else(|| Violation(format!("A2: {} was promoted without a notice", run.id)))?;
                let id = format!("{}-{}", self.model, announced.seq);
                let heard = world.publisher.published()[..transaction.published.0].iter().any(|it| it.dedupe_id == id);
                ensure!(
                    heard || announced.deadline <= entry.event.at,
                    "A2: {} was promoted before its notice {id} was published or expired",
                    run.id
                );
                let expected = self.expected_serving(&folded.head)?;
                ensure!(
                    Some(&transaction.serving) == expected.as_ref(),
                    "P1: promoted while {:?} was served",
                    transaction.serving
                );
            }
            Fact::ModelRolledBack { from, to, .. } => {
                let (before, served) =
                    self.before.get(from).ok_or_else(|| Violation(format!("R1: version {from} was never promoted")))?;
                ensure!(
                    before.champion == Some(*to),
                    "R1: went back to {to}, before {from} it was {:?}",
                    before.champion
                );
                ensure!(folded.head.champion == before.champion, "R1: champion is {:?}", folded.head.champion);
                ensure!(
                    folded.head.previous_champion == before.previous_champion,
                    "R1: the champion before is {:?}, it was {:?}",
                    folded.head.previous_champion,
                    before.previous_champion
                );
                ensure!(&transaction.serving == served, "R1: {:?} is served, it was {served:?}", transaction.serving);
            }
            _ => {}
        }
        Ok(())
    }

    /// What the endpoint serves when it serves what HEAD says.
    fn expected_serving(&self, head: &Head) -> Result<Option<Vec<Variant>>, Violation> {
        let Some(folded) = &self.folded else { return Ok(None) };
        let champion = head.champion.and_then(|it| folded.packages.get(&it));
        Ok(champion
            .map(|it| vec![Variant { name: head.endpoint.variant.clone(), package_arn: it.arn.clone(), weight: 1.0 }]))
    }

    /// Remembers what was published and sent before the transaction.
    fn hear(&mut self, world: &MemoryWorld, transaction: &Transaction) {
        let (published, alerted) = transaction.published;
        if self.published_count < published {
            self.published.extend(
                world.publisher.published()[self.published_count..published].iter().map(|it| it.dedupe_id.clone()),
            );
            self.published_count = published;
        }
        if self.alerted_count < alerted {
            self.alerted
                .extend(world.publisher.alerts()[self.alerted_count..alerted].iter().map(|it| it.dedupe_id.clone()));
            self.alerted_count = alerted;
        }
    }

    /// A1: what the cursor has passed was published, or people were told that it was refused.
    fn check_cursor(&mut self) -> Checked {
        let Some(cursor) = self.document::<serde_json::Value>(&cursor_key(&self.model))? else { return Ok(()) };
        let up_to = cursor["published"].as_u64().unwrap_or_default();
        ensure!(self.cursor <= up_to, "A1: the cursor went back from {} to {up_to}", self.cursor);
        ensure!(
            up_to <= self.entries.len() as u64,
            "A1: the cursor is at {up_to}, the log ends at {}",
            self.entries.len()
        );
        for seq in self.cursor + 1..=up_to {
            let id = format!("{}-{seq}", self.model);
            let is_parked = self.alerted.contains(&format!("{}-parked-{seq}", self.model));
            ensure!(is_parked || self.published.contains(&id), "A1: event {id} was passed over");
            let index = usize::try_from(seq - 1).expect("a log fits into memory");
            let alert = alert_of(&self.entries[index].event);
            ensure!(
                is_parked || alert.is_none_or(|it| self.alerted.contains(&it.dedupe_id)),
                "A1: the alert of event {id} was not sent"
            );
        }
        self.cursor = up_to;
        Ok(())
    }

    /// T1, T2: one execution for a run, started by the one request that was stored before.
    fn check_executions(&self, world: &MemoryWorld) -> Checked {
        let mut requests = BTreeMap::new();
        for (key, request) in world.pipelines.starts() {
            let first = requests.entry(key.clone()).or_insert_with(|| request.clone());
            ensure!(*first == request, "T2: {} was started again with another request", request.display_name);
            let run: RunId = request.display_name.parse().map_err(|error| Violation(format!("T2: {error}")))?;
            let stored = self.folded.as_ref().and_then(|it| it.runs.get(&run)).and_then(|it| it.request.as_ref());
            let stored = stored.ok_or_else(|| Violation(format!("T2: {run} was started without a stored request")))?;
            ensure!(
                stored.parameters == request.parameters
                    && stored.start_key == key
                    && stored.definition_version == request.version,
                "T2: {run} was started with something else than is stored"
            );
        }
        let mut runs = BTreeSet::new();
        for (execution, _) in world.pipelines.executions() {
            ensure!(
                runs.insert(execution.display_name.clone()),
                "T1: run {} has two executions",
                execution.display_name
            );
        }
        Ok(())
    }

    fn document<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, Violation> {
        self.items.get(key).map(|body| parse(key, body)).transpose()
    }
}

fn parse<T: DeserializeOwned>(key: &Key, body: &str) -> Result<T, Violation> {
    serde_json::from_str(body).map_err(|error| Violation(format!("U3: {key} does not parse: {error}")))
}
