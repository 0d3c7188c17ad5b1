//! Files that come late, twice, out of order, damaged or unannounced: what a window is judged on then.

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::Objects;
use refit_app::queries::list_judgments;
use refit_core::policy::{ModelPolicy, Span};
use refit_core::trigger::{Judgment, JudgmentKind};
use refit_core::{ModelId, ObjectUri};
use refit_data::{CaptureLine, Label, write_capture_line, write_ground_truth_line};
use refit_local::memory::{MODEL, MemoryWorld, Promotion, policy, poll};

use super::support::worlds::{beginning, promote};

const CAPTURE: &str = "s3://data/capture/m/champion/2026/01";

/// Midnight of the first day.
fn day() -> Timestamp {
    "2026-01-05T00:00:00Z".parse().expect("a constant time")
}

/// A world with champion 1, checked every hour.
fn world(change: impl FnOnce(&mut ModelPolicy)) -> MemoryWorld {
    let mut world = MemoryWorld::new(beginning());
    let mut policy = policy(Promotion::Manual);
    policy.models[0].triggers.check_every = Span::hours(1);
    change(&mut policy.models[0]);
    world.apply_policy(&policy, day()).unwrap_done().expect("nothing fails");
    world.drain();
    promote(&mut world, 1);
    world
}

/// Sweeps every hour until `hour`, counted from midnight of the first day.
fn go_to(world: &mut MemoryWorld, hour: i64) {
    let until = Span::hours(hour).after(day());
    while refit_app::ports::Clock::now(&world.clock) < until {
        world.sweep_after(SignedDuration::from_hours(1));
    }
    assert_eq!(world.dead_letters, [""; 0]);
}

/// One captured row an hour; the id says the hour.
fn capture(hours: impl IntoIterator<Item = i64>) -> Vec<u8> {
    let line = |hour: i64| {
        let id = format!("e{hour:03}");
        let at = Span::hours(hour).after(day()).as_microsecond() + 60_000_000;
        write_capture_line(&CaptureLine {
            event_id: &id,
            inference_id: Some(&id),
            time_micros: at,
            input: &format!("{{\"x\":{}}}", hour % 24),
            output: &format!("{{\"score\":{}}}", 100 + hour % 7 + if hour % 2 == 0 { 9 } else { -9 }),
        })
    };
    hours.into_iter().map(line).collect::<String>().into_bytes()
}

/// The labels of these hours, off by `error` more than the champion's usual 9.
fn labels(hours: impl IntoIterator<Item = i64>, error: i64) -> Vec<u8> {
    let line = |hour: i64| {
        let off = if hour % 2 == 0 { -error } else { error };
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let label = Label::Number((100 + hour % 7 + off) as f64);
        write_ground_truth_line(&format!("e{hour:03}"), &label)
    };
    hours.into_iter().map(line).collect::<String>().into_bytes()
}

fn judged(world: &MemoryWorld, kind: JudgmentKind) -> Vec<Judgment> {
    let model: ModelId = MODEL.parse().expect("a constant name");
    let all = poll(list_judgments(&world.table, &model)).unwrap_done().expect("judgments");
    all.into_iter().filter(|it| it.kind == kind).collect()
}

/// `<day>r<revision> <rows>/<hours>` of each judged window that has rows.
#[track_caller]
fn expect(world: &MemoryWorld, kind: JudgmentKind, expected: &[&str]) {
    let found: Vec<String> = judged(world, kind)
        .iter()
        .filter(|it| 0 < it.rows || 1 < it.source.revision)
        .map(|it| {
            let day = it.window.start.strftime("%d");
            format!("{day}r{} {}/{}", it.source.revision, it.rows, it.source.hours)
        })
        .collect();
    assert_eq!(found, expected);
}

fn damaged(world: &MemoryWorld) -> usize {
    world.publisher.alerts().iter().filter(|it| it.subject.contains("damaged")).count()
}

#[test]
fn a_file_that_is_late_within_lateness_is_judged_at_once() {
    let mut world = world(|_| {});
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &capture(5..20));
    go_to(&mut world, 24);
    // The window is over and waits for another hour.
    world.upload(&format!("{CAPTURE}/05/20/b.jsonl"), &capture(20..24));
    go_to(&mut world, 30);
    expect(&world, JudgmentKind::Drift, &["05r1 19/19"]);
}

#[test]
fn a_file_that_is_later_leads_to_a_revision_at_the_next_check() {
    let mut world = world(|_| {});
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &capture(5..20));
    world.upload("s3://data/labels/2026/01/05/23/a.jsonl", &labels(5..24, 0));
    go_to(&mut world, 27);
    expect(&world, JudgmentKind::Drift, &["05r1 15/15"]);
    world.upload(&format!("{CAPTURE}/05/20/b.jsonl"), &capture(20..24));
    go_to(&mut world, 28);
    expect(&world, JudgmentKind::Drift, &["05r1 15/15", "05r2 19/19"]);
    expect(&world, JudgmentKind::Performance, &["05r1 15/15", "05r2 19/19"]);
    let revised = &judged(&world, JudgmentKind::Drift)[1];
    assert!(revised.reason.starts_with("revision 2 (19 rows, before 15; was stable): "), "{}", revised.reason);
    let replaced = revised.source.replaces.as_ref().expect("it replaces one");
    assert_eq!(replaced.rows, 15);
    go_to(&mut world, 40);
    expect(&world, JudgmentKind::Drift, &["05r1 15/15", "05r2 19/19"]);
}

#[test]
fn late_labels_revise_performance_only_and_ask_for_a_run() {
    let mut world = world(|_| {});
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &capture(5..24));
    world.upload("s3://data/labels/2026/01/05/23/a.jsonl", &labels(5..14, 0));
    go_to(&mut world, 27);
    expect(&world, JudgmentKind::Performance, &["05r1 9/9"]);
    assert_eq!(world.pipelines.executions().len(), 1);
    // The last label by event time wins: what came before is corrected, what was missing comes.
    world.upload("s3://data/labels/2026/01/06/04/b.jsonl", &labels(10..24, 8));
    go_to(&mut world, 28);
    expect(&world, JudgmentKind::Performance, &["05r1 9/9", "05r2 19/19"]);
    expect(&world, JudgmentKind::Drift, &["05r1 19/19"]);
    let revised = judged(&world, JudgmentKind::Performance).pop().expect("two");
    assert!(!revised.causes.is_empty(), "{}", revised.reason);
    assert_eq!(world.pipelines.executions().len(), 2, "the revised judgment is what the trigger looks at");
    // An older label that comes later changes nothing.
    world.upload("s3://data/labels/2026/01/05/22/c.jsonl", &labels(10..24, 3));
    go_to(&mut world, 32);
    expect(&world, JudgmentKind::Performance, &["05r1 9/9", "05r2 19/19"]);
}

#[test]
fn labels_may_come_before_their_capture_file() {
    let mut world = world(|_| {});
    world.upload("s3://data/labels/2026/01/05/23/a.jsonl", &labels(5..24, 0));
    go_to(&mut world, 27);
    expect(&world, JudgmentKind::Performance, &[]);
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &capture(5..24));
    go_to(&mut world, 29);
    expect(&world, JudgmentKind::Performance, &["05r2 19/19"]);
}

#[test]
fn duplicates_count_once_wherever_they_stand() {
    let mut world = world(|_| {});
    let twice = [capture(5..24), capture(5..10)].concat();
    world.upload(&format!("{CAPTURE}/05/05/b.jsonl"), &twice);
    world.upload("s3://data/labels/2026/01/05/23/a.jsonl", &labels(5..24, 0));
    world.upload("s3://data/labels/2026/01/05/23/b.jsonl", &labels(5..24, 0));
    go_to(&mut world, 27);
    expect(&world, JudgmentKind::Drift, &["05r1 19/19"]);
    // The same rows under another name, late: no revision, for nothing differs.
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &twice);
    world.upload(&format!("{CAPTURE}/05/05/c.jsonl"), &capture(5..12));
    world.upload("s3://data/labels/2026/01/06/01/c.jsonl", &labels(5..24, 0));
    go_to(&mut world, 30);
    expect(&world, JudgmentKind::Drift, &["05r1 19/19"]);
    expect(&world, JudgmentKind::Performance, &["05r1 19/19"]);
}

#[test]
fn a_file_of_many_days_and_files_out_of_order_end_the_same() {
    let rows = |hours: std::ops::Range<i64>| capture(hours);
    let mut whole = world(|_| {});
    whole.upload("s3://data/capture/upload.jsonl", &rows(5..80));
    let mut parts = world(|_| {});
    for (name, hours) in [("c", 60..80), ("a", 5..30), ("b", 30..60)] {
        parts.upload(&format!("s3://data/capture/{name}.jsonl"), &rows(hours));
    }
    for world in [&mut whole, &mut parts] {
        go_to(world, 80);
        expect(world, JudgmentKind::Drift, &["05r1 19/19", "06r1 24/24", "07r1 24/24"]);
    }
    let data = |world: &MemoryWorld| {
        judged(world, JudgmentKind::Drift).into_iter().map(|it| (it.source.data, it.features)).collect::<Vec<_>>()
    };
    assert_eq!(data(&whole), data(&parts));
}

#[test]
fn an_hour_without_data_is_told() {
    let mut world = world(|_| {});
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &capture((5..24).filter(|it| *it != 12)));
    go_to(&mut world, 27);
    expect(&world, JudgmentKind::Drift, &["05r1 18/18"]);
}

#[test]
fn a_gap_between_windows_is_never_judged() {
    let mut world = world(|it| it.window.size = Span::hours(12));
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &capture(5..60));
    go_to(&mut world, 64);
    expect(&world, JudgmentKind::Drift, &["05r1 7/7", "06r1 12/12", "07r1 12/12"]);
}

#[test]
fn an_empty_file_is_told_once() {
    let mut world = world(|_| {});
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), b"");
    go_to(&mut world, 30);
    assert_eq!(damaged(&world), 1);
    expect(&world, JudgmentKind::Drift, &[]);
}

#[test]
fn a_damaged_file_is_told_once_and_counts_when_it_is_repaired() {
    let mut world = world(|_| {});
    let uri = format!("{CAPTURE}/05/05/a.jsonl");
    world.upload(&uri, b"{");
    // Delivered again, and seen at every check.
    world.send(refit_local::memory::s3_event(&uri.parse().expect("an address")));
    go_to(&mut world, 27);
    assert_eq!(damaged(&world), 1);
    world.upload(&uri, &capture(5..24));
    go_to(&mut world, 28);
    expect(&world, JudgmentKind::Drift, &["05r2 19/19"]);
    // Damaged again: what was taken in stays.
    world.upload(&uri, b"{{");
    go_to(&mut world, 30);
    assert_eq!(damaged(&world), 2);
    expect(&world, JudgmentKind::Drift, &["05r2 19/19"]);
}

#[test]
fn a_damaged_reference_is_told_once() {
    let mut world = world(|_| {});
    let reference = "s3://data/reference/rows.csv".parse().expect("an address");
    world.objects.overwrite(&reference, b"x\n\"1\n2\n").expect("it has a name");
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &capture(5..24));
    go_to(&mut world, 30);
    assert_eq!(damaged(&world), 1);
    expect(&world, JudgmentKind::Drift, &[]);
}

#[test]
fn other_content_at_the_same_address_replaces_what_was_there() {
    let mut world = world(|_| {});
    let uri = format!("{CAPTURE}/05/05/a.jsonl");
    world.upload(&uri, &capture(5..30));
    go_to(&mut world, 27);
    expect(&world, JudgmentKind::Drift, &["05r1 19/19"]);
    world.upload(&uri, &capture(8..20));
    go_to(&mut world, 28);
    expect(&world, JudgmentKind::Drift, &["05r1 19/19", "05r2 12/12"]);
    // The rows of the second day are gone with the old content, and come back with it.
    go_to(&mut world, 52);
    world.upload(&uri, &capture(5..30));
    go_to(&mut world, 53);
    expect(&world, JudgmentKind::Drift, &["05r1 19/19", "05r2 12/12", "05r3 19/19", "06r2 6/6"]);
}

#[test]
fn windows_judged_for_an_earlier_champion_stay_as_they_were() {
    let mut world = world(|_| {});
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &capture(5..20));
    go_to(&mut world, 27);
    promote(&mut world, 2);
    world.upload(&format!("{CAPTURE}/05/20/b.jsonl"), &capture(20..24));
    go_to(&mut world, 30);
    expect(&world, JudgmentKind::Drift, &["05r1 15/15"]);
}

#[test]
fn a_file_whose_event_was_lost_is_found_by_the_next_check() {
    for uri in [format!("{CAPTURE}/05/05/a.jsonl"), "s3://data/capture/rows.jsonl".to_owned()] {
        let mut world = world(|_| {});
        go_to(&mut world, 23);
        world.objects.overwrite(&uri.parse().expect("an address"), &capture(5..24)).expect("it has a name");
        go_to(&mut world, 26);
        expect(&world, JudgmentKind::Drift, &["05r1 19/19"]);
    }
}

#[test]
fn a_day_that_is_over_is_one_object() {
    let mut world = world(|_| {});
    for hour in 5..24 {
        world.upload(&format!("{CAPTURE}/05/{hour:02}/a.jsonl"), &capture([hour]));
    }
    go_to(&mut world, 27);
    expect(&world, JudgmentKind::Drift, &["05r1 19/19"]);
    let model: ModelId = MODEL.parse().expect("a constant name");
    let key = refit_app::documents::extracts_key(&model, "capture", day());
    let item = poll(refit_app::ports::Table::get(&world.table, &key)).unwrap_done().expect("no fault").expect("a list");
    let list: serde_json::Value = serde_json::from_str(&item.body).expect("a document");
    assert_eq!((list["list"].as_array().map(Vec::len), list["revision"].as_u64()), (Some(1), Some(19)));
    // Nothing is read of the raw files any more: without them a revision has the same rows and the late ones.
    for hour in 5..24 {
        let uri = format!("{CAPTURE}/05/{hour:02}/a.jsonl").parse().expect("an address");
        let etag = poll(world.objects.head(&uri)).unwrap_done().expect("it is there").etag;
        poll(world.objects.replace(&uri, b"{", &etag)).unwrap_done().expect("replaced");
    }
    let late = capture([4]);
    world.upload(&format!("{CAPTURE}/05/04/late.jsonl"), &late);
    world.queue.retain(|it| !it.event.to_string().contains("a.jsonl"));
    go_to(&mut world, 28);
    expect(&world, JudgmentKind::Drift, &["05r1 19/19", "05r2 20/20"]);
}

/// The objects that hold the captured rows of the first day, or their profiles.
fn stored(world: &MemoryWorld, ending: &str) -> Vec<ObjectUri> {
    let prefix = format!("s3://state/windows/{MODEL}/2026-01-05/capture/").parse().expect("an address");
    let page = poll(world.objects.list(&prefix, None)).unwrap_done().expect("no fault");
    page.items.into_iter().map(|it| it.uri).filter(|it| it.key().ends_with(ending)).collect()
}

/// Makes the captured rows unreadable.
fn damage_rows(world: &MemoryWorld) {
    let found = stored(world, ".parquet");
    assert_eq!(found.len(), 1);
    for uri in found {
        world.objects.overwrite(&uri, b"{").expect("it has a name");
    }
}

#[test]
fn drift_is_measured_from_profiles_without_reading_rows() {
    let mut world = world(|it| it.triggers.performance = None);
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &capture(5..24));
    world.drain();
    damage_rows(&world);
    go_to(&mut world, 27);
    expect(&world, JudgmentKind::Drift, &["05r1 19/19"]);
}

#[test]
fn rows_make_up_for_profiles_that_are_missing_or_damaged() {
    let judge = |damage: &dyn Fn(&MemoryWorld, &ObjectUri)| {
        let mut world = world(|_| {});
        world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &capture(5..24));
        world.drain();
        let found = stored(&world, ".day.profiles");
        assert_eq!(found.len(), 1);
        damage(&world, &found[0]);
        go_to(&mut world, 27);
        judged(&world, JudgmentKind::Drift).into_iter().map(|it| (it.source, it.features)).collect::<Vec<_>>()
    };
    let whole = judge(&|_, _| {});
    assert_eq!(judge(&|world, uri| drop(poll(world.objects.remove(uri)))), whole);
    assert_eq!(judge(&|world, uri| drop(world.objects.overwrite(uri, b"RFWS????"))), whole);
}

#[test]
fn windows_of_hours_are_sums_of_profiles_of_hours() {
    let half_days = |it: &mut ModelPolicy| {
        it.triggers.performance = None;
        (it.window.size, it.window.hop) = (Span::hours(12), Span::hours(12));
    };
    let mut world = world(half_days);
    world.upload(&format!("{CAPTURE}/05/05/a.jsonl"), &capture(5..24));
    world.drain();
    assert_eq!(stored(&world, ".hour.profiles").len(), 1);
    damage_rows(&world);
    go_to(&mut world, 27);
    expect(&world, JudgmentKind::Drift, &["05r1 7/7", "05r1 12/12"]);
}
