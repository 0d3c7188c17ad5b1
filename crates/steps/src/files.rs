//! Reading and writing the steps' folders: in a fixed order, without placeholders, with the path in every error.
//!
//! S3 knows no empty folder, and SageMaker refuses an input without objects, so Refit keeps an empty `.keep` in folders
//! that may have nothing; hidden files are never data.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StepError;

/// A file below a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    /// Path below the folder, with `/` between its parts.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
}

/// Every file below `folder` sorted by name; hidden files and folders are left out, a missing folder is empty.
pub(crate) fn list(folder: &Path) -> std::io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    if folder.is_dir() {
        walk(folder, "", &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<Listed>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let (name, path) = (format!("{prefix}{name}"), entry.path());
        if path.is_dir() {
            walk(&path, &format!("{name}/"), found)?;
        } else {
            found.push(Listed { name, path });
        }
    }
    Ok(())
}

/// [`list`] without what Spark leaves beside data (`_SUCCESS`), with the folder in the error.
pub(crate) fn list_data(folder: &Path) -> Result<Vec<Listed>, StepError> {
    let mut files = list(folder).map_err(|source| StepError::Read { path: folder.display().to_string(), source })?;
    files.retain(|it| !it.name.split('/').any(|part| part.starts_with('_')));
    Ok(files)
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, StepError> {
    std::fs::read(path).map_err(|source| StepError::Read { path: path.display().to_string(), source })
}

/// A JSON document.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StepError> {
    serde_json::from_slice(&read(path)?)
        .map_err(|source| StepError::Document { path: path.display().to_string(), source })
}

/// Writes a file, with the folders above it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), StepError> {
    let result = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, bytes));
    result.map_err(|source| StepError::Write { path: path.display().to_string(), source })
}

/// A document as JSON text with a line end, ready to be written.
pub(crate) fn to_json<T: Serialize>(document: &T, path: &Path) -> Result<Vec<u8>, StepError> {
    let mut bytes = serde_json::to_vec(document)
        .map_err(|source| StepError::Document { path: path.display().to_string(), source })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Lower-case hexadecimal SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    use std::fmt::Write;
    sha2::Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_in_order_without_placeholders() {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["b/2.csv", "b/1.csv", "a.csv", ".keep", "b/.keep", ".hidden/x.csv"] {
            write(&folder.path().join(name), b"").expect("writes");
        }
        let names: Vec<String> = list(folder.path()).expect("lists").into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["a.csv", "b/1.csv", "b/2.csv"]);
        write(&folder.path().join("b/_SUCCESS"), b"").expect("writes");
        assert_eq!(list_data(folder.path()).expect("lists").len(), 3);
        assert!(list(&folder.path().join("none")).expect("lists").is_empty());
    }

    #[test]
    fn digests_are_lower_case_hexadecimal() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
