//! Objects as ranges of bytes, for readers that do not wait: the footer of a Parquet file and the columns that are needed, and no more.
//!
//! A reader asks for little at a time, and a request costs tens of milliseconds whatever it asks for, so that bytes are fetched in blocks, of which the last ones
//! are kept, for all files together. An object that changes while it is read is an error: each request names the version that was there first.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use refit_app::ports::{ObjectError, ObjectInfo, Objects};
use refit_core::ObjectUri;
use refit_data::RangeRead;
use tokio::runtime::Handle;

/// What is fetched at once. S3 sends a mebibyte in about the time that it takes to answer at all.
const BLOCK: u64 = 1 << 20;

/// Blocks that are kept: more than columns are read at once.
const KEPT_BLOCKS: usize = 32;

/// A block of the file of a number.
struct Block {
    file: u64,
    number: u64,
    bytes: Arc<Vec<u8>>,
}

/// Opens objects as ranges.
#[derive(Clone)]
pub struct ObjectRanges {
    objects: Arc<dyn Objects>,
    runtime: Handle,
    /// Those used last come last.
    blocks: Arc<Mutex<VecDeque<Block>>>,
    n_files: Arc<AtomicU64>,
}

impl ObjectRanges {
    /// Of these objects. Whoever reads waits for `runtime`, and therefore must not be one of its tasks; its input and output run on threads of its own.
    #[must_use]
    pub fn new(objects: Arc<dyn Objects>, runtime: Handle) -> ObjectRanges {
        ObjectRanges { objects, runtime, blocks: Arc::default(), n_files: Arc::default() }
    }

    /// Opens the object that was described so; nothing is asked for yet.
    #[must_use]
    pub fn open(&self, info: ObjectInfo) -> ObjectRange {
        ObjectRange { ranges: self.clone(), file: self.n_files.fetch_add(1, Ordering::Relaxed), info }
    }

    /// Every object that is wanted of those whose key begins with that of `prefix`, by rising key; at most `limit` and one more.
    ///
    /// # Errors
    /// When the objects cannot be listed.
    pub fn list(
        &self,
        prefix: &ObjectUri,
        limit: usize,
        is_wanted: impl Fn(&ObjectUri) -> bool,
    ) -> Result<Vec<ObjectInfo>, ObjectError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = self.runtime.block_on(self.objects.list(prefix, after.as_deref()))?;
            // What is not wanted does not count: it would crowd out what is, and nobody would know.
            found.extend(page.items.into_iter().filter(|it| is_wanted(&it.uri)));
            if limit < found.len() {
                found.truncate(limit + 1);
                return Ok(found);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(found),
            }
        }
    }

    fn kept(&self, file: u64, number: u64) -> Option<Arc<Vec<u8>>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let at = blocks.iter().position(|it| it.file == file && it.number == number)?;
        let block = blocks.remove(at)?;
        let bytes = Arc::clone(&block.bytes);
        blocks.push_back(block);
        Some(bytes)
    }

    fn keep(&self, block: Block) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if KEPT_BLOCKS <= blocks.len() {
            blocks.pop_front();
        }
        blocks.push_back(block);
    }
}

/// One object.
pub struct ObjectRange {
    ranges: ObjectRanges,
    file: u64,
    info: ObjectInfo,
}

impl ObjectRange {
    /// Asks for a range, which must be there as a whole.
    fn fetch(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let wanted = range.end - range.start;
        let ObjectInfo { uri, etag, .. } = &self.info;
        let fetched = self.ranges.runtime.block_on(self.ranges.objects.get_range(uri, etag, range));
        let bytes = fetched.map_err(io::Error::other)?;
        if bytes.len() as u64 == wanted { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn block(&self, number: u64) -> io::Result<Arc<Vec<u8>>> {
        if let Some(bytes) = self.ranges.kept(self.file, number) {
            return Ok(bytes);
        }
        let start = number * BLOCK;
        let bytes = Arc::new(self.fetch(start..(start + BLOCK).min(self.info.size))?);
        self.ranges.keep(Block { file: self.file, number, bytes: Arc::clone(&bytes) });
        Ok(bytes)
    }
}

impl RangeRead for ObjectRange {
    fn len(&self) -> io::Result<u64> {
        Ok(self.info.size)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let length = buf.len() as u64;
        let end = offset.checked_add(length).filter(|it| *it <= self.info.size);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        if BLOCK <= length {
            buf.copy_from_slice(&self.fetch(offset..end)?);
            return Ok(());
        }
        let mut rest = buf;
        let mut at = offset;
        while !rest.is_empty() {
            let block = self.block(at / BLOCK)?;
            let from = (at % BLOCK) as usize;
            let n = rest.len().min(block.len() - from);
            let (now, later) = rest.split_at_mut(n);
            now.copy_from_slice(&block[from..from + n]);
            (rest, at) = (later, at + n as u64);
        }
        Ok(())
    }
}
