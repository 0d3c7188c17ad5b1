//! Files that no reader should be given, made from code, by the numbers of the list that they come from; `make corpus` prints them as a table.
//!
//! Each is refused in one line that names the place, or read as stated; never a panic. Some are sets of thousands of variants.

mod bad_data;
mod csv;
mod json;
mod parquet;

use refit_data::{Frame, Kind, ReadOptions, read};

/// What came of a case: in words, or why that is wrong.
pub(crate) type Outcome = Result<String, String>;

/// How large the files are that are large.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Small enough for every test run.
    Small,
    /// As the list says.
    Full,
}

/// One case.
pub(crate) struct Case {
    /// Its number in the list.
    pub(crate) number: u32,
    /// What it is.
    pub(crate) name: &'static str,
    /// Tries it.
    pub(crate) run: fn(Scale) -> Outcome,
}

/// Every case, in the order of the numbers.
pub(crate) fn cases() -> Vec<Case> {
    csv::CASES
        .iter()
        .chain(parquet::CASES)
        .chain(json::CASES)
        .map(|&(number, name, run)| Case { number, name, run })
        .collect()
}

/// A case as the tables of the list hold it.
type Row = (u32, &'static str, fn(Scale) -> Outcome);

/// Refused, by an error that says all of `needles`.
fn refused(bytes: &[u8], needles: &[&str]) -> Outcome {
    refused_as(bytes, &ReadOptions::all(), needles)
}

/// The same with columns that are asked for.
fn refused_as(bytes: &[u8], options: &ReadOptions, needles: &[&str]) -> Outcome {
    match read(&bytes, options) {
        Ok(frame) => Err(format!("read {} rows", frame.rows())),
        Err(error) => {
            let told = error.to_string();
            let is_right = needles.iter().all(|it| told.contains(it)) && !told.contains("gave up");
            if is_right && !told.contains('\n') { Ok(told) } else { Err(told) }
        }
    }
}

/// Read, with so many rows.
fn rows(bytes: &[u8], expected: usize) -> Outcome {
    let frame = frame(bytes)?;
    if frame.rows() == expected { Ok(format!("{expected} rows")) } else { Err(format!("read {} rows", frame.rows())) }
}

fn frame(bytes: &[u8]) -> Result<Frame, String> {
    read(&bytes, &ReadOptions::all()).map_err(|it| it.to_string())
}

/// All of them as they should be; the last one's words.
fn all(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let mut last = String::new();
    let mut n_cases = 0;
    for (at, outcome) in outcomes.into_iter().enumerate() {
        last = outcome.map_err(|it| format!("variant {at}: {it}"))?;
        n_cases += 1;
    }
    Ok(if n_cases == 1 { last } else { format!("{n_cases} variants; the last: {last}") })
}

/// One numeric column that must be read as such.
fn numeric(name: &str) -> ReadOptions {
    ReadOptions::columns(&[(name, Kind::Numeric)])
}
