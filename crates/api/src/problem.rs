//! Errors as RFC 9457 has them: what is wrong and what to do, and nothing of the inside.

use axum::response::Response;
use refit_app::{AppError, ErrorClass, chain};
use serde_json::{Map, Value, json};

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, and what to do.
    pub detail: String,
    more: Map<String, Value>,
}

impl Problem {
    /// A problem.
    #[must_use]
    pub fn new(status: u16, detail: &str) -> Problem {
        Problem { status, detail: detail.to_owned(), more: Map::new() }
    }

    /// There is no such thing, or it is not the caller's to see.
    #[must_use]
    pub fn not_found(detail: &str) -> Problem {
        Problem::new(404, detail)
    }

    /// With another member.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Problem {
        self.more.insert(name.to_owned(), value);
        self
    }

    fn title(&self) -> &'static str {
        match self.status {
            400 => "Bad request",
            401 => "Not authenticated",
            403 => "Not allowed",
            404 => "Not found",
            405 => "Method not allowed",
            409 => "Conflict",
            410 => "Gone",
            412 => "Changed since it was shown",
            413 => "Too large",
            415 => "Media type not read",
            422 => "Not acceptable",
            428 => "Precondition required",
            503 => "Try again later",
            _ => "Internal error",
        }
    }

    /// As a response.
    pub(crate) fn into_http(self) -> Response {
        let mut body = json!({
            "type": "about:blank", "title": self.title(), "status": self.status, "detail": self.detail,
        });
        for (name, value) in self.more {
            body[name] = value;
        }
        crate::response(self.status, "application/problem+json", None, body.to_string().into())
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Problem {
        match error.class() {
            ErrorClass::Rejected => match &error {
                AppError::UnknownModel(_) | AppError::NotFound(_) => Problem::not_found(&error.to_string()),
                _ => Problem::new(422, &error.to_string()),
            },
            ErrorClass::Conflict => {
                Problem::new(409, "somebody else changed the same thing at the same time: send the request again")
            }
            ErrorClass::Retryable => {
                tracing::warn!(error = chain(&error), "request could not be carried out now");
                Problem::new(503, "a service could not be reached: send the same request again")
            }
            ErrorClass::Bug => {
                tracing::error!(error = chain(&error), "request met something that should not be");
                Problem::new(500, "something that should not be; the log says more")
            }
        }
    }
}
