//! One Parquet column chunk as blocks, one a page.
//!
//! The encodings that nearly every file uses (plain, dictionary) are decoded here, straight into blocks; the others by the parquet crate.

use parquet::basic::{Encoding, Type as Physical};
use parquet::column::page::Page;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::metadata::ColumnChunkMetaData;

use crate::block::{Block, BlockValues};
use crate::error::ReadError;
use crate::hybrid::{read_levels, read_values};
use crate::limits::MAX_CHUNK_BYTES;
use crate::parquet_check::CheckedPages;
use crate::parquet_file::{Meaning, Wanted};
use crate::parquet_pages::Pages;
use crate::parquet_values::{Dictionary, Stored};

/// What takes the blocks of a column.
pub(crate) type BlockSink<'a> = &'a mut dyn FnMut(&Block) -> Result<(), ReadError>;

/// Hands the blocks of a chunk of `n_rows` rows to `sink`; `first_row` is its first row in the file, counted from 0.
pub(crate) fn scan_chunk(
    mut pages: Pages<'_>,
    meta: &ColumnChunkMetaData,
    (first_row, n_rows): (usize, usize),
    column: &Wanted,
    sink: BlockSink<'_>,
) -> Result<(), ReadError> {
    let mut decoder = Decoder {
        column,
        physical: meta.column_type(),
        has_levels: 0 < meta.column_descr().max_def_level(),
        dictionary: None,
        row: first_row,
        codes: Vec::new(),
        levels: Vec::new(),
    };
    // The dictionary's own page, for the parquet crate if it has to go on.
    let mut dictionary = None;
    while let Some(page) = pages.next_page()? {
        match &page {
            Page::DictionaryPage { buf, num_values, encoding, .. } => {
                if !matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) {
                    return Err(ReadError::damaged("a Parquet dictionary is not stored plainly"));
                }
                decoder.dictionary = Some(Dictionary::new(&decoder.plain(buf, *num_values as usize)?, column));
                dictionary = Some(page);
            }
            Page::DataPage { .. } | Page::DataPageV2 { .. } if is_common(page.encoding()) => {
                let block = decoder.block(&page)?;
                if 0 < block.rows() {
                    sink(&block)?;
                }
            }
            Page::DataPage { .. } | Page::DataPageV2 { .. } => {
                let done = decoder.row - first_row;
                let rest = dictionary.into_iter().chain([page]).collect();
                return scan_rest(pages, meta, rest, &mut decoder, n_rows - done, sink);
            }
        }
    }
    Ok(())
}

struct Decoder<'a> {
    column: &'a Wanted,
    physical: Physical,
    has_levels: bool,
    dictionary: Option<Dictionary>,
    /// Rows of the file before the next page.
    row: usize,
    codes: Vec<u32>,
    levels: Vec<u32>,
}

impl Decoder<'_> {
    /// The block of a data page in a common encoding.
    fn block(&mut self, page: &Page) -> Result<Block, ReadError> {
        let n_rows = page.num_values() as usize;
        let mut present = Vec::new();
        let (n_present, values) = self.split(page, n_rows, &mut present)?;
        let first = self.row;
        let row_of = |at: usize| first + row_of_value(&present, at);
        let values = if page.encoding() == Encoding::PLAIN {
            self.plain(values, n_present)?.into_values(self.column, &row_of)?
        } else {
            let dictionary = self
                .dictionary
                .as_ref()
                .ok_or_else(|| ReadError::damaged("a Parquet column refers to a dictionary that is not there"))?;
            self.codes.clear();
            if 0 < n_present {
                let (width, packed) = values.split_first().ok_or_else(short)?;
                read_values(packed, *width, n_present, &mut self.codes).ok_or_else(short)?;
            }
            dictionary.values(&self.codes, self.column, &row_of)?
        };
        self.row += n_rows;
        Ok(Block::new(present, values))
    }

    /// Reads the levels of a page; returns how many rows have a value, and the bytes of the values.
    fn split<'p>(
        &mut self,
        page: &'p Page,
        n_rows: usize,
        present: &mut Vec<bool>,
    ) -> Result<(usize, &'p [u8]), ReadError> {
        let buf: &[u8] = page.buffer();
        let (levels, values) = match page {
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                let (repetition, definition) = (*rep_levels_byte_len as usize, *def_levels_byte_len as usize);
                let rest = buf.get(repetition..).ok_or_else(short)?;
                rest.split_at_checked(definition).ok_or_else(short)?
            }
            Page::DataPage { .. } if self.has_levels => {
                let (length, rest) = buf.split_first_chunk::<4>().ok_or_else(short)?;
                rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?
            }
            Page::DataPage { .. } | Page::DictionaryPage { .. } => (&[][..], buf),
        };
        if !self.has_levels || n_rows == 0 {
            return Ok((n_rows, values));
        }
        let n_present = read_levels(levels, n_rows, present, &mut self.levels).ok_or_else(short)?;
        Ok((n_present, values))
    }

    /// `n` plainly stored values.
    fn plain<'b>(&self, bytes: &'b [u8], n: usize) -> Result<Stored<'b>, ReadError> {
        match self.physical {
            Physical::BOOLEAN => {
                let bits = bytes.get(..n.div_ceil(8)).ok_or_else(short)?;
                Ok(Stored::Bools((0..n).map(|at| bits[at / 8] >> (at % 8) & 1 == 1).collect()))
            }
            Physical::INT32 if self.column.meaning == Meaning::Unsigned => {
                fixed(bytes, n, |it| i64::from(u32::from_le_bytes(it))).map(Stored::Longs)
            }
            Physical::INT32 => fixed(bytes, n, |it| i64::from(i32::from_le_bytes(it))).map(Stored::Longs),
            Physical::INT64 => fixed(bytes, n, i64::from_le_bytes).map(Stored::Longs),
            Physical::FLOAT => fixed(bytes, n, |it| f64::from(f32::from_le_bytes(it))).map(Stored::Doubles),
            Physical::DOUBLE => fixed(bytes, n, f64::from_le_bytes).map(Stored::Doubles),
            Physical::BYTE_ARRAY => texts(bytes, n).map(Stored::Bytes),
            Physical::INT96 | Physical::FIXED_LEN_BYTE_ARRAY => Err(other_type()),
        }
    }
}

/// Whether pages of an encoding are decoded here.
fn is_common(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY)
}

fn short() -> ReadError {
    ReadError::damaged("a Parquet page has fewer values than it claims")
}

fn other_type() -> ReadError {
    ReadError::damaged("a Parquet column has another type than its schema")
}

/// The row, within a block, of its value number `at`.
fn row_of_value(present: &[bool], at: usize) -> usize {
    if present.is_empty() {
        return at;
    }
    let rows = present.iter().enumerate().filter(|it| *it.1).map(|it| it.0);
    rows.clone().nth(at).unwrap_or(present.len())
}

fn fixed<const N: usize, T>(bytes: &[u8], n: usize, turn: impl Fn([u8; N]) -> T) -> Result<Vec<T>, ReadError> {
    let bytes = n.checked_mul(N).and_then(|it| bytes.get(..it)).ok_or_else(short)?;
    let (values, _) = bytes.as_chunks::<N>();
    Ok(values.iter().map(|it| turn(*it)).collect())
}

fn texts(mut bytes: &[u8], n: usize) -> Result<Vec<&[u8]>, ReadError> {
    // Every text takes four bytes or more, so nothing is reserved that the page cannot fill.
    if bytes.len() / 4 < n {
        return Err(short());
    }
    let mut texts = Vec::with_capacity(n);
    for _ in 0..n {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
        texts.push(text);
        bytes = rest;
    }
    Ok(texts)
}

/// Reads the pages from one in a rare encoding on with the parquet crate, which wants them all at once.
fn scan_rest(
    mut pages: Pages<'_>,
    meta: &ColumnChunkMetaData,
    mut rest: Vec<Page>,
    decoder: &mut Decoder<'_>,
    n_rows: usize,
    sink: BlockSink<'_>,
) -> Result<(), ReadError> {
    let mut n_bytes = 0;
    while let Some(page) = pages.next_page()? {
        n_bytes += page.buffer().len() as u64;
        if MAX_CHUNK_BYTES < n_bytes {
            return Err(ReadError::TooLarge { what: "bytes of a Parquet column chunk are", limit: MAX_CHUNK_BYTES });
        }
        rest.push(page);
    }
    let pages = Box::new(CheckedPages::new(rest, decoder.has_levels));
    let is_unsigned = decoder.column.meaning == Meaning::Unsigned;
    match get_column_reader(meta.column_descr_ptr(), pages) {
        ColumnReader::BoolColumnReader(it) => drain(it, n_rows, decoder, sink, &|it| Stored::Bools(it.to_vec())),
        ColumnReader::FloatColumnReader(it) => {
            drain(it, n_rows, decoder, sink, &|it| Stored::Doubles(it.iter().map(|it| (*it).into()).collect()))
        }
        ColumnReader::DoubleColumnReader(it) => drain(it, n_rows, decoder, sink, &|it| Stored::Doubles(it.to_vec())),
        ColumnReader::Int32ColumnReader(it) if is_unsigned => {
            drain(it, n_rows, decoder, sink, &|it| Stored::Longs(it.iter().map(|it| (*it as u32).into()).collect()))
        }
        ColumnReader::Int32ColumnReader(it) => {
            drain(it, n_rows, decoder, sink, &|it| Stored::Longs(it.iter().map(|it| (*it).into()).collect()))
        }
        ColumnReader::Int64ColumnReader(it) => drain(it, n_rows, decoder, sink, &|it| Stored::Longs(it.to_vec())),
        ColumnReader::ByteArrayColumnReader(it) => {
            drain(it, n_rows, decoder, sink, &|it| Stored::Bytes(it.iter().map(ByteArray::data).collect()))
        }
        ColumnReader::Int96ColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => Err(other_type()),
    }
}

/// Hands `n_rows` rows to `sink`, a few thousand at a time.
fn drain<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    n_rows: usize,
    decoder: &mut Decoder<'_>,
    sink: BlockSink<'_>,
    to_stored: &dyn for<'v> Fn(&'v [T::T]) -> Stored<'v>,
) -> Result<(), ReadError> {
    // Large enough to amortize a call, small enough to stay in cache.
    const BATCH: usize = 8192;
    let mut values = Vec::new();
    let mut levels = Vec::new();
    let mut done = 0;
    while done < n_rows {
        values.clear();
        levels.clear();
        let most = BATCH.min(n_rows - done);
        let (n_records, n_values, _) = reader
            .read_records(most, Some(&mut levels), None, &mut values)
            .map_err(|source| ReadError::damaged_by("a Parquet column does not decode", source))?;
        // Without levels every row has a value.
        let n_present = if decoder.has_levels { levels.iter().filter(|it| 0 < **it).count() } else { n_records };
        if n_records == 0 || n_present != n_values || values.len() < n_values {
            return Err(ReadError::damaged("a Parquet column ends early"));
        }
        let present: Vec<bool> =
            if n_present < n_records { levels.iter().map(|it| 0 < *it).collect() } else { Vec::new() };
        let first = decoder.row;
        let row_of = |at: usize| first + row_of_value(&present, at);
        let values: BlockValues = to_stored(&values[..n_values]).into_values(decoder.column, &row_of)?;
        sink(&Block::new(present, values))?;
        decoder.row += n_records;
        done += n_records;
    }
    Ok(())
}
