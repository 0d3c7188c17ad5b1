//! Why data could not be read, in words that let the reader fix the file.
//!
//! Rows are counted from 1 and do not count a header; lines are counted from 1 and do.

use std::error::Error;

use crate::frame::{FrameError, Kind};

/// The boxed cause of damage.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Why data could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed.
    #[error("data could not be fetched")]
    Io(#[source] std::io::Error),
    /// The source grew or shrank under the reader.
    #[error("data changed from {before} to {after} bytes while it was read")]
    Changed {
        /// Length at the start.
        before: u64,
        /// Length at the end.
        after: u64,
    },
    /// There are no bytes, or only white space.
    #[error("data is empty: no header")]
    Empty,
    /// The format or encoding is known but not read.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// The bytes contradict themselves.
    #[error("data is damaged: {what}")]
    Damaged {
        /// What does not hold.
        what: String,
        /// What the decoder said.
        #[source]
        source: Option<BoxError>,
    },
    /// A limit of [`crate::limits`] was passed.
    #[error("{what} over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// One cell is longer than [`crate::limits::MAX_CELL_BYTES`].
    #[error("a cell that starts on line {line} is over the limit of 1048576 bytes; is a quote not closed?")]
    CellTooLong {
        /// Where the cell starts.
        line: u64,
    },
    /// The text is not UTF-8.
    #[error("byte {byte:#04x} at offset {offset} is not UTF-8")]
    NotUtf8 {
        /// From the first byte of the (decompressed) file.
        offset: usize,
        /// The first byte that does not fit.
        byte: u8,
    },
    /// The text has a NUL byte, which no text file needs.
    #[error("NUL byte at offset {offset}")]
    Nul {
        /// From the first byte of the (decompressed) file.
        offset: usize,
    },
    /// A quoted cell does not end.
    #[error("quote opened on line {line} is never closed")]
    UnclosedQuote {
        /// Where the quote is.
        line: u64,
    },
    /// A quoted cell goes on after its closing quote.
    #[error("text after a closing quote on line {line}, column {column}")]
    TextAfterQuote {
        /// Where the cell starts.
        line: u64,
        /// The number of the column, from 1.
        column: usize,
    },
    /// A row is shorter or longer than the header.
    #[error("row {row} (line {line}) has {found} cells where the header has {expected}")]
    Ragged {
        /// The row, from 1.
        row: usize,
        /// The line, from 1.
        line: u64,
        /// Cells in the header.
        expected: usize,
        /// Cells in this row.
        found: usize,
    },
    /// The header is one column that looks like many.
    #[error("header has no comma but a {0}; Refit reads comma-separated values")]
    Delimiter(&'static str),
    /// Two columns have one name.
    #[error("columns {first} and {second} are both named `{name}`")]
    DuplicateColumn {
        /// The shared name.
        name: String,
        /// The number of the first, from 1.
        first: usize,
        /// The number of the second, from 1.
        second: usize,
    },
    /// Two columns differ by case only, which engines that ignore case confuse.
    #[error("columns `{first}` and `{second}` differ only by case")]
    CaseOnly {
        /// The first.
        first: String,
        /// The second.
        second: String,
    },
    /// A column has no name.
    #[error("column {column} has no name")]
    UnnamedColumn {
        /// The number of the column, from 1.
        column: usize,
    },
    /// A wanted column is not there.
    #[error("column `{name}` is missing; present: {present}")]
    MissingColumn {
        /// The wanted column.
        name: String,
        /// The columns that are there, shortened.
        present: String,
    },
    /// A column has a type that Refit does not read.
    #[error("column `{column}` has type {found}, which is not supported")]
    ColumnType {
        /// The column.
        column: String,
        /// Its type in the file.
        found: String,
    },
    /// A value does not fit the kind of its column.
    #[error("row {row}, column `{column}`: `{value}` is not a {expected} value")]
    Value {
        /// The row, from 1.
        row: usize,
        /// The column.
        column: String,
        /// What was wanted.
        expected: Kind,
        /// The value, shortened.
        value: String,
    },
    /// An integer has no exact 64-bit float.
    #[error("row {row}, column `{column}`: `{value}` would be rounded")]
    Inexact {
        /// The row, from 1.
        row: usize,
        /// The column.
        column: String,
        /// The integer.
        value: String,
    },
    /// A line is not the JSON that was expected.
    #[error("line {line} is not a valid record")]
    Json {
        /// The line, from 1.
        line: usize,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// A line of a capture or label file says something that cannot be used.
    #[error("line {line}: {problem}")]
    Record {
        /// The line, from 1.
        line: usize,
        /// What is wrong, shortened.
        problem: String,
    },
    /// The columns do not make a frame.
    #[error("columns do not make a table")]
    Frame(#[source] FrameError),
}

impl ReadError {
    /// Damage that we found ourselves.
    pub(crate) fn damaged(what: impl Into<String>) -> ReadError {
        ReadError::Damaged { what: what.into(), source: None }
    }

    /// Damage that a decoder found.
    pub(crate) fn damaged_by(what: impl Into<String>, source: impl Into<BoxError>) -> ReadError {
        ReadError::Damaged { what: what.into(), source: Some(source.into()) }
    }
}

/// The start of `value` on one line, short enough for a message.
pub(crate) fn shorten(value: &str) -> String {
    const LONGEST: usize = 40;
    let mut short: String = value.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if value.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

/// The error for a wanted column that is not among `present`.
pub(crate) fn missing_column<'a>(name: &str, present: impl Iterator<Item = &'a str>) -> ReadError {
    // A table may have thousands of columns; a message may not.
    const MOST: usize = 50;
    let mut names: Vec<String> = present.take(MOST + 1).map(shorten).collect();
    if MOST < names.len() {
        names[MOST] = "…".to_owned();
    }
    ReadError::MissingColumn { name: name.to_owned(), present: names.join(", ") }
}
