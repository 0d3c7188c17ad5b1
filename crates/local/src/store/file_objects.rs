//! Objects as files under `<root>/<bucket>/<key>`.
//!
//! A file never changes: content is written to a hidden file beside it, which then takes the name. So a reader sees the
//! old content or the new, and a process that dies leaves a hidden file that nothing lists. `put_new` links the hidden
//! file to the name, which fails if the name is taken; `replace` and `overwrite` rename under a lock of the whole store
//! that holds between processes. Nothing is synced to disk, as in the database beside it: the death of a process loses
//! nothing, a power failure may.
//!
//! An etag is the file's time and size. Times are set from the clock, and always later than the time of the content
//! that is replaced, so an object's etag changes with each write even if the clock stands still. It costs no reading.
//!
//! Unlike in S3, a key cannot be an object and a folder at once, and its parts are limited to 255 bytes. Files that
//! people put there by hand are objects too, if their names are keys; symbolic links are not followed.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use jiff::Timestamp;
use refit_app::ports::{Clock, Object, ObjectError, ObjectInfo, ObjectPage, Objects};
use refit_core::ObjectUri;

use super::file_listing::Walk;
use super::{MAX_LISTED, OpenError};

/// What the names of unfinished files begin with.
const HIDDEN: &str = ".refit-tmp-";
/// The file that is locked while an object is replaced; no bucket's name begins with a dot.
const LOCK: &str = ".refit-lock";
/// The longest name of a file on the usual file systems.
const MAX_PART_BYTES: usize = 255;
/// How much later than its predecessor a file is dated, by how finely the file system keeps times.
const STEPS: [Duration; 4] =
    [Duration::from_nanos(1), Duration::from_micros(1), Duration::from_millis(10), Duration::from_secs(2)];

/// An [`Objects`] in a folder.
#[derive(Clone)]
pub struct FileObjects {
    /// Without symbolic links.
    root: PathBuf,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for FileObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileObjects").field("root", &self.root).finish_non_exhaustive()
    }
}

impl FileObjects {
    /// The store in the folder `root`, made if need be, whose objects are dated by `clock`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(root: &Path, clock: Arc<dyn Clock>) -> Result<FileObjects, OpenError> {
        let made = fs::create_dir_all(root).and_then(|()| fs::canonicalize(root));
        let root = made.map_err(|source| OpenError::Unusable { path: root.to_owned(), source: Box::new(source) })?;
        Ok(FileObjects { root, clock })
    }

    /// The file or folder that an address stands for, whether it exists or not.
    #[must_use]
    pub fn path_of(&self, uri: &ObjectUri) -> PathBuf {
        self.root.join(uri.bucket()).join(uri.key())
    }

    /// Writes an object whether it exists or not, as services that Refit does not control do.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub fn overwrite(&self, uri: &ObjectUri, bytes: &[u8]) -> Result<ObjectInfo, ObjectError> {
        self.swap(uri, bytes, |_| true)
    }

    /// Makes the objects below a folder appear in the local folder `into`, and answers with their number.
    ///
    /// Files keep their place relative to the address, which ends at a slash whether it is written or not; the address
    /// of a single object gives a file of its last name. Files are links to the store's own where that is possible:
    /// **whoever writes to them writes to the store.**
    ///
    /// # Errors
    /// See [`ObjectError`]; `Unavailable` also when `into` cannot be written.
    pub fn copy_prefix_to(&self, prefix: &ObjectUri, into: &Path) -> Result<usize, ObjectError> {
        let failed = |error| classify(prefix, error);
        fs::create_dir_all(into).map_err(failed)?;
        let folder = prefix.key().trim_end_matches('/');
        let mut walk = Walk { prefix: folder, after: None, limit: usize::MAX, found: Vec::new() };
        walk.run(&self.root.join(prefix.bucket())).map_err(failed)?;
        let mut count = 0;
        for (uri, _) in addresses(prefix.bucket(), walk.found) {
            if !prefix.contains(&uri) {
                continue;
            }
            let rest = uri.key()[folder.len()..].trim_start_matches('/');
            let name = if rest.is_empty() { uri.key().rsplit('/').next().unwrap_or_default() } else { rest };
            place(&self.path_of(&uri), &into.join(name)).map_err(failed)?;
            count += 1;
        }
        Ok(count)
    }

    /// Opens an object for reading and describes it.
    fn read(&self, uri: &ObjectUri) -> Result<(File, ObjectInfo), ObjectError> {
        validate(uri)?;
        let path = self.path_of(uri);
        // Before it is opened: opening a pipe would wait.
        let metadata = fs::symlink_metadata(&path).map_err(|error| classify(uri, error))?;
        if metadata.is_dir() {
            return Err(ObjectError::NotFound(uri.clone()));
        }
        check_real(uri, &path)?;
        let file = File::open(&path).map_err(|error| classify(uri, error))?;
        let info =
            file.metadata().and_then(|metadata| describe(uri, &metadata)).map_err(|error| classify(uri, error))?;
        Ok((file, info))
    }

    /// Bytes of an opened object, which has to be the same before and after.
    fn read_part(&self, file: &mut File, info: &ObjectInfo, range: Range<u64>) -> Result<Vec<u8>, ObjectError> {
        let mut bytes = Vec::new();
        let length = range.end.min(info.size).saturating_sub(range.start);
        let read = |file: &mut File, bytes: &mut Vec<u8>| {
            if 0 < length {
                file.seek(SeekFrom::Start(range.start))?;
                file.take(length).read_to_end(bytes)?;
            }
            describe(&info.uri, &file.metadata()?)
        };
        let now = read(file, &mut bytes).map_err(|error| classify(&info.uri, error))?;
        if now != *info || (bytes.len() as u64) != length {
            return Err(ObjectError::Conflict(info.uri.clone()));
        }
        Ok(bytes)
    }

    /// Makes the folder of an object that is to be written.
    fn make_folder(&self, uri: &ObjectUri) -> Result<PathBuf, ObjectError> {
        validate(uri)?;
        let path = self.path_of(uri);
        let folder = path.parent().expect("invariant: an object lies in a bucket").to_owned();
        match fs::create_dir_all(&folder) {
            Ok(()) => check_real(uri, &folder)?,
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotADirectory) => {
                return Err(refuse(uri, "part of its key is an object, which cannot hold others in a file system"));
            }
            Err(error) => return Err(classify(uri, error)),
        }
        Ok(path)
    }

    /// Gives the name to new content if what has it now, described or absent, may be replaced.
    fn swap(
        &self,
        uri: &ObjectUri,
        bytes: &[u8],
        may: impl FnOnce(Option<&ObjectInfo>) -> bool,
    ) -> Result<ObjectInfo, ObjectError> {
        let path = self.make_folder(uri)?;
        let failed = |error| classify(uri, error);
        let _lock = self.lock().map_err(failed)?;
        let current = match self.read(uri) {
            Ok((_, info)) => Some(info),
            Err(ObjectError::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        if !may(current.as_ref()) {
            return Err(ObjectError::Conflict(uri.clone()));
        }
        if path.is_dir() {
            return Err(is_folder(uri));
        }
        let staged =
            Staged::write(&path, bytes, self.clock.now(), current.map(|info| info.modified)).map_err(failed)?;
        fs::rename(&staged.path, &path).map_err(failed)?;
        describe(uri, &staged.metadata).map_err(failed)
    }

    /// Keeps other writers out until the file is closed, also those of other processes.
    fn lock(&self) -> io::Result<File> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.root.join(LOCK))?;
        file.lock()?;
        Ok(file)
    }

    /// Gives a free name to the hidden file.
    fn publish(&self, staged: &Path, path: &Path) -> io::Result<()> {
        match fs::hard_link(staged, path) {
            // Some file systems know no links; there the lock has to do.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
                let _lock = self.lock()?;
                if fs::symlink_metadata(path).is_ok() {
                    return Err(ErrorKind::AlreadyExists.into());
                }
                fs::rename(staged, path)
            }
            result => result,
        }
    }
}

#[async_trait]
impl Objects for FileObjects {
    async fn head(&self, uri: &ObjectUri) -> Result<ObjectInfo, ObjectError> {
        self.read(uri).map(|(_, info)| info)
    }

    async fn get(&self, uri: &ObjectUri, limit: u64) -> Result<Object, ObjectError> {
        let (mut file, info) = self.read(uri)?;
        if limit < info.size {
            return Err(ObjectError::TooLarge { uri: uri.clone(), size: info.size, limit });
        }
        let bytes = self.read_part(&mut file, &info, 0..info.size)?;
        Ok(Object { bytes: bytes.into(), etag: info.etag })
    }

    async fn get_range(&self, uri: &ObjectUri, etag: &str, range: Range<u64>) -> Result<Vec<u8>, ObjectError> {
        let (mut file, info) = self.read(uri)?;
        if info.etag != etag {
            return Err(ObjectError::Conflict(uri.clone()));
        }
        self.read_part(&mut file, &info, range)
    }

    async fn put_new(&self, uri: &ObjectUri, bytes: &[u8]) -> Result<ObjectInfo, ObjectError> {
        let path = self.make_folder(uri)?;
        let failed = |error| classify(uri, error);
        let staged = Staged::write(&path, bytes, self.clock.now(), None).map_err(failed)?;
        match self.publish(&staged.path, &path) {
            Ok(()) => describe(uri, &staged.metadata).map_err(failed),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if path.is_dir() {
                    return Err(is_folder(uri));
                }
                check_real(uri, &path)?;
                Err(ObjectError::Conflict(uri.clone()))
            }
            Err(error) => Err(failed(error)),
        }
    }

    async fn replace(&self, uri: &ObjectUri, bytes: &[u8], etag: &str) -> Result<ObjectInfo, ObjectError> {
        // Without this a folder would be made for an object that is absent.
        if matches!(self.read(uri), Err(ObjectError::NotFound(_))) {
            return Err(ObjectError::Conflict(uri.clone()));
        }
        self.swap(uri, bytes, |current| current.is_some_and(|info| info.etag == etag))
    }

    async fn remove(&self, uri: &ObjectUri) -> Result<(), ObjectError> {
        let gone = |error| match error {
            ObjectError::NotFound(_) => Ok(()),
            error => Err(error),
        };
        let _lock = self.lock().map_err(|error| classify(uri, error))?;
        // Folders stay: another writer may be about to use them.
        match self.read(uri) {
            Ok(_) => fs::remove_file(self.path_of(uri)).map_err(|error| classify(uri, error)).or_else(gone),
            Err(error) => gone(error),
        }
    }

    async fn list(&self, prefix: &ObjectUri, after: Option<&str>) -> Result<ObjectPage, ObjectError> {
        let mut walk = Walk { prefix: prefix.key(), after, limit: MAX_LISTED + 1, found: Vec::new() };
        walk.run(&self.root.join(prefix.bucket())).map_err(|error| classify(prefix, error))?;
        let next = (MAX_LISTED < walk.found.len()).then(|| walk.found[MAX_LISTED - 1].0.clone());
        walk.found.truncate(MAX_LISTED);
        let items = addresses(prefix.bucket(), walk.found)
            .map(|(uri, metadata)| describe(&uri, &metadata).map_err(|error| classify(&uri, error)))
            .collect::<Result<_, _>>()?;
        Ok(ObjectPage { items, next })
    }
}

/// Whether a part of a key is the name of an unfinished file.
pub(super) fn is_hidden(part: &str) -> bool {
    part.starts_with(HIDDEN)
}

/// A finished hidden file, removed when it is dropped unless it was renamed.
struct Staged {
    path: PathBuf,
    metadata: Metadata,
}

impl Staged {
    /// Writes content beside `path`, dated `now` but after `floor`.
    fn write(path: &Path, bytes: &[u8], now: Timestamp, floor: Option<Timestamp>) -> io::Result<Staged> {
        let (mut file, hidden) = create_hidden(path)?;
        let finish = |file: &mut File| {
            file.write_all(bytes)?;
            let metadata = date(file, now, floor)?;
            Ok(metadata)
        };
        match finish(&mut file) {
            Ok(metadata) => Ok(Staged { path: hidden, metadata }),
            Err(error) => {
                remove_hidden(&hidden);
                Err(error)
            }
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        remove_hidden(&self.path);
    }
}

/// A hidden file that cannot be removed harms nobody.
fn remove_hidden(path: &Path) {
    let _ = fs::remove_file(path);
}

fn create_hidden(path: &Path) -> io::Result<(File, PathBuf)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let hidden = path.with_file_name(format!("{HIDDEN}{}-{number}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&hidden) {
            // Left by an earlier process of the same number.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => return Ok((result?, hidden)),
        }
    }
}

/// Sets a file's time to `now`, or to the next one after `floor` that the file system can tell from it.
fn date(file: &File, now: Timestamp, floor: Option<Timestamp>) -> io::Result<Metadata> {
    let floor = floor.map(SystemTime::from);
    let now = SystemTime::from(now);
    let earliest = |step: &Duration| floor.map_or(now, |floor| now.max(floor + *step));
    for step in &STEPS {
        file.set_modified(earliest(step))?;
        let metadata = file.metadata()?;
        let dated = metadata.modified()?;
        if floor.is_none_or(|floor| floor < dated) {
            return Ok(metadata);
        }
    }
    Err(io::Error::other("the file system does not keep the times of files"))
}

fn describe(uri: &ObjectUri, metadata: &Metadata) -> io::Result<ObjectInfo> {
    let modified = Timestamp::try_from(metadata.modified()?).map_err(io::Error::other)?;
    let etag = format!("{:x}-{:x}", modified.as_nanosecond(), metadata.len());
    Ok(ObjectInfo { uri: uri.clone(), size: metadata.len(), etag, modified })
}

/// The addresses of what a walk found; names that are no keys were put there by somebody else and are left out.
fn addresses(bucket: &str, found: Vec<(String, Metadata)>) -> impl Iterator<Item = (ObjectUri, Metadata)> {
    found.into_iter().filter_map(move |(key, metadata)| Some((format!("s3://{bucket}/{key}").parse().ok()?, metadata)))
}

/// Links a file to another place, or copies it to another file system.
fn place(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::symlink_metadata(to).is_ok() {
        fs::remove_file(to)?;
    }
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

fn validate(uri: &ObjectUri) -> Result<(), ObjectError> {
    if uri.key().is_empty() || uri.key().ends_with('/') {
        return Err(refuse(uri, "it names a folder, not an object"));
    }
    for part in uri.key().split('/') {
        if MAX_PART_BYTES < part.len() {
            return Err(refuse(uri, "a part of its key is longer than 255 bytes, which no file's name can be"));
        }
        if is_hidden(part) {
            return Err(refuse(uri, "a part of its key begins with `.refit-tmp-`, which unfinished files do"));
        }
    }
    Ok(())
}

/// Refuses paths that lead elsewhere: through symbolic links, or to a name that differs by case or composition where
/// the file system takes such names for the same.
fn check_real(uri: &ObjectUri, path: &Path) -> Result<(), ObjectError> {
    let real = fs::canonicalize(path).map_err(|error| classify(uri, error))?;
    if real == path {
        return Ok(());
    }
    Err(refuse(uri, &format!("its file is `{}`: a symbolic link, or a name that differs only by case", real.display())))
}

fn is_folder(uri: &ObjectUri) -> ObjectError {
    refuse(uri, "there are objects below it, and a file system cannot hold an object of a folder's name")
}

fn refuse(uri: &ObjectUri, why: &str) -> ObjectError {
    ObjectError::Invalid { uri: uri.clone(), why: why.to_owned() }
}

fn classify(uri: &ObjectUri, error: io::Error) -> ObjectError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => ObjectError::NotFound(uri.clone()),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ObjectError::Denied(uri.clone()),
        ErrorKind::InvalidFilename => refuse(uri, "the file system takes no such name"),
        ErrorKind::IsADirectory => is_folder(uri),
        _ => ObjectError::Unavailable { uri: uri.clone(), source: Box::new(error) },
    }
}
