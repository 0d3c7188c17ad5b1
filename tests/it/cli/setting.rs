//! Where the tests take place: rows, a policy, a state, and a folder to run `refit` in.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use expect_test::{Expect, ExpectFile};
use serde_json::Value;
use tempfile::TempDir;

use crate::executable::refit;

/// The policy of all tests; its one model is retrained after a drop, refused by a gate, retrained again, and by age.
pub(super) const POLICY: &str = include_str!("setting/refit.yaml");
/// The pipeline that the policy names.
pub(super) const DEFINITION: &str = include_str!("../../../infra/pipelines/retrain.json");
/// Days of rows.
const DAYS: u64 = 30;
/// The day on which the price of a kilogram changes.
const CHANGE: u64 = 12;

/// A replay of the setting's own rows.
pub(super) const REPLAY: &[&str] =
    &["replay", "--config", "refit.yaml", "--data", "rows.csv", "--warmup", "6d", "--state", "state"];

/// Half-hourly rows whose price depends on the weight and the shop, one way until the change and another way after it.
pub(super) fn rows() -> String {
    let mut random = 42u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as f64 / f64::from(1u32 << 31)
    };
    let mut text = "ts,shop,hour,weight,price\n".to_owned();
    for (day, slot) in (0..DAYS).flat_map(|day| (0..48).map(move |slot| (day, slot))) {
        let (shop, extra) = [("north", 0.0), ("south", 2.0), ("west", 4.0)][(next() * 3.0) as usize];
        let weight = next() * 10.0;
        let per_kilogram = if day < CHANGE { 2.0 } else { 3.2 };
        let price = 5.0 + per_kilogram * weight + extra + next() - 0.5;
        let (date, hour, minute) = (day + 1, slot / 2, slot % 2 * 30);
        writeln!(text, "2026-03-{date:02}T{hour:02}:{minute:02}:00Z,{shop},{hour},{weight:.3},{price:.3}")
            .expect("a string takes all");
    }
    text
}

/// A folder to run `refit` in; gone when it is dropped.
pub(super) struct Folder {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl Folder {
    fn empty() -> Folder {
        let temporary = TempDir::with_prefix("refit-cli-").expect("a folder for temporary files");
        Folder { path: temporary.path().to_owned(), _temporary: Some(temporary) }
    }

    /// One with the rows, the policy and the pipeline, and without a state.
    pub(super) fn new() -> Folder {
        let folder = Folder::empty();
        folder.write("rows.csv", rows());
        folder.write("refit.yaml", POLICY);
        folder.write("retrain.json", DEFINITION);
        folder
    }

    /// One with a copy of the played state in `state`.
    pub(super) fn with_state() -> Folder {
        let folder = Folder::empty();
        copy(&PLAYED.path("state"), &folder.path("state"));
        folder
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("the folder is ours");
    }

    /// `refit` in this folder, which finds the state in `state`.
    pub(super) fn refit(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = refit();
        command.current_dir(&self.path).env("REFIT_STATE", "state").env("USER", "tess").args(arguments);
        command
    }

    /// Compares what a command ended with, wrote to stdout and wrote to stderr.
    #[track_caller]
    pub(super) fn check(&self, arguments: &[&str], expected: Expect) {
        expected.assert_eq(&self.shown(arguments));
    }

    /// Like [`Folder::check`], with the snapshot in a file.
    #[track_caller]
    pub(super) fn check_file(&self, arguments: &[&str], expected: ExpectFile) {
        expected.assert_eq(&self.shown(arguments));
    }

    /// A command line with its whole outcome.
    pub(super) fn shown(&self, arguments: &[&str]) -> String {
        let quoted: Vec<String> = arguments.iter().map(|it| quote(it)).collect();
        let output = self.refit(arguments).output().expect("refit starts");
        format!("$ refit {}\n{}", self.filtered(&quoted.join(" ")), self.tell(&output))
    }

    /// The outcome of a command, without what differs from run to run.
    pub(super) fn tell(&self, output: &Output) -> String {
        let mut text = format!("exit {}\n", output.status.code().map_or("by a signal".to_owned(), |it| it.to_string()));
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let said = std::str::from_utf8(bytes).expect("output is UTF-8");
            assert!(!said.contains("panicked"), "{said}");
            if !said.is_empty() {
                writeln!(text, "-- {name}").expect("a string takes all");
                text.push_str(&self.filtered(said));
            }
        }
        text
    }

    fn filtered(&self, text: &str) -> String {
        let text = text.replace(&self.path.display().to_string(), "[FOLDER]");
        let text = text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
        hide_digests(&text)
    }

    /// The document that a command writes with `--output-format json`.
    #[track_caller]
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        json_of(self.refit(arguments))
    }
}

/// The document that a command writes with `--output-format json`, whatever its exit code.
#[track_caller]
pub(super) fn json_of(mut command: Command) -> Value {
    let output = command.args(["--output-format", "json"]).output().expect("refit starts");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn quote(argument: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_./=:".contains(it);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.escape_debug())
    }
}

/// Digests say nothing to a reader: `sha256:…` stands for all, and `…` for the short ones.
fn hide_digests(text: &str) -> String {
    let is_hex = |it: char| it.is_ascii_digit() || ('a'..='f').contains(&it);
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_hex) {
        let word = &rest[start..];
        let length = word.find(|it: char| !is_hex(it)).unwrap_or(word.len());
        out.push_str(&rest[..start]);
        out.push_str(if length == 64 || (length == 12 && !word.starts_with("0000")) { "…" } else { &word[..length] });
        rest = &word[length..];
    }
    out + rest
}

/// The state that a replay made, which nobody opens.
static PLAYED: LazyLock<Folder> = LazyLock::new(|| {
    let folder = Folder::new();
    let output = folder.refit(REPLAY).output().expect("refit starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // A static is never dropped: it lies below `target`, where the next process finds and removes it.
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
    remove_left_behind(&all);
    let played = Folder { path: all.join(std::process::id().to_string()).join("played"), _temporary: None };
    copy(&folder.path("state"), &played.path("state"));
    played
});

/// A copy of it that all tests look at and none changes.
pub(super) static SHARED: LazyLock<Folder> = LazyLock::new(|| {
    let shared = Folder { path: PLAYED.path.with_file_name("shared"), _temporary: None };
    copy(&PLAYED.path("state"), &shared.path("state"));
    shared
});

/// Removes the folders of test processes that are gone.
fn remove_left_behind(all: &Path) {
    for entry in std::fs::read_dir(all).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Copies a folder with all that is in it.
pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder is ours");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("the folder is ours");
        }
    }
}
