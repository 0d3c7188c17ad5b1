use jiff::{SignedDuration, Timestamp};
use refit_app::documents::head_key;
use refit_app::ports::{Expect, Key, Table as _, Token, Write};
use refit_core::ModelId;
use refit_handlers::Function;
use serde_json::json;
use tempfile::TempDir;

use super::{Access, CLOCK, DEAD_LETTER, Moment, World, WorldOptions};
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
    let broken = Write::Put { key: head_key(&model), expect: Expect::Absent, body: "{".into(), due: None };
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
    let alerts = world.publisher.list_alerts().expect("alerts");
    let told = alerts.iter().filter(|it| it.dedupe_id.starts_with("dead-letter-")).count();
    assert_eq!(told, 1, "{alerts:?}");
    assert_eq!(world.database.list_documents(DEAD_LETTER).expect("documents").len(), 1);
}

#[test]
fn a_damaged_entry_of_the_log_stops_nobody() {
    let folder = TempDir::new().expect("a folder");
    let world = open(&folder);
    let broken =
        Write::Put { key: Key::new("AUDIT#m", "000000000001"), expect: Expect::Absent, body: "{".into(), due: None };
    world.block_on(world.table.transact(&Token("t".to_owned()), &[broken])).expect("written");
    let mut troubles = 0;
    world.settle(&mut |moment| troubles += u32::from(matches!(moment, Moment::Trouble { .. }))).expect("it goes on");
    assert_eq!(troubles, 1);
    assert_eq!(world.publisher.list_alerts().expect("alerts").len(), 1, "the publisher parks it");
}

#[test]
fn a_damaged_clock_is_no_reason_to_take_the_machines() {
    let folder = TempDir::new().expect("a folder");
    let world = open(&folder);
    world.database.put_document(CLOCK.0, CLOCK.1, "yesterday").expect("written");
    drop(world);
    let options = WorldOptions {
        state: folder.path().to_owned(),
        programs: Programs::default(),
        execution_takes: SignedDuration::from_mins(1),
        notifications: Vec::new(),
        access: Access::Read,
    };
    let error = World::open(&options, None).err().expect("a refusal").to_string();
    assert!(error.contains("`yesterday`") && error.contains("damaged"), "{error}");
}
