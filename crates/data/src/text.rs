//! Text files as UTF-8, however they were packed.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::error::ReadError;
use crate::limits::{MAX_GZIP_RATIO, MAX_TEXT_BYTES, MIN_GZIP_CHECKED_BYTES};

const GZIP: &[u8] = &[0x1f, 0x8b];
const BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// Formats that we can name but do not read, by their first bytes.
const REFUSED: &[(&[u8], &str)] = &[
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd compression"),
    (&[0xff, 0xfe], "UTF-16 LE text (save the file as UTF-8)"),
    (&[0xfe, 0xff], "UTF-16 BE text (save the file as UTF-8)"),
    (b"PK\x03\x04", "a zip archive or spreadsheet"),
    (b"BZh", "bzip2 compression"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz compression"),
    (b"ORC", "ORC"),
    (b"Obj\x01", "Avro"),
];

/// The bytes after gzip, if they were gzip; otherwise the same bytes.
pub(crate) fn unpack(bytes: Vec<u8>) -> Result<Vec<u8>, ReadError> {
    let unpacked = if bytes.starts_with(GZIP) { gunzip(&bytes)? } else { bytes };
    if unpacked.starts_with(GZIP) {
        return Err(ReadError::Unsupported("gzip within gzip"));
    }
    for (magic, name) in REFUSED {
        if unpacked.starts_with(magic) {
            return Err(ReadError::Unsupported(name));
        }
    }
    Ok(unpacked)
}

/// Reads every member, up to the limits on size and ratio.
fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
    let by_ratio = (bytes.len() as u64).saturating_mul(MAX_GZIP_RATIO).max(MIN_GZIP_CHECKED_BYTES);
    let most = by_ratio.min(MAX_TEXT_BYTES);
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(most + 1)
        .read_to_end(&mut unpacked)
        .map_err(|source| ReadError::damaged_by("gzip data ends early or does not check", source))?;
    if (unpacked.len() as u64) <= most {
        return Ok(unpacked);
    }
    Err(if most < MAX_TEXT_BYTES {
        ReadError::TooLarge { what: "gzip ratio is", limit: MAX_GZIP_RATIO }
    } else {
        ReadError::TooLarge { what: "decompressed bytes are", limit: MAX_TEXT_BYTES }
    })
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
