//! Text as it streams in: UTF-8 without a byte order mark, in pieces of which a reader takes whole records.

use crate::error::ReadError;
use crate::limits::MAX_RECORD_BYTES;
use crate::range::RangeRead;
use crate::unwrap::Unwrapped;

const BOM: char = '\u{feff}';

/// How much text is decoded at once, at least.
const PIECE_BYTES: usize = 1 << 18;
/// How much of it first: many files are smaller, and need no buffer of that size.
const FIRST_BYTES: usize = 1 << 13;

/// A window over a text that moves forward.
pub(crate) struct TextStream<'a> {
    bytes: Unwrapped<'a>,
    /// The text that was decoded and not yet taken.
    text: String,
    taken: usize,
    /// Bytes at the end of the last piece that begin a character.
    rest: Vec<u8>,
    /// Where `rest` stands in the unpacked bytes.
    offset: usize,
    is_done: bool,
}

impl<'a> TextStream<'a> {
    /// Opens a source of `length` bytes that is no Parquet.
    pub(crate) fn open(source: &'a dyn RangeRead, length: u64) -> Result<TextStream<'a>, ReadError> {
        TextStream::new(Unwrapped::open(source, length)?)
    }

    /// The text of these bytes; an empty one is an error.
    pub(crate) fn new(bytes: Unwrapped<'a>) -> Result<TextStream<'a>, ReadError> {
        match bytes.head() {
            [0, it, ..] if *it != 0 => return Err(ReadError::Unsupported("UTF-16 BE text (save the file as UTF-8)")),
            [it, 0, ..] if *it != 0 => return Err(ReadError::Unsupported("UTF-16 LE text (save the file as UTF-8)")),
            _ => {}
        }
        let mut stream =
            TextStream { bytes, text: String::new(), taken: 0, rest: Vec::new(), offset: 0, is_done: false };
        stream.grow()?;
        if stream.text.starts_with(BOM) {
            stream.take(BOM.len_utf8());
        }
        while stream.text().trim_ascii_start().is_empty() {
            if stream.is_done {
                return Err(ReadError::Empty);
            }
            stream.grow()?;
        }
        Ok(stream)
    }

    /// The text that is there and was not taken.
    pub(crate) fn text(&self) -> &str {
        &self.text[self.taken..]
    }

    /// Whether the text ends with what is there.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Takes the first `n_bytes` of the text, which end at a character.
    pub(crate) fn take(&mut self, n_bytes: usize) {
        self.taken += n_bytes;
    }

    /// Makes more text be there, if it is not done. A record that does not fit within [`MAX_RECORD_BYTES`] is refused.
    pub(crate) fn grow(&mut self) -> Result<(), ReadError> {
        self.text.drain(..self.taken);
        self.taken = 0;
        if MAX_RECORD_BYTES <= self.text.len() {
            return Err(ReadError::TooLarge { what: "bytes of a row are", limit: MAX_RECORD_BYTES as u64 });
        }
        // Doubling, so that a long record is not looked at again too often.
        let n_wanted = PIECE_BYTES.max(self.text.len());
        let n_rest = self.rest.len();
        let mut n_read = 0;
        for n_so_far in [FIRST_BYTES, n_wanted] {
            self.rest.resize(n_rest + n_so_far, 0);
            n_read += self.bytes.read_full(&mut self.rest[n_rest + n_read..])?;
            self.is_done = n_read < n_so_far;
            if self.is_done {
                break;
            }
        }
        self.rest.truncate(n_rest + n_read);
        if let Some(at) = self.rest[n_rest..].iter().position(|it| *it == 0) {
            return Err(ReadError::Nul { offset: self.offset + n_rest + at });
        }
        let n_valid = match std::str::from_utf8(&self.rest) {
            Ok(text) => {
                self.text.push_str(text);
                self.rest.len()
            }
            Err(error) => {
                let n_valid = error.valid_up_to();
                if error.error_len().is_some() || self.is_done {
                    return Err(ReadError::NotUtf8 { offset: self.offset + n_valid, byte: self.rest[n_valid] });
                }
                self.text.push_str(&String::from_utf8_lossy(&self.rest[..n_valid]));
                n_valid
            }
        };
        self.rest.drain(..n_valid);
        self.offset += n_valid;
        Ok(())
    }

    /// Hands each line that is not blank to `visit`, trimmed, with its number from 1.
    pub(crate) fn each_line(
        mut self,
        visit: &mut dyn FnMut(usize, &str) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut number = 0;
        loop {
            let text = self.text();
            let end = if self.is_done { text.len() } else { text.rfind('\n').map_or(0, |it| it + 1) };
            for line in text[..end].split_inclusive('\n') {
                number += 1;
                let line = line.trim_ascii();
                if !line.is_empty() {
                    visit(number, line)?;
                }
            }
            if self.is_done {
                return Ok(());
            }
            self.take(end);
            self.grow()?;
        }
    }
}
