//! Reads the files that models live on: Parquet, CSV, JSON Lines, SageMaker data capture and ground truth.
//!
//! The idea: whatever the format, a reader returns a [`Frame`] of typed columns or one error that says where the file is wrong. The format is
//! told by content and never by name, because names lie more often than magic numbers.
//!
//! A table that is too large to hold, or of which few columns are wanted, is opened as a [`Table`] and read block by block.
//!
//! Invariants:
//! - nothing is guessed silently: a value that does not fit its column is an error with its row, an integer that would be rounded too;
//! - memory is claimed only after the file has shown that it can fill it (see [`limits`]);
//! - every reader is behind `catch_unwind`, since the parquet crate panics on some damaged files; a panic is [`ReadError::Damaged`].
//!
//! What is not here: fetching from S3 (`app` fetches first and hands over bytes), joining labels to predictions, and any statistic.

mod answer;
mod base64;
mod block;
mod build;
mod capture;
mod capture_table;
mod capture_write;
mod codec;
mod csv;
mod csv_write;
pub mod drift;
mod error;
mod frame;
mod ground_truth;
mod hybrid;
mod intern;
mod json;
mod json_lines;
pub mod limits;
pub mod monitor;
mod number;
mod ops;
mod options;
mod parquet_check;
mod parquet_column;
mod parquet_file;
mod parquet_pages;
mod parquet_read;
mod parquet_values;
mod parquet_write;
mod payload;
mod range;
mod read;
pub mod report;
mod stream;
mod table;
mod text;
mod text_table;
mod thrift;
mod time;
mod unwrap;

pub use answer::ClassAnswer;
pub use block::{Block, BlockValues};
pub use capture::{Answers, Capture, CaptureOptions, read_capture, read_capture_with};
pub use capture_write::{CaptureLine, feature_object, write_capture_line, write_ground_truth_line};
pub use csv_write::{write_csv, write_csv_for_spreadsheet};
pub use error::ReadError;
pub use frame::{Categories, Column, Frame, FrameError, Kind, MISSING, Values};
pub use ground_truth::{Label, class_name, read_ground_truth};
pub use intern::Interner;
pub use options::ReadOptions;
pub use parquet_write::write_parquet;
pub use range::{FileRange, RangeRead};
pub use read::read;
pub use table::{Table, TableColumn};
pub use time::{format_time, parse_time};
