//! The planners in small: what comes next for one model, as `refit_core::plan` decides it.

use refit_core::run::{RunEvent, RunStatus};

use crate::state::{Errand, Execution, Item, Run, Seen, Service, Slots, Step, Version};
use crate::weakness::Weakness;

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    Requested,
    /// The run moves by this event.
    Moved(RunEvent),
    Promoted,
    RollbackStarted(u8),
    RolledBack,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    Record(Fact),
    Perform(Step),
    Wait,
}

/// How what is left to chance turns out: gates and deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Luck {
    Good,
    Bad,
}

/// Whether the plan for what was seen looks at the slots or changes them.
pub(crate) fn needs_slots(seen: &Seen) -> bool {
    let is_near = |run: Run| matches!(run.status, RunStatus::Requested | RunStatus::Queued) || run.status.holds_slot();
    seen.errand == Errand::Train && seen.item.active().is_some_and(is_near)
}

pub(crate) struct Planner<'a> {
    pub(crate) weakness: Weakness,
    pub(crate) runs: u8,
    /// Whether there is a free slot and it is the run's turn.
    pub(crate) turn: &'a dyn Fn(&Slots, (u8, u8)) -> bool,
    pub(crate) executions: &'a [Execution],
    pub(crate) serving: Version,
}

impl Planner<'_> {
    pub(crate) fn plan(&self, seen: &Seen, slots: Option<&Slots>, luck: Luck) -> Plan {
        let item = &seen.item;
        match seen.errand {
            Errand::Trigger => {
                let is_allowed = item.active().is_none() && item.run.map_or(0, |it| it.number) < self.runs;
                if is_allowed { Plan::Record(Fact::Requested) } else { Plan::Wait }
            }
            Errand::Train => item.active().map_or(Plan::Wait, |run| self.plan_run(seen, run, slots, luck)),
            Errand::Promote => self.plan_promote(seen),
            Errand::RollBack(number) => self.plan_request(item, number),
        }
    }

    fn plan_request(&self, item: &Item, number: u8) -> Plan {
        let is_answered = item.answered & (1 << number) != 0;
        let is_repeated = (is_answered || item.is_rolled_back) && self.weakness != Weakness::RollbackUnbound;
        if is_repeated || item.rollback.is_some() || item.previous == 0 {
            return Plan::Wait;
        }
        Plan::Record(Fact::RollbackStarted(number))
    }

    fn plan_run(&self, seen: &Seen, run: Run, slots: Option<&Slots>, luck: Luck) -> Plan {
        let moved = |event| Plan::Record(Fact::Moved(event));
        let observed = self.executions.iter().find(|it| it.model == seen.model && it.run == run.number);
        let is_its_turn = slots.is_some_and(|it| (self.turn)(it, (seen.model, run.number)));
        match run.status {
            RunStatus::Requested => moved(RunEvent::Freeze),
            RunStatus::Queued if self.weakness == Weakness::Counter => match seen.performed {
                Some(Step::Count) => moved(RunEvent::TakeSlot),
                _ if is_its_turn => Plan::Perform(Step::Count),
                _ => Plan::Wait,
            },
            RunStatus::Queued if is_its_turn => moved(RunEvent::TakeSlot),
            RunStatus::Starting => Plan::Perform(Step::Start),
            RunStatus::Training => match (observed.map(|it| it.status), luck) {
                (Some(Service::Succeeded), _) => moved(RunEvent::ExecutionSucceeded),
                (Some(Service::Failed), _) => moved(RunEvent::Fail),
                (Some(Service::Stopped), _) => moved(RunEvent::Cancel),
                (Some(Service::Running | Service::Stopping), Luck::Bad) => moved(RunEvent::Stop),
                (Some(Service::Running | Service::Stopping) | None, _) => Plan::Wait,
            },
            RunStatus::Stopping => match observed.map(|it| it.status) {
                Some(Service::Running) if seen.performed != Some(Step::Stop) => Plan::Perform(Step::Stop),
                Some(Service::Running | Service::Stopping) | None => Plan::Wait,
                Some(Service::Succeeded | Service::Failed | Service::Stopped) => moved(RunEvent::TimeOut),
            },
            RunStatus::Evaluating if run.basis != seen.item.champion => moved(RunEvent::Reject),
            RunStatus::Evaluating => match luck {
                Luck::Good => moved(RunEvent::Announce),
                Luck::Bad => moved(RunEvent::Reject),
            },
            _ => Plan::Wait,
        }
    }

    fn plan_promote(&self, seen: &Seen) -> Plan {
        let item = &seen.item;
        if let Some((_, to)) = item.rollback {
            return self.serve_then(seen, to, Fact::RolledBack);
        }
        let run = item.active();
        let is_based = |run: Run| run.basis == item.champion || self.weakness == Weakness::PromoteOverAnyone;
        match run.map(|it| (it.status, it)) {
            Some((RunStatus::Announced | RunStatus::RollingOut, run)) if !is_based(run) => {
                Plan::Record(Fact::Moved(RunEvent::Reject))
            }
            Some((RunStatus::Announced, _)) => Plan::Record(Fact::Moved(RunEvent::BeginRollout)),
            Some((RunStatus::RollingOut, run)) => self.serve_then(seen, run.candidate, Fact::Promoted),
            Some(_) | None => {
                let is_right = self.serving == item.champion || seen.performed == Some(Step::Serve(item.champion));
                if is_right { Plan::Wait } else { Plan::Perform(Step::Serve(item.champion)) }
            }
        }
    }

    fn serve_then(&self, seen: &Seen, version: Version, fact: Fact) -> Plan {
        if seen.performed == Some(Step::Serve(version)) {
            Plan::Record(fact)
        } else {
            Plan::Perform(Step::Serve(version))
        }
    }
}
