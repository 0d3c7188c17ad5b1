//! The protocol as a transition system: workers read, decide, write under conditions, die, come back late.

use refit_core::run::{RunEvent, RunStatus};
use stateright::{Model, Property};

use crate::plan::{Fact, Luck, Plan, Planner, needs_slots};
use crate::state::{Bounds, Errand, Execution, Item, Run, Seen, Service, Slots, State, Step, VERSIONS, Worker};
use crate::weakness::Weakness;

/// The protocol, whole or with a weakness.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    pub(crate) bounds: Bounds,
    pub(crate) weakness: Weakness,
}

/// What happens next. Whoever does not act is paused: a zombie is a worker that acts late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// An idle worker is woken and reads HEAD; the same wake-up may come any number of times.
    Wake(usize, u8, Errand),
    /// A worker reads the slots.
    ReadSlots(usize),
    /// A worker decides, and records if that was decided.
    Decide(usize, Luck),
    /// A worker performs a step.
    Perform(usize),
    /// A worker records what it learned from starting.
    RecordStarted(usize),
    /// A worker reads HEAD again after a step.
    Reload(usize),
    /// A worker dies.
    Crash(usize),
    /// An execution ends.
    End(usize, Service),
}

impl Protocol {
    fn is_turn(&self, slots: &Slots, run: (u8, u8)) -> bool {
        let taken = if self.weakness == Weakness::Counter { slots.count.into() } else { slots.holders.len() };
        taken < self.bounds.slots && slots.waiting.first() == Some(&run)
    }

    fn plan(&self, state: &State, seen: &Seen, slots: Option<&Slots>, luck: Luck) -> Plan {
        let planner = Planner {
            weakness: self.weakness,
            runs: self.bounds.runs,
            turn: &|slots, run| self.is_turn(slots, run),
            executions: &state.executions,
            serving: state.serving[usize::from(seen.model)],
        };
        planner.plan(seen, slots, luck)
    }

    /// Whether a wake-up would find anything to do: others change nothing.
    fn is_due(&self, state: &State, model: u8, errand: Errand) -> bool {
        let seen = Seen { model, errand, item: state.items[usize::from(model)].clone(), performed: None };
        [Luck::Good, Luck::Bad].iter().any(|luck| self.plan(state, &seen, Some(&state.slots), *luck) != Plan::Wait)
    }

    fn errands(&self) -> impl Iterator<Item = Errand> {
        let rollbacks = (0..self.bounds.rollbacks).map(Errand::RollBack);
        [Errand::Trigger, Errand::Train, Errand::Promote].into_iter().chain(rollbacks)
    }

    fn decide(&self, state: &mut State, worker: usize, luck: Luck) -> Option<()> {
        let (seen, slots) = match std::mem::replace(&mut state.workers[worker], Worker::Idle) {
            Worker::Loaded(seen) => (seen, None),
            Worker::LoadedSlots(seen, slots) => (seen, Some(slots)),
            Worker::Idle | Worker::Performing(..) | Worker::Started(_) | Worker::Performed { .. } => return None,
        };
        match self.plan(state, &seen, slots.as_ref(), luck) {
            Plan::Wait => {}
            Plan::Perform(step) => state.workers[worker] = Worker::Performing(seen, step),
            Plan::Record(fact) => self.record(state, &seen, slots.as_ref(), fact),
        }
        Some(())
    }

    fn perform(&self, state: &mut State, worker: usize) -> Option<()> {
        let Worker::Performing(seen, step) = std::mem::replace(&mut state.workers[worker], Worker::Idle) else {
            return None;
        };
        let (model, errand) = (seen.model, seen.errand);
        let run = seen.item.run.map_or(0, |it| it.number);
        let is_same = |it: &Execution| it.model == model && it.run == run;
        match step {
            Step::Serve(version) => state.serving[usize::from(model)] = version,
            Step::Count => state.slots.count += 1,
            Step::Stop => {
                let running = state.executions.iter_mut().find(|it| is_same(it) && it.status == Service::Running);
                running.into_iter().for_each(|it| it.status = Service::Stopping);
            }
            Step::Start => {
                let attempt = state.executions.iter().filter(|it| is_same(it)).count() as u8;
                if attempt == 0 || self.weakness == Weakness::FreshKey && attempt < 2 {
                    state.executions.push(Execution { model, run, attempt, status: Service::Running });
                    state.executions.sort_unstable();
                }
                state.workers[worker] = Worker::Started(seen);
                return Some(());
            }
        }
        state.workers[worker] = Worker::Performed { model, errand, step };
        Some(())
    }

    /// One transaction: HEAD, run, slots and event, on the condition that what was read is what is there.
    fn record(&self, state: &mut State, seen: &Seen, slots: Option<&Slots>, fact: Fact) {
        let model = usize::from(seen.model);
        let current = state.items[model].clone();
        if current.generation != seen.item.generation && self.weakness != Weakness::NoFence {
            state.has_conflicted = true;
            return;
        }
        let mut next = seen.item.clone();
        if let Err(broken) = apply(&mut next, fact) {
            state.broken = Some(broken);
            return;
        }
        next.generation += 1;
        let holds = |item: &Item| item.run.filter(|it| self.holds(it.status)).map(|it| (seen.model, it.number));
        let waits =
            |item: &Item| item.run.filter(|it| it.status == RunStatus::Queued).map(|it| (seen.model, it.number));
        let (before, after) = (holds(&seen.item), holds(&next));
        let (waited, waiting) = (waits(&seen.item), waits(&next));
        if before != after || waited != waiting {
            let read = slots.expect("a plan that changes the slots has read them");
            if read.generation != state.slots.generation && self.weakness != Weakness::BlindSlots {
                state.has_conflicted = true;
                return;
            }
            state.slots = move_slots(read, state.slots.count, (before, after), (waited, waiting));
        }
        let has_ended = seen.item.active().is_some() && next.active().is_none();
        if self.weakness == Weakness::ReleaseAnyone && has_ended && before.is_none() && !state.slots.holders.is_empty()
        {
            state.slots.holders.remove(0);
        }
        if let (Fact::Promoted, Some(run)) = (fact, next.run) {
            if run.basis != current.champion {
                state.broken = Some("promoted over a champion that it was not compared with");
            }
            state.back_in_row[model] = 0;
        }
        if fact == Fact::RolledBack {
            state.back_in_row[model] += 1;
        }
        let was_over = current.run.filter(|it| it.status.is_terminal()).map(|it| it.number);
        if next.active().is_some_and(|it| Some(it.number) == was_over) {
            state.broken = Some("a run that had ended goes on");
        }
        state.items[model] = next;
        state.events[model] += 1;
    }

    fn holds(&self, status: RunStatus) -> bool {
        status.holds_slot() && !(self.weakness == Weakness::FreeEarly && status == RunStatus::Stopping)
    }
}

type Place = Option<(u8, u8)>;

/// The shared items after a run moved: each as it was read, without what the run left and with what it entered.
fn move_slots(read: &Slots, count: u8, holds: (Place, Place), waits: (Place, Place)) -> Slots {
    let moved = |list: &[(u8, u8)], (before, after): (Place, Place)| {
        let stay = list.iter().copied().filter(|it| Some(*it) != before);
        let mut list: Vec<(u8, u8)> = stay.filter(|it| Some(*it) != after).collect();
        list.extend(after);
        list
    };
    let mut holders = moved(&read.holders, holds);
    holders.sort_unstable();
    let is_freed = holds.0.is_some() && holds.1.is_none();
    let count = if is_freed { count.saturating_sub(1) } else { count };
    Slots { generation: read.generation + 1, waiting: moved(&read.waiting, waits), holders, count }
}

/// Applies a fact as `refit_core::model::Model::apply` does.
fn apply(item: &mut Item, fact: Fact) -> Result<(), &'static str> {
    let number = item.run.map_or(0, |it| it.number);
    match fact {
        Fact::Requested => {
            item.run =
                Some(Run { number: number + 1, status: RunStatus::Requested, basis: item.champion, candidate: 0 });
        }
        Fact::Moved(event) => {
            let run = item.run.as_mut().ok_or("a run moves that is not there")?;
            run.status = run.status.after(event).map_err(|_| "a run moves against the table")?;
            match event {
                RunEvent::Freeze => run.basis = item.champion,
                RunEvent::ExecutionSucceeded => {
                    item.versions += 1;
                    run.candidate = item.versions;
                }
                _ => {}
            }
        }
        Fact::Promoted => {
            let run = item.run.as_mut().ok_or("a run is promoted that is not there")?;
            run.status = run.status.after(RunEvent::Promote).map_err(|_| "a run is promoted against the table")?;
            item.replaced[usize::from(run.candidate)] = item.champion;
            item.previous = item.champion;
            item.champion = run.candidate;
            item.is_rolled_back = false;
        }
        Fact::RollbackStarted(number) => {
            item.rollback = Some((item.champion, item.previous));
            item.answered |= 1 << number;
        }
        Fact::RolledBack => {
            let (_, to) = item.rollback.take().ok_or("a rollback ends that is not there")?;
            item.champion = to;
            item.previous = item.replaced[usize::from(to)];
            item.is_rolled_back = true;
        }
    }
    Ok(())
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let champions = self.bounds.champions;
        let mut replaced = [0; VERSIONS];
        (1..=champions).for_each(|it| replaced[usize::from(it)] = it - 1);
        let item = Item {
            generation: 0,
            champion: champions,
            previous: champions.saturating_sub(1),
            replaced,
            versions: champions,
            run: None,
            rollback: None,
            is_rolled_back: false,
            answered: 0,
        };
        let models = self.bounds.models;
        vec![State {
            items: vec![item; models],
            slots: Slots { generation: 0, waiting: Vec::new(), holders: Vec::new(), count: 0 },
            executions: Vec::new(),
            serving: vec![champions; models],
            workers: vec![Worker::Idle; self.bounds.workers],
            crashes: self.bounds.crashes,
            events: vec![0; models],
            back_in_row: vec![0; models],
            broken: None,
            has_conflicted: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, worker) in state.workers.iter().enumerate() {
            match worker {
                Worker::Idle => {
                    let models =
                        (0..self.bounds.models as u8).flat_map(|model| self.errands().map(move |it| (model, it)));
                    let due = models.filter(|(model, errand)| self.is_due(state, *model, *errand));
                    actions.extend(due.map(|(model, errand)| Action::Wake(index, model, errand)));
                }
                Worker::Loaded(seen) if needs_slots(seen) => actions.push(Action::ReadSlots(index)),
                Worker::Loaded(_) | Worker::LoadedSlots(..) => {
                    actions.extend([Luck::Good, Luck::Bad].map(|luck| Action::Decide(index, luck)));
                }
                Worker::Performing(..) => actions.push(Action::Perform(index)),
                Worker::Started(_) => actions.push(Action::RecordStarted(index)),
                Worker::Performed { .. } => actions.push(Action::Reload(index)),
            }
            if *worker != Worker::Idle && 0 < state.crashes {
                actions.push(Action::Crash(index));
            }
        }
        for (index, execution) in state.executions.iter().enumerate() {
            match execution.status {
                Service::Running => {
                    actions.extend([Service::Succeeded, Service::Failed].map(|it| Action::End(index, it)));
                }
                Service::Stopping => actions.push(Action::End(index, Service::Stopped)),
                Service::Succeeded | Service::Failed | Service::Stopped => {}
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Wake(worker, model, errand) => {
                let item = state.items[usize::from(model)].clone();
                state.workers[worker] = Worker::Loaded(Seen { model, errand, item, performed: None });
            }
            Action::ReadSlots(worker) => {
                let Worker::Loaded(seen) = &state.workers[worker] else { return None };
                state.workers[worker] = Worker::LoadedSlots(seen.clone(), state.slots.clone());
            }
            Action::Decide(worker, luck) => self.decide(&mut state, worker, luck)?,
            Action::Perform(worker) => self.perform(&mut state, worker)?,
            Action::RecordStarted(worker) => {
                let Worker::Started(seen) = state.workers[worker].clone() else { return None };
                state.workers[worker] = Worker::Idle;
                self.record(&mut state, &seen, None, Fact::Moved(RunEvent::ExecutionStarted));
            }
            Action::Reload(worker) => {
                let Worker::Performed { model, errand, step } = state.workers[worker] else { return None };
                let item = state.items[usize::from(model)].clone();
                state.workers[worker] = Worker::Loaded(Seen { model, errand, item, performed: Some(step) });
            }
            Action::Crash(worker) => {
                state.workers[worker] = Worker::Idle;
                state.crashes -= 1;
            }
            Action::End(index, status) => {
                state.executions[index].status = status;
                state.executions.sort_unstable();
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::properties::all()
    }
}
