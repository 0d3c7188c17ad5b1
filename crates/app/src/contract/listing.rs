//! Listings: plain string prefixes in bytewise order, as S3 has them; folders mean nothing.

use refit_core::ObjectUri;

use super::{Check, ObjectsRun, ObjectsScene, ensure, equal, succeeds};
use crate::ports::ObjectInfo;

pub(super) const CASES: &[(&str, ObjectsRun)] = &[
    ("a listing is ordered by the bytes of whole keys", |scene| Box::pin(orders_by_bytes(scene))),
    ("a prefix is a plain string", |scene| Box::pin(finds_prefixes(scene))),
    ("a listing describes its objects", |scene| Box::pin(describes(scene))),
    ("a listing continues after any key", |scene| Box::pin(continues_anywhere(scene))),
    ("a page of a listing holds at most a thousand", |scene| Box::pin(pages(scene))),
];

/// Sorted by bytes; `-` and `.` come before `/`, digits after it.
const NAMES: [&str; 13] =
    ["A", "a-b", "a.b", "a/b", "a/b-c", "a/bc/d", "a/bd", "a/c", "a0", "ab/c", "b", "ä/x", "日本"];

impl ObjectsScene<'_> {
    /// Walks page by page to the end.
    async fn walk(&self, prefix: &ObjectUri, after: Option<&str>) -> Result<Vec<ObjectInfo>, String> {
        let mut after = after.map(str::to_owned);
        let mut found = Vec::new();
        loop {
            let page = succeeds("listing", self.objects.list(prefix, after.as_deref()).await)?;
            ensure(page.items.len() <= 1_000, || format!("a page holds {} objects", page.items.len()))?;
            found.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// The case's own folder with the slash.
    fn folder(&self) -> Result<ObjectUri, String> {
        let with_name = self.uri("x")?.to_string();
        with_name.trim_end_matches('x').parse().map_err(|error| format!("{error}"))
    }

    /// The names of what was found, relative to the case's folder.
    fn names(&self, found: &[ObjectInfo]) -> Result<Vec<String>, String> {
        let folder = self.folder()?;
        found
            .iter()
            .map(|info| {
                let name = info.uri.key().strip_prefix(folder.key());
                name.map(str::to_owned).ok_or_else(|| format!("`{}` is outside the case", info.uri))
            })
            .collect()
    }

    async fn fill(&self) -> Check {
        for name in NAMES.iter().rev() {
            self.put(name, name.as_bytes()).await?;
        }
        Ok(())
    }
}

async fn orders_by_bytes(scene: ObjectsScene<'_>) -> Check {
    ensure(NAMES.is_sorted(), || "the case itself is not sorted".to_owned())?;
    scene.fill().await?;
    let found = scene.names(&scene.walk(&scene.folder()?, None).await?)?;
    equal("the listing", &found, &NAMES.map(str::to_owned).to_vec())
}

async fn finds_prefixes(scene: ObjectsScene<'_>) -> Check {
    scene.fill().await?;
    for prefix in [
        "A",
        "a",
        "a/",
        "a/b",
        "a/b-",
        "a/bc",
        "a/bc/",
        "a/bc/d",
        "a/bc/d/",
        "a/x",
        "ab",
        "b",
        "b/",
        "c",
        "ä",
        "日",
        "nothing/here",
    ] {
        let uri = scene.uri(prefix)?;
        let want: Vec<&str> = NAMES.into_iter().filter(|name| name.starts_with(prefix)).collect();
        let found = scene.names(&scene.walk(&uri, None).await?)?;
        equal(&format!("what begins with `{prefix}`"), &found, &want.into_iter().map(str::to_owned).collect())?;
    }
    Ok(())
}

async fn describes(scene: ObjectsScene<'_>) -> Check {
    scene.fill().await?;
    for info in scene.walk(&scene.folder()?, None).await? {
        let head = succeeds("describing", scene.objects.head(&info.uri).await)?;
        equal("the description in the listing", &info, &head)?;
    }
    Ok(())
}

async fn continues_anywhere(scene: ObjectsScene<'_>) -> Check {
    scene.fill().await?;
    let folder = scene.folder()?;
    let afters = NAMES
        .into_iter()
        .chain(["", "a", "a/", "a/b/", "a/b0", "a/bc", "a/bc/", "a/bc/e", "a/z", "aa", "c", "~", "日", "語"]);
    for after in afters {
        for prefix in ["", "a", "a/b"] {
            let uri = scene.folder()?.to_string() + prefix;
            let uri = uri.parse().map_err(|error| format!("{error}"))?;
            let want: Vec<&str> = NAMES.into_iter().filter(|name| after < *name && name.starts_with(prefix)).collect();
            let found = scene.walk(&uri, Some(&format!("{}{after}", folder.key()))).await?;
            let found = scene.names(&found)?;
            equal(&format!("`{prefix}` after `{after}`"), &found, &want.into_iter().map(str::to_owned).collect())?;
        }
    }
    Ok(())
}

async fn pages(scene: ObjectsScene<'_>) -> Check {
    let names: Vec<String> = (0..1_001).map(|number| format!("{}/{number:04}", number / 100)).collect();
    for name in &names {
        scene.put(name, b"").await?;
    }
    let page = succeeds("listing", scene.objects.list(&scene.folder()?, None).await)?;
    ensure(page.next.is_some(), || "a first page of more than a thousand says that there is no more".to_owned())?;
    let found = scene.names(&scene.walk(&scene.folder()?, None).await?)?;
    let mut sorted = names;
    sorted.sort();
    ensure(found == sorted, || format!("pages give {} objects, not every one of 1,001 once in order", found.len()))
}
