//! Executions on the world's clock: they begin when they are started, run for real when their virtual time is over, and
//! tell the bus once, however often the process dies in between.

use jiff::Timestamp;
use refit_app::ports::{ExecutionStatus, Pipelines as _};
use refit_core::run::run_of_display_name;

use super::{Moment, Observer, World, WorldError};
use crate::pipeline::status_event;
use crate::routing::targets;

/// Open executions and those whose end the bus was not told yet: `open` until it was told, then `told`.
const KIND: &str = "execution-event";

impl World {
    /// Notes executions that were started since the last look; the bus hears that they began.
    fn note_open_executions(&self) -> Result<Vec<(String, Timestamp)>, WorldError> {
        for (arn, started_at) in self.pipelines.list_open()? {
            if self.database.get_document(KIND, &arn)?.is_none() {
                let execution = self.block_on(self.pipelines.observe(&arn))?;
                let event = status_event(&execution, None, ExecutionStatus::Executing, started_at);
                self.database.update(|transaction| {
                    transaction.put_document(KIND, &arn, &started_at.to_string())?;
                    for target in targets(&event) {
                        transaction.enqueue(started_at.max(self.now()), target.name(), &event.to_string())?;
                    }
                    Ok(())
                })?;
            }
        }
        let noted = self.database.list_documents(KIND)?;
        Ok(noted.into_iter().filter_map(|(arn, state)| Some((arn, state.parse().ok()?))).collect())
    }

    fn ends_at(&self, started_at: Timestamp) -> Timestamp {
        started_at.checked_add(self.execution_takes).unwrap_or(Timestamp::MAX)
    }

    /// When the next execution ends.
    pub(super) fn next_execution_end(&self) -> Result<Option<Timestamp>, WorldError> {
        Ok(self.note_open_executions()?.into_iter().map(|(_, started_at)| self.ends_at(started_at)).min())
    }

    /// Runs executions whose time is over; whether there were any.
    pub(super) fn run_due_executions(&self, observer: &mut Observer<'_>) -> Result<bool, WorldError> {
        let mut has_run = false;
        for (arn, started_at) in self.note_open_executions()? {
            if self.now() < self.ends_at(started_at) {
                continue;
            }
            let observed = self.block_on(self.pipelines.observe(&arn))?;
            // Run and attempt; the fingerprint is for the service.
            let name = match run_of_display_name(&observed.display_name) {
                Some(_) => observed.display_name.rsplit_once('-').map_or("", |it| it.0),
                None => &observed.display_name,
            };
            let mut on_step = |step: &refit_app::ports::StepState| {
                observer(Moment::Step { run: name, step: &step.name, status: &step.status });
            };
            let execution = self.pipelines.run_to_end(&arn, &mut on_step)?;
            let event = status_event(&execution, Some(ExecutionStatus::Executing), execution.status, self.now());
            self.database.update(|transaction| {
                for target in targets(&event) {
                    transaction.enqueue(self.now(), target.name(), &event.to_string())?;
                }
                transaction.put_document(KIND, &arn, "told")
            })?;
            has_run = true;
        }
        Ok(has_run)
    }
}
