//! Requests and metrics that nobody should send, by the numbers of the list of malformed input; `make corpus` prints them after the files.

use refit_app::measure::measure_outputs;
use refit_core::evaluation::{Verdict, evaluate};
use refit_core::policy::{self, ModelPolicy};
use refit_data::{Column, Frame, Values, write_parquet};
use refit_local::world::Access;
use serde_json::{Value, json};

use super::api::Desk;
use super::setting::{POLICY, SHARED};
use crate::repo::read;

/// What came of a case: in words, or why that is wrong.
type Outcome = Result<String, String>;

/// A case of the list: its number, what it is, and how it is tried.
type Case = (u32, &'static str, fn() -> Outcome);

const CASES: &[Case] = &[
    (52, "unknown fields in requests", unknown_fields),
    (52, "unknown fields in events of AWS", unknown_fields_of_aws),
    (58, "metrics that are no numbers", no_numbers),
    (59, "metrics out of their range", out_of_range),
    (60, "metrics whose direction is not declared", no_direction),
    (61, "media types, encodings, base64", media_types),
];

#[test]
fn every_malformed_request_and_metric_is_refused_or_read_as_stated() {
    let mut failed = Vec::new();
    for (number, name, run) in CASES {
        let (mark, words) = match run() {
            Ok(words) => ("", words),
            Err(why) => {
                failed.push(format!("{number} {name}: {why}"));
                ("WRONG: ", why)
            }
        };
        println!("{number:>3}  {name:42}  {mark}{words}");
    }
    assert_eq!(failed, [""; 0]);
}

/// All of them as they should be; the last one's words.
fn all(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let outcomes = outcomes.into_iter().collect::<Result<Vec<String>, String>>()?;
    let last = outcomes.last().ok_or("nothing was tried")?;
    Ok(format!("{} variants; the last: {last}", outcomes.len()))
}

/// A change is refused with this status and these words, before anything is done.
fn refused(desk: &Desk, headers: &Value, body: &str, is_base64: &Value, status: u64, words: &str) -> Outcome {
    let path = "/v1/models/price/runs";
    let iam = json!({ "userArn": "arn:aws:sts::1:assumed-role/operator/ann", "userId": "AROA:operator/ann" });
    let (found, answer, _) = desk.event(&json!({
        "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": headers,
        "requestContext": { "http": { "method": "POST", "path": path }, "authorizer": { "iam": iam } },
        "body": body, "isBase64Encoded": is_base64,
    }));
    let told = answer["detail"].as_str().unwrap_or_default().to_owned();
    let is_right = found == status && told.contains(words) && !told.contains('\n');
    if is_right { Ok(format!("{found} {told}")) } else { Err(format!("{body}: {found} {answer}")) }
}

fn json_headers() -> Value {
    json!({ "content-type": "application/json", "idempotency-key": "corpus" })
}

fn unknown_fields() -> Outcome {
    let desk = Desk::open(&SHARED, Access::Read);
    let bodies = [
        (r#"{"reason":"x","force":false,"forse":true}"#, "forse"),
        (r#"{"reason":"x","__proto__":{}}"#, "__proto__"),
        (r#"{"reason":"x","Reason":"y"}"#, "Reason"),
    ];
    all(bodies.map(|(body, field)| {
        refused(&desk, &json_headers(), body, &json!(false), 400, &format!("unknown field `{field}`"))
    }))
}

/// AWS adds fields when it likes: an event with more of them goes where it went, and says what it said.
fn unknown_fields_of_aws() -> Outcome {
    let samples = ["evaluate-candidate/succeeded", "check-triggers/alarm-by-event-bus"];
    all(samples.map(|name| {
        let event: Value =
            serde_json::from_str(&read(&format!("events/{name}.json"))).map_err(|it| format!("{name}: {it}"))?;
        let mut more = event.clone();
        more["addedByAws"] = json!({ "x": [1, null] });
        more["detail"]["addedByAws"] = json!("x");
        let of = refit_local::routing::targets;
        if of(&event).is_empty() || of(&more) != of(&event) {
            return Err(format!("{name} goes to {:?} and {:?}", of(&event), of(&more)));
        }
        Ok(format!("{name} goes to {}", of(&more)[0]))
    }))
}

/// A policy whose model has these gates.
fn model(gates: &str) -> Result<ModelPolicy, String> {
    let text = POLICY.replace("      - { metric: mae, max: 3 }\n", gates);
    let read = policy::read(&text).map_err(|it| format!("{it:?}"))?;
    read.models.into_iter().next().ok_or_else(|| "the policy has no model".to_owned())
}

fn predictions() -> Vec<u8> {
    let rows = 0..120_u32;
    let numbers = |of: &dyn Fn(u32) -> f64| Values::Numeric(rows.clone().map(|row| Some(of(row))).collect());
    let columns = [
        ("ts", Values::Time(rows.clone().map(|row| Some(i64::from(row / 3) * 86_400_000_000)).collect())),
        ("label", numbers(&|row| f64::from(row % 7))),
        ("candidate", numbers(&|row| f64::from(row % 7) + 0.5)),
        ("champion", numbers(&|row| f64::from(row % 7) + 1.0)),
    ];
    let columns = columns.into_iter().map(|(name, values)| Column { name: name.to_owned(), values }).collect();
    write_parquet(&Frame::new(columns).expect("columns of one length"))
}

/// A gate on a metric of the pipeline's own fails closed, and says why: neither passed nor merely missed.
fn closed(range: &str, metric: &str, words: &str) -> Outcome {
    let gate = format!("      - {{ metric: {{ custom: quality, direction: higher_is_better{range} }}, min: 0 }}\n");
    let model = model(&gate)?;
    let document = format!(r#"{{"valid":true,"run_id":"price-r0009","metrics":{{{metric}}}}}"#);
    let measured = measure_outputs(&model, document.as_bytes(), &predictions(), &[], true, "price-r0009");
    let (verdict, reason) = match measured {
        // The document as a whole cannot be read.
        Err(why) => (Verdict::Errored, why),
        Ok(evidence) => {
            let evaluation = evaluate(evidence, &model.gates, None, true, None);
            (evaluation.verdict, evaluation.gates[0].reasons.join("; "))
        }
    };
    if verdict == Verdict::Errored && reason.contains(words) && !reason.contains('\n') {
        Ok(reason)
    } else {
        Err(format!("{metric}: {verdict:?}: {reason}"))
    }
}

fn no_numbers() -> Outcome {
    let of = |value: &str| format!(r#""quality":{{"value":{value},"direction":"higher_is_better"}}"#);
    let not = [r#""NaN""#, "null", r#""0.85""#, "1e308", "true", "[0.85]", "{}"]
        .map(|it| closed("", &of(it), "not a usable number"));
    let missing = [
        closed("", r#""quality":{"direction":"higher_is_better"}"#, "has no `value`"),
        closed("", "", "evaluation.json has no metric `quality`"),
        // No JSON at all.
        closed("", &of("NaN"), "evaluation.json"),
        closed("", &of("1e400"), "evaluation.json"),
    ];
    all(not.into_iter().chain(missing))
}

fn out_of_range() -> Outcome {
    let of = |value: &str| format!(r#""quality":{{"value":{value},"direction":"higher_is_better"}}"#);
    // An accuracy above 1, below 0, in percent.
    all(["1.7", "-0.2", "85"].map(|it| closed(", range: [0, 1]", &of(it), "outside of 0 to 1")))
}

fn no_direction() -> Outcome {
    let policy = "      - { metric: { custom: quality }, min: 0 }\n";
    let undeclared = match model(policy) {
        Err(why) if why.contains("direction") => Ok("a policy without it is refused".to_owned()),
        Err(why) => Err(why),
        Ok(_) => Err("a policy without it is taken".to_owned()),
    };
    all([
        undeclared,
        closed("", r#""quality":{"value":0.5}"#, "`direction` is not declared"),
        closed("", r#""quality":{"value":0.5,"direction":"up"}"#, "neither `higher_is_better` nor `lower_is_better`"),
        // A loss, for which the policy takes it, too, would pass with anything.
        closed("", r#""quality":{"value":0.5,"direction":"lower_is_better"}"#, "the policy says higher_is_better"),
    ])
}

fn media_types() -> Outcome {
    let desk = Desk::open(&SHARED, Access::Read);
    let body = r#"{"reason":"x"}"#;
    let with = |name: &str, value: &str| {
        let mut headers = json_headers();
        headers[name] = value.into();
        headers
    };
    let no = json!(false);
    let mut none = json_headers();
    if let Some(it) = none.as_object_mut() {
        it.remove("content-type");
    }
    all([
        refused(&desk, &with("content-type", "text/plain"), body, &no, 415, "application/json"),
        refused(&desk, &with("content-type", "application/jsonp"), body, &no, 415, "application/json"),
        refused(&desk, &none, body, &no, 415, "application/json"),
        refused(&desk, &with("content-type", "application/json; charset=utf-16"), body, &no, 415, "UTF-8"),
        refused(&desk, &with("content-encoding", "gzip"), body, &no, 415, "content encoding"),
        refused(&desk, &json_headers(), body, &json!(true), 400, "base64"),
        refused(&desk, &json_headers(), "e30", &json!(true), 400, "base64"),
        refused(&desk, &json_headers(), body, &json!("yes"), 400, "isBase64Encoded"),
        // What it decodes to is no object.
        refused(&desk, &json_headers(), "W10=", &json!(true), 400, "JSON object"),
    ])
}
