//! The pages of one Parquet column chunk, read piece by piece, checked against what their headers claim before memory is claimed for them.
//!
//! Ours, and not the parquet crate's, because that one believes the sizes in page headers, panics on some damage, wants C for zstd, and needs the
//! whole chunk in memory. A page with a checksum is checked against it.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::file::metadata::ColumnChunkMetaData;

use crate::codec::Codec;
use crate::error::ReadError;
use crate::limits::{MAX_PAGE_BYTES, MAX_PAGE_HEADER_BYTES};
use crate::range::RangeRead;
use crate::thrift::{Compact, I32, STRUCT, TRUE};

/// How much is fetched at once: few calls, little memory.
const WINDOW_BYTES: usize = 1 << 20;

/// A cursor over the pages of a column chunk.
pub(crate) struct Pages<'a> {
    source: &'a dyn RangeRead,
    /// The bytes that were fetched, of which `at` are used up.
    window: Vec<u8>,
    at: usize,
    /// Where the window ends in the file, and where the chunk does.
    fetched: u64,
    end: u64,
    codec: Codec,
    n_rows: u64,
    n_seen: u64,
}

impl<'a> Pages<'a> {
    /// The pages of a chunk of `n_rows` rows in a file of `length` bytes.
    pub(crate) fn open(
        source: &'a dyn RangeRead,
        length: u64,
        meta: &ColumnChunkMetaData,
        n_rows: u64,
    ) -> Result<Pages<'a>, ReadError> {
        let codec = Codec::new(meta.compression())?;
        if u64::try_from(meta.num_values()) != Ok(n_rows) {
            return Err(ReadError::damaged("a column and its row group disagree on the number of rows"));
        }
        // The crate's own `byte_range` panics on negative numbers.
        let start = meta.dictionary_page_offset().unwrap_or(meta.data_page_offset());
        let range = u64::try_from(start).ok().zip(u64::try_from(meta.compressed_size()).ok());
        let (start, stored) = range.ok_or_else(|| ReadError::damaged("a Parquet column lies outside the file"))?;
        let end = start.saturating_add(stored);
        if length < end {
            return Err(ReadError::damaged("a Parquet column lies outside the file"));
        }
        Ok(Pages { source, window: Vec::new(), at: 0, fetched: start, end, codec, n_rows, n_seen: 0 })
    }

    /// The next page with its content decompressed; `None` after the last row.
    pub(crate) fn next_page(&mut self) -> Result<Option<Page>, ReadError> {
        while self.n_seen < self.n_rows {
            let header = self.next_header()?;
            if MAX_PAGE_BYTES < header.plain_bytes.max(header.stored_bytes) {
                return Err(ReadError::TooLarge { what: "bytes of a Parquet page are", limit: MAX_PAGE_BYTES });
            }
            let left = (self.window.len() - self.at) as u64 + (self.end - self.fetched);
            if left < header.stored_bytes {
                return Err(ReadError::damaged("a Parquet page is longer than its column"));
            }
            let stored = header.stored_bytes as usize;
            self.fetch(stored)?;
            let bytes = &self.window[self.at..self.at + stored];
            if header.crc.is_some_and(|it| it != crc32fast::hash(bytes)) {
                return Err(ReadError::damaged("a Parquet page does not match its checksum"));
            }
            let page = header.page(bytes, self.codec)?;
            self.at += stored;
            match page {
                None => {}
                Some(Page::DictionaryPage { .. }) if 0 < self.n_seen => {
                    return Err(ReadError::damaged("a Parquet dictionary comes after its values"));
                }
                Some(page) => {
                    self.n_seen += if page.is_data_page() { u64::from(page.num_values()) } else { 0 };
                    if self.n_rows < self.n_seen {
                        return Err(ReadError::damaged("a Parquet column has more values than rows"));
                    }
                    return Ok(Some(page));
                }
            }
        }
        Ok(None)
    }

    fn next_header(&mut self) -> Result<Header, ReadError> {
        // Headers are tens of bytes; longer ones are fetched when these do not parse.
        let mut wanted = 256;
        loop {
            let has_more = self.fetch(wanted)?;
            if self.at == self.window.len() {
                return Err(ReadError::damaged("a Parquet column ends early"));
            }
            let bytes = &self.window[self.at..];
            if let Some((n_bytes, header)) = parse_header(bytes) {
                self.at += n_bytes;
                return Ok(header);
            }
            if !has_more || MAX_PAGE_HEADER_BYTES < wanted {
                return Err(ReadError::damaged("a Parquet page header does not parse"));
            }
            wanted = bytes.len().max(wanted) * 2;
        }
    }

    /// Makes `n` bytes, or all that are left, lie in the window; tells whether the chunk has more.
    fn fetch(&mut self, n: usize) -> Result<bool, ReadError> {
        let have = self.window.len() - self.at;
        let left = self.end - self.fetched;
        if have < n && 0 < left {
            self.window.drain(..self.at);
            self.at = 0;
            let more = left.min((n - have).max(WINDOW_BYTES) as u64) as usize;
            self.window.resize(have + more, 0);
            self.source.read_at(self.fetched, &mut self.window[have..]).map_err(ReadError::Io)?;
            self.fetched += more as u64;
        }
        Ok(self.fetched < self.end)
    }
}

#[derive(Default)]
struct Header {
    kind: PageKind,
    plain_bytes: u64,
    stored_bytes: u64,
    crc: Option<u32>,
    n_values: u32,
    encoding: Option<Encoding>,
    level_encoding: Option<Encoding>,
    n_missing: u32,
    /// Bytes of repetition and of definition levels; pages of version 2 do not compress them.
    level_bytes: (u32, u32),
    is_compressed: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum PageKind {
    Data,
    Dictionary,
    DataV2,
    #[default]
    Other,
}

/// The length of the header and what it claims; negative sizes do not parse.
fn parse_header(bytes: &[u8]) -> Option<(usize, Header)> {
    let mut header = Header { is_compressed: true, ..Header::default() };
    let mut reader = Compact::new(bytes);
    reader.fields(&mut |reader, id, kind| {
        match (id, kind) {
            (2, I32) => header.plain_bytes = u64::try_from(reader.zigzag()?).ok()?,
            (3, I32) => header.stored_bytes = u64::try_from(reader.zigzag()?).ok()?,
            // A checksum is unsigned, in a signed field.
            (4, I32) => header.crc = Some(i32::try_from(reader.zigzag()?).ok()? as u32),
            (5, STRUCT) => {
                header.kind = PageKind::Data;
                parse_content(reader, &mut header)?;
            }
            (7, STRUCT) => {
                header.kind = PageKind::Dictionary;
                parse_content(reader, &mut header)?;
            }
            (8, STRUCT) => {
                header.kind = PageKind::DataV2;
                parse_content_v2(reader, &mut header)?;
            }
            (_, _) => return Some(false),
        }
        Some(true)
    })?;
    Some((reader.position(), header))
}

/// DataPageHeader and DictionaryPageHeader begin alike.
fn parse_content(reader: &mut Compact<'_>, header: &mut Header) -> Option<()> {
    let is_data = header.kind == PageKind::Data;
    reader.fields(&mut |reader, id, kind| {
        match (id, kind) {
            (1, I32) => header.n_values = u32::try_from(reader.zigzag()?).ok()?,
            (2, I32) => header.encoding = Some(encoding(reader.zigzag()?)?),
            (3, I32) if is_data => header.level_encoding = Some(encoding(reader.zigzag()?)?),
            (_, _) => return Some(false),
        }
        Some(true)
    })
}

fn parse_content_v2(reader: &mut Compact<'_>, header: &mut Header) -> Option<()> {
    reader.fields(&mut |reader, id, kind| {
        match (id, kind) {
            (1, I32) => header.n_values = u32::try_from(reader.zigzag()?).ok()?,
            (2, I32) => header.n_missing = u32::try_from(reader.zigzag()?).ok()?,
            (4, I32) => header.encoding = Some(encoding(reader.zigzag()?)?),
            (5, I32) => header.level_bytes.1 = u32::try_from(reader.zigzag()?).ok()?,
            (6, I32) => header.level_bytes.0 = u32::try_from(reader.zigzag()?).ok()?,
            // The value of a boolean field is its type.
            (7, kind) => {
                header.is_compressed = kind == TRUE;
                return Some(false);
            }
            (_, _) => return Some(false),
        }
        Some(true)
    })
}

fn encoding(number: i64) -> Option<Encoding> {
    Some(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        // BIT_PACKED of levels was deprecated in 2013.
        _ => return None,
    })
}

impl Header {
    /// The page of these stored bytes; `None` for a kind of page without values.
    fn page(&self, stored: &[u8], codec: Codec) -> Result<Option<Page>, ReadError> {
        let plain_bytes = self.plain_bytes as usize;
        let encoding = || self.encoding.ok_or_else(|| ReadError::damaged("a Parquet page header does not parse"));
        let mut content = Vec::new();
        Ok(Some(match self.kind {
            PageKind::Other => return Ok(None),
            PageKind::Dictionary => {
                if self.plain_bytes < u64::from(self.n_values) {
                    return Err(ReadError::damaged("a Parquet dictionary has more values than bytes"));
                }
                codec.unpack(stored, plain_bytes, &mut content)?;
                Page::DictionaryPage {
                    buf: Bytes::from(content),
                    num_values: self.n_values,
                    encoding: encoding()?,
                    is_sorted: false,
                }
            }
            PageKind::Data => {
                codec.unpack(stored, plain_bytes, &mut content)?;
                Page::DataPage {
                    buf: Bytes::from(content),
                    num_values: self.n_values,
                    encoding: encoding()?,
                    def_level_encoding: self.level_encoding.unwrap_or(Encoding::RLE),
                    rep_level_encoding: Encoding::RLE,
                    statistics: None,
                }
            }
            PageKind::DataV2 => {
                let n_levels = self.level_bytes.0 as usize + self.level_bytes.1 as usize;
                if stored.len().min(plain_bytes) < n_levels {
                    return Err(ReadError::damaged("a Parquet page has more levels than bytes"));
                }
                let codec = if self.is_compressed { codec } else { Codec::Plain };
                content.extend_from_slice(&stored[..n_levels]);
                // A page without any value may store nothing, not even an empty compressed block.
                if n_levels < plain_bytes {
                    codec.unpack(&stored[n_levels..], plain_bytes - n_levels, &mut content)?;
                }
                Page::DataPageV2 {
                    buf: Bytes::from(content),
                    num_values: self.n_values,
                    encoding: encoding()?,
                    num_nulls: self.n_missing,
                    num_rows: self.n_values,
                    def_levels_byte_len: self.level_bytes.1,
                    rep_levels_byte_len: self.level_bytes.0,
                    is_compressed: self.is_compressed,
                    statistics: None,
                }
            }
        }))
    }
}
