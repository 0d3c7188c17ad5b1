use jiff::{SignedDuration, Timestamp};
use refit_app::documents::head_key;
use refit_app::ports::{Expect, Table as _, Token, Write};
use refit_core::ModelId;
use refit_handlers::Function;
use serde_json::json;
use tempfile::TempDir;

use super::{Access, DEAD_LETTER, World, WorldOptions};
use crate::pipeline::Programs;

fn open(folder: &TempDir) -> World {
    let options = WorldOptions {
        state: folder.path().to_owned(),
        programs: Programs::default(),
        execution_takes: SignedDuration::from_mins(1),
        notifications: Vec::new(),
        access: Access::Drive,
    };
    World::open(&options, Some(Timestamp::UNIX_EPOCH)).expect("a world")
}

#[test]
fn an_event_that_cannot_be_handled_is_put_away_only_after_people_were_told() {
    let folder = TempDir::new().expect("a folder");
    let world = open(&folder);
    let model: ModelId = "m".parse().expect("a name");
    let broken = Write::Put { key: head_key(&model), expect: Expect::Absent, body: "{".to_owned(), due: None };
    world.block_on(world.table.transact(&Token("t".to_owned()), &[broken])).expect("written");
    let wake_up = json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": "m", "function": "check-triggers" } });
    world.database.enqueue(world.now(), Function::CheckTriggers.name(), &wake_up.to_string()).expect("queued");
    let alerts = folder.path().join("alerts.jsonl");
    std::fs::create_dir(&alerts).expect("a folder where the file belongs");
    world.settle(&mut |_| {}).expect_err("people cannot be told");
    std::fs::remove_dir(&alerts).expect("an empty folder");
    drop(world);
    let world = open(&folder);
    world.settle(&mut |_| {}).expect("people can be told");
    assert_eq!(world.publisher.list_alerts().expect("alerts").len(), 1);
    assert_eq!(world.database.list_documents(DEAD_LETTER).expect("documents").len(), 1);
}
