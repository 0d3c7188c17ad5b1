//! The readers and writers from outside, table by table.

mod capture;
mod corpus;
mod csv;
mod damaged;
mod drift;
mod flights;
mod fuzz;
mod json_lines;
mod monitor;
mod others;
mod packed;
mod parquet;
mod table;

use refit_data::{Categories, Column, Frame, Values};

/// A column of numbers.
fn numeric(name: &str, values: &[Option<f64>]) -> Column {
    Column { name: name.to_owned(), values: Values::Numeric(values.to_vec()) }
}

/// A column of texts.
fn categorical(name: &str, values: &[Option<&str>]) -> Column {
    Column { name: name.to_owned(), values: Values::Categorical(values.iter().copied().collect::<Categories>()) }
}

/// A column of instants.
fn time(name: &str, values: &[Option<i64>]) -> Column {
    Column { name: name.to_owned(), values: Values::Time(values.to_vec()) }
}

/// A frame that has every kind, missing values and awkward texts.
fn sample() -> Frame {
    Frame::new(vec![
        time("ts", &[Some(1_356_998_400_000_000), None, Some(-1), Some(1_356_998_400_000_001)]),
        numeric("x", &[Some(1.5), Some(-0.1), None, Some(1e300)]),
        categorical("c", &[Some("a,\"b\"\r\n"), Some(""), None, Some("=1+1")]),
    ])
    .expect("a frame")
}
