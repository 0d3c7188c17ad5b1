//! Which fields of two policies differ, by path: what `refit diff` and `refit apply` show.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::Policy;
use super::yaml::join;

/// A field that differs. Absent on one side: the field, list item or model is only on the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// Where, for example `models[flight-time].triggers.cooldown`; models by id, receivers by address, other lists by
    /// place.
    pub path: String,
    /// The value in the old policy.
    pub old: Option<Value>,
    /// The value in the new policy.
    pub new: Option<Value>,
}

/// The fields that differ, in the order of their paths; everything is new without an old policy. Equal policies have none.
#[must_use]
pub fn diff(old: Option<&Policy>, new: &Policy) -> Vec<FieldChange> {
    let in_json = |policy: &Policy| serde_json::to_value(policy).unwrap_or(Value::Null);
    let old = old.map(in_json);
    let new = in_json(new);
    let mut changes = Vec::new();
    match &old {
        Some(old) => compare("", Some(old), Some(&new), &mut changes),
        None => {
            let empty = Value::Object(serde_json::Map::new());
            compare("", Some(&empty), Some(&new), &mut changes);
        }
    }
    changes
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<FieldChange>) {
    // A field that is not given is stored as null.
    let (old, new) = (old.filter(|it| !it.is_null()), new.filter(|it| !it.is_null()));
    match (old, new) {
        _ if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                compare(&join(path, key), old.get(key), new.get(key), changes);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            let (old, new) = (by_name(old), by_name(new));
            let names: BTreeSet<&Name> = old.keys().chain(new.keys()).collect();
            for name in names {
                let (old, new) = (old.get(name).copied(), new.get(name).copied());
                compare(&format!("{path}[{name}]"), old, new, changes);
            }
        }
        _ => changes.push(FieldChange { path: path.to_owned(), old: old.cloned(), new: new.cloned() }),
    }
}

/// What an item of a list is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Place(usize),
    Text(String),
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Place(index) => write!(f, "{index}"),
            Name::Text(text) => f.write_str(text),
        }
    }
}

/// The items of a list by what tells them apart: an id or an address where they have one, so that a model that moved
/// within the list has not changed.
fn by_name(items: &[Value]) -> BTreeMap<Name, &Value> {
    let name = |(index, item): (usize, &Value)| {
        let text = ["id", "email"].iter().find_map(|key| item.get(key)?.as_str());
        text.map_or(Name::Place(index), |it| Name::Text(it.to_owned()))
    };
    items.iter().enumerate().map(|it| (name(it), it.1)).collect()
}
