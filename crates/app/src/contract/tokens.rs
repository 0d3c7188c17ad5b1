//! Tokens: a transaction that is sent twice happens once.

use jiff::{SignedDuration, Timestamp};

use super::{Check, TableRun, TableScene, conflicts, succeeds};
use crate::ports::table::TOKEN_LIFETIME;
use crate::ports::{Due, Expect, TableError};

pub(super) const CASES: &[(&str, TableRun)] = &[
    ("the same token and writes happen once", |scene| Box::pin(happens_once(scene))),
    ("a token with other writes is refused", |scene| Box::pin(refuses_other_writes(scene))),
    ("a token is forgotten after its lifetime", |scene| Box::pin(forgets(scene))),
    ("a failed transaction leaves its token unused", |scene| Box::pin(failure_uses_no_token(scene))),
];

const ONE_SECOND: SignedDuration = SignedDuration::from_secs(1);

async fn happens_once(scene: TableScene<'_>) -> Check {
    scene.commit("creating", &[scene.create("a", "1"), scene.create("b", "1")]).await?;
    let token = scene.token();
    let writes = [scene.replace("a", 1, "2"), scene.delete("b", 1)];
    for time in 1..=3 {
        succeeds(&format!("time {time}"), scene.table().transact(&token, &writes).await)?;
        scene.holds("a", Some((2, "2"))).await?;
        scene.holds("b", None).await?;
    }
    scene.commit("somebody else's write", &[scene.replace("a", 2, "3"), scene.create("b", "4")]).await?;
    succeeds("a late repetition", scene.table().transact(&token, &writes).await)?;
    scene.holds("a", Some((3, "3"))).await?;
    scene.holds("b", Some((1, "4"))).await
}

async fn refuses_other_writes(scene: TableScene<'_>) -> Check {
    let token = scene.token();
    let due = Some(Due { shard: 8, at: Timestamp::UNIX_EPOCH });
    let writes = [scene.put("a", Expect::Absent, "1", due)];
    succeeds("the first use", scene.table().transact(&token, &writes).await)?;
    let later = Some(Due { shard: 8, at: Timestamp::UNIX_EPOCH + ONE_SECOND });
    let others = [
        vec![scene.put("a", Expect::Absent, "2", due)],
        vec![scene.put("b", Expect::Absent, "1", due)],
        vec![scene.put("a", Expect::Absent, "1", None)],
        vec![scene.put("a", Expect::Absent, "1", later)],
        vec![scene.replace("a", 1, "1")],
        vec![scene.delete("a", 1)],
        vec![scene.check("a", Expect::Absent)],
        vec![scene.put("a", Expect::Absent, "1", due), scene.create("b", "1")],
    ];
    for other in others {
        match scene.table().transact(&token, &other).await {
            Err(TableError::TokenReused) => {}
            result => return Err(format!("a used token with {other:?} gave {result:?}, not a refusal")),
        }
        scene.holds("a", Some((1, "1"))).await?;
        scene.holds("b", None).await?;
    }
    succeeds("the first writes again", scene.table().transact(&token, &writes).await)
}

async fn forgets(scene: TableScene<'_>) -> Check {
    let token = scene.token();
    let writes = [scene.create("a", "1")];
    succeeds("the first use", scene.table().transact(&token, &writes).await)?;
    (scene.fixture.advance)(TOKEN_LIFETIME - ONE_SECOND);
    succeeds("a repetition within the lifetime", scene.table().transact(&token, &writes).await)?;
    // The repetition does not prolong the lifetime: it counts from the first use.
    (scene.fixture.advance)(ONE_SECOND + ONE_SECOND);
    let result = scene.table().transact(&token, &writes).await;
    conflicts("a repetition after the lifetime", result, &scene.key("a"))?;
    succeeds("other writes after the lifetime", scene.table().transact(&token, &[scene.replace("a", 1, "2")]).await)?;
    scene.holds("a", Some((2, "2"))).await
}

async fn failure_uses_no_token(scene: TableScene<'_>) -> Check {
    let token = scene.token();
    let writes = [scene.replace("a", 1, "2")];
    conflicts("the first try", scene.table().transact(&token, &writes).await, &scene.key("a"))?;
    scene.commit("creating", &[scene.create("a", "1")]).await?;
    succeeds("the second try", scene.table().transact(&token, &writes).await)?;
    scene.holds("a", Some((2, "2"))).await
}
