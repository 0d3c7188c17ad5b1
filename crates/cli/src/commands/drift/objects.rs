//! Objects in S3 as files: listed once, then read by range.

use std::io;
use std::sync::Arc;

use anyhow::Context as _;
use refit_aws::{Limits, ObjectRange, ObjectRanges, S3Objects};
use refit_core::ObjectUri;
use refit_data::RangeRead;
use tokio::runtime::{Builder, Runtime};

use super::pattern::{path_matches, split};

/// An object, and what its requests run on.
struct Remote {
    object: ObjectRange,
    _runtime: Arc<Runtime>,
}

impl RangeRead for Remote {
    fn len(&self) -> io::Result<u64> {
        self.object.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.object.read_at(offset, buf)
    }
}

/// Opens the objects that an address or pattern names, by rising key; at most `limit` and one more.
pub(super) fn open(address: &str, limit: usize) -> anyhow::Result<Vec<(String, Box<dyn RangeRead>)>> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().context("starting the client")?;
    let runtime = Arc::new(runtime);
    let config = runtime.block_on(refit_aws::connect());
    let objects = Arc::new(S3Objects::new(&config, Limits::SLOW));
    let ranges = ObjectRanges::new(objects, runtime.handle().clone());
    let parts: Vec<&str> = address.trim_start_matches("s3://").trim_end_matches('/').split('/').collect();
    let (fixed, wanted) = split(&parts);
    // With a slash, or keys that only begin like the folder would be listed, too.
    let end = if wanted.is_empty() { "" } else { "/" };
    let base: ObjectUri = format!("s3://{}{end}", fixed.join("/")).parse()?;
    let is_wanted = |uri: &ObjectUri| below(base.key(), uri.key()).is_some_and(|it| is_meant(&it, wanted));
    let infos = ranges.list(&base, limit, is_wanted).with_context(|| format!("listing `{address}`"))?;
    let open = |info: refit_app::ports::ObjectInfo| {
        let file = Remote { _runtime: Arc::clone(&runtime), object: ranges.open(info.clone()) };
        (info.uri.to_string(), Box::new(file) as Box<dyn RangeRead>)
    };
    Ok(infos.into_iter().map(open).collect())
}

/// The names of a key below a folder, none for the object itself; `None` if it is elsewhere or itself a folder's marker.
fn below<'a>(folder: &str, key: &'a str) -> Option<Vec<&'a str>> {
    let folder = folder.trim_end_matches('/');
    let rest = if folder.is_empty() { key } else { key.strip_prefix(folder)? };
    match rest.strip_prefix('/').or(folder.is_empty().then_some(rest)) {
        None => rest.is_empty().then(Vec::new),
        Some(rest) => (!rest.is_empty() && !rest.ends_with('/')).then(|| rest.split('/').collect()),
    }
}

/// As in folders: hidden files and markers such as `_SUCCESS` are left out.
fn is_meant(names: &[&str], wanted: &[&str]) -> bool {
    !names.iter().any(|it| it.starts_with(['.', '_'])) && (wanted.is_empty() || path_matches(wanted, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_files_of_folders() {
        for (folder, key, expected) in [
            ("a/b", "a/b", Some(vec![])),
            ("a/b", "a/b/c.csv", Some(vec!["c.csv"])),
            ("a/b/", "a/b/c/d.csv", Some(vec!["c", "d.csv"])),
            ("a/b", "a/bc.csv", None),
            ("a/b", "a/b/", None),
            ("", "c.csv", Some(vec!["c.csv"])),
        ] {
            assert_eq!(below(folder, key), expected, "{key} below {folder}");
        }
        for (names, wanted, expected) in [
            (&["c.csv"][..], &[][..], true),
            (&["d", "_SUCCESS"], &[], false),
            (&["d", "c.csv"], &["**", "*.csv"], true),
            (&["d", "c.csv"], &["*.csv"], false),
        ] {
            assert_eq!(is_meant(names, wanted), expected, "{names:?} {wanted:?}");
        }
    }
}
