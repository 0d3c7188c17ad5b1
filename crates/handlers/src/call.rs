//! Calls from outside: a CloudWatch alarm's change of state in its three shapes (FORMATS 2.3), and events of the bus.

use refit_app::use_cases::check_triggers::Call;
use serde_json::Value;

use crate::event::{kind, text};

/// What an event says to the triggers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// An alarm went off, or an event that models may listen to.
    Call(Call),
    /// An alarm that does not ask for anything, with the reason.
    Quiet(&'static str),
    /// Something else.
    Nothing,
}

/// Reads one event, unwrapped from its records.
pub(crate) fn call(event: &Value) -> Heard {
    if let Some(heard) = alarm(event) {
        return heard;
    }
    let (source, detail_type) = kind(event);
    match text(event, &["id"]) {
        Some(id) if !source.is_empty() && source != "refit" && !detail_type.is_empty() => Heard::Call(Call::Event {
            source: source.to_owned(),
            detail_type: detail_type.to_owned(),
            id: id.to_owned(),
        }),
        Some(_) | None => Heard::Nothing,
    }
}

/// An alarm's change of state: by EventBridge, by the alarm's own Lambda action, or as the message of an SNS topic.
fn alarm(event: &Value) -> Option<Heard> {
    let (source, detail_type) = kind(event);
    let by_bus = source == "aws.cloudwatch" && detail_type == "CloudWatch Alarm State Change";
    let (arn, state, changed_at) = if by_bus {
        let arn = event.get("resources")?.get(0)?.as_str()?;
        (arn, text(event, &["detail", "state", "value"])?, text(event, &["detail", "state", "timestamp"])?)
    } else if let Some(arn) = text(event, &["alarmArn"]) {
        (arn, text(event, &["alarmData", "state", "value"])?, text(event, &["alarmData", "state", "timestamp"])?)
    } else {
        let arn = text(event, &["AlarmArn"])?;
        (arn, text(event, &["NewStateValue"])?, text(event, &["StateChangeTime"])?)
    };
    // All three write the time in one form; whichever comes first counts.
    if state.eq_ignore_ascii_case("ALARM") {
        return Some(Heard::Call(Call::Alarm { arn: arn.to_owned(), changed_at: changed_at.to_owned() }));
    }
    Some(Heard::Quiet("the alarm did not go off: its state is not ALARM"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:flight-time-drift";
    const TIME: &str = "2013-06-14T17:04:40.985+0000";

    fn shapes(state: &str) -> [Value; 3] {
        [
            json!({
                "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "id": "1", "resources": [ARN],
                "detail": { "alarmName": "flight-time-drift", "state": { "value": state, "timestamp": TIME } },
            }),
            json!({
                "source": "aws.cloudwatch", "alarmArn": ARN,
                "alarmData": { "alarmName": "flight-time-drift", "state": { "value": state, "timestamp": TIME } },
            }),
            json!({ "AlarmName": "flight-time-drift", "AlarmArn": ARN, "NewStateValue": state, "StateChangeTime": TIME }),
        ]
    }

    #[test]
    fn the_three_shapes_of_an_alarm_are_one_call() {
        for shape in shapes("ALARM") {
            let expected = Call::Alarm { arn: ARN.to_owned(), changed_at: TIME.to_owned() };
            assert_eq!(call(&shape), Heard::Call(expected), "{shape}");
        }
        for state in ["OK", "INSUFFICIENT_DATA"] {
            for shape in shapes(state) {
                assert!(matches!(call(&shape), Heard::Quiet(_)), "{shape}");
            }
        }
    }

    #[test]
    fn events_need_a_source_a_type_and_an_id() {
        let event = json!({ "source": "shop.catalog", "detail-type": "Season Changed", "id": "1" });
        assert!(matches!(call(&event), Heard::Call(Call::Event { .. })));
        for field in ["source", "detail-type", "id"] {
            let mut event = event.clone();
            event.as_object_mut().expect("an object").remove(field);
            assert_eq!(call(&event), Heard::Nothing, "{field}");
        }
        let own = json!({ "source": "refit", "detail-type": "Wake Up", "id": "1" });
        assert_eq!(call(&own), Heard::Nothing);
    }

    #[test]
    fn a_broken_alarm_is_nothing() {
        for mut shape in shapes("ALARM") {
            let fields = shape.as_object_mut().expect("an object");
            for field in ["resources", "alarmData", "NewStateValue", "detail-type"] {
                fields.remove(field);
            }
            assert_eq!(call(&shape), Heard::Nothing, "{shape}");
        }
    }
}
