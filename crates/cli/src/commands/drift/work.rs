//! Who compares: as many threads as there are cores, and a bar that shows how far they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{available_parallelism, scope};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use refit_data::drift::Workers;

/// How far a comparison is; shown on a terminal only.
pub(super) struct Progress {
    bar: ProgressBar,
    n_read: Arc<AtomicU64>,
}

impl Progress {
    /// Begins with nothing read.
    pub(super) fn new() -> Progress {
        let bar = ProgressBar::new(0);
        let style = "{spinner} {msg} {bar:28} {pos}/{len} {elapsed}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress { bar, n_read: Arc::default() }
    }

    /// Where files count what is read of them.
    pub(super) fn counter(&self) -> &Arc<AtomicU64> {
        &self.n_read
    }

    /// Says what is done now, in so many steps; tasks of [`Threads`] are steps besides.
    pub(super) fn begin(&self, what: &str, n_steps: usize) {
        self.bar.set_length(n_steps as u64);
        self.bar.set_position(0);
        self.bar.set_message(what.to_owned());
    }

    /// One step is done.
    pub(super) fn step(&self) {
        self.bar.inc(1);
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// Threads that take one task after another.
pub(super) struct Threads<'a> {
    pub(super) progress: &'a Progress,
}

impl Workers for Threads<'_> {
    fn run(&self, n_tasks: usize, at_once: usize, task: &(dyn Fn(usize) + Sync)) {
        self.progress.bar.inc_length(n_tasks as u64);
        let n_cores = available_parallelism().map_or(1, |it| it.get());
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if n_tasks <= at {
                    return;
                }
                task(at);
                self.progress.step();
            }
        };
        scope(|scope| {
            for _ in 1..n_cores.min(at_once).min(n_tasks) {
                scope.spawn(work);
            }
            work();
        });
    }
}
