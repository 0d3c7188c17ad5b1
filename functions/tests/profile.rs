//! What `sam build` builds reads damaged files as `cargo build` does.

/// cargo-lambda lets panics end the process unless the manifest says otherwise. Readers catch those of the libraries that
/// they stand on: a damaged file must not end a function, come again, and end it again.
#[test]
fn panics_unwind_in_what_is_deployed() {
    let manifest = include_str!("../../Cargo.toml");
    let (_, rest) = manifest.split_once("[profile.release]\n").expect("a release profile");
    let section: Vec<&str> = rest.lines().take_while(|it| !it.is_empty()).collect();
    assert!(section.contains(&"panic = \"unwind\""), "{section:?}");
}
