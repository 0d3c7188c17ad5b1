//! Panics: none is shown as such, and none ends in silence.
//!
//! The Parquet decoder panics on some damaged files; its reader turns that into an error, which is enough to read. Any
//! other panic is a bug of ours, and ends as an error like all others.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;

/// Runs a command; a panic that nobody caught is an error that says where it happened.
pub(crate) fn caught<T>(command: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let last = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&last);
    set_hook(Box::new(move |info| {
        tracing::debug!("{info}");
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string().replace('\n', " ");
    }));
    catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_| {
        let what = last.lock().unwrap_or_else(PoisonError::into_inner);
        Err(anyhow!("this is a bug of Refit, please report it: {what}"))
    })
}
