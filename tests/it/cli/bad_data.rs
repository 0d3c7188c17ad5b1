//! Data and settings that cannot be played: one clear error, exit code 2, and nothing written.

use std::fmt::Write as _;

use expect_test::{expect, expect_file};

use super::setting::{Folder, POLICY, REPLAY, rows};

const FLIGHTS: &[u8] = include_bytes!("../../../crates/cli/demo/flights.parquet");

/// What a replay says that is refused before it writes anything.
#[track_caller]
fn refused(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.refit(arguments).output().expect("refit starts");
    let told = folder.tell(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(!folder.path("state").exists(), "{told}");
    let message = told.strip_prefix("exit 2\n-- stderr\n").unwrap_or_else(|| panic!("something on stdout: {told}"));
    message.to_owned()
}

/// Replays each file, which has this name and content.
fn check_files(files: &[(&str, Vec<u8>)], expected: expect_test::Expect) {
    let folder = Folder::new();
    let mut told = String::new();
    for (name, content) in files {
        folder.write(name, content);
        let arguments = ["replay", "--config", "refit.yaml", "--data", name, "--warmup", "6d"];
        told.push_str(&refused(&folder, &arguments));
    }
    expected.assert_eq(&told);
}

/// The rows with one line changed; line 1 is the header.
fn with_line(number: usize, change: impl Fn(&str) -> String) -> Vec<u8> {
    let text = rows();
    let lines: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(index, line)| if index + 1 == number { change(line) } else { line.to_owned() })
        .collect();
    (lines.join("\n") + "\n").into_bytes()
}

fn utf_16(text: &str) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xfe];
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

/// The rows with an id, the same in the rows given.
fn with_ids(first: usize, second: usize) -> Vec<u8> {
    let text = rows();
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        let id = if index == second { first } else { index };
        if index == 0 {
            writeln!(out, "id,{line}").expect("a string takes all");
        } else {
            writeln!(out, "sale-{id},{line}").expect("a string takes all");
        }
    }
    out.into_bytes()
}

#[test]
fn files_that_are_no_data_are_refused() {
    let utf_8 = rows();
    check_files(
        &[
            ("empty.csv", Vec::new()),
            ("utf-16.csv", utf_16(&utf_8)),
            ("latin-1.csv", with_line(3, |_| "2026".to_owned()).into_iter().chain([0xe9]).collect()),
            ("semicolons.csv", utf_8.replace(',', ";").into_bytes()),
            ("magic.parquet", b"PAR1".to_vec()),
            ("two-magics.parquet", b"PAR1PAR1".to_vec()),
            ("cut.parquet", FLIGHTS[..FLIGHTS.len() / 2].to_vec()),
            ("text.parquet", utf_8.clone().into_bytes()),
            ("parquet.csv", FLIGHTS.to_vec()),
            ("cut.csv.gz", vec![0x1f, 0x8b, 8, 0]),
        ],
        expect![[r#"
            error: empty.csv: data is empty: no header
            error: utf-16.csv: UTF-16 LE text (save the file as UTF-8) is not supported
            error: latin-1.csv: byte 0xe9 at offset 60662 is not UTF-8
            error: semicolons.csv: header has no comma but a semicolon; Refit reads comma-separated values
            error: magic.parquet: data is damaged: Parquet without a footer
            error: two-magics.parquet: data is damaged: Parquet without a footer
            error: cut.parquet: data is damaged: Parquet that ends early
            error: text.parquet: it is named like Parquet, but is none: give it its right name
            error: parquet.csv: it is named like text, but is Parquet: give it its right name
            error: cut.csv.gz: data is damaged: gzip data ends early or does not check: unexpected end of file
        "#]],
    );
}

#[test]
fn rows_that_do_not_fit_the_policy_are_refused() {
    let without_labels: String = rows()
        .lines()
        .enumerate()
        .map(
            |(index, it)| {
                if index == 0 { format!("{it}\n") } else { it.rsplit_once(',').unwrap().0.to_owned() + ",\n" }
            },
        )
        .collect();
    let lines = |count| rows().lines().take(count).map(|it| format!("{it}\n")).collect::<String>().into_bytes();
    check_files(
        &[
            ("flights.parquet", FLIGHTS.to_vec()),
            ("word.csv", with_line(100, |line| line.rsplit_once(',').unwrap().0.to_owned() + ",cheap")),
            ("date.csv", with_line(100, |line| line.replace("2026-03-03", "2026-02-30"))),
            ("short.csv", with_line(100, |line| line.rsplit_once(',').unwrap().0.to_owned())),
            ("unsorted.csv", with_line(100, |line| line.replace("2026-03-03", "2026-03-01"))),
            ("ids.csv", with_ids(7, 9)),
            ("header.csv", lines(1)),
            ("one.csv", lines(2)),
            ("early.csv", lines(48)),
            ("labels.csv", without_labels.into_bytes()),
        ],
        expect![[r#"
            error: flights.parquet: column `price` is missing; present: id, ts, carrier, origin, dest, distance, hour, weekday, air_time
            error: word.csv: row 99, column `price`: `cheap` is not a numeric value
            error: date.csv: row 99, column `ts`: `2026-02-30T01:00:00Z` is not a time value
            error: short.csv: row 99 (line 100) has 4 cells where the header has 5
            error: unsorted.csv: row 99 is earlier than the row before: sort the file by `ts`
            error: ids.csv: row 9 repeats the id `sale-7`
            error: header.csv: it has no rows
            error: one.csv: all rows are of 2026-03-01T00:00:00Z; a replay needs rows to train from and rows to play after them
            error: early.csv: no rows are left after the warm-up, which ends at 2026-03-07T00:00:00Z; shorten it with --warmup
            error: labels.csv: no row has a label: column `price` is empty
        "#]],
    );
}

#[test]
fn files_that_cannot_be_read_are_refused() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder.csv")).unwrap();
    let mut told = String::new();
    for name in ["missing.csv", "folder.csv"] {
        told.push_str(&refused(&folder, &["replay", "--config", "refit.yaml", "--data", name]));
        told.push_str(&refused(&folder, &["demo", "--data", name, "--state", "state"]));
    }
    expect![[r#"
        error: reading data `missing.csv`: No such file or directory
        error: reading data `missing.csv`: No such file or directory
        error: reading data `folder.csv`: Is a directory
        error: reading data `folder.csv`: Is a directory
    "#]]
    .assert_eq(&told);
}

#[test]
fn settings_that_contradict_the_policy_are_refused() {
    let folder = Folder::new();
    let model = POLICY.find("  - id: price").unwrap();
    let second = POLICY[model..].replace("price", "cost").replace("refit-test/", "refit-cost/");
    folder.write("two.yaml", format!("{POLICY}{second}"));
    folder.write("elsewhere.yaml", POLICY.replace("retrain.json", "elsewhere.json"));
    folder.write("broken.yaml", POLICY.replace("retrain.json", "broken.json"));
    folder.write("broken.json", "{}");
    folder.write("wrong.yaml", POLICY.replace("regression", "ranking"));
    let with = |config: &str, more: &[&str]| {
        let arguments: Vec<&str> =
            ["replay", "--config", config, "--data", "rows.csv"].into_iter().chain(more.iter().copied()).collect();
        refused(&folder, &arguments)
    };
    let told = [
        with("refit.yaml", &["--time", "hour"]),
        with("refit.yaml", &["--warmup", "90d"]),
        with("refit.yaml", &["--warmup", "soon"]),
        with("refit.yaml", &["--approve-after", "2h"]),
        with("two.yaml", &[]),
        with("elsewhere.yaml", &[]),
        with("broken.yaml", &[]),
        with("wrong.yaml", &[]),
        with("missing.yaml", &[]),
    ];
    expect_file!["snapshots/settings.txt"].assert_eq(&told.concat());
}

#[test]
fn a_warm_up_too_short_to_train_from_says_so() {
    let folder = Folder::new();
    let arguments: Vec<&str> = REPLAY.iter().map(|it| if *it == "6d" { "1h" } else { *it }).collect();
    folder.check(&arguments, expect![[r#"
        $ refit replay --config refit.yaml --data rows.csv --warmup 1h --state state
        exit 2
        -- stderr
        error: the first champion could not be made from the warm-up, which --warmup makes longer: step Preprocess failed: 0 labeled rows in the training interval [2026-02-24T18:00:00Z, 2026-02-27T18:00:00Z) where at least 50 are needed; widen `training.window`, or wait until more labels have arrived
    "#]]);
}
