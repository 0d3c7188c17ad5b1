//! Plays a workflow: one event at a time, with faults at calls, and checks every invariant after every step.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use crate::memory::faults::{Call, Calm, Fault, FaultPlan, Faults};
use crate::memory::{Delivered, Delivery, MemoryWorld, Ran, WorldSnapshot, policy, scheduled_event};
use crate::sim::pairs::Injection;
use crate::sim::{Checker, Recorder, Violation};
use jiff::SignedDuration;
use refit_app::ErrorClass;
use refit_handlers::Function;

use super::summary::Summary;
use super::worlds::{self, Base};
use super::{Action, Workflow};

/// How many sweeps heal what a fault left behind. After the first everything that was under way is under way again;
/// the others let waits of five minutes pass.
pub(crate) const SWEEPS: u32 = 3;
/// Between two sweeps; longer than the poll interval, and all together far from the day's next check.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(6);
/// Above what any history needs.
pub(crate) const MAX_STEPS: usize = 2_000;

/// Whether an event whose function failed or died comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redelivery {
    /// It does, as Lambda does it.
    Again,
    /// It is lost, unless it comes from a queue or the table's stream, which keep what was not taken. The sweep heals.
    Lost,
}

/// In which order the bus delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivering {
    /// The oldest first.
    InOrder,
    /// Each event twice, one right after the other.
    Twice,
    /// The newest first.
    NewestFirst,
}

/// A moment of a history between two steps, to go back to.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// How many calls there were.
    pub calls: u64,
    /// The world.
    pub world: WorldSnapshot,
    /// What the checker had seen.
    pub checker: Checker,
    action: usize,
    sweeps: u32,
}

impl Checkpoint {
    /// Where a workflow begins.
    #[must_use]
    pub fn start(workflow: &Workflow) -> Checkpoint {
        let Base { world, checker } = workflow.base;
        Checkpoint { calls: 0, world: world.clone(), checker: checker.clone(), action: 0, sweeps: 0 }
    }

    /// A hash of everything that the rest of the history depends on, and nothing else.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Checkpoint { calls: _, world, checker, action, sweeps } = self;
        let mut hasher = DefaultHasher::new();
        (world, checker, action, sweeps).hash(&mut hasher);
        hasher.finish()
    }
}

/// One history of a workflow.
#[derive(Debug)]
pub struct Player<'a> {
    workflow: &'a Workflow,
    /// The world.
    pub world: MemoryWorld,
    recorder: Arc<Recorder>,
    /// What it has seen so far.
    pub checker: Checker,
    faults: Faults,
    action: usize,
    injected: u64,
    sweeps: u32,
    /// Calls at which a crash loses the event, too.
    losing: Vec<u64>,
    delivering: Delivering,
    /// Every delivery there was.
    pub seen: Vec<Delivery>,
    /// The moments between two steps, when they are recorded.
    pub checkpoints: Vec<Checkpoint>,
    is_recording: bool,
}

impl<'a> Player<'a> {
    /// A history from the beginning.
    pub fn new(workflow: &'a Workflow, plan: impl FaultPlan + 'static) -> Player<'a> {
        Player::resume(workflow, &Checkpoint::start(workflow), plan)
    }

    /// A history that goes on from a moment of another.
    pub fn resume(workflow: &'a Workflow, from: &Checkpoint, plan: impl FaultPlan + 'static) -> Player<'a> {
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
            sweeps: from.sweeps,
            losing: Vec::new(),
            delivering: Delivering::InOrder,
            seen: Vec::new(),
            checkpoints: Vec::new(),
            is_recording: false,
        }
    }

    /// Loses the event whose function dies at one of these calls.
    #[must_use]
    pub fn losing(mut self, calls: Vec<u64>) -> Self {
        self.losing = calls;
        self
    }

    /// Another order of deliveries.
    #[must_use]
    pub fn delivering(mut self, delivering: Delivering) -> Self {
        self.delivering = delivering;
        self
    }

    /// Remembers each moment between two steps.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.is_recording = true;
        self
    }

    /// Whether everything is done but the last action.
    pub fn is_at_last_action(&mut self) -> bool {
        self.world.pump();
        self.world.queue.is_empty() && self.sweeps == 0 && self.action + 1 == self.workflow.actions.len()
    }

    /// What is done next once the queue is empty; `None` while a fault is healed and at the end.
    #[must_use]
    pub fn next_action(&self) -> Option<&'a Action> {
        self.workflow.actions.get(self.action).filter(|_| self.sweeps == 0)
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.faults.calls()
    }

    /// How many faults were injected.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.faults.injected()
    }

    /// The moment that is now.
    pub fn checkpoint(&mut self) -> Checkpoint {
        self.world.pump();
        Checkpoint {
            calls: self.faults.calls(),
            world: self.world.snapshot(),
            checker: self.checker.clone(),
            action: self.action,
            sweeps: self.sweeps,
        }
    }

    /// Plays to the end.
    ///
    /// # Errors
    /// The first violation.
    pub fn play(&mut self) -> Result<Summary, Violation> {
        for _ in 0..MAX_STEPS {
            if self.is_recording {
                let now = self.checkpoint();
                self.checkpoints.push(now);
            }
            if !self.tick()? {
                return self.end();
            }
        }
        Err(Violation::new("I1", "the bus does not come to rest"))
    }

    /// Checks the end of a history as a whole.
    ///
    /// # Errors
    /// The first violation.
    pub fn end(&mut self) -> Result<Summary, Violation> {
        self.checker.finish(&self.world)?;
        Ok(Summary::of(&self.world))
    }

    /// Does one thing; `false` at the end.
    ///
    /// # Errors
    /// The first violation.
    pub fn tick(&mut self) -> Result<bool, Violation> {
        let is_playing = self.deliver_next() || self.heal() || self.act();
        self.verify()?;
        Ok(is_playing)
    }

    /// Checks what happened since the last time.
    ///
    /// # Errors
    /// The first violation.
    pub fn verify(&mut self) -> Result<(), Violation> {
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
            Delivered::Failed(_) => {}
            Delivered::Killed => {
                if self.losing.contains(&self.faults.calls()) && !is_kept {
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
                matches!(self.world.apply_policy(&policy, worlds::beginning()), Ran::Done(Ok(())))
            }
            Action::Upload(uri, bytes) => {
                self.world.upload(uri, bytes);
                true
            }
            Action::Finish(ending) => {
                let open = self.world.pipelines.open();
                if let [arn] = &open[..] {
                    self.world.pipelines.finish(arn, ending).expect("invariant: it has not ended");
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
        true
    }
}

/// Notes every call and injects faults at some. Clones are handles on the same notes.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    faults: Vec<Injection>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Notes {
    /// Notes of a history with these faults.
    #[must_use]
    pub fn with(faults: Vec<Injection>) -> Notes {
        Notes { faults, calls: Arc::default() }
    }

    /// What was noted.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl FaultPlan for Notes {
    fn decide(&self, call: &Call) -> Option<Fault> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(*call);
        self.faults.iter().find(|it| it.call == call.index).map(|it| it.fault)
    }
}

/// A workflow without faults: how it ends, its calls, and the moments to go back to.
#[derive(Debug)]
pub struct Undisturbed {
    /// How it ends.
    pub summary: Summary,
    /// Every call of a port.
    pub calls: Vec<Call>,
    /// The moments between two steps.
    pub checkpoints: Vec<Checkpoint>,
    /// Every delivery.
    pub seen: Vec<Delivery>,
    /// The world in the end.
    pub end: WorldSnapshot,
    /// What was seen.
    pub checker: Checker,
}

impl Undisturbed {
    /// Plays a workflow without faults.
    ///
    /// # Panics
    /// When it breaks an invariant without any fault.
    #[track_caller]
    #[must_use]
    pub fn play(workflow: &Workflow) -> Undisturbed {
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
    #[must_use]
    pub fn before(&self, call: u64) -> &Checkpoint {
        let later = self.checkpoints.partition_point(|it| it.calls < call);
        &self.checkpoints[later.saturating_sub(1)]
    }
}

/// A history without faults in another order of deliveries.
///
/// # Errors
/// The first violation.
pub fn play_delivering(workflow: &Workflow, delivering: Delivering) -> Result<(Summary, Checker), Violation> {
    let mut player = Player::new(workflow, Calm).delivering(delivering);
    let summary = player.play()?;
    Ok((summary, player.checker))
}
