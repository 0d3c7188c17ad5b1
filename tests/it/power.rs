//! Whether the simulator would notice: each invariant has a check and a guard, and a guard that is taken away is missed.

use std::collections::BTreeSet;
use std::fs;
use std::task::{Context, Waker};

use refit_core::{Guard, plant};
use refit_handlers::{Function, handle};
use refit_local::memory::faults::{At, Calm, Fault, Faults};
use refit_local::memory::{Ending, MemoryWorld};
use refit_local::sim::base::{base, trigger};
use refit_local::sim::checks::Asked;
use refit_local::sim::power::{is_about_damage, play_without};
use refit_local::sim::{CHECKS, Mask, Recorder, Seeds, Violation, play, play_any_state};
use serde_json::json;

/// The invariants of RELIABILITY section 1.2, but for those that concern traffic: R2, D1 to D3, B1.
const INVARIANTS: [&str; 32] = [
    "P1", "P2", "P3", "P4", "P5", "P6", "R1", "R3", "L1", "L2", "L3", "L4", "L5", "E1", "E2", "E3", "E4", "E5", "T1",
    "T2", "T3", "U1", "U2", "U3", "A1", "A2", "A3", "C1", "I1", "I2", "I3", "I4",
];
/// The last of them, which is about damaged tables.
const ANY_STATE: &str = "X1";

/// A fleet with a slot for each of its two models.
const ROOMY_FLEET: u64 = 6;

#[test]
fn every_invariant_has_a_check_and_a_guard() {
    let all: BTreeSet<&str> = INVARIANTS.into_iter().chain([ANY_STATE]).collect();
    let checked: BTreeSet<&str> = CHECKS.iter().map(|it| it.id).collect();
    let guarded: BTreeSet<&str> = Guard::ALL.iter().map(|it| it.invariant()).collect();
    assert_eq!(checked, all);
    assert_eq!(guarded, all);
}

#[test]
fn every_guard_is_written_down_with_what_it_took() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/simulator.md");
    let text = fs::read_to_string(root).expect("docs/simulator.md");
    for guard in Guard::ALL {
        let row = format!("| {} | {} |", guard.invariant(), guard.name());
        assert!(text.contains(&row), "docs/simulator.md has no row `{row}`");
    }
}

#[test]
fn guards_are_taken_away_only_where_a_build_asks_for_it() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for (path, expected) in [
        ("Cargo.toml", 0),
        ("crates/core/Cargo.toml", 1),
        ("crates/app/Cargo.toml", 0),
        ("crates/handlers/Cargo.toml", 0),
        ("crates/local/Cargo.toml", 2),
        ("crates/cli/Cargo.toml", 0),
    ] {
        let text = fs::read_to_string(format!("{root}/{path}")).expect(path);
        assert_eq!(text.matches("planted-bugs").count(), expected, "{path}");
        assert!(!text.contains("default = ["), "{path} has default features");
    }
}

/// How many seeds are tried besides: enough for each of them, and a change of what is drawn needs no new seeds.
const TRIED: u64 = 300;
/// Guards whose loss is noticed soon, each with a seed that noticed it when it was written down: it is tried first. The rest:
/// `refit-sim power`.
const NOTICED: [(Guard, u64); 65] = [
    (Guard::OldChampionRetires, 3),
    (Guard::ServeBeforePromotion, 3),
    (Guard::ArchiveAsEvaluated, 14),
    (Guard::ComparedChampion, 73),
    (Guard::GatesDecide, 16),
    (Guard::DeclineOutweighs, 6),
    (Guard::QuorumCounts, 37),
    (Guard::VoteExpires, 4),
    (Guard::VoteBasis, 3),
    (Guard::VoteOnce, 543),
    (Guard::OwnRunRefused, 5),
    (Guard::AutoAsked, 3),
    (Guard::AutoBarMet, 4),
    (Guard::FreezeHeeded, 37),
    (Guard::RollbackFreezes, 37),
    (Guard::StaleRefused, 2),
    (Guard::KeepsReferenced, 14),
    (Guard::CleansWhenIdle, 44),
    (Guard::RemovedNotPromoted, 39),
    (Guard::PreviousChampionKept, 25),
    (Guard::RollbackServes, 1),
    (Guard::RollbackFromChampion, 14),
    (Guard::EndpointRepaired, 74),
    (Guard::RollbackReadsLittle, 8),
    (Guard::SweepRollsBackFirst, 18),
    (Guard::RollbackOnce, 20),
    (Guard::OneActiveRun, 3),
    (Guard::SlotLimit, 3),
    (Guard::SlotTaken, 3),
    (Guard::SlotFreed, 3),
    (Guard::QueueLeft, 3),
    (Guard::SweepWakesRuns, 18),
    (Guard::SlotsReclaimed, 34),
    (Guard::TimeoutStops, 30),
    (Guard::SlotThroughStopping, 15),
    (Guard::StopAwaited, 15),
    (Guard::UnknownAwaited, 98),
    (Guard::SlotHeldToTheEnd, 44),
    (Guard::RequestMarked, 101),
    (Guard::ServiceDecides, 3),
    (Guard::RetryIsAnotherRun, 135),
    (Guard::LookAtRuns, 18),
    (Guard::LookSet, 1),
    (Guard::OwnSource, 51),
    (Guard::ExecutionOfRun, 121),
    (Guard::StartKeyOfRun, 3),
    (Guard::RequestFrozen, 53),
    (Guard::RequestUnchanged, 246),
    (Guard::Cooldown, 11),
    (Guard::AuditedInOneTransaction, 1),
    (Guard::EntriesChained, 1),
    (Guard::ChangesStored, 3),
    (Guard::CursorAfterPublish, 14),
    (Guard::PeopleToldFirst, 37),
    (Guard::SweepPublishes, 22),
    (Guard::NoticeFirst, 3),
    (Guard::ToldOnce, 823),
    (Guard::PolicyStoredFirst, 1),
    (Guard::ImpossibleRefused, 145),
    (Guard::DamageFound, 21),
    (Guard::TriesBounded, 14),
    (Guard::PlaceNamed, 26),
    (Guard::DamagedLeftOut, 4589),
    (Guard::DamageTold, 3),
    (Guard::ChampionUnchanged, 768),
];

#[test]
fn a_guard_that_is_taken_away_is_missed() {
    for (guard, seed) in NOTICED {
        let name = guard.name();
        let noticed = std::iter::once(seed).chain(1..=TRIED).find_map(|seed| {
            let violation = play_without(guard, seed).violation?;
            let whole = if is_about_damage(guard) {
                play_any_state(Seeds { first: seed, count: 1, threads: 1, enough: 1 }, &|_| {}).violations
            } else {
                play(seed, &Mask::default()).violation.map(|it| (seed, it)).into_iter().collect()
            };
            assert_eq!(whole, [], "{name}: seed {seed} breaks something with every guard in place");
            Some((seed, violation))
        });
        println!("{name}: {noticed:?}");
        assert!(noticed.is_some(), "{name} is away, and none of {TRIED} seeds notices: refit-sim power {name}");
    }
}

/// Two models run at the same time; while a worker that frees the first one's slot is frozen at a call, the second takes one.
fn race_for_slots(index: u64) -> (bool, Option<Violation>) {
    let base = base(ROOMY_FLEET);
    let mut world = MemoryWorld::at(&base.world);
    let recorder = Recorder::watch(&mut world);
    let mut checker = base.checker.clone();
    let mut ask = |world: &mut MemoryWorld, id: &str, model: &str| {
        checker.ask(id, Asked { is_forced: true, ..Asked::default() });
        let _ = world.call(Function::CheckTriggers, &trigger(id, model, "ann", true));
        world.drain();
    };
    ask(&mut world, "t1", "m1");
    let open = world.pipelines.open();
    world.pipelines.finish(&open[0], &Ending::Failed("out of luck".to_owned())).expect("it is under way");
    let _ = world.pipelines.take_events();
    world.set_faults(Faults::new(At { index, fault: Fault::Pause }));
    let context = world.context();
    let event = json!({ "source": "refit", "detail-type": "Wake Up",
                        "detail": { "model": "m1", "function": "evaluate-candidate" } });
    let mut frozen = Box::pin(async move { handle(Function::EvaluateCandidate, &context, &event).await });
    let mut go_on = || frozen.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    let is_done = go_on();
    world.set_faults(Faults::new(Calm));
    ask(&mut world, "t2", "m2");
    assert!(is_done || go_on(), "it goes on to its end");
    (is_done, checker.check(&world, &recorder.take()).err())
}

#[test]
fn slots_that_are_not_written_as_they_were_read_are_missed() {
    let mut missed = 0;
    for index in 1.. {
        let (is_done, violation) = race_for_slots(index);
        assert_eq!(violation, None, "frozen at call {index}");
        if is_done {
            break;
        }
        plant(Some(Guard::SlotsConditional));
        let violation = race_for_slots(index).1;
        plant(None);
        missed += u32::from(violation.is_some());
    }
    assert!(0 < missed, "the second model's slot was not forgotten");
}
