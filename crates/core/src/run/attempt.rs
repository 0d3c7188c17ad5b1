//! Attempts: a run whose execution the service failed is started again, under names of its own.
//!
//! What is trained stays frozen; the start key, the display name and the folder are pure functions of the run and the
//! attempt's number. So each attempt is started once, and what an earlier one still does or says is not taken for a later
//! one's. The first attempt has the run's own names.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Failure, Run, TrainingRequest};
use crate::names::{Digest, RunId};

/// The most attempts that a policy may allow.
const MAX_ATTEMPTS: u32 = 10;

/// One execution of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// The execution.
    pub execution: String,
    /// When it was recorded.
    pub started_at: Timestamp,
    /// When its end was recorded.
    pub ended_at: Option<Timestamp>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl Run {
    /// The number of the attempt that is under way, or that comes next.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        let had = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        if self.execution.is_some() { had.max(1) } else { had.saturating_add(1) }
    }

    /// The display name of that attempt's execution: the run's id, then `<run>-a2`, `<run>-a3`.
    #[must_use]
    pub fn display_name(&self) -> String {
        match self.attempt() {
            1 => self.id.to_string(),
            number => format!("{}-a{number}", self.id),
        }
    }

    /// What that attempt is started with; `None` before the request is frozen.
    #[must_use]
    pub fn attempt_request(&self) -> Option<TrainingRequest> {
        Some(self.request.as_ref()?.attempt(&self.id, self.attempt()))
    }
}

impl TrainingRequest {
    /// The same request with the names of attempt `number`.
    #[must_use]
    pub fn attempt(&self, run: &RunId, number: u32) -> TrainingRequest {
        if number <= 1 {
            return self.clone();
        }
        let first = self.output.to_string();
        let output = self.output.join(&format!("attempt-{number}")).unwrap_or_else(|_| self.output.clone());
        let mut request = self.clone();
        for (name, value) in &mut request.parameters {
            // The one other parameter below the folder is the document that says that there is no champion.
            if ["OutputUri", "ChampionModelUri"].contains(&name.as_str())
                && let Some(rest) = value.strip_prefix(&first)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                *value = format!("{output}{rest}");
            }
        }
        request.start_key = Digest::of_list(&["start", run.as_ref(), "attempt", &number.to_string()]).hex().to_owned();
        request.output = output;
        request
    }
}

/// The run and the attempt that a display name belongs to; `None` for a name that Refit never gives.
#[must_use]
pub fn run_of_display_name(name: &str) -> Option<(RunId, u32)> {
    if let Ok(run) = name.parse() {
        return Some((run, 1));
    }
    let (run, number) = name.rsplit_once("-a")?;
    let is_plain = !number.starts_with('0') && number.bytes().all(|it| it.is_ascii_digit());
    let number: u32 = number.parse().ok().filter(|_| is_plain)?;
    (2..=MAX_ATTEMPTS).contains(&number).then_some((run.parse().ok()?, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_say_run_and_attempt() {
        let cases = [
            ("m-r0001", Some(("m-r0001", 1))),
            ("m-r0001-a2", Some(("m-r0001", 2))),
            ("m-a2-r0001", Some(("m-a2-r0001", 1))),
            ("m-a2-r0001-a10", Some(("m-a2-r0001", 10))),
            ("m-r0001-a1", None),
            ("m-r0001-a02", None),
            ("m-r0001-a11", None),
            ("m-r0001-a", None),
            ("m-r0001-a2-a2", None),
            ("m-a2", None),
            ("", None),
        ];
        for (name, expected) in cases {
            let found = run_of_display_name(name);
            assert_eq!(found.as_ref().map(|it| (it.0.as_ref(), it.1)), expected, "{name}");
        }
    }
}
