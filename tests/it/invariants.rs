//! The invariants of RELIABILITY 1.2 by their ids, each in the situation that breaks a naive build.
//!
//! What is checked after every transaction stands in `support::checks`; here are the situations.

mod delivery;
mod log;
mod promotion;
mod runs;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use jiff::SignedDuration;
use refit_app::AppError;
use refit_app::documents::head_key;
use refit_app::ports::Table;
use refit_core::ModelId;
use refit_handlers::{Function, Response, handle};
use refit_local::memory::faults::{At, Calm, Fault, Faults};
use refit_local::memory::{MODEL, MemoryWorld, poll};
use serde_json::Value;

use crate::support::player::{Player, Undisturbed};
use crate::support::summary::Summary;
use crate::support::workflows::{Action, Workflow};

fn model() -> ModelId {
    MODEL.parse().expect("a constant name")
}

fn head(world: &MemoryWorld) -> Value {
    let item = poll(world.table.get(&head_key(&model()))).unwrap_done().expect("memory does not fail").expect("a head");
    serde_json::from_str(&item.body).expect("a document")
}

/// A function that is frozen in the middle of its work.
struct Worker(Pin<Box<dyn Future<Output = Result<Response, AppError>> + Send>>);

impl Worker {
    fn start(world: &MemoryWorld, function: Function, event: Value) -> Worker {
        let context = world.context();
        Worker(Box::pin(async move { handle(function, &context, &event).await }))
    }

    /// Goes on; whether it is done.
    fn go_on(&mut self) -> bool {
        matches!(self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
    }
}

/// Two workers on every event of the workflow: one is frozen at each of its calls, another does the same and the whole rest,
/// then the first goes on from what it had read. `check` sees each end.
#[track_caller]
fn race(workflow: &Workflow) {
    let mut workflow = workflow.clone();
    // What a frozen worker does to an endpoint when it thaws is repaired at the next check.
    workflow.actions.push(Action::Wait(SignedDuration::from_hours(24)));
    let undisturbed = Undisturbed::play(&workflow);
    let mut raced = 0;
    for call in &undisturbed.calls {
        let before = undisturbed.before(call.index);
        let is_write = undisturbed.calls.iter().any(|it| it.index == call.index && it.is_write);
        let Some(delivery) = MemoryWorld::at(&before.world).queue.front().cloned().filter(|_| is_write) else {
            continue;
        };
        raced += 1;
        let what = format!("{}: worker {delivery} frozen before {call}", workflow.name);
        let mut player = Player::resume(&workflow, before, Calm);
        player.world.set_faults(Faults::resume(At { index: call.index, fault: Fault::Pause }, before.calls));
        let mut frozen = Worker::start(&player.world, delivery.function, Value::clone(&delivery.event));
        assert!(!frozen.go_on(), "{what}: it did not stop");
        player.world.set_faults(Faults::new(Calm));
        let mut is_thawed = false;
        // It thaws when everything else is done but the last check.
        loop {
            if !is_thawed && player.is_at_last_action() {
                is_thawed = true;
                let _ = frozen.go_on();
            }
            match player.tick() {
                Ok(true) => {}
                Ok(false) => break,
                Err(violation) => panic!("{what}: {violation}"),
            }
        }
        player.checker.finish(&player.world).unwrap_or_else(|violation| panic!("{what}: {violation}"));
        assert_eq!(Summary::of(&player.world), undisturbed.summary, "{what}");
    }
    assert!(3 < raced, "{}: {raced} races", workflow.name);
}
