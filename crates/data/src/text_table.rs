//! CSV, JSON Lines and data capture behind one form: what the columns are, and the rows, in order.

use std::collections::BTreeSet;

use crate::build::{ColumnBuilder, Guess};
use crate::capture_table;
use crate::csv;
use crate::error::{ReadError, missing_column};
use crate::frame::Kind;
use crate::json_lines;
use crate::limits::MAX_COLUMNS;
use crate::stream::TextStream;

/// What is called after each row, with the builders that hold it.
pub(crate) type AfterRow<'a> = &'a mut dyn FnMut(&mut [ColumnBuilder]) -> Result<(), ReadError>;

/// A format of text, told by how the text begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    Csv,
    JsonLines,
    Capture,
}

impl TextFormat {
    /// The format of a text.
    pub(crate) fn detect(stream: &mut TextStream<'_>) -> Result<TextFormat, ReadError> {
        // The key stands near the beginning: before it are other keys of the same object, which are short.
        const LOOKED_AT: usize = 4096;
        while stream.text().len() < LOOKED_AT && !stream.is_done() {
            stream.grow()?;
        }
        let content = stream.text().trim_ascii_start();
        if content.starts_with('{') {
            let line = content.split('\n').next().unwrap_or_default();
            let end = (0..=LOOKED_AT.min(line.len())).rev().find(|it| line.is_char_boundary(*it)).unwrap_or(0);
            return Ok(if is_capture(&line[..end]) { TextFormat::Capture } else { TextFormat::JsonLines });
        }
        if content.strip_prefix('[').is_some_and(|it| it.trim_ascii_start().starts_with(['{', '['])) {
            return Err(ReadError::Unsupported("a JSON array (JSON Lines is)"));
        }
        Ok(TextFormat::Csv)
    }

    /// Every column with the kind that its values say; reads all of the text.
    pub(crate) fn infer(self, mut stream: TextStream<'_>) -> Result<Vec<(String, Kind)>, ReadError> {
        match self {
            TextFormat::Csv => {
                let header = csv::read_header(&mut stream)?;
                let mut guesses = vec![Guess::default(); header.names.len()];
                csv::each_row(&mut stream, &header, &mut |cells| {
                    for (guess, cell) in guesses.iter_mut().zip(cells) {
                        guess.observe(cell);
                    }
                    Ok(())
                })?;
                Ok(header.names.into_iter().zip(guesses.into_iter().map(Guess::kind)).collect())
            }
            TextFormat::JsonLines => json_lines::infer(stream),
            TextFormat::Capture => capture_table::infer(stream),
        }
    }

    /// The names of all columns; reads all of the text unless it has a header.
    pub(crate) fn column_names(self, mut stream: TextStream<'_>) -> Result<Vec<String>, ReadError> {
        match self {
            TextFormat::Csv => Ok(csv::read_header(&mut stream)?.names),
            TextFormat::JsonLines | TextFormat::Capture => Ok(self.infer(stream)?.into_iter().map(|it| it.0).collect()),
        }
    }

    /// Reads the rows of the `wanted` columns, of which there is a builder each.
    pub(crate) fn read_rows(
        self,
        mut stream: TextStream<'_>,
        wanted: &[(String, Kind)],
        builders: &mut [ColumnBuilder],
        after_row: AfterRow<'_>,
    ) -> Result<(), ReadError> {
        if MAX_COLUMNS < wanted.len() {
            return Err(ReadError::TooLarge { what: "columns are", limit: MAX_COLUMNS as u64 });
        }
        match self {
            TextFormat::Csv => {
                let header = csv::read_header(&mut stream)?;
                let places = csv::find_wanted(wanted, &header.names)?;
                csv::each_row(&mut stream, &header, &mut |cells| {
                    for (builder, at) in builders.iter_mut().zip(&places) {
                        builder.push(&cells[*at])?;
                    }
                    after_row(builders)
                })
            }
            TextFormat::JsonLines => json_lines::read_rows(stream, wanted, builders, after_row),
            TextFormat::Capture => capture_table::read_rows(stream, wanted, builders, after_row),
        }
    }
}

/// Whether a line that begins like this is an object with the key `captureData`, not within one of its values.
fn is_capture(start: &str) -> bool {
    let mut depth = 0;
    let mut rest = start;
    while let Some(at) = rest.find(['{', '}', '[', ']', '"']) {
        match rest.as_bytes()[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {
                let text = &rest[at + 1..];
                let Some(end) = end_of_string(text) else { return false };
                let is_key = text[end + 1..].trim_ascii_start().starts_with(':');
                if depth == 1 && is_key && &text[..end] == "captureData" {
                    return true;
                }
                rest = &text[end + 1..];
                continue;
            }
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Where the quote is that ends a JSON string.
fn end_of_string(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|it| {
        let is_end = it == b'"' && !is_escaped;
        is_escaped = it == b'\\' && !is_escaped;
        is_end
    })
}

/// Which wanted columns have occurred as keys, for formats without a header.
pub(crate) struct Seen<'a> {
    wanted: &'a [(String, Kind)],
    lacking: BTreeSet<&'a str>,
    present: Vec<String>,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(wanted: &'a [(String, Kind)]) -> Seen<'a> {
        Seen { wanted, lacking: wanted.iter().map(|it| it.0.as_str()).collect(), present: Vec::new() }
    }

    /// Notes the keys of one object.
    pub(crate) fn observe<'k>(&mut self, keys: impl Iterator<Item = &'k str>) {
        // A message names some of the keys; all of them need not be kept.
        const MOST: usize = 60;
        if self.lacking.is_empty() {
            return;
        }
        for key in keys {
            self.lacking.remove(key);
            if self.present.len() < MOST && !self.present.iter().any(|it| it == key) {
                self.present.push(key.to_owned());
            }
        }
    }

    /// Refuses when a wanted column never occurred.
    pub(crate) fn check(&self) -> Result<(), ReadError> {
        match self.wanted.iter().find(|it| self.lacking.contains(it.0.as_str())) {
            Some((name, _)) => Err(missing_column(name, self.present.iter().map(String::as_str))),
            None => Ok(()),
        }
    }
}
