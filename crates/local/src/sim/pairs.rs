//! Every fault at every call of a workflow, and every ordered pair of them, and no sample.
//!
//! The second fault is at a later call of the history that the first one has disturbed, so that calls that only a fault
//! brings about are covered, too. Every invariant is checked after every transaction, and each history must end as the
//! undisturbed one.
//!
//! Histories are not played from their beginnings. What happens in a step is a function of what the world, the checker
//! and the script are before it ([`Checkpoint::fingerprint`] hashes all of that): functions keep nothing in memory, nothing
//! is drawn, and the number of a call means nothing to anybody. So from equal moments everything goes on equally: it is
//! explored once, and counted for every history that comes there. Two of a million moments have the same 64 bits by
//! accident with a chance below one in ten million.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::checks::Violation;
use super::rng::Rng;
use super::run::words_of_panic;
use super::workflows::Workflow;
use super::workflows::player::{Checkpoint, MAX_STEPS, Notes, Player, Redelivery, Undisturbed};
use crate::memory::faults::{Call, Fault};

/// After so many problems of a workflow the rest is only counted.
const ENOUGH: usize = 20;

/// One fault at one call of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// The call's number, from 1.
    pub call: u64,
    /// What goes wrong there.
    pub fault: Fault,
    /// Whether the event whose function dies comes again.
    pub redelivery: Redelivery,
}

impl Injection {
    /// Every fault that can happen at a call. [`Fault::Pause`] is none where one function runs at a time.
    pub fn all(call: &Call) -> impl Iterator<Item = Injection> {
        let faults = Fault::ALL.into_iter().filter(move |it| *it != Fault::Pause && it.applies_to(call));
        let index = call.index;
        faults.flat_map(move |fault| {
            let kinds: &[Redelivery] = match fault {
                Fault::CrashBefore | Fault::CrashAfter => &[Redelivery::Again, Redelivery::Lost],
                Fault::Throttled
                | Fault::Unavailable
                | Fault::UnavailableAfter
                | Fault::Conflict
                | Fault::ConflictAfter
                | Fault::Partial
                | Fault::StaleRead
                | Fault::QuotaHit
                | Fault::Pause => &[Redelivery::Again],
            };
            kinds.iter().map(move |redelivery| Injection { call: index, fault, redelivery: *redelivery })
        })
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = match self.redelivery {
            Redelivery::Again => "",
            Redelivery::Lost => "-lost",
        };
        write!(f, "{}:{:?}{lost}", self.call, self.fault)
    }
}

impl FromStr for Injection {
    type Err = String;

    fn from_str(text: &str) -> Result<Injection, String> {
        let wrong = || format!("`{text}` is not CALL:FAULT, as `17:CrashAfter` or `17:CrashAfter-lost`");
        let (call, fault) = text.split_once(':').ok_or_else(wrong)?;
        let (fault, redelivery) = match fault.strip_suffix("-lost") {
            Some(fault) => (fault, Redelivery::Lost),
            None => (fault, Redelivery::Again),
        };
        let fault = Fault::ALL.into_iter().find(|it| format!("{it:?}") == fault).ok_or_else(wrong)?;
        Ok(Injection { call: call.parse().map_err(|_| wrong())?, fault, redelivery })
    }
}

/// Faults in a list as it is written on the command line.
#[must_use]
pub fn list(injections: &[Injection]) -> String {
    injections.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// How many faults a history has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// One.
    Singles,
    /// Two.
    Pairs,
}

/// A history that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The faults that bring it about.
    pub faults: Vec<Injection>,
    /// What went wrong.
    pub text: String,
}

/// What came of a workflow.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// Port calls of the undisturbed history.
    pub calls: usize,
    /// Calls of the undisturbed history at which every fault that can happen there did.
    pub calls_covered: usize,
    /// Histories with one fault.
    pub singles: u64,
    /// Histories with two faults.
    pub pairs: u64,
    /// Moments between two steps that differ.
    pub moments: usize,
    /// Steps that were played.
    pub steps: u64,
    /// What went wrong, the first few, by their faults.
    pub problems: Vec<Problem>,
}

/// Histories that go on from a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// With one more fault.
    ones: u64,
    /// With two more faults.
    twos: u64,
}

/// What a step led to.
struct Step {
    calls: Vec<Call>,
    next: Result<Option<Checkpoint>, Violation>,
}

/// Plays every single fault of a workflow and, if asked, every ordered pair.
///
/// # Panics
/// When the workflow breaks an invariant without any fault.
#[must_use]
pub fn explore(workflow: &Workflow, depth: Depth, threads: usize) -> Coverage {
    let undisturbed = Undisturbed::play(workflow);
    let explorer = Explorer::new(workflow, &undisturbed);
    let work: Vec<Injection> = undisturbed.calls.iter().flat_map(Injection::all).collect();
    let next = AtomicUsize::new(0);
    let sum = Mutex::new(Counts::default());
    let done = Mutex::new(vec![0_usize; undisturbed.calls.len() + 1]);
    let left = match depth {
        Depth::Singles => 0,
        Depth::Pairs => 1,
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(first) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let counts = explorer.branch(undisturbed.before(first.call), &[*first], left, &[]);
                    let mut sum = lock(&sum);
                    sum.ones += counts.ones;
                    sum.twos += counts.twos;
                    lock(&done)[usize::try_from(first.call).unwrap_or(0)] += 1;
                }
            });
        }
    });
    let sum = *lock(&sum);
    let done = lock(&done);
    let is_covered =
        |call: &&Call| usize::try_from(call.index).is_ok_and(|it| done[it] == Injection::all(call).count());
    let mut problems = std::mem::take(&mut *lock(&explorer.problems));
    problems.sort_by_key(|it| it.faults.iter().map(|it| it.call).collect::<Vec<_>>());
    Coverage {
        calls: undisturbed.calls.len(),
        calls_covered: undisturbed.calls.iter().filter(is_covered).count(),
        singles: sum.ones,
        pairs: sum.twos,
        moments: explorer.known.iter().map(|it| lock(it).len()).sum(),
        steps: explorer.steps.load(Ordering::Relaxed),
        problems,
    }
}

/// One history.
#[derive(Debug)]
pub struct Played {
    /// Its calls.
    pub calls: Vec<Call>,
    /// What was delivered, and how many calls there were before.
    pub deliveries: Vec<(u64, String)>,
    /// What went wrong.
    pub problem: Option<Problem>,
}

/// Plays one history from its beginning with these faults.
///
/// # Panics
/// When the workflow breaks an invariant without any fault.
#[must_use]
pub fn play_at(workflow: &Workflow, faults: &[Injection]) -> Played {
    play_to_end(&Explorer::new(workflow, &Undisturbed::play(workflow)), faults)
}

fn play_to_end(explorer: &Explorer<'_>, faults: &[Injection]) -> Played {
    let notes = Notes::with(faults.to_vec());
    let mut deliveries = Vec::new();
    let played = guard(|| {
        let mut player = Player::new(explorer.workflow, notes.clone()).losing(losing(faults));
        for step in 0.. {
            let calls = player.calls();
            let is_playing = player.tick();
            deliveries.extend(player.seen.drain(..).map(|it| (calls, it.to_string())));
            if !is_playing? {
                break;
            }
            if MAX_STEPS <= step {
                return Err(Violation::new("I1", "the bus does not come to rest"));
            }
        }
        if player.injected() != faults.len() as u64 {
            return Err(Violation::new("I1", "a fault was not injected"));
        }
        explorer.check_end(&mut player).map_err(|text| Violation::new("I1", text))
    });
    let problem = played.err().map(|it| Problem { faults: faults.to_vec(), text: it.to_string() });
    Played { calls: notes.calls(), deliveries, problem }
}

/// Plays `count` pairs of faults of a workflow that are drawn.
///
/// # Panics
/// When the workflow breaks an invariant without any fault.
#[must_use]
pub fn sample(workflow: &Workflow, rng: &mut Rng, count: usize) -> Vec<Problem> {
    let undisturbed = Undisturbed::play(workflow);
    let explorer = Explorer::new(workflow, &undisturbed);
    let draw = |rng: &mut Rng, calls: &[Call]| {
        let call = rng.pick(calls)?;
        rng.pick(&Injection::all(call).collect::<Vec<_>>()).copied()
    };
    let mut problems = Vec::new();
    for _ in 0..count {
        let Some(first) = draw(rng, &undisturbed.calls) else { continue };
        let Played { calls, problem, .. } = play_to_end(&explorer, &[first]);
        let later = calls.partition_point(|it| it.index <= first.call);
        // A fault at the last call, and no healing that calls anything, has no pair.
        let second = draw(rng, &calls[later..]).filter(|_| problem.is_none());
        let found = second.map_or(problem, |second| play_to_end(&explorer, &[first, second]).problem);
        problems.extend(found);
    }
    problems
}

fn losing(faults: &[Injection]) -> Vec<u64> {
    faults.iter().filter(|it| it.redelivery == Redelivery::Lost).map(|it| it.call).collect()
}

/// A panic is a violation.
fn guard<T>(play: impl FnOnce() -> Result<T, Violation>) -> Result<T, Violation> {
    catch_unwind(AssertUnwindSafe(play))
        .unwrap_or_else(|panic| Err(Violation::new("I1", format!("panic: {}", words_of_panic(&*panic)))))
}

/// A panic of another holder is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Explorer<'a> {
    workflow: &'a Workflow,
    undisturbed: &'a Undisturbed,
    /// What goes on from moments, by how many faults may still come.
    known: [Mutex<HashMap<u64, Counts>>; 2],
    problems: Mutex<Vec<Problem>>,
    steps: AtomicU64,
}

impl<'a> Explorer<'a> {
    fn new(workflow: &'a Workflow, undisturbed: &'a Undisturbed) -> Explorer<'a> {
        Explorer {
            workflow,
            undisturbed,
            known: Default::default(),
            problems: Mutex::default(),
            steps: AtomicU64::new(0),
        }
    }

    /// The step after `from` with these faults, and everything after it with up to `left` more.
    fn branch(&self, from: &Checkpoint, faults: &[Injection], left: usize, earlier: &[Injection]) -> Counts {
        let path = [earlier, faults].concat();
        let step = self.step(from, faults);
        let mut counts = Counts { ones: 1, twos: 0 };
        match step.next {
            Err(violation) => self.fail(&path, violation.to_string()),
            Ok(None) => {}
            Ok(Some(next)) => counts.twos += self.go_on(next, left, &path).ones,
        }
        let last = faults.last().map_or(0, |it| it.call);
        if 0 < left {
            for second in step.calls.iter().filter(|it| last < it.index).flat_map(Injection::all) {
                let both = [faults, &[second]].concat();
                counts.twos += self.branch(from, &both, left - 1, earlier).ones;
            }
        }
        counts
    }

    /// Everything after a moment with up to `left` more faults.
    fn go_on(&self, from: Checkpoint, left: usize, path: &[Injection]) -> Counts {
        let mut chain: Vec<(u64, Counts)> = Vec::new();
        let mut here = from;
        let mut tail = loop {
            let key = here.fingerprint();
            // What was explored with more faults was also explored with fewer.
            if let Some(known) = self.known[left..].iter().find_map(|it| lock(it).get(&key).copied()) {
                break known;
            }
            let step = self.step(&here, &[]);
            let mut counts = Counts::default();
            if 0 < left {
                for fault in step.calls.iter().flat_map(Injection::all) {
                    let found = self.branch(&here, &[fault], left - 1, path);
                    counts.ones += found.ones;
                    counts.twos += found.twos;
                }
            }
            chain.push((key, counts));
            match step.next {
                Err(violation) => {
                    self.fail(path, violation.to_string());
                    break Counts::default();
                }
                Ok(None) => break Counts::default(),
                Ok(Some(next)) => here = next,
            }
        };
        for (key, counts) in chain.into_iter().rev() {
            tail = Counts { ones: tail.ones + counts.ones, twos: tail.twos + counts.twos };
            lock(&self.known[left]).insert(key, tail);
        }
        tail
    }

    fn step(&self, from: &Checkpoint, faults: &[Injection]) -> Step {
        self.steps.fetch_add(1, Ordering::Relaxed);
        let notes = Notes::with(faults.to_vec());
        let next = guard(|| {
            let mut player = Player::resume(self.workflow, from, notes.clone()).losing(losing(faults));
            let is_playing = player.tick()?;
            if player.injected() != faults.len() as u64 {
                return Err(Violation::new("I1", "a fault was not injected"));
            }
            if is_playing {
                return Ok(Some(player.checkpoint()));
            }
            self.check_end(&mut player).map_err(|text| Violation::new("I1", text))?;
            Ok(None)
        });
        Step { calls: notes.calls(), next }
    }

    /// It ends as the undisturbed history does, and nothing was given up.
    fn check_end(&self, player: &mut Player<'_>) -> Result<(), String> {
        let summary = player.end().map_err(|violation| violation.to_string())?;
        let expected = &self.undisturbed.summary;
        if summary != *expected {
            return Err(format!("another end:\n{summary:#?}\ninstead of\n{expected:#?}"));
        }
        player.world.dead_letters.first().map_or(Ok(()), |it| Err(format!("was given up: {it}")))
    }

    fn fail(&self, faults: &[Injection], text: String) {
        let mut problems = lock(&self.problems);
        if problems.len() < ENOUGH {
            problems.push(Problem { faults: faults.to_vec(), text });
        }
    }
}
