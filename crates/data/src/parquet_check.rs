//! What a Parquet file claims, checked before the parquet crate believes it.
//!
//! The crate reserves memory for the child count of a schema group and for the number of values in a delta-encoded page, and it walks the schema
//! recursively. A failed allocation and a stack overflow end the process; `catch_unwind` does not
//! see them. So these claims are read here first and compared with the bytes that are there.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};

use crate::error::ReadError;
use crate::limits::MAX_SCHEMA_DEPTH;
use crate::thrift::{Compact, I32, LIST, STRUCT};

/// Checks that the schema in a footer has the children that it announces and is not too deep.
pub(crate) fn check_footer(footer: &[u8]) -> Result<(), ReadError> {
    let mut child_counts: Vec<i64> = Vec::new();
    let mut reader = Compact::new(footer);
    reader
        .fields(&mut |reader, id, kind| {
            if (id, kind) != (2, LIST) {
                return Some(false);
            }
            let (element, length) = reader.list()?;
            if element != STRUCT {
                return None;
            }
            for _ in 0..length {
                let mut n_children = 0;
                reader.fields(&mut |reader, id, kind| {
                    if (id, kind) == (5, I32) {
                        n_children = reader.zigzag()?;
                        return Some(true);
                    }
                    Some(false)
                })?;
                child_counts.push(n_children);
            }
            Some(true)
        })
        .ok_or_else(|| ReadError::damaged("the Parquet footer does not parse"))?;
    check_schema(&child_counts)
}

/// The counts come in depth-first order; `open` holds how many children each ancestor still lacks.
fn check_schema(child_counts: &[i64]) -> Result<(), ReadError> {
    let mut open: Vec<i64> = Vec::new();
    for &n_children in child_counts {
        if let Some(rest) = open.last_mut() {
            *rest -= 1;
        }
        if n_children < 0 || (child_counts.len() as i64) < n_children {
            return Err(ReadError::damaged("the Parquet schema counts children that are not there"));
        }
        if 0 < n_children {
            open.push(n_children);
        }
        if MAX_SCHEMA_DEPTH < open.len() {
            return Err(ReadError::TooLarge { what: "depth of the Parquet schema is", limit: MAX_SCHEMA_DEPTH as u64 });
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    if open.is_empty() { Ok(()) } else { Err(ReadError::damaged("the Parquet schema ends early")) }
}

/// Pages in memory for the parquet crate, which refuses those whose content claims more values than they have.
pub(crate) struct CheckedPages {
    pages: std::vec::IntoIter<Page>,
    has_levels: bool,
}

impl CheckedPages {
    /// `has_levels` says whether the column may have missing values.
    pub(crate) fn new(pages: Vec<Page>, has_levels: bool) -> CheckedPages {
        CheckedPages { pages: pages.into_iter(), has_levels }
    }

    fn check(&self, page: &Page) -> ParquetResult<()> {
        let (buf, encoding, n_values, start) = match page {
            Page::DictionaryPage { .. } => return Ok(()),
            Page::DataPage { buf, encoding, num_values, .. } => {
                let start = if self.has_levels { levels_length(buf) } else { Some(0) };
                (buf, *encoding, *num_values, start)
            }
            Page::DataPageV2 { buf, encoding, num_values, def_levels_byte_len, rep_levels_byte_len, .. } => (
                buf,
                *encoding,
                *num_values,
                (*def_levels_byte_len as usize).checked_add(*rep_levels_byte_len as usize),
            ),
        };
        let values = start.and_then(|it| buf.get(it..));
        let n_values = u64::from(n_values);
        let is_sound = match encoding {
            Encoding::DELTA_BINARY_PACKED | Encoding::DELTA_LENGTH_BYTE_ARRAY => {
                values.and_then(|it| delta_end(it, n_values)).is_some()
            }
            // Prefix lengths, then suffix lengths.
            Encoding::DELTA_BYTE_ARRAY => {
                values.and_then(|it| delta_end(it.get(delta_end(it, n_values)?..)?, n_values)).is_some()
            }
            Encoding::PLAIN
            | Encoding::PLAIN_DICTIONARY
            | Encoding::RLE
            | Encoding::RLE_DICTIONARY
            | Encoding::BYTE_STREAM_SPLIT => true,
            other => return Err(ParquetError::NYI(format!("encoding {other}"))),
        };
        if is_sound {
            Ok(())
        } else {
            Err(ParquetError::General("page claims values that it does not have".to_owned()))
        }
    }
}

/// Where the values of a version 1 page start: after its definition levels, which have their length in front.
fn levels_length(buf: &Bytes) -> Option<usize> {
    let length: [u8; 4] = buf.get(..4)?.try_into().ok()?;
    (u32::from_le_bytes(length) as usize).checked_add(4)
}

/// The end of a delta-packed run of at most `most` integers.
fn delta_end(bytes: &[u8], most: u64) -> Option<usize> {
    let mut reader = Compact::new(bytes);
    let (block, n_miniblocks, total) = (reader.varint()?, reader.varint()?, reader.varint()?);
    reader.zigzag()?;
    if most < total || n_miniblocks == 0 || (1 << 20) < block || block < n_miniblocks {
        return None;
    }
    let per_miniblock = block / n_miniblocks;
    let mut left = total.saturating_sub(1);
    while 0 < left {
        reader.zigzag()?;
        for &width in reader.take(n_miniblocks)? {
            // Miniblocks after the last value have a width and no bytes.
            if 0 < left {
                reader.take(u64::from(width) * per_miniblock / 8)?;
                left = left.saturating_sub(per_miniblock);
            }
        }
    }
    Some(reader.position())
}

impl Iterator for CheckedPages {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        let page = self.pages.next();
        if let Some(page) = &page {
            self.check(page)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        // Asked only by readers that skip rows.
        Err(ParquetError::NYI("looking ahead".to_owned()))
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        Err(ParquetError::NYI("skipping pages".to_owned()))
    }
}
