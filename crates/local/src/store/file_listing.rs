//! Walks the files below a bucket in the order of whole keys, as S3 lists them.
//!
//! Folders are sorted with their slash (`a-b` before `a/b` before `a0`), so walking them depth first gives keys in
//! order, and folders that lie before the place to continue or outside the prefix are not entered.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use super::file_objects::is_hidden;

/// A walk under way.
pub(super) struct Walk<'a> {
    /// What keys begin with.
    pub(super) prefix: &'a str,
    /// Keys up to and with this one are left out.
    pub(super) after: Option<&'a str>,
    /// Where to stop.
    pub(super) limit: usize,
    /// Keys and descriptions, in order.
    pub(super) found: Vec<(String, Metadata)>,
}

impl Walk<'_> {
    /// Collects what lies below the bucket's folder.
    pub(super) fn run(&mut self, bucket: &Path) -> io::Result<()> {
        // Everything that begins with the prefix lies in the folder that it names up to its last slash.
        let folder = self.prefix.rfind('/').map_or("", |slash| &self.prefix[..=slash]);
        if folder.split('/').any(is_hidden) {
            return Ok(());
        }
        self.enter(&bucket.join(folder), folder)
    }

    fn enter(&mut self, folder: &Path, base: &str) -> io::Result<()> {
        for (key, metadata) in self.sorted(folder, base)? {
            if self.limit <= self.found.len() {
                return Ok(());
            }
            if metadata.is_dir() {
                let name = key[base.len()..].trim_end_matches('/');
                self.enter(&folder.join(name), &key)?;
            } else {
                self.found.push((key, metadata));
            }
        }
        Ok(())
    }

    /// The entries of a folder that can matter, with folders' keys ending in a slash.
    fn sorted(&self, folder: &Path, base: &str) -> io::Result<Vec<(String, Metadata)>> {
        let mut entries = Vec::new();
        let Some(listing) = present(fs::read_dir(folder))? else { return Ok(entries) };
        for entry in listing {
            let entry = entry?;
            // A name that is no text is no key: somebody else put it there.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type()?;
            if is_hidden(&name) || !(kind.is_dir() || kind.is_file()) {
                continue;
            }
            let key = format!("{base}{name}{}", if kind.is_dir() { "/" } else { "" });
            if !self.wants(&key, kind.is_dir()) {
                continue;
            }
            if let Some(metadata) = present(entry.metadata())? {
                entries.push((key, metadata));
            }
        }
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(entries)
    }

    fn wants(&self, key: &str, is_folder: bool) -> bool {
        let begins = key.starts_with(self.prefix);
        let follows = self.after.is_none_or(|after| after < key || (is_folder && after.starts_with(key)));
        begins && follows
    }
}

/// `None` for what does not exist (any more).
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
