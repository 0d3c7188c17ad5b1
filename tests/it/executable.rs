//! The real `refit` executable, which `make test` builds before the tests.

use std::path::PathBuf;
use std::process::Command;

/// A command that runs `refit` with no REFIT_* variable set.
///
/// # Panics
///
/// Panics when the executable is not beside the test binary.
pub(crate) fn refit() -> Command {
    let mut command = Command::new(path());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REFIT_") {
            command.env_remove(name);
        }
    }
    command
}

/// `target/debug/refit`, found from `target/debug/deps/it-…`.
fn path() -> PathBuf {
    let test = std::env::current_exe().expect("the test binary has a path");
    let directory =
        test.parent().and_then(|deps| deps.parent()).expect("the test binary lies in target/<profile>/deps");
    let path = directory.join("refit").with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.is_file(), "{} is missing: run `cargo build --workspace --bins` first", path.display());
    path
}
