//! Whether the simulator would notice: each invariant has a check and a guard, and a guard that is taken away is missed.

use std::collections::BTreeSet;
use std::fs;

use refit_core::Guard;
use refit_local::sim::power::{is_about_damage, play_without};
use refit_local::sim::{CHECKS, Mask, Seeds, play, play_any_state};

/// The invariants of RELIABILITY section 1.2, but for those that concern traffic: R2, D1 to D3, B1.
const INVARIANTS: [&str; 32] = [
    "P1", "P2", "P3", "P4", "P5", "P6", "R1", "R3", "L1", "L2", "L3", "L4", "L5", "E1", "E2", "E3", "E4", "E5", "T1",
    "T2", "T3", "U1", "U2", "U3", "A1", "A2", "A3", "C1", "I1", "I2", "I3", "I4",
];
/// The last of them, which is about damaged tables.
const ANY_STATE: &str = "X1";

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
const NOTICED: [(Guard, u64); 64] = [
    (Guard::OldChampionRetires, 13),
    (Guard::ServeBeforePromotion, 3),
    (Guard::ArchiveAsEvaluated, 14),
    (Guard::ComparedChampion, 282),
    (Guard::GatesDecide, 10),
    (Guard::DeclineOutweighs, 53),
    (Guard::QuorumCounts, 50),
    (Guard::VoteExpires, 15),
    (Guard::VoteBasis, 45),
    (Guard::VoteOnce, 54),
    (Guard::OwnRunRefused, 6),
    (Guard::AutoAsked, 9),
    (Guard::AutoBarMet, 20),
    (Guard::FreezeHeeded, 160),
    (Guard::RollbackFreezes, 160),
    (Guard::StaleRefused, 25),
    (Guard::KeepsReferenced, 16),
    (Guard::CleansWhenIdle, 13),
    (Guard::RemovedNotPromoted, 181),
    (Guard::PreviousChampionKept, 181),
    (Guard::RollbackServes, 1),
    (Guard::RollbackFromChampion, 24),
    (Guard::EndpointRepaired, 10),
    (Guard::RollbackReadsLittle, 18),
    (Guard::SweepRollsBackFirst, 140),
    (Guard::RollbackOnce, 3),
    (Guard::OneActiveRun, 7),
    (Guard::SlotLimit, 16),
    (Guard::SlotTaken, 2),
    (Guard::SlotFreed, 3),
    (Guard::QueueLeft, 2),
    (Guard::SweepWakesRuns, 7),
    (Guard::SlotsReclaimed, 57),
    (Guard::TimeoutStops, 7),
    (Guard::SlotThroughStopping, 7),
    (Guard::StopAwaited, 7),
    (Guard::UnknownAwaited, 94),
    (Guard::SlotHeldToTheEnd, 44),
    (Guard::RequestMarked, 181),
    (Guard::ServiceDecides, 2),
    (Guard::RetryIsAnotherRun, 135),
    (Guard::LookAtRuns, 171),
    (Guard::LookSet, 140),
    (Guard::OwnSource, 53),
    (Guard::ExecutionOfRun, 147),
    (Guard::StartKeyOfRun, 2),
    (Guard::RequestFrozen, 114),
    (Guard::RequestUnchanged, 306),
    (Guard::Cooldown, 10),
    (Guard::AuditedInOneTransaction, 1),
    (Guard::EntriesChained, 1),
    (Guard::ChangesStored, 3),
    (Guard::CursorAfterPublish, 3),
    (Guard::PeopleToldFirst, 125),
    (Guard::SweepPublishes, 13),
    (Guard::NoticeFirst, 3),
    (Guard::ToldOnce, 3),
    (Guard::PolicyStoredFirst, 2),
    (Guard::ImpossibleRefused, 89),
    (Guard::DamageFound, 21),
    (Guard::TriesBounded, 29),
    (Guard::PlaceNamed, 5),
    (Guard::DamagedLeftOut, 36),
    (Guard::DamageTold, 3),
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
