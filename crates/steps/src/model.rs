//! The model that `train` writes and everything else predicts with.
//!
//! `model.json` carries the fitted encoder beside the ensemble, so that a model predicts from raw features: champion
//! and candidate encode differently, and an endpoint sees requests as they come. The local world serves traffic with
//! [`Model::predict`] in its own process.

use refit_data::Frame;
use serde::{Deserialize, Serialize};

use crate::archive::{self, ArchiveError};
use crate::encode::{EncodeError, Encoder, Matrix};
use crate::engine::{Engine, EngineError};
use crate::hyperparameters::Hyperparameters;
use crate::request::{Feature, Interval, Request, Task};

/// The file's name in `/opt/ml/model` and at the top of `model.tar.gz`.
pub const MODEL_FILE: &str = "model.json";

/// A trained model.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    schema: u16,
    /// The run that trained it.
    pub run_id: String,
    /// What it predicts.
    pub task: Task,
    /// The raw columns it needs.
    pub features: Vec<Feature>,
    /// The interval whose rows it learned from.
    pub train: Interval,
    /// How many they were.
    pub rows: usize,
    /// What decided every draw.
    pub seed: u64,
    /// How it was trained.
    pub hyperparameters: Hyperparameters,
    encoder: Encoder,
    booster: Engine,
}

/// Why a model could not be read or used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The archive around it is not usable.
    #[error("model archive could not be read")]
    Archive(#[source] ArchiveError),
    /// The document does not parse.
    #[error("model document does not parse")]
    Syntax(#[source] serde_json::Error),
    /// The document parses and cannot be used.
    #[error("model document is damaged: {problem}")]
    Damaged {
        /// What is wrong.
        problem: String,
    },
    /// The rows are not what the model was trained on.
    #[error("rows could not be encoded for the model")]
    Encode(#[source] EncodeError),
}

impl Model {
    /// Fits a model to encoded training rows.
    ///
    /// # Errors
    /// When the engine cannot learn from them.
    pub fn fit(
        request: &Request,
        encoder: Encoder,
        matrix: &Matrix,
        labels: &[f64],
        hyperparameters: Hyperparameters,
    ) -> Result<Model, EngineError> {
        let booster = Engine::fit(request.task, matrix, labels, &hyperparameters, request.seed)?;
        Ok(Model {
            schema: 1,
            run_id: request.run_id.clone(),
            task: request.task,
            features: request.features.clone(),
            train: request.train,
            rows: matrix.rows,
            seed: request.seed,
            hyperparameters,
            encoder,
            booster,
        })
    }

    /// Reads the model in a `model.tar.gz`.
    ///
    /// # Errors
    /// When the archive or the document in it is not usable.
    pub fn from_tar_gz(bytes: &[u8]) -> Result<Model, ModelError> {
        let document =
            archive::read_file(bytes, MODEL_FILE, archive::MAX_UNPACKED_BYTES).map_err(ModelError::Archive)?;
        Model::from_json(&document)
    }

    /// Reads a `model.json`.
    ///
    /// # Errors
    /// When it does not parse or cannot be used.
    pub fn from_json(bytes: &[u8]) -> Result<Model, ModelError> {
        let model: Model = serde_json::from_slice(bytes).map_err(ModelError::Syntax)?;
        let problem = if model.schema != 1 || model.encoder.schema != 1 {
            Some(format!("schema {} is not known; this program reads schema 1", model.schema))
        } else {
            model.booster.find_problem(model.task, model.encoder.column_names().len())
        };
        match problem {
            Some(problem) => Err(ModelError::Damaged { problem }),
            None => Ok(model),
        }
    }

    /// Predicts raw rows; for a binary task the probability of 1.
    ///
    /// Columns that the model does not need may be there; a category it never saw counts as missing.
    ///
    /// # Errors
    /// When a feature is missing or of another kind.
    pub fn predict(&self, frame: &Frame) -> Result<Vec<f64>, ModelError> {
        let matrix = self.encoder.encode(frame).map_err(ModelError::Encode)?;
        Ok(self.booster.predict(&matrix))
    }
}

#[cfg(test)]
mod tests {
    use refit_data::{Column, Values};

    use super::*;

    fn trained() -> (Model, Frame) {
        let request = serde_json::to_vec(&crate::request::tests::example()).expect("json");
        let mut request = Request::parse(&request).expect("valid");
        request.features.retain(|it| it.name == "distance");
        let numbers: Vec<f64> = (0..200).map(f64::from).collect();
        let values = Values::Numeric(numbers.iter().copied().map(Some).collect());
        let frame = Frame::new(vec![Column { name: "distance".to_owned(), values }]).expect("frame");
        let encoder = Encoder::fit(&request.features, &frame, &numbers).expect("fits");
        let matrix = encoder.encode(&frame).expect("encodes");
        let model = Model::fit(&request, encoder, &matrix, &numbers, Hyperparameters::default()).expect("fits");
        (model, frame)
    }

    #[test]
    fn a_model_predicts_the_same_after_its_archive() {
        let (model, frame) = trained();
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join(MODEL_FILE), serde_json::to_vec(&model).expect("json")).expect("writes");
        let packed = archive::pack_model(folder.path()).expect("packs");
        let read = Model::from_tar_gz(&packed).expect("reads");
        assert_eq!(read.predict(&frame).expect("predicts"), model.predict(&frame).expect("predicts"));
        assert!(read.predict(&frame.take(&[])).expect("predicts").is_empty());
        assert!(read.predict(&Frame::default()).is_err());
    }

    #[test]
    fn unknown_schemas_and_damaged_trees_are_refused() {
        let (model, _) = trained();
        let document = serde_json::to_value(&model).expect("json");
        let refused = |pointer: &str, value: serde_json::Value| {
            let mut changed = document.clone();
            *changed.pointer_mut(pointer).expect("pointer") = value;
            let error = Model::from_json(changed.to_string().as_bytes()).expect_err("refused");
            matches!(error, ModelError::Damaged { .. })
        };
        assert!(refused("/schema", 2.into()));
        assert!(refused("/task", "binary".into()));
        assert!(refused("/booster/trees/0/nodes/0/right_child", 9999.into()));
    }
}
