use serde_json::{Value, json};

use crate::policy::{read, schema};

const EXAMPLE: &str = include_str!("../../../../../../infra/policies/example.yaml");

/// The part of JSON Schema that the schema uses.
fn accepts(schema: &Value, value: &Value) -> bool {
    let is_type = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|it| it.fract() == 0.0),
        other => panic!("type {other}"),
    };
    schema.as_object().expect("a schema is an object").iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "title" | "description" | "properties" => true,
        "type" => match rule {
            Value::Array(names) => names.iter().any(|it| is_type(it.as_str().expect("a name"))),
            name => is_type(name.as_str().expect("a name")),
        },
        "enum" => rule.as_array().expect("a list").contains(value),
        "anyOf" => rule.as_array().expect("a list").iter().any(|it| accepts(it, value)),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|it| accepts(rule, it))),
        "minItems" => value.as_array().is_none_or(|it| rule.as_u64().expect("a count") <= it.len() as u64),
        "maxItems" => value.as_array().is_none_or(|it| it.len() as u64 <= rule.as_u64().expect("a count")),
        "minimum" => value.as_f64().is_none_or(|it| rule.as_f64().expect("a number") <= it),
        "maximum" => value.as_f64().is_none_or(|it| it <= rule.as_f64().expect("a number")),
        "exclusiveMinimum" => value.as_f64().is_none_or(|it| rule.as_f64().expect("a number") < it),
        "exclusiveMaximum" => value.as_f64().is_none_or(|it| it < rule.as_f64().expect("a number")),
        "required" => value.as_object().is_none_or(|members| {
            rule.as_array().expect("a list").iter().all(|it| members.contains_key(it.as_str().expect("a key")))
        }),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            members.iter().all(|(key, value)| match (&schema["properties"][key], rule) {
                (Value::Null, Value::Bool(allowed)) => *allowed,
                (Value::Null, rule) => accepts(rule, value),
                (known, _) => accepts(known, value),
            })
        }),
        other => panic!("keyword {other}"),
    })
}

fn example() -> Value {
    let mut problems = Vec::new();
    let node = crate::policy::yaml::parse(EXAMPLE, &mut problems).expect("the example parses");
    to_json(&node)
}

fn to_json(node: &crate::policy::yaml::Node) -> Value {
    use crate::policy::yaml::{Kind, Meaning};
    match &node.kind {
        Kind::Map(entries) => entries.iter().map(|it| (it.key.clone(), to_json(&it.value))).collect(),
        Kind::List(items) => items.iter().map(to_json).collect(),
        Kind::Scalar { text, style } => match Meaning::of(text, *style) {
            Meaning::Null => Value::Null,
            Meaning::Boolean => json!(text == "true"),
            Meaning::Number => serde_json::from_str(text).expect("a number"),
            Meaning::Text => json!(text),
        },
        Kind::Refused => panic!("the example is refused"),
    }
}

/// Every pointer into a document, with those of maps and lists.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => members.iter().for_each(|(key, it)| pointers(it, &format!("{at}/{key}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, it)| pointers(it, &format!("{at}/{n}"), found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_key_has_a_schema() {
    fn check(schema: &Value, at: &str) {
        assert_ne!(
            schema,
            &json!({}),
            "`{at}` is a key, and no read of it was noted: is it read behind an early return?"
        );
        if let Some(members) = schema["properties"].as_object() {
            members.iter().for_each(|(key, it)| check(it, &format!("{at}/{key}")));
        }
        for (part, name) in [("items", "[]"), ("additionalProperties", "*")] {
            if schema[part].is_object() {
                check(&schema[part], &format!("{at}/{name}"));
            }
        }
        schema["anyOf"].as_array().into_iter().flatten().for_each(|it| check(it, at));
    }
    let schema = schema();
    check(&schema, "");
    assert_eq!(schema["required"], json!(["models", "schema"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    let model = &schema["properties"]["models"]["items"]["properties"];
    assert_eq!(model["task"], json!({ "enum": ["regression", "binary", "multiclass"] }));
    let share = &model["triggers"]["properties"]["drift"]["properties"]["share"];
    assert_eq!((&share["exclusiveMinimum"], &share["maximum"]), (&json!(0.0), &json!(1.0)));
}

/// One value is replaced at a time: what the reader takes, the schema takes; and the schema refuses unknown keys and
/// values of another type as the reader does.
#[test]
fn the_schema_never_refuses_what_the_reader_takes() {
    let (schema, example) = (schema(), example());
    assert!(accepts(&schema, &example), "the example");
    let mut places = Vec::new();
    pointers(&example, "", &mut places);
    let values = [
        json!(true),
        json!(-1),
        json!(0),
        json!(0.5),
        json!(1),
        json!(7),
        json!(1e12),
        json!("x"),
        json!("15m"),
        json!("ks"),
        json!("all"),
        json!([]),
        json!({}),
        json!({"at_least": 2}),
        json!({"surprise": 1}),
        Value::Null,
    ];
    let mut both_refuse = 0;
    for place in &places {
        for value in &values {
            let mut changed = example.clone();
            *changed.pointer_mut(place).expect("a place") = value.clone();
            let (by_reader, by_schema) = (read(&changed.to_string()).is_ok(), accepts(&schema, &changed));
            assert!(!by_reader || by_schema, "{place} as {value}: the reader takes it, the schema does not");
            both_refuse += usize::from(!by_reader && !by_schema);
        }
        let mut changed = example.clone();
        if let Some(members) = changed.pointer_mut(place).and_then(Value::as_object_mut) {
            members.insert("surprise".to_owned(), json!({}));
            assert!(!accepts(&schema, &changed) && read(&changed.to_string()).is_err(), "an unknown key in {place}");
        }
    }
    let tries = places.len() * values.len();
    assert!(tries * 6 / 10 < both_refuse, "{both_refuse} of {tries} are refused by both");
}
