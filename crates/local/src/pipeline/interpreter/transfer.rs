//! Moves data between objects and the folders of a step, as SageMaker does before and after a job.
//!
//! An address stands for the object of that name, or else for all objects below it as a folder. SageMaker matches any
//! key that begins with the text; a folder's end is kept here, so that `runs/r1` never brings `runs/r10` along.
//! Inputs are copies and not links: what a program does to its inputs must not reach the store.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use bytes::Bytes;
use refit_app::ports::{ObjectError, ObjectInfo, Objects};
use refit_core::ObjectUri;

/// How much of an object is in memory while it is copied.
const PART_BYTES: u64 = 16 * 1024 * 1024;

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a port. The futures of local ones are ready when they are first polled; those of others work somewhere else
/// and wake this thread.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}

/// An error and its causes as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Fills `folder` from the objects at `uri` and says how many there were.
pub(super) fn download(objects: &dyn Objects, uri: &ObjectUri, folder: &Path) -> Result<usize, String> {
    let found = find(objects, uri)?;
    for (name, object) in &found {
        fetch(objects, object, &folder.join(name))?;
    }
    Ok(found.len())
}

/// The objects at `uri`, each with the name that it has in a folder.
pub(super) fn find(objects: &dyn Objects, uri: &ObjectUri) -> Result<Vec<(String, ObjectInfo)>, String> {
    if !uri.key().is_empty() && !uri.key().ends_with('/') {
        match wait(objects.head(uri)) {
            Ok(info) => {
                let name = uri.key().rsplit('/').next().unwrap_or_default();
                return Ok(vec![(name.to_owned(), info)]);
            }
            Err(ObjectError::NotFound(_)) => {}
            Err(error) => return Err(chain(&error)),
        }
    }
    let prefix: ObjectUri = folder_of(uri).parse().map_err(|error| chain(&error))?;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = wait(objects.list(&prefix, after.as_deref())).map_err(|error| chain(&error))?;
        for object in page.items {
            let name = object.uri.key().strip_prefix(prefix.key()).unwrap_or_default().to_owned();
            // A key that ends in a slash is a marker that some tools write for an empty folder.
            if !name.is_empty() && !name.ends_with('/') {
                found.push((name, object));
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Writes all files below `folder` as objects below `uri`.
pub(super) fn upload(objects: &dyn Objects, folder: &Path, uri: &ObjectUri) -> Result<Vec<ObjectInfo>, String> {
    let mut written = Vec::new();
    for path in files(folder)? {
        let name = path.strip_prefix(folder).ok().and_then(Path::to_str);
        let name = name.ok_or_else(|| format!("file name `{}` is not UTF-8", path.display()))?;
        let target = uri.join(name).map_err(|error| chain(&error))?;
        let bytes = std::fs::read(&path).map_err(|error| about(&path, &error))?;
        written.push(put(objects, &target, &bytes)?);
    }
    Ok(written)
}

/// Writes an object whatever was there before.
pub(super) fn put(objects: &dyn Objects, uri: &ObjectUri, bytes: &[u8]) -> Result<ObjectInfo, String> {
    // Only this execution writes to its outputs, so a second conflict means that something is wrong.
    let result = match wait(objects.put_new(uri, bytes)) {
        Err(ObjectError::Conflict(_)) => match wait(objects.head(uri)) {
            Ok(info) => wait(objects.replace(uri, bytes, &info.etag)),
            Err(error) => Err(error),
        },
        other => other,
    };
    result.map_err(|error| chain(&error))
}

/// The content of an object.
pub(super) fn get(objects: &dyn Objects, uri: &ObjectUri, limit: u64) -> Result<Bytes, String> {
    wait(objects.get(uri, limit)).map(|it| it.bytes).map_err(|error| chain(&error))
}

/// A failure about a path as one line.
pub(super) fn about(path: &Path, error: &std::io::Error) -> String {
    format!("`{}`: {error}", path.display())
}

/// Whether a folder holds a file anywhere.
pub(super) fn has_files(folder: &Path) -> Result<bool, String> {
    files(folder).map(|it| !it.is_empty())
}

fn folder_of(uri: &ObjectUri) -> String {
    let text = uri.to_string();
    if text.ends_with('/') { text } else { format!("{text}/") }
}

/// Copies an object into a file, part by part.
fn fetch(objects: &dyn Objects, info: &ObjectInfo, path: &Path) -> Result<(), String> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| about(parent, &error))?;
    }
    let mut file = File::create(path).map_err(|error| about(path, &error))?;
    let mut begin = 0;
    while begin < info.size {
        let range = begin..info.size.min(begin + PART_BYTES);
        let end = range.end;
        let bytes = wait(objects.get_range(&info.uri, &info.etag, range)).map_err(|error| chain(&error))?;
        file.write_all(&bytes).map_err(|error| about(path, &error))?;
        begin = end;
    }
    Ok(())
}

/// All regular files below a folder, by name. A link is refused: on SageMaker it would point into the container.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| about(&folder, &error))? {
            let entry = entry.map_err(|error| about(&folder, &error))?;
            let kind = entry.file_type().map_err(|error| about(&folder, &error))?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            } else {
                return Err(format!("output `{}` is not a regular file", entry.path().display()));
            }
        }
    }
    found.sort();
    Ok(found)
}
