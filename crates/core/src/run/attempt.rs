//! Attempts: a run whose execution the service failed is started again, under names of its own.
//!
//! What is trained stays frozen; the start key, the display name and the folder are pure functions of the run and the
//! attempt's number. So each attempt is started once, and what an earlier one still does or says is not taken for a later
//! one's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Failure, Run, TrainingRequest};
use crate::names::{Digest, RunId};

/// The most attempts that a policy may allow.
const MAX_ATTEMPTS: u32 = 10;
/// How many hexadecimal digits of the start key a display name ends in.
const FINGERPRINT: usize = 8;

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

    /// The display name of that attempt's execution: `<run>-<fingerprint>`, then `<run>-a2-<fingerprint>`.
    ///
    /// The fingerprint is that of the attempt's start key, which a run of a model that was watched before under the same name
    /// does not share. So an execution of this name is the attempt's, whenever it was started and by whatever clock. SageMaker
    /// takes 82 characters: enough for a model's longest name, 9999 runs of it and ten attempts.
    #[must_use]
    pub fn display_name(&self) -> String {
        let Some(request) = &self.request else { return self.id.to_string() };
        let number = self.attempt();
        let key = Digest::of_list(&["display name", &request.key_of(number)]);
        let fingerprint = &key.hex()[..FINGERPRINT];
        match number {
            1 => format!("{}-{fingerprint}", self.id),
            number => format!("{}-a{number}-{fingerprint}", self.id),
        }
    }

    /// What that attempt is started with; `None` before the request is frozen.
    #[must_use]
    pub fn attempt_request(&self) -> Option<TrainingRequest> {
        Some(self.request.as_ref()?.attempt(self.attempt()))
    }
}

impl TrainingRequest {
    /// The key of the first attempt: a pure function of the run, which its id and the time of its request name.
    #[must_use]
    pub fn first_key(run: &RunId, requested_at: Timestamp) -> String {
        Digest::of_list(&["start", run.as_ref(), &requested_at.to_string()]).hex().to_owned()
    }

    /// The key of attempt `number`.
    fn key_of(&self, number: u32) -> String {
        if number <= 1 {
            return self.start_key.clone();
        }
        Digest::of_list(&["start", &self.start_key, "attempt", &number.to_string()]).hex().to_owned()
    }

    /// The same request with the names of attempt `number`.
    #[must_use]
    pub fn attempt(&self, number: u32) -> TrainingRequest {
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
        request.start_key = self.key_of(number);
        request.output = output;
        request
    }
}

/// The run and the attempt that a display name belongs to; `None` for a name that Refit never gives.
#[must_use]
pub fn run_of_display_name(name: &str) -> Option<(RunId, u32)> {
    let (name, fingerprint) = name.rsplit_once('-')?;
    let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    if fingerprint.len() != FINGERPRINT || !fingerprint.bytes().all(is_digit) {
        return None;
    }
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
            ("m-r0001-0123abcd", Some(("m-r0001", 1))),
            ("m-r0001-a2-0123abcd", Some(("m-r0001", 2))),
            ("m-a2-r0001-0123abcd", Some(("m-a2-r0001", 1))),
            ("m-a2-r0001-a10-0123abcd", Some(("m-a2-r0001", 10))),
            ("m-0123abcd-r0001-0123abcd", Some(("m-0123abcd-r0001", 1))),
            ("m-r0001", None),
            ("m-r0001-a2", None),
            ("m-r0001-0123abc", None),
            ("m-r0001-0123abcde", None),
            ("m-r0001-0123ABCD", None),
            ("m-r0001-0123abcx", None),
            ("m-r0001-0123äbc", None),
            ("m-r0001-a1-0123abcd", None),
            ("m-r0001-a02-0123abcd", None),
            ("m-r0001-a11-0123abcd", None),
            ("m-r0001-a-0123abcd", None),
            ("m-r0001-a2-a2-0123abcd", None),
            ("m-a2-0123abcd", None),
            ("-0123abcd", None),
            ("", None),
        ];
        for (name, expected) in cases {
            let found = run_of_display_name(name);
            assert_eq!(found.as_ref().map(|it| (it.0.as_ref(), it.1)), expected, "{name}");
        }
    }
}
