//! What the model's states are made of: the table, the services, and what each worker has in memory.

use refit_core::run::RunStatus;

/// Versions, counted from 1.
pub(crate) type Version = u8;
/// Most versions of a model.
pub(crate) const VERSIONS: usize = 6;

/// How much there is of everything, and how much may happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) models: usize,
    pub(crate) slots: usize,
    pub(crate) workers: usize,
    /// Runs that are asked for, per model.
    pub(crate) runs: u8,
    /// Requests to take the champion back, all without naming it; each may be delivered again and again.
    pub(crate) rollbacks: u8,
    /// Workers that die with what they have in memory.
    pub(crate) crashes: u8,
    /// Champions that a model begins with, each promoted over the one before.
    pub(crate) champions: Version,
}

/// A run, as the table holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Run {
    pub(crate) number: u8,
    pub(crate) status: RunStatus,
    /// The champion that it is compared with.
    pub(crate) basis: Version,
    /// The version that it makes.
    pub(crate) candidate: Version,
}

/// One model's items, all written under the condition on HEAD's generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Item {
    /// HEAD's generation, which is also the number of the last event of the log.
    pub(crate) generation: u8,
    pub(crate) champion: Version,
    pub(crate) previous: Version,
    /// The champion that each version replaced.
    pub(crate) replaced: [Version; VERSIONS],
    pub(crate) versions: Version,
    /// The last run; under way unless it has ended.
    pub(crate) run: Option<Run>,
    /// The rollback that is under way: from, to.
    pub(crate) rollback: Option<(Version, Version)>,
    /// Whether the last change of the champion was a rollback.
    pub(crate) is_rolled_back: bool,
    /// Which requests were answered.
    pub(crate) answered: u8,
}

impl Item {
    pub(crate) fn active(&self) -> Option<Run> {
        self.run.filter(|it| !it.status.is_terminal())
    }
}

/// The items that all models share, slots and queue, as one: every record that changes one is conditional on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Slots {
    pub(crate) generation: u8,
    /// Who waits for one, the longest first: the fleet's queue, which moves in the same transactions.
    pub(crate) waiting: Vec<(u8, u8)>,
    /// Who holds one: model and run number.
    pub(crate) holders: Vec<(u8, u8)>,
    /// How many are held, where that is counted instead.
    pub(crate) count: u8,
}

/// An execution in the service, which starts one for each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Execution {
    pub(crate) model: u8,
    pub(crate) run: u8,
    /// Another for each start, where the key is not the run's alone.
    pub(crate) attempt: u8,
    pub(crate) status: Service,
}

/// What the service says about an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Service {
    Running,
    /// Asked to stop.
    Stopping,
    Succeeded,
    Failed,
    Stopped,
}

/// What a worker was woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Errand {
    /// A person or a schedule asks for a run.
    Trigger,
    /// `start-retraining` and `evaluate-candidate`: the run up to its evaluation.
    Train,
    /// `promote-model`: promotion, rollback under way, and setting the endpoint right.
    Promote,
    /// A person's request to take the champion back, by its number.
    RollBack(u8),
}

/// An action on a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Serve(Version),
    Start,
    Stop,
    /// Count one more holder, where slots are counted.
    Count,
}

/// What a worker remembers of the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    pub(crate) model: u8,
    pub(crate) errand: Errand,
    pub(crate) item: Item,
    /// What it did since it began, and must not do again before it records.
    pub(crate) performed: Option<Step>,
}

/// Where a worker stands between two of its calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Worker {
    Idle,
    /// HEAD and the run were read.
    Loaded(Seen),
    /// The slots were read, too.
    LoadedSlots(Seen, Slots),
    /// It was decided to perform a step.
    Performing(Seen, Step),
    /// The execution was started; that is recorded next, under what was read before.
    Started(Seen),
    /// A step was performed; the state is read anew.
    Performed {
        model: u8,
        errand: Errand,
        step: Step,
    },
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) items: Vec<Item>,
    pub(crate) slots: Slots,
    pub(crate) executions: Vec<Execution>,
    /// What each endpoint serves.
    pub(crate) serving: Vec<Version>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) crashes: u8,
    /// How many events each log has.
    pub(crate) events: Vec<u8>,
    /// How often each model went back since its last promotion.
    pub(crate) back_in_row: Vec<u8>,
    /// What happened that never may.
    pub(crate) broken: Option<&'static str>,
    pub(crate) has_conflicted: bool,
}

impl State {
    pub(crate) fn running(&self) -> impl Iterator<Item = &Execution> {
        self.executions.iter().filter(|it| matches!(it.status, Service::Running | Service::Stopping))
    }

    /// How many runs wait for a slot.
    pub(crate) fn queued(&self) -> usize {
        self.items.iter().filter(|it| it.run.is_some_and(|run| run.status == RunStatus::Queued)).count()
    }

    /// The holders that the runs' statuses add up to.
    pub(crate) fn expected_holders(&self) -> Vec<(u8, u8)> {
        let holds = |(model, item): (usize, &Item)| {
            let run = item.run.filter(|it| it.status.holds_slot())?;
            Some((model as u8, run.number))
        };
        self.items.iter().enumerate().filter_map(holds).collect()
    }
}
