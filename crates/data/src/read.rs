//! One entry for every tabular format: look at the bytes, then read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::csv::read_csv;
use crate::error::ReadError;
use crate::frame::Frame;
use crate::json_lines::read_json_lines;
use crate::limits::MAX_TEXT_BYTES;
use crate::options::ReadOptions;
use crate::parquet_read::read_parquet;
use crate::range::RangeRead;
use crate::text::{decode, unpack};

/// What the first and last bytes say.
enum Format {
    Parquet,
    Text,
}

/// Reads a table from Parquet, CSV or JSON Lines, the last two optionally in gzip.
///
/// # Errors
/// Says where the data is wrong; see [`ReadError`].
///
/// ```
/// use refit_data::{Kind, ReadOptions, read};
/// let csv = b"ts,distance\n2013-01-01,1400\n2013-01-02,\n".to_vec();
/// let frame = read(&csv, &ReadOptions::columns(&[("distance", Kind::Numeric)]))?;
/// assert_eq!(frame.rows(), 2);
/// # Ok::<(), refit_data::ReadError>(())
/// ```
pub fn read(source: &dyn RangeRead, options: &ReadOptions) -> Result<Frame, ReadError> {
    guard(|| {
        let length = source.len().map_err(ReadError::Io)?;
        let frame = read_detected(source, length, options)?;
        let after = source.len().map_err(ReadError::Io)?;
        if after != length {
            return Err(ReadError::Changed { before: length, after });
        }
        Ok(frame)
    })
}

/// Runs a reader and turns its panic into an error: the parquet crate panics on some damaged files.
pub(crate) fn guard<T>(reader: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
    // A reader owns all that it changes, so nothing half-changed survives the unwinding.
    catch_unwind(AssertUnwindSafe(reader)).unwrap_or_else(|_| Err(ReadError::damaged("the decoder gave up on it")))
}

fn read_detected(source: &dyn RangeRead, length: u64, options: &ReadOptions) -> Result<Frame, ReadError> {
    match detect(source, length)? {
        Format::Parquet => read_parquet(source, length, options),
        Format::Text => {
            let bytes = unpack(fetch_all(source, length)?)?;
            if bytes.starts_with(b"PAR1") {
                detect(&bytes, bytes.len() as u64)?;
                return read_parquet(&bytes, bytes.len() as u64, options);
            }
            let text = decode(&bytes)?;
            let content = text.trim_ascii_start();
            if content.starts_with('{') {
                read_json_lines(text, options)
            } else if content.strip_prefix('[').is_some_and(|it| it.trim_ascii_start().starts_with('{')) {
                Err(ReadError::Unsupported("a JSON array (JSON Lines is)"))
            } else {
                read_csv(text, options)
            }
        }
    }
}

/// What a source holds, for streaming.
pub(crate) enum Content {
    /// Parquet, to be read by row groups.
    Parquet { length: u64 },
    /// Anything else, read.
    Frame(Frame),
}

/// Looks at a source and reads it unless it is Parquet.
pub(crate) fn detect_content(source: &dyn RangeRead, options: &ReadOptions) -> Result<Content, ReadError> {
    let length = source.len().map_err(ReadError::Io)?;
    match detect(source, length)? {
        Format::Parquet => Ok(Content::Parquet { length }),
        Format::Text => read_detected(source, length, options).map(Content::Frame),
    }
}

fn detect(source: &dyn RangeRead, length: u64) -> Result<Format, ReadError> {
    // Magic, footer length, magic.
    const SHORTEST_PARQUET: u64 = 12;
    if length == 0 {
        return Err(ReadError::Empty);
    }
    if length < 4 {
        return Ok(Format::Text);
    }
    let mut first = [0; 4];
    let mut last = [0; 4];
    source.read_at(0, &mut first).map_err(ReadError::Io)?;
    source.read_at(length - 4, &mut last).map_err(ReadError::Io)?;
    match (&first, &last) {
        (b"PARE", _) | (_, b"PARE") => Err(ReadError::Unsupported("encrypted Parquet")),
        (b"PAR1", b"PAR1") if SHORTEST_PARQUET <= length => Ok(Format::Parquet),
        (b"PAR1", b"PAR1") => Err(ReadError::damaged("Parquet without a footer")),
        (b"PAR1", _) => Err(ReadError::damaged("Parquet that ends early")),
        (_, _) => Ok(Format::Text),
    }
}

fn fetch_all(source: &dyn RangeRead, length: u64) -> Result<Vec<u8>, ReadError> {
    if MAX_TEXT_BYTES < length {
        return Err(ReadError::TooLarge { what: "bytes are", limit: MAX_TEXT_BYTES });
    }
    let mut bytes = vec![0; length as usize];
    source.read_at(0, &mut bytes).map_err(ReadError::Io)?;
    Ok(bytes)
}
