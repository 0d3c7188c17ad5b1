//! Who does the work: the caller decides what runs beside what.

use std::sync::{Mutex, PoisonError};

/// Runs independent tasks, one after another or side by side.
pub trait Workers: Sync {
    /// Calls `task` once with each number below `n_tasks`, at most `at_once` at the same time, and returns when all have returned.
    fn run(&self, n_tasks: usize, at_once: usize, task: &(dyn Fn(usize) + Sync));
}

/// Does everything in the thread of the caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct OneWorker;

impl Workers for OneWorker {
    fn run(&self, n_tasks: usize, _at_once: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..n_tasks).for_each(task);
    }
}

/// The results of tasks in their order, or the first error in that order.
pub(super) fn collect<T: Send, E: Send>(
    workers: &dyn Workers,
    (n_tasks, at_once): (usize, usize),
    task: &(dyn Fn(usize) -> Result<T, E> + Sync),
) -> Result<Vec<T>, E> {
    let results: Vec<Mutex<Option<Result<T, E>>>> = (0..n_tasks).map(|_| Mutex::new(None)).collect();
    workers.run(n_tasks, at_once, &|at| {
        let result = task(at);
        *results[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    });
    let taken = results.into_iter().map(|it| it.into_inner().unwrap_or_else(PoisonError::into_inner));
    taken.map(|it| it.expect("invariant: workers run every task")).collect()
}

/// Working memory that tasks hand on to each other, so that it is asked for once a worker and not once a task.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    pub(super) fn new() -> Pool<T> {
        Pool(Mutex::new(Vec::new()))
    }

    pub(super) fn take(&self) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(super) fn give(&self, it: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(it);
    }
}
