//! One model: its documents, its log, and what the log adds up to.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use refit_app::documents::{head_key, model_partition};
use refit_app::ports::{Body, Key, Variant};
use refit_app::use_cases::publish_events::{Cursor, alert_of};
use refit_core::approval::Approval;
use refit_core::audit::{AuditEntry, ChainCheck, Fact};
use refit_core::model::{Head, Model};
use refit_core::package::{Package, PackageStatus};
use refit_core::run::{Run, RunStatus};
use refit_core::{Digest, ModelId, RunId};

use super::heard::Names;
use super::{Checked, Violation, ensure, parse, parse_written};
use crate::memory::hash_words;

/// HEAD and what was served before a promotion.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) head: Head,
    pub(super) served: Vec<Variant>,
}

/// What is remembered of one model.
#[derive(Debug, Clone)]
pub(super) struct ModelChecker {
    pub(super) id: ModelId,
    stored: Arc<Stored>,
    chain: ChainCheck,
    folded: Option<Arc<Model>>,
    /// HEAD before the last entry.
    pub(super) head_before: Option<Arc<Head>>,
    entries: Arc<Vec<Arc<AuditEntry>>>,
    /// By the version that was promoted: of each promotion that was not taken back, oldest first.
    pub(super) before: Arc<BTreeMap<u64, Vec<Before>>>,
    /// The candidate's archive as it was when its rollout began, by run.
    pub(super) archives: Arc<BTreeMap<RunId, Option<Digest>>>,
    /// Facts that answered a request, by their names.
    pub(super) answered: Arc<BTreeSet<(&'static str, String)>>,
    /// Whether the champion was taken back and nothing was promoted since.
    pub(super) is_frozen: bool,
    cursor: u64,
}

impl Hash for ModelChecker {
    /// What is not in the documents and the log, which are those of the world's table.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let ModelChecker {
            id,
            stored: _,
            chain: _,
            folded: _,
            head_before,
            entries,
            before,
            archives,
            answered,
            is_frozen,
            cursor,
        } = self;
        (id, entries.len(), archives, answered, is_frozen, cursor).hash(hasher);
        hash_words(&(head_before, before), hasher);
    }
}

/// The documents, parsed when they changed.
#[derive(Debug, Clone, Default)]
struct Stored {
    head: Option<Arc<Head>>,
    runs: BTreeMap<RunId, Arc<Run>>,
    packages: BTreeMap<u64, Arc<Package>>,
    approvals: BTreeMap<RunId, Arc<Approval>>,
}

impl ModelChecker {
    pub(super) fn new(id: &ModelId) -> ModelChecker {
        ModelChecker {
            id: id.clone(),
            stored: Arc::default(),
            chain: ChainCheck::default(),
            folded: None,
            head_before: None,
            entries: Arc::default(),
            before: Arc::default(),
            archives: Arc::default(),
            answered: Arc::default(),
            is_frozen: false,
            cursor: 0,
        }
    }

    pub(super) fn entries(&self) -> &[Arc<AuditEntry>] {
        &self.entries
    }

    pub(super) fn folded(&self) -> Option<&Model> {
        self.folded.as_deref()
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.stored.runs.values().map(|it| &**it)
    }

    pub(super) fn run(&self, id: &RunId) -> Option<&Run> {
        self.stored.runs.get(id).map(|it| &**it)
    }

    /// E3, T2: what has ended stays as it is, and a frozen request is never changed.
    pub(super) fn change(&mut self, changed: &[(&Key, &Body)]) -> Checked {
        let partition = model_partition(&self.id);
        self.head_before = self.stored.head.clone();
        for (key, body) in changed.iter().filter(|it| it.0.partition == partition) {
            let stored = Arc::make_mut(&mut self.stored);
            if **key == head_key(&self.id) {
                stored.head = Some(parse_written(key, body)?);
            } else if key.sort.starts_with("PACKAGE#") {
                let package: Arc<Package> = parse_written(key, body)?;
                stored.packages.insert(package.version, package);
            } else if key.sort.starts_with("APPROVAL#") {
                let approval: Arc<Approval> = parse_written(key, body)?;
                stored.approvals.insert(approval.run.clone(), approval);
            } else if key.sort.starts_with("RUN#") {
                let after: Arc<Run> = parse_written(key, body)?;
                if let Some(before) = stored.runs.get(&after.id) {
                    check_run(before, &after)?;
                }
                stored.runs.insert(after.id.clone(), after);
            }
        }
        Ok(())
    }

    /// U2, U3: the entry is the next one and fits the chain and the state.
    pub(super) fn append(&mut self, entry: Arc<AuditEntry>) -> Checked {
        self.chain.next(&entry).map_err(|error| Violation::new("U2", error.to_string()))?;
        if let Fact::ModelPromoted { version, .. } = &entry.event.fact {
            let head = self.head_before.clone().ok_or_else(|| Violation::new("P1", "a promotion without a head"))?;
            // The endpoint has moved already; what it served before is what HEAD named.
            let served = self.expected_serving(&head).unwrap_or_default();
            let before = Arc::make_mut(&mut self.before).entry(*version).or_default();
            before.push(Before { head: (*head).clone(), served });
        }
        match &mut self.folded {
            None => {
                let begun = Model::begin(&entry.event).map_err(|error| Violation::new("U3", error.to_string()))?;
                self.folded = Some(Arc::new(begun));
            }
            Some(model) => Arc::make_mut(model)
                .apply_entry(&entry)
                .map_err(|error| Violation::new("U3", refit_app::chain(&error)))?,
        }
        Arc::make_mut(&mut self.entries).push(entry);
        Ok(())
    }

    /// P1, P5, L1, U1, U3: the stored state as a whole.
    pub(super) fn check_state(&mut self) -> Checked {
        let Stored { head, runs, packages, approvals } = &*self.stored;
        let head = head.as_ref().ok_or_else(|| Violation::new("U1", "there is no head"))?;
        let last = self.head_before.as_ref().map_or(0, |it| it.audit_seq);
        ensure!(head.audit_seq == last + 1, "P5", "audit_seq went from {last} to {}", head.audit_seq);
        ensure!(
            head.audit_seq == self.entries.len() as u64,
            "U1",
            "HEAD is at {}, the log at {}",
            head.audit_seq,
            self.entries.len()
        );
        let champions: Vec<u64> =
            packages.values().filter(|it| it.status == PackageStatus::Champion).map(|it| it.version).collect();
        let expected: Vec<u64> = head.champion.into_iter().collect();
        ensure!(champions == expected, "P1", "HEAD names champion {:?}, packages say {champions:?}", head.champion);
        let active: Vec<&RunId> = runs.values().filter(|it| !it.status.is_terminal()).map(|it| &it.id).collect();
        ensure!(active.len() <= 1, "L1", "{} runs are active", active.len());
        ensure!(
            active == head.active_run.iter().collect::<Vec<_>>(),
            "L1",
            "HEAD names run {:?}, runs say {active:?}",
            head.active_run
        );
        let candidate = active.first().and_then(|it| packages.get(&runs.get(*it)?.candidate?));
        ensure!(candidate.is_none_or(|it| it.removed_at.is_none()), "P6", "the archive of {active:?} was removed");
        let folded = self.folded.as_mut().ok_or_else(|| Violation::new("U3", "nothing was folded"))?;
        ensure!(
            *folded.head == **head,
            "U3",
            "the log adds up to another HEAD: {head:?} is stored, {:?} expected",
            folded.head
        );
        let folded = Arc::make_mut(folded);
        ensure!(unite(&mut folded.runs, runs), "U3", "the log adds up to other runs");
        ensure!(unite(&mut folded.packages, packages), "U3", "the log adds up to other packages");
        ensure!(unite(&mut folded.approvals, approvals), "U3", "the log adds up to other approvals");
        Ok(())
    }

    /// What the endpoint serves when it serves what HEAD says.
    pub(super) fn expected_serving(&self, head: &Head) -> Option<Vec<Variant>> {
        let champion = self.folded.as_ref()?.packages.get(&head.champion?)?;
        let name = head.endpoint.variant.clone();
        Some(vec![Variant { name, package_arn: champion.arn.clone(), weight: 1.0 }])
    }

    /// A1: what the cursor has passed was published, or people were told that it was refused.
    pub(super) fn check_cursor(&mut self, key: &Key, body: &Body, published: &Names, alerted: &Names) -> Checked {
        let up_to = parse::<Cursor>(key, body)?.published;
        ensure!(self.cursor <= up_to, "A1", "the cursor went back from {} to {up_to}", self.cursor);
        let end = self.entries.len() as u64;
        ensure!(up_to <= end, "A1", "the cursor is at {up_to}, the log ends at {end}");
        let passed = usize::try_from(self.cursor).unwrap_or(0)..usize::try_from(up_to).unwrap_or(0);
        for entry in self.entries.get(passed).into_iter().flatten() {
            let seq = entry.event.seq;
            let id = format!("{}-{seq}", self.id);
            let is_parked = alerted.contains(&format!("{}-parked-{seq}", self.id));
            ensure!(is_parked || published.contains(&id), "A1", "event {id} was passed over");
            let alert = alert_of(&entry.event);
            ensure!(
                is_parked || alert.is_none_or(|it| alerted.contains(&it.dedupe_id)),
                "A1",
                "the alert of event {id} was not sent"
            );
        }
        self.cursor = up_to;
        Ok(())
    }
}

fn check_run(before: &Run, after: &Run) -> Checked {
    let id = &after.id;
    ensure!(!before.status.is_terminal(), "E3", "run {id} was {} and became {}", before.status, after.status);
    ensure!(before.request.is_none() || before.request == after.request, "T2", "the frozen request of {id} changed");
    // An attempt that failed gives its execution up, on the way back to the queue; the next has one of its own.
    let is_given_up = after.execution.is_none() && after.status == RunStatus::Queued;
    let is_kept = before.execution.is_none() || before.execution == after.execution;
    ensure!(is_kept || is_given_up, "T1", "run {id} changed its execution");
    let is_new = after.execution.as_ref().is_none_or(|it| {
        before.execution.as_ref() == Some(it) || !before.attempts.iter().any(|attempt| attempt.execution == *it)
    });
    ensure!(is_new, "T1", "run {id} took an execution of an earlier attempt");
    Ok(())
}

/// Whether the log adds up to what is stored; what is the same is one document from then on, and not compared again.
fn unite<K: Ord, V: PartialEq>(folded: &mut BTreeMap<K, Arc<V>>, stored: &BTreeMap<K, Arc<V>>) -> bool {
    folded.len() == stored.len()
        && folded.iter_mut().zip(stored).all(|(a, b)| {
            let is_same = a.0 == b.0 && (Arc::ptr_eq(a.1, b.1) || a.1 == b.1);
            if is_same && !Arc::ptr_eq(a.1, b.1) {
                *a.1 = Arc::clone(b.1);
            }
            is_same
        })
}
