//! X1: from any content of the table the sweep leads to rest, or to an alert, and never to a panic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use refit_app::ErrorClass;
use refit_app::documents::{head_key, queue_key, run_key, slots_key};
use refit_app::ports::{AlertKind, Key, Table, Write};
use refit_core::model::Head;
use refit_core::plan::{Queue, Slots};
use refit_core::run::{Run, RunStatus};
use refit_core::{ModelId, RunId};
use serde::de::DeserializeOwned;

use super::checks::{Checked, Violation, ensure};
use super::damage::damage;
use super::dice::Mask;
use super::record::{Recorder, Transaction};
use super::report::{Ended, Stats};
use super::rng::{Rng, TraceHash};
use super::schedule::{MOST_CALLS, Simulation};
use crate::memory::{Delivered, MemoryWorld, poll, scheduled_event};

/// After so many sweeps everything is at rest or parked.
pub const MAX_SWEEPS: u32 = 50;
/// Sweeps without any change after which a fleet is at rest.
const QUIET: u32 = 3;
/// Above what the events between two sweeps can be.
const MAX_DELIVERIES: usize = 600;

struct AnyState {
    world: MemoryWorld,
    recorder: Arc<Recorder>,
    models: Vec<ModelId>,
    /// Who held a slot, and how many slots there are.
    holders: usize,
    held: Slots,
    slots: usize,
    trace: Option<Vec<String>>,
    hash: TraceHash,
    transactions: u64,
    sweeps: u32,
    most_calls: u64,
}

/// Damages the table of a history, and sweeps.
#[must_use]
pub(super) fn play(seed: u64, is_traced: bool) -> Ended {
    let mut rng = Rng::at(seed, 0, u64::MAX);
    let (mut world, slots, models) = Simulation::new(seed, &Mask::default()).interrupt();
    world.queue.clear();
    let told = damage(&world, &mut rng);
    let recorder = Recorder::watch(&mut world);
    let held = stored::<Slots>(&world, &slots_key()).unwrap_or_default();
    let holders = held.holders.len();
    let mut state = AnyState {
        world,
        recorder,
        models,
        holders,
        held,
        slots,
        trace: is_traced.then_some(told),
        hash: TraceHash::default(),
        transactions: 0,
        sweeps: 0,
        most_calls: 0,
    };
    let violation = state.sweep_to_rest(&mut rng).err();
    let stats = Stats {
        schedules: 1,
        transactions: state.transactions,
        sweeps_to_rest: state.sweeps,
        most_calls: state.most_calls,
        parked: u64::from(!state.parked().is_empty()),
        ..Stats::default()
    };
    Ended {
        seed,
        violation,
        stats,
        hash: state.hash.value(),
        steps: u64::from(state.sweeps),
        injected: Vec::new(),
        trace: state.trace.unwrap_or_default(),
    }
}

fn stored<T: DeserializeOwned>(world: &MemoryWorld, key: &Key) -> Option<T> {
    let item = poll(world.table.get(key)).unwrap_done().ok().flatten()?;
    serde_json::from_str(&item.body).ok()
}

impl AnyState {
    fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(what());
        }
    }

    fn sweep_to_rest(&mut self, rng: &mut Rng) -> Checked {
        let mut quiet = 0;
        for sweep in 1..=MAX_SWEEPS {
            self.sweeps = sweep;
            // Most sweeps come soon after one another; sometimes long enough for requests to expire and days to end.
            let minutes = if sweep % 8 == 0 { 13 * 60 } else { 6 };
            self.world.clock.advance(SignedDuration::from_mins(minutes));
            self.world.send(scheduled_event());
            let mut changed = self.drain()?;
            for arn in self.world.pipelines.open() {
                changed += 1;
                // What ended meanwhile has ended.
                let _ = self.world.pipelines.finish(&arn, &Simulation::draw_ending(rng));
            }
            changed += self.drain()?;
            quiet = if changed == 0 { quiet + 1 } else { 0 };
            if QUIET <= quiet && self.restless().is_empty() {
                return Ok(());
            }
        }
        let restless = self.restless();
        let slots = stored::<Slots>(&self.world, &slots_key()).unwrap_or_default();
        let queue = stored::<Queue>(&self.world, &queue_key()).unwrap_or_default();
        let (holders, waiting): (Vec<_>, Vec<_>) = (slots.holders.keys().collect(), queue.entries.keys().collect());
        ensure!(
            restless.is_empty(),
            "X1",
            "after {MAX_SWEEPS} sweeps, and nobody was told: {restless:?}; slots of {holders:?}, queue {waiting:?}"
        );
        Ok(())
    }

    /// Delivers all events; how much was written about models.
    fn drain(&mut self) -> Result<usize, Violation> {
        let mut changed = 0;
        for _ in 0..MAX_DELIVERIES {
            self.world.pump();
            let Some(delivery) = self.world.queue.pop_front() else { return Ok(changed) };
            let what = delivery.to_string();
            let before = self.world.faults().calls();
            let delivered = self.world.call(delivery.function, &delivery.event);
            let calls = self.world.faults().calls() - before;
            self.most_calls = self.most_calls.max(calls);
            ensure!(calls <= MOST_CALLS, "I2", "{what} made {calls} calls");
            let outcome = match delivered {
                Delivered::Answered(response) => response.outcome.to_owned(),
                Delivered::Failed(error) => {
                    let is_bug = error.class() == ErrorClass::Bug;
                    format!("{}: {}", if is_bug { "parked" } else { "failed" }, refit_app::chain(&error))
                }
                Delivered::Killed => return Err(Violation::new("I1", format!("{what} waits for ever"))),
            };
            self.tell(|| format!("{what}: {outcome}"));
            self.hash.add_bytes(outcome.as_bytes());
            changed += self.verify()?;
        }
        Err(Violation::new("X1", "the bus does not come to rest"))
    }

    /// L1: whatever stands there, no further slot is taken than there are.
    fn verify(&mut self) -> Result<usize, Violation> {
        let mut changed = 0;
        let mut freed = BTreeMap::new();
        for transaction in self.recorder.take() {
            self.transactions += 1;
            for write in &*transaction.writes {
                let Write::Put { key, body, .. } = write else { continue };
                self.hash.add_bytes(body.as_bytes());
                changed += usize::from(key.partition.starts_with("MODEL#"));
                if *key == slots_key() {
                    self.note_freed(&transaction, body, &mut freed);
                    let holders = serde_json::from_str::<Slots>(body).map_or(0, |it| it.holders.len());
                    let limit = self.slots.max(self.holders);
                    ensure!(holders <= limit, "L1", "{holders} of {} slots are held", self.slots);
                    self.holders = holders;
                }
            }
        }
        // L4: a slot that is not a run's own any more is freed only when nothing of that name is under way.
        let open = self.world.pipelines.open_names();
        for (run, name) in freed {
            ensure!(!open.contains(&name), "L4", "the slot of {run} is freed, its execution is under way");
        }
        Ok(changed)
    }

    /// Slots that were freed, with what their executions are called. Whoever takes its slot anew in the same call may start one.
    fn note_freed(&mut self, transaction: &Transaction, body: &str, freed: &mut BTreeMap<RunId, String>) {
        let after = serde_json::from_str::<Slots>(body).unwrap_or_default();
        let before = std::mem::replace(&mut self.held, after);
        freed.retain(|run, _| !self.held.holders.contains_key(run));
        // What a run's own record frees has been looked after by the run.
        if transaction.writes.iter().all(|it| !it.key().partition.starts_with("AUDIT#")) {
            let lost = before.holders.into_iter().filter(|it| !self.held.holders.contains_key(&it.0));
            freed.extend(lost.map(|(run, holder)| (run, holder.display_name)));
        }
    }

    /// Models that people were told about.
    fn parked(&self) -> BTreeSet<String> {
        let alerts = self.world.publisher.alerts();
        let about = |it: &&Arc<refit_app::ports::Alert>| {
            it.kind == AlertKind::Failure && it.subject.contains("cannot be looked at")
        };
        alerts.iter().filter(about).map(|it| it.model.clone()).collect()
    }

    /// Models that are not at rest although nobody was told, and why.
    fn restless(&self) -> BTreeMap<String, String> {
        let parked = self.parked();
        let mut found = BTreeMap::new();
        for id in self.models.iter().filter(|it| !parked.contains(it.as_ref())) {
            if let Some(why) = self.why_restless(id) {
                found.insert(id.to_string(), why);
            }
        }
        found
    }

    fn why_restless(&self, id: &ModelId) -> Option<String> {
        let Some(head) = stored::<Head>(&self.world, &head_key(id)) else { return Some("no HEAD".to_owned()) };
        if head.active_rollback.is_some() {
            return Some("a rollback is under way".to_owned());
        }
        let run_id = head.active_run?;
        match stored::<Run>(&self.world, &run_key(&run_id)) {
            None => Some(format!("{run_id} is not there")),
            Some(run) if run.status == RunStatus::AwaitingApproval => None,
            Some(run) => Some(format!("{run_id} is {}", run.status)),
        }
    }
}
