//! Beliefs and generations: all writes of a transaction or none.

use super::{Check, TableRun, TableScene, conflicts, equal, invalid};
use crate::ports::{Due, Expect, Generation, Write};

pub(super) const CASES: &[(&str, TableRun)] = &[
    ("an absent item is created once", |scene| Box::pin(creates_once(scene))),
    ("generations count from one and stale ones are refused", |scene| Box::pin(counts_generations(scene))),
    ("a conflict changes nothing", |scene| Box::pin(all_or_nothing(scene))),
    ("a deleted item is gone and begins anew", |scene| Box::pin(deletes(scene))),
    ("a check changes nothing but can refuse", |scene| Box::pin(checks(scene))),
    ("no two actions touch one item", |scene| Box::pin(touches_once(scene))),
    ("bodies come back as they were", |scene| Box::pin(keeps_bodies(scene))),
];

const AT_LEAST_ONE: Expect = Expect::Generation(Generation(1));

async fn creates_once(scene: TableScene<'_>) -> Check {
    scene.holds("a", None).await?;
    scene.commit("creating an absent item", &[scene.create("a", "one")]).await?;
    scene.holds("a", Some((1, "one"))).await?;
    conflicts("creating it again", scene.transact(&[scene.create("a", "two")]).await, &scene.key("a"))?;
    scene.holds("a", Some((1, "one"))).await?;
    // The same sort name in another partition, and the partition's name as a sort name, are other items.
    let mut elsewhere = scene.key("a");
    elsewhere.partition.push('#');
    let write = Write::Put { key: elsewhere, expect: Expect::Absent, body: "three".into(), due: None };
    scene.commit("creating it in another partition", &[write]).await?;
    scene.holds("a", Some((1, "one"))).await
}

async fn counts_generations(scene: TableScene<'_>) -> Check {
    let key = scene.key("a");
    for wrong in [0, 1] {
        let result = scene.transact(&[scene.replace("a", wrong, "x")]).await;
        conflicts(&format!("replacing an absent item of generation {wrong}"), result, &key)?;
    }
    scene.commit("creating", &[scene.create("a", "1")]).await?;
    for generation in 1..5 {
        let body = (generation + 1).to_string();
        scene.commit("replacing", &[scene.replace("a", generation, &body)]).await?;
        scene.holds("a", Some((generation + 1, &body))).await?;
    }
    for wrong in [0, 1, 4, 6, u64::MAX] {
        let result = scene.transact(&[scene.replace("a", wrong, "x")]).await;
        conflicts(&format!("replacing generation 5 as {wrong}"), result, &key)?;
    }
    scene.holds("a", Some((5, "5"))).await
}

async fn all_or_nothing(scene: TableScene<'_>) -> Check {
    scene.commit("creating", &[scene.create("a", "a"), scene.create("b", "b"), scene.create("c", "c")]).await?;
    let good = [scene.replace("a", 1, "A"), scene.delete("b", 1), scene.create("d", "D")];
    let bad = [
        scene.replace("c", 2, "C"),
        scene.create("c", "C"),
        scene.delete("c", 2),
        scene.check("c", Expect::Absent),
        scene.check("c", Expect::Generation(Generation(7))),
    ];
    for wrong in bad {
        for place in 0..=good.len() {
            let mut writes = good.to_vec();
            writes.insert(place, wrong.clone());
            conflicts(&format!("{wrong:?} in place {place}"), scene.transact(&writes).await, &scene.key("c"))?;
            for (sort, body) in [("a", "a"), ("b", "b"), ("c", "c")] {
                scene.holds(sort, Some((1, body))).await?;
            }
            scene.holds("d", None).await?;
        }
    }
    let two_wrong = [scene.replace("a", 1, "A"), scene.delete("c", 9), scene.create("b", "B")];
    conflicts("a transaction with two wrong beliefs", scene.transact(&two_wrong).await, &scene.key("c"))?;
    scene.commit("the good writes alone", &good).await?;
    for (sort, want) in [("a", Some((2, "A"))), ("b", None), ("c", Some((1, "c"))), ("d", Some((1, "D")))] {
        scene.holds(sort, want).await?;
    }
    Ok(())
}

async fn deletes(scene: TableScene<'_>) -> Check {
    let key = scene.key("a");
    conflicts("deleting an absent item", scene.transact(&[scene.delete("a", 1)]).await, &key)?;
    scene.commit("creating", &[scene.create("a", "1")]).await?;
    scene.commit("replacing", &[scene.replace("a", 1, "2")]).await?;
    conflicts("deleting a stale generation", scene.transact(&[scene.delete("a", 1)]).await, &key)?;
    scene.holds("a", Some((2, "2"))).await?;
    scene.commit("deleting", &[scene.delete("a", 2)]).await?;
    scene.holds("a", None).await?;
    conflicts("deleting again", scene.transact(&[scene.delete("a", 2)]).await, &key)?;
    scene.commit("creating again", &[scene.create("a", "3")]).await?;
    scene.holds("a", Some((1, "3"))).await
}

async fn checks(scene: TableScene<'_>) -> Check {
    scene.commit("creating", &[scene.create("a", "1")]).await?;
    scene.commit("true checks", &[scene.check("a", AT_LEAST_ONE), scene.check("b", Expect::Absent)]).await?;
    scene.holds("a", Some((1, "1"))).await?;
    scene.holds("b", None).await?;
    conflicts("a check for absence", scene.transact(&[scene.check("a", Expect::Absent)]).await, &scene.key("a"))?;
    conflicts("a check for presence", scene.transact(&[scene.check("b", AT_LEAST_ONE)]).await, &scene.key("b"))?;
    let guarded = [scene.check("a", Expect::Generation(Generation(2))), scene.create("b", "2")];
    conflicts("a write beside a false check", scene.transact(&guarded).await, &scene.key("a"))?;
    scene.holds("b", None).await?;
    scene.commit("a write beside a true check", &[scene.check("a", AT_LEAST_ONE), scene.create("b", "2")]).await?;
    scene.holds("a", Some((1, "1"))).await?;
    scene.holds("b", Some((1, "2"))).await
}

async fn touches_once(scene: TableScene<'_>) -> Check {
    scene.commit("creating", &[scene.create("a", "1")]).await?;
    let actions = [scene.replace("a", 1, "2"), scene.delete("a", 1), scene.check("a", AT_LEAST_ONE)];
    for first in &actions {
        for second in &actions {
            let writes = [first.clone(), scene.create("b", "3"), second.clone()];
            invalid(&format!("{first:?} with {second:?}"), scene.transact(&writes).await)?;
            scene.holds("a", Some((1, "1"))).await?;
            scene.holds("b", None).await?;
        }
    }
    Ok(())
}

async fn keeps_bodies(scene: TableScene<'_>) -> Check {
    let long = "0123456789".repeat(20_000);
    for (number, body) in ["", "{}", "null", "\"'`;--", "a\u{0}b", "日本語 😀", "\r\n\t", &long].into_iter().enumerate()
    {
        let sort = format!("{number}");
        let due = (number % 2 == 0).then_some(Due { shard: 9, at: jiff::Timestamp::UNIX_EPOCH });
        scene.commit("creating", &[scene.put(&sort, Expect::Absent, body, due)]).await?;
        let item = scene.get(&sort).await?.ok_or_else(|| format!("item {number} is missing"))?;
        equal("the body", &item.body.as_str(), &body)?;
        equal("the due time", &item.due, &due)?;
        equal("the key", &*item.key, &scene.key(&sort))?;
    }
    Ok(())
}
