//! Paths into JSON as definitions write them: `a.b`, `Outputs['train'].S3Output.S3Uri`, `values[0]`.

use serde_json::Value;

/// One hop of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hop {
    /// A member of an object, or the element of a list that has this name.
    Name(String),
    /// The element of a list at this position, from 0.
    Index(usize),
}

/// A path into a JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<Hop>);

impl JsonPath {
    /// Parses a path; a leading `$.` is allowed.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<JsonPath, String> {
        let refuse =
            || format!("`{text}` is not a path; it looks like `metrics.mae.value`, `list[0]` or `list['name']`");
        let mut rest = text.strip_prefix("$.").unwrap_or(text);
        let mut hops = Vec::new();
        loop {
            if let Some(inner) = rest.strip_prefix('[') {
                let (index, after) = inner.split_once(']').ok_or_else(refuse)?;
                hops.push(bracketed(index).ok_or_else(refuse)?);
                rest = after;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                if end == 0 {
                    return Err(refuse());
                }
                hops.push(Hop::Name(rest[..end].to_owned()));
                rest = &rest[end..];
            }
            if rest.is_empty() {
                return Ok(JsonPath(hops));
            }
            if let Some(after) = rest.strip_prefix('.') {
                rest = after;
            } else if !rest.starts_with('[') {
                return Err(refuse());
            }
        }
    }

    /// The value that the path leads to.
    #[must_use]
    pub fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, hop| match hop {
            Hop::Index(index) => value.get(index),
            Hop::Name(name) => match value {
                Value::Array(items) => items.iter().find(|item| is_named(item, name)),
                Value::Object(members) => members.get(name),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            },
        })
    }
}

impl std::fmt::Display for JsonPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, hop) in self.0.iter().enumerate() {
            match hop {
                Hop::Index(index) => write!(f, "[{index}]")?,
                Hop::Name(name) if number == 0 => f.write_str(name)?,
                Hop::Name(name) if name.contains(['.', '[']) => write!(f, "['{name}']")?,
                Hop::Name(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

/// What stands between brackets: a position, or a name in either kind of quotes.
fn bracketed(text: &str) -> Option<Hop> {
    for quote in ['\'', '"'] {
        if let Some(name) = text.strip_prefix(quote).and_then(|it| it.strip_suffix(quote)) {
            return if name.is_empty() { None } else { Some(Hop::Name(name.to_owned())) };
        }
    }
    text.parse().ok().map(Hop::Index)
}

/// Whether a list's element is the one called `name`; SageMaker names inputs, outputs and channels.
fn is_named(item: &Value, name: &str) -> bool {
    ["OutputName", "InputName", "ChannelName"].iter().any(|key| item.get(key).and_then(Value::as_str) == Some(name))
}

/// The paths of all scalars in `value`, for messages.
pub(super) fn leaves(value: &Value, prefix: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                leaves(member, &path, into);
            }
        }
        Value::Array(items) => {
            for item in items {
                let name = ["OutputName", "InputName", "ChannelName"].iter().find_map(|key| item.get(key)?.as_str());
                leaves(item, &format!("{prefix}['{}']", name.unwrap_or_default()), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => into.push(prefix.to_owned()),
    }
}
