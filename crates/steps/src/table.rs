//! Tables between the steps: reading with declared kinds, writing, and taking columns out as plain numbers.

use std::path::Path;

use refit_data::{Column, FileRange, Frame, Kind, Label, ReadError, ReadOptions, Values};

use crate::{StepError, files};

/// The id column of the steps' own files.
pub(crate) const ID: &str = "id";
/// Their time column.
pub(crate) const TS: &str = "ts";
/// Their label column.
pub(crate) const LABEL: &str = "label";

/// Reads the wanted columns of a file.
pub(crate) fn read(path: &Path, columns: &[(String, Kind)]) -> Result<Frame, StepError> {
    read_as(path, columns).map_err(|source| StepError::Data { path: path.display().to_string(), source })
}

/// As [`read`], with the reader's own error.
pub(crate) fn read_as(path: &Path, columns: &[(String, Kind)]) -> Result<Frame, ReadError> {
    let source = FileRange::open(path).map_err(ReadError::Io)?;
    refit_data::read(&source, &ReadOptions { columns: Some(columns.to_vec()) })
}

/// Writes columns as Parquet and gives the bytes.
pub(crate) fn write(path: &Path, columns: Vec<Column>) -> Result<Vec<u8>, StepError> {
    let frame = Frame::new(columns).map_err(StepError::Table)?;
    let bytes = refit_data::write_parquet(&frame);
    files::write(path, &bytes)?;
    Ok(bytes)
}

/// A column of numbers in which NaN is missing.
pub(crate) fn numeric_column(name: &str, values: &[f64]) -> Column {
    let values = values.iter().map(|it| Some(*it).filter(|it| !it.is_nan())).collect();
    Column { name: name.to_owned(), values: Values::Numeric(values) }
}

/// The numbers of a column, missing ones as NaN; empty when there is no such column of numbers.
pub(crate) fn numbers(frame: &Frame, name: &str) -> Vec<f64> {
    match frame.find_column(name).map(|it| &it.values) {
        Some(Values::Numeric(values)) => values.iter().map(|it| it.unwrap_or(f64::NAN)).collect(),
        Some(Values::Categorical(_) | Values::Time(_)) | None => Vec::new(),
    }
}

/// The texts of a column, numbers in their shortest form, missing ones empty.
pub(crate) fn texts(frame: &Frame, name: &str) -> Vec<String> {
    match frame.find_column(name).map(|it| &it.values) {
        Some(Values::Numeric(values)) => {
            values.iter().map(|it| it.map_or_else(String::new, |it| Label::Number(it).class())).collect()
        }
        Some(Values::Categorical(values)) => {
            (0..values.codes.len()).map(|row| values.get(row).unwrap_or_default().to_owned()).collect()
        }
        Some(Values::Time(_)) | None => vec![String::new(); frame.rows()],
    }
}

/// The times of a column; empty when there is no such column of times.
pub(crate) fn times<'a>(frame: &'a Frame, name: &str) -> &'a [Option<i64>] {
    match frame.find_column(name).map(|it| &it.values) {
        Some(Values::Time(values)) => values,
        Some(Values::Categorical(_) | Values::Numeric(_)) | None => &[],
    }
}
