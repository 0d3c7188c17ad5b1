//! Plays a workflow: one event at a time, with a fault at one call, and checks every invariant after every step.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use refit_app::ErrorClass;
use refit_handlers::Function;
use refit_local::memory::faults::{At, Call, Calm, Fault, FaultPlan, Faults};
use refit_local::memory::{Delivered, Delivery, MemoryWorld, Ran, WorldSnapshot, policy, scheduled_event};
use refit_local::sim::{Checker, Recorder, Violation};

use super::summary::Summary;
use super::workflows::{Action, Workflow};

/// How many sweeps heal what a fault left behind. After the first everything that was under way is under way again;
/// the others let waits of five minutes pass.
pub(crate) const SWEEPS: u32 = 3;
/// Between two sweeps; longer than the poll interval, and all together far from the day's next check.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(6);
/// Above what any history needs.
const MAX_STEPS: usize = 2_000;

/// Whether an event whose function failed or died comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Redelivery {
    /// It does, as Lambda does it.
    Again,
    /// It is lost, unless it comes from a queue or the table's stream, which keep what was not taken. The sweep heals.
    Lost,
}

/// In which order the bus delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivering {
    InOrder,
    /// Each event twice, one right after the other.
    Twice,
    /// The newest first.
    NewestFirst,
}

/// A moment of a history to go back to.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    pub(crate) calls: u64,
    pub(crate) world: WorldSnapshot,
    pub(crate) checker: Checker,
    action: usize,
}

/// One history of a workflow.
pub(crate) struct Player<'a> {
    workflow: &'a Workflow,
    pub(crate) world: MemoryWorld,
    recorder: Arc<Recorder>,
    pub(crate) checker: Checker,
    faults: Faults,
    action: usize,
    injected: u64,
    sweeps: u32,
    redelivery: Redelivery,
    delivering: Delivering,
    /// Whether the last thing that was done failed or died, so that it comes again.
    has_failed: bool,
    /// Every delivery there was.
    pub(crate) seen: Vec<Delivery>,
    pub(crate) checkpoints: Vec<Checkpoint>,
    is_recording: bool,
}

impl<'a> Player<'a> {
    pub(crate) fn new(workflow: &'a Workflow, plan: impl FaultPlan + 'static) -> Player<'a> {
        let start = Checkpoint {
            calls: 0,
            world: workflow.base.world.clone(),
            checker: workflow.base.checker.clone(),
            action: 0,
        };
        Player::resume(workflow, &start, plan)
    }

    pub(crate) fn resume(workflow: &'a Workflow, from: &Checkpoint, plan: impl FaultPlan + 'static) -> Player<'a> {
        let mut world = MemoryWorld::at(&from.world);
        let recorder = Recorder::watch(&mut world);
        let faults = Faults::resume(plan, from.calls);
        world.set_faults(faults.clone());
        Player {
            workflow,
            world,
            recorder,
            checker: from.checker.clone(),
            faults,
            action: from.action,
            injected: 0,
            sweeps: 0,
            redelivery: Redelivery::Again,
            delivering: Delivering::InOrder,
            has_failed: false,
            seen: Vec::new(),
            checkpoints: Vec::new(),
            is_recording: false,
        }
    }

    pub(crate) fn losing(mut self, redelivery: Redelivery) -> Self {
        self.redelivery = redelivery;
        self
    }

    pub(crate) fn delivering(mut self, delivering: Delivering) -> Self {
        self.delivering = delivering;
        self
    }

    /// Remembers each moment between two steps.
    pub(crate) fn recording(mut self) -> Self {
        self.is_recording = true;
        self
    }

    /// Whether everything is done but the last action.
    pub(crate) fn is_at_last_action(&mut self) -> bool {
        self.world.pump();
        self.world.queue.is_empty() && self.sweeps == 0 && self.action + 1 == self.workflow.actions.len()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.faults.calls()
    }

    pub(crate) fn injected(&self) -> u64 {
        self.faults.injected()
    }

    /// Plays to the end.
    pub(crate) fn play(&mut self) -> Result<Summary, Violation> {
        for _ in 0..MAX_STEPS {
            if self.is_recording {
                self.world.pump();
                self.checkpoints.push(Checkpoint {
                    calls: self.faults.calls(),
                    world: self.world.snapshot(),
                    checker: self.checker.clone(),
                    action: self.action,
                });
            }
            if !self.tick()? {
                self.checker.finish(&self.world)?;
                return Ok(Summary::of(&self.world));
            }
        }
        Err(Violation::new("I1", "the bus does not come to rest"))
    }

    /// Does one thing; `false` at the end.
    pub(crate) fn tick(&mut self) -> Result<bool, Violation> {
        self.has_failed = false;
        let is_playing = self.deliver_next() || self.heal() || self.act();
        self.verify()?;
        Ok(is_playing)
    }

    /// Checks what happened since the last time.
    pub(crate) fn verify(&mut self) -> Result<(), Violation> {
        let injected = self.faults.injected();
        if self.injected < injected {
            self.injected = injected;
            self.sweeps = SWEEPS;
        }
        self.checker.check(&self.world, &self.recorder.take())
    }

    fn deliver_next(&mut self) -> bool {
        self.world.pump();
        let next = match self.delivering {
            Delivering::InOrder | Delivering::Twice => self.world.queue.pop_front(),
            Delivering::NewestFirst => self.world.queue.pop_back(),
        };
        let Some(next) = next else { return false };
        let delivered = self.world.deliver(next.clone());
        let is_kept = matches!(next.function, Function::PublishEvents | Function::RecordWindow);
        match delivered {
            Delivered::Answered(_) => {
                if self.delivering == Delivering::Twice {
                    self.world.call(next.function, &next.event);
                }
            }
            Delivered::Failed(_) | Delivered::Killed => {
                self.has_failed = true;
                if self.redelivery == Redelivery::Lost && !is_kept {
                    self.world.queue.pop_front();
                }
            }
        }
        self.seen.push(next);
        true
    }

    /// Sweeps after a fault, until what it left behind is healed.
    fn heal(&mut self) -> bool {
        if self.sweeps == 0 {
            return false;
        }
        self.sweeps -= 1;
        self.world.clock.advance(SWEEP_EVERY);
        self.world.send(scheduled_event());
        true
    }

    fn act(&mut self) -> bool {
        let Some(action) = self.workflow.actions.get(self.action) else { return false };
        let is_done = match action {
            Action::Ask(function, request) => {
                let first = self.world.call(*function, request);
                if self.delivering == Delivering::Twice && matches!(first, Delivered::Answered(_)) {
                    self.world.call(*function, request);
                }
                match first {
                    Delivered::Answered(_) => true,
                    Delivered::Killed => false,
                    Delivered::Failed(error) => error.class() == ErrorClass::Bug,
                }
            }
            Action::Apply(promotion) => {
                let policy = policy(*promotion);
                matches!(self.world.apply_policy(&policy, super::worlds::beginning()), Ran::Done(Ok(())))
            }
            Action::Upload(uri, bytes) => {
                self.world.upload(uri, bytes);
                true
            }
            Action::Finish(ending) => {
                let open = self.world.pipelines.open();
                if let [arn] = &open[..] {
                    self.world.pipelines.finish(arn, ending).expect("it has not ended");
                }
                true
            }
            Action::Wait(time) => {
                self.world.clock.advance(*time);
                self.world.send(scheduled_event());
                true
            }
        };
        // A killed caller is nobody's future that waits: the flag is for the next one.
        let _ = self.faults.has_crashed();
        if is_done {
            self.action += 1;
        }
        self.has_failed = !is_done;
        true
    }
}

/// Notes every call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<Call>>>);

impl Notes {
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.lock().expect("no test panics while it notes").clone()
    }
}

impl FaultPlan for Notes {
    fn decide(&self, call: &Call) -> Option<Fault> {
        self.0.lock().expect("no test panics while it notes").push(*call);
        None
    }
}

/// A workflow without faults: how it ends, its calls, and the moments to go back to.
pub(crate) struct Undisturbed {
    pub(crate) summary: Summary,
    pub(crate) calls: Vec<Call>,
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) seen: Vec<Delivery>,
    pub(crate) end: WorldSnapshot,
    pub(crate) checker: Checker,
}

impl Undisturbed {
    #[track_caller]
    pub(crate) fn play(workflow: &Workflow) -> Undisturbed {
        let notes = Notes::default();
        let mut player = Player::new(workflow, notes.clone()).recording();
        let summary = player.play().unwrap_or_else(|violation| panic!("{}: {violation}", workflow.name));
        assert_eq!(player.world.dead_letters, [""; 0], "{}", workflow.name);
        Undisturbed {
            summary,
            calls: notes.calls(),
            checkpoints: std::mem::take(&mut player.checkpoints),
            seen: std::mem::take(&mut player.seen),
            end: player.world.snapshot(),
            checker: player.checker.clone(),
        }
    }

    /// The last moment before a call.
    pub(crate) fn before(&self, call: u64) -> &Checkpoint {
        let later = self.checkpoints.partition_point(|it| it.calls < call);
        &self.checkpoints[later.saturating_sub(1)]
    }
}

/// What was tried on one workflow.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) calls: usize,
    /// Faults that were injected.
    pub(crate) runs: usize,
    /// Those whose aftermath was another than any before, and was played to its end.
    pub(crate) played: usize,
    pub(crate) problems: Vec<String>,
}

/// What a fault leaves behind when its function does nothing more: the step it hit, and how many writes of that step were
/// applied. Functions keep nothing in memory, so that equal aftermaths go on equally; each is played once.
type Aftermath = (u64, usize, Redelivery);

/// Plays the workflow with every fault at every call, with and without redelivery, and compares the ends.
pub(crate) fn play_every_fault(workflow: &Workflow) -> Tally {
    let undisturbed = Undisturbed::play(workflow);
    let mut tally = Tally { calls: undisturbed.calls.len(), ..Tally::default() };
    let mut known: BTreeSet<Aftermath> = BTreeSet::new();
    for call in &undisturbed.calls {
        for fault in Fault::ALL.into_iter().filter(|it| *it != Fault::Pause && it.applies_to(call)) {
            let kinds: &[Redelivery] = match fault {
                Fault::CrashBefore | Fault::CrashAfter => &[Redelivery::Again, Redelivery::Lost],
                _ => &[Redelivery::Again],
            };
            for redelivery in kinds {
                tally.runs += 1;
                let problem =
                    play_fault(workflow, &undisturbed, call, fault, *redelivery, &mut known, &mut tally.played);
                tally
                    .problems
                    .extend(problem.map(|it| format!("{}: {fault:?} at {call}, {redelivery:?}: {it}", workflow.name)));
            }
        }
    }
    tally
}

fn play_fault(
    workflow: &Workflow,
    undisturbed: &Undisturbed,
    call: &Call,
    fault: Fault,
    redelivery: Redelivery,
    known: &mut BTreeSet<Aftermath>,
    played: &mut usize,
) -> Option<String> {
    let before = undisturbed.before(call.index);
    let is_applied = matches!(fault, Fault::CrashAfter | Fault::UnavailableAfter | Fault::ConflictAfter);
    let is_earlier = |it: &&Call| before.calls < it.index && it.index < call.index && it.is_write;
    let writes = undisturbed.calls.iter().filter(is_earlier).count() + usize::from(is_applied);
    let aftermath: Aftermath = (before.calls, writes, redelivery);
    if matches!(fault, Fault::CrashBefore | Fault::CrashAfter) && known.contains(&aftermath) {
        return None;
    }
    let mut player = Player::resume(workflow, before, At { index: call.index, fault }).losing(redelivery);
    if let Err(violation) = player.tick() {
        return Some(violation.to_string());
    }
    if player.injected() != 1 {
        return Some("the fault was not injected".to_owned());
    }
    if player.has_failed && player.calls() == call.index && !known.insert(aftermath) {
        return None;
    }
    *played += 1;
    match player.play() {
        Err(violation) => Some(violation.to_string()),
        Ok(summary) if summary != undisturbed.summary => {
            Some(format!("another end:\n{summary:#?}\ninstead of\n{:#?}", undisturbed.summary))
        }
        Ok(_) => player.world.dead_letters.first().filter(|_| redelivery == Redelivery::Again).cloned(),
    }
}

/// The distinct first words of problems, for a short message.
pub(crate) fn classes(problems: &[String]) -> BTreeSet<String> {
    problems.iter().map(|it| it.lines().next().unwrap_or_default().to_owned()).collect()
}

/// A history without faults in another order of deliveries.
pub(crate) fn play_delivering(workflow: &Workflow, delivering: Delivering) -> Result<(Summary, Checker), Violation> {
    let mut player = Player::new(workflow, Calm).delivering(delivering);
    let summary = player.play()?;
    Ok((summary, player.checker))
}
