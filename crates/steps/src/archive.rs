//! `model.tar.gz`, packed so that equal folders give equal bytes, and read without touching the disk.
//!
//! SageMaker packs `/opt/ml/model` and hands the archive on unopened. The local world packs with [`pack_model`]. A
//! reader takes one named file into memory under a cap, so no path in an archive is ever followed and a small archive
//! cannot unpack into an endless one.

use std::io::{Read, Write};
use std::path::{Component, Path};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// The most that an archive may unpack to: a hundred times the largest model seen, and it fits in memory.
pub const MAX_UNPACKED_BYTES: u64 = 256 * 1024 * 1024;

/// Why an archive could not be packed or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The folder could not be read, or the archive not be written.
    #[error("`{path}` could not be packed")]
    Pack {
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not a gzip-compressed tar archive, or cut short.
    #[error("archive is not a complete tar.gz")]
    Unreadable(#[source] std::io::Error),
    /// It unpacks to more than the cap.
    #[error("archive unpacks to more than {limit} bytes")]
    TooLarge {
        /// The cap.
        limit: u64,
    },
    /// An entry points out of the archive.
    #[error("archive entry `{path}` points outside the archive")]
    Escapes {
        /// The entry.
        path: String,
    },
    /// The file is not in it, or several times.
    #[error("archive holds {found} files called `{name}` where one is needed")]
    NotOne {
        /// The file.
        name: &'static str,
        /// How many there are.
        found: usize,
    },
}

/// Packs a folder as SageMaker packs `/opt/ml/model`; the same files give the same bytes.
///
/// # Errors
/// When a file cannot be read.
pub fn pack_model(folder: &Path) -> Result<Vec<u8>, ArchiveError> {
    let packing = |path: &Path| {
        let path = path.display().to_string();
        move |source| ArchiveError::Pack { path, source }
    };
    let files = crate::files::list(folder).map_err(packing(folder))?;
    // Compressed in memory: gzip's header then carries no time and no name.
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for file in files {
        let bytes = std::fs::read(&file.path).map_err(packing(&file.path))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, &file.name, bytes.as_slice()).map_err(packing(&file.path))?;
    }
    let mut compressed = archive.into_inner().map_err(packing(folder))?;
    compressed.flush().map_err(packing(folder))?;
    compressed.finish().map_err(packing(folder))
}

/// The bytes of the only regular file called `name` at the top of the archive.
pub(crate) fn read_file(archive: &[u8], name: &'static str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(archive).take(limit + 1));
    let (mut found, mut bytes, mut unpacked) = (0, Vec::new(), 0_u64);
    // The sizes that entries claim are summed; the `take` above also bounds what an archive unpacks beside them.
    let unreadable = |source| ArchiveError::Unreadable(source);
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        unpacked = unpacked.saturating_add(entry.size());
        if limit < unpacked {
            return Err(ArchiveError::TooLarge { limit });
        }
        let path = entry.path().map_err(unreadable)?.into_owned();
        if !path.components().all(|it| matches!(it, Component::Normal(_) | Component::CurDir)) {
            return Err(ArchiveError::Escapes { path: path.display().to_string() });
        }
        let is_wanted = path.strip_prefix(".").unwrap_or(&path) == Path::new(name);
        if is_wanted && entry.header().entry_type().is_file() {
            found += 1;
            bytes.clear();
            entry.read_to_end(&mut bytes).map_err(unreadable)?;
        }
    }
    if found == 1 { Ok(bytes) } else { Err(ArchiveError::NotOne { name, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (path, bytes) in entries {
            let mut header = tar::Header::new_gnu();
            // Written raw, as `append_data` would refuse the paths that this is about.
            header.as_gnu_mut().expect("gnu").name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_cksum();
            archive.append(&header, *bytes).expect("appends");
        }
        archive.into_inner().expect("tar").finish().expect("gzip")
    }

    #[test]
    fn a_packed_folder_reads_back_and_repeats_itself() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("model.json"), b"{}").expect("writes");
        std::fs::create_dir(folder.path().join("code")).expect("folder");
        std::fs::write(folder.path().join("code/extra.txt"), b"x").expect("writes");
        let packed = pack_model(folder.path()).expect("packs");
        assert_eq!(packed, pack_model(folder.path()).expect("packs"));
        assert_eq!(read_file(&packed, "model.json", 10_000).expect("reads"), b"{}");
    }

    #[test]
    fn hostile_and_broken_archives_are_refused() {
        let read = |bytes: &[u8]| read_file(bytes, "model.json", 10_000);
        assert!(matches!(read(&archive_of(&[("../model.json", b"{}")])), Err(ArchiveError::Escapes { .. })));
        assert!(matches!(read(&archive_of(&[("/etc/model.json", b"{}")])), Err(ArchiveError::Escapes { .. })));
        assert!(matches!(read(&archive_of(&[("other", b"{}")])), Err(ArchiveError::NotOne { found: 0, .. })));
        let twice = archive_of(&[("model.json", b"{}"), ("./model.json", b"[]")]);
        assert!(matches!(read(&twice), Err(ArchiveError::NotOne { found: 2, .. })));
        let large = vec![0_u8; 20_000];
        assert!(matches!(read(&archive_of(&[("model.json", &large)])), Err(ArchiveError::TooLarge { limit: 10_000 })));
        assert!(matches!(read(b"not an archive"), Err(ArchiveError::Unreadable(_))));
        let whole = archive_of(&[("model.json", &large[..5_000])]);
        assert!(matches!(read(&whole[..whole.len() / 2]), Err(ArchiveError::Unreadable(_))));
    }
}
