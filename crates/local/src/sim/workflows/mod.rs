//! Every workflow that exists, as a script of what people and services do.

pub mod orders;
pub mod player;
pub mod summary;
pub mod worlds;

use crate::memory::{Ending, MODEL, Outputs, Promotion};
use jiff::SignedDuration;
use refit_core::Digest;
use refit_data::{CaptureLine, Label, write_capture_line, write_ground_truth_line};
use refit_handlers::Function;
use serde_json::{Value, json};

use self::worlds::{Base, automatic, one_champion, rollback, trigger, two_champions, vote, watched};

/// What people and services do; between two actions the bus comes to rest.
#[derive(Debug, Clone)]
pub enum Action {
    /// A person asks, and repeats it with the same id until there is an answer.
    Ask(Function, Value),
    /// An administrator applies the policy, and repeats it until it works.
    Apply(Promotion),
    /// A service writes a file.
    Upload(String, Vec<u8>),
    /// The execution that is under way ends.
    Finish(Ending),
    /// Time passes, then the schedule sweeps.
    Wait(SignedDuration),
}

/// A workflow and where it begins.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// Its name.
    pub name: &'static str,
    /// Where it begins.
    pub base: &'static Base,
    /// What is done, in order.
    pub actions: Vec<Action>,
}

fn ask(function: Function, request: Value) -> Action {
    Action::Ask(function, request)
}

fn check() -> Action {
    ask(Function::CheckTriggers, trigger("t"))
}

fn hours(hours: i64) -> Action {
    Action::Wait(SignedDuration::from_hours(hours))
}

fn succeeds(candidate: f64, champion: f64) -> Action {
    Action::Finish(Ending::Succeeded(Outputs::of_errors(candidate, champion)))
}

/// The day's captured requests, one an hour, and their labels.
fn data(error: f64) -> [Action; 2] {
    let mut capture = String::new();
    let mut labels = String::new();
    for hour in 5..24_i64 {
        let id = format!("e{hour:02}");
        let at = worlds::beginning().as_microsecond() + (hour - 3) * 3_600_000_000 + 60_000_000;
        let sign = if hour % 2 == 0 { 1.0 } else { -1.0 };
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let label = 100.0 + (hour % 7) as f64;
        let (input, output) = (format!("{{\"x\":{hour}}}"), format!("{{\"score\":{}}}", label + sign * error));
        let event_id = Digest::of(id.as_bytes()).short().to_owned();
        let line = CaptureLine {
            event_id: &event_id,
            inference_id: Some(&id),
            time_micros: at,
            input: &input,
            output: &output,
        };
        capture.push_str(&write_capture_line(&line));
        labels.push_str(&write_ground_truth_line(&id, &Label::Number(label)));
    }
    [
        Action::Upload("s3://data/capture/m/champion/2026/01/05/05/rows.jsonl".to_owned(), capture.into_bytes()),
        Action::Upload("s3://data/labels/2026/01/05/23/rows.jsonl".to_owned(), labels.into_bytes()),
    ]
}

/// A scheduled check that fires nothing: the champion is as good as on its hold-out.
#[must_use]
pub fn quiet_check() -> Workflow {
    let [capture, labels] = data(9.0);
    Workflow { name: "quiet check", base: one_champion(), actions: vec![capture, labels, hours(22)] }
}

/// Quality drops, a run is requested, its candidate is promoted without a person.
#[must_use]
pub fn drop_to_promotion() -> Workflow {
    let [capture, labels] = data(14.0);
    Workflow {
        name: "performance drop",
        base: automatic(),
        actions: vec![capture, labels, hours(22), succeeds(4.0, 14.0)],
    }
}

/// A person asks for a run and another approves its candidate.
#[must_use]
pub fn manual_to_promotion() -> Workflow {
    let approve = ask(Function::PromoteModel, vote("v", 2, "bob", "approve"));
    Workflow {
        name: "manual trigger and approval",
        base: one_champion(),
        actions: vec![check(), succeeds(4.0, 9.0), approve],
    }
}

/// The first champion: nothing to compare with, nothing served yet.
#[must_use]
pub fn first_champion() -> Workflow {
    let approve = ask(Function::PromoteModel, vote("v", 1, "bob", "approve"));
    Workflow { name: "first champion", base: watched(), actions: vec![check(), succeeds(4.0, 0.0), approve] }
}

/// A person declines the candidate.
#[must_use]
pub fn declined() -> Workflow {
    let decline = ask(Function::PromoteModel, vote("v", 2, "bob", "decline"));
    Workflow { name: "decline", base: one_champion(), actions: vec![check(), succeeds(4.0, 9.0), decline] }
}

/// Nobody votes until it is too late.
#[must_use]
pub fn approval_expired() -> Workflow {
    Workflow { name: "approval expiry", base: one_champion(), actions: vec![check(), succeeds(4.0, 9.0), hours(13)] }
}

/// The candidate is too bad.
#[must_use]
pub fn gate_rejected() -> Workflow {
    Workflow { name: "gate rejection", base: one_champion(), actions: vec![check(), succeeds(20.0, 9.0)] }
}

/// Training fails.
#[must_use]
pub fn execution_failed() -> Workflow {
    let fails = Action::Finish(Ending::Failed("out of memory".to_owned()));
    Workflow { name: "failing execution", base: one_champion(), actions: vec![check(), fails] }
}

/// It succeeds and registers nothing.
#[must_use]
pub fn outputs_missing() -> Workflow {
    Workflow {
        name: "missing outputs",
        base: one_champion(),
        actions: vec![check(), Action::Finish(Ending::SucceededEmpty)],
    }
}

/// Training takes too long and is stopped.
#[must_use]
pub fn execution_timed_out() -> Workflow {
    let actions = vec![check(), hours(3), Action::Finish(Ending::Stopped)];
    Workflow { name: "execution timeout", base: one_champion(), actions }
}

/// The champion is taken back while nothing else goes on.
#[must_use]
pub fn rollback_when_idle() -> Workflow {
    Workflow {
        name: "rollback during idle",
        base: two_champions(),
        actions: vec![ask(Function::PromoteModel, rollback("b"))],
    }
}

/// The champion is taken back while a candidate trains: the comparison no longer applies.
#[must_use]
pub fn rollback_while_training() -> Workflow {
    let actions = vec![check(), ask(Function::PromoteModel, rollback("b")), succeeds(4.0, 9.0)];
    Workflow { name: "rollback while training", base: two_champions(), actions }
}

/// The champion is taken back while people are asked: their votes no longer apply.
#[must_use]
pub fn rollback_while_awaiting() -> Workflow {
    let actions = vec![check(), succeeds(4.0, 9.0), ask(Function::PromoteModel, rollback("b"))];
    Workflow { name: "rollback while awaiting approval", base: two_champions(), actions }
}

/// A candidate is promoted and taken back.
#[must_use]
pub fn promotion_taken_back() -> Workflow {
    let approve = ask(Function::PromoteModel, vote("v", 2, "bob", "approve"));
    let actions = vec![check(), succeeds(4.0, 9.0), approve, ask(Function::PromoteModel, rollback("b"))];
    Workflow { name: "promotion taken back", base: one_champion(), actions }
}

/// Quality drops while the model is suspended: the run comes when it is resumed.
#[must_use]
pub fn suspended() -> Workflow {
    let [capture, labels] = data(14.0);
    let suspend = json!({ "kind": "suspend", "id": "s", "model": MODEL, "actor": "ann", "reason": "repairs" });
    let resume = json!({ "kind": "resume", "id": "u", "model": MODEL, "actor": "bob" });
    let check = Function::CheckTriggers;
    let actions =
        vec![capture, labels, ask(check, suspend), hours(22), ask(check, resume), hours(1), succeeds(4.0, 14.0)];
    Workflow { name: "suspension", base: automatic(), actions }
}

/// One request, sent twice by an impatient hand.
#[must_use]
pub fn duplicate_trigger() -> Workflow {
    let fails = Action::Finish(Ending::Failed("out of memory".to_owned()));
    Workflow { name: "duplicate manual trigger", base: one_champion(), actions: vec![check(), check(), fails, check()] }
}

/// Files are taken in, one of them twice, and a foreign one.
#[must_use]
pub fn files_recorded() -> Workflow {
    let [capture, labels] = data(9.0);
    let foreign = Action::Upload("s3://data/elsewhere/rows.jsonl".to_owned(), b"{}".to_vec());
    let damaged = Action::Upload("s3://data/labels/2026/01/05/22/bad.jsonl".to_owned(), b"{".to_vec());
    Workflow { name: "record-window", base: one_champion(), actions: vec![capture, labels, foreign, damaged] }
}

/// The policy changes while people are asked: the votes no longer apply.
#[must_use]
pub fn policy_changed() -> Workflow {
    let approve = ask(Function::PromoteModel, vote("v", 2, "bob", "approve"));
    // The sweep that follows an applied policy comes before the vote, so that every history ends alike.
    let swept = Action::Wait(SignedDuration::ZERO);
    let actions = vec![check(), succeeds(4.0, 9.0), Action::Apply(Promotion::Automatic), swept, approve, hours(20)];
    Workflow { name: "policy change", base: one_champion(), actions }
}

/// Every workflow.
#[must_use]
pub fn all() -> Vec<Workflow> {
    vec![
        quiet_check(),
        drop_to_promotion(),
        manual_to_promotion(),
        first_champion(),
        declined(),
        approval_expired(),
        gate_rejected(),
        execution_failed(),
        outputs_missing(),
        execution_timed_out(),
        rollback_when_idle(),
        rollback_while_training(),
        rollback_while_awaiting(),
        promotion_taken_back(),
        suspended(),
        duplicate_trigger(),
        files_recorded(),
        policy_changed(),
        orders::suspended_and_resumed(),
        orders::drop_while_suspended(),
        orders::version_promoted(),
        orders::version_declined(),
        orders::adopted(),
        orders::adopted_unserved(),
        orders::second_attempt(),
        orders::attempts_used_up(),
        orders::canceled_while_waiting(),
        orders::canceled_while_training(),
        orders::canceled_while_awaiting(),
        orders::tried_again(),
        orders::superseded_while_training(),
        orders::superseded_while_awaiting(),
    ]
}
