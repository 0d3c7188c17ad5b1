//! Fleets at rest, from which schedules begin: made once, then copied.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use refit_core::ModelId;
use refit_core::policy::{Policy, read};
use refit_handlers::Function;
use serde_json::{Value, json};

use super::checks::Checker;
use super::record::Recorder;
use super::settle::untold;
use crate::memory::{Delivered, Ending, MemoryWorld, Outputs, PARAMETERS, WorldSnapshot};

/// When every history begins: some hours after the day's check.
const BEGINNING: &str = "2026-01-05T03:00:00Z";
/// What the ARN of each model's alarm begins with.
const ALARM: &str = "arn:aws:cloudwatch:us-east-1:000000000000:alarm";
/// How many different fleets there are.
pub const FLEETS: u64 = 24;
/// How many models they have: mostly two, which is enough to stand in each other's way, and what is done meets in few.
const MODELS: [usize; 8] = [1, 2, 2, 3, 2, 1, 2, 4];

/// Which of these has a slot for each of its models.
const ROOMY: usize = 6;

/// What an administrator changes about one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Knobs {
    /// Whether a good enough candidate is promoted without a person.
    pub is_automatic: bool,
    /// How many people must approve.
    pub approvals: u32,
    /// The worst error that the gate lets pass.
    pub max_error: u32,
    /// Hours between runs.
    pub cooldown: u32,
    /// Days after which a run is due.
    pub age: Option<u32>,
    /// Days for which what runs wrote is kept.
    pub keep: Option<u32>,
    /// Whether new causes take a run's place, instead of waiting for its end.
    pub supersedes: bool,
    /// How often an execution is tried.
    pub attempts: u32,
    /// Whether a gate asks for more than any candidate can do.
    pub is_beyond_reach: bool,
}

impl Knobs {
    /// What the policies of schedules are made of.
    pub const ALL: [Knobs; 6] = [
        Knobs { ..Knobs::PLAIN },
        Knobs { is_automatic: true, keep: Some(1), ..Knobs::PLAIN },
        Knobs { approvals: 2, cooldown: 2, keep: Some(1), attempts: 2, ..Knobs::PLAIN },
        Knobs { is_automatic: true, max_error: 8, cooldown: 2, age: Some(1), keep: Some(1), ..Knobs::PLAIN },
        Knobs { max_error: 8, age: Some(1), supersedes: true, attempts: 2, ..Knobs::PLAIN },
        Knobs { is_automatic: true, approvals: 2, cooldown: 30, supersedes: true, ..Knobs::PLAIN },
    ];

    /// A person approves whatever the gate lets pass.
    const PLAIN: Knobs = Knobs {
        is_automatic: false,
        approvals: 1,
        max_error: 15,
        cooldown: 0,
        age: None,
        keep: None,
        supersedes: false,
        attempts: 1,
        is_beyond_reach: false,
    };

    fn write(self, out: &mut String, id: &str) -> std::fmt::Result {
        let promotion = if self.is_automatic {
            "mode: auto, auto_promote: { metric: mae, min_improvement: 0.05, lower_bound_above: 0 }"
        } else {
            "mode: manual"
        };
        let age = self.age.map_or_else(String::new, |it| format!("      age: {{ max: {it}d }}\n"));
        let keep = self.keep.map_or_else(String::new, |it| format!("    retention: {{ runs: {it}d }}\n"));
        let Knobs { approvals, max_error, cooldown, attempts, .. } = self;
        let on_new_trigger = if self.supersedes { "supersede" } else { "wait" };
        let beyond =
            if self.is_beyond_reach { "      - { metric: mae, min_improvement: 90, mode: absolute }\n" } else { "" };
        write!(
            out,
            "  - id: {id}
    task: regression
    pipeline: {{ definition: retrain.json, timeout: 2h, retry: {{ attempts: {attempts}, backoff: 5m }} }}
    data:
      reference: s3://data/reference/
      capture: s3://data/capture/{id}/
      labels: s3://data/labels/{id}/
      time: ts
      label: y
      features: {{ x: numeric }}
    window: {{ size: 1d, hop: 1d, lateness: 1h }}
    training: {{ window: 7d, holdout: 8d }}
    triggers:
      check_every: 1d
      drift: {{ metric: ks, threshold: 0.9, share: 1.0, min_rows: 8 }}
      performance: {{ metric: mae, max_drop: 0.05, min_rows: 8 }}
      alarms: [{{ arn: '{ALARM}:{id}', reason: slow answers }}]
      events: [{{ source: shop, detail_type: Season Changed, reason: a new season }}]
      on_new_trigger: {on_new_trigger}
      loop_breaker: {{ rejections: 3 }}
      cooldown: {cooldown}h
{age}    gates:
      - {{ metric: mae, max: {max_error} }}
{beyond}    promotion: {{ {promotion}, approvals: {approvals}, expires: 12h, notice_timeout: 15m }}
    rollout: {{ strategy: immediate }}
{keep}"
        )
    }
}

/// What the policy of a fleet is made of.
pub type Fleet = (usize, Vec<Knobs>);

/// The policy of a fleet: its slots, and its models `m1`, `m2`… with their knobs.
///
/// # Panics
/// Never: the text is made of constants.
#[must_use]
pub fn policy(fleet: &Fleet) -> Arc<Policy> {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<Fleet, Arc<Policy>>> = const { RefCell::new(BTreeMap::new()) };
    }
    if let Some(policy) = KNOWN.with_borrow(|it| it.get(fleet).map(Arc::clone)) {
        return policy;
    }
    let mut text = format!(
        "schema: 1\nfleet: {{ concurrent_runs: {} }}\nnotifications:\n  - {{ email: ops@example.com }}\nmodels:\n",
        fleet.0
    );
    for (index, knobs) in fleet.1.iter().enumerate() {
        knobs.write(&mut text, &model_id(index)).expect("invariant: writing to a string succeeds");
    }
    let policy = read(&text).unwrap_or_else(|problems| panic!("the policy of the simulator is wrong: {problems:?}"));
    let policy = Arc::new(policy);
    KNOWN.with_borrow_mut(|it| it.insert(fleet.clone(), Arc::clone(&policy)));
    policy
}

/// The name of a fleet's model.
#[must_use]
pub fn model_id(index: usize) -> String {
    format!("m{}", index + 1)
}

/// When every history begins.
///
/// # Panics
/// Never: a constant.
#[must_use]
pub fn beginning() -> Timestamp {
    BEGINNING.parse().expect("invariant: a constant time")
}

/// A person's request for a run.
#[must_use]
pub fn trigger(id: &str, model: &str, actor: &str, is_forced: bool) -> Value {
    let reason = "fresh data";
    json!({ "kind": "trigger", "id": id, "model": model, "actor": actor, "reason": reason, "force": is_forced })
}

/// A model's alarm goes off; `id` names the change of its state.
#[must_use]
pub fn alarm(id: &str, model: &str) -> Value {
    json!({ "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "id": id,
            "resources": [format!("{ALARM}:{model}")],
            "detail": { "state": { "value": "ALARM", "timestamp": id } } })
}

/// An event that every model listens to.
#[must_use]
pub fn season(id: &str) -> Value {
    json!({ "source": "shop", "detail-type": "Season Changed", "id": id, "detail": {} })
}

/// A person's vote.
#[must_use]
pub fn vote(id: &str, run: &str, actor: &str, choice: &str) -> Value {
    json!({ "kind": "vote", "id": id, "run": run, "actor": actor, "choice": choice })
}

/// A person's request to take the champion back.
#[must_use]
pub fn rollback(id: &str, model: &str, actor: &str, from: Option<u64>) -> Value {
    json!({ "kind": "rollback", "id": id, "model": model, "actor": actor, "reason": "complaints", "from": from })
}

/// A fleet at rest, and the checker that has seen its history.
#[derive(Debug, Clone)]
pub struct Base {
    /// What its policy is made of.
    pub fleet: Fleet,
    /// The world.
    pub world: WorldSnapshot,
    /// What was seen.
    pub checker: Checker,
}

/// One of the [`FLEETS`] fleets. Each thread has its own: what is shared is counted, and threads would wait for one another.
#[must_use]
pub fn base(index: u64) -> Arc<Base> {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<u64, Arc<Base>>> = const { RefCell::new(BTreeMap::new()) };
    }
    let index = index % FLEETS;
    if let Some(base) = KNOWN.with_borrow(|it| it.get(&index).map(Arc::clone)) {
        return base;
    }
    let base = Arc::new(build(usize::try_from(index).unwrap_or(0)));
    KNOWN.with_borrow_mut(|it| it.insert(index, Arc::clone(&base)));
    base
}

/// From one model without a champion to four models of which some have had three, mostly with fewer slots than models.
fn build(index: usize) -> Base {
    let models = MODELS[index % MODELS.len()];
    // Where two models stand in nobody's way, one takes or frees its slot while the other does.
    let slots = if index % MODELS.len() == ROOMY { models } else { (models - 1).clamp(1, 2) };
    let knobs = (0..models).map(|it| Knobs::ALL[(index + it) % 6]).collect();
    let fleet: Fleet = (slots, knobs);
    let mut world = MemoryWorld::new(beginning());
    let recorder = Recorder::watch(&mut world);
    let policy = policy(&fleet);
    for index in 0..models {
        world.pipelines.define(&format!("{}-retrain", model_id(index)), &PARAMETERS);
    }
    let day = "2026-01-05T00:00:00Z".parse().expect("invariant: a constant time");
    world.apply_policy(&policy, day).unwrap_done().expect("invariant: nothing fails");
    world.drain();
    for round in 0..3 {
        for model in 0..models {
            if round < (index / 4 + model + 1) % 4 {
                promote(&mut world, &model_id(model), round + 1);
            }
        }
        // Labels of the next hours, so that there is a fresh hold-out.
        world.clock.advance(SignedDuration::from_hours(2));
    }
    let mut checker = Checker::new().with_slots(slots);
    checker.learn(&policy);
    let checked = checker.check(&world, &recorder.take()).and_then(|()| checker.finish(&world));
    checked.unwrap_or_else(|violation| panic!("fleet {index} breaks an invariant without any fault: {violation}"));
    assert!(world.dead_letters.is_empty(), "{:?}", world.dead_letters);
    let alerts = world.publisher.alerts();
    let told = alerts.iter().map(|it| (it.dedupe_id.as_str(), 1)).collect();
    let models: Vec<ModelId> = checker.models().cloned().collect();
    let untold = models.iter().flat_map(|it| checker.entries_of(it)).find_map(|it| untold(it, &told));
    assert_eq!(untold, None, "fleet {index}");
    checker.freeze();
    Base { fleet, world: world.snapshot(), checker }
}

fn promote(world: &mut MemoryWorld, model: &str, run: usize) {
    ask(world, Function::CheckTriggers, &trigger(&format!("base-t{run}"), model, "ann", true));
    for arn in world.pipelines.open() {
        // Better, but not by enough to be promoted without a person.
        let ending = Ending::Succeeded(Outputs::of_errors(7.0, 7.2));
        world.pipelines.finish(&arn, &ending).expect("invariant: it is open");
    }
    world.drain();
    let run_id = format!("{model}-r{run:04}");
    // As many as any policy asks for; one too many is refused.
    for who in ["bob", "cyd"] {
        ask(world, Function::PromoteModel, &vote(&format!("base-v{run}-{who}"), &run_id, who, "approve"));
    }
}

fn ask(world: &mut MemoryWorld, function: Function, request: &Value) {
    let delivered = world.call(function, request);
    assert!(matches!(delivered, Delivered::Answered(_)), "{delivered:?}");
    world.drain();
}
