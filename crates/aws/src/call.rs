//! One call of a service: its timeout, whether it is repeated, how often at most, and what its failure means.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use refit_app::ports::BoxError;
use tokio::time::{Instant, sleep, timeout};

/// How long calls may take and how often they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most attempts of one call, the first included.
    pub attempts: u32,
    /// Longest time of one attempt, with the body of its answer.
    pub attempt: Duration,
    /// Longest time of all attempts with the pauses between them.
    pub total: Duration,
    /// The pause after the first attempt; each further one is twice as long, up to two seconds, less up to a half by chance.
    pub pause: Duration,
}

impl Limits {
    /// For small requests that are answered within milliseconds. A transaction under way may block an item for five seconds.
    pub const QUICK: Limits = Limits {
        attempts: 9,
        attempt: Duration::from_secs(3),
        total: Duration::from_secs(15),
        pause: Duration::from_millis(50),
    };
    /// For requests whose work or whose body takes a while.
    pub const SLOW: Limits = Limits {
        attempts: 4,
        attempt: Duration::from_secs(20),
        total: Duration::from_secs(45),
        pause: Duration::from_millis(200),
    };
}

const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The retry class of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It reads, sets what it sets absolutely, or carries a token: once more does no harm.
    Freely,
    /// Its repetition would take its own effect for somebody else's: only if it surely had none.
    IfRefused,
}

/// What kind of failure an attempt ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The service asks to slow down; the attempt had no effect.
    Throttled,
    /// There was no answer, or none that tells whether the attempt had its effect.
    Unknown,
    /// The caller may not do this.
    Denied,
    /// The service refuses this request; what for, its code says.
    Refused,
}

/// A failed call.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) kind: Kind,
    /// The service's code, such as `ValidationException`; empty when there was no answer.
    pub(crate) code: String,
    /// The service's words.
    pub(crate) message: String,
    /// The status of the HTTP answer; 0 when there was none.
    pub(crate) status: u16,
    cause: BoxError,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", "") => f.write_str("the service did not answer"),
            (code, message) => write!(f, "the service answered `{code}` (HTTP {}): {message}", self.status),
        }
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.cause)
    }
}

/// An attempt that took too long.
#[derive(Debug, thiserror::Error)]
#[error("no complete answer within {0:?}")]
struct TooSlow(Duration);

/// Codes of answers to requests that had no effect because there were too many.
const THROTTLING: &[&str] = &[
    "BandwidthLimitExceeded",
    "ConditionalRequestConflict",
    "LimitExceededException",
    "OperationAborted",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// Codes of answers that leave open what happened.
const UNCLEAR: &[&str] = &[
    "InternalError",
    "InternalErrorException",
    "InternalException",
    "InternalFailure",
    "InternalServerError",
    "KMSThrottling",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];

/// Codes of answers about rights.
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AllAccessDisabled",
    "AuthorizationError",
    "AuthorizationErrorException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSecurityException",
    "InvalidSignatureException",
    "KMSAccessDenied",
    "KMSAccessDeniedException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "NotAuthorizedException",
    "OptInRequired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

impl Failed {
    /// A failure of the SDK's.
    pub(crate) fn of<E>(error: SdkError<E, HttpResponse>) -> Failed
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map_or(0, |it| it.status().as_u16());
        let (code, message) = match error.as_service_error() {
            Some(answer) => (answer.code().unwrap_or_default(), answer.message().unwrap_or_default()),
            None => ("", ""),
        };
        let (code, message) = (code.to_owned(), message.to_owned());
        let kind = match &error {
            // Made before anything was sent.
            SdkError::ConstructionFailure(_) => Kind::Refused,
            SdkError::ServiceError(_) => kind_of_answer(&code, status),
            _ => Kind::Unknown,
        };
        Failed { kind, code, message, status, cause: error.into() }
    }

    /// A failure to read the body of an answer.
    pub(crate) fn of_body(error: impl Into<BoxError>) -> Failed {
        Failed { kind: Kind::Unknown, code: String::new(), message: String::new(), status: 0, cause: error.into() }
    }

    /// The same failure as another kind.
    pub(crate) fn of_kind(self, kind: Kind) -> Failed {
        Failed { kind, ..self }
    }

    /// The same failure with more exact words.
    #[cfg(feature = "dynamodb")]
    pub(crate) fn with_words(self, message: String) -> Failed {
        Failed { message, ..self }
    }

    /// Whether the service's words contain one of these, in any case.
    pub(crate) fn says(&self, parts: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        parts.iter().any(|it| message.contains(it))
    }

    /// The failure in one line, for an error that carries no cause.
    pub(crate) fn words(&self) -> String {
        if self.message.is_empty() { self.to_string() } else { self.message.clone() }
    }
}

fn kind_of_answer(code: &str, status: u16) -> Kind {
    // Some protocols write the code with its namespace or with where it is documented.
    let code = code.rsplit('#').next().unwrap_or(code).split(':').next().unwrap_or(code);
    if THROTTLING.contains(&code) || status == 429 {
        Kind::Throttled
    } else if UNCLEAR.contains(&code) || 500 <= status {
        Kind::Unknown
    } else if DENIED.contains(&code) || matches!(status, 401 | 403) {
        Kind::Denied
    } else {
        Kind::Refused
    }
}

/// Makes a call within its limits.
pub(crate) async fn call<T, F>(limits: Limits, repeat: Repeat, attempt: impl Fn() -> F) -> Result<T, Failed>
where
    F: Future<Output = Result<T, Failed>>,
{
    let begun = Instant::now();
    let mut pause = limits.pause;
    let mut number = 1;
    loop {
        let left = limits.total.saturating_sub(begun.elapsed());
        let most = limits.attempt.min(left);
        let failed = match timeout(most, attempt()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failed)) => failed,
            Err(_) => Failed::of_body(TooSlow(most)),
        };
        let is_repeatable = match failed.kind {
            Kind::Throttled => true,
            Kind::Unknown => repeat == Repeat::Freely,
            Kind::Denied | Kind::Refused => false,
        };
        let wait = pause.mul_f64(1.0 - chance() / 2.0);
        if !is_repeatable || limits.attempts <= number || limits.total <= begun.elapsed() + wait {
            return Err(failed);
        }
        tracing::debug!(attempt = number, "call is repeated: {failed}");
        sleep(wait).await;
        pause = LONGEST_PAUSE.min(pause * 2);
        number += 1;
    }
}

/// A number from 0 to 1 that differs from call to call and from process to process.
#[expect(clippy::cast_precision_loss, reason = "any number will do")]
fn chance() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const LIMITS: Limits = Limits {
        attempts: 4,
        attempt: Duration::from_millis(20),
        total: Duration::from_secs(10),
        pause: Duration::from_micros(100),
    };

    fn failed(kind: Kind) -> Failed {
        Failed::of_body("lost").of_kind(kind)
    }

    /// How often a call is made whose first attempts fail like this.
    async fn count(repeat: Repeat, kinds: &[Kind]) -> (u32, Result<(), Kind>) {
        let made = Cell::new(0);
        let attempt = || {
            let number = made.get();
            made.set(number + 1);
            let kind = kinds.get(number as usize).copied();
            async move { kind.map_or(Ok(()), |kind| Err(failed(kind))) }
        };
        let result = call(LIMITS, repeat, attempt).await;
        (made.get(), result.map_err(|it| it.kind))
    }

    #[tokio::test]
    async fn each_class_is_repeated_as_it_may_be() {
        use Kind::{Denied, Refused, Throttled, Unknown};
        // How often it may be repeated, how its tries fail, how many are made, how it ends.
        type Case<'a> = (Repeat, &'a [Kind], u32, Result<(), Kind>);
        let table: &[Case<'_>] = &[
            (Repeat::Freely, &[], 1, Ok(())),
            (Repeat::Freely, &[Unknown, Throttled], 3, Ok(())),
            (Repeat::IfRefused, &[Throttled, Throttled], 3, Ok(())),
            (Repeat::IfRefused, &[Unknown], 1, Err(Unknown)),
            (Repeat::IfRefused, &[Throttled, Unknown], 2, Err(Unknown)),
            (Repeat::Freely, &[Denied], 1, Err(Denied)),
            (Repeat::Freely, &[Unknown, Refused], 2, Err(Refused)),
            (Repeat::Freely, &[Throttled; 9], 4, Err(Throttled)),
        ];
        for (repeat, kinds, made, end) in table {
            assert_eq!(count(*repeat, kinds).await, (*made, *end), "{repeat:?} {kinds:?}");
        }
    }

    #[tokio::test]
    async fn no_call_goes_beyond_its_time() {
        let result = call(LIMITS, Repeat::IfRefused, std::future::pending::<Result<(), Failed>>).await;
        assert_eq!(result.map_err(|it| it.kind), Err(Kind::Unknown));
        // A total that is used up ends it, however many attempts are left.
        let limits = Limits { attempts: u32::MAX, total: Duration::from_millis(50), ..LIMITS };
        let made = Cell::new(0);
        let attempt = || {
            made.set(made.get() + 1);
            std::future::pending::<Result<(), Failed>>()
        };
        let result = call(limits, Repeat::Freely, attempt).await;
        assert_eq!(result.map_err(|it| it.kind), Err(Kind::Unknown));
        assert!((1..=4).contains(&made.get()), "{}", made.get());
    }

    #[test]
    fn answers_have_kinds() {
        let table = [
            ("ThrottlingException", 400, Kind::Throttled),
            ("com.amazon.coral#ThrottlingException", 400, Kind::Throttled),
            ("", 429, Kind::Throttled),
            ("SlowDown", 503, Kind::Throttled),
            ("InternalServerError", 500, Kind::Unknown),
            ("", 502, Kind::Unknown),
            ("AccessDeniedException:http://docs", 400, Kind::Denied),
            ("", 403, Kind::Denied),
            ("ValidationException", 400, Kind::Refused),
            ("NoSuchKey", 404, Kind::Refused),
        ];
        for (code, status, kind) in table {
            assert_eq!(kind_of_answer(code, status), kind, "{code} {status}");
        }
    }
}
