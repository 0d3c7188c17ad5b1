//! What a Parquet file says about itself: its footer, and which of its columns Refit can read as what.

use std::collections::HashMap;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::{ColumnDescriptor, Type};

use crate::error::{ReadError, missing_column};
use crate::frame::Kind;
use crate::limits::{MAX_COLUMNS, MAX_FOOTER_BYTES};
use crate::parquet_check::check_footer;
use crate::range::RangeRead;

/// How the values of a column are to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
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
    /// The kind of column that it is read as unless the caller says otherwise.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Meaning::Bool | Meaning::Text => Kind::Categorical,
            Meaning::Signed | Meaning::Unsigned | Meaning::Float => Kind::Numeric,
            Meaning::Days | Meaning::Millis | Meaning::Micros | Meaning::Nanos => Kind::Time,
        }
    }
}

/// A column to read.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) leaf: usize,
    pub(crate) meaning: Meaning,
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// An opened file.
pub(crate) struct ParquetFile {
    pub(crate) metadata: ParquetMetaData,
    pub(crate) length: u64,
    /// The names of all columns, readable or not.
    names: Vec<String>,
}

impl ParquetFile {
    /// Reads the footer of a file of `length` bytes whose magic is right at both ends.
    pub(crate) fn open(source: &dyn RangeRead, length: u64) -> Result<ParquetFile, ReadError> {
        let metadata = read_footer(source, length)?;
        let fields = metadata.file_metadata().schema_descr().root_schema().get_fields();
        if MAX_COLUMNS < fields.len() {
            return Err(ReadError::TooLarge { what: "columns are", limit: MAX_COLUMNS as u64 });
        }
        let names: Vec<String> = fields.iter().map(|it| it.name().to_owned()).collect();
        check_names(&names)?;
        let mut total = 0_u64;
        for group in metadata.row_groups() {
            let n_rows = u64::try_from(group.num_rows());
            total = total.saturating_add(n_rows.map_err(|_| ReadError::damaged("a row group has fewer than no rows"))?);
        }
        if u64::try_from(metadata.file_metadata().num_rows()) != Ok(total) {
            return Err(ReadError::damaged("row groups and footer disagree on the number of rows"));
        }
        Ok(ParquetFile { metadata, length, names })
    }

    /// The names of all columns.
    pub(crate) fn into_names(self) -> Vec<String> {
        self.names
    }

    /// How many rows the file has; row groups and footer agree on it.
    pub(crate) fn rows(&self) -> u64 {
        self.metadata.file_metadata().num_rows().unsigned_abs()
    }

    /// How many rows a row group has.
    pub(crate) fn group_rows(&self, group: usize) -> u64 {
        self.metadata.row_groups().get(group).map_or(0, |it| it.num_rows().unsigned_abs())
    }

    /// Every column with the kind that its type says; one of a type that is not read is an error.
    pub(crate) fn all_columns(&self) -> Result<Vec<Wanted>, ReadError> {
        let leaves = self.leaves();
        (0..self.names.len()).map(|at| self.column(at, None, &leaves)).collect()
    }

    /// Every column of a type that is read, and the names and types of the others.
    pub(crate) fn readable_columns(&self) -> (Vec<Wanted>, Vec<ReadError>) {
        let leaves = self.leaves();
        let (mut readable, mut refused) = (Vec::new(), Vec::new());
        for at in 0..self.names.len() {
            match self.column(at, None, &leaves) {
                Ok(column) => readable.push(column),
                Err(error) => refused.push(error),
            }
        }
        (readable, refused)
    }

    /// These columns, to be read as these kinds.
    pub(crate) fn wanted(&self, columns: &[(String, Kind)]) -> Result<Vec<Wanted>, ReadError> {
        let leaves = self.leaves();
        columns
            .iter()
            .map(|(name, kind)| match self.names.iter().position(|it| it == name) {
                Some(at) => self.column(at, Some(*kind), &leaves),
                None => Err(missing_column(name, self.names.iter().map(String::as_str))),
            })
            .collect()
    }

    fn leaves(&self) -> HashMap<usize, usize> {
        let schema = self.metadata.file_metadata().schema_descr();
        (0..schema.num_columns()).map(|leaf| (schema.get_column_root_idx(leaf), leaf)).collect()
    }

    fn column(&self, at: usize, kind: Option<Kind>, leaves: &HashMap<usize, usize>) -> Result<Wanted, ReadError> {
        let schema = self.metadata.file_metadata().schema_descr();
        let leaf = flat_leaf(&schema.root_schema().get_fields()[at], leaves.get(&at).copied())?;
        let meaning = meaning_of(&schema.column(leaf))?;
        Ok(Wanted { leaf, meaning, name: self.names[at].clone(), kind: kind.unwrap_or(meaning.kind()) })
    }
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

fn check_names(names: &[String]) -> Result<(), ReadError> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            return Err(ReadError::UnnamedColumn { column: at + 1 });
        }
        if let Some(first) = seen.insert(name.to_lowercase(), at) {
            return Err(if names[first] == *name {
                ReadError::DuplicateColumn { name: name.clone(), first: first + 1, second: at + 1 }
            } else {
                ReadError::CaseOnly { first: names[first].clone(), second: name.clone() }
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
