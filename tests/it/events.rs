//! Every event sample through its handler: what is answered, and that delivering it twice is delivering it once.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use refit_handlers::{Function, Response};
use serde_json::Value;

use crate::repo::list;
use crate::support_events::{Stage, function_of, sample};

/// The moment at which a sample makes sense.
fn stage(name: &str) -> Stage {
    match name {
        "check-triggers/resume" => Stage::suspended(),
        _ if name.starts_with("check-triggers/") => Stage::watched(),
        _ if name.starts_with("record-window/") => Stage::watched(),
        "start-retraining/retraining-requested" | "start-retraining/wake-up" => Stage::requested(),
        _ if name.starts_with("publish-events/") || name.starts_with("sweep/") => Stage::requested(),
        "evaluate-candidate/executing"
        | "evaluate-candidate/foreign-execution"
        | "evaluate-candidate/status-unknown" => Stage::training(),
        "evaluate-candidate/failed" => Stage::failed(),
        // An event that comes late says of an execution what it no longer is.
        "evaluate-candidate/succeeded" | "evaluate-candidate/succeeded-again" | "evaluate-candidate/executing-late" => {
            Stage::trained()
        }
        "promote-model/approve" | "promote-model/decline" => Stage::awaiting_approval(),
        "promote-model/promotion-announced" => Stage::announced(),
        "promote-model/rollback" => Stage::promoted_twice(),
        other => panic!("say here at which moment `{other}` comes"),
    }
}

fn samples() -> Vec<String> {
    let names = |function: Function| {
        let files = list(&format!("events/{function}"));
        files.into_iter().map(move |it| format!("{function}/{}", it.trim_end_matches(".json")))
    };
    let mut samples: Vec<String> = Function::ALL.into_iter().flat_map(names).collect();
    samples.sort_unstable();
    samples
}

/// What was answered, without the fields that say nothing.
fn show(response: &Response) -> String {
    let mut text = response.outcome.to_owned();
    if let Some(reason) = &response.reason {
        write!(text, ": {reason}").expect("a text grows");
    }
    for detail in &response.details {
        write!(text, " {}", without_empty(detail)).expect("a text grows");
    }
    text
}

fn without_empty(detail: &Value) -> Value {
    let Value::Object(fields) = detail else { return detail.clone() };
    let is_empty = |it: &Value| it.is_null() || it == &Value::Bool(false) || it.as_array().is_some_and(Vec::is_empty);
    Value::Object(fields.iter().filter(|it| !is_empty(it.1)).map(|(name, it)| (name.clone(), it.clone())).collect())
}

fn check(expected: &Expect) {
    let mut text = String::new();
    for name in samples() {
        let (stage, event) = (stage(&name), sample(&name));
        let response = stage.deliver(function_of(&name), &event);
        writeln!(text, "{name}\n    {}", show(&response)).expect("a text grows");
    }
    expected.assert_eq(&text);
}

#[test]
fn every_sample_is_answered() {
    check(&expect![[r#"
        check-triggers/alarm-by-event-bus
            done {"model":"flight-time","outcome":{"recorded":["signal_received","run_requested"],"refused":null,"waiting_on":{"kind":"next_check"},"was_handled":false}}
        check-triggers/alarm-by-lambda-action
            done {"model":"flight-time","outcome":{"recorded":["signal_received","run_requested"],"refused":null,"waiting_on":{"kind":"next_check"},"was_handled":false}}
        check-triggers/alarm-by-topic
            done {"model":"flight-time","outcome":{"recorded":["signal_received","run_requested"],"refused":null,"waiting_on":{"kind":"next_check"},"was_handled":false}}
        check-triggers/alarm-by-topic-and-queue
            done {"model":"flight-time","outcome":{"recorded":["signal_received","run_requested"],"refused":null,"waiting_on":{"kind":"next_check"},"was_handled":false}}
        check-triggers/alarm-composite
            done {"model":"flight-time","outcome":{"recorded":["signal_received","run_requested"],"refused":null,"waiting_on":{"kind":"next_check"},"was_handled":false}}
        check-triggers/alarm-configuration-change
            ignored: no model's policy listens to it
        check-triggers/alarm-insufficient-data
            ignored: the alarm did not go off: its state is not ALARM
        check-triggers/alarm-ok
            ignored: the alarm did not go off: its state is not ALARM
        check-triggers/alarm-unmapped
            ignored: no model's policy listens to it
        check-triggers/console-test
            ignored: it is not a wake-up of a known model
        check-triggers/custom-event
            done {"model":"flight-time","outcome":{"recorded":["signal_received","run_requested"],"refused":null,"waiting_on":{"kind":"next_check"},"was_handled":false}}
        check-triggers/manual-trigger
            done {"recorded":["run_requested"],"waiting_on":{"kind":"nothing"}}
        check-triggers/resume
            done {"recorded":["model_resumed","triggers_checked"],"waiting_on":{"kind":"next_check"}}
        check-triggers/suspend
            done {"recorded":["model_suspended"],"waiting_on":{"kind":"nothing"}}
        check-triggers/wake-up
            done {"recorded":["triggers_checked"],"waiting_on":{"kind":"next_check"}}
        evaluate-candidate/executing
            done {"waiting_on":{"arn":"arn:aws:sagemaker:us-east-1:000000000000:pipeline/flight-time-retrain/execution/22781cdfebff","kind":"execution"}}
        evaluate-candidate/executing-late
            done {"recorded":["run_trained","candidate_evaluated"],"waiting_on":{"kind":"nothing"}}
        evaluate-candidate/failed
            done {"recorded":["run_ended"],"waiting_on":{"kind":"nothing"}}
        evaluate-candidate/foreign-execution
            ignored: its execution is not the one of the run
        evaluate-candidate/status-unknown
            done {"waiting_on":{"arn":"arn:aws:sagemaker:us-east-1:000000000000:pipeline/flight-time-retrain/execution/22781cdfebff","kind":"execution"}}
        evaluate-candidate/succeeded
            done {"recorded":["run_trained","candidate_evaluated"],"waiting_on":{"kind":"nothing"}}
        evaluate-candidate/succeeded-again
            done {"recorded":["run_trained","candidate_evaluated"],"waiting_on":{"kind":"nothing"}}
        promote-model/approve
            done {"recorded":["approval_voted","promotion_announced"],"waiting_on":{"kind":"notice","published":0,"seq":9}}
        promote-model/decline
            done {"recorded":["approval_voted","run_ended"],"waiting_on":{"kind":"next_check"}}
        promote-model/promotion-announced
            done {"recorded":["rollout_started","model_promoted"],"waiting_on":{"kind":"next_check"}}
        promote-model/rollback
            done {"recorded":["rollback_started","model_rolled_back"],"waiting_on":{"kind":"nothing"}}
        publish-events/expired-items
            ignored: it concerns no audit log
        publish-events/stream
            done {"entries":2,"up_to":2}
        publish-events/wake-up
            done {"entries":2,"up_to":2}
        record-window/batch-with-duplicates
            done {"model":"flight-time","outcome":"taken","rows":1} {"model":"flight-time","outcome":"known"} {"model":"flight-time","outcome":"taken","rows":1}
        record-window/capture-object-created
            done {"model":"flight-time","outcome":"taken","rows":1}
        record-window/labels-through-sqs
            done {"model":"flight-time","outcome":"taken","rows":1}
        record-window/object-gone
            done {"outcome":"gone"}
        record-window/s3-notification
            done {"model":"flight-time","outcome":"taken","rows":1}
        record-window/test-event
            ignored: it names no object
        start-retraining/retraining-requested
            done {"recorded":["run_queued","run_starting","run_training"],"waiting_on":{"kind":"nothing"}}
        start-retraining/wake-up
            done {"recorded":["run_queued","run_starting","run_training"],"waiting_on":{"kind":"nothing"}}
        sweep/by-scheduler
            done {"woken":["publish-events flight-time","start-retraining flight-time","check-triggers flight-time"]}
        sweep/scheduled
            done {"woken":["publish-events flight-time","start-retraining flight-time","check-triggers flight-time"]}
    "#]]);
}

#[test]
fn delivering_twice_is_delivering_once() {
    for name in samples() {
        let (stage, event) = (stage(&name), sample(&name));
        let before = stage.effects();
        stage.deliver(function_of(&name), &event);
        let once = stage.effects();
        stage.deliver(function_of(&name), &event);
        assert!(stage.effects() == once, "{name} had another effect the second time");
        let changes_nothing = [
            "check-triggers/alarm-configuration-change",
            "check-triggers/alarm-insufficient-data",
            "check-triggers/alarm-ok",
            "check-triggers/alarm-unmapped",
            "check-triggers/console-test",
            "evaluate-candidate/executing",
            "evaluate-candidate/foreign-execution",
            "evaluate-candidate/status-unknown",
            "publish-events/expired-items",
            "record-window/object-gone",
            "record-window/test-event",
        ];
        assert_eq!(before == once, changes_nothing.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn an_alarm_by_several_ways_is_one_call() {
    let stage = Stage::watched();
    let ways = ["alarm-by-event-bus", "alarm-by-lambda-action", "alarm-by-topic", "alarm-by-topic-and-queue"]
        .map(|it| format!("check-triggers/{it}"));
    stage.deliver(Function::CheckTriggers, &sample(&ways[0]));
    let once = stage.effects();
    for way in &ways[1..] {
        stage.deliver(Function::CheckTriggers, &sample(way));
        assert!(stage.effects() == once, "{way} had another effect");
    }
}

#[test]
fn one_change_of_an_execution_by_several_events_is_one() {
    let stage = Stage::trained();
    stage.deliver(Function::EvaluateCandidate, &sample("evaluate-candidate/succeeded"));
    let once = stage.effects();
    for again in ["succeeded-again", "executing-late", "status-unknown"] {
        stage.deliver(Function::EvaluateCandidate, &sample(&format!("evaluate-candidate/{again}")));
        assert!(stage.effects() == once, "{again} had another effect");
    }
}

#[test]
fn the_samples_name_the_execution_that_the_run_gets() {
    let execution = Stage::training().execution();
    for name in ["executing", "succeeded", "failed"] {
        let event = sample(&format!("evaluate-candidate/{name}"));
        assert_eq!(event["detail"]["pipelineExecutionArn"], execution.as_str(), "{name}");
    }
}

#[test]
fn a_sample_for_nobody_is_answered_and_not_retried() {
    for function in Function::ALL.into_iter().filter(|it| *it != Function::Sweep) {
        for event in [Value::Null, Value::Array(Vec::new()), serde_json::json!({ "source": "aws.ec2", "detail": {} })] {
            let stage = Stage::watched();
            let before = stage.effects();
            assert_eq!(stage.deliver(function, &event).outcome, "ignored", "{function}: {event}");
            assert!(stage.effects() == before, "{function}: {event}");
        }
    }
}
