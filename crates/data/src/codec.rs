//! Compressed Parquet pages, at most as large as their headers say.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use ruzstd::decoding::FrameDecoder;

use crate::error::{BoxError, ReadError};
use crate::limits::MAX_ZSTD_WINDOW_BYTES;

/// How the pages of a column are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Plain,
    Snappy,
    Gzip,
    Zstd,
}

impl Codec {
    /// The codec that a footer names.
    pub(crate) fn new(compression: Compression) -> Result<Codec, ReadError> {
        match compression {
            Compression::UNCOMPRESSED => Ok(Codec::Plain),
            Compression::SNAPPY => Ok(Codec::Snappy),
            Compression::GZIP(_) => Ok(Codec::Gzip),
            Compression::ZSTD(_) => Ok(Codec::Zstd),
            Compression::BROTLI(_) => Err(ReadError::Unsupported("Brotli compression in Parquet")),
            Compression::LZO => Err(ReadError::Unsupported("LZO compression in Parquet")),
            Compression::LZ4 | Compression::LZ4_RAW => Err(ReadError::Unsupported("LZ4 compression in Parquet")),
        }
    }

    /// Appends the `n_bytes` that `stored` unpacks to; more or fewer are damage. The caller has checked `n_bytes` against a limit.
    pub(crate) fn unpack(self, stored: &[u8], n_bytes: usize, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let start = out.len();
        let damage = |source: BoxError| ReadError::damaged_by("a Parquet page does not decompress", source);
        match self {
            Codec::Plain => out.extend_from_slice(stored),
            Codec::Snappy => {
                let length = snap::raw::decompress_len(stored).map_err(|it| damage(it.into()))?;
                if length == n_bytes {
                    out.resize(start + n_bytes, 0);
                    snap::raw::Decoder::new().decompress(stored, &mut out[start..]).map_err(|it| damage(it.into()))?;
                }
            }
            Codec::Gzip => {
                let mut limited = MultiGzDecoder::new(stored).take(n_bytes as u64 + 1);
                limited.read_to_end(out).map_err(|it| damage(it.into()))?;
            }
            Codec::Zstd => {
                let mut decoder = FrameDecoder::new();
                decoder.set_max_window_size(MAX_ZSTD_WINDOW_BYTES);
                out.resize(start + n_bytes, 0);
                let length = decoder.decode_all(stored, &mut out[start..]).map_err(|it| damage(it.into()))?;
                out.truncate(start + length);
            }
        }
        if out.len() - start == n_bytes {
            Ok(())
        } else {
            Err(ReadError::damaged("a Parquet page is longer or shorter than its header says"))
        }
    }
}
