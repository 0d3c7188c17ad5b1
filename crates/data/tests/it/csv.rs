//! CSV: what is read as what, and what is refused with which words.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::{Strategy, any, proptest};
use refit_data::{Frame, FrameError, Kind, ReadOptions, Values, read, write_csv, write_csv_for_spreadsheet};

use crate::{categorical, numeric, sample, time};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[track_caller]
fn check(bytes: &[u8], columns: Vec<refit_data::Column>) {
    let expected = Frame::new(columns).expect("a frame");
    assert_eq!(read(&bytes, &ReadOptions::all()).expect("readable"), expected);
}

#[track_caller]
fn check_refused(bytes: &[u8], options: &ReadOptions, expected: &str) {
    let error = read(&bytes, options).expect_err("refused");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn kinds_are_inferred_and_missing_differs_from_empty() {
    check(
        b"a,b,c,d\n1,x,2013-01-01,\n,\"\",2013-01-01T00:00:01Z,\n 2 ,\"q,\"\"q\"\"\",,\n",
        vec![
            numeric("a", &[Some(1.0), None, Some(2.0)]),
            categorical("b", &[Some("x"), Some(""), Some("q,\"q\"")]),
            time("c", &[Some(1_356_998_400_000_000), Some(1_356_998_401_000_000), None]),
            numeric("d", &[None, None, None]),
        ],
    );
}

#[test]
fn line_ends_marks_and_packing_do_not_matter() {
    let expected = || vec![numeric("a", &[Some(1.0), Some(3.0)]), numeric("b", &[Some(2.0), Some(4.0)])];
    for text in [
        "a,b\n1,2\n3,4\n",
        "a,b\r\n1,2\r\n3,4",
        "a,b\r1,2\n3,4\r\n",
        "\u{feff}a,b\n1,2\n\n3,4\n\n",
        "\n\na,b\n1,2\n3,4",
    ] {
        check(text.as_bytes(), expected());
        check(&gzip(text.as_bytes()), expected());
    }
    let mut members = gzip(b"a,b\n1,");
    members.extend(gzip(b"2\n3,4\n"));
    check(&members, expected());
    check(b"a,b\n", vec![numeric("a", &[]), numeric("b", &[])]);
    check(b"a\n1\n\n2\n", vec![numeric("a", &[Some(1.0), None, Some(2.0)])]);
}

#[test]
fn malformed_text_is_refused_with_its_place() {
    let bomb = gzip(&vec![b'a'; 20 << 20]);
    let whole = gzip(b"a,b\n1,2\n");
    let long = format!("a\n\"{}\"\n", "x".repeat(2 << 20));
    let long_plain = format!("a\n{}\n", "x".repeat(2 << 20));
    let wide = "a,".repeat(20_000);
    let cases: &[(&[u8], &str)] = &[
        (b"", "data is empty: no header"),
        (b" \n\n", "data is empty: no header"),
        (b"\xff\xfea\0,\0", "UTF-16 LE text (save the file as UTF-8) is not supported"),
        (b"\xfe\xff\0a\0,", "UTF-16 BE text (save the file as UTF-8) is not supported"),
        (b"a\0,\0b\0", "UTF-16 LE text (save the file as UTF-8) is not supported"),
        (b"\x28\xb5\x2f\xfd....", "data is damaged: zstd data ends early or does not check"),
        (b"PK\x03\x04....", "a zip archive or spreadsheet is not supported"),
        (b"a,b\n1,\xe9\n", "byte 0xe9 at offset 6 is not UTF-8"),
        (b"a,b\n1,\0\n", "NUL byte at offset 6"),
        (b"a,b\n1,2\n3\n", "row 2 (line 3) has 1 cells where the header has 2"),
        (b"a,b\n\"1\n\",2\n3,4,5\n", "row 2 (line 4) has 3 cells where the header has 2"),
        (b"a,b,a\n", "columns 1 and 3 are both named `a`"),
        (b"a,,b\n", "column 2 has no name"),
        (b"a;b\n1;2\n", "header has no comma but a semicolon; Refit reads comma-separated values"),
        (b"a\tb\n", "header has no comma but a tab; Refit reads comma-separated values"),
        (b"a,b\n1,2\n1,\"2\n3,4\n", "quote opened on line 3 is never closed"),
        (b"a,b\n1,\"2\"3\n", "text after a closing quote on line 2, column 2"),
        (b"[{\"a\":1}]", "a JSON array (JSON Lines is) is not supported"),
        (long.as_bytes(), "a cell that starts on line 2 is over the limit of 1048576 bytes; is a quote not closed?"),
        (
            long_plain.as_bytes(),
            "a cell that starts on line 2 is over the limit of 1048576 bytes; is a quote not closed?",
        ),
        (wide.as_bytes(), "columns are over the limit of 10000"),
        (&bomb, "ratio of compression is over the limit of 100"),
        (&whole[..whole.len() - 3], "data is damaged: gzip data ends early or does not check"),
    ];
    for (bytes, expected) in cases {
        check_refused(bytes, &ReadOptions::all(), expected);
    }
}

#[test]
fn declared_columns_hold_only_their_kind() {
    for (text, kind, expected) in [
        ("b\n1\n", Kind::Numeric, "column `a` is missing; present: b"),
        ("a\n1\nseven\n", Kind::Numeric, "row 2, column `a`: `seven` is not a numeric value"),
        ("a\n\"\"\n", Kind::Numeric, "row 1, column `a`: `` is not a numeric value"),
        ("a\n1e999\n", Kind::Numeric, "row 1, column `a`: `1e999` is not a numeric value"),
        ("a\n9007199254740993\n", Kind::Numeric, "row 1, column `a`: `9007199254740993` would be rounded"),
        ("a\n2024-02-30\n", Kind::Time, "row 1, column `a`: `2024-02-30` is not a time value"),
        ("a\n2016-12-31T23:59:60Z\n", Kind::Time, "row 1, column `a`: `2016-12-31T23:59:60Z` is not a time value"),
    ] {
        check_refused(text.as_bytes(), &ReadOptions::columns(&[("a", kind)]), expected);
    }
    let text = b"a,b\n1,1356998400\n2.0,1356998400000\n".as_slice();
    let frame = read(&text, &ReadOptions::columns(&[("b", Kind::Time), ("a", Kind::Categorical)])).expect("readable");
    let expected = vec![
        time("b", &[Some(1_356_998_400_000_000), Some(1_356_998_400_000_000)]),
        categorical("a", &[Some("1"), Some("2.0")]),
    ];
    assert_eq!(frame, Frame::new(expected).expect("a frame"));
}

#[test]
fn written_text_reads_back() {
    let options = ReadOptions::columns(&[("ts", Kind::Time), ("x", Kind::Numeric), ("c", Kind::Categorical)]);
    assert_eq!(read(&write_csv(&sample()), &options).expect("readable"), sample());
}

#[test]
fn formulas_are_disarmed_for_spreadsheets_only() {
    let frame = Frame::new(vec![numeric("x", &[Some(-1.0)]), categorical("c", &[Some("=1,2")])]).expect("a frame");
    assert_eq!(write_csv(&frame), b"x,c\n-1,\"=1,2\"\n");
    assert_eq!(write_csv_for_spreadsheet(&frame), b"x,c\n-1,\"'=1,2\"\n");
}

proptest! {
    #[test]
    fn any_table_reads_back(rows in proptest::collection::vec((any::<Option<f64>>(), text()), 1..20)) {
        let numbers: Vec<Option<f64>> = rows.iter().map(|it| it.0.filter(|it| !it.is_nan())).collect();
        let texts: Vec<Option<&str>> = rows.iter().map(|it| it.1.as_deref()).collect();
        let frame = Frame::new(vec![numeric("x", &numbers), categorical("c", &texts)]).expect("a frame");
        let options = ReadOptions::columns(&[("x", Kind::Numeric), ("c", Kind::Categorical)]);
        assert_eq!(read(&write_csv(&frame), &options).expect("readable"), frame);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, &ReadOptions::all());
    }
}

fn text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[a-c,\"\n\ré ]{0,6}")
}

#[test]
fn frames_are_joined_sorted_and_cut_by_time() {
    let a = Frame::new(vec![time("t", &[Some(3), None]), categorical("c", &[Some("x"), Some("y")])]).expect("a frame");
    let b = Frame::new(vec![time("t", &[Some(1), Some(3)]), categorical("c", &[Some("y"), None])]).expect("a frame");
    let both = Frame::concat(&[a.clone(), b]).expect("one schema");
    let sorted = both.sort_by_time("t").expect("a time column");
    let texts = |frame: &Frame| match &frame.columns()[1].values {
        Values::Categorical(it) => (0..frame.rows()).map(|row| it.get(row).map(str::to_owned)).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(texts(&sorted), [Some("y".to_owned()), Some("x".to_owned()), None, Some("y".to_owned())]);
    assert_eq!(texts(&both.filter_time("t", 1, 3).expect("a time column")), [Some("y".to_owned())]);
    let other = Frame::new(vec![numeric("t", &[])]).expect("a frame");
    assert!(matches!(Frame::concat(&[a, other.clone()]), Err(FrameError::OtherSchema { .. })));
    assert!(matches!(other.sort_by_time("t"), Err(FrameError::OtherKind { .. })));
    assert!(matches!(other.filter_time("u", 0, 1), Err(FrameError::NoColumn(_))));
}
