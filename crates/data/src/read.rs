//! One entry for every tabular format: look at the bytes, then read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::build::ColumnBuilder;
use crate::error::ReadError;
use crate::frame::Frame;
use crate::limits::{MAX_ROWS, MAX_TEXT_BYTES};
use crate::options::ReadOptions;
use crate::parquet_read::read_parquet;
use crate::range::RangeRead;
use crate::stream::TextStream;
use crate::text_table::TextFormat;
use crate::unwrap::Unwrapped;

/// Reads a table from Parquet, CSV, JSON Lines or data capture, in gzip or zstd or neither. Captured rows are the columns `id`, `ts`, `prediction` and
/// the features; see [`crate::read_capture_with`] for the reader that knows a model's features.
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
        Content::Parquet => read_parquet(source, length, options),
        Content::Packed(bytes) => read_parquet(&bytes, bytes.len() as u64, options),
        Content::Text(format, stream) => {
            let wanted = match &options.columns {
                Some(columns) => columns.clone(),
                None => format.infer(stream)?,
            };
            let mut builders: Vec<ColumnBuilder> =
                wanted.iter().map(|(name, kind)| ColumnBuilder::new(name, *kind)).collect();
            let mut n_rows = 0;
            format.read_rows(TextStream::open(source, length)?, &wanted, &mut builders, &mut |_| {
                n_rows += 1;
                if MAX_ROWS < n_rows {
                    return Err(ReadError::TooLarge { what: "rows are", limit: MAX_ROWS as u64 });
                }
                Ok(())
            })?;
            Frame::new(builders.into_iter().map(ColumnBuilder::finish).collect()).map_err(ReadError::Frame)
        }
    }
}

/// What a source holds.
pub(crate) enum Content<'a> {
    Parquet,
    /// Parquet that was packed as a whole, unpacked.
    Packed(Vec<u8>),
    /// A text of this format, at its beginning.
    Text(TextFormat, TextStream<'a>),
}

/// Looks at the first and the last bytes of a source of `length` bytes.
pub(crate) fn detect(source: &dyn RangeRead, length: u64) -> Result<Content<'_>, ReadError> {
    if is_parquet(source, length)? {
        return Ok(Content::Parquet);
    }
    let bytes = Unwrapped::open(source, length)?;
    if bytes.head().starts_with(b"PAR1") {
        let bytes = bytes.read_all(MAX_TEXT_BYTES)?;
        is_parquet(&bytes, bytes.len() as u64)?;
        return Ok(Content::Packed(bytes));
    }
    let mut stream = TextStream::new(bytes)?;
    Ok(Content::Text(TextFormat::detect(&mut stream)?, stream))
}

/// Whether the magic of Parquet is there; where it is at one end only, or encrypted, is an error.
fn is_parquet(source: &dyn RangeRead, length: u64) -> Result<bool, ReadError> {
    // Magic, footer length, magic.
    const SHORTEST_PARQUET: u64 = 12;
    if length == 0 {
        return Err(ReadError::Empty);
    }
    if length < 4 {
        return Ok(false);
    }
    let mut first = [0; 4];
    let mut last = [0; 4];
    source.read_at(0, &mut first).map_err(ReadError::Io)?;
    source.read_at(length - 4, &mut last).map_err(ReadError::Io)?;
    match (&first, &last) {
        (b"PARE", _) | (_, b"PARE") => Err(ReadError::Unsupported("encrypted Parquet")),
        (b"PAR1", b"PAR1") if SHORTEST_PARQUET <= length => Ok(true),
        (b"PAR1", b"PAR1") => Err(ReadError::damaged("Parquet without a footer")),
        (b"PAR1", _) => Err(ReadError::damaged("Parquet that ends early")),
        (_, _) => Ok(false),
    }
}
