//! Why an execution failed, by the service's words: whether another attempt may help.
//!
//! The words are those of the SageMaker API's error codes, of failure reasons of its jobs (`CreateTrainingJob`:
//! `FailureReason`), and of the exception types of a pipeline step's retry policy. The first known word in a reason decides:
//! what a program prints comes after the service's own word for it.

use serde::{Deserialize, Serialize};

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The service's own, and it may pass: no machine, too many calls, an internal error.
    Transient,
    /// The pipeline's own: another attempt does the same again.
    Permanent,
    /// Words that are not known: treated as permanent.
    Unknown,
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Its kind.
    pub class: FailureClass,
    /// The service's words.
    pub reason: String,
}

/// The known words, each with what it means.
const WORDS: [(&str, FailureClass); 28] = [
    // Capacity.
    ("CapacityError", FailureClass::Transient),
    ("InsufficientCapacity", FailureClass::Transient),
    ("Insufficient capacity", FailureClass::Transient),
    ("SageMaker.CAPACITY_ERROR", FailureClass::Transient),
    ("ResourceLimitExceeded", FailureClass::Transient),
    ("SageMaker.RESOURCE_LIMIT", FailureClass::Transient),
    // Throttling.
    ("ThrottlingException", FailureClass::Transient),
    ("Throttling", FailureClass::Transient),
    ("TooManyRequests", FailureClass::Transient),
    ("RequestLimitExceeded", FailureClass::Transient),
    ("Rate exceeded", FailureClass::Transient),
    ("Step.THROTTLING", FailureClass::Transient),
    // Internal.
    ("InternalServerError", FailureClass::Transient),
    ("InternalServerException", FailureClass::Transient),
    ("InternalServiceError", FailureClass::Transient),
    ("InternalFailure", FailureClass::Transient),
    ("Internal service error", FailureClass::Transient),
    ("SageMaker.JOB_INTERNAL_ERROR", FailureClass::Transient),
    ("Step.SERVICE_FAULT", FailureClass::Transient),
    // Not there for the moment.
    ("ServiceUnavailable", FailureClass::Transient),
    ("Service Unavailable", FailureClass::Transient),
    // The pipeline's own.
    ("AlgorithmError", FailureClass::Permanent),
    ("ClientError", FailureClass::Permanent),
    ("ValidationException", FailureClass::Permanent),
    ("AccessDenied", FailureClass::Permanent),
    ("ResourceNotFound", FailureClass::Permanent),
    ("MaxRuntimeExceeded", FailureClass::Permanent),
    ("ConfigurationError", FailureClass::Permanent),
];

impl FailureClass {
    /// What a failure reason means.
    #[must_use]
    pub fn of(reason: &str) -> FailureClass {
        let found = WORDS.iter().filter_map(|(word, class)| Some((reason.find(word)?, *class)));
        found.min_by_key(|(at, _)| *at).map_or(FailureClass::Unknown, |(_, class)| class)
    }

    /// The word in files and on screens.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FailureClass::Transient => "transient",
            FailureClass::Permanent => "permanent",
            FailureClass::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_words_are_told_apart() {
        use FailureClass::{Permanent, Transient, Unknown};
        let cases = [
            ("CapacityError: Unable to provision requested ML compute capacity. Please retry.", Transient),
            ("InternalServerError: We encountered an internal error. Please try again.", Transient),
            ("ThrottlingException: Rate exceeded", Transient),
            ("step Train failed: ResourceLimitExceeded: the account-level service limit is 2 Instances", Transient),
            ("ServiceUnavailable: try later", Transient),
            ("AlgorithmError: ExecuteUserScriptError: ExitCode 1", Permanent),
            ("step Train failed: ClientError: no such channel", Permanent),
            // What a program prints comes after the service's own word.
            ("AlgorithmError: my service said InternalServerError", Permanent),
            ("CapacityError after ClientError", Transient),
            ("ValidationException: 1 validation error detected", Permanent),
            ("out of memory", Unknown),
            ("step Train failed: program ended with exit status: 1", Unknown),
            ("the service gives no reason", Unknown),
            ("", Unknown),
        ];
        for (reason, expected) in cases {
            assert_eq!(FailureClass::of(reason), expected, "{reason}");
        }
    }

    #[test]
    fn each_word_is_known_by_itself() {
        for (word, class) in WORDS {
            assert_eq!(FailureClass::of(&format!("step Train failed: {word}: so it is")), class, "{word}");
        }
    }
}
