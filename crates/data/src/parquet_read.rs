//! Parquet through the low-level column API: row group by row group, and of those only the wanted columns.
//!
//! Statistics in the file are never used: they may lie. Nanoseconds that are not whole microseconds are refused rather than rounded. Timestamps without
//! a zone are taken as UTC.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use bytes::buf::{Buf, Reader};
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::{ColumnDescriptor, Type};

use crate::build::{Cell, ColumnBuilder};
use crate::error::{ReadError, missing_column};
use crate::frame::{Frame, Kind};
use crate::limits::{MAX_CELL_BYTES, MAX_CHUNK_BYTES, MAX_COLUMNS, MAX_FOOTER_BYTES, MAX_ROWS};
use crate::options::ReadOptions;
use crate::parquet_check::{CheckedPages, check_footer, check_pages};
use crate::range::RangeRead;

/// How the values of a column are to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Bool,
    Signed,
    Unsigned,
    Float,
    Text,
    Days,
    Millis,
    Micros,
    Nanos,
}

impl Meaning {
    fn kind(self) -> Kind {
        match self {
            Meaning::Bool | Meaning::Text => Kind::Categorical,
            Meaning::Signed | Meaning::Unsigned | Meaning::Float => Kind::Numeric,
            Meaning::Days | Meaning::Millis | Meaning::Micros | Meaning::Nanos => Kind::Time,
        }
    }
}

/// A column to read.
struct Wanted {
    leaf: usize,
    meaning: Meaning,
    builder: ColumnBuilder,
}

/// Reads a file whose magic is right at both ends.
pub(crate) fn read_parquet(source: &dyn RangeRead, length: u64, options: &ReadOptions) -> Result<Frame, ReadError> {
    let metadata = read_footer(source, length)?;
    let mut wanted = find_wanted(&metadata, options)?;
    let mut total = 0_u64;
    for group in metadata.row_groups() {
        let n_rows =
            u64::try_from(group.num_rows()).map_err(|_| ReadError::damaged("a row group has fewer than no rows"))?;
        total = total.saturating_add(n_rows);
        if (MAX_ROWS as u64) < total {
            return Err(ReadError::TooLarge { what: "rows are", limit: MAX_ROWS as u64 });
        }
        for column in &mut wanted {
            if group.num_columns() <= column.leaf {
                return Err(ReadError::damaged("a row group lacks a column"));
            }
            read_chunk(source, length, group.column(column.leaf), n_rows as usize, column)?;
        }
    }
    if u64::try_from(metadata.file_metadata().num_rows()) != Ok(total) {
        return Err(ReadError::damaged("row groups and footer disagree on the number of rows"));
    }
    Frame::new(wanted.into_iter().map(|it| it.builder.finish()).collect()).map_err(ReadError::Frame)
}

fn read_footer(source: &dyn RangeRead, length: u64) -> Result<ParquetMetaData, ReadError> {
    // Footer length and magic; the magic at the start is not part of the footer either.
    const TAIL: u64 = 8;
    const HEAD: u64 = 4;
    let mut tail = [0; 4];
    source.read_at(length - TAIL, &mut tail).map_err(ReadError::Io)?;
    let footer_length = u64::from(u32::from_le_bytes(tail));
    if length - TAIL - HEAD < footer_length {
        return Err(ReadError::damaged("the Parquet footer is longer than the file"));
    }
    if MAX_FOOTER_BYTES < footer_length {
        return Err(ReadError::TooLarge { what: "bytes of the Parquet footer are", limit: MAX_FOOTER_BYTES });
    }
    let mut footer = vec![0; footer_length as usize];
    source.read_at(length - TAIL - footer_length, &mut footer).map_err(ReadError::Io)?;
    check_footer(&footer)?;
    ParquetMetaDataReader::decode_metadata(&footer)
        .map_err(|source| ReadError::damaged_by("the Parquet footer does not parse", source))
}

fn find_wanted(metadata: &ParquetMetaData, options: &ReadOptions) -> Result<Vec<Wanted>, ReadError> {
    let schema = metadata.file_metadata().schema_descr();
    let fields = schema.root_schema().get_fields();
    if MAX_COLUMNS < fields.len() {
        return Err(ReadError::TooLarge { what: "columns are", limit: MAX_COLUMNS as u64 });
    }
    let names: Vec<&str> = fields.iter().map(|it| it.name()).collect();
    check_names(&names)?;
    let leaves: HashMap<usize, usize> =
        (0..schema.num_columns()).map(|leaf| (schema.get_column_root_idx(leaf), leaf)).collect();
    let plan = |at: usize, kind: Option<Kind>| {
        let leaf = flat_leaf(&fields[at], leaves.get(&at).copied())?;
        let meaning = meaning_of(&schema.column(leaf))?;
        Ok(Wanted { leaf, meaning, builder: ColumnBuilder::new(names[at], kind.unwrap_or(meaning.kind())) })
    };
    match &options.columns {
        None => (0..names.len()).map(|at| plan(at, None)).collect(),
        Some(columns) => columns
            .iter()
            .map(|(name, kind)| match names.iter().position(|it| it == name) {
                Some(at) => plan(at, Some(*kind)),
                None => Err(missing_column(name, names.iter().copied())),
            })
            .collect(),
    }
}

fn check_names(names: &[&str]) -> Result<(), ReadError> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            return Err(ReadError::UnnamedColumn { column: at + 1 });
        }
        if let Some(first) = seen.insert(name.to_lowercase(), at) {
            return Err(if names[first] == *name {
                ReadError::DuplicateColumn { name: (*name).to_owned(), first: first + 1, second: at + 1 }
            } else {
                ReadError::CaseOnly { first: names[first].to_owned(), second: (*name).to_owned() }
            });
        }
    }
    Ok(())
}

/// The leaf of a column that holds one value a row.
fn flat_leaf(field: &Type, leaf: Option<usize>) -> Result<usize, ReadError> {
    let info = field.get_basic_info();
    let is_repeated = info.has_repetition() && info.repetition() == Repetition::REPEATED;
    match leaf {
        Some(leaf) if field.is_primitive() && !is_repeated => Ok(leaf),
        _ => Err(ReadError::ColumnType { column: field.name().to_owned(), found: "nested".to_owned() }),
    }
}

fn meaning_of(column: &ColumnDescriptor) -> Result<Meaning, ReadError> {
    let (physical, logical, converted) = (column.physical_type(), column.logical_type_ref(), column.converted_type());
    let meaning = match (physical, logical, converted) {
        (Physical::BOOLEAN, None, ConvertedType::NONE) => Some(Meaning::Bool),
        (Physical::FLOAT | Physical::DOUBLE, None, ConvertedType::NONE) => Some(Meaning::Float),
        (Physical::INT32 | Physical::INT64, Some(LogicalType::Integer(int)), _) => {
            Some(if int.is_signed { Meaning::Signed } else { Meaning::Unsigned })
        }
        (Physical::INT32, Some(LogicalType::Date), _) => Some(Meaning::Days),
        (Physical::INT64, Some(LogicalType::Timestamp(it)), _) => Some(match it.unit {
            TimeUnit::MILLIS => Meaning::Millis,
            TimeUnit::MICROS => Meaning::Micros,
            TimeUnit::NANOS => Meaning::Nanos,
        }),
        (Physical::INT32 | Physical::INT64, None, converted) => integer_meaning(converted),
        (Physical::BYTE_ARRAY, Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), _) => {
            Some(Meaning::Text)
        }
        (
            Physical::BYTE_ARRAY,
            None,
            ConvertedType::NONE | ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON,
        ) => Some(Meaning::Text),
        (_, _, _) => None,
    };
    meaning.ok_or_else(|| ReadError::ColumnType {
        column: column.name().to_owned(),
        found: match (logical, converted) {
            (Some(logical), _) => format!("{physical} as {logical:?}"),
            (None, ConvertedType::NONE) => physical.to_string(),
            (None, converted) => format!("{physical} as {converted}"),
        },
    })
}

/// The meaning of an integer in files that predate logical types.
fn integer_meaning(converted: ConvertedType) -> Option<Meaning> {
    match converted {
        ConvertedType::NONE
        | ConvertedType::INT_8
        | ConvertedType::INT_16
        | ConvertedType::INT_32
        | ConvertedType::INT_64 => Some(Meaning::Signed),
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
            Some(Meaning::Unsigned)
        }
        ConvertedType::DATE => Some(Meaning::Days),
        ConvertedType::TIMESTAMP_MILLIS => Some(Meaning::Millis),
        ConvertedType::TIMESTAMP_MICROS => Some(Meaning::Micros),
        _ => None,
    }
}

/// The bytes of one column chunk, at their place in the file.
struct Chunk {
    start: u64,
    bytes: Bytes,
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Chunk {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let at = start.checked_sub(self.start).and_then(|it| usize::try_from(it).ok());
        match at {
            Some(at) if at <= self.bytes.len() => Ok(self.bytes.slice(at..).reader()),
            _ => Err(ParquetError::EOF("page outside its column".to_owned())),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let mut rest = self.get_read(start)?;
        let mut bytes = vec![0; length.min(self.bytes.len())];
        rest.read_exact(&mut bytes)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF("page outside its column".to_owned()));
        }
        Ok(Bytes::from(bytes))
    }
}

fn read_chunk(
    source: &dyn RangeRead,
    length: u64,
    meta: &ColumnChunkMetaData,
    n_rows: usize,
    column: &mut Wanted,
) -> Result<(), ReadError> {
    check_codec(meta.compression())?;
    if u64::try_from(meta.num_values()) != Ok(n_rows as u64) {
        return Err(ReadError::damaged("a column and its row group disagree on the number of rows"));
    }
    let (start, stored) = meta.byte_range();
    if length < start.saturating_add(stored) {
        return Err(ReadError::damaged("a Parquet column lies outside the file"));
    }
    if MAX_CHUNK_BYTES < stored {
        return Err(ReadError::TooLarge { what: "bytes of a Parquet column chunk are", limit: MAX_CHUNK_BYTES });
    }
    let mut bytes = vec![0; stored as usize];
    source.read_at(start, &mut bytes).map_err(ReadError::Io)?;
    check_pages(&bytes, n_rows as u64)?;
    let chunk = Arc::new(Chunk { start, bytes: Bytes::from(bytes) });
    let damage = |source| ReadError::damaged_by("a Parquet column does not decode", source);
    let pages: Box<dyn PageReader> = Box::new(SerializedPageReader::new(chunk, meta, n_rows, None).map_err(damage)?);
    let has_levels = 0 < meta.column_descr().max_def_level();
    let pages = Box::new(CheckedPages::new(pages, has_levels));
    let reader = get_column_reader(meta.column_descr_ptr(), pages);
    decode(reader, n_rows, column)
}

fn check_codec(codec: Compression) -> Result<(), ReadError> {
    Err(ReadError::Unsupported(match codec {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) => return Ok(()),
        Compression::ZSTD(_) => "zstd compression in Parquet",
        Compression::BROTLI(_) => "Brotli compression in Parquet",
        Compression::LZO => "LZO compression in Parquet",
        Compression::LZ4 | Compression::LZ4_RAW => "LZ4 compression in Parquet",
    }))
}

fn decode(reader: ColumnReader, n_rows: usize, column: &mut Wanted) -> Result<(), ReadError> {
    let (meaning, builder) = (column.meaning, &mut column.builder);
    let is_unsigned = meaning == Meaning::Unsigned;
    match reader {
        ColumnReader::BoolColumnReader(it) => drain(it, n_rows, builder, &|value| Ok(Cell::Bool(*value))),
        ColumnReader::FloatColumnReader(it) => drain(it, n_rows, builder, &|value| Ok(Cell::Number((*value).into()))),
        ColumnReader::DoubleColumnReader(it) => drain(it, n_rows, builder, &|value| Ok(Cell::Number(*value))),
        ColumnReader::Int32ColumnReader(it) if is_unsigned => {
            drain(it, n_rows, builder, &|value| Ok(Cell::Integer((*value as u32).into())))
        }
        ColumnReader::Int64ColumnReader(it) if is_unsigned => {
            drain(it, n_rows, builder, &|value| Ok(Cell::Integer((*value as u64).into())))
        }
        ColumnReader::Int32ColumnReader(it) => {
            drain(it, n_rows, builder, &|value| integer_cell(meaning, (*value).into()))
        }
        ColumnReader::Int64ColumnReader(it) => drain(it, n_rows, builder, &|value| integer_cell(meaning, *value)),
        ColumnReader::ByteArrayColumnReader(it) => drain(it, n_rows, builder, &text_cell),
        ColumnReader::Int96ColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => {
            Err(ReadError::damaged("a Parquet column has another type than its schema"))
        }
    }
}

/// A value that no cell can hold, as words for a message.
struct Unfit(&'static str);

fn integer_cell(meaning: Meaning, value: i64) -> Result<Cell<'static>, Unfit> {
    const MICROS_PER_DAY: i64 = 86_400_000_000;
    let micros = match meaning {
        Meaning::Days => value.checked_mul(MICROS_PER_DAY),
        Meaning::Millis => value.checked_mul(1000),
        Meaning::Micros => Some(value),
        Meaning::Nanos if value % 1000 == 0 => Some(value / 1000),
        Meaning::Nanos => return Err(Unfit("a time finer than a microsecond")),
        Meaning::Bool | Meaning::Signed | Meaning::Unsigned | Meaning::Float | Meaning::Text => {
            return Ok(Cell::Integer(value.into()));
        }
    };
    micros.map(Cell::Instant).ok_or(Unfit("a time outside the years 1 to 9999"))
}

fn text_cell(value: &ByteArray) -> Result<Cell<'_>, Unfit> {
    let bytes = value.data();
    if MAX_CELL_BYTES < bytes.len() {
        return Err(Unfit("a text over the limit of 1048576 bytes"));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cell::Text(Cow::Borrowed(text))),
        Err(_) => Err(Unfit("bytes that are not UTF-8")),
    }
}

/// Appends the `n_rows` values of one chunk.
fn drain<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    n_rows: usize,
    builder: &mut ColumnBuilder,
    to_cell: &dyn for<'a> Fn(&'a T::T) -> Result<Cell<'a>, Unfit>,
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
        if n_records == 0 || values.len() < n_values {
            return Err(ReadError::damaged("a Parquet column ends early"));
        }
        let mut present = values[..n_values].iter();
        for at in 0..n_records {
            // Without levels every row has a value.
            let is_present = levels.get(at).is_none_or(|it| 0 < *it);
            if !is_present {
                builder.push(&Cell::Missing)?;
                continue;
            }
            let value =
                present.next().ok_or_else(|| ReadError::damaged("a Parquet column has fewer values than rows"))?;
            let cell = to_cell(value).map_err(|unfit| builder.refuse(unfit.0))?;
            builder.push(&cell)?;
        }
        done += n_records;
    }
    Ok(())
}
