//! Bytes that can be read by range, so that a Parquet reader need not hold the file.
//!
//! Synchronous on purpose: the numeric crates have no runtime, and `app` fetches before it calls.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// A source of bytes with random access.
pub trait RangeRead: Send + Sync {
    /// How many bytes there are now.
    ///
    /// # Errors
    /// Fails when the source cannot say.
    fn len(&self) -> io::Result<u64>;

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when there are fewer bytes than asked for.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Whether there are no bytes.
    ///
    /// # Errors
    /// Fails when the source cannot say.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

fn copy_range(bytes: &[u8], offset: u64, buf: &mut [u8]) -> io::Result<()> {
    let range = usize::try_from(offset)
        .ok()
        .and_then(|start| bytes.get(start..start.checked_add(buf.len())?))
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    buf.copy_from_slice(range);
    Ok(())
}

impl RangeRead for &[u8] {
    fn len(&self) -> io::Result<u64> {
        Ok((**self).len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        copy_range(self, offset, buf)
    }
}

impl RangeRead for Vec<u8> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.as_slice().len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        copy_range(self, offset, buf)
    }
}

impl RangeRead for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.as_ref().len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        copy_range(self, offset, buf)
    }
}

/// A file on disk.
#[derive(Debug)]
pub struct FileRange {
    // Seek and read are two calls; the lock keeps them together.
    file: Mutex<File>,
}

impl FileRange {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Fails when the file cannot be opened.
    #[expect(clippy::disallowed_methods, reason = "a range of a file is what this type is for; the caller names it")]
    pub fn open(path: &Path) -> io::Result<FileRange> {
        Ok(FileRange { file: Mutex::new(File::open(path)?) })
    }
}

impl RangeRead for FileRange {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.lock().unwrap_or_else(PoisonError::into_inner).metadata()?.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buf)
    }
}
