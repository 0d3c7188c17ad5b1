//! What is particular to objects that are files.

use std::fs;
use std::sync::Barrier;
use std::thread;

use refit_app::contract::block_on_ready;
use refit_app::ports::{ObjectError, Objects as _};

use super::{FileObjects, ManualClock, MemoryObjects, uri};

fn store() -> (tempfile::TempDir, FileObjects) {
    let folder = tempfile::tempdir().unwrap();
    let objects = FileObjects::open(&folder.path().join("objects"), ManualClock::new()).unwrap();
    (folder, objects)
}

fn listed(objects: &FileObjects, prefix: &str) -> Vec<String> {
    let page = block_on_ready(objects.list(&uri(prefix), None)).unwrap();
    page.items.into_iter().map(|info| info.uri.key().to_owned()).collect()
}

#[test]
fn keys_that_files_cannot_have_are_refused_in_words() {
    let (_folder, objects) = store();
    block_on_ready(objects.put_new(&uri("s3://bucket/a/b"), b"x")).unwrap();
    let long = format!("s3://bucket/{}", "x".repeat(256));
    let cases = [
        ("s3://bucket/a", "there are objects below it"),
        ("s3://bucket/a/b/c", "part of its key is an object"),
        ("s3://bucket/folder/", "names a folder"),
        ("s3://bucket/x/.refit-tmp-1/y", "unfinished files"),
        (&long, "255 bytes"),
    ];
    for (bad, words) in cases {
        let answers = [block_on_ready(objects.put_new(&uri(bad), b"x")), objects.overwrite(&uri(bad), b"x")];
        for answer in answers {
            let text = answer.unwrap_err().to_string();
            assert!(text.contains(words) && text.contains("invalid"), "{text}");
        }
    }
    assert_eq!(listed(&objects, "s3://bucket"), ["a/b"]);
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_not_followed() {
    let (folder, objects) = store();
    fs::write(folder.path().join("secret"), "secret").unwrap();
    block_on_ready(objects.put_new(&uri("s3://bucket/a"), b"x")).unwrap();
    let bucket = objects.path_of(&uri("s3://bucket"));
    std::os::unix::fs::symlink(folder.path().join("secret"), bucket.join("link")).unwrap();
    std::os::unix::fs::symlink(folder.path(), bucket.join("out")).unwrap();
    for bad in ["s3://bucket/link", "s3://bucket/out/secret"] {
        let error = block_on_ready(objects.get(&uri(bad), 100)).unwrap_err();
        assert!(matches!(error, ObjectError::Invalid { .. }), "{error:?}");
        assert!(objects.overwrite(&uri(bad), b"x").is_err());
    }
    assert!(block_on_ready(objects.put_new(&uri("s3://bucket/out/new"), b"x")).is_err());
    assert!(!folder.path().join("new").exists());
    assert_eq!(listed(&objects, "s3://bucket"), ["a"]);
    assert_eq!(fs::read_to_string(folder.path().join("secret")).unwrap(), "secret");
}

#[test]
fn unfinished_files_are_invisible_and_none_is_left() {
    let (_folder, objects) = store();
    let first = block_on_ready(objects.put_new(&uri("s3://bucket/a/b"), b"1")).unwrap();
    block_on_ready(objects.put_new(&uri("s3://bucket/a/b"), b"2")).unwrap_err();
    block_on_ready(objects.replace(&uri("s3://bucket/a/b"), b"3", &first.etag)).unwrap();
    block_on_ready(objects.replace(&uri("s3://bucket/a/b"), b"4", &first.etag)).unwrap_err();
    block_on_ready(objects.replace(&uri("s3://bucket/none/b"), b"4", &first.etag)).unwrap_err();
    let folder = objects.path_of(&uri("s3://bucket/a"));
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["b"]);
    assert!(!objects.path_of(&uri("s3://bucket/none")).exists());
    // What a process that died would leave, under the next numbers of this process.
    for number in 0..2_000 {
        fs::write(folder.join(format!(".refit-tmp-{}-{number}", std::process::id())), "half").unwrap();
    }
    block_on_ready(objects.put_new(&uri("s3://bucket/a/c"), b"5")).unwrap();
    assert_eq!(listed(&objects, "s3://bucket"), ["a/b", "a/c"]);
    assert_eq!(listed(&objects, "s3://bucket/a/.refit-tmp-"), Vec::<String>::new());
}

#[test]
fn of_writers_of_one_object_exactly_one_wins() {
    const WRITERS: usize = 4;
    let (_folder, objects) = store();
    let root = objects.path_of(&uri("s3://bucket")).parent().unwrap().to_owned();
    for round in 0..20 {
        let target = uri(&format!("s3://bucket/{round}/object"));
        let replaced = uri(&format!("s3://bucket/{round}/replaced"));
        let etag = block_on_ready(objects.put_new(&replaced, b"0")).unwrap().etag;
        let barrier = Barrier::new(WRITERS);
        let wins: Vec<(bool, bool)> = thread::scope(|scope| {
            let workers: Vec<_> = (0..WRITERS)
                .map(|worker| {
                    let (root, target, replaced, etag, barrier) = (&root, &target, &replaced, &etag, &barrier);
                    scope.spawn(move || {
                        let objects = FileObjects::open(root, ManualClock::new()).unwrap();
                        let bytes = vec![b'0' + worker as u8; 10_000];
                        barrier.wait();
                        let new = block_on_ready(objects.put_new(target, &bytes));
                        let swapped = block_on_ready(objects.replace(replaced, &bytes, etag));
                        let read = block_on_ready(objects.get(target, 10_000)).unwrap().bytes;
                        assert!(read.len() == 10_000 && read.iter().all(|byte| *byte == read[0]), "a part was read");
                        assert!(matches!(new, Ok(_) | Err(ObjectError::Conflict(_))), "{new:?}");
                        assert!(matches!(swapped, Ok(_) | Err(ObjectError::Conflict(_))), "{swapped:?}");
                        (new.is_ok(), swapped.is_ok())
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        assert_eq!(wins.iter().filter(|(new, _)| *new).count(), 1);
        assert_eq!(wins.iter().filter(|(_, swapped)| *swapped).count(), 1);
    }
}

#[test]
fn a_prefix_appears_as_a_folder() {
    let (folder, objects) = store();
    for key in ["data/a.csv", "data/deep/b.csv", "data-2/c.csv", "other"] {
        objects.overwrite(&uri(&format!("s3://bucket/{key}")), key.as_bytes()).unwrap();
    }
    for (number, prefix) in ["s3://bucket/data", "s3://bucket/data/"].into_iter().enumerate() {
        let into = folder.path().join(format!("in-{number}"));
        for _again in 0..2 {
            assert_eq!(objects.copy_prefix_to(&uri(prefix), &into).unwrap(), 2);
        }
        assert_eq!(fs::read_to_string(into.join("a.csv")).unwrap(), "data/a.csv");
        assert_eq!(fs::read_to_string(into.join("deep/b.csv")).unwrap(), "data/deep/b.csv");
        assert_eq!(fs::read_dir(&into).unwrap().count(), 2);
    }
    let single = folder.path().join("single");
    assert_eq!(objects.copy_prefix_to(&uri("s3://bucket/data/deep/b.csv"), &single).unwrap(), 1);
    assert_eq!(fs::read_to_string(single.join("b.csv")).unwrap(), "data/deep/b.csv");
    assert_eq!(objects.copy_prefix_to(&uri("s3://bucket"), &folder.path().join("all")).unwrap(), 4);
    assert_eq!(objects.copy_prefix_to(&uri("s3://bucket/none"), &folder.path().join("none")).unwrap(), 0);
    // What is overwritten later does not change what a step already works on.
    objects.overwrite(&uri("s3://bucket/data/a.csv"), b"new").unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("in-0/a.csv")).unwrap(), "data/a.csv");
}

#[test]
fn overwriting_changes_the_etag_even_when_the_clock_stands_still() {
    let (_folder, files) = store();
    let memory = MemoryObjects::new(ManualClock::new());
    let target = uri("s3://bucket/a");
    let mut etags = Vec::new();
    for number in 0..20 {
        let bytes = [b'a' + number];
        etags.push(files.overwrite(&target, &bytes).unwrap().etag);
        etags.push(memory.overwrite(&target, &bytes).unwrap().etag);
        assert_eq!(block_on_ready(files.get(&target, 1)).unwrap().bytes, bytes[..]);
    }
    let snapshot = memory.snapshot();
    let info = block_on_ready(memory.head(&target)).unwrap();
    memory.overwrite(&target, b"later").unwrap();
    memory.restore(&snapshot);
    assert_eq!(block_on_ready(memory.head(&target)).unwrap(), info);
    let count = etags.len();
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), count);
}
