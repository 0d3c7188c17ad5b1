//! What went wrong outside of Refit, or at the worst moment: what it does then, and what it tells people.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use refit_app::documents::{audit_partition, head_key, look_key, pass_key};
use refit_app::ports::{ApprovalStatus, PackageDescription, PackageError, Packages};
use refit_app::ports::{Clock, Due, Expect, Item, Key, Table, Token, Write};
use refit_app::queries;
use refit_app::use_cases::evaluate_candidate::evaluate_candidate;
use refit_app::use_cases::promote_model::promote_model;
use refit_core::ModelId;
use refit_core::audit::{AuditEntry, AuditEvent};
use refit_core::run::{Run, RunStatus};
use refit_core::trigger::JudgmentKind;
use refit_handlers::Function;
use refit_local::memory::faults::{Call, Calm, Fault, FaultPlan, Faults};
use refit_local::memory::{Delivered, Ending, MODEL, MemoryWorld, Outputs, Promotion, policy, poll, scheduled_event};
use serde_json::{Value, json};

use super::support::summary::Summary;
use super::support::workflows::{self, Action};
use super::support::worlds::{ask, beginning, finish, one_champion, promote, rollback, trigger, two_champions, vote};

fn model() -> ModelId {
    MODEL.parse().expect("a constant name")
}

fn item(world: &MemoryWorld, key: &Key) -> Item {
    poll(world.table.get(key)).unwrap_done().expect("memory does not fail").expect("it is there")
}

fn head(world: &MemoryWorld) -> Value {
    serde_json::from_str(&item(world, &head_key(&model())).body).expect("a document")
}

fn last_run(world: &MemoryWorld) -> Run {
    poll(queries::list_runs(&world.table, &model())).unwrap_done().expect("runs").pop().expect("a run")
}

fn audit(world: &MemoryWorld) -> Vec<AuditEntry> {
    poll(queries::list_audit(&world.table, &model())).unwrap_done().expect("a log")
}

/// Replaces an item's document by what does not parse.
fn damage(world: &MemoryWorld, key: &Key) {
    let found = item(world, key);
    let expect = Expect::Generation(found.generation);
    let writes = [Write::Put { key: Key::clone(&found.key), expect, body: "{\"broken".into(), due: found.due }];
    poll(world.table.transact(&Token(format!("damage {}", key.partition)), &writes)).unwrap_done().expect("written");
}

/// Removes an item, if it is there.
fn remove(world: &MemoryWorld, key: &Key) {
    let Some(expect) = world.table.generation(key) else { return };
    let token = Token(format!("remove {}", key.partition));
    poll(world.table.transact(&token, &[Write::Delete { key: key.clone(), expect }])).unwrap_done().expect("removed");
}

/// When the model is looked at next.
fn look(world: &MemoryWorld) -> Timestamp {
    item(world, &look_key(&model())).due.expect("it is due some time").at
}

fn set_look(world: &MemoryWorld, at: Timestamp) {
    let found = item(world, &look_key(&model()));
    let writes = [Write::Put {
        key: Key::clone(&found.key),
        expect: Expect::Generation(found.generation),
        body: found.body,
        due: found.due.map(|it| Due { at, ..it }),
    }];
    poll(world.table.transact(&Token("another time".to_owned()), &writes)).unwrap_done().expect("written");
}

fn subjects(world: &MemoryWorld) -> Vec<String> {
    world.publisher.alerts().iter().map(|it| it.subject.clone()).collect()
}

#[test]
fn p2_an_archive_that_was_replaced_after_the_evaluation_is_not_served() {
    let mut world = MemoryWorld::at(&one_champion().world);
    let served = world.endpoints.variants(MODEL);
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    finish(&mut world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    world.drain();
    let archive = world.packages.list().pop().expect("a package").model_data_url.parse().expect("an address");
    let judged = poll(world.ports().objects.get(&archive, 1_000)).unwrap_done().expect("it is there").bytes;
    let waiting = world.snapshot();
    world.objects.overwrite(&archive, b"another model").expect("it is a file");
    ask(&mut world, Function::PromoteModel, &vote("v", 2, "bob", "approve"));
    let outcome = last_run(&world).outcome.expect("it has ended");
    assert!(outcome.reason.contains("is not the one that was judged"), "{outcome:?}");
    assert_eq!((head(&world)["champion"].clone(), world.endpoints.variants(MODEL)), (json!(1), served));
    let mut world = MemoryWorld::at(&waiting);
    world.objects.overwrite(&archive, &judged).expect("the same bytes");
    ask(&mut world, Function::PromoteModel, &vote("v", 2, "bob", "approve"));
    assert_eq!(head(&world)["champion"], 2);
}

#[test]
fn a_vote_during_a_rollback_is_counted_or_refused_but_not_swallowed() {
    let mut world = MemoryWorld::at(&two_champions().world);
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    finish(&mut world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    world.drain();
    world.endpoints.set_busy(MODEL, 1);
    let _ = world.call(Function::PromoteModel, &rollback("b"));
    assert!(!head(&world)["active_rollback"].is_null(), "it is under way");
    let _ = world.call(Function::PromoteModel, &vote("v", 3, "bob", "approve"));
    let entries = audit(&world);
    let of = |name: &str| entries.iter().rev().find(|it| it.event.fact.name() == name).expect("it was recorded");
    assert_ne!(of("model_rolled_back").event.cause, "v", "the vote did not cause it");
    assert_eq!(of("approval_voted").event.actor.id, "bob");
}

#[test]
fn a_rollback_waits_for_an_endpoint_that_is_changing() {
    let mut world = MemoryWorld::at(&two_champions().world);
    world.endpoints.set_busy(MODEL, 1);
    let answer = match world.call(Function::PromoteModel, &rollback("b")) {
        Delivered::Answered(response) => response.details[0].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(answer["waiting_on"], json!({ "kind": "endpoint", "name": MODEL }));
    world.drain();
    world.sweep_after(SignedDuration::from_mins(1));
    assert_eq!((head(&world)["champion"].clone(), world.dead_letters.len()), (json!(1), 0));
}

#[test]
fn rows_that_a_champion_taken_back_predicted_do_not_count_for_the_one_restored() {
    let mut world = MemoryWorld::at(&one_champion().world);
    promote(&mut world, 2);
    let upload = |world: &mut MemoryWorld| {
        for action in workflows::quiet_check().actions {
            if let Action::Upload(uri, bytes) = action {
                world.upload(&uri, &bytes);
            }
        }
    };
    // Until the evening the second champion answers; then it is taken back.
    world.clock.set("2026-01-05T20:00:00Z".parse().expect("a constant time"));
    ask(&mut world, Function::PromoteModel, &rollback("b"));
    upload(&mut world);
    world.drain();
    world.sweep_after(SignedDuration::from_hours(6));
    let judgments = poll(queries::list_judgments(&world.table, &model())).unwrap_done().expect("judgments");
    let performance = judgments.iter().find(|it| it.kind == JudgmentKind::Performance).expect("the day was judged");
    assert_eq!((performance.champion, performance.rows), (Some(1), 4), "rows of 20, 21, 22 and 23 o'clock");
}

#[test]
fn a_damaged_entry_of_the_log_is_parked_and_those_after_it_are_published() {
    let mut world = MemoryWorld::at(&one_champion().world);
    world.publisher.take_down();
    let _ = world.call(Function::CheckTriggers, &trigger("t"));
    let seq = head(&world)["audit_seq"].as_u64().expect("a number");
    damage(&world, &Key::new(&audit_partition(&model()), &AuditEvent::sort(seq)));
    world.publisher.bring_up();
    world.drain();
    for _ in 0..3 {
        world.sweep_after(SignedDuration::from_mins(6));
    }
    assert!(Summary::of(&world).is_published());
    assert_eq!(world.dead_letters, [""; 0]);
    assert!(subjects(&world).iter().any(|it| it.contains(&format!("{MODEL}: event {seq} was not published"))));
    assert_eq!(world.pipelines.open().len(), 1, "the run went on");
}

#[test]
fn people_hear_of_a_model_that_cannot_be_looked_at() {
    let mut world = MemoryWorld::at(&one_champion().world);
    damage(&world, &head_key(&model()));
    world.sweep_after(SignedDuration::from_hours(24));
    let about = |world: &MemoryWorld| subjects(world).iter().filter(|it| it.contains("cannot be looked at")).count();
    assert_eq!(about(&world), 1, "{:?}", subjects(&world));
}

#[test]
fn a_model_with_nothing_to_do_is_not_woken_before_its_next_check() {
    let mut world = MemoryWorld::at(&one_champion().world);
    // Something is not published yet when the sweep comes, nothing else is to do.
    let check = look(&world);
    set_look(&world, world.clock.now());
    world.sweep_after(SignedDuration::from_mins(1));
    assert_eq!(look(&world), check);
}

#[test]
fn a_daily_pass_sets_a_clock_right_that_is_wrong_and_leaves_others_alone() {
    let check = look(&MemoryWorld::at(&one_champion().world));
    let hour = SignedDuration::from_hours(1);
    for (set, expected) in [(check, check), (check - hour, check - hour), (check + hour * 1_000, check)] {
        let mut world = MemoryWorld::at(&one_champion().world);
        set_look(&world, set);
        remove(&world, &pass_key());
        let before = world.publisher.counts();
        world.sweep_after(SignedDuration::from_mins(1));
        assert_eq!(look(&world), expected);
        assert_eq!(world.publisher.counts(), before, "nobody is woken");
        item(&world, &pass_key());
    }
}

/// A crash at each transaction.
struct NoTransaction(Fault);

impl FaultPlan for NoTransaction {
    fn decide(&self, call: &Call) -> Option<Fault> {
        (call.method == "transact").then_some(self.0)
    }
}

#[test]
fn whoever_dies_before_it_sets_the_clock_to_the_next_check_is_followed_by_another() {
    for (fault, is_set) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
        let mut world = MemoryWorld::at(&one_champion().world);
        let check = look(&world);
        set_look(&world, world.clock.now());
        world.send(scheduled_event());
        world.step();
        let soon = world.clock.now() + SignedDuration::from_mins(5);
        assert_eq!(look(&world), soon, "the sweep comes back for the model");
        world.set_faults(Faults::new(NoTransaction(fault)));
        let (delivery, delivered) = world.step().expect("promote-model is woken");
        assert_eq!((delivery.function, matches!(delivered, Delivered::Killed)), (Function::PromoteModel, true));
        world.queue.clear();
        world.set_faults(Faults::new(Calm));
        assert_eq!(look(&world), if is_set { check } else { soon });
        world.sweep_after(SignedDuration::from_mins(6));
        assert_eq!(look(&world), check);
    }
}

#[test]
fn the_next_look_follows_the_policy_that_was_just_adopted() {
    let mut world = MemoryWorld::at(&one_champion().world);
    let mut hourly = policy(Promotion::Manual);
    hourly.models[0].triggers.check_every = "6h".parse().expect("a length of time");
    world.apply_policy(&hourly, beginning()).unwrap_done().expect("it applies");
    world.send(json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": MODEL, "function": "check-triggers" } }));
    world.drain();
    // First what is served is looked at.
    assert_eq!(look(&world).to_string(), "2026-01-05T05:05:00Z");
    world.sweep_after(SignedDuration::from_mins(5));
    assert_eq!(look(&world).to_string(), "2026-01-05T06:00:00Z");
}

/// The bus takes nothing; people can be told.
struct NoBus;

impl FaultPlan for NoBus {
    fn decide(&self, call: &Call) -> Option<Fault> {
        (call.method == "publish").then_some(Fault::Unavailable)
    }
}

#[test]
fn a3_people_are_told_once_while_the_bus_is_down() {
    let mut world = MemoryWorld::at(&one_champion().world);
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    finish(&mut world, &Ending::Failed("out of memory".to_owned()));
    let wake_up = json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": MODEL, "function": "publish-events" } });
    world.set_faults(Faults::new(NoBus));
    world.drain();
    for _ in 0..20 {
        world.send(wake_up.clone());
        world.drain();
    }
    world.set_faults(Faults::new(Calm));
    world.send(wake_up);
    world.drain();
    assert!(Summary::of(&world).is_published());
    assert_eq!(subjects(&world).iter().filter(|it| it.contains("failed")).count(), 1, "{:?}", subjects(&world));
}

/// A registry from which every package was removed.
struct Emptied;

#[async_trait]
impl Packages for Emptied {
    async fn describe(&self, arn: &str) -> Result<PackageDescription, PackageError> {
        Err(PackageError::NotFound(arn.to_owned()))
    }

    async fn set_approval(&self, arn: &str, _status: ApprovalStatus) -> Result<(), PackageError> {
        Err(PackageError::NotFound(arn.to_owned()))
    }
}

#[test]
fn a_run_whose_package_was_removed_ends_and_says_so() {
    let mut world = MemoryWorld::at(&one_champion().world);
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    finish(&mut world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    let trained = world.snapshot();
    world.drain();
    world.clock.advance(SignedDuration::from_hours(13));
    let mut context = world.context();
    context.ports.packages = Arc::new(Emptied);
    poll(promote_model(&context, &model(), None)).unwrap_done().expect("it ends");
    assert!(last_run(&world).outcome.is_some_and(|it| it.reason.contains("nobody decided")));
    let world = MemoryWorld::at(&trained);
    let mut context = world.context();
    context.ports.packages = Arc::new(Emptied);
    poll(evaluate_candidate(&context, &model())).unwrap_done().expect("it ends");
    assert!(last_run(&world).outcome.is_some_and(|it| it.reason.contains("does not exist")));
}

/// The process dies whenever it is about to start an execution.
struct DiesAtStart;

impl FaultPlan for DiesAtStart {
    fn decide(&self, call: &Call) -> Option<Fault> {
        (call.method == "ensure_started").then_some(Fault::CrashBefore)
    }
}

#[test]
fn a_run_that_is_canceled_while_it_is_being_started_ends() {
    let mut world = MemoryWorld::at(&one_champion().world);
    world.set_faults(Faults::new(DiesAtStart));
    assert!(matches!(world.call(Function::CheckTriggers, &trigger("t")), Delivered::Answered(_)));
    world.drain();
    let run = last_run(&world);
    assert_eq!((run.status, run.execution), (RunStatus::Starting, None));
    world.set_faults(Faults::new(Calm));
    let cancel = json!({ "kind": "cancel", "id": "c", "run": run.id, "actor": "ann", "reason": "not now" });
    ask(&mut world, Function::EvaluateCandidate, &cancel);
    assert_eq!(last_run(&world).status, RunStatus::Stopping);
    world.sweep_after(SignedDuration::from_mins(25));
    let run = last_run(&world);
    assert_eq!((run.status, run.execution), (RunStatus::Canceled, None));
    assert!(!subjects(&world).iter().any(|it| it.contains("cannot be looked at")), "{:?}", subjects(&world));
}

#[test]
fn a_head_that_belongs_to_another_model_is_told() {
    let mut world = MemoryWorld::at(&one_champion().world);
    let mut document = head(&world);
    document["model"] = json!("another");
    let found = item(&world, &head_key(&model()));
    let expect = Expect::Generation(found.generation);
    let writes =
        [Write::Put { key: Key::clone(&found.key), expect, body: document.to_string().into(), due: found.due }];
    poll(world.table.transact(&Token("another".to_owned()), &writes)).unwrap_done().expect("written");
    world.sweep_after(SignedDuration::from_hours(25));
    assert!(subjects(&world).iter().any(|it| it.contains("m cannot be looked at")), "{:?}", subjects(&world));
}

#[test]
fn a_head_that_is_gone_with_its_alarm_clock_is_told() {
    let mut world = MemoryWorld::at(&one_champion().world);
    for key in [head_key(&model()), look_key(&model())] {
        remove(&world, &key);
    }
    world.sweep_after(SignedDuration::from_hours(25));
    assert!(subjects(&world).iter().any(|it| it.contains("m cannot be looked at")), "{:?}", subjects(&world));
}
