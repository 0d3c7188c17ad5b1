//! One schedule: a fleet, workers that interleave at their calls, and a seed that says what happens next.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use jiff::SignedDuration;
use refit_app::ports::{Clock, Write};
use refit_app::use_cases::policy::apply;
use refit_app::{AppError, ErrorClass};
use refit_core::audit::AuditEntry;
use refit_core::{Actor, ModelId};
use refit_handlers::{Function, Response, handle};

use super::actions::Mood;
use super::base::{Base, FLEETS, Fleet, base, beginning, policy};
use super::checks::{Checked, Checker, Violation};
use super::dice::{Dice, Mask, Rates, Skew, SkewedClock};
use super::record::Recorder;
use super::report::{Ended, Stats};
use super::rng::{Rng, TraceHash};
use crate::memory::faults::Faults;
use crate::memory::{Delivery, MemoryWorld};

/// Most workers at a time.
const WORKERS: usize = 3;
/// Above what one function calls without being frozen: fleets of schedules are small.
pub(super) const MOST_CALLS: u64 = 600;
/// Where the seed of a schedule as a whole is drawn from.
const WHOLE: u64 = u64::MAX;

/// What a worker works on.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// An event, or a person's request.
    Event(Delivery),
    /// An event that concerns nobody: nothing may come of it.
    Noise(Delivery),
    /// An administrator applies a policy.
    Apply(Fleet),
}

impl Display for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Work::Event(delivery) => write!(f, "{delivery}"),
            Work::Noise(delivery) => write!(f, "noise: {delivery}"),
            Work::Apply(_) => f.write_str("apply"),
        }
    }
}

type Working = Pin<Box<dyn Future<Output = Result<Option<Response>, AppError>> + Send>>;

/// A function under way.
struct Worker {
    work: Work,
    future: Working,
    faults: Faults,
    id: u64,
}

/// What a schedule is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Profile {
    pub(super) steps: u64,
    pub(super) rates: Rates,
    /// How often the bus does not deliver the oldest event first.
    pub(super) reorder: u32,
    /// How often it delivers an event twice.
    pub(super) duplicate: u32,
    /// How often it loses one.
    pub(super) lose: u32,
    /// What it is mostly about.
    pub(super) mood: Mood,
    /// How long after its start an execution is neither listed nor described.
    pub(super) lag: SignedDuration,
    /// Whether workers that are frozen when faults stop go on, or are gone.
    pub(super) thaws: bool,
}

impl Profile {
    fn draw(rng: &mut Rng) -> Profile {
        let fault = *rng.pick(&[0, 5, 20, 60, 150]).unwrap_or(&0);
        let pause = *rng.pick(&[0, 10, 40, 100]).unwrap_or(&0);
        let steps = draw_steps(rng);
        let lag = SignedDuration::from_secs(*rng.pick(&[0, 0, 0, 240]).unwrap_or(&0));
        let mood = *rng.pick(&Mood::ALL).unwrap_or(&Mood::Mixed);
        // A race for slots needs somebody who is frozen meanwhile.
        let pause = if mood == Mood::Slots { pause.max(40) } else { pause };
        Profile {
            steps,
            rates: Rates { fault, pause },
            reorder: *rng.pick(&[0, 100, 500]).unwrap_or(&0),
            duplicate: *rng.pick(&[0, 50, 200]).unwrap_or(&0),
            lose: *rng.pick(&[0, 0, 50, 200]).unwrap_or(&0),
            mood,
            lag,
            thaws: rng.chance(700),
        }
    }
}

/// Which fleet a seed's schedule begins with.
pub(super) fn fleet_of(seed: u64) -> u64 {
    Rng::at(seed, WHOLE, 0).draw() % FLEETS
}

/// Most histories are short, for most of what goes wrong needs little; what needs much comes in the few long ones.
fn draw_steps(rng: &mut Rng) -> u64 {
    let (low, high) = match rng.below(20) {
        0..13 => (5, 15),
        13..18 => (16, 30),
        _ => (31, 60),
    };
    u64::try_from(rng.between(low, high)).unwrap_or(10)
}

/// One schedule as it is played.
pub struct Simulation {
    pub(super) seed: u64,
    mask: Arc<Mask>,
    /// What it began with.
    pub(super) base: Arc<Base>,
    pub(super) fleet: Fleet,
    pub(super) profile: Profile,
    pub(super) world: MemoryWorld,
    recorder: Arc<Recorder>,
    pub(super) checker: Checker,
    pub(super) dice: Dice,
    workers: Vec<Worker>,
    pub(super) machines: Vec<SkewedClock>,
    /// Numbers steps, requests and workers.
    pub(super) step: u64,
    pub(super) requests: u64,
    /// What people asked for, in order.
    pub(super) asked: Vec<Delivery>,
    spawned: u64,
    faults_told: usize,
    pub(super) stats: Stats,
    hash: TraceHash,
    trace: Option<Vec<String>>,
}

impl Simulation {
    /// The schedule of a seed, without what the mask leaves out.
    #[must_use]
    pub fn new(seed: u64, mask: &Mask) -> Simulation {
        let mut rng = Rng::at(seed, WHOLE, 0);
        let base: Arc<Base> = base(rng.draw());
        let profile = Profile::draw(&mut rng);
        let mask = Arc::new(mask.clone());
        let mut world = MemoryWorld::at(&base.world);
        let recorder = Recorder::watch(&mut world);
        world.pipelines.set_lag(profile.lag);
        let mut skew = || if profile.lag.is_zero() { draw_skew(&mut rng) } else { Skew::default() };
        let machines = (0..WORKERS).map(|_| SkewedClock::new(&world.clock, beginning(), skew())).collect();
        let dice = Dice::new(seed, Arc::clone(&mask), profile.rates);
        Simulation {
            seed,
            mask,
            fleet: base.fleet.clone(),
            profile,
            world,
            recorder,
            checker: base.checker.clone(),
            base,
            dice,
            workers: Vec::new(),
            machines,
            step: 0,
            requests: 0,
            asked: Vec::new(),
            spawned: 0,
            faults_told: 0,
            stats: Stats::default(),
            hash: TraceHash::default(),
            trace: None,
        }
    }

    /// Lets the schedule write down what happens.
    #[must_use]
    pub fn traced(mut self) -> Simulation {
        self.trace = Some(Vec::new());
        self
    }

    /// Plays the schedule to its end.
    #[must_use]
    pub fn play(mut self) -> Ended {
        self.tell(|it| format!("fleet {:?}; {:?}; skews {:?}", it.fleet, it.profile, it.skews()));
        let played = self.disturb().and_then(|()| self.settle());
        let violation = played.err();
        self.stats.schedules = 1;
        self.stats.calls = self.dice.calls();
        self.stats.faults = self.dice.counts();
        self.hash.add(self.dice.hash());
        Ended {
            seed: self.seed,
            violation,
            stats: self.stats,
            hash: self.hash.value(),
            steps: self.step,
            injected: self.dice.injected(),
            trace: self.trace.unwrap_or_default(),
        }
    }

    /// Plays a part of phase 1: the world, its slots and its models as they are then.
    pub(super) fn interrupt(mut self) -> (MemoryWorld, usize, Vec<ModelId>) {
        self.profile.steps = Rng::at(self.seed, WHOLE, 1).draw() % self.profile.steps;
        // What is wrong here is found by other schedules.
        let _ = self.disturb();
        let models = self.model_ids();
        self.workers.clear();
        self.world.publisher.bring_up();
        self.world.pipelines.set_quota(None);
        self.world.pipelines.set_lag(SignedDuration::ZERO);
        (self.world, self.fleet.0, models)
    }

    fn skews(&self) -> Vec<i64> {
        self.machines.iter().map(|it| it.ahead().as_secs()).collect()
    }

    /// Phase 1: faults are on.
    fn disturb(&mut self) -> Checked {
        for _ in 0..self.profile.steps {
            self.next_step();
            if self.mask.steps.contains(&self.step) {
                continue;
            }
            let mut rng = Rng::at(self.seed, self.step, 0);
            self.world.pump();
            let chosen = rng.below(100);
            if chosen < 35 && !self.workers.is_empty() {
                let index = rng.below(self.workers.len());
                self.go_on(index)?;
            } else if chosen < 75 && !self.world.queue.is_empty() && !self.is_full() {
                self.deliver(&mut rng)?;
            } else {
                self.act(&mut rng)?;
            }
        }
        Ok(())
    }

    pub(super) fn next_step(&mut self) -> Rng {
        self.step += 1;
        self.hash.add(self.step);
        self.dice.begin(self.step);
        Rng::at(self.seed, self.step, 0)
    }

    /// The bus delivers one of its events, or loses it.
    fn deliver(&mut self, rng: &mut Rng) -> Checked {
        let index = if rng.chance(self.profile.reorder) { rng.below(self.world.queue.len()) } else { 0 };
        let Some(delivery) = self.world.queue.remove(index) else { return Ok(()) };
        self.stats.reordered += u64::from(index != 0);
        // A queue and the table's stream keep what was not taken.
        let is_kept = is_kept(&delivery);
        if !is_kept && rng.chance(self.profile.lose) {
            self.stats.lost += 1;
            self.tell(|_| format!("lost: {delivery}"));
            return Ok(());
        }
        if rng.chance(self.profile.duplicate) {
            self.stats.duplicated += 1;
            self.tell(|_| format!("comes twice: {delivery}"));
            self.world.queue.push_back(delivery.clone());
        }
        self.start(Work::Event(delivery), rng)
    }

    /// A worker begins.
    pub(super) fn start(&mut self, work: Work, rng: &mut Rng) -> Checked {
        let machine = rng.below(self.machines.len());
        let faults = Faults::new(self.dice.clone());
        let mut ports = self.world.ports();
        ports.clock = Arc::new(self.machines[machine].clone());
        let context = self.world.context_of(faults.wrap(ports));
        let future: Working = match &work {
            Work::Event(delivery) | Work::Noise(delivery) => {
                let (function, event) = (delivery.function, Arc::clone(&delivery.event));
                Box::pin(async move { handle(function, &context, &event).await.map(Some) })
            }
            Work::Apply(fleet) => {
                let policy = policy(fleet);
                self.checker.learn(&policy);
                Box::pin(
                    async move { apply(&context, &policy, &Actor::person("admin"), beginning()).await.map(|()| None) },
                )
            }
        };
        self.spawned += 1;
        let id = self.spawned;
        self.tell(|_| format!("worker {id} on machine {}: {work}", machine + 1));
        self.workers.push(Worker { work, future, faults, id });
        self.go_on(self.workers.len() - 1)
    }

    /// A worker goes on until it is done, dies, or is frozen.
    pub(super) fn go_on(&mut self, index: usize) -> Checked {
        let worker = &mut self.workers[index];
        let id = worker.id;
        let is_noise = matches!(worker.work, Work::Noise(_));
        let polled = worker.future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()));
        let outcome = match polled {
            Poll::Ready(outcome) => {
                let worker = self.workers.remove(index);
                self.tell(|_| format!("  worker {id}: {}", describe(&outcome)));
                self.finish(worker.work, Some(outcome))
            }
            Poll::Pending if worker.faults.has_crashed() => {
                let worker = self.workers.remove(index);
                self.tell(|_| format!("  worker {id} died"));
                self.finish(worker.work, None)
            }
            Poll::Pending => {
                self.tell(|_| format!("  worker {id} is frozen"));
                Ok(())
            }
        };
        let calls = self.dice.calls_of_step();
        self.stats.most_calls = self.stats.most_calls.max(calls);
        if MOST_CALLS < calls {
            return Err(Violation::new("I2", format!("a function made {calls} calls at once")));
        }
        let written = self.verify()?;
        if is_noise && 0 < written {
            return Err(Violation::new("E5", "an event that concerns nobody changed the table"));
        }
        outcome
    }

    /// What becomes of a worker's event; what failed comes again, some times.
    fn finish(&mut self, work: Work, outcome: Option<Result<Option<Response>, AppError>>) -> Checked {
        if let Some(Err(error)) = &outcome
            && error.class() == ErrorClass::Bug
        {
            return Err(Violation::new("I4", format!("{work}: {}", refit_app::chain(error))));
        }
        let has_failed = !matches!(outcome, Some(Ok(_)));
        match work {
            Work::Noise(delivery) => {
                if let Some(Err(error)) = &outcome
                    && error.class() == ErrorClass::Rejected
                {
                    let why = refit_app::chain(error);
                    return Err(Violation::new("E5", format!("{delivery}, which is wrong, is retried: {why}")));
                }
                let answer = outcome.and_then(Result::ok).flatten().map_or("ignored", |it| it.outcome);
                if answer == "done" {
                    return Err(Violation::new("E5", format!("{delivery}, which concerns nobody, was taken")));
                }
            }
            Work::Event(delivery) if has_failed => {
                if is_kept(&delivery) {
                    self.world.queue.push_back(delivery);
                } else if 0 < delivery.retries {
                    self.world.queue.push_back(Delivery { retries: delivery.retries - 1, ..delivery });
                } else {
                    self.stats.lost += 1;
                }
            }
            Work::Event(_) | Work::Apply(_) => {}
        }
        Ok(())
    }

    /// Checks what was written since the last time; how many transactions that was.
    pub(super) fn verify(&mut self) -> Result<usize, Violation> {
        let transactions = self.recorder.take();
        for transaction in &transactions {
            self.hash.add_bytes(transaction.token.0.as_bytes());
        }
        self.stats.transactions += transactions.len() as u64;
        if self.trace.is_some() {
            for told in self.dice.injected_from(self.faults_told) {
                self.tell(|_| format!("    {:?} at {}", told.fault, told.call));
                self.faults_told += 1;
            }
            for write in transactions.iter().flat_map(|it| &*it.writes) {
                if let Write::Put { key, body, .. } = write
                    && key.partition.starts_with("AUDIT#")
                    && let Ok(entry) = serde_json::from_str::<AuditEntry>(body)
                {
                    let event = entry.event;
                    self.tell(|_| format!("    {} {}: {}", event.model, event.seq, event.fact.name()));
                }
            }
        }
        self.checker.check(&self.world, &transactions)?;
        Ok(transactions.len())
    }

    /// Faults stop: frozen workers go on to their end, or are gone.
    pub(super) fn end_workers(&mut self) -> Checked {
        if !self.profile.thaws {
            for worker in std::mem::take(&mut self.workers) {
                self.finish(worker.work, None)?;
            }
        }
        while !self.workers.is_empty() {
            self.next_step();
            self.go_on(0)?;
        }
        Ok(())
    }

    pub(super) fn has_workers(&self) -> bool {
        !self.workers.is_empty()
    }

    /// Whether no further worker may begin.
    pub(super) fn is_full(&self) -> bool {
        WORKERS <= self.workers.len()
    }

    /// Writes down what happens, if anybody wants to read it.
    pub(super) fn tell(&mut self, what: impl FnOnce(&Simulation) -> String) {
        if self.trace.is_some() {
            let line = format!("{:>4} {} {}", self.step, self.world.clock.now(), what(self));
            if let Some(trace) = &mut self.trace {
                trace.push(line);
            }
        }
    }

    /// The greatest time by which a worker's clock is ahead, or was when it wrote something down.
    pub(super) fn greatest_skew(&self) -> SignedDuration {
        self.machines.iter().map(SkewedClock::has_shown).max().unwrap_or_default().max(SignedDuration::ZERO)
    }
}

/// Whether an event stays where it is until it was taken: a queue's, and the table's stream's.
pub(super) fn is_kept(delivery: &Delivery) -> bool {
    delivery.function == Function::RecordWindow || delivery.event.get("Records").is_some()
}

fn describe(outcome: &Result<Option<Response>, AppError>) -> String {
    match outcome {
        Ok(None) => "done".to_owned(),
        Ok(Some(response)) => {
            let why = response.reason.clone().unwrap_or_default();
            let details: Vec<String> = response.details.iter().map(ToString::to_string).collect();
            format!("{} {why}{}", response.outcome, details.join(", "))
        }
        Err(error) => format!("failed: {}", refit_app::chain(error)),
    }
}

/// Most clocks are nearly right, some are off by minutes, few by days.
fn draw_skew(rng: &mut Rng) -> Skew {
    match rng.below(10) {
        0..6 => Skew::default(),
        6..9 => Skew { offset: rng.between(-1200, 1200), rate: rng.between(-20, 20) },
        _ => Skew { offset: rng.between(-200_000, 200_000), rate: rng.between(-600, 600) },
    }
}
