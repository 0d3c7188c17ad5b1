//! CSV from a frame, such that reading it with the same kinds gives the frame back.

use crate::frame::{Frame, Values};
use crate::number::format_number;
use crate::time::format_time;

/// What to do with text that a spreadsheet would run as a formula.
#[derive(Clone, Copy)]
enum Formulas {
    Keep,
    Disarm,
}

/// The frame as CSV: missing is an empty cell, the empty text is `""`, times are RFC 3339.
#[must_use]
pub fn write_csv(frame: &Frame) -> Vec<u8> {
    write(frame, Formulas::Keep)
}

/// The frame as CSV for people: text that a spreadsheet would run gets an apostrophe in front.
///
/// Not for machines, since such text does not read back as it was.
#[must_use]
pub fn write_csv_for_spreadsheet(frame: &Frame) -> Vec<u8> {
    write(frame, Formulas::Disarm)
}

fn write(frame: &Frame, formulas: Formulas) -> Vec<u8> {
    let mut out = String::new();
    for (index, column) in frame.columns().iter().enumerate() {
        separate(&mut out, index);
        push_text(&mut out, &column.name, formulas);
    }
    out.push('\n');
    for row in 0..frame.rows() {
        for (index, column) in frame.columns().iter().enumerate() {
            separate(&mut out, index);
            match &column.values {
                Values::Numeric(values) => {
                    if let Some(value) = values[row] {
                        out.push_str(&format_number(value));
                    }
                }
                Values::Time(values) => {
                    if let Some(micros) = values[row] {
                        out.push_str(&format_time(micros));
                    }
                }
                Values::Categorical(values) => {
                    if let Some(text) = values.get(row) {
                        push_text(&mut out, text, formulas);
                    }
                }
            }
        }
        out.push('\n');
    }
    out.into_bytes()
}

fn separate(out: &mut String, index: usize) {
    if 0 < index {
        out.push(',');
    }
}

/// Appends `text`, quoted where it must be.
pub(crate) fn push_csv_text(out: &mut String, text: &str) {
    push_text(out, text, Formulas::Keep);
}

fn push_text(out: &mut String, text: &str, formulas: Formulas) {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    let guard = match formulas {
        Formulas::Disarm if is_formula => "'",
        Formulas::Disarm | Formulas::Keep => "",
    };
    if text.is_empty() || text.contains(['"', ',', '\n', '\r']) {
        out.push('"');
        out.push_str(guard);
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(guard);
        out.push_str(text);
    }
}
