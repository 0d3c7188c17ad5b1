//! Runs a future of the memory world to its end, or to its death.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// How a future ended.
#[derive(Debug)]
pub enum Ran<T> {
    /// It came to its end.
    Done(T),
    /// It stopped in the middle, as a killed process does, and was dropped.
    Killed,
}

impl<T> Ran<T> {
    /// What the future gave.
    ///
    /// # Panics
    /// When it was killed.
    pub fn unwrap_done(self) -> T {
        match self {
            Ran::Done(it) => it,
            Ran::Killed => panic!("the future was killed"),
        }
    }
}

/// Polls once: futures of the memory world never wait, unless a fault stopped them for ever.
pub fn poll<T>(future: impl Future<Output = T>) -> Ran<T> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(it) => Ran::Done(it),
        Poll::Pending => Ran::Killed,
    }
}
