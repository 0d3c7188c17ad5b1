//! The JSON Schema of refit.yaml, told by the reader itself.
//!
//! The reader is walked over a void document in which every key that has an effect is there: instead of refusing what it
//! does not find, each read notes what it would take. So the schema cannot say anything but what is read, and a new key is
//! in it as soon as it is read.
//!
//! It is wider than the reader: what depends on other values (a metric that fits the task, a change that fits its mode,
//! distinct names) is checked by `refit validate` only. It never refuses what the reader takes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::field::Bounds;

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// A map with these keys.
    Section(Vec<&'static str>),
    /// A map with free keys.
    Free,
    /// A list with so many items.
    List(usize, usize),
    /// A text; numbers and booleans in quotes.
    Text,
    /// Any scalar, in another form than a number.
    Scalar(String),
    /// A number within bounds.
    Number(Value),
    /// A whole number within a range.
    Whole(u64, u64),
    /// One of some words.
    Word(Vec<&'static str>),
}

/// What was noted on a walk, by path: items of a list are `[]`, free keys `.*`.
#[derive(Debug, Default)]
pub(super) struct Notes {
    shapes: BTreeMap<String, Vec<Shape>>,
    required: BTreeMap<String, BTreeSet<String>>,
    /// Whether this walk takes the map or list where a scalar is possible, too.
    pub(super) takes_maps: bool,
}

impl Notes {
    pub(super) fn note(&mut self, path: &str, shape: Shape) {
        let shapes = self.shapes.entry(path.to_owned()).or_default();
        // A special read notes first, and the general one that it stands on adds nothing.
        let is_general = matches!(shape, Shape::Scalar(_)) && !shapes.is_empty();
        if !is_general && !shapes.contains(&shape) {
            shapes.push(shape);
        }
    }

    pub(super) fn require(&mut self, path: &str, key: &str) {
        self.required.entry(path.to_owned()).or_default().insert(key.to_owned());
    }

    /// The schema of the document.
    pub(super) fn to_schema(&self) -> Value {
        let mut schema = Map::from_iter([
            ("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema")),
            ("title".to_owned(), json!("refit.yaml")),
        ]);
        if let Value::Object(members) = self.schema_at("") {
            schema.extend(members);
        }
        Value::Object(schema)
    }

    fn schema_at(&self, path: &str) -> Value {
        let shapes = self.shapes.get(path).map(Vec::as_slice).unwrap_or_default();
        let mut schemas: Vec<Value> = shapes.iter().map(|it| self.schema_of(path, it)).collect();
        match schemas.len() {
            0 => json!({}),
            1 => schemas.swap_remove(0),
            _ => json!({ "anyOf": schemas }),
        }
    }

    fn schema_of(&self, path: &str, shape: &Shape) -> Value {
        match shape {
            Shape::Section(keys) => {
                let below = |key: &&str| if path.is_empty() { (*key).to_owned() } else { format!("{path}.{key}") };
                let properties: Map<String, Value> =
                    keys.iter().map(|it| ((*it).to_owned(), self.schema_at(&below(it)))).collect();
                let required: Vec<&String> = self.required.get(path).into_iter().flatten().collect();
                json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
            }
            Shape::Free => {
                json!({ "type": "object", "additionalProperties": self.schema_at(&format!("{path}.*")) })
            }
            Shape::List(least, most) => {
                let items = self.schema_at(&format!("{path}[]"));
                let mut schema = json!({ "type": "array", "items": items, "minItems": least });
                if *most < usize::MAX {
                    schema["maxItems"] = json!(most);
                }
                schema
            }
            Shape::Text => json!({ "type": "string" }),
            Shape::Scalar(what) => json!({ "type": ["string", "number", "boolean"], "description": what }),
            Shape::Number(schema) => schema.clone(),
            Shape::Whole(least, most) => {
                let mut schema = json!({ "type": "integer", "minimum": least });
                if *most < u64::MAX {
                    schema["maximum"] = json!(most);
                }
                schema
            }
            Shape::Word(words) => json!({ "enum": words }),
        }
    }
}

/// The schema of a number within bounds, whose edges are found by asking: they are all whole numbers from -1 to 1.
pub(super) fn number(bounds: &Bounds) -> Shape {
    const STEP: f64 = 1e-9;
    let mut schema = json!({ "type": "number", "description": bounds.words });
    let contains = bounds.contains;
    for edge in [-1.0, 0.0, 1.0] {
        let (below, above) = (contains(edge - STEP), contains(edge + STEP));
        let (inclusive, exclusive) = match (below, above) {
            (false, true) => ("minimum", "exclusiveMinimum"),
            (true, false) => ("maximum", "exclusiveMaximum"),
            (true, true) | (false, false) => continue,
        };
        schema[if contains(edge) { inclusive } else { exclusive }] = json!(edge);
    }
    Shape::Number(schema)
}

#[cfg(test)]
mod tests;
