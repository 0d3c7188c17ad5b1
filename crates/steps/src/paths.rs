//! Where SageMaker puts things, in one place.
//!
//! Everything a step reads and writes lies below `/opt/ml`. With `REFIT_SANDBOX` set, which is how the local world runs
//! several steps side by side, it lies below `$REFIT_SANDBOX/opt/ml`. No other module spells out such a path.

use std::path::{Path, PathBuf};

/// The environment variable that moves `/opt/ml` below a folder.
pub const SANDBOX_VARIABLE: &str = "REFIT_SANDBOX";

/// The container's folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// The paths of this process: `/opt/ml`, or below `$REFIT_SANDBOX`.
    #[must_use]
    pub fn from_env() -> Paths {
        match std::env::var_os(SANDBOX_VARIABLE) {
            Some(folder) if !folder.is_empty() => Paths::in_sandbox(Path::new(&folder)),
            Some(_) | None => Paths { root: PathBuf::from("/opt/ml") },
        }
    }

    /// The paths below a sandbox folder.
    #[must_use]
    pub fn in_sandbox(folder: &Path) -> Paths {
        Paths { root: folder.join("opt/ml") }
    }

    /// `/opt/ml/processing/<name>`: a processing job's input or output.
    #[must_use]
    pub fn processing(&self, name: &str) -> PathBuf {
        self.root.join("processing").join(name)
    }

    /// `/opt/ml/input/data/<name>`: a training job's channel.
    #[must_use]
    pub fn channel(&self, name: &str) -> PathBuf {
        self.root.join("input/data").join(name)
    }

    /// `/opt/ml/input/config/hyperparameters.json`.
    #[must_use]
    pub fn hyperparameters(&self) -> PathBuf {
        self.root.join("input/config/hyperparameters.json")
    }

    /// `/opt/ml/model`: what SageMaker packs into `model.tar.gz`.
    #[must_use]
    pub fn model(&self) -> PathBuf {
        self.root.join("model")
    }

    /// `/opt/ml/output/message`: a processing job's `ExitMessage`.
    #[must_use]
    pub fn message(&self) -> PathBuf {
        self.root.join("output/message")
    }

    /// `/opt/ml/output/failure`: a training job's `FailureReason`.
    #[must_use]
    pub fn failure(&self) -> PathBuf {
        self.root.join("output/failure")
    }
}
