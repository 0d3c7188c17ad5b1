//! Histories that the simulator found, each played again as a script: a seed means another history once what is drawn
//! changes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use jiff::SignedDuration;
use refit_app::documents::look_key;
use refit_app::ports::{ApprovalStatus, Clock, Endpoints, Ports, Table, Variant};
use refit_app::{AppError, queries};
use refit_core::ModelId;
use refit_core::policy::OnNewTrigger;
use refit_core::run::RunStatus;
use refit_handlers::{Function, Response, handle};
use refit_local::clock::ManualClock;
use refit_local::memory::faults::{At, Call, Calm, Fault, FaultPlan, Faults};
use refit_local::memory::{Delivered, Ending, MODEL, MemoryWorld, Promotion, policy, poll, scheduled_event};
use refit_local::sim::{Checker, Recorder};
use serde_json::{Value, json};

use super::support::worlds::{Base, ask, beginning, finish, one_champion, rollback, trigger, two_champions, vote};

/// A history and the checker that watches it.
struct History {
    world: MemoryWorld,
    recorder: Arc<Recorder>,
    checker: Checker,
}

impl History {
    fn from(base: &Base) -> History {
        let mut world = MemoryWorld::at(&base.world);
        let recorder = Recorder::watch(&mut world);
        History { world, recorder, checker: base.checker.clone() }
    }

    #[track_caller]
    fn check(&mut self) {
        self.checker.check(&self.world, &self.recorder.take()).unwrap_or_else(|violation| panic!("{violation}"));
    }

    /// Sweeps six minutes apart; every invariant is checked after each.
    #[track_caller]
    fn sweep(&mut self, times: usize) {
        for _ in 0..times {
            self.world.sweep_after(SignedDuration::from_mins(6));
            self.check();
        }
    }

    fn last_status(&self) -> RunStatus {
        let model: ModelId = MODEL.parse().expect("a constant name");
        let runs = poll(queries::list_runs(&self.world.table, &model)).unwrap_done().expect("runs");
        runs.last().expect("a run").status
    }

    /// Executions that were started after the base.
    fn started(&self) -> usize {
        self.world.pipelines.executions().len() - 1
    }
}

/// Fails calls of one method, one after another.
struct Answers {
    method: &'static str,
    faults: std::sync::Mutex<Vec<Fault>>,
}

impl FaultPlan for Answers {
    fn decide(&self, call: &Call) -> Option<Fault> {
        let mut faults = self.faults.lock().expect("nobody panics");
        (call.method == self.method && !faults.is_empty()).then(|| faults.remove(0))
    }
}

fn answers(method: &'static str, faults: &[Fault]) -> Faults {
    Faults::new(Answers { method, faults: std::sync::Mutex::new(faults.to_vec()) })
}

/// Fails the second call of a method.
struct Second {
    method: &'static str,
    seen: AtomicBool,
    fault: Fault,
}

impl FaultPlan for Second {
    fn decide(&self, call: &Call) -> Option<Fault> {
        (call.method == self.method && self.seen.swap(true, Ordering::Relaxed)).then_some(self.fault)
    }
}

/// A function that is frozen in the middle of its work.
pub(super) struct Worker(Pin<Box<dyn Future<Output = Result<Response, AppError>> + Send>>);

impl Worker {
    /// By a clock that is ahead of the world's.
    fn start(world: &MemoryWorld, ahead: SignedDuration, function: Function, event: Value) -> Worker {
        let now = world.context().now() + ahead;
        let ports = Ports { clock: Arc::new(ManualClock::new(now)), ..world.context().ports };
        Worker::of(refit_app::Context { ports, ..world.context() }, function, event)
    }

    pub(super) fn of(context: refit_app::Context, function: Function, event: Value) -> Worker {
        Worker(Box::pin(async move { handle(function, &context, &event).await }))
    }

    /// Goes on; whether it is done.
    pub(super) fn go_on(&mut self) -> bool {
        matches!(self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
    }
}

fn wake_up(model: &str, function: Function) -> Value {
    json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": model, "function": function.name() } })
}

/// The number of hours by which a clock is ahead.
const AHEAD: SignedDuration = SignedDuration::from_hours(5);

/// A worker whose clock is hours ahead starts a run's execution and dies before it can record that. The service has forgotten
/// the key since.
fn started_by_a_clock_ahead() -> History {
    let mut history = History::from(one_champion());
    history.world.lose(|_| true);
    ask(&mut history.world, Function::CheckTriggers, &trigger("t"));
    history.world.set_faults(answers("ensure_started", &[Fault::CrashAfter]));
    let event = wake_up(MODEL, Function::StartRetraining);
    assert!(!Worker::start(&history.world, AHEAD, Function::StartRetraining, event).go_on(), "it dies");
    history.world.set_faults(Faults::new(Calm));
    history.world.lose(|_| false);
    history.world.pipelines.forget_keys();
    history.check();
    assert_eq!((history.started(), history.last_status()), (1, RunStatus::Starting));
    history
}

#[test]
fn t1_an_execution_that_a_clock_ahead_started_is_found() {
    let mut history = started_by_a_clock_ahead();
    // What the clock ahead wrote down is waited for.
    history.world.clock.advance(AHEAD);
    history.sweep(3);
    assert_eq!((history.started(), history.last_status()), (1, RunStatus::Training));
}

#[test]
fn l4_an_execution_that_a_clock_ahead_started_is_stopped_before_its_slot_is_freed() {
    let mut history = started_by_a_clock_ahead();
    let cancel = json!({ "kind": "cancel", "id": "c", "actor": "dan", "reason": "not now", "run": "m-r0002" });
    ask(&mut history.world, Function::EvaluateCandidate, &cancel);
    history.world.clock.advance(AHEAD);
    history.sweep(6);
    assert_eq!(history.last_status(), RunStatus::Stopping);
    finish(&mut history.world, &Ending::Stopped);
    history.sweep(1);
    assert_eq!((history.started(), history.last_status()), (1, RunStatus::Canceled));
}

#[test]
fn l4_a_slot_is_kept_at_a_quota_because_an_earlier_start_may_have_worked() {
    let mut history = History::from(one_champion());
    history.world.pipelines.set_lag(SignedDuration::from_mins(20));
    let mut faults = vec![Fault::QuotaHit; 20];
    faults[0] = Fault::UnavailableAfter;
    history.world.set_faults(answers("ensure_started", &faults));
    ask(&mut history.world, Function::CheckTriggers, &trigger("t"));
    history.check();
    assert_eq!((history.started(), history.last_status()), (1, RunStatus::Starting));
    history.sweep(5);
    assert_eq!((history.started(), history.last_status()), (1, RunStatus::Training));
}

#[test]
fn l3_a_run_that_met_a_quota_starts_when_it_is_over() {
    let mut history = History::from(one_champion());
    history.world.pipelines.set_quota(Some(0));
    ask(&mut history.world, Function::CheckTriggers, &trigger("t"));
    history.sweep(10);
    assert_eq!((history.started(), history.last_status()), (0, RunStatus::Starting));
    history.world.pipelines.set_quota(None);
    history.sweep(2);
    assert_eq!((history.started(), history.last_status()), (1, RunStatus::Training));
}

#[test]
fn p1_a_run_that_ends_does_not_refuse_the_version_that_a_rollback_made_champion() {
    let mut history = History::from(two_champions());
    let mut changed = policy(Promotion::Manual);
    changed.models[0].triggers.on_new_trigger = OnNewTrigger::Supersede;
    history.checker.learn(&changed);
    history.world.apply_policy(&changed, beginning()).unwrap_done().expect("it applies");
    let again = json!({ "kind": "promote", "id": "p", "model": MODEL, "actor": "bob", "reason": "it was better", "version": 1 });
    ask(&mut history.world, Function::PromoteModel, &again);
    history.check();
    assert_eq!(history.last_status(), RunStatus::AwaitingApproval);
    // The rollback makes the version champion that the run is to promote; the next to come are causes that end the run.
    history.world.lose(|_| true);
    ask(&mut history.world, Function::PromoteModel, &rollback("b"));
    ask(&mut history.world, Function::CheckTriggers, &trigger("t"));
    history.check();
    history.world.lose(|_| false);
    history.sweep(3);
    assert_eq!(history.last_status(), RunStatus::Training);
    let served = history.world.packages.list().into_iter().next().expect("a package");
    assert_eq!(served.approval, ApprovalStatus::Approved, "the registry was not told otherwise");
}

#[test]
fn e4_a_paused_sweep_does_not_put_off_what_was_recorded_meanwhile() {
    for index in 1.. {
        let mut history = History::from(one_champion());
        history.world.lose(|_| true);
        history.world.set_faults(Faults::new(At { index, fault: Fault::Pause }));
        let mut frozen = Worker::start(&history.world, SignedDuration::ZERO, Function::Sweep, scheduled_event());
        if frozen.go_on() {
            assert!(10 < index, "the sweep looked at the model");
            return;
        }
        history.world.set_faults(Faults::new(Calm));
        ask(&mut history.world, Function::CheckTriggers, &trigger("t"));
        assert!(frozen.go_on());
        history.world.lose(|_| false);
        history.sweep(3);
        assert_eq!(history.last_status(), RunStatus::Training, "paused before call {index}");
    }
}

#[test]
fn e5_a_wake_up_for_nobody_does_not_move_the_fleet() {
    let mut history = History::from(one_champion());
    history.world.lose(|_| true);
    ask(&mut history.world, Function::CheckTriggers, &trigger("t"));
    history.world.set_faults(answers("transact", &[Fault::CrashAfter]));
    let event = wake_up(MODEL, Function::StartRetraining);
    assert!(matches!(history.world.call(Function::StartRetraining, &event), Delivered::Killed));
    history.world.set_faults(Faults::new(Calm));
    history.check();
    assert_eq!(history.last_status(), RunStatus::Queued);
    let event = wake_up("nobody", Function::StartRetraining);
    assert!(matches!(history.world.call(Function::StartRetraining, &event), Delivered::Answered(_)));
    assert_eq!(history.recorder.take().len(), 0, "an event that concerns nobody changed the table");
    history.world.lose(|_| false);
    history.sweep(2);
    assert_eq!(history.last_status(), RunStatus::Training);
}

#[test]
fn l4_a_run_that_cannot_be_started_keeps_its_slot_until_it_is_certain_that_nothing_runs() {
    let mut history = History::from(one_champion());
    history.world.pipelines.set_lag(SignedDuration::from_mins(10));
    history.world.set_faults(answers("ensure_started", &[Fault::CrashAfter]));
    history.world.lose(|event| event["detail-type"] == "Retraining Requested");
    ask(&mut history.world, Function::CheckTriggers, &trigger("t"));
    let event = wake_up(MODEL, Function::StartRetraining);
    assert!(matches!(history.world.call(Function::StartRetraining, &event), Delivered::Killed));
    history.world.set_faults(Faults::new(Calm));
    history.world.lose(|_| false);
    history.check();
    // Somebody puts another request where the run has its own; its execution is not listed yet.
    let request = "s3://state/runs/m-r0002/request.json".parse().expect("an address");
    history.world.objects.overwrite(&request, b"another").expect("it is a file");
    history.sweep(1);
    assert_eq!((history.started(), history.last_status()), (1, RunStatus::Stopping));
    history.sweep(3);
    assert_eq!(history.last_status(), RunStatus::Stopping, "it was found and is being stopped");
    finish(&mut history.world, &Ending::Stopped);
    history.sweep(1);
    assert_eq!(history.last_status(), RunStatus::Failed);
}

#[test]
fn l4_what_a_worker_starts_a_day_late_is_waited_for_although_it_is_not_listed_yet() {
    let mut started = 0;
    for index in 1.. {
        let mut history = History::from(one_champion());
        history.world.pipelines.set_lag(SignedDuration::from_mins(10));
        history.world.lose(|_| true);
        ask(&mut history.world, Function::CheckTriggers, &trigger("t"));
        history.world.set_faults(Faults::new(At { index, fault: Fault::Pause }));
        let event = wake_up(MODEL, Function::StartRetraining);
        let mut frozen = Worker::of(history.world.context(), Function::StartRetraining, event);
        if frozen.go_on() {
            assert!(30 < index && 1 < started, "it was frozen at calls before and after the one that starts");
            return;
        }
        history.world.set_faults(Faults::new(Calm));
        let cancel = json!({ "kind": "cancel", "id": "c", "actor": "dan", "reason": "not now", "run": "m-r0002" });
        ask(&mut history.world, Function::EvaluateCandidate, &cancel);
        history.world.clock.advance(SignedDuration::from_hours(25));
        assert!(frozen.go_on());
        history.check();
        started += history.started();
        // Whoever looks now finds none of its name.
        let event = wake_up(MODEL, Function::EvaluateCandidate);
        assert!(matches!(history.world.call(Function::EvaluateCandidate, &event), Delivered::Answered(_)));
        history.check();
        history.world.lose(|_| false);
        history.sweep(6);
        if !history.world.pipelines.open().is_empty() {
            finish(&mut history.world, &Ending::Stopped);
            history.sweep(1);
        }
        assert_eq!(history.last_status(), RunStatus::Canceled, "frozen before call {index}");
    }
}

#[test]
fn r1_a_version_that_was_promoted_twice_is_taken_back_to_what_was_before_each_time() {
    let mut history = History::from(two_champions());
    let again = json!({ "kind": "promote", "id": "p", "model": MODEL, "actor": "ann", "reason": "it was better", "version": 1 });
    ask(&mut history.world, Function::PromoteModel, &again);
    ask(&mut history.world, Function::PromoteModel, &vote("v", 3, "bob", "approve"));
    history.sweep(2);
    // Version 1, then 2, then 1 again: back to 2, then to the 1 that had nothing before it.
    for (id, from, champion, previous) in [("b1", 1, Some(2), Some(1)), ("b2", 2, Some(1), None)] {
        let event = json!({ "kind": "rollback", "id": id, "model": MODEL, "actor": "ann", "reason": "complaints", "from": from });
        ask(&mut history.world, Function::PromoteModel, &event);
        history.check();
        let model: ModelId = MODEL.parse().expect("a constant name");
        let head = poll(queries::get_head(&history.world.table, &model)).unwrap_done().expect("a head");
        assert_eq!((head.champion, head.previous_champion), (champion, previous));
    }
}

/// What the model's endpoint serves.
fn served(world: &MemoryWorld) -> Vec<String> {
    world.endpoints.variants(MODEL).into_iter().map(|it| it.package_arn).collect()
}

/// Freezes a worker before a call, and kills it after it has changed what is served.
struct FrozenThenDies {
    index: u64,
}

impl FaultPlan for FrozenThenDies {
    fn decide(&self, call: &Call) -> Option<Fault> {
        let dies = || (call.method == "ensure_variants").then_some(Fault::CrashAfter);
        if call.index == self.index { Some(Fault::Pause) } else { dies() }
    }
}

#[test]
fn r1_a_worker_that_was_frozen_before_a_rollback_leaves_the_endpoint_alone() {
    for index in 1.. {
        let mut history = History::from(two_champions());
        history.world.lose(|_| true);
        history.world.set_faults(Faults::new(FrozenThenDies { index }));
        let event = wake_up(MODEL, Function::PromoteModel);
        let mut frozen = Worker::of(history.world.context(), Function::PromoteModel, event);
        if frozen.go_on() {
            assert!(8 < index, "it looked at what is served");
            return;
        }
        // The rollback has changed what is served, and is frozen before it records that.
        let freeze = Second { method: "transact", seen: AtomicBool::new(false), fault: Fault::Pause };
        history.world.set_faults(Faults::new(freeze));
        let mut restoring = Worker::of(history.world.context(), Function::PromoteModel, rollback("b"));
        assert!(!restoring.go_on(), "it is frozen");
        history.world.set_faults(Faults::new(Calm));
        let restored = served(&history.world);
        let _ = frozen.go_on();
        assert_eq!(served(&history.world), restored, "frozen before call {index}");
        assert!(restoring.go_on());
        history.check();
    }
}

#[test]
fn p1_what_is_served_is_right_soon_after_the_check_whose_wake_up_was_lost_or_met_a_change() {
    for is_lost in [true, false] {
        let mut history = History::from(one_champion());
        let right = served(&history.world);
        let other = [Variant { name: "champion".to_owned(), package_arn: "another".to_owned(), weight: 1.0 }];
        poll(history.world.endpoints.ensure_variants(MODEL, &other)).unwrap_done().expect("set by hand");
        if is_lost {
            history.world.lose(|it| it["detail"]["function"] == "promote-model");
        } else {
            history.world.endpoints.set_busy(MODEL, 1);
        }
        history.world.sweep_after(SignedDuration::from_hours(25));
        assert_ne!(served(&history.world), right, "nobody could set it right");
        history.world.lose(|_| false);
        history.sweep(2);
        assert_eq!(served(&history.world), right);
        let look = poll(history.world.table.get(&look_key(&MODEL.parse().expect("a name")))).unwrap_done();
        let at = look.expect("memory does not fail").and_then(|it| it.due).expect("it is due some time").at;
        assert!(
            SignedDuration::from_hours(12) < at.duration_since(history.world.clock.now()),
            "it is at rest until {at}"
        );
    }
}
