//! What can go wrong with a world.

use std::path::{Path, PathBuf};

use refit_app::AppError;
use refit_app::ports::{ObjectError, PipelineError, TableError};

use crate::pipeline::DefineError;
use crate::store::OpenError;

/// Why a world cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The state directory cannot be used.
    #[error("state directory `{path}` cannot be used")]
    State {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its API cannot be served.
    #[error("the API cannot be served on port {port} of 127.0.0.1")]
    Server {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process drives the world.
    #[error("another process is working on state directory `{0}`; wait for it to end")]
    InUse(PathBuf),
    /// A store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database failed.
    #[error("reading or writing the state")]
    Table(#[from] TableError),
    /// An object cannot be read or written.
    #[error("reading or writing an object")]
    Object(#[from] ObjectError),
    /// The pipeline service failed.
    #[error("running a pipeline")]
    Pipeline(#[from] PipelineError),
    /// The pipeline definition is wrong.
    #[error("{0}")]
    Definition(String),
    /// A use case failed.
    #[error(transparent)]
    App(#[from] AppError),
    /// The data does not fit.
    #[error("{0}")]
    Data(String),
    /// The model in service cannot score.
    #[error("scoring traffic with `{package}`")]
    Scoring {
        /// The package.
        package: String,
        /// Why.
        #[source]
        source: refit_steps::ModelError,
    },
}

impl WorldError {
    pub(crate) fn state(path: &Path, source: std::io::Error) -> WorldError {
        WorldError::State { path: path.to_owned(), source }
    }
}

impl From<DefineError> for WorldError {
    fn from(error: DefineError) -> Self {
        match error {
            DefineError::Problems(problems) => {
                let lines: Vec<String> = problems.iter().map(|it| format!("  {it}")).collect();
                WorldError::Definition(format!("the pipeline definition is wrong:\n{}", lines.join("\n")))
            }
            DefineError::Pipeline(error) => WorldError::Pipeline(error),
        }
    }
}
