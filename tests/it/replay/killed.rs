//! A process that is killed at any time, with `kill -9`, loses nothing and repeats nothing.
//!
//! Real time chooses when to kill, and nothing else: whatever it chooses, the document must be the same.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::played::{run, shown, stdout_of};
use super::repeated::{Small, without_report};

/// When processes are killed, as shares of what an undisturbed replay takes: first while the state is opened and laid
/// out, then anywhere.
const DELAYS: [f64; 16] =
    [0.002, 0.006, 0.01, 0.03, 0.3, 0.07, 0.12, 0.2, 0.05, 0.25, 0.1, 0.35, 0.06, 0.18, 0.15, 0.22];

/// Runs a command for at most `limit`; its output if it ended by itself, `None` if it was killed.
fn run_for(mut command: Command, limit: Duration) -> Option<String> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("refit starts");
    let (mut stdout, mut stderr) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
    let (sender, receiver) = channel();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("stdout is UTF-8");
        // Nobody listens any more when the process was killed.
        sender.send(()).ok();
        text
    });
    let is_killed = matches!(receiver.recv_timeout(limit), Err(RecvTimeoutError::Timeout));
    if is_killed {
        child.kill().expect("the process is killed");
    }
    let status = child.wait().expect("the process ends");
    let text = reader.join().expect("stdout is read");
    if is_killed && status.code().is_none() {
        return None;
    }
    let mut problems = String::new();
    stderr.read_to_string(&mut problems).expect("stderr is UTF-8");
    assert_eq!(status.code(), Some(0), "{problems}");
    Some(text)
}

/// What people were told.
fn alerts(state: &Path) -> String {
    std::fs::read_to_string(state.join("alerts.jsonl")).expect("alerts")
}

#[test]
fn a_killed_replay_ends_with_the_same_document() {
    let small = Small::new();
    let calm = small.state("undisturbed");
    let begin = Instant::now();
    let document = without_report(&stdout_of(small.replay(&calm)));
    let undisturbed = begin.elapsed();
    let check = |found: &str, state: &Path| {
        assert_eq!(without_report(found), document);
        assert_eq!(alerts(state), alerts(&calm));
        let verified = run(&["audit", "verify", "--state", shown(state)]);
        assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
    };
    let mut finished = 0;
    let state_of = |finished| small.state(&format!("killed-{finished}"));
    for delay in DELAYS {
        // One that ends by itself before it is killed makes room for another.
        let state = state_of(finished);
        if let Some(found) = run_for(small.replay(&state), undisturbed.mul_f64(delay)) {
            check(&found, &state);
            finished += 1;
        }
    }
    let state = state_of(finished);
    check(&stdout_of(small.replay(&state)), &state);
}
