//! Runs one container's program as a child process, with a time limit, a log and a way to stop it.
//!
//! The child leads a process group of its own, so that what it started ends with it, as in a container. A guard beside
//! it ends the group when this process dies, so that no program of a dead execution writes into its successor. This
//! module and nothing else in the local world waits in real time.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::StepEnd;

/// Where the log of a step is cut, so that an endless one does not fill the disk.
const MAX_LOG_BYTES: usize = 10 * 1024 * 1024;
/// How much of the end of the log is kept for the failure reason.
const TAIL_BYTES: usize = 2048;
/// How long a child may take to end by itself after SIGTERM. SageMaker gives 120 s; nobody waits that long at a desk.
const GRACE: Duration = Duration::from_secs(5);
/// How long the log may lag behind the end of the child; something that escaped its group may hold the pipe.
const LOG_LAG: Duration = Duration::from_secs(2);
/// How often a child is looked at: quick enough for a demo, slow enough to cost nothing.
const POLL: Duration = Duration::from_millis(20);
/// How often a wait asks whether somebody wants it to end, which takes a look into the database.
const STOP_POLL: Duration = Duration::from_millis(200);

/// A program to be run.
pub(super) struct Job<'a> {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// All of its environment except PATH and HOME.
    pub(super) environment: BTreeMap<String, String>,
    /// Its working directory.
    pub(super) folder: &'a Path,
    /// Where its output goes.
    pub(super) log: &'a Path,
    /// After how long it is stopped.
    pub(super) limit: Duration,
}

/// How a child came to its end.
pub(super) enum End {
    /// By itself.
    Exited(ExitStatus),
    /// It was stopped because its time was up.
    TimedOut,
    /// It was stopped because somebody asked.
    Stopped,
}

/// Asks now and then whether to stop.
struct StopSign<'a> {
    is_stopping: &'a dyn Fn() -> bool,
    looked: Option<Instant>,
}

impl StopSign<'_> {
    fn is_up(&mut self) -> bool {
        if self.looked.is_some_and(|at| at.elapsed() < STOP_POLL) {
            return false;
        }
        self.looked = Some(Instant::now());
        (self.is_stopping)()
    }
}

/// Waits before a retry; ends early, as stopped, when somebody asks.
pub(super) fn pause(duration: Duration, is_stopping: &dyn Fn() -> bool) -> Result<(), StepEnd> {
    let begun = Instant::now();
    let mut sign = StopSign { is_stopping, looked: None };
    while begun.elapsed() < duration {
        if sign.is_up() {
            return Err(StepEnd::Stopped);
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Runs a program to its end and returns the last lines of its log too.
pub(super) fn run(job: &Job<'_>, is_stopping: &dyn Fn() -> bool) -> io::Result<(End, String)> {
    let (program, arguments) = job.command.split_first().ok_or_else(|| io::Error::other("the entrypoint is empty"))?;
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir(job.folder).process_group(0);
    for name in ["PATH", "HOME"] {
        command.envs(std::env::var_os(name).map(|it| (name, it)));
    }
    command.envs(&job.environment).stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let log = File::create(job.log)?;
    let mut child = command.spawn()?;
    // Holds the writing end of the pipe: while it lives the log does not end.
    drop(command);
    let tail = Arc::new(Mutex::new(VecDeque::new()));
    let (done, is_done) = mpsc::channel();
    let thread = std::thread::Builder::new().name("step-log".to_owned());
    let into = Arc::clone(&tail);
    thread.spawn(move || {
        let result = copy_log(reader, log, &into);
        // Nobody listens any more when the log lagged too far behind.
        let _ = done.send(result);
    })?;
    let end = guard(&child).and_then(|mut guard| {
        let end = wait(&mut child, job.limit, is_stopping);
        // Before the group is gone, whose number may be given to another one.
        guard.kill()?;
        guard.wait()?;
        end
    });
    // In a container nothing survives the program.
    signal(&child, "KILL");
    if let Ok(result) = is_done.recv_timeout(LOG_LAG) {
        result?;
    }
    let bytes: Vec<u8> = tail.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
    Ok((end?, String::from_utf8_lossy(&bytes).trim().to_owned()))
}

fn wait(child: &mut Child, limit: Duration, is_stopping: &dyn Fn() -> bool) -> io::Result<End> {
    let begun = Instant::now();
    let mut sign = StopSign { is_stopping, looked: None };
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(End::Exited(status));
        }
        if sign.is_up() {
            stop(child)?;
            return Ok(End::Stopped);
        }
        if limit <= begun.elapsed() {
            stop(child)?;
            return Ok(End::TimedOut);
        }
        std::thread::sleep(POLL);
    }
}

/// Starts the guard: a shell that waits for the end of its input, which comes when this process dies.
fn guard(child: &Child) -> io::Result<Child> {
    let script = "read -r _; kill -s KILL -- -\"$1\"";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "guard", &child.id().to_string()]).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Asks the group to end, then ends it.
fn stop(child: &mut Child) -> io::Result<()> {
    signal(child, "TERM");
    let asked = Instant::now();
    while asked.elapsed() < GRACE {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
    signal(child, "KILL");
    child.kill()?;
    child.wait().map(drop)
}

/// Sends a signal to the child's group. `kill` is built into every shell, but not every image has the program.
fn signal(child: &Child, name: &str) {
    let script = format!("kill -s {name} -- -{}", child.id());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(error) = command.status() {
        tracing::warn!(%error, "process group could not be signaled");
    }
}

/// Copies the pipe into the log up to its limit, and to its end into the tail.
fn copy_log(mut from: PipeReader, mut log: File, tail: &Mutex<VecDeque<u8>>) -> io::Result<()> {
    let mut buffer = [0; 8192];
    let mut written = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = &buffer[..count];
        {
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend(bytes);
            let excess = tail.len().saturating_sub(TAIL_BYTES);
            tail.drain(..excess);
        }
        let room = MAX_LOG_BYTES.saturating_sub(written).min(count);
        log.write_all(&bytes[..room])?;
        if room < count && written <= MAX_LOG_BYTES {
            log.write_all(format!("\n[the log is cut here, at {MAX_LOG_BYTES} bytes]\n").as_bytes())?;
            // Beyond the limit, so that the note is written once.
            written = MAX_LOG_BYTES;
        }
        written += count;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn the_guard_ends_the_group_when_its_owner_is_gone() {
        let mut child = Command::new("/bin/sleep").arg("63").process_group(0).spawn().expect("child");
        let mut guard = guard(&child).expect("guard");
        assert!(child.try_wait().expect("known").is_none());
        // What the end of this process would do.
        drop(guard.stdin.take());
        assert_eq!(child.wait().expect("ended").signal(), Some(9));
        guard.wait().expect("ended");
    }
}
