//! Who gets an event of the bus: the one table that the real bus's rules, the local world and the tests follow.
//!
//! An event only wakes; what a function does with it depends on the state. So a target too many is harmless and a target
//! too few is healed by the sweep.

use refit_app::ports::OutboundEvent;
use refit_app::use_cases::sweep::WAKE_UP;
use refit_handlers::Function;
use serde_json::{Value, json};

/// The source of Refit's own events.
pub const SOURCE: &str = "refit";

/// The functions that an event is delivered to; none for an event that wakes nobody.
#[must_use]
pub fn targets(event: &Value) -> Vec<Function> {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    targets_of(text("source"), text("detail-type"), event.get("detail").unwrap_or(&Value::Null))
}

/// The same of a published fact, without its envelope.
#[must_use]
pub fn targets_of_fact(event: &OutboundEvent) -> Vec<Function> {
    targets_of(SOURCE, &event.detail_type, &event.detail)
}

fn targets_of(source: &str, detail_type: &str, detail: &Value) -> Vec<Function> {
    if source == SOURCE && detail_type == "Retraining Succeeded" {
        // The candidate is judged, and the slot that is free now goes to whoever waits.
        return vec![Function::EvaluateCandidate, Function::StartRetraining];
    }
    let target = match (source, detail_type) {
        (SOURCE, WAKE_UP) => detail.get("function").and_then(Value::as_str).and_then(|it| it.parse().ok()),
        (
            SOURCE,
            "Retraining Requested"
            | "Retraining Queued"
            | "Retraining Starting"
            // These free a slot: whoever waits for one is started at once.
            | "Retraining Retrying"
            | "Retraining Failed"
            | "Retraining Canceled"
            | "Retraining Superseded"
            | "Retraining Timed Out",
        ) => Some(Function::StartRetraining),
        (SOURCE, "Retraining Stopping") => Some(Function::EvaluateCandidate),
        (
            SOURCE,
            "Approval Requested"
            | "Promotion Announced"
            | "Approval Approved"
            | "Approval Declined"
            | "Rollout Step Changed"
            | "Rollback Started"
            | "Rollback Performed"
            | "Retraining Rejected",
        ) => Some(Function::PromoteModel),
        ("aws.sagemaker", "SageMaker Model Building Pipeline Execution Status Change") => {
            Some(Function::EvaluateCandidate)
        }
        ("aws.s3", "Object Created") => Some(Function::RecordWindow),
        ("aws.cloudwatch", "CloudWatch Alarm State Change") => {
            let state = detail.pointer("/state/value").and_then(Value::as_str);
            state.is_some_and(|it| it == "ALARM").then_some(Function::CheckTriggers)
        }
        ("aws.events", "Scheduled Event") => Some(Function::Sweep),
        _ => None,
    };
    target.into_iter().collect()
}

/// A published fact as the bus delivers it.
#[must_use]
pub fn envelope(event: &OutboundEvent) -> Value {
    let mut envelope = json!({
        "version": "0", "id": event.dedupe_id, "source": SOURCE, "detail-type": event.detail_type, "time": event.time,
    });
    envelope["detail"] = Value::clone(&event.detail);
    envelope
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, detail_type: &str, expected: &[Function]) {
        let event = json!({ "source": source, "detail-type": detail_type, "detail": { "model": "m" } });
        assert_eq!(targets(&event), expected, "{source} {detail_type}");
    }

    #[test]
    fn each_event_goes_where_its_work_is() {
        check("refit", "Retraining Requested", &[Function::StartRetraining]);
        check("refit", "Retraining Succeeded", &[Function::EvaluateCandidate, Function::StartRetraining]);
        check("refit", "Retraining Failed", &[Function::StartRetraining]);
        check("refit", "Retraining Stopping", &[Function::EvaluateCandidate]);
        check("refit", "Rollback Performed", &[Function::PromoteModel]);
        check("aws.s3", "Object Created", &[Function::RecordWindow]);
        check("aws.events", "Scheduled Event", &[Function::Sweep]);
        check(
            "aws.sagemaker",
            "SageMaker Model Building Pipeline Execution Status Change",
            &[Function::EvaluateCandidate],
        );
    }

    #[test]
    fn an_alarm_that_goes_off_may_be_a_trigger() {
        for (state, expected) in [("ALARM", &[Function::CheckTriggers][..]), ("OK", &[]), ("INSUFFICIENT_DATA", &[])] {
            let detail = json!({ "alarmName": "a", "state": { "value": state } });
            let kind = "CloudWatch Alarm State Change";
            let event = json!({ "source": "aws.cloudwatch", "detail-type": kind, "detail": detail });
            assert_eq!(targets(&event), expected, "{state}");
        }
    }

    #[test]
    fn a_wake_up_goes_to_the_function_that_it_names() {
        for function in Function::ALL {
            let event =
                json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "function": function.name() } });
            assert_eq!(targets(&event), [function]);
        }
        let unknown = json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "function": "nobody" } });
        assert_eq!(targets(&unknown), []);
    }

    #[test]
    fn other_events_wake_nobody() {
        check("refit", "Model Promoted", &[]);
        check("evil", "Retraining Requested", &[]);
        assert_eq!(targets(&json!([])), []);
        assert_eq!(targets(&json!({ "source": ["refit"], "detail-type": 7 })), []);
    }
}
