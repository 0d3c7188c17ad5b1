//! A share of what `make sim` plays: schedules of faults against the real core, use cases and handlers.

use refit_local::sim::{CHECKS, Mask, Progress, Seeds, Tally, play, play_any_state, play_many, play_twice, shrink};

/// Seeds that are played at each commit; `make sim` plays others, new ones each time.
const FIXED: u64 = 100;
/// Seeds that found something, in the version of the simulator of that time.
const FOUND: [u64; 3] = [856, 1157, 1348];
/// Damaged tables.
const DAMAGED: u64 = 60;

#[track_caller]
fn check(name: &str, first: u64, count: u64, run: fn(Seeds, Progress<'_>) -> Tally) {
    let tally = run(Seeds { first, count, threads: 2, enough: 3 }, &|_| {});
    println!("{name}: {} schedules from seed {first} on, {} calls", tally.stats.schedules, tally.stats.calls);
    assert!(tally.violations.is_empty(), "{:#?}\nrefit-sim replay SEED shows what it needs", tally.violations);
    assert!(count < tally.stats.calls, "schedules do something");
}

#[test]
fn no_schedule_of_faults_breaks_an_invariant() {
    check("fixed", 1, FIXED, play_many);
}

#[test]
fn what_was_found_stays_mended() {
    for seed in FOUND {
        check("found", seed, 1, play_many);
    }
}

#[test]
fn damaged_tables_come_to_rest() {
    let tally = play_any_state(Seeds { first: 1, count: DAMAGED, threads: 2, enough: 3 }, &|_| {});
    println!("damaged: {} tables, {} parked", tally.stats.schedules, tally.stats.parked);
    assert!(tally.violations.is_empty(), "{:#?}\nrefit-sim any-state --replay SEED shows one", tally.violations);
    assert!(DAMAGED / 10 < tally.stats.parked, "some damage has to be noticed");
}

#[test]
fn a_seed_says_everything() {
    check("twice", 1_000_000, 10, play_twice);
}

#[test]
fn a_step_that_is_left_out_changes_nothing_that_is_drawn_elsewhere() {
    let whole = play(7, &Mask::default());
    let mask = Mask { steps: [whole.steps + 1].into(), faults: [(whole.steps + 1, 1)].into() };
    assert_eq!(play(7, &mask), whole);
    assert_eq!(shrink(&whole), Mask::default(), "nothing failed");
}

#[test]
fn invariants_have_one_name_each() {
    let mut names: Vec<&str> = CHECKS.iter().map(|it| it.id).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CHECKS.len());
    assert!(CHECKS.iter().all(|it| !it.sentence.is_empty()));
}
