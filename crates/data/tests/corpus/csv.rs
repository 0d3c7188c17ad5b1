//! CSV, 1 to 32.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use refit_data::drift::{ExactOptions, FeatureScores, OneWorker, Profiler, compare_exact};
use refit_data::{Kind, RangeRead, ReadOptions, Table, Values, read, write_csv, write_csv_for_spreadsheet};
use refit_stats::verdict::{Evidence, Rules, Score, Statistic, Verdict, judge_features};

use super::{Outcome, Row, Scale, all, frame, numeric, refused, refused_as, rows};

pub(super) const CASES: &[Row] = &[
    (1, "empty file", |_| refused(b"", &["no header"])),
    (2, "header only", |_| rows(b"a,b\n", 0)),
    (3, "byte order mark", |_| named("\u{feff}a,b\n1,2\n".as_bytes(), &["a", "b"])),
    (4, "UTF-16", |_| all([refused(b"\xff\xfea\0\n\0", &["UTF-16 LE"]), refused(b"\xfe\xff\0a\0\n", &["UTF-16 BE"])])),
    (5, "Latin-1", |_| refused(b"a\nx\xe9\n", &["0xe9", "offset 3"])),
    (6, "NUL bytes", |_| refused(b"a,b\n1,\0\n", &["NUL", "offset 6"])),
    (7, "mixed line ends", |_| rows(b"a,b\r\n1,2\n3,4\r5,6\r\n", 3)),
    (8, "no final line end", |_| rows(b"a,b\n1,2", 1)),
    (9, "quoted line end, comma and quote", |_| quoted()),
    (10, "quote not closed on line 5", unclosed),
    (11, "short row", |_| refused(b"a,b\n1,2\n3\n", &["row 2", "line 3", "1 cells"])),
    (12, "long row", |_| refused(b"a,b\n1,2\n3,4,5\n", &["row 2", "3 cells"])),
    (13, "column name twice", |_| refused(b"a,b,a\n1,2,3\n", &["columns 1 and 3", "`a`"])),
    (14, "column without a name", |_| refused(b"a,,b\n1,2,3\n", &["column 2"])),
    (15, "wanted column missing", |_| refused_as(b"a,b\n1,2\n", &numeric("y"), &["`y`", "present: a, b"])),
    (16, "semicolons and tabs", |_| all([refused(b"a;b\n", &["semicolon"]), refused(b"a\tb\n", &["tab"])])),
    (17, "cell of 50 MB", |scale| {
        refused(format!("a\n{}\n", "x".repeat(large(scale, 50 << 20))).as_bytes(), &["line 2", "limit"])
    }),
    (18, "100,000 columns", |_| refused("a,".repeat(100_000).as_bytes(), &["columns", "limit"])),
    (19, "odd numbers", |_| odd_numbers()),
    (20, "word in row 9,999,999", word),
    (21, "constant column", |_| constant()),
    (22, "column without values", |_| undefined()),
    (23, "a million categories", many_categories),
    (24, "unseen category", |_| unseen()),
    (25, "odd times", |_| odd_times()),
    (26, "gzip bomb", |scale| refused(&gzip(&b"1\n".repeat(large(scale, 50 << 20))), &["ratio"])),
    (27, "gzip of several members", |_| rows(&[gzip(b"a,b\n1,"), gzip(b"2\n3,4\n")].concat(), 2)),
    (28, "gzip cut off", |_| cut()),
    (29, "file grows while it is read", |_| grows()),
    (30, "one row and two rows", |_| few()),
    (31, "cells that look like formulas", |_| formulas()),
    (32, "odd column names", |_| odd_names()),
];

fn large(scale: Scale, full: usize) -> usize {
    if scale == Scale::Small { full / 10 } else { full }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn named(bytes: &[u8], names: &[&str]) -> Outcome {
    let frame = frame(bytes)?;
    let found: Vec<&str> = frame.columns().iter().map(|it| it.name.as_str()).collect();
    if found == names { Ok(format!("columns {found:?}")) } else { Err(format!("columns {found:?}")) }
}

fn quoted() -> Outcome {
    let frame = frame(b"a,b\n\"x\ny\",\"p,\"\"q\"\"\"\n")?;
    let text =
        |name: &str| frame.find_column(name).and_then(|it| it.values.as_categorical()?.get(0).map(str::to_owned));
    let found = (text("a"), text("b"));
    if found == (Some("x\ny".to_owned()), Some("p,\"q\"".to_owned())) {
        Ok("as meant".to_owned())
    } else {
        Err(format!("{found:?}"))
    }
}

fn unclosed(scale: Scale) -> Outcome {
    let mut text = "a,b\n1,2\n3,4\n5,6\n7,\"8\n".to_owned();
    text.push_str(&"9,10\n".repeat(large(scale, 1_000_000)));
    refused(text.as_bytes(), &["line 5"])
}

fn odd_numbers() -> Outcome {
    let one = |cell: &str| read(&format!("a\n{cell}\n").into_bytes(), &numeric("a"));
    let taken = ["NaN", "nan", "inf", "-inf", " 1 ", "1E-400", "-0"];
    let not = ["1e999", "0x10", "1_000", "\"1,5\"", "9007199254740993"];
    all(taken.iter().map(|it| one(it).map(|_| format!("{it} is taken")).map_err(|error| error.to_string())).chain(
        not.iter().map(|it| match one(it) {
            Ok(_) => Err(format!("{it} was taken")),
            Err(error) if error.to_string().contains("row 1") => Ok(error.to_string()),
            Err(error) => Err(error.to_string()),
        }),
    ))
}

fn word(scale: Scale) -> Outcome {
    let n = large(scale, 10_000_000);
    let mut text = "a\n".to_owned();
    text.push_str(&"1\n".repeat(n - 2));
    text.push_str("seven\n1\n");
    let row = format!("row {}", n - 1);
    refused_as(text.as_bytes(), &numeric("a"), &[&row, "seven"])
}

fn compare(reference: &[u8], current: &[u8], name: &str) -> Result<FeatureScores, String> {
    let open = |bytes| Table::open(bytes, &ReadOptions::all()).map_err(|it| it.to_string());
    let (reference, current) = ([open(&reference)?], [open(&current)?]);
    let compared = compare_exact(&reference, &current, &[name], ExactOptions::default(), &OneWorker);
    Ok(compared.map_err(|it| it.to_string())?.swap_remove(0).scores)
}

fn constant() -> Outcome {
    match compare(b"a\n5\n5\n5\n", b"a\n5\n5\n", "a")? {
        FeatureScores::Numeric(it) if it.ks.value == 0.0 && it.q10.psi.value == 0.0 => {
            Ok("KS and PSI are 0".to_owned())
        }
        other => Err(format!("{other:?}")),
    }
}

fn undefined() -> Outcome {
    match compare(b"a,b\n1,1\n2,1\n", b"a,b\n,1\n,1\n", "a")? {
        FeatureScores::Undefined => Ok("no distance is given".to_owned()),
        other => Err(format!("{other:?}")),
    }
}

fn many_categories(scale: Scale) -> Outcome {
    let n = large(scale, 1_000_000);
    let mut text = "a\n".to_owned();
    (0..n).for_each(|it| text.push_str(&format!("level-{it}\n")));
    let frame = frame(text.as_bytes())?;
    let levels = frame.columns()[0].values.as_categorical().map(|it| it.dictionary.len());
    if levels != Some(n) {
        return Err(format!("{levels:?}"));
    }
    // A table has all of its levels: a comparison of all rows needs them. A profile keeps what fits and counts the others as one.
    let mut profiler = Profiler::new(&[("a".to_owned(), Kind::Categorical)]);
    profiler.add(&frame);
    let profile = profiler.finish();
    match profile.features["a"].as_categorical() {
        Some(it) if it.rows() == n as u64 && profile.to_bytes().len() <= 8_300 => {
            Ok(format!("{n} levels are kept; in a profile {} rows are `other`", it.left_out()))
        }
        other => Err(format!("{other:?}")),
    }
}

fn unseen() -> Outcome {
    match compare(b"a\nx\ny\nx\ny\n", b"a\nx\nnew\n", "a")? {
        FeatureScores::Categorical(it) if it.new_category_rate.value == 0.5 => Ok("new category rate 0.5".to_owned()),
        other => Err(format!("{other:?}")),
    }
}

fn odd_times() -> Outcome {
    let options = ReadOptions::columns(&[("t", Kind::Time)]);
    let one = |cell: &str| read(&format!("t\n{cell}\n").into_bytes(), &options);
    let taken = ["1356998400", "1356998400000", "9999-12-31", "2013-03-10T02:30:00", "2022-02-15T07:25:49+14:00"];
    let not = ["2024-02-30", "2016-12-31T23:59:60Z", "0000-01-01", "14/02/2022"];
    all(taken
        .iter()
        .map(|it| one(it).map(|_| format!("{it} is taken")).map_err(|error| error.to_string()))
        .chain(not.iter().map(|it| refused_as(format!("t\n{it}\n").as_bytes(), &options, &["row 1", it]))))
}

fn cut() -> Outcome {
    let whole = gzip("a,b\n1,2\n".repeat(100).as_bytes());
    all((2..whole.len()).map(|end| refused(&whole[..end], &["damaged"])))
}

struct Growing(AtomicU64);

impl RangeRead for Growing {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn read_at(&self, _: u64, buf: &mut [u8]) -> std::io::Result<()> {
        buf.fill(b'a');
        Ok(())
    }
}

fn grows() -> Outcome {
    match read(&Growing(5.into()), &ReadOptions::all()) {
        Ok(_) => Err("read".to_owned()),
        Err(error) if error.to_string().contains("changed from 5 to 6") => Ok(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn few() -> Outcome {
    all([b"a\n1\n".as_slice(), b"a\n1\n2\n"].map(|bytes| match compare(bytes, b"a\n3\n", "a")? {
        FeatureScores::Numeric(it) if it.ks.value == 1.0 => refuse_few(it.ks),
        other => Err(format!("{other:?}")),
    }))
}

/// No verdict rests on a row or two, and it says why.
fn refuse_few(ks: Score) -> Outcome {
    let (p_value, by) = (Some(0.0), Statistic::Ks);
    let rows = (2, 1);
    let few = Evidence { score: Some(ks), p_value, ..Evidence::problem(by, 0.1, String::new()) };
    let few = Evidence { problem: None, reference_rows: rows.0, current_rows: rows.1, ..few };
    let verdict = judge_features(&[few], &Rules::DEFAULT).swap_remove(0);
    let reason = verdict.reasons.join("; ");
    if verdict.verdict == Verdict::Inconclusive && reason.contains("are needed") { Ok(reason) } else { Err(reason) }
}

fn formulas() -> Outcome {
    let text = b"a\n=1+1\n+x\n-x\n@x\n".as_slice();
    let frame = frame(text)?;
    let (kept, disarmed) = (write_csv(&frame), write_csv_for_spreadsheet(&frame));
    let lines = disarmed.split(|it| *it == b'\n').skip(1).filter(|it| *it != b"").all(|it| it.starts_with(b"'"));
    if kept == text && lines {
        Ok("kept as data, disarmed for spreadsheets".to_owned())
    } else {
        Err("changed".to_owned())
    }
}

fn odd_names() -> Outcome {
    let long = "n".repeat(300);
    let names = ["</script><img onerror=..>", "__proto__", "constructor", &long, "a\u{202e}b", "a\u{200b}b"];
    all(names.iter().map(|name| {
        let frame = frame(format!("\"{name}\"\n1\n").as_bytes())?;
        let is_kept = frame.columns()[0].name == *name && matches!(frame.columns()[0].values, Values::Numeric(_));
        if is_kept { Ok("names are data".to_owned()) } else { Err(format!("{:?}", frame.columns()[0].name)) }
    }))
}
