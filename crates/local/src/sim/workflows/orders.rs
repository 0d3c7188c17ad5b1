//! What people order about runs, versions and triggers: suspension, cancellation, another attempt, promotion, adoption.

use std::sync::OnceLock;

use jiff::SignedDuration;
use refit_app::ports::{Endpoints, Variant};
use refit_core::policy::{OnNewTrigger, Span};
use refit_handlers::Function;
use serde_json::{Value, json};

use super::worlds::{Base, automatic, beginning, build_under, one_champion, trigger, two_champions, vote, watched};
use super::{Action, Workflow, ask, check, data, hours, succeeds};
use crate::memory::{Ending, MODEL, MemoryWorld, Promotion, policy, poll};

/// Version 1 is champion, promoted by hand; a newer cause takes the place of a run.
fn superseding() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut policy = policy(Promotion::Manual);
        policy.models[0].triggers.on_new_trigger = OnNewTrigger::Supersede;
        build_under(&policy, 1)
    })
}

/// Version 1 is champion, promoted by hand; a second attempt comes hours after the first.
fn patient() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut policy = policy(Promotion::Manual);
        policy.models[0].pipeline.retry.backoff = Span::hours(4);
        policy.models[0].pipeline.retry.max_backoff = Span::hours(4);
        build_under(&policy, 1)
    })
}

/// The package that was made elsewhere.
const ELSEWHERE: &str = "arn:aws:sagemaker:us-east-1:000000000000:model-package/m/1";

/// Model `m` has no champion; a package that Refit did not make is registered and served alone.
fn elsewhere_served() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        build_elsewhere(&[Variant { name: "champion".to_owned(), package_arn: ELSEWHERE.to_owned(), weight: 1.0 }])
    })
}

/// Model `m` has no champion; a package that Refit did not make is registered, and nothing is served.
fn elsewhere_unserved() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| build_elsewhere(&[]))
}

fn build_elsewhere(serving: &[Variant]) -> Base {
    let base = watched();
    let world = MemoryWorld::at(&base.world);
    let archive = "s3://data/elsewhere/model.tar.gz";
    world
        .objects
        .overwrite(&archive.parse().expect("invariant: a constant address"), b"made by hand")
        .expect("invariant: memory takes all");
    let package = world.packages.register(MODEL, archive, beginning());
    assert_eq!(package.arn, ELSEWHERE);
    if !serving.is_empty() {
        poll(world.endpoints.ensure_variants(MODEL, serving)).unwrap_done().expect("invariant: memory takes all");
    }
    Base { world: world.snapshot(), checker: base.checker.clone() }
}

fn trigger_by(id: &str, actor: &str, reason: &str) -> Value {
    json!({ "kind": "trigger", "id": id, "model": MODEL, "actor": actor, "reason": reason })
}

fn cancel(id: &str, run: u64) -> Value {
    json!({ "kind": "cancel", "id": id, "run": format!("{MODEL}-r{run:04}"), "actor": "dan", "reason": "not now" })
}

fn retry(id: &str, run: u64) -> Value {
    json!({ "kind": "retry", "id": id, "run": format!("{MODEL}-r{run:04}"), "actor": "dan" })
}

fn suspend(id: &str) -> Value {
    json!({ "kind": "suspend", "id": id, "model": MODEL, "actor": "cyd", "reason": "stocktaking" })
}

fn resume(id: &str) -> Value {
    json!({ "kind": "resume", "id": id, "model": MODEL, "actor": "cyd", "reason": "done" })
}

fn promotion(id: &str, version: u64) -> Value {
    json!({
        "kind": "promote", "id": id, "model": MODEL, "version": version, "actor": "ann", "reason": "it was better",
    })
}

fn adopt(id: &str, package: Option<&str>) -> Value {
    json!({
        "kind": "adopt", "id": id, "model": MODEL, "actor": "ann", "reason": "it is ours now", "package_arn": package,
    })
}

/// Triggers rest while they are suspended: a request is refused, and taken after the end of it.
#[must_use]
pub fn suspended_and_resumed() -> Workflow {
    let approve = ask(Function::PromoteModel, vote("v", 2, "bob", "approve"));
    let refused = ask(Function::CheckTriggers, trigger("early"));
    let actions = vec![
        ask(Function::CheckTriggers, suspend("s")),
        refused,
        ask(Function::CheckTriggers, resume("e")),
        check(),
        succeeds(4.0, 9.0),
        approve,
    ];
    Workflow { name: "suspension and its end", base: one_champion(), actions }
}

/// Quality drops while triggers are suspended: it is judged, and nothing comes of it.
#[must_use]
pub fn drop_while_suspended() -> Workflow {
    let [capture, labels] = data(14.0);
    let actions = vec![ask(Function::CheckTriggers, suspend("s")), capture, labels, hours(22), succeeds(4.0, 14.0)];
    Workflow { name: "drop while suspended", base: automatic(), actions }
}

/// An older version of Refit's own becomes champion again, once somebody else than who asked agrees.
#[must_use]
pub fn version_promoted() -> Workflow {
    let own_vote = ask(Function::PromoteModel, vote("own", 3, "ann", "approve"));
    let approve = ask(Function::PromoteModel, vote("v", 3, "bob", "approve"));
    let actions = vec![ask(Function::PromoteModel, promotion("p", 1)), own_vote, approve];
    Workflow { name: "promotion of a version", base: two_champions(), actions }
}

/// The same, and somebody declines.
#[must_use]
pub fn version_declined() -> Workflow {
    let decline = ask(Function::PromoteModel, vote("v", 3, "bob", "decline"));
    let actions = vec![ask(Function::PromoteModel, promotion("p", 1)), decline];
    Workflow { name: "decline of a version", base: two_champions(), actions }
}

/// A model that was made elsewhere and is served comes under watch; its first candidate replaces it.
#[must_use]
pub fn adopted() -> Workflow {
    let approve = ask(Function::PromoteModel, vote("v", 1, "bob", "approve"));
    let actions = vec![ask(Function::PromoteModel, adopt("a", None)), check(), succeeds(4.0, 9.0), approve];
    Workflow { name: "adoption of what is served", base: elsewhere_served(), actions }
}

/// A model that was made elsewhere and is not served yet: the endpoint is given it when it is looked at next.
#[must_use]
pub fn adopted_unserved() -> Workflow {
    // Should the wake-up be lost that serves it, the next look does.
    let actions = vec![ask(Function::PromoteModel, adopt("a", Some(ELSEWHERE))), hours(25), hours(24)];
    Workflow { name: "adoption of what is not served", base: elsewhere_unserved(), actions }
}

/// SageMaker's words for a lack of machines.
const NO_CAPACITY: &str = "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different \
    ML instance type.";

fn fails(reason: &str) -> Action {
    Action::Finish(Ending::Failed(reason.to_owned()))
}

fn minutes(minutes: i64) -> Action {
    Action::Wait(SignedDuration::from_mins(minutes))
}

/// The service has no machine, and has one some minutes later.
#[must_use]
pub fn second_attempt() -> Workflow {
    let approve = ask(Function::PromoteModel, vote("v", 2, "bob", "approve"));
    let actions = vec![check(), fails(NO_CAPACITY), minutes(10), succeeds(4.0, 9.0), approve];
    Workflow { name: "second attempt", base: one_champion(), actions }
}

/// The service has no machine three times: that is as often as it is tried.
#[must_use]
pub fn attempts_used_up() -> Workflow {
    let actions = vec![
        check(),
        fails(NO_CAPACITY),
        minutes(10),
        fails(NO_CAPACITY),
        minutes(20),
        fails(NO_CAPACITY),
        // Nothing is under way any more.
        minutes(60),
        fails(NO_CAPACITY),
    ];
    Workflow { name: "attempts used up", base: one_champion(), actions }
}

/// A run is ended that waits for its second attempt.
#[must_use]
pub fn canceled_while_waiting() -> Workflow {
    let actions = vec![check(), fails(NO_CAPACITY), ask(Function::EvaluateCandidate, cancel("c", 2)), hours(5)];
    // The second attempt is still far away when the cancellation comes, whatever was healed before.
    Workflow { name: "cancellation while waiting", base: patient(), actions }
}

/// A run is ended that trains: its execution is stopped first.
#[must_use]
pub fn canceled_while_training() -> Workflow {
    let cancel = ask(Function::EvaluateCandidate, cancel("c", 2));
    let actions = vec![check(), cancel, Action::Finish(Ending::Stopped)];
    Workflow { name: "cancellation while training", base: one_champion(), actions }
}

/// A run is ended whose candidate waits for people; a vote comes too late.
#[must_use]
pub fn canceled_while_awaiting() -> Workflow {
    let cancel = ask(Function::EvaluateCandidate, cancel("c", 2));
    let approve = ask(Function::PromoteModel, vote("v", 2, "bob", "approve"));
    let actions = vec![check(), succeeds(4.0, 9.0), cancel, approve];
    Workflow { name: "cancellation while awaiting approval", base: one_champion(), actions }
}

/// A failed run is tried again by a person, as a run of its own.
#[must_use]
pub fn tried_again() -> Workflow {
    let again = ask(Function::CheckTriggers, retry("r", 2));
    let approve = ask(Function::PromoteModel, vote("v", 3, "bob", "approve"));
    let actions = vec![check(), fails("AlgorithmError: out of memory"), again, succeeds(4.0, 9.0), approve];
    Workflow { name: "retry by a person", base: one_champion(), actions }
}

/// A newer cause ends a run that trains, and a run for both causes takes its place.
#[must_use]
pub fn superseded_while_training() -> Workflow {
    let newer = ask(Function::CheckTriggers, trigger_by("newer", "cyd", "fresher data"));
    let approve = ask(Function::PromoteModel, vote("v", 3, "bob", "approve"));
    let actions = vec![check(), newer, Action::Finish(Ending::Stopped), succeeds(4.0, 9.0), approve];
    Workflow { name: "a newer run while training", base: superseding(), actions }
}

/// A newer cause ends a run whose candidate waits for people, and a run for both causes takes its place.
#[must_use]
pub fn superseded_while_awaiting() -> Workflow {
    let newer = ask(Function::CheckTriggers, trigger_by("newer", "cyd", "fresher data"));
    let approve = ask(Function::PromoteModel, vote("v", 3, "bob", "approve"));
    let actions = vec![check(), succeeds(4.0, 9.0), newer, succeeds(4.0, 9.0), approve];
    Workflow { name: "a newer run while awaiting approval", base: superseding(), actions }
}
