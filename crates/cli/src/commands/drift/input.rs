//! Files by name, folder, pattern or S3 address, and how much of them has been read.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use refit_data::{FileRange, RangeRead};

/// The most files of one side.
const MAX_FILES: usize = 100_000;

/// An opened file.
pub(super) struct InputFile {
    /// As it is named to people.
    pub(super) name: String,
    pub(super) source: Counted,
}

/// A file that counts the bytes that are read of it.
pub(super) struct Counted {
    file: FileRange,
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
    let paths = find(pattern, state)?;
    if MAX_FILES < paths.len() {
        bail!("`{pattern}` names {} files; at most {MAX_FILES} are read", paths.len());
    }
    let open = |path: &PathBuf| {
        let name = path.display().to_string();
        let file = FileRange::open(path).with_context(|| format!("reading `{name}`"))?;
        Ok(InputFile { name, source: Counted { file, n_read: Arc::clone(n_read) } })
    };
    paths.iter().map(open).collect()
}

fn find(pattern: &str, state: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (path, is_object) = match pattern.strip_prefix("s3://") {
        Some(key) => (object(key, pattern, state)?, true),
        None => (PathBuf::from(pattern), false),
    };
    let mut found = Vec::new();
    if path.is_dir() {
        walk(&path, &mut found)?;
        if found.is_empty() {
            bail!("`{pattern}` has no files");
        }
    } else if path.exists() {
        found.push(path);
    } else if pattern.contains(['*', '?']) {
        expand(&path, &mut found)?;
        if found.is_empty() {
            bail!("no file matches `{pattern}`");
        }
    } else if is_object {
        bail!(
            "`{pattern}` is not among the objects of `{}`: name another state with --state, or fetch the files first",
            state.display()
        );
    } else {
        bail!("reading `{pattern}`: no such file or folder");
    }
    found.sort();
    Ok(found)
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
    let n_fixed = parts.iter().take_while(|it| !it.contains(['*', '?'])).count();
    let base: PathBuf = parts[..n_fixed].iter().collect();
    let base = if base.as_os_str().is_empty() { PathBuf::from(".") } else { base };
    if !base.is_dir() {
        return Ok(());
    }
    let mut files = Vec::new();
    walk(&base, &mut files)?;
    let wanted: Vec<&str> = parts[n_fixed..].iter().map(String::as_str).collect();
    for path in files {
        let below = path.strip_prefix(&base).unwrap_or(&path);
        let names: Vec<String> = below.components().map(|it| it.as_os_str().to_string_lossy().into_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if path_matches(&wanted, &names) {
            found.push(if n_fixed == 0 { below.to_owned() } else { path });
        }
    }
    Ok(())
}

fn path_matches(pattern: &[&str], names: &[&str]) -> bool {
    match (pattern.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => (0..=names.len()).any(|it| path_matches(rest, &names[it..])),
        (Some((first, rest)), Some((name, names))) => {
            let (first, name): (Vec<char>, Vec<char>) = (first.chars().collect(), name.chars().collect());
            name_matches(&first, &name) && path_matches(rest, names)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Matches a name by going back to the last `*` only, which takes at most the product of both lengths.
fn name_matches(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, read));
            at += 1;
        } else if pattern.get(at).is_some_and(|it| *it == '?' || *it == name[read]) {
            (at, read) = (at + 1, read + 1);
        } else if let Some((star_at, star_read)) = star {
            (at, read) = (star_at + 1, star_read + 1);
            star = Some((star_at, star_read + 1));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|it| *it == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, path, expected) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.gz", false),
            ("*.csv", "b/a.csv", false),
            ("**/*.csv", "b/c/a.csv", true),
            ("**/*.csv", "a.csv", true),
            ("b/**", "b/c/a.csv", true),
            ("a?c*", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            let split = |it: &'static str| it.split('/').collect::<Vec<_>>();
            assert_eq!(path_matches(&split(pattern), &split(path)), expected, "{pattern} on {path}");
        }
    }
}
