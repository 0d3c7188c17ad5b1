//! `train`: fits the candidate to the encoded rows.

use refit_data::Kind;

use crate::encode::{Encoder, Matrix};
use crate::hyperparameters::Hyperparameters;
use crate::model::{MODEL_FILE, Model};
use crate::request::Request;
use crate::table::{LABEL, numbers};
use crate::{Paths, StepError, files, table};

pub(crate) fn run(paths: &Paths) -> Result<(), StepError> {
    let request = Request::read(&paths.channel("request").join("request.json"))?;
    let hyperparameters = read_hyperparameters(paths)?;
    let encoder: Encoder = files::read_json(&paths.channel("features").join("features.json"))?;
    if encoder.schema != 1 {
        return Err(StepError::Mismatch { problem: format!("features.json has unknown schema {}", encoder.schema) });
    }

    let names = encoder.column_names();
    let mut columns: Vec<(String, Kind)> = names.iter().map(|name| (name.clone(), Kind::Numeric)).collect();
    columns.push((LABEL.to_owned(), Kind::Numeric));
    let rows = table::read(&paths.channel("train").join("train.parquet"), &columns)?;
    let data = names.iter().flat_map(|name| numbers(&rows, name)).collect();
    let matrix = Matrix { names, rows: rows.rows(), data };
    let labels = numbers(&rows, LABEL);
    if let Some(row) = labels.iter().position(|it| !it.is_finite()) {
        return Err(StepError::Mismatch { problem: format!("row {} has no finite label", row + 1) });
    }

    let model = Model::fit(&request, encoder, &matrix, &labels, hyperparameters).map_err(StepError::Engine)?;
    let path = paths.model().join(MODEL_FILE);
    files::write(&path, &files::to_json(&model, &path)?)?;
    println!("{}", serde_json::json!({"step": "train", "run_id": request.run_id, "rows": matrix.rows}));
    Ok(())
}

/// A job without hyperparameters has no file, or an empty object.
fn read_hyperparameters(paths: &Paths) -> Result<Hyperparameters, StepError> {
    let path = paths.hyperparameters();
    if !path.exists() {
        return Ok(Hyperparameters::default());
    }
    Hyperparameters::parse(&files::read(&path)?).map_err(StepError::Hyperparameters)
}
