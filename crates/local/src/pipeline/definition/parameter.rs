//! Parameters: declared with a type, sent as texts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Problem;
use super::node::Node;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// `true` or `false`.
    Boolean,
}

impl ParameterKind {
    fn parse(text: &str) -> Option<ParameterKind> {
        Some(match text {
            "String" => ParameterKind::String,
            "Integer" => ParameterKind::Integer,
            "Float" => ParameterKind::Float,
            "Boolean" => ParameterKind::Boolean,
            _ => return None,
        })
    }

    /// The type's name in a definition.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ParameterKind::String => "String",
            ParameterKind::Integer => "Integer",
            ParameterKind::Float => "Float",
            ParameterKind::Boolean => "Boolean",
        }
    }

    /// Whether values of this type have an order.
    pub(super) fn is_number(self) -> bool {
        match self {
            ParameterKind::Integer | ParameterKind::Float => true,
            ParameterKind::String | ParameterKind::Boolean => false,
        }
    }

    fn accepts(self, value: &Value) -> bool {
        match self {
            ParameterKind::String => value.is_string(),
            ParameterKind::Integer => value.is_i64(),
            ParameterKind::Float => value.is_number(),
            ParameterKind::Boolean => value.is_boolean(),
        }
    }

    fn value_of(self, text: &str) -> Option<Value> {
        match self {
            ParameterKind::String => Some(text.into()),
            ParameterKind::Integer => text.parse::<i64>().ok().map(Value::from),
            ParameterKind::Float => text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
            ParameterKind::Boolean => text.to_ascii_lowercase().parse::<bool>().ok().map(Value::from),
        }
    }
}

/// A declared parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ParameterKind,
    /// Its value when none is given.
    pub default: Option<Value>,
    /// The values it may have; any when empty.
    pub allowed: Vec<Value>,
}

/// A scalar as text, the way SageMaker takes values.
pub(super) fn to_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Reads the declarations.
pub(super) fn read(root: &Node<'_>, found: &mut Vec<Problem>) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    let mut names = BTreeSet::new();
    for node in root.list("Parameters", found) {
        node.only(&["Name", "Type", "DefaultValue", "EnumValues"], &["Description"], found);
        let name = node.required_text("Name", found);
        let kind = node.required_text("Type", found).and_then(|text| {
            let kind = ParameterKind::parse(&text);
            if kind.is_none() {
                node.report(
                    found,
                    format!("parameter type `{text}` does not exist; use String, Integer, Float or Boolean"),
                );
            }
            kind
        });
        let (Some(name), Some(kind)) = (name, kind) else { continue };
        if !names.insert(name.clone()) {
            node.report(found, format!("parameter `{name}` is declared twice; remove one"));
        }
        let allowed = node.list("EnumValues", found);
        let default = node.child("DefaultValue");
        for it in allowed.iter().chain(&default) {
            if !kind.accepts(it.value) {
                it.report(found, format!("{} is not a value of type {}", it.value, kind.name()));
            }
        }
        if let Some(it) =
            default.as_ref().filter(|it| !allowed.is_empty() && allowed.iter().all(|one| one.value != it.value))
        {
            it.report(found, format!("{} is not among `EnumValues`", it.value));
        }
        let allowed = allowed.iter().map(|it| it.value.clone()).collect();
        parameters.push(Parameter { name, kind, default: default.map(|it| it.value.clone()), allowed });
    }
    parameters
}

/// The typed value of every declared parameter.
pub(super) fn bind(
    declared: &[Parameter],
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, Vec<String>> {
    let mut problems = Vec::new();
    for name in given.keys().filter(|name| declared.iter().all(|it| it.name != **name)) {
        problems.push(format!("parameter `{name}` is not declared by the pipeline"));
    }
    let mut values = BTreeMap::new();
    for Parameter { name, kind, default, allowed } in declared {
        let value = match given.get(name) {
            Some(text) => match kind.value_of(text) {
                Some(value) => value,
                None => {
                    problems.push(format!("parameter `{name}` is not a value of type {}", kind.name()));
                    continue;
                }
            },
            None => match default {
                Some(value) => value.clone(),
                None => {
                    problems.push(format!("parameter `{name}` has no default and must be given"));
                    continue;
                }
            },
        };
        if !allowed.is_empty() && !allowed.contains(&value) {
            let allowed: Vec<String> = allowed.iter().map(to_text).collect();
            problems.push(format!("parameter `{name}` must be one of {}", allowed.join(", ")));
        }
        values.insert(name.clone(), value);
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}
