//! `preprocess`: splits by time, fits the encoder on the training rows, encodes them.
//!
//! The hold-out stays raw: champion and candidate have encoders of their own, and both are to see the same rows.

use refit_data::{Column, Frame, Kind};

use crate::encode::Encoder;
use crate::request::{Interval, Request};
use crate::table::{ID, LABEL, TS, numbers, numeric_column, times};
use crate::{Paths, StepError, files, table};

/// Below this an ensemble only memorizes.
const MIN_TRAIN_ROWS: usize = 50;
/// Below this no comparison with the champion can come out either way.
const MIN_HOLDOUT_ROWS: usize = 20;

pub(crate) fn run(paths: &Paths) -> Result<(), StepError> {
    let request = Request::read(&paths.processing("request").join("request.json"))?;
    let rows = table::read(&paths.processing("data").join("ingested.parquet"), &raw_columns(&request))?;
    let train = rows.take(&rows_in(&rows, &request.train));
    let holdout = rows.take(&rows_in(&rows, &request.holdout));
    for (part, setting, interval, needed, found) in [
        ("training", "window", request.train, MIN_TRAIN_ROWS, train.rows()),
        ("hold-out", "holdout", request.holdout, MIN_HOLDOUT_ROWS, holdout.rows()),
    ] {
        if found < needed {
            return Err(StepError::TooFewRows { part, setting, found, needed, interval });
        }
    }

    let labels = numbers(&train, LABEL);
    let encoder = Encoder::fit(&request.features, &train, &labels).map_err(StepError::Encode)?;
    let matrix = encoder.encode(&train).map_err(StepError::Encode)?;
    let mut encoded: Vec<Column> =
        matrix.names.iter().enumerate().map(|(index, name)| numeric_column(name, matrix.column(index))).collect();
    encoded.push(numeric_column(LABEL, &labels));

    let counts = serde_json::json!({
        "step": "preprocess", "run_id": request.run_id, "train_rows": train.rows(), "holdout_rows": holdout.rows(),
        "columns": matrix.names,
    });
    table::write(&paths.processing("train").join("train.parquet"), encoded)?;
    table::write(&paths.processing("holdout").join("holdout.parquet"), holdout.into_columns())?;
    let features = paths.processing("features").join("features.json");
    files::write(&features, &files::to_json(&encoder, &features)?)?;
    println!("{counts}");
    Ok(())
}

/// The columns of `ingested.parquet` and `holdout.parquet`.
pub(crate) fn raw_columns(request: &Request) -> Vec<(String, Kind)> {
    let own = [(ID, Kind::Categorical), (TS, Kind::Time), (LABEL, Kind::Numeric)];
    let own = own.into_iter().map(|(name, kind)| (name.to_owned(), kind));
    own.chain(request.features.iter().map(|it| (it.name.clone(), it.kind))).collect()
}

fn rows_in(rows: &Frame, interval: &Interval) -> Vec<usize> {
    let is_inside = |time: &Option<i64>| time.is_some_and(|it| interval.contains_micros(it));
    times(rows, TS).iter().enumerate().filter(|(_, time)| is_inside(time)).map(|(row, _)| row).collect()
}
