//! Whatever is written, it is read or refused with a place.

use proptest::prelude::*;

use super::{FULL, accepted};
use crate::policy::read;
use crate::policy::yaml::{self, Kind, Node, Style};

/// The places of all leaves: path, line and column from 1, and how many characters they have in the text.
fn leaves(node: &Node, path: &str, out: &mut Vec<(String, usize, usize, usize)>) {
    match &node.kind {
        Kind::Scalar { text, style } => {
            let quotes = if *style == Style::Quoted { 2 } else { 0 };
            out.push((path.to_owned(), node.at.line, node.at.column, text.chars().count() + quotes));
        }
        Kind::List(nodes) => {
            nodes.iter().enumerate().for_each(|(index, it)| leaves(it, &format!("{path}[{index}]"), out))
        }
        Kind::Map(entries) => entries.iter().for_each(|it| leaves(&it.value, &yaml::join(path, &it.key), out)),
        Kind::Refused => panic!("{path} is refused"),
    }
}

#[test]
fn no_leaf_takes_what_it_is_not() {
    let long = format!("\"{}\"", "x".repeat(10_240));
    let replacements = ["null", "{}", "[]", "\"\"", "-1", "1e309", long.as_str(), "true", ".nan", "~"];
    let mut problems = Vec::new();
    let root = yaml::parse(FULL, &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    let mut places = Vec::new();
    leaves(&root, "", &mut places);
    assert_eq!(places.len(), 62);
    let before = serde_json::to_value(accepted(FULL)).unwrap_or_default();
    for (path, line, column, length) in places {
        for replacement in replacements {
            let mut lines: Vec<String> = FULL.lines().map(str::to_owned).collect();
            let characters: Vec<char> = lines[line - 1].chars().collect();
            let (head, tail) = (&characters[..column - 1], &characters[column - 1 + length..]);
            lines[line - 1] = head.iter().copied().chain(replacement.chars()).chain(tail.iter().copied()).collect();
            let shown: String = replacement.chars().take(8).collect();
            match read(&lines.join("\n")) {
                Err(problems) => assert!(
                    problems.0.iter().any(|it| it.path == path && it.line == line),
                    "{path}: {shown}: {problems}"
                ),
                Ok(policy) => {
                    // Only the value of a parameter is a text whatever it looks like.
                    assert_eq!(path, "models[0].pipeline.parameters.InstanceType", "{shown}");
                    let mut after = serde_json::to_value(policy).unwrap_or_default();
                    let value = &mut after["models"][0]["pipeline"]["parameters"]["InstanceType"];
                    assert_eq!(value.as_str(), Some(replacement.trim_matches('"')));
                    *value = "ml.m5.large".into();
                    assert_eq!(after, before, "{path}: {shown}");
                }
            }
        }
    }
}

/// Texts that are almost YAML, which random characters hardly ever are.
fn pieces() -> impl Strategy<Value = String> {
    let tokens = prop::sample::select(vec![
        "schema",
        "models",
        "id",
        "data",
        "features",
        "a",
        ":",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "|",
        ">",
        "&a ",
        "*a",
        "!!str ",
        "#",
        "? ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "1",
        "~",
        "<<",
        "\t",
        "\r",
        "\\",
        "é",
        "😀",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "0.1",
        "7d",
        "@",
        "`",
        "-",
        "+",
        "|2-\n",
    ]);
    prop::collection::vec(tokens, 0..60).prop_map(|it| it.concat())
}

fn check_total(text: &str) {
    if let Err(problems) = read(text) {
        assert!(!problems.0.is_empty());
        assert!(problems.0.iter().all(|it| 1 <= it.line && 1 <= it.column));
        _ = problems.render("refit.yaml", text);
    }
}

#[test]
fn large_texts_are_read_or_refused_in_time() {
    for piece in [
        "[", "{", "- ", "? ", "a: ", "a:\n", "- a\n", "&a x, ", "\"", "'", "!", "|\n", "a: [\n", "\\", "{a: b}, ", "%",
        "é",
    ] {
        for head in ["", "models: [", "\"long key that has \\n in it\": ", "schema: 1\nfleet: {"] {
            let text = format!("{head}{}", piece.repeat((250_000 - head.len()) / piece.len()));
            check_total(&text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        check_total(&text);
    }

    #[test]
    fn any_yaml_is_read_or_refused(text in pieces()) {
        check_total(&text);
    }

    #[test]
    fn any_edit_is_read_or_refused(from in 0..FULL.len(), length in 0..40_usize, text in pieces()) {
        let to = (from + length).min(FULL.len());
        check_total(&format!("{}{text}{}", &FULL[..from], &FULL[to..]));
    }
}
