//! Policies that change, models that come and go, versions that exist already: by people, in the test world.

use std::sync::Arc;

use jiff::SignedDuration;
use refit_app::use_cases::policy::{self, Change};
use refit_core::policy::Policy;
use refit_core::run::{OutcomeCode, RunStatus};
use refit_core::{Actor, ModelId};
use refit_handlers::Function;
use refit_local::memory::{Delivered, Ending, MODEL, MemoryWorld, Outputs, Promotion, poll};
use refit_local::sim::{Checker, Recorder};
use serde_json::{Value, json};

use super::support::worlds::{ask, finish, one_champion, rollback, trigger, two_champions, vote, watched};

fn model() -> ModelId {
    MODEL.parse().expect("a constant name")
}

fn now(world: &MemoryWorld) -> jiff::Timestamp {
    world.context().now()
}

fn head(world: &MemoryWorld) -> Arc<refit_core::model::Head> {
    poll(refit_app::queries::get_head(&world.table, &model())).unwrap_done().expect("a head")
}

fn runs(world: &MemoryWorld) -> Vec<refit_core::run::Run> {
    poll(refit_app::queries::list_runs(&world.table, &model())).unwrap_done().expect("runs")
}

fn manual() -> Policy {
    refit_local::memory::policy(Promotion::Manual)
}

/// The same fleet without the model, which leaves the policy.
fn without_model() -> Policy {
    let mut policy = manual();
    let mut other = policy.models.remove(0);
    other.id = "other".parse().expect("a constant name");
    policy.models.push(other);
    policy
}

#[track_caller]
fn apply(world: &MemoryWorld, policy: &Policy, actor: &str) -> policy::Applied {
    let context = world.context();
    let actor = Actor::person(actor);
    let origin = now(world);
    let change = Change { policy, source: None, actor: &actor, comment: "", restores: None, seen: None, origin };
    poll(policy::apply_change(&context, &change)).unwrap_done().expect("it applies")
}

/// What a person is refused with, if anything; and whether the request had been answered before.
#[track_caller]
fn refused(world: &MemoryWorld, function: Function, request: &Value) -> (Option<String>, bool) {
    match world.call(function, request) {
        Delivered::Answered(response) => {
            assert_eq!(response.outcome, "done", "{response:?}");
            let details = &response.details[0];
            (details["refused"].as_str().map(str::to_owned), details["was_handled"] == true)
        }
        other => panic!("{other:?}"),
    }
}

/// A world with its checker: every invariant is checked at the end.
struct Watched {
    world: MemoryWorld,
    recorder: std::sync::Arc<Recorder>,
    checker: Checker,
}

impl Watched {
    fn at(base: &super::support::worlds::Base) -> Watched {
        let mut world = MemoryWorld::at(&base.world);
        let recorder = Recorder::watch(&mut world);
        Watched { world, recorder, checker: base.checker.clone() }
    }

    /// A candidate waits for approval.
    fn awaiting() -> Watched {
        let mut it = Watched::at(one_champion());
        ask(&mut it.world, Function::CheckTriggers, &trigger("t"));
        finish(&mut it.world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
        it.world.drain();
        assert_eq!(runs(&it.world).last().map(|it| it.status), Some(RunStatus::AwaitingApproval));
        it
    }

    #[track_caller]
    fn verify(mut self) {
        self.checker.check(&self.world, &self.recorder.take()).unwrap_or_else(|violation| panic!("{violation}"));
        self.checker.finish(&self.world).unwrap_or_else(|violation| panic!("{violation}"));
        assert_eq!(self.world.dead_letters, [""; 0]);
    }
}

#[test]
fn c1_every_policy_is_one_entry_of_a_history_that_shows_changes() {
    let it = Watched::at(one_champion());
    let mut changed = manual();
    changed.fleet.concurrent_runs = 2;
    let applied = apply(&it.world, &changed, "eve");
    assert_eq!((applied.number, applied.was_current), (2, false));
    assert!(apply(&it.world, &changed, "eve").was_current, "the same policy again is no entry");
    let context = it.world.context();
    let report = poll(policy::history(&context)).unwrap_done().expect("a history");
    let told: Vec<(u64, &str)> = report.entries.iter().map(|it| (it.number, it.actor.id.as_str())).collect();
    assert_eq!(told, [(1, "admin"), (2, "eve")]);
    assert_eq!(report.entries[1].replaced, Some(manual().digest()));
    assert!(report.verified, "{report:?}");
    it.verify();
}

#[test]
fn c1_a_change_of_what_somebody_else_changed_is_refused() {
    let it = Watched::at(one_champion());
    let mut changed = manual();
    changed.fleet.concurrent_runs = 2;
    apply(&it.world, &changed, "eve");
    let context = it.world.context();
    let actor = Actor::person("ann");
    let policy = manual();
    let origin = now(&it.world);
    let change =
        Change { policy: &policy, source: None, actor: &actor, comment: "", restores: None, seen: Some(1), origin };
    let error = poll(policy::apply_change(&context, &change)).unwrap_done().expect_err("another is current");
    assert!(error.to_string().contains("configuration 2 is current, you saw 1"), "{error}");
}

#[test]
fn a_configuration_that_is_rolled_back_is_a_new_entry() {
    let mut it = Watched::at(one_champion());
    let mut changed = manual();
    changed.models[0].promotion.approvals = 2;
    apply(&it.world, &changed, "eve");
    it.world.sweep_after(SignedDuration::ZERO);
    assert_eq!(head(&it.world).policy, changed.digest());
    let context = it.world.context();
    let back = poll(policy::roll_back_config(&context, None, &Actor::person("ann"), "too slow")).unwrap_done();
    assert_eq!(back.expect("it applies").number, 3);
    it.world.sweep_after(SignedDuration::ZERO);
    assert_eq!((head(&it.world).policy.clone(), head(&it.world).editor.id.as_str()), (manual().digest(), "ann"));
    it.verify();
}

#[test]
fn an_applied_policy_takes_effect_at_once() {
    let mut it = Watched::at(one_champion());
    let mut changed = manual();
    changed.models[0].triggers.cooldown = refit_core::policy::Span::days(2);
    apply(&it.world, &changed, "eve");
    assert_ne!(head(&it.world).policy, changed.digest());
    it.world.sweep_after(SignedDuration::ZERO);
    assert_eq!(head(&it.world).policy, changed.digest());
    it.verify();
}

#[test]
fn a_model_that_leaves_the_policy_is_let_go_and_taken_back() {
    let mut it = Watched::awaiting();
    apply(&it.world, &without_model(), "eve");
    it.world.sweep_after(SignedDuration::ZERO);
    it.world.sweep_after(SignedDuration::from_mins(5));
    let run = runs(&it.world).pop().expect("a run");
    assert_eq!(run.outcome.map(|it| it.code), Some(OutcomeCode::Released));
    assert!(head(&it.world).released_at.is_some());
    let checked = head(&it.world).audit_seq;
    for _ in 0..4 {
        it.world.sweep_after(SignedDuration::from_hours(24));
    }
    assert_eq!(head(&it.world).audit_seq, checked, "nobody checks it");
    let (why, _) = refused(&it.world, Function::CheckTriggers, &trigger("t2"));
    assert!(why.is_some_and(|it| it.contains("left the policy")));
    apply(&it.world, &manual(), "eve");
    it.world.sweep_after(SignedDuration::ZERO);
    assert_eq!(head(&it.world).released_at, None);
    it.world.sweep_after(SignedDuration::from_hours(24));
    assert!(checked + 1 < head(&it.world).audit_seq, "it is checked again");
    it.verify();
}

#[test]
fn a_training_of_a_model_that_left_the_policy_is_stopped() {
    let mut it = Watched::at(one_champion());
    ask(&mut it.world, Function::CheckTriggers, &trigger("t"));
    apply(&it.world, &without_model(), "eve");
    it.world.sweep_after(SignedDuration::ZERO);
    it.world.sweep_after(SignedDuration::from_mins(6));
    finish(&mut it.world, &Ending::Stopped);
    it.world.drain();
    it.world.sweep_after(SignedDuration::from_mins(6));
    let run = runs(&it.world).pop().expect("a run");
    assert_eq!((run.status, run.outcome.map(|it| it.code)), (RunStatus::Canceled, Some(OutcomeCode::Released)));
    assert!(head(&it.world).released_at.is_some());
    it.verify();
}

#[test]
fn r3_a_champion_of_a_model_that_left_the_policy_can_be_taken_back() {
    let mut it = Watched::at(two_champions());
    apply(&it.world, &without_model(), "eve");
    it.world.sweep_after(SignedDuration::ZERO);
    assert!(head(&it.world).released_at.is_some());
    ask(&mut it.world, Function::PromoteModel, &rollback("b"));
    assert_eq!(head(&it.world).champion, Some(1));
    it.verify();
}

#[test]
fn p3_a_vote_on_a_request_that_others_voted_on_since_is_refused() {
    let mut it = Watched::at(one_champion());
    let mut two = manual();
    two.models[0].promotion.approvals = 2;
    apply(&it.world, &two, "eve");
    it.world.sweep_after(SignedDuration::ZERO);
    ask(&mut it.world, Function::CheckTriggers, &trigger("t"));
    finish(&mut it.world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    it.world.drain();
    let mut first = vote("v1", 2, "bob", "approve");
    first["if_match"] = json!(1);
    ask(&mut it.world, Function::PromoteModel, &first);
    let mut stale = vote("v2", 2, "carl", "approve");
    stale["if_match"] = json!(1);
    let (why, _) = refused(&it.world, Function::PromoteModel, &stale);
    assert!(why.is_some_and(|it| it.contains("generation 1 of the request, which is at 2")));
    assert_eq!(head(&it.world).champion, Some(1));
    let mut fresh = vote("v3", 2, "carl", "approve");
    fresh["if_match"] = json!(2);
    ask(&mut it.world, Function::PromoteModel, &fresh);
    assert_eq!(head(&it.world).champion, Some(2));
    it.verify();
}

#[test]
fn p3_whoever_changed_the_configuration_cannot_approve_what_it_asked_for() {
    let mut it = Watched::at(one_champion());
    let mut old = manual();
    old.models[0].triggers.age = Some(refit_core::policy::Span::days(1));
    apply(&it.world, &old, "eve");
    it.world.sweep_after(SignedDuration::from_hours(48));
    let run = runs(&it.world).pop().expect("a run by age");
    assert_eq!((run.requested_by.id.as_str(), run.editor.id.as_str()), ("schedule", "eve"));
    finish(&mut it.world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    it.world.drain();
    let (why, _) = refused(&it.world, Function::PromoteModel, &vote("v1", 2, "eve", "approve"));
    assert!(why.is_some_and(|it| it.contains("eve changed the configuration")));
    ask(&mut it.world, Function::PromoteModel, &vote("v2", 2, "bob", "approve"));
    assert_eq!(head(&it.world).champion, Some(2));
    it.verify();
}

#[test]
fn p3_approve_decline_and_rollback_in_any_order_have_one_winner() {
    let requests = [vote("a", 3, "bob", "approve"), vote("d", 3, "carl", "decline"), rollback("b")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut it = Watched::at(two_champions());
        ask(&mut it.world, Function::CheckTriggers, &trigger("t"));
        finish(&mut it.world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
        it.world.drain();
        // Everybody asks before anything that follows from it is delivered.
        let answers: Vec<bool> = order
            .iter()
            .map(|index| refused(&it.world, Function::PromoteModel, &requests[*index]).0.is_none())
            .collect();
        it.world.drain();
        for _ in 0..3 {
            it.world.sweep_after(SignedDuration::from_mins(6));
        }
        let champion = head(&it.world).champion;
        let taken = |wanted: usize| order.iter().zip(&answers).any(|(index, is_taken)| *index == wanted && *is_taken);
        assert!(!(taken(0) && taken(1)), "{order:?}: only one vote decides");
        // Promoted and taken back, or taken back and never promoted, or declined and taken back.
        let expected = if order[0] == 0 { Some(2) } else { Some(1) };
        assert!(champion == expected || champion == Some(1), "{order:?}: {champion:?}");
        assert!(runs(&it.world).iter().all(|it| it.status.is_terminal()), "{order:?}");
        it.verify();
    }
}

#[test]
fn votes_that_a_changed_policy_voids_are_named() {
    let mut it = Watched::at(one_champion());
    let mut two = manual();
    two.models[0].promotion.approvals = 2;
    apply(&it.world, &two, "eve");
    it.world.sweep_after(SignedDuration::ZERO);
    ask(&mut it.world, Function::CheckTriggers, &trigger("t"));
    finish(&mut it.world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    it.world.drain();
    ask(&mut it.world, Function::PromoteModel, &vote("v1", 2, "bob", "approve"));
    // What has nothing to do with gates and promotion voids nothing.
    let mut unrelated = two.clone();
    unrelated.models[0].triggers.cooldown = refit_core::policy::Span::days(1);
    apply(&it.world, &unrelated, "eve");
    it.world.sweep_after(SignedDuration::ZERO);
    assert_eq!(runs(&it.world).last().map(|it| it.status), Some(RunStatus::AwaitingApproval));
    apply(&it.world, &manual(), "eve");
    it.world.sweep_after(SignedDuration::ZERO);
    let outcome = runs(&it.world).pop().and_then(|it| it.outcome).expect("it ended");
    assert_eq!(outcome.code, OutcomeCode::BasisChanged);
    assert!(outcome.reason.contains("the votes of bob no longer apply"), "{outcome:?}");
    it.verify();
}

#[test]
fn a_late_duplicate_of_a_refused_request_gets_the_same_answer() {
    let mut it = Watched::at(one_champion());
    ask(&mut it.world, Function::CheckTriggers, &trigger("t1"));
    let first = refused(&it.world, Function::CheckTriggers, &trigger("t2"));
    assert!(first.0.as_ref().is_some_and(|it| it.contains("under way")) && !first.1, "{first:?}");
    finish(&mut it.world, &Ending::Failed("out of memory".to_owned()));
    it.world.drain();
    let count = runs(&it.world).len();
    let again = refused(&it.world, Function::CheckTriggers, &trigger("t2"));
    assert_eq!(again, (first.0, true));
    assert_eq!(runs(&it.world).len(), count);
    it.verify();
}

#[test]
fn p2_a_version_is_promoted_again_only_by_others_than_who_asked() {
    let mut it = Watched::at(two_champions());
    let promote = |id: &str, version: u64| json!({ "kind": "promote", "id": id, "model": MODEL, "version": version, "actor": "ann", "reason": "it was better" });
    for (id, version, why) in [("p1", 2, "it is the champion"), ("p2", 9, "there is no such version")] {
        let (refused, _) = refused(&it.world, Function::PromoteModel, &promote(id, version));
        assert!(refused.is_some_and(|it| it.contains(why)));
    }
    ask(&mut it.world, Function::PromoteModel, &promote("p3", 1));
    assert_eq!(head(&it.world).champion, Some(2), "never by itself");
    let (why, _) = refused(&it.world, Function::PromoteModel, &vote("v1", 3, "ann", "approve"));
    assert!(why.is_some_and(|it| it.contains("ann asked for this run")));
    let (why, _) = refused(&it.world, Function::CheckTriggers, &trigger("t9"));
    assert!(why.is_some_and(|it| it.contains("under way")));
    ask(&mut it.world, Function::PromoteModel, &vote("v2", 3, "bob", "approve"));
    assert_eq!((head(&it.world).champion, head(&it.world).previous_champion), (Some(1), Some(2)));
    ask(&mut it.world, Function::PromoteModel, &rollback("b"));
    assert_eq!(head(&it.world).champion, Some(2));
    it.verify();
}

#[test]
fn a_declined_return_leaves_the_version_as_it_was() {
    let mut it = Watched::at(two_champions());
    let promote = json!({ "kind": "promote", "id": "p", "model": MODEL, "version": 1, "actor": "ann", "reason": "it was better" });
    ask(&mut it.world, Function::PromoteModel, &promote);
    ask(&mut it.world, Function::PromoteModel, &vote("v", 3, "bob", "decline"));
    let packages = poll(refit_app::queries::list_packages(&it.world.table, &model())).unwrap_done().expect("packages");
    assert_eq!(packages[0].status, refit_core::package::PackageStatus::Retired);
    assert_eq!(head(&it.world).champion, Some(2));
    it.verify();
}

#[test]
fn a_model_that_was_made_elsewhere_comes_under_watch_as_champion() {
    let mut it = Watched::at(watched());
    let archive = "s3://data/elsewhere/model.tar.gz";
    it.world.objects.overwrite(&archive.parse().expect("an address"), b"weights").expect("it is a file");
    let package = it.world.packages.register("m", archive, now(&it.world));
    let other = it.world.packages.register("n", archive, now(&it.world));
    let adopt = |id: &str, arn: Option<&str>| {
        json!({
            "kind": "adopt", "id": id, "model": MODEL, "actor": "ann", "reason": "it serves for years",
            "package_arn": arn, "evaluation": { "regression_metrics": { "mae": { "value": 9.0, "standard_deviation": 0.1 } } },
        })
    };
    for (id, arn, why) in [
        ("a1", None, "serves no single package"),
        ("a2", Some(other.arn.as_str()), "package group `n`"),
        ("a3", Some("arn:aws:sagemaker:us-east-1:000000000000:model-package/m/77"), "does not exist"),
    ] {
        let (refused, _) = refused(&it.world, Function::PromoteModel, &adopt(id, arn));
        assert!(refused.as_ref().is_some_and(|it| it.contains(why)), "{refused:?}");
    }
    ask(&mut it.world, Function::PromoteModel, &adopt("a4", Some(&package.arn)));
    assert_eq!(head(&it.world).champion, Some(package.version));
    it.world.sweep_after(SignedDuration::from_hours(24));
    assert_eq!(it.world.endpoints.variants("m")[0].package_arn, package.arn, "an endpoint without traffic gets it");
    let (why, _) = refused(&it.world, Function::PromoteModel, &adopt("a5", Some(&package.arn)));
    assert!(why.is_some_and(|it| it.contains("is champion already")));
    it.verify();
}
