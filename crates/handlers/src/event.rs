//! The parts of AWS's event shapes that say what an event concerns.

use refit_core::{ModelId, ObjectUri, RunId};
use serde_json::Value;

/// A text below `path`, in any of the given spellings of its last part.
pub(crate) fn text<'a>(event: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(event, |value, part| value.get(part))?.as_str()
}

/// The envelopes inside an event: SQS and SNS records hold events as JSON texts, everything else is one event itself.
pub(crate) fn unwrap(event: &Value) -> Vec<Value> {
    let Some(records) = event.get("Records").and_then(Value::as_array) else { return vec![event.clone()] };
    let inner = |record: &Value| {
        let body = text(record, &["body"]).or_else(|| text(record, &["Sns", "Message"]));
        match body.map(serde_json::from_str::<Value>) {
            // An SNS message delivered to SQS is wrapped twice.
            Some(Ok(message)) => match text(&message, &["Message"]).map(serde_json::from_str::<Value>) {
                Some(Ok(inner)) => inner,
                _ => message,
            },
            Some(Err(_)) => Value::Null,
            None => record.clone(),
        }
    };
    records.iter().map(inner).collect()
}

/// `source` and `detail-type`; AWS's own samples have the source as a list, too.
pub(crate) fn kind(event: &Value) -> (&str, &str) {
    let source = event.get("source").and_then(|it| it.as_str().or_else(|| it.get(0)?.as_str()));
    (source.unwrap_or_default(), text(event, &["detail-type"]).unwrap_or_default())
}

/// The model that one of Refit's own events concerns.
pub(crate) fn model(event: &Value) -> Option<ModelId> {
    text(event, &["detail", "model"])?.parse().ok()
}

/// The function that a wake-up is for.
pub(crate) fn woken_function(event: &Value) -> Option<&str> {
    text(event, &["detail", "function"])
}

/// The run that a pipeline execution's event concerns: its display name says run and attempt.
pub(crate) fn run_of_execution(event: &Value) -> Option<RunId> {
    Some(refit_core::run::run_of_display_name(text(event, &["detail", "pipelineExecutionDisplayName"])?)?.0)
}

/// The ARN of the execution that an event concerns.
pub(crate) fn execution_arn(event: &Value) -> Option<&str> {
    text(event, &["detail", "pipelineExecutionArn"])
}

/// The object that an S3 event concerns, by EventBridge (plain key) or by S3's own notification (encoded key).
pub(crate) fn object(event: &Value) -> Option<Result<ObjectUri, String>> {
    let plain = text(event, &["detail", "bucket", "name"]).zip(text(event, &["detail", "object", "key"]));
    let (bucket, key) = match plain {
        Some((bucket, key)) => (bucket, key.to_owned()),
        None => {
            let bucket = text(event, &["s3", "bucket", "name"])?;
            (bucket, percent_decode(text(event, &["s3", "object", "key"])?))
        }
    };
    Some(format!("s3://{bucket}/{key}").parse::<ObjectUri>().map_err(|error| error.to_string()))
}

/// Decodes a form-encoded key once: `+` is a space, `%2F` a slash.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escaped = text.get(index + 1..index + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[index], escaped) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                index += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The audit partitions that a table stream event touches.
pub(crate) fn stream_partitions(event: &Value) -> Vec<String> {
    let Some(records) = event.get("Records").and_then(Value::as_array) else { return Vec::new() };
    let mut partitions: Vec<String> =
        records.iter().filter_map(|it| text(it, &["dynamodb", "Keys", "pk", "S"]).map(str::to_owned)).collect();
    partitions.sort_unstable();
    partitions.dedup();
    partitions
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_decoded_once() {
        for (text, expected) in
            [("a+b", "a b"), ("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("%zz", "%zz"), ("%", "%"), ("ä", "ä")]
        {
            assert_eq!(percent_decode(text), expected);
        }
    }

    #[test]
    fn wrapped_events_are_found() {
        let inner = json!({"source": "aws.s3", "detail-type": "Object Created"});
        let sqs = json!({"Records": [{"body": inner.to_string()}]});
        let sns = json!({"Records": [{"Sns": {"Message": inner.to_string()}}]});
        let both = json!({"Records": [{"body": json!({"Message": inner.to_string()}).to_string()}]});
        for event in [sqs, sns, both, inner.clone()] {
            assert_eq!(unwrap(&event), std::slice::from_ref(&inner));
        }
    }

    #[test]
    fn paths_that_climb_are_refused() {
        let event = json!({"s3": {"bucket": {"name": "bucket"}, "object": {"key": "..%2f..%2fetc"}}});
        assert!(object(&event).is_some_and(|it| it.is_err()));
    }
}
