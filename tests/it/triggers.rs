//! Triggers and guards as a whole: what asks for a run is held back, is not forgotten, and fires once.

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::Clock;
use refit_app::queries::list_runs;
use refit_core::ModelId;
use refit_core::policy::{
    AlarmPolicy, BudgetPolicy, Cron, EventPolicy, Freeze, LoopBreaker, ModelPolicy, Span, VolumeLimit, VolumePolicy,
};
use refit_core::run::Run;
use refit_core::trigger::CauseKind;
use refit_data::{CaptureLine, write_capture_line};
use refit_handlers::Function;
use refit_local::memory::{Delivered, Ending, MODEL, MemoryWorld, Outputs, Promotion, policy, poll};
use serde_json::{Value, json};

use super::support::worlds::{ask, beginning, finish, promote, trigger};

const ALARM: &str = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:slow";

/// A world with champion 1, whose run was requested at 3 o'clock on 5 January; it is checked every hour.
fn world(change: impl FnOnce(&mut ModelPolicy)) -> MemoryWorld {
    let mut world = MemoryWorld::new(beginning());
    let mut policy = policy(Promotion::Manual);
    let model = &mut policy.models[0];
    model.triggers.check_every = Span::hours(1);
    model.triggers.events = vec![EventPolicy {
        source: "shop".to_owned(),
        detail_type: "Season Changed".to_owned(),
        reason: "other goods".to_owned(),
    }];
    model.triggers.alarms = vec![AlarmPolicy { arn: ALARM.to_owned(), reason: "slow answers".to_owned() }];
    change(model);
    world.apply_policy(&policy, beginning()).unwrap_done().expect("nothing fails");
    world.drain();
    promote(&mut world, 1);
    world
}

/// Sweeps every half hour until `time`.
fn go_to(world: &mut MemoryWorld, time: &str) {
    let time: Timestamp = time.parse().expect("a constant time");
    while world.clock.now() < time {
        world.sweep_after(SignedDuration::from_mins(30));
    }
    assert_eq!(world.dead_letters, [""; 0]);
}

/// Hands in an event; what was answered.
fn hear(world: &mut MemoryWorld, event: &Value) -> (String, String) {
    match world.call(Function::CheckTriggers, event) {
        Delivered::Answered(response) => {
            world.drain();
            (response.outcome.to_owned(), response.reason.unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

fn suspend(id: &str) -> Value {
    json!({ "kind": "suspend", "id": id, "model": MODEL, "actor": "cyd", "reason": "stocktaking" })
}

fn resume(id: &str) -> Value {
    json!({ "kind": "resume", "id": id, "model": MODEL, "actor": "cyd" })
}

fn season(id: &str) -> Value {
    json!({ "source": "shop", "detail-type": "Season Changed", "id": id, "detail": {} })
}

fn alarm(arn: &str, changed_at: &str, state: &str) -> Value {
    json!({ "AlarmName": "slow", "AlarmArn": arn, "NewStateValue": state, "StateChangeTime": changed_at })
}

/// The runs after the champion's.
fn later_runs(world: &MemoryWorld) -> Vec<Run> {
    let model: ModelId = MODEL.parse().expect("a constant name");
    poll(list_runs(&world.table, &model)).unwrap_done().expect("runs").into_iter().skip(1).collect()
}

/// When each run after the champion's was requested, and what for.
fn requested(world: &MemoryWorld) -> Vec<(String, Vec<CauseKind>)> {
    let told = |run: &Run| (run.requested_at.to_string(), run.causes.iter().map(|it| it.kind).collect());
    later_runs(world).iter().map(told).collect()
}

fn fail(world: &mut MemoryWorld) {
    finish(world, &Ending::Failed("AlgorithmError: it is a test".to_owned()));
    world.drain();
}

#[track_caller]
fn check_fired(world: &MemoryWorld, expected: &[(&str, CauseKind)]) {
    let expected: Vec<_> = expected.iter().map(|(at, kind)| ((*at).to_owned(), vec![*kind])).collect();
    assert_eq!(requested(world), expected);
}

#[test]
fn what_the_budget_held_back_fires_in_the_next_month() {
    let mut world = world(|it| it.triggers.budget = Some(BudgetPolicy { runs_per_month: 2 }));
    hear(&mut world, &season("1"));
    fail(&mut world);
    check_fired(&world, &[("2026-01-05T03:00:00Z", CauseKind::Event)]);
    hear(&mut world, &season("2"));
    go_to(&mut world, "2026-01-31T23:30:00Z");
    assert_eq!(later_runs(&world).len(), 1, "two runs were requested in January");
    go_to(&mut world, "2026-02-01T02:00:00Z");
    let fired = requested(&world);
    assert_eq!(fired.len(), 2, "{fired:?}");
    assert!(fired[1].0.starts_with("2026-02-01T0"), "{fired:?}");
    fail(&mut world);
    go_to(&mut world, "2026-02-05T00:00:00Z");
    assert_eq!(later_runs(&world).len(), 2, "an event fires once");
}

#[test]
fn what_a_freeze_held_back_fires_after_its_last_date() {
    let date = |it: &str| it.parse().expect("a constant date");
    let mut world = world(|it| it.triggers.freeze = vec![Freeze { from: date("2026-01-06"), to: date("2026-01-07") }]);
    go_to(&mut world, "2026-01-06T00:00:00Z");
    hear(&mut world, &season("1"));
    go_to(&mut world, "2026-01-07T23:30:00Z");
    check_fired(&world, &[]);
    go_to(&mut world, "2026-01-08T02:00:00Z");
    check_fired(&world, &[("2026-01-08T00:00:00Z", CauseKind::Event)]);
}

#[test]
fn the_loop_breaker_stops_triggers_and_no_person_and_a_resume_lets_them_go_on() {
    let mut world = world(|it| it.triggers.loop_breaker = Some(LoopBreaker { rejections: 2 }));
    for id in ["1", "2"] {
        world.clock.advance(SignedDuration::from_hours(2));
        hear(&mut world, &season(id));
        finish(&mut world, &Ending::Succeeded(Outputs::of_errors(20.0, 9.0)));
        world.drain();
    }
    hear(&mut world, &season("3"));
    go_to(&mut world, "2026-01-08T00:00:00Z");
    assert_eq!(later_runs(&world).len(), 2, "two candidates in a row were rejected");
    ask(&mut world, Function::CheckTriggers, &resume("r"));
    go_to(&mut world, "2026-01-08T02:00:00Z");
    let fired = requested(&world);
    assert_eq!((fired.len(), &fired[2].1), (3, &vec![CauseKind::Event]), "{fired:?}");
    finish(&mut world, &Ending::Succeeded(Outputs::of_errors(20.0, 9.0)));
    world.drain();
    world.clock.advance(SignedDuration::from_hours(2));
    ask(&mut world, Function::CheckTriggers, &trigger("by hand"));
    assert_eq!(later_runs(&world).len(), 4, "a person is not stopped");
}

#[test]
fn what_came_while_triggers_were_suspended_fires_once_they_are_resumed() {
    let mut world = world(|_| {});
    ask(&mut world, Function::CheckTriggers, &suspend("s"));
    hear(&mut world, &season("1"));
    go_to(&mut world, "2026-01-06T00:00:00Z");
    check_fired(&world, &[]);
    ask(&mut world, Function::CheckTriggers, &resume("r"));
    go_to(&mut world, "2026-01-06T02:00:00Z");
    assert_eq!(requested(&world).len(), 1);
    fail(&mut world);
    go_to(&mut world, "2026-01-08T00:00:00Z");
    assert_eq!(requested(&world).len(), 1, "it fires once");
}

#[test]
fn an_alarm_that_the_policy_names_asks_for_one_run_and_others_for_none() {
    let mut world = world(|_| {});
    let (outcome, why) =
        hear(&mut world, &alarm(&ALARM.replace("slow", "else"), "2026-01-05T04:00:00.000+0000", "ALARM"));
    assert_eq!((outcome.as_str(), why.as_str()), ("ignored", "no model's policy listens to it"));
    assert_eq!(hear(&mut world, &alarm(ALARM, "2026-01-05T04:00:00.000+0000", "OK")).0, "ignored");
    check_fired(&world, &[]);
    let gone_off = alarm(ALARM, "2026-01-05T05:00:00.000+0000", "ALARM");
    assert_eq!(hear(&mut world, &gone_off).0, "done");
    check_fired(&world, &[("2026-01-05T03:00:00Z", CauseKind::Alarm)]);
    let reason = later_runs(&world)[0].causes[0].reason.clone();
    assert!(reason.contains("slow answers"), "{reason}");
    fail(&mut world);
    hear(&mut world, &gone_off);
    go_to(&mut world, "2026-01-06T00:00:00Z");
    assert_eq!(requested(&world).len(), 1, "the same change of state counts once");
    hear(&mut world, &alarm(ALARM, "2026-01-06T05:00:00.000+0000", "ALARM"));
    assert_eq!(requested(&world).len(), 2, "another one counts again");
}

#[test]
fn so_many_predictions_ask_for_a_run() {
    let limit =
        VolumePolicy { min_predictions: None, max_predictions: Some(VolumeLimit::Fixed(20)), new_records: None };
    let mut world = world(|it| {
        it.triggers.volume = Some(limit);
        // All the rows are alike, which is not what is asked here.
        it.triggers.drift = None;
    });
    let upload = |world: &mut MemoryWorld, name: &str, hours: std::ops::Range<i64>| {
        let line = |hour: i64| {
            let at = Span::hours(hour).after(beginning()).as_microsecond() + 60_000_000;
            let id = format!("e{hour}");
            write_capture_line(&CaptureLine {
                event_id: &id,
                inference_id: Some(&id),
                time_micros: at,
                input: "{\"x\":1}",
                output: "{\"score\":100}",
            })
        };
        let rows: String = hours.map(line).collect();
        world.upload(&format!("s3://data/capture/m/champion/2026/01/05/{name}.jsonl"), rows.as_bytes());
        world.drain();
    };
    go_to(&mut world, "2026-01-06T00:00:00Z");
    upload(&mut world, "a", 1..20);
    go_to(&mut world, "2026-01-06T03:00:00Z");
    check_fired(&world, &[]);
    upload(&mut world, "b", 20..21);
    go_to(&mut world, "2026-01-06T06:00:00Z");
    let fired = requested(&world);
    assert_eq!((fired.len(), &fired[0].1), (1, &vec![CauseKind::PredictionVolume]), "{fired:?}");
    fail(&mut world);
    go_to(&mut world, "2026-01-07T06:00:00Z");
    assert_eq!(requested(&world).len(), 1, "they are counted from the last run on");
}

#[test]
fn a_scheduled_time_that_the_cooldown_held_back_fires_once_afterwards() {
    let mut world = world(|it| {
        it.triggers.schedule = Some("cron(0 6 * * ? *)".parse::<Cron>().expect("a constant schedule"));
        it.triggers.cooldown = Span::hours(12);
    });
    go_to(&mut world, "2026-01-05T14:30:00Z");
    check_fired(&world, &[]);
    go_to(&mut world, "2026-01-05T16:00:00Z");
    check_fired(&world, &[("2026-01-05T15:00:00Z", CauseKind::Schedule)]);
    fail(&mut world);
    go_to(&mut world, "2026-01-06T05:30:00Z");
    assert_eq!(requested(&world).len(), 1, "it fires once");
    go_to(&mut world, "2026-01-06T06:30:00Z");
    check_fired(
        &world,
        &[("2026-01-05T15:00:00Z", CauseKind::Schedule), ("2026-01-06T06:00:00Z", CauseKind::Schedule)],
    );
}
