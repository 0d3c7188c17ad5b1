//! Sixteen workers at once over one table: however their calls interleave, the fleet's slots are never overdrawn, and runs
//! are started in the order of their turn.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use jiff::SignedDuration;
use refit_app::ports::Write;
use refit_app::{AppError, ErrorClass};
use refit_core::audit::{AuditEntry, Fact};
use refit_core::policy::{Policy, Priority, read};
use refit_handlers::{Function, Response, handle};
use refit_local::memory::faults::{Call, Fault, FaultPlan, Faults};
use refit_local::memory::{Delivered, Ending, MemoryWorld};
use refit_local::sim::rng::Rng;
use refit_local::sim::{Checker, Recorder, Transaction};
use serde_json::{Value, json};

use super::support::worlds::beginning;

/// How many dispatch at once.
const WORKERS: usize = 16;
/// How many runs may hold a slot.
const SLOTS: usize = 3;
/// How many interleavings are tried; each is another seed.
const SEEDS: u64 = 10;

/// What waits: the model, its priority, and when it was queued, in minutes before the slots come free.
const QUEUED: [(&str, Priority, i64); 8] = [
    ("q1", Priority::Low, 250),
    ("q2", Priority::High, 90),
    ("q3", Priority::Normal, 70),
    ("q4", Priority::Urgent, 50),
    ("q5", Priority::High, 40),
    ("q6", Priority::Low, 30),
    ("q7", Priority::Urgent, 20),
    ("q8", Priority::High, 10),
];

/// Who is started when, worked out by hand: each full hour of waiting counts as one priority more, then who waits longer
/// goes first. Low is 0, urgent is 3: q1 has 0 + 4, q2 2 + 1, q3 1 + 1, q4 3, q5 2, q6 0, q7 3, q8 2.
const TURNS: [&str; 8] = ["q1", "q2", "q4", "q7", "q3", "q5", "q8", "q6"];

/// Every call is a moment at which another worker may go on.
struct Stepwise;

impl FaultPlan for Stepwise {
    fn decide(&self, _call: &Call) -> Option<Fault> {
        Some(Fault::Pause)
    }
}

fn fleet_policy() -> Policy {
    let mut text = format!("schema: 1\nfleet: {{ concurrent_runs: {SLOTS}, priority_aging: 1h }}\nmodels:\n");
    let busy = ["b1", "b2", "b3"].map(|it| (it, Priority::Normal));
    for (id, priority) in busy.into_iter().chain(QUEUED.map(|it| (it.0, it.1))) {
        let priority = serde_json::to_value(priority).expect("a word");
        let priority = priority.as_str().expect("a word");
        text += &format!(
            "  - id: {id}
    task: regression
    priority: {priority}
    pipeline: {{ definition: retrain.json, timeout: 2d }}
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
      check_every: 7d
      events:
        - {{ source: test.{id}, detail_type: Retrain, reason: the test asks }}
    gates:
      - {{ metric: mae, max: 15 }}
    promotion: {{ mode: manual, approvals: 1, expires: 12h, notice_timeout: 15m }}
    rollout: {{ strategy: immediate }}
"
        );
    }
    read(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn request(world: &mut MemoryWorld, id: &str) {
    // An event and no person, whose requests are at least of high priority.
    let event = json!({ "source": format!("test.{id}"), "detail-type": "Retrain", "id": id });
    match world.call(Function::CheckTriggers, &event) {
        Delivered::Answered(response) => assert_eq!(response.outcome, "done", "{id}: {response:?}"),
        other => panic!("{id}: {other:?}"),
    }
    world.drain();
}

/// A fleet whose three slots are held, with eight runs that wait.
fn waiting() -> (MemoryWorld, Arc<Recorder>) {
    let mut world = MemoryWorld::new(beginning());
    let recorder = Recorder::watch(&mut world);
    let policy = fleet_policy();
    for model in &policy.models {
        world.pipelines.define(&model.pipeline_name(), &["RefitRunId", "OutputUri"]);
    }
    world.apply_policy(&policy, beginning()).unwrap_done().expect("nothing fails");
    world.drain();
    for id in ["b1", "b2", "b3"] {
        request(&mut world, id);
    }
    assert_eq!(world.pipelines.open().len(), SLOTS);
    let mut before = 300;
    for (id, _, queued) in QUEUED {
        world.clock.advance(SignedDuration::from_mins(before - queued));
        before = queued;
        request(&mut world, id);
    }
    world.clock.advance(SignedDuration::from_mins(before));
    assert_eq!(world.pipelines.open().len(), SLOTS, "the others wait");
    assert_eq!(world.dead_letters, [""; 0]);
    (world, recorder)
}

/// Ends an execution; the slot comes free, and every event that would tell of it is lost.
fn free(world: &mut MemoryWorld, arn: &str) {
    let (execution, _) = world.pipelines.executions().into_iter().find(|it| it.0.arn == arn).expect("it is open");
    let id = execution.display_name.split("-r").next().expect("a model");
    world.pipelines.finish(arn, &Ending::Failed("AlgorithmError: it is a test".to_owned())).expect("it is open");
    let event = wake_up(id, Function::EvaluateCandidate);
    assert!(matches!(world.call(Function::EvaluateCandidate, &event), Delivered::Answered(_)), "{id}");
    world.pump();
    world.queue.clear();
}

fn wake_up(model: &str, function: Function) -> Value {
    let detail = json!({ "schemaVersion": 1, "model": model, "function": function.name() });
    json!({ "version": "0", "source": "refit", "detail-type": "Wake Up", "detail": detail })
}

type Working = Pin<Box<dyn Future<Output = Result<Response, AppError>> + Send>>;

/// A worker that is woken for a model and stops before each of its calls.
fn start_worker(world: &MemoryWorld, model: &str) -> Working {
    let context = refit_app::Context { ports: Faults::new(Stepwise).wrap(world.ports()), ..world.context() };
    let event = wake_up(model, Function::StartRetraining);
    Box::pin(async move { handle(Function::StartRetraining, &context, &event).await })
}

/// The runs that took a slot, in the order of the transactions.
fn started(transactions: &[Transaction]) -> Vec<String> {
    let bodies = transactions.iter().flat_map(|it| &*it.writes).filter_map(|write| match write {
        Write::Put { key, body, .. } if key.partition.starts_with("AUDIT#") => Some(body),
        Write::Put { .. } | Write::Check { .. } | Write::Delete { .. } => None,
    });
    bodies
        .filter_map(|body| match serde_json::from_str::<AuditEntry>(body).expect("an entry").event.fact {
            Fact::RunStarting { run } => Some(run.model().to_string()),
            _ => None,
        })
        .collect()
}

/// One interleaving, by its seed: the models in the order in which they were started.
fn race(seed: u64) -> Vec<String> {
    let mut rng = Rng::new(seed);
    let (mut world, recorder) = waiting();
    let mut checker = Checker::new().with_slots(SLOTS);
    checker.check(&world, &recorder.take()).unwrap_or_else(|violation| panic!("before the race: {violation}"));
    let mut order = Vec::new();
    while order.len() < QUEUED.len() {
        let before = order.len();
        // As many slots as chance says come free before anybody is woken.
        for _ in 0..1 + rng.below(SLOTS) {
            let open = world.pipelines.open();
            let Some(arn) = rng.pick(&open).cloned() else { break };
            free(&mut world, &arn);
        }
        checker.check(&world, &recorder.take()).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        let mut workers: Vec<Working> =
            (0..WORKERS).map(|it| start_worker(&world, QUEUED[it % QUEUED.len()].0)).collect();
        while !workers.is_empty() {
            let index = rng.below(workers.len());
            if let Poll::Ready(ended) = workers[index].as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                drop(workers.swap_remove(index));
                // Whoever lost too often gives up; the event comes again.
                let is_fine = ended.as_ref().map_or_else(|it| it.class() == ErrorClass::Conflict, |_| true);
                assert!(is_fine, "seed {seed}: {ended:?}");
            }
            // The checker holds that never more than `SLOTS` are held, and that each holder is a run that may hold one.
            let transactions = recorder.take();
            checker.check(&world, &transactions).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
            order.extend(started(&transactions));
            assert!(world.pipelines.open().len() <= SLOTS, "seed {seed}: {order:?}");
        }
        world.pump();
        world.queue.clear();
        assert!(before < order.len(), "seed {seed}: nobody was started in a free slot after {order:?}");
        let open = world.pipelines.open().len();
        assert!(open == SLOTS || order.len() == QUEUED.len(), "seed {seed}: {open} run after {order:?}");
    }
    checker.finish(&world).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    order
}

#[test]
fn l1_sixteen_workers_start_what_waits_in_the_order_of_its_turn_and_never_more_than_there_are_slots() {
    for seed in 0..SEEDS {
        assert_eq!(race(seed), TURNS, "seed {seed}");
    }
}
