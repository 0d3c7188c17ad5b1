//! Arguments, help, pipes and colors.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use expect_test::{expect, expect_file};

use super::setting::{Folder, REPLAY, SHARED};

#[test]
fn help_lists_the_commands() {
    SHARED.check_file(&["--help"], expect_file!["snapshots/help.txt"]);
}

#[test]
fn without_arguments_help_is_shown_as_an_error() {
    let output = SHARED.refit(&[""; 0]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("Usage: refit [OPTIONS] <COMMAND>"), "{stderr}");
}

/// Each command with its own flags; `--output-format`, `--verbose` and `--help` are everybody's.
const FLAGS: &[(&[&str], &[&str])] = &[
    (&["demo"], &["--data", "--state"]),
    (&["replay"], &["--config", "--data", "--time", "--warmup", "--approve-as", "--approve-after", "--state"]),
    (&["validate"], &["--config"]),
    (&["status"], &["--state"]),
    (&["models"], &["--state"]),
    (&["runs"], &["--report", "--state"]),
    (&["compare"], &["--state"]),
    (
        &["drift"],
        &[
            "--reference",
            "--current",
            "--target",
            "--prediction",
            "--time",
            "--segment",
            "--config",
            "--model",
            "--report",
            "--method",
            "--baseline",
            "--save-profile",
            "--monitor",
            "--exit-code",
            "--memory",
            "--state",
        ],
    ),
    (&["profile", "merge"], &["--output"]),
    (&["profile", "show"], &[]),
    (&["gate"], &["--policy", "--evaluation", "--predictions", "--model", "--report"]),
    (&["packages"], &["--state"]),
    (&["history"], &["--all", "--at", "--state"]),
    (&["explain"], &["--replay", "--state"]),
    (&["trigger"], &["--all", "--reason", "--force", "--as", "--request-id", "--state"]),
    (&["diff"], &["--state"]),
    (&["apply"], &["--dry-run", "--comment", "--as", "--state"]),
    (&["config", "history"], &["--state"]),
    (&["config", "show"], &["--source", "--state"]),
    (&["config", "rollback"], &["--comment", "--as", "--state"]),
    (&["approve"], &["--comment", "--basis", "--if-match", "--as", "--request-id", "--state"]),
    (&["decline"], &["--comment", "--basis", "--if-match", "--as", "--request-id", "--state"]),
    (&["promote"], &["--reason", "--as", "--request-id", "--state"]),
    (&["adopt"], &["--package-arn", "--evaluation", "--reason", "--as", "--request-id", "--state"]),
    (&["rollback"], &["--reason", "--from", "--as", "--request-id", "--state"]),
    (&["audit", "verify"], &["--state"]),
    (&["audit", "replay"], &["--state"]),
    (&["pipeline", "lint"], &[]),
    (&["pipeline", "run"], &["--parameter", "--objects", "--work"]),
    (&["serve"], &["--port", "--as", "--state"]),
    (&["sagemaker", "serve"], &["--port", "--state", "--objects", "--events-to", "--behavior", "--clock"]),
];

#[test]
fn help_of_each_command_has_each_flag_and_no_other() {
    for (command, flags) in FLAGS {
        let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let output = SHARED.refit(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        let mut found: Vec<&str> = help
            .lines()
            .filter_map(|it| {
                it.trim_start().trim_start_matches("-v, ").trim_start_matches("-h, ").split([' ', '.']).next()
            })
            .filter(|it| it.starts_with("--"))
            .collect();
        found.sort_unstable();
        let mut expected: Vec<&str> = flags.iter().copied().chain(["--help", "--output-format", "--verbose"]).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{command:?}");
    }
}

#[test]
fn wrong_arguments_are_bad_input_with_a_hint() {
    let told: String = [
        &["refresh"][..],
        &["runs", "--stat", "x"],
        &["runs", "--state"],
        &["trigger", "price"],
        &["explain"],
        &["runs", "--output-format", "jso"],
        &["runs", "--", "--all"],
    ]
    .iter()
    .map(|it| SHARED.shown(it))
    .collect();
    expect_file!["snapshots/arguments.txt"].assert_eq(&told);
}

#[test]
fn an_argument_that_is_no_text_is_bad_input() {
    let output = SHARED.refit(&[OsStr::new("status"), OsStr::from_bytes(b"pri\xffe")]).output().unwrap();
    expect![[r#"
        exit 2
        -- stderr
        error: invalid UTF-8 was detected in one or more arguments

        Usage: refit status [OPTIONS] [MODEL]

        For more information, try '--help'.
    "#]]
    .assert_eq(&SHARED.tell(&output));
    // As a path it is fine: there is no such file.
    let arguments = [OsStr::new("validate"), OsStr::new("--config"), OsStr::from_bytes(b"pri\xffe.yaml")];
    let output = SHARED.refit(&arguments).output().unwrap();
    expect![[r#"
        exit 2
        -- stderr
        error: reading policy `pri�e.yaml`: No such file or directory
    "#]]
    .assert_eq(&SHARED.tell(&output));
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    for arguments in [&["runs"][..], &["history", "--all", "--output-format", "json"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = SHARED.refit(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn work_goes_on_when_nobody_reads_the_story() {
    let folder = Folder::with_state();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = folder.refit(&["decline", "price-r0004"]).stdout(Stdio::piped()).stderr(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(folder.json(&["runs"])[3]["status"], "rejected");
}

#[test]
fn a_full_disk_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = SHARED.refit(&["runs"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    expect![[r#"
        exit 2
        -- stderr
        error: writing the answer to stdout: No space left on device
    "#]]
    .assert_eq(&SHARED.tell(&output));
}

#[test]
fn a_pipe_hears_the_answer_and_no_progress() {
    let folder = Folder::new();
    let told = folder.shown(REPLAY);
    expect![[r#"
        $ refit replay --config refit.yaml --data rows.csv --warmup 6d --state state
        exit 0
        -- stdout
        mae over 1152 rows, 2026-03-07 to 2026-03-30:
          never retrained  4.696
          kept fresh       1.584  66 % better
        4 runs: 2 promoted, 1 rejected, 0 failed; 0 rolled back; 42 checks found nothing to do
        audit log: 77 entries, verified, head …
        report: [FOLDER]/state/report.html
    "#]]
    .assert_eq(&told);
    // Repeated on its state, it has nothing left to do and says the same.
    assert_eq!(folder.shown(REPLAY), told);
    let document = folder.json(REPLAY);
    assert_eq!(document["runs"].as_array().unwrap().len(), 4);
    assert_eq!(document["promotions"].as_array().unwrap().len(), 2);
    assert_eq!(document["audit"]["verified"], true);
    assert_eq!(document["report"], folder.path("state/report.html").display().to_string());
}

#[test]
fn logs_in_a_pipe_have_no_colors() {
    let folder = Folder::with_state();
    let output = folder.refit(&["decline", "price-r0004", "-v"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains(" INFO "), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "{stderr}");
}
