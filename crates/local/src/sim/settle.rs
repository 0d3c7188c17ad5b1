//! Phase 2 of a schedule: faults have stopped, and everything comes to rest within bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use refit_app::documents::{Document, cursor_key, slots_key};
use refit_app::ports::{Clock, Item, Key, Table, Variant};
use refit_app::use_cases::publish_events::{Cursor, alert_of};
use refit_core::ModelId;
use refit_core::audit::AuditEntry;
use refit_core::plan::Slots;
use refit_core::run::RunStatus;

use super::checks::{Checked, Violation, ensure};
use super::dice::SkewedClock;
use super::schedule::{Simulation, Work, is_kept};
use crate::memory::{PARAMETERS, poll, scheduled_event};

/// Between two sweeps: longer than the interval at which runs are looked at.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(6);
/// After so many sweeps everything is at rest. Runs that wait for a slot take one each.
const MAX_SWEEPS: u32 = 16;
/// Above what the events between two sweeps can be.
const MAX_DELIVERIES: usize = 600;

/// After how many sweeps it was so, and stayed so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Every slot whose execution had ended was free.
    pub slot_freed: u32,
    /// Every run stood where a person, a service or a slot is waited for, and every lost event was made up for.
    pub healed: u32,
    /// Every rollback was done.
    pub rolled_back: u32,
    /// Every log was published.
    pub published: u32,
}

impl Bounds {
    /// The greater of each.
    #[must_use]
    pub fn max(self, other: Bounds) -> Bounds {
        Bounds {
            slot_freed: self.slot_freed.max(other.slot_freed),
            healed: self.healed.max(other.healed),
            rolled_back: self.rolled_back.max(other.rolled_back),
            published: self.published.max(other.published),
        }
    }
}

/// What is still to do.
#[derive(Debug, Default)]
pub(super) struct Rest {
    slots: Vec<String>,
    runs: Vec<String>,
    rollbacks: Vec<String>,
    pub(super) logs: Vec<String>,
}

impl Rest {
    fn is_reached(&self) -> bool {
        self.slots.is_empty() && self.runs.is_empty() && self.rollbacks.is_empty() && self.logs.is_empty()
    }
}

impl Simulation {
    /// Stops faults, and sweeps until everything is at rest.
    pub(super) fn settle(&mut self) -> Checked {
        self.stats.calls_with_faults = self.dice.calls();
        self.dice.calm();
        self.world.publisher.bring_up();
        self.world.pipelines.set_quota(None);
        self.world.pipelines.set_lag(SignedDuration::ZERO);
        self.set_busy(0);
        self.tell(|_| "faults stop".to_owned());
        self.end_workers()?;
        let mut rng = self.next_step();
        if rng.chance(300) {
            self.tell(|_| "the pipeline service forgets its keys, and pipelines have new versions".to_owned());
            self.world.pipelines.forget_keys();
            for model in self.model_ids() {
                self.world.pipelines.define(&format!("{model}-retrain"), &PARAMETERS);
            }
        }
        if rng.chance(300) {
            // Whatever is under way is lost: the sweep alone has to heal.
            self.world.pump();
            let before = self.world.queue.len();
            self.world.queue.retain(is_kept);
            self.tell(|it| format!("{} events are lost", before - it.world.queue.len()));
        }
        // What a worker whose clock was ahead wrote down is due when the true clock gets there.
        let ahead = self.greatest_skew();
        self.world.clock.advance(ahead);
        self.machines.iter().for_each(SkewedClock::correct);
        if rng.chance(200) {
            self.let_executions_hang()?;
        }
        self.sweep_to_rest()?;
        // A fleet at rest that nobody asked for anything is at rest.
        if rng.chance(400) && self.let_people_decide(&mut rng)? {
            self.sweep_to_rest()?;
        }
        if rng.chance(200) && !self.waiting().is_empty() {
            self.close_approvals()?;
        }
        if rng.chance(120) {
            if rng.chance(500) {
                self.lay_hands_on_endpoints();
            }
            self.let_a_day_pass()?;
        }
        if rng.chance(100) {
            self.let_a_model_leave(&mut rng)?;
        }
        self.check_told()?;
        self.checker.finish(&self.world)?;
        if rng.chance(120) {
            self.roll_back_in_ruins(&mut rng)?;
        }
        Ok(())
    }

    fn sweep_to_rest(&mut self) -> Checked {
        let mut bounds = Bounds::default();
        for sweep in 1..=MAX_SWEEPS {
            self.sweep_after(SWEEP_EVERY)?;
            let mut rng = self.next_step();
            let open = self.world.pipelines.open();
            let rest = self.rest()?;
            if rest.is_reached() && open.is_empty() {
                self.stats.bounds = self.stats.bounds.max(bounds);
                return Ok(());
            }
            let next = sweep + 1;
            let after = |rest: &[String]| if rest.is_empty() { 0 } else { next };
            bounds = bounds.max(Bounds {
                slot_freed: after(&rest.slots),
                healed: after(&rest.runs),
                rolled_back: after(&rest.rollbacks),
                published: after(&rest.logs),
            });
            for arn in open {
                self.end_one(&mut rng, &arn);
            }
            self.drain()?;
            // What follows from the last end of an execution needs no sweep.
            if self.rest()?.is_reached() && self.world.pipelines.open().is_empty() {
                self.stats.bounds = self.stats.bounds.max(bounds);
                return Ok(());
            }
        }
        let rest = self.rest()?;
        ensure!(rest.slots.is_empty(), "L3", "not free after {MAX_SWEEPS} sweeps: {:?}", rest.slots);
        ensure!(rest.rollbacks.is_empty(), "E4", "not done after {MAX_SWEEPS} sweeps: {:?}", rest.rollbacks);
        ensure!(rest.runs.is_empty(), "E4", "not at rest after {MAX_SWEEPS} sweeps: {:?}", rest.runs);
        ensure!(rest.logs.is_empty(), "A1", "not published after {MAX_SWEEPS} sweeps: {:?}", rest.logs);
        ensure!(false, "E4", "executions begin for ever: {:?}", self.world.pipelines.open());
        Ok(())
    }

    pub(super) fn rest(&self) -> Result<Rest, Violation> {
        let mut rest = Rest::default();
        for id in self.model_ids() {
            let Some(model) = self.checker.folded(&id) else { continue };
            if model.head.active_rollback.is_some() {
                rest.rollbacks.push(id.to_string());
            }
            let published = self.stored::<Cursor>(&cursor_key(&id))?.map_or(0, |it| it.published);
            if published < model.head.audit_seq {
                rest.logs.push(format!("{id}: {published} of {}", model.head.audit_seq));
            }
            if let Some(run) = model.active_run()
                && !matches!(run.status, RunStatus::AwaitingApproval | RunStatus::Training | RunStatus::Stopping)
            {
                rest.runs.push(format!("{} is {}", run.id, run.status));
            }
        }
        let slots = self.stored::<Slots>(&slots_key())?;
        for run in slots.iter().flat_map(|it| it.holders.keys()) {
            let model = self.checker.folded(&run.model());
            let arn = model.and_then(|it| it.runs.get(run)).and_then(|it| it.execution.clone());
            let is_under_way = arn.and_then(|it| self.world.pipelines.status(&it)).is_some_and(|it| !it.is_terminal());
            if !is_under_way {
                rest.slots.push(run.to_string());
            }
        }
        Ok(rest)
    }

    fn stored<T: Document>(&self, key: &Key) -> Result<Option<Arc<T>>, Violation> {
        let item = poll(self.world.table.get(key)).unwrap_done();
        let item = item.map_err(|error| Violation::new("I4", error.to_string()))?;
        let read = |it: Item| it.body.read().map_err(|error| Violation::new("I4", format!("{key}: {error}")));
        item.map(read).transpose()
    }

    /// Time passes, the schedule sweeps, and the bus comes to rest.
    pub(super) fn sweep_after(&mut self, by: SignedDuration) -> Checked {
        self.world.clock.advance(by);
        self.tell(|_| "sweep".to_owned());
        self.world.send(scheduled_event());
        self.drain()
    }

    pub(super) fn drain(&mut self) -> Checked {
        for _ in 0..MAX_DELIVERIES {
            self.world.pump();
            let Some(next) = self.world.queue.pop_front() else { return Ok(()) };
            let mut rng = self.next_step();
            self.start(Work::Event(next), &mut rng)?;
            ensure!(!self.has_workers(), "I1", "a function waits for something that never comes");
        }
        let next = self.world.queue.front().map(ToString::to_string).unwrap_or_default();
        Err(Violation::new("I2", format!("the bus does not come to rest: {next}")))
    }

    /// Nobody decides any more: requests for approval expire.
    fn close_approvals(&mut self) -> Checked {
        self.sweep_after(SignedDuration::from_hours(13))?;
        self.sweep_after(SWEEP_EVERY)?;
        for id in self.model_ids() {
            let run = self.checker.folded(&id).and_then(|it| it.active_run());
            let waits = run.filter(|it| it.status == RunStatus::AwaitingApproval);
            let at = self.world.clock.now();
            let is_over = waits.and_then(|it| self.checker.folded(&id)?.approvals.get(&it.id));
            if let Some(approval) = is_over.filter(|it| it.expires_at <= at) {
                return Err(Violation::new("E4", format!("{} has expired and is still open", approval.run)));
            }
        }
        Ok(())
    }

    /// At the latest after each day's check what is served is set right, whatever a frozen worker did to it.
    fn let_a_day_pass(&mut self) -> Checked {
        self.sweep_after(SignedDuration::from_hours(25))?;
        self.sweep_after(SWEEP_EVERY)?;
        for id in self.model_ids() {
            let Some(model) = self.checker.folded(&id) else { continue };
            let Some(champion) = model.champion().filter(|_| model.head.active_run.is_none()) else { continue };
            let name = model.head.endpoint.variant.clone();
            let expected = vec![Variant { name, package_arn: champion.arn.clone(), weight: 1.0 }];
            let served = self.world.endpoints.variants(&model.head.endpoint.name);
            ensure!(served == expected, "P1", "{id} serves {served:?} a day later, its champion is {}", champion.arn);
        }
        self.ask_for_what_is_removed()?;
        self.settle_logs()
    }

    fn settle_logs(&mut self) -> Checked {
        self.sweep_after(SWEEP_EVERY)?;
        let rest = self.rest()?;
        ensure!(rest.logs.is_empty(), "A1", "not published: {:?}", rest.logs);
        Ok(())
    }

    /// A1, A3: in the end people were told everything, and each thing as often as there were faults at most.
    fn check_told(&mut self) -> Checked {
        let alerts = self.world.publisher.alerts();
        let mut told: BTreeMap<&str, u64> = BTreeMap::new();
        for alert in &alerts {
            *told.entry(&alert.dedupe_id).or_default() += 1;
        }
        let models: Vec<ModelId> = self.model_ids();
        for id in &models {
            let published = self.stored::<Cursor>(&cursor_key(id))?.map_or(0, |it| it.published);
            // Whatever happened before the schedule was told before it.
            let since = self.base.checker.entries_of(id).len();
            let entries = self.checker.entries_of(id).iter().skip(since);
            if let Some(untold) = entries.filter(|it| it.event.seq <= published).find_map(|it| untold(it, &told)) {
                return Err(Violation::new("A1", format!("nobody was told of {untold}")));
            }
        }
        for alert in alerts.iter().filter(|it| it.dedupe_id.starts_with("file-")) {
            let names_place = alert.body.contains("s3://") && alert.body.contains("line ");
            ensure!(names_place, "I3", "people were told of a damaged file, and not where: {}", alert.body);
        }
        let faults: u64 = self.dice.counts().iter().sum::<u64>() + self.stats.duplicated;
        // What is not of a log is told again at each check that meets it: a damaged file, a model that is parked.
        let limit = |id: &str| if models.iter().any(|it| id.starts_with(&format!("{it}-"))) { 1 } else { 10 };
        if let Some((id, times)) = told.iter().find(|it| limit(it.0) + faults < *it.1) {
            return Err(Violation::new("A3", format!("people were told {id} {times} times, with {faults} faults")));
        }
        Ok(())
    }
}

/// The alert of an entry, if people should have been told of it and were not.
pub(super) fn untold(entry: &AuditEntry, told: &BTreeMap<&str, u64>) -> Option<String> {
    let event = &entry.event;
    let alert = alert_of(event).filter(|it| !told.contains_key(it.dedupe_id.as_str()))?;
    let is_parked = told.contains_key(format!("{}-parked-{}", event.model, event.seq).as_str());
    (!is_parked).then_some(alert.dedupe_id)
}
