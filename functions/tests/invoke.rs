//! What becomes of an invocation: batches, classes of errors, loops, and the line about it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use refit_app::contract::block_on_ready;
use refit_functions::{Answer, MAX_HOPS, METRICS, Report, invoke};
use refit_handlers::Function;
use refit_local::memory::faults::{Call, Fault, FaultPlan, Faults, Port};
use refit_local::memory::{MODEL, MemoryWorld, Promotion, policy, s3_event, scheduled_event};
use serde_json::{Value, json};

/// A fault at some calls of one method, counted from 0.
struct AtCalls {
    port: Port,
    method: &'static str,
    calls: &'static [u32],
    fault: Fault,
    seen: AtomicU32,
}

impl FaultPlan for AtCalls {
    fn decide(&self, call: &Call) -> Option<Fault> {
        if (call.port, call.method) != (self.port, self.method) {
            return None;
        }
        let number = self.seen.fetch_add(1, Ordering::SeqCst);
        self.calls.contains(&number).then_some(self.fault)
    }
}

fn failing(port: Port, method: &'static str, calls: &'static [u32], fault: Fault) -> Faults {
    Faults::new(AtCalls { port, method, calls, fault, seen: AtomicU32::new(0) })
}

/// A world that watches one model.
fn world() -> MemoryWorld {
    let begin: Timestamp = "2026-01-05T02:30:00Z".parse().expect("a time");
    let mut world = MemoryWorld::new(begin);
    world.apply_policy(&policy(Promotion::Manual), begin).unwrap_done().expect("nothing fails");
    world.drain();
    world
}

fn call(world: &MemoryWorld, function: Function, event: &Value) -> Answer {
    block_on_ready(invoke(function, &world.context(), event))
}

/// What an SQS queue of S3 events sends.
fn queued(world: &mut MemoryWorld, count: usize) -> Value {
    let mut records = Vec::new();
    for number in 0..count {
        let uri = format!("s3://data/capture/m/champion/2026/01/05/0{number}/rows.jsonl");
        let uri = uri.parse().expect("an address");
        world.objects.overwrite(&uri, b"not a capture file").expect("it has a name");
        let body = s3_event(&uri).to_string();
        records.push(json!({ "messageId": format!("id-{number}"), "eventSource": "aws:sqs", "body": body }));
    }
    json!({ "Records": records })
}

#[test]
fn only_the_failed_records_of_a_queue_come_again() {
    let mut world = world();
    let event = queued(&mut world, 4);
    world.set_faults(failing(Port::Objects, "head", &[1, 3], Fault::Unavailable));
    let answer = call(&world, Function::RecordWindow, &event);
    assert_eq!((answer.records, answer.responses.len(), answer.failures.len()), (Some(4), 2, 2));
    let failed = json!({ "batchItemFailures": [{ "itemIdentifier": "id-1" }, { "itemIdentifier": "id-3" }] });
    assert_eq!(answer.into_result().expect("a partial answer"), failed);
}

#[test]
fn what_nobody_can_read_is_done_with() {
    let world = world();
    let bodies = ["", "{", "null", "[]", "\"x\"", "{}", r#"{"Event":"s3:TestEvent"}"#, r#"{"Message":"{"}"#];
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(number, body)| json!({ "messageId": number.to_string(), "eventSource": "aws:sqs", "body": body }))
        .collect();
    let answer = call(&world, Function::RecordWindow, &json!({ "Records": records }));
    assert_eq!(answer.into_result().expect("an answer"), json!({ "batchItemFailures": [] }));
    // The same as single events, for every function: answered, not sent again.
    for function in Function::ALL {
        for event in
            [json!({}), json!(null), json!([]), json!("ping"), json!({ "Records": [] }), json!({ "Records": 7 })]
        {
            let answer = call(&world, function, &event);
            assert!(answer.into_result().is_ok(), "{function}: {event}");
        }
    }
}

#[test]
fn a_record_without_an_id_fails_its_batch() {
    let mut world = world();
    let mut event = queued(&mut world, 2);
    event["Records"][0]["messageId"] = "".into();
    world.set_faults(failing(Port::Objects, "head", &[0], Fault::Unavailable));
    let diagnostic = call(&world, Function::RecordWindow, &event).into_result().expect_err("it cannot be named");
    assert_eq!(diagnostic.error_type, "Retryable");
}

#[test]
fn a_stream_goes_on_from_the_first_failed_record() {
    let mut world = world();
    let record = |model: &str, number: u32| {
        json!({ "eventSource": "aws:dynamodb", "dynamodb": {
            "Keys": { "pk": { "S": format!("AUDIT#{model}") }, "sk": { "S": format!("{number:012}") } },
            "SequenceNumber": format!("seq-{number}"),
        } })
    };
    let event = json!({ "Records": [record("other", 1), record(MODEL, 2), record(MODEL, 3), record("other", 4)] });
    let answer = call(&world, Function::PublishEvents, &event);
    assert_eq!(answer.into_result().expect("an answer"), json!({ "batchItemFailures": [] }));
    world.set_faults(failing(Port::Table, "get", &[1], Fault::Unavailable));
    let answer = call(&world, Function::PublishEvents, &event);
    let failed = json!({ "batchItemFailures": [{ "itemIdentifier": "seq-2" }] });
    assert_eq!(answer.into_result().expect("a partial answer"), failed);
}

#[test]
fn an_error_of_a_single_event_says_its_class() {
    let mut world = world();
    world.set_faults(failing(Port::Table, "list_due", &[0], Fault::Throttled));
    let diagnostic = call(&world, Function::Sweep, &scheduled_event()).into_result().expect_err("throttled");
    assert_eq!(diagnostic.error_type, "Retryable");
    assert!(call(&world, Function::Sweep, &scheduled_event()).into_result().is_ok(), "the next try works");
}

#[test]
fn events_that_go_round_are_dropped() {
    let world = world();
    let event = |hop: Value| {
        let detail = json!({ "model": MODEL, "function": "check-triggers", "hop": hop });
        json!({ "source": "refit", "detail-type": "Wake Up", "detail": detail })
    };
    for hop in [json!(0), json!(MAX_HOPS - 1), json!("many"), json!(-1)] {
        let answer = call(&world, Function::CheckTriggers, &event(hop.clone()));
        assert!(!answer.is_looped && answer.responses.len() == 1, "{hop}: {answer:?}");
    }
    for hop in [json!(MAX_HOPS), json!(u64::MAX)] {
        let answer = call(&world, Function::CheckTriggers, &event(hop.clone()));
        assert!(answer.is_looped && answer.responses.is_empty(), "{hop}: {answer:?}");
        assert!(answer.into_result().is_ok(), "{hop}: it is not sent again");
    }
}

#[test]
fn the_line_of_an_invocation_is_its_metrics() {
    let mut world = world();
    let event = queued(&mut world, 3);
    world.set_faults(failing(Port::Objects, "head", &[2], Fault::Unavailable));
    let answer = call(&world, Function::RecordWindow, &event);
    let report = Report {
        function: "record-window",
        request_id: "r".to_owned(),
        is_cold: true,
        duration: Duration::from_millis(5),
        at: Timestamp::UNIX_EPOCH,
    };
    let line = report.line(&answer);
    let defined = line["_aws"]["CloudWatchMetrics"][0].clone();
    assert_eq!(defined["Dimensions"], json!([["function"]]));
    assert_eq!(line["function"], "record-window");
    let values: Vec<_> = METRICS.iter().filter_map(|(name, _)| Some((*name, line.get(*name)?.as_f64()?))).collect();
    let expected = [("DurationMs", 5.0), ("ColdStarts", 1.0), ("Done", 2.0), ("Retryable", 1.0), ("FilesRefused", 2.0)];
    assert_eq!(values, expected, "what did not happen is left out");
    let names = defined["Metrics"].as_array().expect("metrics").iter().map(|it| it["Name"].as_str().expect("a name"));
    assert_eq!(names.collect::<Vec<_>>(), expected.map(|it| it.0), "what is defined has a value");
    assert_eq!((&line["outcome"], &line["level"]), (&json!("partly failed"), &json!("WARN")));
    assert!(!line.to_string().contains('\n'), "one line");
}
