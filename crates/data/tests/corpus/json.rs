//! JSON, 49 to 62, as JSON Lines. Those of requests, metrics and media types (52, 58 to 61) are in `tests/it/cli/corpus.rs`.

use refit_data::{ReadOptions, read, read_ground_truth};

use super::{Outcome, Row, all, frame, numeric, refused, refused_as, rows};

pub(super) const CASES: &[Row] = &[
    (49, "texts that are no JSON, and texts that are", |_| {
        all(NOT_JSON.iter().map(|it| not_json(it)).chain(JSON.iter().map(|it| json(it))))
    }),
    (50, "nesting", |_| nesting()),
    (51, "a key twice", |_| refused(br#"{"approve":false,"approve":true}"#, &["line 1"])),
    (53, "odd numbers", |_| odd_numbers()),
    (54, "lone surrogates, overlong UTF-8, NUL", |_| text()),
    (55, "text after the document", |_| after()),
    (56, "documents that are no objects", |_| all(["null", "[]", "[[1]]", ""].map(read_or_refused))),
    (57, "text of 10 MB, list of a million", |_| large()),
    (62, "`__proto__`, key of 1 MB", |_| keys()),
];

/// What no parser may take, within a value.
const NOT_JSON: &[&str] = &[
    "[1,]",
    "[,1]",
    "[1 2]",
    "[",
    "]",
    "{",
    "[1",
    "{\"a\"}",
    "{a:1}",
    "{'a':1}",
    "{\"a\":1,}",
    "{\"a\" 1}",
    "{\"a\":}",
    "01",
    "+1",
    ".5",
    "1.",
    "1e",
    "1e+",
    "-",
    "--1",
    "0x10",
    "1_000",
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "tru",
    "True",
    "nul",
    "\"",
    "\"a",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u\"",
    "\"\t\"",
    "'a'",
    "1 1",
    "\"a\" \"b\"",
    "/*c*/1",
    "1//c",
    "\u{feff}1",
    "undefined",
    "[1]]",
    "{}}",
    "\"\\\"",
    "-01",
    "1eE2",
    "0e",
    "0.e1",
    "[\"a\",\"b\"",
    "{\"a\":true,,\"b\":1}",
    "\u{a0}1",
    "<null>",
];

const JSON: &[&str] = &[
    "[]",
    "{}",
    "0",
    "-0",
    "1",
    "-1",
    "1.5",
    "1e2",
    "1E-2",
    "1e+2",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a\"",
    "\"\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "[1,2]",
    "[[],[]]",
    "{\"b\":{\"c\":[]}}",
    " 1 ",
    "123456789012345678901234567890",
];

fn within(value: &str) -> String {
    format!("{{\"a\":{value}}}")
}

fn not_json(value: &str) -> Outcome {
    refused(within(value).as_bytes(), &["line 1"]).map_err(|it| format!("{value}: {it}"))
}

/// Lists and objects are JSON, and no value of a table: refused, with the row.
fn json(value: &str) -> Outcome {
    let found = if value.trim_start().starts_with(['[', '{']) {
        refused(within(value).as_bytes(), &["row 1", "`a`", "nested"])
    } else {
        rows(within(value).as_bytes(), 1)
    };
    found.map_err(|it| format!("{value}: {it}"))
}

/// What lies within a value is passed over without recursion, so that no depth overflows the stack.
fn nesting() -> Outcome {
    let nested = |depth: usize| within(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let whole = [126, 127, 128, 129, 100_000].map(|it| refused(nested(it).as_bytes(), &["row 1", "nested"]));
    all(whole.into_iter().chain([refused(within(&"[".repeat(100_000)).as_bytes(), &["line 1"])]))
}

fn odd_numbers() -> Outcome {
    let one = |it: &str| read(&within(it).into_bytes(), &numeric("a"));
    let taken = ["-0", "1E-400", "1.0", "18446744073709551616", "1e308"]
        .map(|it| one(it).map(|_| it.to_owned()).map_err(|error| error.to_string()));
    let not = [("1e400", "line 1"), ("9007199254740993", "rounded")]
        .map(|(it, why)| refused_as(within(it).as_bytes(), &numeric("a"), &[why]));
    all(taken.into_iter().chain(not))
}

fn text() -> Outcome {
    all([
        refused(br#"{"a":"\ud800"}"#, &["line 1"]),
        refused(b"{\"a\":\"\xc0\xaf\"}", &["offset 6", "UTF-8"]),
        refused(b"{\"a\":\"\0\"}", &["NUL", "offset 6"]),
    ])
}

fn after() -> Outcome {
    all([
        refused(b"{\"a\":1} x", &["line 1"]),
        refused(b"{\"a\":1}{\"a\":2}", &["line 1"]),
        rows(b"\xef\xbb\xbf{\"a\":1}\n{\"a\":2}\n", 2),
    ])
}

/// Not JSON Lines; some are CSV by content, none may panic.
fn read_or_refused(text: &str) -> Outcome {
    let labels = read_ground_truth(text.as_bytes());
    if labels.is_ok() {
        return Err("labels were read".to_owned());
    }
    Ok(match read(&text.as_bytes(), &ReadOptions::all()) {
        Ok(frame) => format!("a table of {} rows", frame.rows()),
        Err(error) => error.to_string(),
    })
}

fn large() -> Outcome {
    let text = within(&format!("\"{}\"", "x".repeat(10 << 20)));
    let list = within(&format!("[{}1]", "1,".repeat(1_000_000)));
    all([refused(text.as_bytes(), &["line 1", "limit"]), refused(list.as_bytes(), &["row 1", "nested"])])
}

fn keys() -> Outcome {
    let long = format!("{{\"{}\":1}}", "k".repeat(1 << 20));
    let frame = frame(br#"{"__proto__":1,"constructor":2}"#)?;
    if frame.columns().len() != 2 {
        return Err(format!("{} columns", frame.columns().len()));
    }
    rows(long.as_bytes(), 1)
}
