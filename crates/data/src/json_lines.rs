//! JSON Lines: one object a line. A key that a line lacks, and null, are missing values; blank lines are skipped.

use std::collections::HashMap;

use crate::build::{Cell, ColumnBuilder, Guess};
use crate::error::{ReadError, missing_column};
use crate::frame::{Frame, Kind};
use crate::json::Object;
use crate::limits::{MAX_CELL_BYTES, MAX_COLUMNS, MAX_ROWS};
use crate::options::ReadOptions;

/// Reads `text`, whose lines are objects.
pub(crate) fn read_json_lines(text: &str, options: &ReadOptions) -> Result<Frame, ReadError> {
    let keys = collect_keys(text)?;
    let wanted: Vec<(String, Kind)> = match &options.columns {
        Some(columns) => columns.clone(),
        None => keys.iter().map(|(name, guess)| (name.clone(), guess.kind())).collect(),
    };
    for (name, _) in &wanted {
        if !keys.iter().any(|(it, _)| it == name) {
            return Err(missing_column(name, keys.iter().map(|(it, _)| it.as_str())));
        }
    }
    let mut builders: Vec<ColumnBuilder> = wanted.iter().map(|(name, kind)| ColumnBuilder::new(name, *kind)).collect();
    for (line, content) in content_lines(text) {
        let object = parse(line, content)?;
        for (builder, (name, _)) in builders.iter_mut().zip(&wanted) {
            let cell = object.get(name);
            if matches!(cell, Cell::Text(text) if MAX_CELL_BYTES < text.len()) {
                return Err(ReadError::CellTooLong { line: line as u64 });
            }
            builder.push(cell)?;
        }
    }
    Frame::new(builders.into_iter().map(ColumnBuilder::finish).collect()).map_err(ReadError::Frame)
}

/// The lines that are not blank, with their numbers.
pub(crate) fn content_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split('\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_ascii()))
        .filter(|(_, line)| !line.is_empty())
}

fn parse(line: usize, content: &str) -> Result<Object, ReadError> {
    serde_json::from_str(content).map_err(|source| ReadError::Json { line, source })
}

/// Every key in order of first appearance, with what its values look like.
fn collect_keys(text: &str) -> Result<Vec<(String, Guess)>, ReadError> {
    let mut guesses: Vec<(String, Guess)> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut rows = 0;
    for (line, content) in content_lines(text) {
        rows += 1;
        if MAX_ROWS < rows {
            return Err(ReadError::TooLarge { what: "rows are", limit: MAX_ROWS as u64 });
        }
        for (key, cell) in parse(line, content)?.0 {
            let index = *at.entry(key).or_insert_with_key(|key| {
                guesses.push((key.clone(), Guess::default()));
                guesses.len() - 1
            });
            if MAX_COLUMNS < guesses.len() {
                return Err(ReadError::TooLarge { what: "columns are", limit: MAX_COLUMNS as u64 });
            }
            if guesses[index].0.trim().is_empty() {
                return Err(ReadError::UnnamedColumn { column: index + 1 });
            }
            guesses[index].1.observe(&cell);
        }
    }
    Ok(guesses)
}
