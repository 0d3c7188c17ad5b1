//! The difference between two definitions: what whoever reviews a change wants to see, and nothing else.
//!
//! Parameters and steps are matched by name, wherever they stand, so that one that is put before others is one addition.
//! White space and the order of keys do not matter. There is no difference exactly when the digests are equal. A
//! definition need not be one that can run here.

use std::collections::{BTreeMap, BTreeSet};

use refit_core::Digest;
use serde_json::{Map, Value, json};

use super::definition::{Problem, digest_of};

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The definition around parameters and steps.
    Definition,
    /// A parameter, by name.
    Parameter(String),
    /// A step, by name; those inside a condition are steps of their own.
    Step(String),
}

/// How it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Only the new definition has it.
    Added,
    /// Only the old definition has it.
    Removed,
    /// A value in it is another one; either value may be missing.
    Changed,
    /// It stands elsewhere; the values are its places, or the names in their order.
    Moved,
}

impl ChangeKind {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Changed => "changed",
            ChangeKind::Moved => "moved",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What differs.
    pub subject: Subject,
    /// How.
    pub kind: ChangeKind,
    /// A JSON pointer into the new definition; into the old one for what only that has.
    pub pointer: String,
    /// The value in the old definition.
    pub old: Option<Value>,
    /// The value in the new definition.
    pub new: Option<Value>,
}

/// How two definitions differ.
#[must_use = "a difference is for reading"]
#[derive(Debug, Clone, PartialEq)]
pub struct DefinitionDiff {
    /// The digest of the old definition.
    pub old: Digest,
    /// The digest of the new definition.
    pub new: Digest,
    /// The differences: of the definition, of its parameters and of its steps, by name.
    pub changes: Vec<Change>,
}

/// A definition with its named parts taken out.
pub struct Parts {
    digest: Digest,
    rest: Value,
    parameters: Vec<Part>,
    steps: Vec<Part>,
}

/// A parameter or step.
struct Part {
    name: String,
    pointer: String,
    /// The pointer of its list, with names of steps in place of numbers.
    list: String,
    value: Value,
}

impl Parts {
    /// Takes a definition apart.
    ///
    /// # Errors
    /// What keeps its parameters and steps from being told apart by name.
    pub fn read(json: &str) -> Result<Parts, Vec<Problem>> {
        let problem = |pointer: &str, message: String| vec![Problem { pointer: pointer.to_owned(), message }];
        let document: Value = serde_json::from_str(json)
            .map_err(|error| problem("", format!("is not JSON: {error}; correct the text")))?;
        let digest = digest_of(&document);
        let Value::Object(mut rest) = document else {
            return Err(problem("", "must be an object".to_owned()));
        };
        let mut found = Vec::new();
        let (mut parameters, mut steps) = (Vec::new(), Vec::new());
        take(&mut rest, "Parameters", "", "", &mut parameters, &mut found);
        match rest.get("Steps") {
            Some(_) => take(&mut rest, "Steps", "", "", &mut steps, &mut found),
            None => found.extend(problem("", "`Steps` is missing; this is no pipeline definition".to_owned())),
        }
        for parts in [&parameters, &steps] {
            let mut names = BTreeSet::new();
            for part in parts.iter().filter(|it| !names.insert(it.name.as_str())) {
                found.extend(problem(&part.pointer, format!("name `{}` is used twice; rename one", part.name)));
            }
        }
        found.sort();
        if found.is_empty() { Ok(Parts { digest, rest: Value::Object(rest), parameters, steps }) } else { Err(found) }
    }

    /// How `new` differs from this.
    pub fn diff(&self, new: &Parts) -> DefinitionDiff {
        let mut changes = Vec::new();
        compare(&Subject::Definition, ("", &self.rest), ("", &new.rest), &mut changes);
        match_up(&self.parameters, &new.parameters, &Subject::Parameter, &mut changes);
        match_up(&self.steps, &new.steps, &Subject::Step, &mut changes);
        changes.sort_by(|a, b| a.subject.cmp(&b.subject).then_with(|| a.kind.cmp(&b.kind)));
        DefinitionDiff { old: self.digest.clone(), new: new.digest.clone(), changes }
    }
}

/// Takes the named elements of a list out of its parent, and leaves an empty list.
fn take(
    parent: &mut Map<String, Value>,
    key: &str,
    pointer: &str,
    list: &str,
    into: &mut Vec<Part>,
    found: &mut Vec<Problem>,
) {
    let (pointer, list) = (format!("{pointer}/{key}"), format!("{list}/{key}"));
    let items = match parent.get_mut(key) {
        None | Some(Value::Null) => return,
        Some(Value::Array(items)) => std::mem::take(items),
        Some(_) => {
            found.push(Problem { pointer, message: "must be a list".to_owned() });
            return;
        }
    };
    for (index, mut value) in items.into_iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        let Some(name) = value.get("Name").and_then(Value::as_str).map(str::to_owned) else {
            found.push(Problem { pointer, message: "has no name; add a `Name`".to_owned() });
            continue;
        };
        let mut inner = Vec::new();
        if value["Type"] == "Condition"
            && let Some(Value::Object(arguments)) = value.get_mut("Arguments")
        {
            let (pointer, list) = (format!("{pointer}/Arguments"), format!("{list}/{}", escape(&name)));
            for key in ["IfSteps", "ElseSteps"] {
                take(arguments, key, &pointer, &list, &mut inner, found);
            }
        }
        into.push(Part { name, pointer, list: list.clone(), value });
        into.append(&mut inner);
    }
}

/// Matches parts by name and compares each pair.
fn match_up(old: &[Part], new: &[Part], subject: &dyn Fn(String) -> Subject, changes: &mut Vec<Change>) {
    let find = |parts: &'_ [Part], name: &str| parts.iter().position(|it| it.name == name);
    for gone in old.iter().filter(|it| find(new, &it.name).is_none()) {
        let (pointer, old) = (gone.pointer.clone(), Some(gone.value.clone()));
        let subject = subject(gone.name.clone());
        changes.push(Change { subject, kind: ChangeKind::Removed, pointer, old, new: None });
    }
    // The names that stay in a list, in the old and in the new order.
    let mut orders: BTreeMap<&str, [Vec<&Part>; 2]> = BTreeMap::new();
    for part in new {
        let subject = subject(part.name.clone());
        let Some(index) = find(old, &part.name) else {
            let (pointer, new) = (part.pointer.clone(), Some(part.value.clone()));
            changes.push(Change { subject, kind: ChangeKind::Added, pointer, old: None, new });
            continue;
        };
        let before = &old[index];
        if before.list == part.list {
            orders.entry(&part.list).or_default()[1].push(part);
        } else {
            let (old, new) = (Some(before.list.clone().into()), Some(part.list.clone().into()));
            let pointer = part.pointer.clone();
            changes.push(Change { subject: subject.clone(), kind: ChangeKind::Moved, pointer, old, new });
        }
        compare(&subject, (&before.pointer, &before.value), (&part.pointer, &part.value), changes);
    }
    for part in old {
        if find(new, &part.name).is_some_and(|it| new[it].list == part.list) {
            orders.entry(&part.list).or_default()[0].push(part);
        }
    }
    for [before, after] in orders.values() {
        let names = |parts: &[&Part]| -> Vec<String> { parts.iter().map(|it| it.name.clone()).collect() };
        let (old, new) = (names(before), names(after));
        if old != new {
            let pointer = after[0].pointer.rsplit_once('/').map_or("", |it| it.0).to_owned();
            let (kind, old, new) = (ChangeKind::Moved, Some(json!(old)), Some(json!(new)));
            changes.push(Change { subject: Subject::Definition, kind, pointer, old, new });
        }
    }
}

/// Compares two values member by member and element by element.
fn compare(subject: &Subject, old: (&str, &Value), new: (&str, &Value), changes: &mut Vec<Change>) {
    let change = |pointer: &str, old: Option<&Value>, new: Option<&Value>| {
        let (pointer, old, new) = (pointer.to_owned(), old.cloned(), new.cloned());
        Change { subject: subject.clone(), kind: ChangeKind::Changed, pointer, old, new }
    };
    let pairs: Vec<(String, Option<&Value>, Option<&Value>)> = match (old.1, new.1) {
        (Value::Object(before), Value::Object(after)) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            keys.into_iter().map(|key| (escape(key), before.get(key), after.get(key))).collect()
        }
        (Value::Array(before), Value::Array(after)) => {
            let indexes = 0..before.len().max(after.len());
            indexes.map(|it| (it.to_string(), before.get(it), after.get(it))).collect()
        }
        (before, after) => {
            // By digest, since -0.0 and 0.0 are equal and have different ones.
            if digest_of(before) != digest_of(after) {
                changes.push(change(new.0, Some(before), Some(after)));
            }
            return;
        }
    };
    for (key, before, after) in pairs {
        let (old_pointer, new_pointer) = (format!("{}/{key}", old.0), format!("{}/{key}", new.0));
        match (before, after) {
            (Some(before), Some(after)) => compare(subject, (&old_pointer, before), (&new_pointer, after), changes),
            (None, after) => changes.push(change(&new_pointer, None, after)),
            (before, None) => changes.push(change(&old_pointer, before, None)),
        }
    }
}

/// A key as part of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Value {
        let fail = |name: &str| json!({"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": "x"}});
        json!({
            "Version": "2020-12-01", "Metadata": {},
            "Parameters": [
                {"Name": "A", "Type": "Integer", "DefaultValue": 1}, {"Name": "B", "Type": "String"}],
            "Steps": [
                {"Name": "Train", "Type": "Training", "Arguments": {"HyperParameters": {"rounds": 7, "a/b": 1}}},
                {"Name": "Gate", "Type": "Condition", "Arguments": {
                    "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}],
                    "IfSteps": [fail("One"), fail("Two")], "ElseSteps": [fail("Three")]}}]
        })
    }

    fn lines(old: &Value, new: &Value) -> Vec<String> {
        let read = |it: &Value| Parts::read(&it.to_string()).expect("parts");
        let diff = read(old).diff(&read(new));
        assert_eq!(diff.changes.is_empty(), diff.old == diff.new);
        let show = |it: &Option<Value>| it.as_ref().map_or("-".to_owned(), Value::to_string);
        let name = |it: &Subject| match it {
            Subject::Definition => String::new(),
            Subject::Parameter(name) | Subject::Step(name) => format!("{name} "),
        };
        let line = |it: &Change| {
            format!("{}{} {} {} {}", name(&it.subject), it.kind.name(), it.pointer, show(&it.old), show(&it.new))
        };
        diff.changes.iter().map(line).collect()
    }

    /// Changes the base and checks what is reported.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Value), expected: &[&str]) {
        let mut new = base();
        change(&mut new);
        assert_eq!(lines(&base(), &new), expected);
    }

    fn list<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Vec<Value> {
        document.pointer_mut(pointer).and_then(Value::as_array_mut).expect("list")
    }

    #[test]
    fn form_is_no_difference() {
        let pretty = serde_json::to_string_pretty(&base()).expect("text");
        let moved = base().to_string().replacen("\"Metadata\":{},", "", 1).replacen('{', "{\"Metadata\":{},", 1);
        for other in [pretty, moved] {
            let diff = Parts::read(&base().to_string()).expect("parts").diff(&Parts::read(&other).expect("parts"));
            assert_eq!((diff.changes, &diff.old), (Vec::new(), &diff.new));
        }
    }

    #[test]
    fn values_are_shown_where_they_are() {
        check(
            |it| it["Steps"][0]["Arguments"]["HyperParameters"] = json!({"rounds": 9, "c": null}),
            &[
                "Train changed /Steps/0/Arguments/HyperParameters/a~1b 1 -",
                "Train changed /Steps/0/Arguments/HyperParameters/c - null",
                "Train changed /Steps/0/Arguments/HyperParameters/rounds 7 9",
            ],
        );
        check(|it| it["Parameters"][0]["DefaultValue"] = json!(1.0), &["A changed /Parameters/0/DefaultValue 1 1.0"]);
        check(|it| it["Metadata"]["x"] = json!([1]), &["changed /Metadata/x - [1]"]);
        check(
            |it| list(it, "/Steps/1/Arguments/Conditions").push(json!(1)),
            &["Gate changed /Steps/1/Arguments/Conditions/1 - 1"],
        );
        check(
            |it| it["Steps"][1]["Arguments"]["ElseSteps"][0]["Arguments"]["ErrorMessage"] = json!("y"),
            &[r#"Three changed /Steps/1/Arguments/ElseSteps/0/Arguments/ErrorMessage "x" "y""#],
        );
    }

    #[test]
    fn parts_are_matched_by_name() {
        check(
            |it| list(it, "/Parameters").insert(0, json!({"Name": "New"})),
            &[r#"New added /Parameters/0 - {"Name":"New"}"#],
        );
        check(
            |it| drop(list(it, "/Parameters").remove(1)),
            &[r#"B removed /Parameters/1 {"Name":"B","Type":"String"} -"#],
        );
        check(
            |it| drop(list(it, "/Steps/1/Arguments/IfSteps").remove(0)),
            &[
                r#"One removed /Steps/1/Arguments/IfSteps/0 {"Arguments":{"ErrorMessage":"x"},"Name":"One","Type":"Fail"} -"#,
            ],
        );
        check(|it| list(it, "/Steps").insert(0, json!({"Name": "New"})), &[r#"New added /Steps/0 - {"Name":"New"}"#]);
        check(
            |it| drop(it["Steps"][1]["Arguments"].as_object_mut().expect("object").remove("ElseSteps")),
            &[
                "Gate changed /Steps/1/Arguments/ElseSteps [] -",
                r#"Three removed /Steps/1/Arguments/ElseSteps/0 {"Arguments":{"ErrorMessage":"x"},"Name":"Three","Type":"Fail"} -"#,
            ],
        );
    }

    #[test]
    fn places_matter() {
        check(|it| list(it, "/Steps").reverse(), &[r#"moved /Steps ["Train","Gate"] ["Gate","Train"]"#]);
        check(|it| list(it, "/Parameters").reverse(), &[r#"moved /Parameters ["A","B"] ["B","A"]"#]);
        check(
            |it| {
                let two = list(it, "/Steps/1/Arguments/IfSteps").remove(1);
                list(it, "/Steps/1/Arguments/ElseSteps").push(two);
            },
            &[r#"Two moved /Steps/1/Arguments/ElseSteps/1 "/Steps/Gate/IfSteps" "/Steps/Gate/ElseSteps""#],
        );
    }

    #[test]
    fn what_has_no_names_cannot_be_compared() {
        let cases = [
            ("{", "", "is not JSON"),
            ("[]", "", "must be an object"),
            ("{}", "", "`Steps` is missing"),
            (r#"{"Steps":{}}"#, "/Steps", "must be a list"),
            (r#"{"Steps":[{}]}"#, "/Steps/0", "has no name"),
            (r#"{"Steps":[{"Name":"A"},{"Name":"A"}]}"#, "/Steps/1", "name `A` is used twice"),
        ];
        for (text, pointer, expected) in cases {
            let problems = Parts::read(text).err().expect("problems");
            assert!(problems.iter().any(|it| it.pointer == pointer && it.message.contains(expected)), "{problems:?}");
        }
    }
}
