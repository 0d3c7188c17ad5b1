//! The model that `train` writes and everything else predicts with.
//!
//! `model.json` carries fitted encoders beside the trees, so that a model predicts from raw features: champion and
//! candidate encode differently, and an endpoint sees requests as they come. The local world serves traffic with
//! [`Model::score`] in its own process.
//!
//! A model is a list of stages whose margins add up: the first was fitted from nothing, each later one to what the ones
//! before it left unexplained in rows that they had not seen. Every stage has an encoder of its own, so that a category
//! which is new to the first stage is known to the second.

use refit_data::Frame;
use serde::{Deserialize, Serialize};

use crate::archive::{self, ArchiveError};
use crate::encode::{EncodeError, Encoder};
use crate::engine::{Loss, Margins, Trees};
use crate::hyperparameters::Hyperparameters;
use crate::request::{Feature, Interval, Strategy, Task};

/// The file's name in `/opt/ml/model` and at the top of `model.tar.gz`.
pub const MODEL_FILE: &str = "model.json";

/// A trained model.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub(crate) schema: u16,
    /// The run that trained it.
    pub run_id: String,
    /// What it predicts.
    pub task: Task,
    /// The classes in the order of its scores, sorted; empty unless the task is multiclass.
    pub classes: Vec<String>,
    /// The raw columns it needs.
    pub features: Vec<Feature>,
    /// The interval whose rows its last stage learned from.
    pub train: Interval,
    /// How many they were.
    pub rows: usize,
    /// What decided every draw.
    pub seed: u64,
    /// How its last stage was trained.
    pub hyperparameters: Hyperparameters,
    /// Whether the run did what it was asked for.
    pub training: Training,
    /// Where margins begin, by output.
    pub(crate) base: Vec<f64>,
    /// Never empty.
    pub(crate) stages: Vec<Stage>,
}

/// What a run was asked to do and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The strategy of the request.
    pub asked: Strategy,
    /// The strategy that was carried out.
    pub used: Strategy,
    /// Why they differ; empty when they do not.
    pub reason: String,
    /// The stages of the model.
    pub stages: usize,
}

/// Trees that were grown in one run, and the encoder whose columns they split on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The run that grew them.
    pub run_id: String,
    /// The interval whose rows they were grown on.
    pub train: Interval,
    /// How many rows those were.
    pub rows: usize,
    pub(crate) encoder: Encoder,
    pub(crate) trees: Trees,
}

/// What a model answers for several rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Scores {
    /// The number, or the probability of 1, a row.
    Numbers(Vec<f64>),
    /// The probability of each class, in the order of [`Model::classes`], a row; each row's add up to 1.
    Classes(Vec<Vec<f64>>),
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
    /// The version of the document.
    pub(crate) const SCHEMA: u16 = 1;

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
        match model.find_problem() {
            Some(problem) => Err(ModelError::Damaged { problem }),
            None => Ok(model),
        }
    }

    fn find_problem(&self) -> Option<String> {
        if self.schema != Model::SCHEMA || self.stages.iter().any(|it| it.encoder.schema != 1) {
            return Some(format!("schema {} is not known; this program reads schema {}", self.schema, Model::SCHEMA));
        }
        let outputs = match self.task {
            Task::Regression | Task::Binary if self.classes.is_empty() => 1,
            Task::Regression | Task::Binary => return Some("its task has no classes, and it has".to_owned()),
            Task::Multiclass if self.classes.len() < 2 => return Some("it has fewer than two classes".to_owned()),
            Task::Multiclass => self.classes.len(),
        };
        if self.base.len() != outputs {
            return Some(format!("it has {} base scores for {outputs} outputs", self.base.len()));
        }
        if self.base.iter().any(|it| !it.is_finite()) {
            return Some("its base score is not a finite number".to_owned());
        }
        if self.stages.is_empty() {
            return Some("it has no stages".to_owned());
        }
        self.stages.iter().find_map(|it| it.trees.find_problem(outputs, it.encoder.column_names().len()))
    }

    /// Scores raw rows.
    ///
    /// Columns that the model does not need may be there; a category it never saw counts as missing.
    ///
    /// # Errors
    /// When a feature is missing or of another kind.
    pub fn score(&self, frame: &Frame) -> Result<Scores, ModelError> {
        let mut scores = Loss::of(self.task).to_scores(self.margins(frame)?);
        Ok(match self.task {
            Task::Regression | Task::Binary => Scores::Numbers(scores.swap_remove(0)),
            Task::Multiclass => {
                Scores::Classes((0..frame.rows()).map(|row| scores.iter().map(|it| it[row]).collect()).collect())
            }
        })
    }

    /// The numbers of [`Model::score`]; of several classes, the probability of the first.
    ///
    /// # Errors
    /// When a feature is missing or of another kind.
    pub fn predict(&self, frame: &Frame) -> Result<Vec<f64>, ModelError> {
        Ok(match self.score(frame)? {
            Scores::Numbers(numbers) => numbers,
            Scores::Classes(rows) => rows.iter().map(|it| it[0]).collect(),
        })
    }

    /// What the trees say of raw rows, by output.
    pub(crate) fn margins(&self, frame: &Frame) -> Result<Margins, ModelError> {
        let mut margins: Margins = self.base.iter().map(|it| vec![*it; frame.rows()]).collect();
        for stage in &self.stages {
            let matrix = stage.encoder.encode(frame).map_err(ModelError::Encode)?;
            stage.trees.add_to(&matrix, &mut margins);
        }
        Ok(margins)
    }
}

#[cfg(test)]
mod tests {
    use refit_data::{Column, Values};

    use super::*;
    use crate::engine::{Examples, boost};
    use crate::request::Request;

    fn trained() -> (Model, Frame) {
        let request = serde_json::to_vec(&crate::request::tests::example()).expect("json");
        let mut request = Request::parse(&request).expect("valid");
        request.features.retain(|it| it.name == "distance");
        let numbers: Vec<f64> = (0..200).map(f64::from).collect();
        let values = Values::Numeric(numbers.iter().copied().map(Some).collect());
        let frame = Frame::new(vec![Column { name: "distance".to_owned(), values }]).expect("frame");
        let encoder = Encoder::fit(&request.features, &frame, std::slice::from_ref(&numbers)).expect("fits");
        let matrix = encoder.encode(&frame).expect("encodes");
        let hyperparameters = Hyperparameters::default();
        let mut margins = vec![vec![0.0; 200]];
        let examples = Examples { matrix: &matrix, labels: &numbers };
        let trees = boost(Loss::Squared, &examples, &mut margins, &hyperparameters, 20, 1).expect("fits");
        let stage = Stage { run_id: request.run_id.clone(), train: request.train, rows: 200, encoder, trees };
        let model = Model {
            schema: Model::SCHEMA,
            run_id: request.run_id,
            task: Task::Regression,
            classes: Vec::new(),
            features: request.features,
            train: request.train,
            rows: 200,
            seed: 1,
            hyperparameters,
            training: Training { asked: Strategy::Full, used: Strategy::Full, reason: String::new(), stages: 1 },
            base: vec![0.0],
            stages: vec![stage],
        };
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
        assert!(refused("/task", "multiclass".into()));
        assert!(refused("/classes", serde_json::json!(["a", "b"])));
        assert!(refused("/base", serde_json::json!([0.0, 0.0])));
        assert!(refused("/stages", serde_json::json!([])));
        assert!(refused("/stages/0/trees/0/nodes/0/right_child", 9999.into()));
    }
}
