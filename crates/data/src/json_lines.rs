//! JSON Lines: one object a line. A key that a line lacks, and null, are missing values; blank lines are skipped.

use std::collections::HashMap;

use crate::build::{Cell, ColumnBuilder, Guess};
use crate::error::ReadError;
use crate::frame::Kind;
use crate::json::Object;
use crate::limits::{MAX_CELL_BYTES, MAX_COLUMNS};
use crate::stream::TextStream;
use crate::text_table::{AfterRow, Seen};

/// The columns with what their values look like, in order of first appearance.
#[derive(Default)]
pub(crate) struct Guesses {
    columns: Vec<(String, Guess)>,
    at: HashMap<String, usize>,
}

impl Guesses {
    /// Looks at the members of one object.
    pub(crate) fn observe(&mut self, object: Object) -> Result<(), ReadError> {
        for (key, cell) in object.0 {
            self.observe_cell(key, &cell)?;
        }
        Ok(())
    }

    /// Looks at one value.
    pub(crate) fn observe_cell(&mut self, key: String, cell: &Cell<'_>) -> Result<(), ReadError> {
        let columns = &mut self.columns;
        let index = *self.at.entry(key).or_insert_with_key(|key| {
            columns.push((key.clone(), Guess::default()));
            columns.len() - 1
        });
        if MAX_COLUMNS < columns.len() {
            return Err(ReadError::TooLarge { what: "columns are", limit: MAX_COLUMNS as u64 });
        }
        if columns[index].0.trim().is_empty() {
            return Err(ReadError::UnnamedColumn { column: index + 1 });
        }
        columns[index].1.observe(cell);
        Ok(())
    }

    /// The columns with their kinds.
    pub(crate) fn finish(self) -> Vec<(String, Kind)> {
        self.columns.into_iter().map(|(name, guess)| (name, guess.kind())).collect()
    }
}

/// The columns of all lines, with inferred kinds.
pub(crate) fn infer(stream: TextStream<'_>) -> Result<Vec<(String, Kind)>, ReadError> {
    let mut guesses = Guesses::default();
    stream.each_line(&mut |line, content| guesses.observe(parse(line, content)?))?;
    Ok(guesses.finish())
}

/// Reads the rows into `builders`, one for each of `wanted`.
pub(crate) fn read_rows(
    stream: TextStream<'_>,
    wanted: &[(String, Kind)],
    builders: &mut [ColumnBuilder],
    after_row: AfterRow<'_>,
) -> Result<(), ReadError> {
    let mut seen = Seen::new(wanted);
    stream.each_line(&mut |line, content| {
        let object = parse(line, content)?;
        seen.observe(object.0.iter().map(|it| it.0.as_str()));
        for (builder, (name, _)) in builders.iter_mut().zip(wanted) {
            push(builder, object.get(name), line)?;
        }
        after_row(builders)
    })?;
    seen.check()
}

/// Appends a value of a line, unless it is too long.
pub(crate) fn push(builder: &mut ColumnBuilder, cell: &Cell<'_>, line: usize) -> Result<(), ReadError> {
    if matches!(cell, Cell::Text(text) if MAX_CELL_BYTES < text.len()) {
        return Err(ReadError::CellTooLong { line: line as u64 });
    }
    builder.push(cell)
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
