//! The reference pipeline's program: the four steps that turn labeled data into a judged candidate.
//!
//! `ingest` joins history with captured traffic and its ground truth; `preprocess` splits by time and fits the feature
//! encoder; `train` fits the candidate; `evaluate` scores candidate and champion on the same held-out rows. Each runs
//! as a SageMaker Processing or Training container, or as a child process of the local world, and talks to its
//! neighbors only through files whose places [`Paths`] knows. The definition that strings them together is
//! `infra/pipelines/retrain.json`.
//!
//! Invariants: the same files give the same bytes out, as files are visited in order, nothing asks a clock and every
//! draw comes from the request's seed; the encoder and the model see training rows only; a step that fails says why in
//! the one file that SageMaker shows.
//!
//! A fifth program, `serve`, answers requests with a model, as the container behind a SageMaker endpoint; the local world
//! uses [`Model`] in process instead.
//!
//! What is not here: judging the candidate (`refit-core`), and registering it (the pipeline's own steps).

mod archive;
mod continuation;
mod encode;
mod engine;
mod error;
mod evaluate;
mod files;
mod hyperparameters;
mod ingest;
mod join;
mod model;
mod paths;
mod preprocess;
mod request;
mod serve;
mod table;
mod train;

use clap::Subcommand;

pub use archive::{ArchiveError, MAX_UNPACKED_BYTES, pack_model};
pub use encode::{Category, EncodeError, Encoder, FeatureEncoding, Matrix};
pub use engine::EngineError;
pub use error::{MAX_REPORT_BYTES, StepError, with_causes};
pub use hyperparameters::{HyperparameterError, Hyperparameters};
pub use model::{MODEL_FILE, Model, ModelError, Scores, Stage, Training};
pub use paths::{Paths, SANDBOX_VARIABLE};
pub use request::{Feature, Interval, Request, Strategy, Task};
pub use serve::ServeOptions;

/// A step of the reference pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Step {
    /// Join the labeled history with captured traffic and its ground truth.
    Ingest,
    /// Split by time and fit the feature encoder on the training rows.
    Preprocess,
    /// Fit the candidate.
    Train,
    /// Score candidate and champion on the same held-out rows.
    Evaluate,
}

/// What the program does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Program {
    /// One step of the pipeline.
    #[command(flatten)]
    Step(Step),
    /// Answer requests with a model: /ping and /invocations.
    Serve(ServeOptions),
}

/// Runs a step to its end, or serves until the process is told to end.
///
/// # Errors
/// When the step fails, or nothing can be served.
pub fn run_program(program: Program) -> Result<(), StepError> {
    match program {
        Program::Step(step) => run(step),
        Program::Serve(options) => serve::run(&options, &Paths::from_env()),
    }
}

/// Runs a step in this process's `/opt/ml`, or below `$REFIT_SANDBOX`.
///
/// A failure is also written to the file from which SageMaker takes its message; whoever calls this prints it and ends
/// with a non-zero exit code.
///
/// # Errors
/// When the step fails.
pub fn run(step: Step) -> Result<(), StepError> {
    run_in(step, &Paths::from_env())
}

/// Runs a step in the given folders.
///
/// # Errors
/// When the step fails.
pub fn run_in(step: Step, paths: &Paths) -> Result<(), StepError> {
    let (result, report) = match step {
        Step::Ingest => (ingest::run(paths), paths.message()),
        Step::Preprocess => (preprocess::run(paths), paths.message()),
        Step::Train => (train::run(paths), paths.failure()),
        Step::Evaluate => (evaluate::run(paths), paths.message()),
    };
    match &result {
        Ok(()) => tracing::info!(?step, "step finished"),
        Err(error) => {
            let text = with_causes(error);
            // The step's own error matters more than that it could not be reported; it is returned either way.
            if let Err(problem) = files::write(&report, error::cut(&text).as_bytes()) {
                tracing::warn!(error = with_causes(&problem), "failure report could not be written");
            }
        }
    }
    result
}
