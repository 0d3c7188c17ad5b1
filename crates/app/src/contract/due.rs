//! The due index: sparse, ordered by time, following its items. Each case has due shards of its own.
//!
//! The index may lag behind the items; these cases expect that it has caught up.

use jiff::{SignedDuration, Timestamp};

use super::{Check, TableRun, TableScene, ensure, equal, invalid, succeeds};
use crate::ports::table::DUE_SHARDS;
use crate::ports::{Due, DueItem, Expect, Generation};

pub(super) const CASES: &[(&str, TableRun)] = &[
    ("the due index holds only what has a due time", |scene| Box::pin(is_sparse(scene))),
    ("due items come by time and then key", |scene| Box::pin(is_ordered(scene))),
    ("due pages of every size give every item once", |scene| Box::pin(pages(scene))),
    ("the due index follows its items", |scene| Box::pin(follows(scene))),
    ("a due shard out of range is refused", |scene| Box::pin(refuses_shards(scene))),
];

const ALL: usize = 1_000;

/// An hour that is `hours` after a fixed one.
fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000 + hours)
}

fn due(shard: u8, hours: i64) -> Option<Due> {
    Some(Due { shard, at: at(hours) })
}

impl TableScene<'_> {
    /// Sort name and hour of everything that is due, page by page.
    async fn due_walk(&self, shard: u8, until: Timestamp, limit: usize) -> Result<Vec<(String, Timestamp)>, String> {
        let mut after: Option<DueItem> = None;
        let mut found = Vec::new();
        loop {
            let page =
                succeeds("listing what is due", self.table().list_due(shard, until, limit, after.as_ref()).await)?;
            ensure(page.items.len() <= limit, || format!("a page of at most {limit} holds {}", page.items.len()))?;
            ensure(page.next.is_none() || !page.items.is_empty(), || {
                "an empty page says that there is more".to_owned()
            })?;
            found.extend(page.items.into_iter().map(|item| (item.key.sort, item.at)));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(found),
            }
        }
    }

    async fn finds_due(&self, shard: u8, until: Timestamp, limit: usize, want: &[(&str, i64)]) -> Check {
        let found = self.due_walk(shard, until, limit).await?;
        let found: Vec<(&str, Timestamp)> = found.iter().map(|(sort, at)| (sort.as_str(), *at)).collect();
        let want: Vec<(&str, Timestamp)> = want.iter().map(|(sort, hours)| (*sort, at(*hours))).collect();
        equal(&format!("what is due in shard {shard} until {until} by {limit}"), &found, &want)
    }
}

async fn is_sparse(scene: TableScene<'_>) -> Check {
    let writes = [
        scene.put("a", Expect::Absent, "1", due(0, 1)),
        scene.create("b", "1"),
        scene.put("c", Expect::Absent, "1", due(1, 1)),
    ];
    scene.commit("creating", &writes).await?;
    scene.finds_due(0, at(9), ALL, &[("a", 1)]).await?;
    scene.finds_due(1, at(9), ALL, &[("c", 1)]).await?;
    let item = scene.get("a").await?;
    equal("the due time of an item", &item.and_then(|item| item.due), &due(0, 1))
}

async fn is_ordered(scene: TableScene<'_>) -> Check {
    let writes = [("e", 5), ("B", 2), ("a", 2), ("d", 1), ("c", 3), ("ä", 2)]
        .map(|(sort, hours)| scene.put(sort, Expect::Absent, "1", due(2, hours)));
    scene.commit("creating", &writes).await?;
    let sorted = [("d", 1), ("B", 2), ("a", 2), ("ä", 2), ("c", 3), ("e", 5)];
    for (hours, count) in [(0, 0), (1, 1), (2, 4), (3, 5), (4, 5), (5, 6), (6, 6)] {
        scene.finds_due(2, at(hours), ALL, &sorted[..count]).await?;
    }
    let one_before = at(2) - SignedDuration::from_micros(1);
    scene.finds_due(2, one_before, ALL, &sorted[..1]).await?;
    scene.finds_due(2, Timestamp::MAX, ALL, &sorted).await?;
    scene.finds_due(2, Timestamp::MIN, ALL, &[]).await
}

async fn pages(scene: TableScene<'_>) -> Check {
    let names: Vec<(String, i64)> = (0..12).map(|number| (format!("{number:02}"), number / 3)).collect();
    let writes: Vec<_> =
        names.iter().map(|(sort, hours)| scene.put(sort, Expect::Absent, "1", due(3, *hours))).collect();
    scene.commit("creating", &writes).await?;
    let sorted: Vec<(&str, i64)> = names.iter().map(|(sort, hours)| (sort.as_str(), *hours)).collect();
    for limit in 1..=sorted.len() + 1 {
        scene.finds_due(3, at(9), limit, &sorted).await?;
    }
    // The entry to continue after may be gone by then.
    let after = DueItem { key: scene.key("04x"), at: at(1) };
    let page = succeeds("continuing after an absent entry", scene.table().list_due(3, at(9), 2, Some(&after)).await)?;
    let found: Vec<&str> = page.items.iter().map(|item| item.key.sort.as_str()).collect();
    equal("the entries after an absent one", &found, &vec!["05", "06"])
}

async fn follows(scene: TableScene<'_>) -> Check {
    scene.commit("creating", &[scene.put("a", Expect::Absent, "1", due(4, 1))]).await?;
    let stage =
        |generation: u64, place: Option<Due>| [scene.put("a", Expect::Generation(Generation(generation)), "2", place)];
    scene.commit("moving in time", &stage(1, due(4, 3))).await?;
    scene.finds_due(4, at(2), ALL, &[]).await?;
    scene.finds_due(4, at(3), ALL, &[("a", 3)]).await?;
    scene.commit("moving to another shard", &stage(2, due(5, 3))).await?;
    scene.finds_due(4, at(9), ALL, &[]).await?;
    scene.finds_due(5, at(9), ALL, &[("a", 3)]).await?;
    ensure(scene.transact(&stage(1, due(4, 1))).await.is_err(), || "a stale write succeeded".to_owned())?;
    scene.finds_due(4, at(9), ALL, &[]).await?;
    scene.finds_due(5, at(9), ALL, &[("a", 3)]).await?;
    scene.commit("leaving the index", &stage(3, None)).await?;
    scene.finds_due(5, at(9), ALL, &[]).await?;
    scene.commit("coming back", &stage(4, due(5, 4))).await?;
    scene.finds_due(5, at(9), ALL, &[("a", 4)]).await?;
    scene.commit("deleting", &[scene.delete("a", 5)]).await?;
    scene.finds_due(5, at(9), ALL, &[]).await
}

async fn refuses_shards(scene: TableScene<'_>) -> Check {
    let last = DUE_SHARDS - 1;
    scene.commit("writing to the last shard", &[scene.put("a", Expect::Absent, "1", due(last, 1))]).await?;
    scene.finds_due(last, at(1), ALL, &[("a", 1)]).await?;
    for shard in [DUE_SHARDS, u8::MAX] {
        invalid(
            "a write to such a shard",
            scene.transact(&[scene.put("b", Expect::Absent, "1", due(shard, 1))]).await,
        )?;
        invalid("listing such a shard", scene.table().list_due(shard, at(1), 1, None).await)?;
    }
    scene.holds("b", None).await?;
    invalid("a page of no items", scene.table().list_due(last, at(1), 0, None).await)?;
    let later = DueItem { key: scene.key("a"), at: at(2) };
    invalid("a start after the end", scene.table().list_due(last, at(1), 1, Some(&later)).await)
}
