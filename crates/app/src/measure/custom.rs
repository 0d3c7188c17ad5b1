//! Custom metrics of `evaluation.json`: `metrics: {name: {value, direction, standard_error?}}`, and the champion's under
//! `champion.metrics`.

use std::collections::BTreeMap;

use refit_core::evaluation::{CustomComparison, CustomValue};
use refit_core::policy::Direction;
use serde_json::Value;

/// Most custom metrics that are read.
const MAX_METRICS: usize = 100;
/// Beyond this a value is a sign of an overflow, not a measurement.
const MAX_SIZE: f64 = 1e100;

/// Reads the custom metrics. What is wrong with one is said in its problems: nobody has to have a gate on it.
pub(super) fn custom_metrics(evaluation: &Value) -> BTreeMap<String, CustomComparison> {
    let none = serde_json::Map::new();
    let of = |value: Option<&'_ Value>| value.and_then(Value::as_object).cloned().unwrap_or_else(|| none.clone());
    let candidate = of(evaluation.get("metrics"));
    let champion = of(evaluation.get("champion").and_then(|it| it.get("metrics")));
    candidate.iter().take(MAX_METRICS).map(|(name, it)| (name.clone(), comparison(it, champion.get(name)))).collect()
}

fn comparison(candidate: &Value, champion: Option<&Value>) -> CustomComparison {
    let mut problems = Vec::new();
    let direction = match candidate.get("direction").and_then(Value::as_str) {
        Some("higher_is_better") => Some(Direction::HigherIsBetter),
        Some("lower_is_better") => Some(Direction::LowerIsBetter),
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            problems.push(format!("`direction` is `{other}`, neither `higher_is_better` nor `lower_is_better`"));
            None
        }
        None => {
            problems.push("`direction` is not declared: `higher_is_better` or `lower_is_better`".to_owned());
            None
        }
    };
    if let Some(other) = champion.and_then(|it| it.get("direction")).filter(|it| candidate.get("direction") != Some(it))
    {
        problems.push(format!("the champion's `direction` is {}", shorten(other)));
    }
    CustomComparison {
        direction,
        candidate: read_value("candidate", candidate, &mut problems),
        champion: champion.and_then(|it| read_value("champion", it, &mut problems)),
        problems,
    }
}

fn read_value(role: &str, metric: &Value, problems: &mut Vec<String>) -> Option<CustomValue> {
    let Some(found) = metric.get("value") else {
        problems.push(format!("the {role} has no `value`"));
        return None;
    };
    let Some(value) = found.as_f64().filter(|it| it.abs() <= MAX_SIZE) else {
        problems.push(format!("the {role}'s `value` is {}, not a usable number", shorten(found)));
        return None;
    };
    let standard_error = match metric.get("standard_error") {
        None | Some(Value::Null) => None,
        Some(error) => match error.as_f64().filter(|it| (0.0..=MAX_SIZE).contains(it)) {
            Some(error) => Some(error),
            None => {
                problems.push(format!("the {role}'s `standard_error` is {}, not a number from 0", shorten(error)));
                None
            }
        },
    };
    Some(CustomValue { value, standard_error })
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 { text } else { format!("{}…", text.chars().take(40).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(candidate: &Value, champion: &Value) -> CustomComparison {
        let document = json!({ "metrics": { "m": candidate }, "champion": { "metrics": { "m": champion } } });
        custom_metrics(&document).remove("m").expect("read")
    }

    #[test]
    fn values_are_read_with_their_direction() {
        let metric = |value: f64| json!({"value": value, "direction": "lower_is_better", "standard_error": 0.5});
        let found = read(&metric(3.0), &metric(4.0));
        assert_eq!(found.problems, [""; 0]);
        assert_eq!(found.direction, Some(Direction::LowerIsBetter));
        assert_eq!(found.candidate, Some(CustomValue { value: 3.0, standard_error: Some(0.5) }));
        assert_eq!(found.champion.map(|it| it.value), Some(4.0));
        assert!(custom_metrics(&json!({"metrics": [1]})).is_empty());
    }

    /// RELIABILITY cases 58 and 60.
    #[test]
    fn what_is_no_number_or_has_no_direction_is_a_problem() {
        let good = json!({"value": 1.0, "direction": "lower_is_better"});
        for (bad, expected) in [
            (
                json!({"value": "NaN", "direction": "lower_is_better"}),
                "the candidate's `value` is \"NaN\", not a usable number",
            ),
            (
                json!({"value": null, "direction": "lower_is_better"}),
                "the candidate's `value` is null, not a usable number",
            ),
            (
                json!({"value": "0.5", "direction": "lower_is_better"}),
                "the candidate's `value` is \"0.5\", not a usable number",
            ),
            (
                json!({"value": 1e308, "direction": "lower_is_better"}),
                "the candidate's `value` is 1e+308, not a usable number",
            ),
            (json!({"direction": "lower_is_better"}), "the candidate has no `value`"),
            (json!({"value": 1.0}), "`direction` is not declared: `higher_is_better` or `lower_is_better`"),
            (
                json!({"value": 1.0, "direction": "up"}),
                "`direction` is `up`, neither `higher_is_better` nor `lower_is_better`",
            ),
            (
                json!({"value": 1.0, "direction": "higher_is_better"}),
                "the champion's `direction` is \"lower_is_better\"",
            ),
            (
                json!({"value": 1.0, "direction": "lower_is_better", "standard_error": -1.0}),
                "the candidate's `standard_error` is -1.0, not a number from 0",
            ),
            (json!(0.5), "`direction` is not declared: `higher_is_better` or `lower_is_better`"),
        ] {
            assert_eq!(read(&bad, &good).problems.first().map(String::as_str), Some(expected));
        }
    }
}
