//! A cursor into a JSON document that knows where it is, so that every problem names its place.

use serde_json::Value;

use super::Problem;

/// A value of the definition and the JSON pointer that leads to it.
pub(super) struct Node<'a> {
    /// The value.
    pub(super) value: &'a Value,
    /// Where it is.
    pub(super) pointer: String,
}

impl<'a> Node<'a> {
    /// The whole document.
    pub(super) fn root(value: &'a Value) -> Node<'a> {
        Node { value, pointer: String::new() }
    }

    /// The member `key`; a `null` counts as absent, since AWS's SDK writes it for what was not given.
    pub(super) fn child(&self, key: &str) -> Option<Node<'a>> {
        let value = self.value.get(key).filter(|it| !it.is_null())?;
        let key = key.replace('~', "~0").replace('/', "~1");
        Some(Node { value, pointer: format!("{}/{key}", self.pointer) })
    }

    /// The member `key`, whose absence is a problem.
    pub(super) fn required(&self, key: &str, found: &mut Vec<Problem>) -> Option<Node<'a>> {
        let child = self.child(key);
        if child.is_none() {
            self.report(found, format!("`{key}` is missing; add it"));
        }
        child
    }

    /// The elements of a list; none when it is something else, which is a problem.
    pub(super) fn elements(&self, found: &mut Vec<Problem>) -> Vec<Node<'a>> {
        let Value::Array(items) = self.value else {
            self.report(found, "must be a list".to_owned());
            return Vec::new();
        };
        let nodes = items.iter().enumerate();
        nodes.map(|(index, value)| Node { value, pointer: format!("{}/{index}", self.pointer) }).collect()
    }

    /// The elements of the list `key`, which may be absent.
    pub(super) fn list(&self, key: &str, found: &mut Vec<Problem>) -> Vec<Node<'a>> {
        self.child(key).map(|it| it.elements(found)).unwrap_or_default()
    }

    /// The members of an object, by name; none when it is something else, which is a problem.
    pub(super) fn members(&self, found: &mut Vec<Problem>) -> Vec<(&'a str, Node<'a>)> {
        let Value::Object(members) = self.value else {
            self.report(found, "must be an object".to_owned());
            return Vec::new();
        };
        members.keys().filter_map(|key| Some((key.as_str(), self.child(key)?))).collect()
    }

    /// A plain text; anything else is a problem.
    pub(super) fn text(&self, found: &mut Vec<Problem>) -> Option<String> {
        let text = self.value.as_str().map(str::to_owned);
        if text.is_none() {
            self.report(found, "must be a text".to_owned());
        }
        text
    }

    /// The plain text under `key`, which must be there.
    pub(super) fn required_text(&self, key: &str, found: &mut Vec<Problem>) -> Option<String> {
        self.required(key, found)?.text(found)
    }

    /// Reports every member that is neither interpreted nor known to matter on AWS alone.
    pub(super) fn only(&self, interpreted: &[&str], on_aws: &[&str], found: &mut Vec<Problem>) {
        for (key, member) in self.members(found) {
            if !interpreted.contains(&key) && !on_aws.contains(&key) {
                member.report(found, format!("`{key}` is not interpreted locally yet; leave it out to run here"));
            }
        }
    }

    /// Reports a literal under `key` that is not one of `known`; an expression or an absent one passes.
    pub(super) fn literal_among(&self, key: &str, known: &[&str], found: &mut Vec<Problem>) {
        let Some(member) = self.child(key) else { return };
        if let Some(text) = member.value.as_str().filter(|it| !known.contains(it)) {
            let known = known.join("` or `");
            member.report(found, format!("`{key}` = `{text}` is not interpreted locally yet; use `{known}`"));
        }
    }

    /// Notes a problem here.
    pub(super) fn report(&self, found: &mut Vec<Problem>, message: String) {
        found.push(Problem { pointer: self.pointer.clone(), message });
    }
}
