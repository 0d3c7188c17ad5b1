//! Limits: what is refused before anything is read or written.

use super::{Check, TableRun, TableScene, invalid, succeeds};
use crate::ports::limits::{MAX_TOKEN_CHARS, item_bytes};
use crate::ports::table::{MAX_ITEM_BYTES, MAX_PARTITION_BYTES, MAX_SORT_BYTES, MAX_TRANSACTION_BYTES, MAX_WRITES};
use crate::ports::{Expect, Key, Order, Query, Token, Write};

pub(super) const CASES: &[(&str, TableRun)] = &[
    ("a transaction has 1 to 100 actions", |scene| Box::pin(bounds_actions(scene))),
    ("an item is limited to the byte", |scene| Box::pin(bounds_items(scene))),
    ("a transaction is limited in bytes", |scene| Box::pin(bounds_transactions(scene))),
    ("keys are neither empty nor too long", |scene| Box::pin(bounds_keys(scene))),
    ("tokens are neither empty nor too long", |scene| Box::pin(bounds_tokens(scene))),
];

async fn bounds_actions(scene: TableScene<'_>) -> Check {
    let mut writes: Vec<Write> = (0..=MAX_WRITES).map(|number| scene.create(&format!("{number:03}"), "x")).collect();
    invalid("a transaction without actions", scene.transact(&[]).await)?;
    invalid("101 actions", scene.transact(&writes).await)?;
    scene.holds("000", None).await?;
    writes.truncate(MAX_WRITES);
    scene.commit("100 actions", &writes).await?;
    scene.holds("099", Some((1, "x"))).await
}

async fn bounds_items(scene: TableScene<'_>) -> Check {
    let room = MAX_ITEM_BYTES - item_bytes(&scene.key("a"), "");
    // Two bytes for each character: bytes are counted, not characters.
    let mut body = "ä".repeat(room / 2);
    body.push_str(if room % 2 == 1 { "x" } else { "" });
    scene.commit("an item of exactly the limit", &[scene.create("a", &body)]).await?;
    let stored = scene.get("a").await?.map(|item| item.body.len());
    super::equal("the length of the largest body", &stored, &Some(room))?;
    invalid("a longer key with a body at the limit", scene.transact(&[scene.create("bb", &body)]).await)?;
    body.push('x');
    invalid("an item one byte above the limit", scene.transact(&[scene.create("b", &body)]).await)?;
    scene.holds("bb", None).await?;
    scene.holds("b", None).await
}

async fn bounds_transactions(scene: TableScene<'_>) -> Check {
    let body = "x".repeat(MAX_ITEM_BYTES - item_bytes(&scene.key("00"), ""));
    let fitting = MAX_TRANSACTION_BYTES / MAX_ITEM_BYTES;
    let mut writes: Vec<Write> = (0..=fitting).map(|number| scene.create(&format!("{number:02}"), &body)).collect();
    invalid("a transaction above its limit", scene.transact(&writes).await)?;
    scene.holds("00", None).await?;
    writes.truncate(fitting);
    scene.commit("a transaction below its limit", &writes).await
}

async fn bounds_keys(scene: TableScene<'_>) -> Check {
    let sort = |length: usize| "s".repeat(length);
    let partition = |length: usize| format!("{}{}", scene.partition(), "p".repeat(length - scene.partition().len()));
    let good = [
        Key { partition: scene.partition(), sort: sort(MAX_SORT_BYTES) },
        Key { partition: partition(MAX_PARTITION_BYTES), sort: sort(1) },
    ];
    for key in good {
        let write = Write::Put { key: key.clone(), expect: Expect::Absent, body: "x".into(), due: None };
        scene.commit("writing a key of the longest kind", &[write]).await?;
        let found = succeeds("reading a key of the longest kind", scene.table().get(&key).await)?;
        super::equal("the key", &found.map(|item| item.key), &Some(key.into()))?;
    }
    let bad = [
        Key { partition: String::new(), sort: sort(1) },
        Key { partition: scene.partition(), sort: String::new() },
        Key { partition: scene.partition(), sort: sort(MAX_SORT_BYTES + 1) },
        Key { partition: partition(MAX_PARTITION_BYTES + 1), sort: sort(1) },
    ];
    for key in bad {
        let what = format!("a key of {} and {} bytes", key.partition.len(), key.sort.len());
        invalid(&what, scene.table().get(&key).await)?;
        let put = Write::Put { key: key.clone(), expect: Expect::Absent, body: "x".into(), due: None };
        invalid(&what, scene.transact(&[put]).await)?;
        invalid(&what, scene.transact(&[Write::Check { key, expect: Expect::Absent }]).await)?;
    }
    for partition in [String::new(), partition(MAX_PARTITION_BYTES + 1)] {
        let query = Query { partition, prefix: String::new(), after: None, order: Order::Ascending, limit: 1 };
        invalid("a query of such a partition", scene.table().query(&query).await)?;
    }
    Ok(())
}

async fn bounds_tokens(scene: TableScene<'_>) -> Check {
    let writes = [scene.create("a", "1")];
    for length in [0, MAX_TOKEN_CHARS + 1] {
        let token = Token("t".repeat(length));
        invalid(&format!("a token of {length} characters"), scene.table().transact(&token, &writes).await)?;
    }
    scene.holds("a", None).await?;
    let longest = format!("{:t<MAX_TOKEN_CHARS$}", scene.token().0);
    succeeds("the longest token", scene.table().transact(&Token(longest), &writes).await)
}
