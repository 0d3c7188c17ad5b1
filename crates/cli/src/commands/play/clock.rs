//! The emulated cloud as a driver sees it: its clock, whether it rests, and its schedule.

use std::time::{Duration, Instant};

use anyhow::bail;
use jiff::Timestamp;
use serde::Deserialize;

use super::http::send;
use super::scheduled;

/// Between two looks whether everything rests.
const LOOK: Duration = Duration::from_millis(15);
/// How long everything may take to come to rest; training is part of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where things are.
pub(super) struct Cloud {
    emulator: String,
    sagemaker: String,
    sweep: String,
}

/// What the emulator is doing (`tools/cloud/server.py`).
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Activity {
    /// What is under way, by name.
    busy: Vec<String>,
    /// Grows with each request and each invocation.
    serial: u64,
}

#[derive(Debug, Deserialize)]
struct Status {
    now: Timestamp,
    next: Option<Timestamp>,
    idle: bool,
}

impl Cloud {
    pub(super) fn new(emulator: &str, sagemaker: &str, sweep: &str) -> Cloud {
        Cloud { emulator: emulator.to_owned(), sagemaker: sagemaker.to_owned(), sweep: sweep.to_owned() }
    }

    fn activity(&self) -> anyhow::Result<Activity> {
        Ok(serde_json::from_str(&send("GET", &format!("{}/_refit/activity", self.emulator), "")?)?)
    }

    fn status(&self) -> anyhow::Result<Status> {
        Ok(serde_json::from_str(&send("GET", &format!("{}/status", self.sagemaker), "")?)?)
    }

    /// The time.
    pub(super) fn now(&self) -> anyhow::Result<Timestamp> {
        Ok(self.status()?.now)
    }

    /// When SageMaker does something by itself.
    pub(super) fn next_execution(&self) -> anyhow::Result<Option<Timestamp>> {
        Ok(self.status()?.next)
    }

    /// Moves the clock of everything.
    pub(super) fn move_clock(&self, to: Timestamp) -> anyhow::Result<()> {
        send("PUT", &format!("{}/clock", self.sagemaker), &format!("\"{to}\"")).map(drop)
    }

    /// Does what the schedule of the sweep does.
    pub(super) fn sweep(&self) -> anyhow::Result<()> {
        let url = format!("{}/2015-03-31/functions/{}/invocations", self.emulator, self.sweep);
        send("POST", &url, &scheduled(self.now()?).to_string()).map(drop)
    }

    /// Waits until nothing happens any more before the clock moves.
    ///
    /// The emulator is looked at before and after SageMaker: a request from one to the other between the looks changes its serial.
    pub(super) fn rest(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let before = self.activity()?;
            let status = self.status()?;
            let after = self.activity()?;
            if before.busy.is_empty() && status.idle && before == after {
                return Ok(());
            }
            if PATIENCE < begun.elapsed() {
                bail!("the cloud does not come to rest at {}: SageMaker {status:?}, emulator {after:?}", status.now);
            }
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_servers_say_is_understood() {
        let activity: Activity =
            serde_json::from_str(r#"{"busy": ["queue refit-data"], "serial": 7}"#).expect("an activity");
        assert_eq!(activity, Activity { busy: vec!["queue refit-data".to_owned()], serial: 7 });
        let status = r#"{"now":"2013-02-01T00:00:00Z","virtual":true,"open":[],"running":0,"undelivered":false,"changing":0,"next":null,"idle":true}"#;
        let status: Status = serde_json::from_str(status).expect("a status");
        assert!(status.idle && status.next.is_none());
    }
}
