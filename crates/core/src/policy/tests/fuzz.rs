//! Every value of a policy replaced by every wrong one: refused with its place, none accepted silently.

use crate::policy::read;
use crate::policy::read::keys_not_given;
use crate::policy::yaml::{self, Entry, Kind, Node, Style};

const EVERY_KEY: &str = include_str!("../../../../../infra/policies/every-key.yaml");

#[test]
fn the_text_of_this_test_gives_every_key_that_is_built() {
    assert_eq!(keys_not_given(EVERY_KEY), Vec::<String>::new(), "add the keys to infra/policies/every-key.yaml");
}

/// Writes a document with each node on a line of its own, so that a place is a line; `edits` are raw texts by path.
struct Writer<'a> {
    text: String,
    edit: Option<(&'a str, &'a str)>,
    /// The line of the edited node.
    line: usize,
}

impl Writer<'_> {
    fn node(&mut self, node: &Node, path: &str) {
        if let Some((_, raw)) = self.edit.filter(|(edited, _)| *edited == path) {
            self.line = self.text.matches('\n').count() + 1;
            self.text.push_str(raw);
            return;
        }
        match &node.kind {
            Kind::Scalar { text, style: Style::Plain } => self.text.push_str(text),
            Kind::Scalar { text, style: Style::Quoted } => self.text.push_str(&format!("{text:?}")),
            Kind::List(items) => {
                self.text.push_str("[\n");
                for (index, item) in items.iter().enumerate() {
                    self.node(item, &format!("{path}[{index}]"));
                    self.text.push_str(",\n");
                }
                self.text.push(']');
            }
            Kind::Map(entries) => {
                self.text.push_str("{\n");
                for entry in entries {
                    self.text.push_str(&format!("{:?}: ", entry.key));
                    self.node(&entry.value, &yaml::join(path, &entry.key));
                    self.text.push_str(",\n");
                }
                self.text.push('}');
            }
            Kind::Refused => panic!("{path} is refused"),
        }
    }
}

/// The text with the node at `path` written as `raw`, and the line it stands in.
fn edited(root: &Node, path: &str, raw: &str) -> (String, usize) {
    let mut writer = Writer { text: String::new(), edit: Some((path, raw)), line: 0 };
    writer.node(root, "");
    (writer.text, writer.line)
}

/// Every node below the root, with its path.
fn nodes<'a>(node: &'a Node, path: &str, out: &mut Vec<(String, &'a Node)>) {
    if !path.is_empty() {
        out.push((path.to_owned(), node));
    }
    match &node.kind {
        Kind::List(items) => {
            items.iter().enumerate().for_each(|(index, it)| nodes(it, &format!("{path}[{index}]"), out));
        }
        Kind::Map(entries) => entries.iter().for_each(|it: &Entry| nodes(&it.value, &yaml::join(path, &it.key), out)),
        Kind::Scalar { .. } | Kind::Refused => {}
    }
}

/// Values that are legitimate after all: the ends of the paths, the values, and why.
const LEGITIMATE: &[(&[&str], &[&str], &str)] = &[
    (
        &["parameters.Rounds"],
        &[
            "\"\"", "\" \"", "-1", "-0.5", "1e309", "-1e309", ".nan", ".inf", "NaN", "true", "\"\\n\"", "\"5%\"",
            "1:30", "0x10",
        ],
        "a parameter of a pipeline is any scalar; what it means is the pipeline's business",
    ),
    (
        &[
            "data.time",
            "data.label",
            "data.prediction",
            "alarms[0].reason",
            "events[0].source",
            "events[0].detail_type",
            "events[0].reason",
        ],
        &["NaN", "\"5%\"", "1:30", "0x10"],
        "texts of free choice; YAML 1.2 reads these as texts",
    ),
    (&["id", "endpoint.name", "endpoint.variant", "package_group"], &["NaN", "0x10"], "names of letters and digits"),
    (&["lower_bound_above"], &["-0.5"], "a bound may be negative: worse by at most so much"),
    (&["pipeline.parameters"], &["{ a: 1 }"], "parameters have free names"),
    (
        &[
            "parameters",
            "retry",
            "resources",
            "endpoint",
            "fleet",
            "promotion",
            "rollout",
            "drift",
            "prediction_drift",
            "drift.features",
            "drift.features.distance",
        ],
        &["{}"],
        "every key in it has a default",
    ),
    (&["models[0].triggers.performance"], &["{}"], "the preset fills it in"),
    (&["triggers"], &["{}"], "every key in it has a default; people can still ask for runs"),
    (&["notifications", "segments", "alarms", "events", "freeze", "gates"], &["[]"], "none of them"),
];

fn is_legitimate(path: &str, raw: &str) -> bool {
    LEGITIMATE.iter().any(|(ends, values, _)| {
        values.contains(&raw) && ends.iter().any(|end| path == *end || path.ends_with(&format!(".{end}")))
    })
}

#[test]
fn every_value_replaced_by_a_wrong_one_is_refused_at_its_place() {
    let root = yaml::parse(EVERY_KEY, &mut Vec::new()).unwrap_or_else(|| panic!("it is YAML"));
    let (unedited, _) = edited(&root, "no such path", "");
    assert_eq!(read(&unedited), read(EVERY_KEY), "written anew it means the same");
    let long = format!("\"{}\"", "x".repeat(10 * 1024));
    let wrong = [
        "null", "~", "", "{}", "[]", "[null]", "{ a: 1 }", "\"\"", "\" \"", "-1", "-0.5", "1e309", "-1e309", ".nan",
        ".inf", "NaN", "true", "\"\\n\"", "\"5%\"", "1:30", "0x10", &long, "!!str x", "&a x", "*a",
    ];
    let mut all = Vec::new();
    nodes(&root, "", &mut all);
    let mut accepted = Vec::new();
    let mut misplaced = Vec::new();
    let mut count = 0;
    for (path, node) in &all {
        for raw in wrong {
            let is_itself = matches!(&node.kind, Kind::Scalar { text, .. } if text == raw.trim_matches('"'));
            if is_itself || is_legitimate(path, raw) {
                continue;
            }
            count += 1;
            let (text, line) = edited(&root, path, raw);
            let shown: String = raw.chars().take(20).collect();
            match read(&text) {
                Ok(_) => accepted.push(format!("{path}: {shown}")),
                Err(problems) => {
                    assert!(
                        problems.0.iter().all(|it| 0 < it.line && 0 < it.column && !it.message.is_empty()),
                        "{problems}"
                    );
                    // A value that is left out is missed at its key, on the line; nothing else is pointed at.
                    if !problems.0.iter().any(|it| it.line == line || path.starts_with(&it.path)) {
                        misplaced.push(format!("{path}: {shown} => {problems}"));
                    }
                }
            }
        }
    }
    assert!(accepted.is_empty(), "accepted silently:\n{}", accepted.join("\n"));
    assert!(misplaced.is_empty(), "refused elsewhere:\n{}", misplaced.join("\n"));
    assert!(2_000 < count, "{count} replacements");
}

#[test]
fn unknown_and_repeated_keys_are_refused_in_every_section() {
    let root = yaml::parse(EVERY_KEY, &mut Vec::new()).unwrap_or_else(|| panic!("it is YAML"));
    let mut all = vec![(String::new(), &root)];
    nodes(&root, "", &mut all);
    // The names of features and parameters are free.
    let is_free = |path: &str| path.ends_with(".features") || path.ends_with(".parameters");
    for (path, node) in &all {
        let Kind::Map(entries) = &node.kind else { continue };
        for (key, is_known) in entries.iter().map(|it| (it.key.as_str(), true)).chain([("no_such_key", false)]) {
            if is_free(path) && !is_known {
                continue;
            }
            let mut changed = entries.clone();
            let value = entries.iter().find(|it| it.key == key).map_or(node.at, |it| it.at);
            changed.push(Entry {
                key: key.to_owned(),
                at: value,
                value: Node { at: value, kind: Kind::Scalar { text: "1".to_owned(), style: Style::Plain } },
            });
            let mut inner = Writer { text: String::new(), edit: None, line: 0 };
            inner.node(&Node { at: node.at, kind: Kind::Map(changed) }, path);
            let (text, _) = edited(&root, path, &inner.text);
            let problems = read(&text).err().unwrap_or_else(|| panic!("{path}: {key} is accepted"));
            let expected = if is_known { "duplicate key" } else { "unknown key" };
            assert!(
                problems.0.iter().any(|it| it.message.starts_with(expected) && 0 < it.line),
                "{path} {key}: {problems}"
            );
        }
    }
}
