//! Files by name, folder, pattern or S3 address, and how much of them has been read.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use refit_data::{FileRange, RangeRead};

use super::pattern::{path_matches, split};

/// The most files of one side.
const MAX_FILES: usize = 100_000;

/// An opened file.
pub(super) struct InputFile {
    /// As it is named to people.
    pub(super) name: String,
    pub(super) source: Counted,
}

/// A file or object that counts the bytes that are read of it.
pub(super) struct Counted {
    file: Box<dyn RangeRead>,
    n_read: Arc<AtomicU64>,
}

impl RangeRead for Counted {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.n_read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.file.read_at(offset, buf)
    }
}

/// Opens what `pattern` names, in the order of the names.
pub(super) fn open(pattern: &str, state: &Path, n_read: &Arc<AtomicU64>) -> anyhow::Result<Vec<InputFile>> {
    let files = match find(pattern, state)? {
        Some(paths) => paths.iter().map(|it| file(it)).collect::<anyhow::Result<Vec<_>>>()?,
        None => in_s3(pattern, state)?,
    };
    if MAX_FILES < files.len() {
        bail!("`{pattern}` names more than {MAX_FILES} files, which is the most that are read");
    }
    let counted = |(name, file)| InputFile { name, source: Counted { file, n_read: Arc::clone(n_read) } };
    Ok(files.into_iter().map(counted).collect())
}

fn file(path: &Path) -> anyhow::Result<(String, Box<dyn RangeRead>)> {
    let name = path.display().to_string();
    let file = FileRange::open(path).with_context(|| format!("reading `{name}`"))?;
    Ok((name, Box::new(file)))
}

/// What is not among the objects of the state is looked for in S3.
#[cfg(feature = "cloud")]
fn in_s3(address: &str, state: &Path) -> anyhow::Result<Vec<(String, Box<dyn RangeRead>)>> {
    let found = super::objects::open(address, MAX_FILES)?;
    if found.is_empty() {
        bail!("`{address}` names no object, neither of `{}` nor in S3", state.display());
    }
    Ok(found)
}

#[cfg(not(feature = "cloud"))]
fn in_s3(address: &str, state: &Path) -> anyhow::Result<Vec<(String, Box<dyn RangeRead>)>> {
    bail!(
        "`{address}` is not among the objects of `{}`: name another state with --state, fetch the files first, or build `refit` with `--features cloud`, \
         which reads from S3",
        state.display()
    )
}

/// The files of a name or pattern; `None` for objects that the state does not have.
fn find(pattern: &str, state: &Path) -> anyhow::Result<Option<Vec<PathBuf>>> {
    let (path, is_object) = match pattern.strip_prefix("s3://") {
        Some(key) => (object(key, pattern, state)?, true),
        None => (PathBuf::from(pattern), false),
    };
    let mut found = Vec::new();
    let is_pattern = pattern.contains(['*', '?']);
    if path.is_dir() {
        walk(&path, &mut found)?;
    } else if path.exists() {
        found.push(path);
    } else if is_pattern {
        expand(&path, &mut found)?;
    } else if !is_object {
        bail!("reading `{pattern}`: no such file or folder");
    }
    found.sort();
    match (found.is_empty(), is_object, is_pattern) {
        (false, _, _) => Ok(Some(found)),
        (true, true, _) => Ok(None),
        (true, false, true) => bail!("no file matches `{pattern}`"),
        (true, false, false) => bail!("`{pattern}` has no files"),
    }
}

/// Where an object of the state lies.
fn object(key: &str, address: &str, state: &Path) -> anyhow::Result<PathBuf> {
    let is_plain = |it: Component<'_>| matches!(it, Component::Normal(_));
    if key.is_empty() || !Path::new(key).components().all(is_plain) {
        bail!("`{address}` is not an S3 address");
    }
    Ok(state.join("objects").join(key))
}

/// Every file below a folder, but for hidden ones and markers such as `_SUCCESS`.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading `{}`", folder.display()))? {
        let entry = entry.with_context(|| format!("reading `{}`", folder.display()))?;
        let is_left_out = entry.file_name().to_string_lossy().starts_with(['.', '_']);
        let path = entry.path();
        if is_left_out {
            continue;
        }
        if path.is_dir() {
            walk(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Every file that a pattern matches: `*` and `?` within a name, `**` for any folders.
fn expand(pattern: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let parts: Vec<String> = pattern.components().map(|it| it.as_os_str().to_string_lossy().into_owned()).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (fixed, wanted) = split(&parts);
    let base: PathBuf = fixed.iter().collect();
    let base = if base.as_os_str().is_empty() { PathBuf::from(".") } else { base };
    if !base.is_dir() {
        return Ok(());
    }
    let mut files = Vec::new();
    walk(&base, &mut files)?;
    for path in files {
        let below = path.strip_prefix(&base).unwrap_or(&path);
        let names: Vec<String> = below.components().map(|it| it.as_os_str().to_string_lossy().into_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if path_matches(wanted, &names) {
            found.push(if fixed.is_empty() { below.to_owned() } else { path });
        }
    }
    Ok(())
}
