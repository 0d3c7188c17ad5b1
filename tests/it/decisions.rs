//! Decisions asked again: on the recorded policy each answer is the recorded one, byte for byte; a changed input is noticed;
//! on a proposed policy the difference is told, and what cannot be told is not guessed.

use std::collections::BTreeSet;
use std::sync::Arc;

use refit_app::decisions::{ReplayedDecision, ReplayedPolicy, replay_decisions, replay_model};
use refit_app::documents::{model_partition, state_uri};
use refit_app::ports::{Expect, Key, Table, Write};
use refit_app::queries::{list_audit, list_decisions};
use refit_app::{chain, snapshots, state::transaction_token};
use refit_core::decision::{DecisionKind, DecisionRecord};
use refit_core::plan::Question;
use refit_core::policy::{Metric, Policy};
use refit_core::proposal::Proposed;
use refit_core::snapshot::{Snapshot, StoredSnapshot};
use refit_core::trigger::WindowEvidence;
use refit_core::{Digest, ModelId};
use refit_local::memory::{MODEL, MemoryWorld, Promotion, policy, poll};

use super::support::player::Undisturbed;
use super::support::workflows::{self, Workflow};

fn model() -> ModelId {
    MODEL.parse().expect("a constant name")
}

fn played(workflow: &Workflow) -> MemoryWorld {
    MemoryWorld::at(&Undisturbed::play(workflow).end)
}

fn replayed(world: &MemoryWorld) -> Vec<ReplayedDecision> {
    poll(replay_model(&world.context(), &model())).unwrap_done().expect("the log adds up")
}

fn decisions(world: &MemoryWorld) -> Vec<DecisionRecord> {
    poll(list_decisions(&world.table, &model())).unwrap_done().expect("the decisions")
}

#[test]
fn every_decision_of_every_workflow_gives_itself_again() {
    let mut kinds = BTreeSet::new();
    for workflow in workflows::all() {
        let world = played(&workflow);
        let replayed = replayed(&world);
        assert_eq!(replayed.len(), decisions(&world).len(), "{}", workflow.name);
        assert!(!replayed.is_empty(), "{}", workflow.name);
        for decision in &replayed {
            assert!(decision.is_equal, "{}: {} {:?}", workflow.name, decision.decision, decision.problems);
            kinds.insert(format!("{:?}", decision.kind));
        }
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["Check", "Evaluation", "Promotion", "Rollback"]);
}

#[test]
fn every_decision_stands_behind_an_event_that_names_its_inputs() {
    for workflow in [workflows::drop_to_promotion(), workflows::promotion_taken_back()] {
        let world = played(&workflow);
        let entries = poll(list_audit(&world.table, &model())).unwrap_done().expect("the log");
        let named: Vec<(u64, Digest)> =
            entries.iter().filter_map(|it| Some((it.event.seq, it.event.snapshot.clone()?))).collect();
        let kept: Vec<(u64, Digest)> = decisions(&world)
            .into_iter()
            .filter_map(|it| Some((DecisionRecord::parse_id(&it.id)?.1, it.snapshot.digest)))
            .collect();
        assert_eq!(named, kept, "{}", workflow.name);
    }
}

/// Replaces the stored record of a decision, as somebody would who wants another history.
fn change(world: &MemoryWorld, decision: &DecisionRecord, from: &str, to: &str) {
    let (_, seq) = DecisionRecord::parse_id(&decision.id).expect("an id");
    let key = Key::new(&model_partition(&model()), &DecisionRecord::sort(seq));
    let item = poll(world.table.get(&key)).unwrap_done().expect("a read").expect("the record");
    let body = item.body.replacen(from, to, 1);
    assert_ne!(body, item.body.as_str(), "there is no {from}");
    let expect = Expect::Generation(item.generation);
    let writes = [Write::Put { key, expect, body: body.into(), due: None }];
    poll(world.table.transact(&transaction_token(&writes), &writes)).unwrap_done().expect("a write");
}

#[track_caller]
fn check_noticed(kind: DecisionKind, from: &str, to: &str, expected: &str) {
    let world = played(&workflows::drop_to_promotion());
    let decision = decisions(&world).into_iter().rfind(|it| it.kind == kind).expect("a decision of this kind");
    change(&world, &decision, from, to);
    let wrong: Vec<_> = replayed(&world).into_iter().filter(|it| !it.is_equal).collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert_eq!(wrong[0].decision, decision.id);
    assert!(wrong[0].problems.join("; ").contains(expected), "{:?}", wrong[0].problems);
}

#[test]
fn a_changed_input_is_noticed() {
    check_noticed(
        DecisionKind::Evaluation,
        "\"status\":\"Succeeded\"",
        "\"status\":\"Failed\"",
        "do not match their digest",
    );
    check_noticed(DecisionKind::Check, "\"now\":\"2026", "\"now\":\"2027", "do not match their digest");
    check_noticed(DecisionKind::Check, "\"lower_bound\":", "\"lower_bound\":1", "the decision differs");
}

#[test]
fn changed_words_are_noticed() {
    check_noticed(DecisionKind::Check, "\"outcome\":\"retrain", "\"outcome\":\"RETRAIN", "the decision differs");
    check_noticed(DecisionKind::Check, "\"kind\":\"check\"", "\"kind\":\"promotion\"", "the decision differs");
}

#[test]
fn inputs_and_digest_changed_together_are_noticed_by_the_log() {
    let world = played(&workflows::drop_to_promotion());
    let decision = decisions(&world).into_iter().rfind(|it| it.kind == DecisionKind::Check).expect("a check");
    let mut snapshot = Snapshot::clone(decision.snapshot.inline.as_deref().expect("it is small"));
    snapshot.performed.clear();
    snapshot.question =
        Question::Check { windows: Vec::new(), recent: refit_core::plan::Recent::default(), manual: None };
    let forged = StoredSnapshot { digest: snapshot.digest(), inline: Some(Arc::new(snapshot)) };
    let text = |it: &StoredSnapshot| serde_json::to_string(it).expect("it serializes");
    change(&world, &decision, &text(&decision.snapshot), &text(&forged));
    let wrong: Vec<_> = replayed(&world).into_iter().filter(|it| !it.is_equal).collect();
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].problems[0].contains("the log names other inputs"), "{:?}", wrong[0].problems);
}

/// More evidence than an item holds.
fn large(world: &MemoryWorld) -> Snapshot {
    let check = decisions(world).into_iter().rfind(|it| it.kind == DecisionKind::Check).expect("a check");
    let mut snapshot = Arc::unwrap_or_clone(check.snapshot.inline.expect("it is small"));
    let Question::Check { windows, .. } = &mut snapshot.question else { panic!("another question") };
    let few: Vec<WindowEvidence> = windows.clone();
    windows.extend((0..400).flat_map(|_| few.clone()));
    snapshot
}

#[test]
fn large_inputs_lie_in_an_object_that_its_digest_names() {
    let world = played(&workflows::quiet_check());
    let context = world.context();
    let snapshot = large(&world);
    let stored = poll(snapshots::keep(&context, snapshot.clone())).unwrap_done().expect("it is kept");
    assert_eq!(stored, StoredSnapshot { digest: snapshot.digest(), inline: None });
    let again = poll(snapshots::keep(&context, snapshot.clone())).unwrap_done().expect("twice is once");
    assert_eq!(again, stored);
    assert_eq!(poll(snapshots::read(&context, &stored)).unwrap_done().expect("it is there").as_ref(), &snapshot);

    let uri = state_uri("state", &["decisions", &format!("{}.json", stored.digest.hex())]);
    let text = serde_json::to_string(&snapshot).expect("it serializes");
    world.objects.overwrite(&uri, text.replacen("\"rows\":", "\"rows\":1", 1).as_bytes()).expect("a write");
    let error = poll(snapshots::read(&context, &stored)).unwrap_done().expect_err("it was changed");
    assert!(chain(&error).contains("do not match their digest"), "{}", chain(&error));
}

fn proposed(world: &MemoryWorld, change: impl FnOnce(&mut Policy)) -> ReplayedPolicy {
    let mut policy = policy(Promotion::Automatic);
    change(&mut policy);
    poll(replay_decisions(&world.context(), &policy)).unwrap_done().expect("the log adds up")
}

fn told(replayed: &ReplayedPolicy) -> Vec<String> {
    let line = |it: &refit_app::decisions::DecisionDifference| match &it.proposed {
        Proposed::Same => "the same".to_owned(),
        Proposed::Different { outcome, .. } => format!("{} -> {outcome}", it.recorded),
        Proposed::CannotBeTold { why } => format!("{} -> cannot be told: {why}", it.recorded),
    };
    replayed.differences.iter().map(line).collect()
}

#[test]
fn the_policy_in_force_changes_no_decision() {
    let world = played(&workflows::drop_to_promotion());
    let replayed = proposed(&world, |_| {});
    assert_eq!(replayed.decisions, decisions(&world).len());
    assert_eq!((replayed.same, replayed.differences.len()), (replayed.decisions, 0));
}

#[test]
fn a_proposed_policy_shows_what_it_would_have_decided() {
    let world = played(&workflows::drop_to_promotion());
    let calmer = proposed(&world, |policy| {
        policy.models[0].triggers.performance.as_mut().expect("a trigger").max_drop = Some(2.0);
    });
    assert_eq!(told(&calmer), ["retrain as m-r0002: performance_drop -> no retraining: no trigger fired"]);
    let stricter = proposed(&world, |policy| policy.models[0].gates[0].max = Some(1.0));
    let stricter = told(&stricter);
    let is_rejected = |it: &&String| it.ends_with("version 2 is rejected: a gate did not pass");
    assert!(stricter.iter().any(|it| is_rejected(&it)), "{stricter:?}");
    let by_hand = proposed(&world, |policy| policy.models[0].promotion.auto_promote = None);
    let by_hand = told(&by_hand);
    let expected = "version 2 is promoted without a person -> version 2 waits for 1 approval(s)";
    assert!(by_hand.iter().any(|it| it == expected), "{by_hand:?}");
}

#[test]
fn what_was_not_measured_cannot_be_told() {
    let world = played(&workflows::drop_to_promotion());
    let other = proposed(&world, |policy| {
        policy.models[0].triggers.performance.as_mut().expect("a trigger").metric = Metric::Rmse;
    });
    let other = told(&other);
    let expected = "cannot be told: performance was measured by mae, not by rmse";
    assert!(other.iter().any(|it| it.ends_with(expected)), "{other:?}");
    let data = proposed(&world, |policy| policy.models[0].data.label = "other".to_owned());
    assert!(told(&data).iter().all(|it| it.contains("cannot be told: other `data` is asked for")), "{data:?}");
    assert_ne!(data.cannot_be_told, 0);
    let votes = proposed(&world, |policy| policy.models[0].gates[0].max = Some(14.0));
    let expected = "cannot be told: people voted on the recorded gates and promotion policy, not on the proposed ones";
    assert!(told(&votes).iter().any(|it| it.ends_with(expected)), "{votes:?}");
}
