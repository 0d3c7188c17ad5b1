//! Objects in memory, for the simulator and for tests.
//!
//! An etag is a number that grows with every write, so it is never the same for two writes. Snapshots share the state
//! until it changes, as in the memory table.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use refit_app::ports::{Clock, Object, ObjectError, ObjectInfo, ObjectPage, Objects};
use refit_core::ObjectUri;

use super::MAX_LISTED;

/// An [`Objects`] in memory. Clones are handles on the same objects.
#[derive(Clone)]
pub struct MemoryObjects {
    state: Arc<Mutex<Arc<State>>>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for MemoryObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryObjects").finish_non_exhaustive()
    }
}

/// Everything a [`MemoryObjects`] held at one moment.
#[derive(Debug, Clone)]
pub struct ObjectsSnapshot(Arc<State>);

impl Hash for ObjectsSnapshot {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for (uri, it) in &self.0.objects {
            (uri, &it.bytes, it.write, it.modified).hash(hasher);
        }
        self.0.writes.hash(hasher);
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    objects: BTreeMap<Arc<ObjectUri>, Stored>,
    writes: u64,
    /// What was removed, in order.
    removed: Vec<ObjectUri>,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    /// The number of the write that made it.
    write: u64,
    modified: Timestamp,
}

impl Stored {
    fn etag(&self) -> String {
        format!("{:016x}", self.write)
    }

    fn info(&self, uri: &ObjectUri) -> ObjectInfo {
        ObjectInfo { uri: uri.clone(), size: self.bytes.len() as u64, etag: self.etag(), modified: self.modified }
    }
}

impl MemoryObjects {
    /// An empty store, whose objects are dated by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> MemoryObjects {
        MemoryObjects { state: Arc::default(), clock }
    }

    /// What the store holds now.
    #[must_use]
    pub fn snapshot(&self) -> ObjectsSnapshot {
        ObjectsSnapshot(Arc::clone(&self.lock()))
    }

    /// Sets the store back to what it held then.
    pub fn restore(&self, snapshot: &ObjectsSnapshot) {
        *self.lock() = Arc::clone(&snapshot.0);
    }

    /// The bytes of an object, if there is one.
    #[must_use]
    pub fn peek(&self, uri: &ObjectUri) -> Option<Bytes> {
        self.lock().objects.get(uri).map(|it| it.bytes.clone())
    }

    /// The objects that were removed, after the first `count`.
    #[must_use]
    pub fn removed_from(&self, count: usize) -> Vec<ObjectUri> {
        self.lock().removed.get(count..).unwrap_or_default().to_vec()
    }

    /// Writes an object whether it exists or not, as services that Refit does not control do.
    ///
    /// # Errors
    /// [`ObjectError::Invalid`] for an address without a key.
    pub fn overwrite(&self, uri: &ObjectUri, bytes: &[u8]) -> Result<ObjectInfo, ObjectError> {
        self.write(uri, bytes, |_| true)
    }

    fn write(
        &self,
        uri: &ObjectUri,
        bytes: &[u8],
        may: impl FnOnce(Option<&Stored>) -> bool,
    ) -> Result<ObjectInfo, ObjectError> {
        validate(uri)?;
        let mut guard = self.lock();
        if !may(guard.objects.get(uri)) {
            return Err(ObjectError::Conflict(uri.clone()));
        }
        let state = Arc::make_mut(&mut guard);
        state.writes += 1;
        let stored = Stored { bytes: Bytes::copy_from_slice(bytes), write: state.writes, modified: self.clock.now() };
        let info = stored.info(uri);
        state.objects.insert(Arc::new(uri.clone()), stored);
        Ok(info)
    }

    fn read(&self, uri: &ObjectUri) -> Result<Stored, ObjectError> {
        validate(uri)?;
        self.lock().objects.get(uri).cloned().ok_or_else(|| ObjectError::NotFound(uri.clone()))
    }

    /// A panic of another holder is no reason to stop: no change of the state can end half-way.
    fn lock(&self) -> MutexGuard<'_, Arc<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Objects for MemoryObjects {
    async fn head(&self, uri: &ObjectUri) -> Result<ObjectInfo, ObjectError> {
        Ok(self.read(uri)?.info(uri))
    }

    async fn get(&self, uri: &ObjectUri, limit: u64) -> Result<Object, ObjectError> {
        let stored = self.read(uri)?;
        let size = stored.bytes.len() as u64;
        if limit < size {
            return Err(ObjectError::TooLarge { uri: uri.clone(), size, limit });
        }
        Ok(Object { etag: stored.etag(), bytes: stored.bytes })
    }

    async fn get_range(&self, uri: &ObjectUri, etag: &str, range: Range<u64>) -> Result<Vec<u8>, ObjectError> {
        let stored = self.read(uri)?;
        if stored.etag() != etag {
            return Err(ObjectError::Conflict(uri.clone()));
        }
        let cut = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(stored.bytes.len());
        Ok(stored.bytes.get(cut(range.start)..cut(range.end)).unwrap_or_default().to_vec())
    }

    async fn put_new(&self, uri: &ObjectUri, bytes: &[u8]) -> Result<ObjectInfo, ObjectError> {
        self.write(uri, bytes, |stored| stored.is_none())
    }

    async fn replace(&self, uri: &ObjectUri, bytes: &[u8], etag: &str) -> Result<ObjectInfo, ObjectError> {
        self.write(uri, bytes, |stored| stored.is_some_and(|stored| stored.etag() == etag))
    }

    async fn remove(&self, uri: &ObjectUri) -> Result<(), ObjectError> {
        validate(uri)?;
        let mut guard = self.lock();
        if guard.objects.contains_key(uri) {
            let state = Arc::make_mut(&mut guard);
            state.objects.remove(uri);
            state.removed.push(uri.clone());
        }
        Ok(())
    }

    async fn list(&self, prefix: &ObjectUri, after: Option<&str>) -> Result<ObjectPage, ObjectError> {
        let guard = self.lock();
        // Addresses are ordered by bucket and then key, so a prefix is where its objects begin.
        let mut found = guard
            .objects
            .range::<ObjectUri, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(uri, _)| uri.bucket() == prefix.bucket() && uri.key().starts_with(prefix.key()))
            .filter(|(uri, _)| after.is_none_or(|after| after < uri.key()));
        let items: Vec<ObjectInfo> = found.by_ref().take(MAX_LISTED).map(|(uri, stored)| stored.info(uri)).collect();
        let has_more = found.next().is_some();
        let next = if has_more { items.last().map(|last| last.uri.key().to_owned()) } else { None };
        Ok(ObjectPage { items, next })
    }
}

fn validate(uri: &ObjectUri) -> Result<(), ObjectError> {
    if uri.key().is_empty() || uri.key().ends_with('/') {
        return Err(ObjectError::Invalid { uri: uri.clone(), why: "it names a folder, not an object".to_owned() });
    }
    Ok(())
}
