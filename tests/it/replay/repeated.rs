//! What makes a replay evidence: it can be repeated, and it is about the data it says it is about.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use refit_data::write_parquet;
use tempfile::TempDir;

use super::generated::{Rules, regression, write_policy};
use super::played::{run, shown, stdout_of};
use crate::executable::refit;

/// Five runs in 30 days: most for age, some promoted by themselves, others by a person.
const RULES: Rules<'_> = Rules {
    task: "regression",
    strategy: "full",
    rules: "    window: { size: 3d, lateness: 2h }
    training: { window: 8d, holdout: 2d }
    triggers:
      check_every: 12h
      drift: { metric: psi, threshold: 0.2, share: 0.5, min_rows: 60 }
      performance: { metric: mae, max_drop: 0.2, min_rows: 60 }
      age: { max: 6d }
      cooldown: 3d
    gates:
      - { metric: mae, max_regression: 0.05, mode: relative }
    promotion:
      mode: auto
      auto_promote: { metric: mae, mode: relative, min_improvement: 0.2, lower_bound_above: 0 }
      expires: 2d",
};

/// A small data set and its policy in a folder, with room for states.
pub(super) struct Small {
    folder: TempDir,
    config: PathBuf,
    data: PathBuf,
}

impl Small {
    pub(super) fn new() -> Small {
        let folder = TempDir::new().expect("a folder");
        let config = write_policy(folder.path(), &RULES);
        let small = Small { data: folder.path().join("rows.parquet"), folder, config };
        write(&small.data, 1);
        small
    }

    /// The folder of a state.
    pub(super) fn state(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command that plays the data.
    pub(super) fn replay(&self, state: &Path) -> std::process::Command {
        self.replay_of(&self.data, state)
    }

    fn replay_of(&self, data: &Path, state: &Path) -> std::process::Command {
        let mut command = refit();
        command.args(["replay", "--config", shown(&self.config), "--data", shown(data), "--time", "ts"]);
        command.args(["--warmup", "10d", "--approve-as", "maria", "--state", shown(state), "--output-format", "json"]);
        command
    }
}

fn write(path: &Path, seed: u64) {
    std::fs::write(path, write_parquet(&regression(seed))).expect("the data are written");
}

/// A document without the path of its report, the only part that may differ between states.
pub(super) fn without_report(document: &str) -> String {
    let lines: Vec<&str> = document.lines().filter(|it| !it.starts_with("  \"report\": ")).collect();
    assert_eq!(lines.len() + 1, document.lines().count(), "one line is the report's");
    lines.join("\n")
}

/// Every file below a folder with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder is read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).expect("the file is read");
            found.insert(path, bytes);
        }
    }
    found
}

#[test]
fn the_same_replay_twice_is_the_same_document() {
    let small = Small::new();
    let (first, second) = (small.state("first"), small.state("second"));
    let document = stdout_of(small.replay(&first));
    assert_eq!(without_report(&document), without_report(&stdout_of(small.replay(&second))));
    assert_eq!(document, stdout_of(small.replay(&first)), "on a state that is played to its end");
}

#[test]
fn other_data_on_a_used_state_is_refused() {
    let small = Small::new();
    let state = small.state("state");
    let document = stdout_of(small.replay(&state));
    let other = small.folder.path().join("other.parquet");
    write(&other, 2);
    let before = files(&state);
    let output = small.replay_of(&other, &state).output().expect("refit starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(
        stderr,
        format!(
            "error: state directory {} holds a replay of other data or another policy; remove it or give another --state\n",
            state.display()
        )
    );
    let after = files(&state);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let changed: Vec<&PathBuf> = before.iter().filter(|(path, bytes)| after[*path] != **bytes).map(|it| it.0).collect();
    assert!(changed.is_empty(), "{changed:?}");
    assert_eq!(document, stdout_of(small.replay(&state)));
    assert_eq!(run(&["audit", "verify", "--state", shown(&state)]).status.code(), Some(0));
}
