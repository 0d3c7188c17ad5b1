//! Objects one at a time: written once or if unchanged, read whole or in part.

use bytes::Bytes;

use super::{Check, ObjectsRun, ObjectsScene, ensure, equal, succeeds};
use crate::ports::objects::ensure_object;
use crate::ports::{Object, ObjectError};

pub(super) const CASES: &[(&str, ObjectsRun)] = &[
    ("an object reads back as it was written", |scene| Box::pin(reads_back(scene))),
    ("a new object is written once", |scene| Box::pin(writes_once(scene))),
    ("an object is replaced if it is unchanged", |scene| Box::pin(replaces_unchanged(scene))),
    ("what is missing is not found", |scene| Box::pin(misses(scene))),
    ("a whole object is read up to a limit", |scene| Box::pin(bounds_reads(scene))),
    ("ranges are half-open and cut at the end", |scene| Box::pin(reads_ranges(scene))),
    ("a range of a changed object is refused", |scene| Box::pin(guards_ranges(scene))),
    ("what is removed is gone, and removed once", |scene| Box::pin(removes(scene))),
    ("an object without a key is refused", |scene| Box::pin(refuses_no_key(scene))),
];

const LIMIT: u64 = 1 << 20;

async fn reads_back(scene: ObjectsScene<'_>) -> Check {
    let binary: Vec<u8> = (0..=u8::MAX).cycle().take(70_000).collect();
    let names = [
        "plain",
        "a/b/c.json",
        "with space",
        "日本語/ö.txt",
        "😀",
        "per%20cent",
        "plus+equals=and&",
        "quote'\"",
        ".hidden",
        "UPPER",
        "a..b",
        "~",
        "#1",
    ];
    for name in names {
        for (number, bytes) in [&b""[..], b"x", &binary].into_iter().enumerate() {
            let uri = scene.uri(&format!("{number}/{name}"))?;
            let written = succeeds("writing", scene.objects.put_new(&uri, bytes).await)?;
            equal("the address of what was written", &written.uri, &uri)?;
            equal("the size of what was written", &written.size, &(bytes.len() as u64))?;
            let read = succeeds("reading", scene.objects.get(&uri, LIMIT).await)?;
            equal(
                &format!("`{uri}`"),
                &read,
                &Object { bytes: Bytes::copy_from_slice(bytes), etag: written.etag.clone() },
            )?;
            equal("the description", &succeeds("describing", scene.objects.head(&uri).await)?, &written)?;
        }
    }
    Ok(())
}

async fn writes_once(scene: ObjectsScene<'_>) -> Check {
    let uri = scene.put("a/b", b"one").await?;
    for bytes in [&b"two"[..], b"one", b""] {
        match scene.objects.put_new(&uri, bytes).await {
            Err(ObjectError::Conflict(found)) => equal("the address in the conflict", &found, &uri)?,
            other => return Err(format!("writing an object again gave {other:?}, not a conflict")),
        }
        let read = succeeds("reading", scene.objects.get(&uri, LIMIT).await)?;
        equal("the content", &&*read.bytes, &&b"one"[..])?;
    }
    succeeds("ensuring what is there", ensure_object(scene.objects, &uri, b"one").await)?;
    let other = scene.uri("a/c")?;
    succeeds("ensuring what is not there", ensure_object(scene.objects, &other, b"two").await)?;
    let read = succeeds("reading", scene.objects.get(&other, LIMIT).await)?;
    equal("the ensured content", &&*read.bytes, &&b"two"[..])
}

async fn replaces_unchanged(scene: ObjectsScene<'_>) -> Check {
    let absent = scene.uri("absent")?;
    ensure(matches!(scene.objects.replace(&absent, b"x", "etag").await, Err(ObjectError::Conflict(_))), || {
        "replacing an absent object is not a conflict".to_owned()
    })?;
    ensure(matches!(scene.objects.head(&absent).await, Err(ObjectError::NotFound(_))), || {
        "replacing an absent object made it".to_owned()
    })?;
    let uri = scene.uri("a")?;
    let mut etags = vec![succeeds("writing", scene.objects.put_new(&uri, b"00").await)?.etag];
    // Of equal length, in quick succession: an etag made of size and a coarse time would not change.
    for number in 1..20_u8 {
        let bytes = format!("{number:02}");
        let current = etags.last().cloned().unwrap_or_default();
        for stale in &etags[..etags.len() - 1] {
            let result = scene.objects.replace(&uri, b"xx", stale).await;
            ensure(matches!(result, Err(ObjectError::Conflict(_))), || {
                format!("a stale etag gave {result:?}, not a conflict")
            })?;
        }
        let info = succeeds("replacing", scene.objects.replace(&uri, bytes.as_bytes(), &current).await)?;
        let read = succeeds("reading", scene.objects.get(&uri, LIMIT).await)?;
        equal("what was replaced", &read, &Object { bytes: bytes.into(), etag: info.etag.clone() })?;
        ensure(!etags.contains(&info.etag), || format!("etag `{}` came twice for other content", info.etag))?;
        etags.push(info.etag);
    }
    Ok(())
}

async fn misses(scene: ObjectsScene<'_>) -> Check {
    scene.put("a/b", b"x").await?;
    // Absent; absent within an object; only a prefix of an object's key.
    for name in ["c", "a/c", "x/y/z", "a/b/c", "a"] {
        let uri = scene.uri(name)?;
        let answers = [
            scene.objects.head(&uri).await.err(),
            scene.objects.get(&uri, LIMIT).await.err(),
            scene.objects.get_range(&uri, "etag", 0..1).await.err(),
        ];
        for answer in answers {
            match answer {
                Some(ObjectError::NotFound(found)) => equal("the address that was not found", &found, &uri)?,
                other => return Err(format!("reading `{uri}` gave {other:?}, not that it is missing")),
            }
        }
    }
    Ok(())
}

async fn bounds_reads(scene: ObjectsScene<'_>) -> Check {
    let uri = scene.put("a", b"0123456789").await?;
    for fits in [10, 11, u64::MAX] {
        let read = succeeds("reading", scene.objects.get(&uri, fits).await)?;
        equal("the length", &read.bytes.len(), &10)?;
    }
    for small in [0, 1, 9] {
        match scene.objects.get(&uri, small).await {
            Err(ObjectError::TooLarge { uri: found, size: 10, limit }) if limit == small => {
                equal("the address", &found, &uri)?
            }
            other => return Err(format!("reading 10 bytes with a limit of {small} gave {other:?}")),
        }
    }
    let empty = scene.put("empty", b"").await?;
    let read = succeeds("reading nothing", scene.objects.get(&empty, 0).await)?;
    equal("the empty object", &read.bytes.len(), &0)
}

async fn reads_ranges(scene: ObjectsScene<'_>) -> Check {
    let content = b"0123456789";
    let uri = scene.uri("a")?;
    let etag = succeeds("writing", scene.objects.put_new(&uri, content).await)?.etag;
    for start in 0..=12 {
        for end in start..=13 {
            let want = &content[start.min(10)..end.min(10)];
            let got = succeeds("reading", scene.objects.get_range(&uri, &etag, start as u64..end as u64).await)?;
            equal(&format!("bytes {start}..{end}"), &got.as_slice(), &want)?;
        }
    }
    let far = succeeds("reading to the end", scene.objects.get_range(&uri, &etag, 7..u64::MAX).await)?;
    equal("bytes to the end", &far.as_slice(), &&b"789"[..])?;
    let beyond = succeeds("reading far beyond", scene.objects.get_range(&uri, &etag, u64::MAX - 1..u64::MAX).await)?;
    equal("bytes far beyond the end", &beyond.len(), &0)?;
    let empty = scene.uri("empty")?;
    let etag = succeeds("writing", scene.objects.put_new(&empty, b"").await)?.etag;
    let none = succeeds("reading", scene.objects.get_range(&empty, &etag, 0..5).await)?;
    equal("a range of an empty object", &none.len(), &0)
}

async fn guards_ranges(scene: ObjectsScene<'_>) -> Check {
    let uri = scene.uri("a")?;
    let old = succeeds("writing", scene.objects.put_new(&uri, b"old").await)?.etag;
    let new = succeeds("replacing", scene.objects.replace(&uri, b"new", &old).await)?.etag;
    for wrong in [old.as_str(), "another"] {
        let result = scene.objects.get_range(&uri, wrong, 0..2).await;
        ensure(matches!(result, Err(ObjectError::Conflict(_))), || {
            format!("a stale etag gave {result:?}, not a conflict")
        })?;
    }
    let got = succeeds("reading", scene.objects.get_range(&uri, &new, 0..2).await)?;
    equal("a range of the new content", &got.as_slice(), &&b"ne"[..])
}

async fn removes(scene: ObjectsScene<'_>) -> Check {
    let uri = scene.put("a/b", b"one").await?;
    let beside = scene.put("a/b2", b"two").await?;
    // Absent; absent within an object; only a prefix of an object's key.
    for name in ["c", "x/y/z", "a/b/c", "a"] {
        let absent = scene.uri(name)?;
        succeeds(&format!("removing `{absent}`, which is not there"), scene.objects.remove(&absent).await)?;
    }
    succeeds("reading what was not removed", scene.objects.get(&uri, LIMIT).await)?;
    for _ in 0..2 {
        succeeds("removing", scene.objects.remove(&uri).await)?;
        ensure(matches!(scene.objects.head(&uri).await, Err(ObjectError::NotFound(_))), || {
            "a removed object is still there".to_owned()
        })?;
    }
    let folder = scene.uri("a")?;
    let listed = succeeds("listing", scene.objects.list(&folder, None).await)?;
    let left: Vec<_> = listed.items.into_iter().map(|it| it.uri).collect();
    equal("what is left", &left, &vec![beside])?;
    succeeds("writing a removed object anew", scene.objects.put_new(&uri, b"new").await)?;
    let read = succeeds("reading", scene.objects.get(&uri, LIMIT).await)?;
    equal("the new content", &&*read.bytes, &&b"new"[..])
}

async fn refuses_no_key(scene: ObjectsScene<'_>) -> Check {
    let bucket = format!("s3://{}", scene.root.bucket()).parse().map_err(|error| format!("{error}"))?;
    let answers = [
        scene.objects.head(&bucket).await.err(),
        scene.objects.get(&bucket, LIMIT).await.err(),
        scene.objects.put_new(&bucket, b"x").await.err(),
        scene.objects.replace(&bucket, b"x", "etag").await.err(),
        scene.objects.remove(&bucket).await.err(),
    ];
    for answer in answers {
        ensure(matches!(answer, Some(ObjectError::Invalid { .. })), || {
            format!("an empty key gave {answer:?}, not a refusal")
        })?;
    }
    Ok(())
}
