//! A process that dies, a service that fails or an answer that is lost, at every call of every workflow.
//!
//! Each workflow is played once to count its port calls; then again for each call and each fault that can happen there,
//! from the last moment before the call. Afterwards the same event comes again (or, in a second series, is lost), and
//! three sweeps pass. Every invariant is checked after every transaction, and the end must be the undisturbed one.
//!
//! Of the pairs of faults a few are drawn; `refit-sim pairs` plays them all.
//!
//! Not repeated: faults that differ in nothing, as a crash after a read from one before it (`Fault::applies_to`).

use refit_local::sim::pairs::{Depth, Injection, Played, Problem, explore, list, play_at, sample};
use refit_local::sim::rng::Rng;
use std::collections::BTreeSet;

use super::support::workflows::{self, Workflow};

/// Pairs of faults that are drawn of each workflow, by each of two seeds.
const PAIRS: usize = 1;

/// The distinct first words of problems, for a short message.
fn classes(problems: &[Problem]) -> BTreeSet<String> {
    problems.iter().map(|it| it.text.lines().next().unwrap_or_default().to_owned()).collect()
}

#[track_caller]
fn check(workflow: &Workflow) {
    let found = explore(workflow, Depth::Singles, 1);
    println!("{}: {} calls, {} faults, {} moments", workflow.name, found.calls, found.singles, found.moments);
    assert!(
        found.problems.is_empty(),
        "{} of {} runs: {:#?}\n{:#?}",
        found.problems.len(),
        found.singles,
        classes(&found.problems),
        found.problems.first()
    );
    assert_eq!(found.calls_covered, found.calls, "every fault at every call");
    assert!((found.calls as u64) * 2 < found.singles, "every call has at least a crash and an outage");
}

#[test]
fn a_quiet_check_survives_every_fault() {
    check(&workflows::quiet_check());
}

#[test]
fn a_performance_drop_to_promotion_survives_every_fault() {
    check(&workflows::drop_to_promotion());
}

#[test]
fn a_manual_run_to_promotion_survives_every_fault() {
    check(&workflows::manual_to_promotion());
}

#[test]
fn the_first_champion_survives_every_fault() {
    check(&workflows::first_champion());
}

#[test]
fn a_decline_survives_every_fault() {
    check(&workflows::declined());
}

#[test]
fn an_expired_approval_survives_every_fault() {
    check(&workflows::approval_expired());
}

#[test]
fn a_gate_rejection_survives_every_fault() {
    check(&workflows::gate_rejected());
}

#[test]
fn a_failing_execution_survives_every_fault() {
    check(&workflows::execution_failed());
}

#[test]
fn missing_outputs_survive_every_fault() {
    check(&workflows::outputs_missing());
}

#[test]
fn an_execution_timeout_survives_every_fault() {
    check(&workflows::execution_timed_out());
}

#[test]
fn a_rollback_survives_every_fault() {
    check(&workflows::rollback_when_idle());
}

#[test]
fn a_rollback_while_training_survives_every_fault() {
    check(&workflows::rollback_while_training());
}

#[test]
fn a_rollback_while_awaiting_approval_survives_every_fault() {
    check(&workflows::rollback_while_awaiting());
}

#[test]
fn a_promotion_taken_back_survives_every_fault() {
    check(&workflows::promotion_taken_back());
}

#[test]
fn a_suspension_survives_every_fault() {
    check(&workflows::suspended());
}

#[test]
fn a_duplicate_trigger_survives_every_fault() {
    check(&workflows::duplicate_trigger());
}

#[test]
fn files_survive_every_fault() {
    check(&workflows::files_recorded());
}

#[test]
fn a_policy_change_survives_every_fault() {
    check(&workflows::policy_changed());
}

#[test]
fn pairs_of_faults_leave_nothing_behind() {
    for seed in [1, 2] {
        println!("pairs of faults by seed {seed}");
        let mut rng = Rng::new(seed);
        for workflow in workflows::all() {
            let problems = sample(&workflow, &mut rng, PAIRS);
            let at: Vec<String> = problems.iter().map(|it| list(&it.faults)).collect();
            assert!(problems.is_empty(), "seed {seed}, {} --at {at:?}: {problems:#?}", workflow.name);
        }
    }
}

#[test]
fn every_pair_is_counted_where_it_is_not_played() {
    let workflow = workflows::rollback_when_idle();
    let found = explore(&workflow, Depth::Pairs, 2);
    assert_eq!(found.problems, []);
    let calls = play_at(&workflow, &[]).calls;
    let firsts: Vec<Injection> = calls.iter().flat_map(Injection::all).collect();
    assert_eq!(found.singles, firsts.len() as u64);
    let mut pairs = 0;
    for first in firsts {
        let Played { calls, problem, .. } = play_at(&workflow, &[first]);
        assert_eq!(problem, None);
        pairs += calls.iter().filter(|it| first.call < it.index).flat_map(Injection::all).count() as u64;
    }
    assert_eq!(found.pairs, pairs);
}

#[test]
fn faults_are_read_as_they_are_written() {
    let faults: Vec<Injection> =
        "3:CrashAfter-lost,17:Conflict".split(',').map(|it| it.parse().expect("two")).collect();
    assert_eq!(list(&faults), "3:CrashAfter-lost,17:Conflict");
    for wrong in ["", "3", "3:", "x:Conflict", "3:Conflicts", ":Conflict"] {
        assert!(wrong.parse::<Injection>().is_err(), "{wrong}");
    }
}

#[test]
fn a_suspension_and_its_end_survive_every_fault() {
    check(&workflows::orders::suspended_and_resumed());
}

#[test]
fn a_drop_while_suspended_survives_every_fault() {
    check(&workflows::orders::drop_while_suspended());
}

#[test]
fn the_promotion_of_a_version_survives_every_fault() {
    check(&workflows::orders::version_promoted());
}

#[test]
fn the_decline_of_a_version_survives_every_fault() {
    check(&workflows::orders::version_declined());
}

#[test]
fn an_adoption_survives_every_fault() {
    check(&workflows::orders::adopted());
}

#[test]
fn an_adoption_of_what_is_not_served_survives_every_fault() {
    check(&workflows::orders::adopted_unserved());
}

#[test]
fn a_second_attempt_survives_every_fault() {
    check(&workflows::orders::second_attempt());
}

#[test]
fn used_up_attempts_survive_every_fault() {
    check(&workflows::orders::attempts_used_up());
}

#[test]
fn a_cancellation_while_waiting_survives_every_fault() {
    check(&workflows::orders::canceled_while_waiting());
}

#[test]
fn a_cancellation_while_training_survives_every_fault() {
    check(&workflows::orders::canceled_while_training());
}

#[test]
fn a_cancellation_while_awaiting_approval_survives_every_fault() {
    check(&workflows::orders::canceled_while_awaiting());
}

#[test]
fn a_retry_survives_every_fault() {
    check(&workflows::orders::tried_again());
}

#[test]
fn a_newer_run_while_training_survives_every_fault() {
    check(&workflows::orders::superseded_while_training());
}

#[test]
fn a_newer_run_while_awaiting_approval_survives_every_fault() {
    check(&workflows::orders::superseded_while_awaiting());
}
