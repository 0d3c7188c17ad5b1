//! What happens by itself: executions run, endpoints settle, events are delivered.
//!
//! Threads hold the service weakly, so that they end with it.

use std::sync::{Arc, PoisonError, Weak};
use std::thread::Builder;
use std::time::Duration;

use jiff::Timestamp;
use refit_app::ports::Execution;

use super::SageMaker;
use super::protocol::Refusal;

/// How often the background looks whether the service is gone.
const LOOK: Duration = Duration::from_millis(500);
/// The longest pause before an event is tried again.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Starts the threads.
pub(super) fn spawn(sagemaker: &Arc<SageMaker>) -> std::io::Result<()> {
    let service = Arc::downgrade(sagemaker);
    Builder::new().name("sagemaker-runner".to_owned()).spawn(move || run(&service))?;
    if sagemaker.hook.is_some() {
        let service = Arc::downgrade(sagemaker);
        Builder::new().name("sagemaker-events".to_owned()).spawn(move || deliver(&service))?;
    }
    Ok(())
}

/// Begins what is due, again and again.
fn run(service: &Weak<SageMaker>) {
    while let Some(service) = service.upgrade() {
        let seen = service.bell.count();
        let next = match begin_due(&service) {
            Ok(next) => next,
            Err(refusal) => {
                tracing::error!(error = refusal.message, "background work failed");
                None
            }
        };
        let pause = next.filter(|_| !service.clock.is_virtual()).map(|at| until(service.now(), at));
        service.bell.wait(seen, Some(pause.map_or(LOOK, |it| it.min(LOOK))));
    }
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

/// Begins every execution that is due, as many as may run at once; says when the next one is.
fn begin_due(service: &Arc<SageMaker>) -> Result<Option<Timestamp>, Refusal> {
    service.settle_endpoints()?;
    for arn in service.list_untold()? {
        service.tell_status(&arn, |_| {})?;
    }
    let now = service.now();
    let mut next = service.endpoint_changes()?.into_iter().min();
    for (arn, started_at) in service.pipelines.list_open()? {
        let due = service.behavior.execution_takes.after(started_at);
        let is_stopping = service.pipelines.get_execution(&arn)?.execution.status.name() == "Stopping";
        if now < due && !is_stopping {
            next = next.into_iter().chain([due]).min();
            continue;
        }
        let mut running = service.running.lock().unwrap_or_else(PoisonError::into_inner);
        if service.behavior.executions_at_once <= running.len() || !running.insert(arn.clone()) {
            continue;
        }
        drop(running);
        let worker = Arc::clone(service);
        let work = move || {
            if let Err(refusal) = execute(&worker, &arn) {
                tracing::error!(arn, error = refusal.message, "execution could not be run");
            }
            worker.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&arn);
            worker.bell.ring();
        };
        if let Err(error) = Builder::new().name("sagemaker-execution".to_owned()).spawn(work) {
            return Err(Refusal::internal(format!("a thread could not be started: {error}")));
        }
    }
    Ok(next)
}

/// Runs one execution to its end and tells of its steps and its end.
fn execute(service: &SageMaker, arn: &str) -> Result<(), Refusal> {
    let stored = service.pipelines.get_execution(arn)?;
    if let Some(fault) = service.planned.take_execution(&stored.request.pipeline) {
        service.pipelines.fail(arn, &fault.step, &fault.reason)?;
        return service.tell_status(arn, |_| {});
    }
    let mut problem = None;
    let execution = stored.execution;
    service.pipelines.run_to_end(arn, &mut |step| {
        if let Err(refusal) = tell_step(service, &execution, step) {
            problem.get_or_insert(refusal);
        }
    })?;
    service.tell_status(arn, |_| {})?;
    problem.map_or(Ok(()), Err)
}

/// Tells of a step, and of the package that it registered.
fn tell_step(service: &SageMaker, execution: &Execution, step: &refit_app::ports::StepState) -> Result<(), Refusal> {
    let reused_from = service.pipelines.find_reused(&execution.arn, &step.name)?;
    service.tell_step(execution, step, reused_from.as_deref())?;
    step.package_arn.as_ref().map_or(Ok(()), |arn| service.tell_package(arn))
}

/// Hands events to the hook, in order; one that is not taken is tried again, and the others wait.
fn deliver(service: &Weak<SageMaker>) {
    let mut failures = 0_u32;
    while let Some(service) = service.upgrade() {
        let seen = service.bell.count();
        let Some(hook) = &service.hook else { return };
        // A clock that was set back in a new state must not hold an event up.
        let next = service.database.next_due(Timestamp::MAX);
        let outcome = match next {
            Ok(None) => {
                service.bell.wait(seen, Some(LOOK));
                continue;
            }
            Ok(Some(queued)) => match hook.post(&queued.body) {
                Ok(()) => service.database.remove(queued.seq).map(drop).map_err(|error| error.to_string()),
                Err(why) => Err(why),
            },
            Err(error) => Err(error.to_string()),
        };
        match outcome {
            Ok(()) => failures = 0,
            Err(why) => {
                failures += 1;
                tracing::warn!(why, failures, "event was not taken; it is tried again");
                let pause = Duration::from_millis(100) * failures.min(50);
                service.bell.wait(service.bell.count(), Some(pause.min(MAX_PAUSE)));
            }
        }
    }
}
