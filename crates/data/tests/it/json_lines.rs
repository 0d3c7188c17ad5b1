//! JSON Lines: types come from JSON, keys may be absent, nothing is lost silently.

use refit_data::{Frame, Kind, ReadOptions, read};

use crate::{categorical, numeric, time};

#[test]
fn objects_become_rows() {
    let text = b"{\"n\":1,\"s\":\"x\",\"t\":\"2013-01-01\",\"b\":true}\n\n{\"s\":\"1\",\"n\":null}\r\n".as_slice();
    let expected = vec![
        numeric("n", &[Some(1.0), None]),
        categorical("s", &[Some("x"), Some("1")]),
        time("t", &[Some(1_356_998_400_000_000), None]),
        categorical("b", &[Some("true"), None]),
    ];
    assert_eq!(read(&text, &ReadOptions::all()).expect("readable"), Frame::new(expected).expect("a frame"));
}

#[test]
fn lines_that_are_not_flat_objects_are_refused() {
    for (text, expected) in [
        ("{\"a\":1}\n{\"a\":", "line 2 is not a valid record"),
        ("{\"a\":1,\"a\":2}", "line 1 is not a valid record"),
        ("{\"a\":1}\n[1]", "line 2 is not a valid record"),
        ("{\"a\":1e400}", "line 1 is not a valid record"),
        ("{\"a\":\"\\ud800\"}", "line 1 is not a valid record"),
        ("{\"a\":\"1\"}", "row 1, column `a`: `1` is not a numeric value"),
        ("{\"a\":[1]}", "row 1, column `a`: `a nested value` is not a numeric value"),
        ("{\"a\":9007199254740993}", "row 1, column `a`: `9007199254740993` would be rounded"),
        ("{\"b\":1}", "column `a` is missing; present: b"),
    ] {
        let error = read(&text.as_bytes(), &ReadOptions::columns(&[("a", Kind::Numeric)])).expect_err("refused");
        assert_eq!(error.to_string(), expected, "{text}");
    }
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    read(&deep.as_bytes(), &ReadOptions::all()).expect_err("refused");
}
