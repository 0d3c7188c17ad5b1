//! Text files in memory as UTF-8, however they were packed.

use crate::error::ReadError;
use crate::limits::MAX_TEXT_BYTES;
use crate::unwrap::Unwrapped;

const BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// The bytes before gzip or zstd, if they were packed; otherwise the same bytes.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
    Unwrapped::open(&bytes, bytes.len() as u64)?.read_all(MAX_TEXT_BYTES)
}
/// `bytes` as text without a byte order mark.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, ReadError> {
    match bytes {
        [0, it, ..] if *it != 0 => return Err(ReadError::Unsupported("UTF-16 BE text (save the file as UTF-8)")),
        [it, 0, ..] if *it != 0 => return Err(ReadError::Unsupported("UTF-16 LE text (save the file as UTF-8)")),
        _ => {}
    }
    if let Some(offset) = bytes.iter().position(|it| *it == 0) {
        return Err(ReadError::Nul { offset });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        ReadError::NotUtf8 { offset, byte: bytes[offset] }
    })?;
    let text = if bytes.starts_with(BOM) { &text[BOM.len()..] } else { text };
    if text.trim_ascii().is_empty() {
        return Err(ReadError::Empty);
    }
    Ok(text)
}
