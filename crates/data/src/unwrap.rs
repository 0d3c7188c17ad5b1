//! Bytes as they were before gzip or zstd, told by content, within limits on the ratio.

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::error::ReadError;
use crate::limits::{MAX_PACKED_RATIO, MAX_ZSTD_WINDOW_BYTES, MIN_PACKED_CHECKED_BYTES};
use crate::range::RangeRead;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Formats that we can name but do not read, by their first bytes.
const REFUSED: &[(&[u8], &str)] = &[
    (GZIP, "gzip within gzip or zstd"),
    (ZSTD, "zstd within gzip or zstd"),
    (&[0xff, 0xfe], "UTF-16 LE text (save the file as UTF-8)"),
    (&[0xfe, 0xff], "UTF-16 BE text (save the file as UTF-8)"),
    (b"PK\x03\x04", "a zip archive or spreadsheet"),
    (b"BZh", "bzip2 compression"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz compression"),
    (b"ORC", "ORC"),
    (b"Obj\x01", "Avro"),
];

/// How much is fetched at once.
const FETCHED_BYTES: usize = 1 << 16;

/// How a source is packed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

/// Reads what a source of `length` bytes holds, unpacked.
pub(crate) struct Unwrapped<'a> {
    inner: Box<dyn Read + 'a>,
    packing: Packing,
    /// The first bytes, which were looked at, and how many bytes have been handed out.
    head: Cursor<Vec<u8>>,
    n_out: u64,
    most: u64,
}

impl<'a> Unwrapped<'a> {
    /// Looks at the first bytes; formats that are known and not read are refused by name.
    pub(crate) fn open(source: &'a dyn RangeRead, length: u64) -> Result<Unwrapped<'a>, ReadError> {
        // Longer than every magic number.
        const HEAD: usize = 8;
        let raw = SourceReader { source, at: 0, length, fetched: Cursor::new(Vec::new()) };
        let (head, raw) = peek(Box::new(raw), HEAD).map_err(ReadError::Io)?;
        let (packing, inner): (_, Box<dyn Read + 'a>) = if head.starts_with(GZIP) {
            (Packing::Gzip, Box::new(MultiGzDecoder::new(raw)))
        } else if head.starts_with(ZSTD) {
            (Packing::Zstd, Box::new(ZstdReader::new(raw)))
        } else {
            (Packing::None, raw)
        };
        let most = match packing {
            Packing::None => u64::MAX,
            Packing::Gzip | Packing::Zstd => length.saturating_mul(MAX_PACKED_RATIO).max(MIN_PACKED_CHECKED_BYTES),
        };
        let mut unwrapped = Unwrapped { inner, packing, head: Cursor::new(Vec::new()), n_out: 0, most };
        let mut head = vec![0; HEAD];
        let n_read = unwrapped.read_full(&mut head)?;
        head.truncate(n_read);
        unwrapped.n_out = 0;
        for (magic, name) in REFUSED {
            if head.starts_with(magic) {
                return Err(ReadError::Unsupported(name));
            }
        }
        unwrapped.head = Cursor::new(head);
        Ok(unwrapped)
    }

    /// The first bytes, at most eight.
    pub(crate) fn head(&self) -> &[u8] {
        self.head.get_ref()
    }

    /// Fills `buf` as far as there are bytes; returns how many there were.
    pub(crate) fn read_full(&mut self, buf: &mut [u8]) -> Result<usize, ReadError> {
        let mut n_read = 0;
        while n_read < buf.len() {
            let n_head = self.head.read(&mut buf[n_read..]).map_err(ReadError::Io)?;
            let n_more = if 0 < n_head { n_head } else { self.read_inner(&mut buf[n_read..])? };
            if n_more == 0 {
                break;
            }
            n_read += n_more;
            self.n_out += n_more as u64;
            if self.most < self.n_out {
                return Err(ReadError::TooLarge { what: "ratio of compression is", limit: MAX_PACKED_RATIO });
            }
        }
        Ok(n_read)
    }

    fn read_inner(&mut self, buf: &mut [u8]) -> Result<usize, ReadError> {
        loop {
            return match self.inner.read(buf) {
                Ok(n_read) => Ok(n_read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(match self.packing {
                    Packing::None => ReadError::Io(error),
                    Packing::Gzip => ReadError::damaged_by("gzip data ends early or does not check", error),
                    Packing::Zstd => ReadError::damaged_by("zstd data ends early or does not check", error),
                }),
            };
        }
    }

    /// All that is there, if it is at most `limit` bytes.
    pub(crate) fn read_all(mut self, limit: u64) -> Result<Vec<u8>, ReadError> {
        let mut all = Vec::new();
        loop {
            let start = all.len();
            all.resize(start + FETCHED_BYTES.max(start), 0);
            let n_read = self.read_full(&mut all[start..])?;
            all.truncate(start + n_read);
            if limit < all.len() as u64 {
                return Err(ReadError::TooLarge { what: "bytes are", limit });
            }
            if n_read == 0 {
                return Ok(all);
            }
        }
    }
}

/// The first `n` bytes, and a reader that still has them.
fn peek<'a>(mut reader: Box<dyn Read + 'a>, n: usize) -> io::Result<(Vec<u8>, Box<dyn Read + 'a>)> {
    let mut head = Vec::new();
    reader.by_ref().take(n as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Box::new(Cursor::new(head).chain(reader))))
}

/// Reads a source from its beginning, as far as it was long when it was opened.
struct SourceReader<'a> {
    source: &'a dyn RangeRead,
    at: u64,
    length: u64,
    fetched: Cursor<Vec<u8>>,
}

impl Read for SourceReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n_read = self.fetched.read(buf)?;
        if 0 < n_read || buf.is_empty() || self.at == self.length {
            return Ok(n_read);
        }
        let n_more = (self.length - self.at).min(FETCHED_BYTES as u64);
        let mut bytes = std::mem::take(&mut self.fetched).into_inner();
        bytes.resize(n_more as usize, 0);
        self.source.read_at(self.at, &mut bytes)?;
        self.at += n_more;
        self.fetched = Cursor::new(bytes);
        self.fetched.read(buf)
    }
}

/// Reads every frame of zstd data, one after another, and checks their checksums.
struct ZstdReader<'a> {
    source: Pushback<'a>,
    decoder: FrameDecoder,
    is_open: bool,
}

/// A reader one byte of which was looked at.
struct Pushback<'a> {
    inner: Box<dyn Read + 'a>,
    byte: Option<u8>,
}

impl Pushback<'_> {
    fn is_at_end(&mut self) -> io::Result<bool> {
        let mut byte = [0];
        if self.byte.is_none() && 0 < self.inner.read(&mut byte)? {
            self.byte = Some(byte[0]);
        }
        Ok(self.byte.is_none())
    }
}

impl Read for Pushback<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match (buf.first_mut(), self.byte) {
            (Some(first), Some(byte)) => {
                *first = byte;
                self.byte = None;
                Ok(1)
            }
            (None, _) => Ok(0),
            (Some(_), None) => self.inner.read(buf),
        }
    }
}

impl<'a> ZstdReader<'a> {
    fn new(source: Box<dyn Read + 'a>) -> ZstdReader<'a> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_ZSTD_WINDOW_BYTES);
        ZstdReader { source: Pushback { inner: source, byte: None }, decoder, is_open: false }
    }

    /// Begins the next frame; false at the end of the data.
    fn next_frame(&mut self) -> io::Result<bool> {
        if self.source.is_at_end()? {
            return Ok(false);
        }
        match self.decoder.init(&mut self.source) {
            Ok(()) => {
                self.is_open = true;
                Ok(true)
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let n_skipped = io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink())?;
                if n_skipped < u64::from(length) { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(true) }
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.is_open = false;
        match self.decoder.get_checksum_from_data() {
            Some(stored) if self.decoder.get_calculated_checksum() != Some(stored) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum does not match"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Read for ZstdReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.is_open && !self.next_frame()? {
                return Ok(0);
            }
            while self.is_open {
                let n_read = self.decoder.read(buf)?;
                if 0 < n_read {
                    return Ok(n_read);
                }
                if self.decoder.is_finished() {
                    self.end_frame()?;
                } else {
                    self.decoder
                        .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                        .map_err(io::Error::other)?;
                }
            }
        }
    }
}
