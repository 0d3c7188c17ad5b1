//! How much a file may claim before it is refused.
//!
//! A file of a few kilobytes can claim gigabytes. Each limit is checked before the memory is claimed, so that damaged or hostile data costs an
//! error and not the process.

/// Longest text in one cell, in bytes; above that a quote was most likely not closed.
pub const MAX_CELL_BYTES: usize = 1 << 20;

/// Most columns in one file; wider files are matrices, not features with names.
pub const MAX_COLUMNS: usize = 10_000;

/// Most rows in one frame: a number costs 16 bytes, so a column stays below 320 MB.
pub const MAX_ROWS: usize = 20_000_000;

/// Most bytes of a capture or label file, and of Parquet within gzip or zstd, which are held in memory. CSV and JSON Lines are streamed and may
/// be larger.
pub const MAX_TEXT_BYTES: u64 = 512 << 20;

/// Longest row of text (CSV, JSON Lines, capture), in bytes.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

/// Largest ratio of decompressed to compressed bytes for gzip and zstd; real tables stay below 30.
pub const MAX_PACKED_RATIO: u64 = 100;

/// Below this size the ratio is not checked: short repetitive files are harmless.
pub const MIN_PACKED_CHECKED_BYTES: u64 = 1 << 20;

/// Largest Parquet footer; a thousand columns in a thousand row groups stay below it.
pub const MAX_FOOTER_BYTES: u64 = 128 << 20;

/// Deepest Parquet schema; the parquet crate walks it recursively.
pub const MAX_SCHEMA_DEPTH: usize = 32;

/// Largest Parquet page after decompression; writers aim at 1 MB.
pub const MAX_PAGE_BYTES: u64 = 32 << 20;

/// Largest Parquet column chunk as stored; it is read in one piece.
pub const MAX_CHUNK_BYTES: u64 = 512 << 20;

/// Largest window of a zstd frame, which its decoder keeps in memory; `zstd -19` asks for 8 MB.
pub const MAX_ZSTD_WINDOW_BYTES: u64 = 32 << 20;

/// Largest header of a Parquet page; with statistics of long texts it may hold two cells.
pub const MAX_PAGE_HEADER_BYTES: usize = 4 << 20;
