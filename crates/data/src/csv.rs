//! Comma-separated values by RFC 4180.
//!
//! Ours, and not the csv crate, because an unquoted empty cell is missing while a quoted one is the empty string, and because an error has to name
//! the line where a quote was opened. Lines may end in LF, CR LF or CR. A blank line is skipped, except where there is one column: there it is a row
//! with a missing value. A quote inside an unquoted cell is kept as it is.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::build::Cell;
use crate::error::{ReadError, missing_column};
use crate::frame::Kind;
use crate::limits::{MAX_CELL_BYTES, MAX_COLUMNS};
use crate::stream::TextStream;

/// The columns of a CSV text.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) names: Vec<String>,
    /// The line after it.
    line: u64,
}

/// Takes the header, which is the first record that is not blank.
pub(crate) fn read_header(stream: &mut TextStream<'_>) -> Result<Header, ReadError> {
    let mut found = None;
    let line = each_record(stream, 1, &mut |_, cells| {
        // Blank lines before a header are no header.
        if 1 < cells.len() || !cells.iter().all(is_blank) {
            found = Some(check_header(cells)?);
        }
        Ok(if found.is_some() { Next::Stop } else { Next::Go })
    })?;
    found.map(|names| Header { names, line }).ok_or(ReadError::Empty)
}

/// What a visitor of records wants next.
pub(crate) enum Next {
    Go,
    Stop,
}

/// Hands each row after the header to `visit`.
pub(crate) fn each_row(
    stream: &mut TextStream<'_>,
    header: &Header,
    visit: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let n_columns = header.names.len();
    let mut row = 0;
    each_record(stream, header.line, &mut |line, cells| {
        if n_columns != 1 && cells.len() == 1 && is_blank(&cells[0]) {
            return Ok(Next::Go);
        }
        row += 1;
        if cells.len() != n_columns {
            return Err(ReadError::Ragged { row, line, expected: n_columns, found: cells.len() });
        }
        visit(cells)?;
        Ok(Next::Go)
    })?;
    Ok(())
}

/// What takes records: the line where each begins, and its cells.
type Visit<'v> = &'v mut dyn FnMut(u64, &[Cell<'_>]) -> Result<Next, ReadError>;

/// Takes records until `visit` stops; the first begins on `line`. Returns the line after the last.
fn each_record(stream: &mut TextStream<'_>, mut line: u64, visit: Visit<'_>) -> Result<u64, ReadError> {
    loop {
        let text = stream.text();
        let mut records = Records { text, at: 0, line };
        let mut cells = Vec::new();
        let mut n_taken = 0;
        let mut next = Next::Go;
        while let Next::Go = next {
            match records.next_record(&mut cells) {
                // What ends with the text that is there may go on in the text that is not.
                Ok(_) | Err(ReadError::UnclosedQuote { .. }) if records.at == text.len() && !stream.is_done() => break,
                Err(ReadError::UnclosedQuote { .. }) if !stream.is_done() => break,
                Ok(true) => {
                    next = visit(line, &cells)?;
                    (n_taken, line) = (records.at, records.line);
                }
                Ok(false) => return Ok(line),
                Err(error) => return Err(error),
            }
        }
        drop(cells);
        stream.take(n_taken);
        if let Next::Stop = next {
            return Ok(line);
        }
        stream.grow()?;
    }
}

/// Splits one CSV text without a header into records; for payloads.
pub(crate) fn split_records(text: &str) -> Result<Vec<Vec<Cell<'_>>>, ReadError> {
    let mut records = Records::new(text);
    let mut all = Vec::new();
    let mut cells = Vec::new();
    while records.next_record(&mut cells)? {
        if !(cells.len() == 1 && is_blank(&cells[0])) {
            all.push(std::mem::take(&mut cells));
        }
    }
    Ok(all)
}

fn is_blank(cell: &Cell<'_>) -> bool {
    *cell == Cell::Missing
}

fn check_header(header: &[Cell<'_>]) -> Result<Vec<String>, ReadError> {
    if let [Cell::Raw(only)] = header {
        for (delimiter, name) in [(';', "semicolon"), ('\t', "tab"), ('|', "vertical bar")] {
            if only.contains(delimiter) {
                return Err(ReadError::Delimiter(name));
            }
        }
    }
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, cell) in header.iter().enumerate() {
        let name: &str = match cell {
            Cell::Raw(text) | Cell::Text(text) => text,
            _ => "",
        };
        if name.trim().is_empty() {
            return Err(ReadError::UnnamedColumn { column: index + 1 });
        }
        if let Some(first) = seen.insert(name, index + 1) {
            return Err(ReadError::DuplicateColumn { name: name.to_owned(), first, second: index + 1 });
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Where these columns are.
pub(crate) fn find_wanted(columns: &[(String, Kind)], names: &[String]) -> Result<Vec<usize>, ReadError> {
    columns
        .iter()
        .map(|(name, _)| {
            let at = names.iter().position(|it| it == name);
            at.ok_or_else(|| missing_column(name, names.iter().map(String::as_str)))
        })
        .collect()
}

/// A cursor over the records of a text.
struct Records<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl<'a> Records<'a> {
    fn new(text: &'a str) -> Records<'a> {
        Records { text, at: 0, line: 1 }
    }

    /// Replaces `cells` with the next record; false at the end of the text.
    fn next_record(&mut self, cells: &mut Vec<Cell<'a>>) -> Result<bool, ReadError> {
        cells.clear();
        let bytes = self.text.as_bytes();
        if bytes.len() <= self.at {
            return Ok(false);
        }
        loop {
            if cells.len() == MAX_COLUMNS {
                return Err(ReadError::TooLarge { what: "columns are", limit: MAX_COLUMNS as u64 });
            }
            let cell = if bytes.get(self.at) == Some(&b'"') { self.quoted(cells.len() + 1)? } else { self.unquoted()? };
            cells.push(cell);
            match bytes.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b'\r') if bytes.get(self.at + 1) == Some(&b'\n') => {
                    self.at += 2;
                    break;
                }
                Some(_) => {
                    self.at += 1;
                    break;
                }
                None => break,
            }
        }
        self.line += 1;
        Ok(true)
    }

    /// Takes a cell up to, and not including, the comma or line end after it.
    fn unquoted(&mut self) -> Result<Cell<'a>, ReadError> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let length = rest.iter().position(|it| matches!(it, b',' | b'\n' | b'\r')).unwrap_or(rest.len());
        if MAX_CELL_BYTES < length {
            return Err(ReadError::CellTooLong { line: self.line });
        }
        self.at += length;
        Ok(if length == 0 { Cell::Missing } else { Cell::Raw(Cow::Borrowed(&self.text[start..self.at])) })
    }

    /// Takes a quoted cell, up to the comma or line end after it.
    fn quoted(&mut self, column: usize) -> Result<Cell<'a>, ReadError> {
        let opened_on = self.line;
        let bytes = self.text.as_bytes();
        self.at += 1;
        let mut start = self.at;
        let mut before: Option<String> = None;
        loop {
            let rest = &bytes[start..];
            let window = &rest[..rest.len().min(MAX_CELL_BYTES + 1)];
            let Some(length) = window.iter().position(|it| *it == b'"') else {
                return Err(if window.len() < rest.len() {
                    ReadError::CellTooLong { line: opened_on }
                } else {
                    ReadError::UnclosedQuote { line: opened_on }
                });
            };
            let piece = &self.text[start..start + length];
            self.line += count_line_ends(piece);
            self.at = start + length + 1;
            let is_doubled = bytes.get(self.at) == Some(&b'"');
            if !is_doubled {
                if !matches!(bytes.get(self.at), None | Some(b',' | b'\n' | b'\r')) {
                    return Err(ReadError::TextAfterQuote { line: opened_on, column });
                }
                let text = match before {
                    Some(text) => Cow::Owned(text + piece),
                    None => Cow::Borrowed(piece),
                };
                // Quoting says nothing about the type, except that an empty cell is meant.
                return Ok(if text.is_empty() { Cell::Text(text) } else { Cell::Raw(text) });
            }
            let text = before.get_or_insert_default();
            text.push_str(piece);
            text.push('"');
            if MAX_CELL_BYTES < text.len() {
                return Err(ReadError::CellTooLong { line: opened_on });
            }
            start = self.at + 1;
        }
    }
}

fn count_line_ends(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let is_end = |at: usize| bytes[at] == b'\n' || (bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    (0..bytes.len()).filter(|&at| is_end(at)).count() as u64
}
