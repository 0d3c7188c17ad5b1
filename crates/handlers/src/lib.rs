//! Event JSON to use case to response: knows AWS's event shapes, not its SDK.
//!
//! An event is a wake-up call, never data: a handler reads which model it concerns and lets the use case look at the state.
//! Shapes are read leniently, since AWS is not consistent (FORMATS 2.1 to 2.4); an event that concerns nobody is answered
//! with an outcome `ignored`, never with an error, so that it is not retried.

mod call;
mod event;
mod functions;

use refit_app::{AppError, ErrorClass};
use refit_core::Guard;
use serde::Serialize;
use serde_json::Value;

pub use functions::{Function, UnknownFunction, handle};

/// What a handler answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Response {
    /// `done`, `ignored` or `refused`.
    pub outcome: &'static str,
    /// Why it was ignored or refused.
    pub reason: Option<String>,
    /// What the use case says, one entry a model or file.
    pub details: Vec<Value>,
}

impl Response {
    fn done(details: Vec<Value>) -> Response {
        Response { outcome: "done", reason: None, details }
    }

    /// The event concerns nobody here.
    fn ignored(reason: impl Into<String>) -> Response {
        Response { outcome: "ignored", reason: Some(reason.into()), details: Vec::new() }
    }

    /// The request is wrong; repeating it is useless.
    fn refused(reason: impl Into<String>) -> Response {
        Response { outcome: "refused", reason: Some(reason.into()), details: Vec::new() }
    }
}

/// A request that is wrong is an answer; everything else is for the caller to retry or to report.
fn answer(result: Result<Value, AppError>) -> Result<Response, AppError> {
    match result {
        Ok(details) => Ok(Response::done(vec![details])),
        Err(error) if error.class() == ErrorClass::Rejected && Guard::RefusedNotRetried.is_kept() => {
            Ok(Response::refused(error.to_string()))
        }
        Err(error) => Err(error),
    }
}
