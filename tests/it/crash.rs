//! A process that dies, a service that fails or an answer that is lost, at every call of every workflow.
//!
//! Each workflow is played once to count its port calls; then again for each call and each fault that can happen there,
//! from the last moment before the call. Afterwards the same event comes again (or, in a second series, is lost), and
//! [`SWEEPS`] sweeps pass. Every invariant is checked after every transaction, and the end must be the undisturbed one.
//!
//! Not repeated: faults that differ in nothing, as a crash after a read from one before it (`Fault::applies_to`).
//!
//! [`SWEEPS`]: super::support::player::SWEEPS

use super::support::player::{classes, play_every_fault};
use super::support::workflows::{self, Workflow};

#[track_caller]
fn check(workflow: &Workflow) {
    let tally = play_every_fault(workflow);
    println!("{}: {} calls, {} faults, {} aftermaths", workflow.name, tally.calls, tally.runs, tally.played);
    let first = tally.problems.first().cloned().unwrap_or_default();
    assert!(
        tally.problems.is_empty(),
        "{} of {} runs: {:#?}\n{first}",
        tally.problems.len(),
        tally.runs,
        classes(&tally.problems)
    );
    assert!(tally.calls * 2 < tally.runs, "every call has at least a crash and an outage");
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
