//! The malformed files of `make corpus`, those that are large at a smaller size.

#[path = "../corpus/mod.rs"]
mod cases;

#[test]
fn every_malformed_file_is_refused_or_read_as_stated() {
    let failed: Vec<String> = cases::cases()
        .into_iter()
        .filter_map(|it| (it.run)(cases::Scale::Small).err().map(|why| format!("{} {}: {why}", it.number, it.name)))
        .collect();
    assert_eq!(failed, [""; 0]);
}
