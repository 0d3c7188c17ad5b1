use expect_test::{Expect, expect};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

const AGING: Span = Span::from_const_seconds(3_600);

fn at(minutes: i64) -> Timestamp {
    "2026-01-05T00:00:00Z".parse::<Timestamp>().expect("a constant") + SignedDuration::from_mins(minutes)
}

fn id(name: &str) -> RunId {
    format!("{name}-r0001").parse().expect("a run id")
}

fn entry(priority: Priority, enqueued: i64, ready: i64) -> QueueEntry {
    QueueEntry {
        priority,
        enqueued_at: at(enqueued),
        ready_at: at(ready),
        causes: vec![CauseKind::Manual],
        parked_until: None,
    }
}

fn holder() -> Holder {
    Holder { since: at(0), pipeline: "p".to_owned(), display_name: "x-r0001".to_owned() }
}

fn plan(taken: &[&str], queue: &[(&str, QueueEntry)], now: i64) -> Dispatch {
    let slots = Slots { schema: 1, holders: taken.iter().map(|it| (id(it), holder())).collect() };
    let queue = Queue { schema: 1, entries: queue.iter().map(|(name, it)| (id(name), it.clone())).collect() };
    plan_dispatch(&Fleet { slots: &slots, queue: &queue, concurrent_runs: 2, aging: AGING }, at(now))
}

#[track_caller]
fn check(taken: &[&str], queue: &[(&str, QueueEntry)], now: i64, expected: &Expect) {
    let text = match plan(taken, queue, now) {
        Dispatch::Start(run) => format!("start {run}"),
        Dispatch::WaitForSlot { holders } => {
            let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
            format!("wait for a slot of {}", names.join(", "))
        }
        Dispatch::WaitUntil(time) => format!("wait until {time}"),
        Dispatch::Rest => "rest".to_owned(),
    };
    expected.assert_eq(&text);
}

#[test]
fn the_order_is_priority_then_age_then_name() {
    use Priority::{High, Low, Normal, Urgent};
    check(&[], &[], 0, &expect!["rest"]);
    check(&[], &[("a", entry(Low, 0, 0)), ("b", entry(Urgent, 0, 0))], 0, &expect!["start b-r0001"]);
    check(&[], &[("a", entry(High, 1, 1)), ("b", entry(High, 0, 0))], 2, &expect!["start b-r0001"]);
    check(&[], &[("b", entry(Normal, 0, 0)), ("a", entry(Normal, 0, 0))], 0, &expect!["start a-r0001"]);
}

#[test]
fn waiting_is_worth_a_level_a_step() {
    use Priority::{High, Low, Urgent};
    // Up to the hour the newcomer goes first, at the hour they are level, and the elder goes first.
    check(&[], &[("old", entry(Low, 0, 0)), ("new", entry(High, 119, 119))], 119, &expect!["start new-r0001"]);
    check(&[], &[("old", entry(Low, 0, 0)), ("new", entry(High, 120, 120))], 120, &expect!["start old-r0001"]);
    check(&[], &[("old", entry(Low, 0, 0)), ("new", entry(Urgent, 179, 179))], 179, &expect!["start new-r0001"]);
    check(&[], &[("old", entry(Low, 0, 0)), ("new", entry(Urgent, 180, 180))], 180, &expect!["start old-r0001"]);
}

#[test]
fn whoever_backs_off_or_is_parked_lets_others_pass() {
    use Priority::{Low, Urgent};
    check(&[], &[("a", entry(Urgent, 0, 10)), ("b", entry(Low, 0, 0))], 9, &expect!["start b-r0001"]);
    check(&[], &[("a", entry(Urgent, 0, 10)), ("b", entry(Low, 0, 0))], 10, &expect!["start a-r0001"]);
    check(&[], &[("a", entry(Urgent, 0, 10))], 9, &expect!["wait until 2026-01-05T00:10:00Z"]);
    let parked = QueueEntry { parked_until: Some(at(60)), ..entry(Urgent, 0, 0) };
    check(&[], &[("a", parked.clone()), ("b", entry(Low, 0, 0))], 9, &expect!["start b-r0001"]);
    check(&[], &[("a", parked)], 60, &expect!["start a-r0001"]);
}

#[test]
fn no_more_runs_hold_a_slot_than_there_are() {
    let waiting = [("a", entry(Priority::Urgent, 0, 0))];
    check(&["x"], &waiting, 0, &expect!["start a-r0001"]);
    check(&["x", "y"], &waiting, 0, &expect!["wait for a slot of x-r0001, y-r0001"]);
    // After the number was lowered.
    check(&["x", "y", "z"], &waiting, 0, &expect!["wait for a slot of x-r0001, y-r0001, z-r0001"]);
}

fn arrivals() -> impl Strategy<Value = Vec<(i64, Priority)>> {
    prop::collection::vec((0..1_000_i64, prop::sample::select(Priority::ALL.to_vec())), 1..60)
}

proptest! {
    /// Whatever arrives, only runs that were queued less than four aging steps after another can go before it: so each waits
    /// at most for those, and there is no starvation.
    #[test]
    fn nobody_is_overtaken_by_whoever_came_four_steps_later(arrivals in arrivals(), now in 0..3_000_i64) {
        let mut entries: BTreeMap<RunId, QueueEntry> = arrivals
            .iter()
            .enumerate()
            .filter(|(_, (ready, _))| *ready <= now)
            .map(|(index, (ready, priority))| (id(&format!("m{index}")), entry(*priority, *ready, *ready)))
            .collect();
        let slots = Slots::default();
        while !entries.is_empty() {
            let queue = Queue { schema: 1, entries: entries.clone() };
            let fleet = Fleet { slots: &slots, queue: &queue, concurrent_runs: 1, aging: AGING };
            let Dispatch::Start(next) = plan_dispatch(&fleet, at(now)) else {
                return Err(TestCaseError::fail("somebody is ready and a slot is free"));
            };
            prop_assert_eq!(&plan_dispatch(&fleet, at(now)), &Dispatch::Start(next.clone()), "the same twice");
            let chosen = entries.remove(&next).expect("it was in the queue");
            for (other, passed) in &entries {
                prop_assert!(
                    chosen.enqueued_at < Span::hours(4).after(passed.enqueued_at),
                    "{} went before {} which was queued four steps earlier", next, other
                );
            }
        }
    }

    /// A run of the lowest priority against an endless stream of urgent ones, one slot, one start each `takes` minutes: it
    /// starts once those that came within three steps are through.
    #[test]
    fn a_low_run_starts_in_bounded_time_whatever_arrives(every in 1..30_i64, takes in 1..30_i64) {
        let low = id("low");
        let mut queue = Queue { schema: 1, entries: BTreeMap::from([(low.clone(), entry(Priority::Low, 0, 0))]) };
        let slots = Slots::default();
        let (mut arrived, mut started) = (0, 0);
        for now in 0..100_000_i64 {
            if now % every == 0 {
                arrived += 1;
                queue.entries.insert(id(&format!("u{arrived}")), entry(Priority::Urgent, now, now));
            }
            if now % takes != 0 {
                continue;
            }
            let fleet = Fleet { slots: &slots, queue: &queue, concurrent_runs: 1, aging: AGING };
            if let Dispatch::Start(next) = plan_dispatch(&fleet, at(now)) {
                if next == low {
                    // At most the urgent ones of three hours, and the one that came first in that very minute.
                    prop_assert!(started <= 3 * 60 / every + 1, "{} went before it", started);
                    return Ok(());
                }
                queue.entries.remove(&next);
                started += 1;
            }
        }
        prop_assert!(false, "it never started");
    }
}
