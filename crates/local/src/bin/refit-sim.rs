//! `refit-sim`: plays schedules of faults against the real core, use cases and handlers.

#[path = "refit-sim/pairs.rs"]
mod pairs;

use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use refit_local::sim::{
    CHECKS, Ended, FleetSize, FleetYear, Mask, Progress, Seeds, Tally, play, play_any_state, play_any_state_traced,
    play_fleet, play_many, play_traced, play_twice, shrink,
};

#[cfg(feature = "fast-alloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
refit-sim: the real core, use cases and handlers under every fault, by seed

  refit-sim random [--n N] [--seed S] [--threads T]   N schedules from seed S on (default: 10000, a new seed, 2)
  refit-sim twice  [--n N] [--seed S] [--threads T]   each schedule twice: the same trace (default: 1000)
  refit-sim replay SEED [--full]                      one schedule, with what its failure needs (all of it: --full)
  refit-sim fleet  [--models M] [--days D] [--slots S] a fleet, checked daily (default: 1000 models, 365 days, 3 slots)
  refit-sim any-state [--n N] [--seed S] [--threads T] damaged tables: rest or an alert within 50 sweeps (default: 10000)
  refit-sim any-state --replay SEED                   one of them
  refit-sim power  [--n N] [--starts K] [GUARD...]    takes each guard of the code away and counts the schedules until
                                                      it is noticed, at most N (default: 100000), from each of K seeds
                                                      on (default: 5); needs a build with --features planted-bugs
  refit-sim rates  [--n N] [--seed S] [GUARD...]      plays N histories without each guard (default: 1000) and counts
                                                      those that notice; needs the same build
  refit-sim replay SEED --without GUARD               one such schedule; with any-state --replay, too
  refit-sim pairs  [--workflow NAME] [--singles] [--threads T]
                                                      every fault at every call of every workflow, and every ordered
                                                      pair of them; no sample, so that it may take long
  refit-sim pairs  --workflow NAME --at CALL:FAULT[,CALL:FAULT]
                                                      one such history, call by call
  refit-sim checks                                    the invariants

Exits with 0 when every invariant held, 1 when one was broken, 2 when it was called wrongly.
";

/// What was asked for.
struct Arguments {
    command: String,
    n: Option<u64>,
    seed: Option<u64>,
    threads: usize,
    is_full: bool,
    models: Option<u64>,
    days: Option<u64>,
    slots: Option<u64>,
    starts: Option<u64>,
    without: Option<String>,
    is_replay: bool,
    rest: Vec<String>,
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut found = Arguments {
        command: String::new(),
        n: None,
        seed: None,
        threads: 2,
        is_full: false,
        models: None,
        days: None,
        slots: None,
        starts: None,
        without: None,
        is_replay: false,
        rest: Vec::new(),
    };
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let mut number = |name: &str| {
            let text = arguments.next().ok_or_else(|| format!("{name} needs a number"))?;
            parse_number(&text).ok_or_else(|| format!("{name} needs a number, not `{text}`"))
        };
        match argument.as_str() {
            "--n" => found.n = Some(number("--n")?),
            "--seed" => found.seed = Some(number("--seed")?),
            "--threads" => found.threads = usize::try_from(number("--threads")?).unwrap_or(1).clamp(1, 256),
            "--full" => found.is_full = true,
            "--models" => found.models = Some(number("--models")?),
            "--days" => found.days = Some(number("--days")?),
            "--slots" => found.slots = Some(number("--slots")?),
            "--starts" => found.starts = Some(number("--starts")?),
            "--without" => found.without = Some(arguments.next().ok_or("--without needs a guard")?),
            "--replay" => {
                found.is_replay = true;
                found.rest.push(number("--replay")?.to_string());
            }
            "--help" | "-h" => found.command = "help".to_owned(),
            other if other.starts_with('-') => return Err(format!("`{other}` is not known")),
            other if found.command.is_empty() => found.command = other.to_owned(),
            other => found.rest.push(other.to_owned()),
        }
    }
    Ok(found)
}

/// A seed may be written as it is printed, in hexadecimal with `0x`, or in decimal.
fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.replace('_', "").parse().ok(),
    }
}

fn main() -> ExitCode {
    // A panic is a violation, and is reported as one.
    std::panic::set_hook(Box::new(|_| {}));
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some("pairs") {
        return pairs::run(words).unwrap_or_else(|why| wrong(&why));
    }
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => return wrong(&why),
    };
    if let Some(name) = &arguments.without
        && let Err(why) = take_away(name)
    {
        return wrong(&why);
    }
    match arguments.command.as_str() {
        "any-state" if arguments.is_replay => replay_any_state(&arguments),
        _ if arguments.is_replay => replay(&arguments),
        "random" => many(&arguments, 10_000, "random", play_many),
        "twice" => many(&arguments, 1_000, "twice", play_twice),
        "any-state" => many(&arguments, 10_000, "any-state", play_any_state),
        "replay" => replay(&arguments),
        "fleet" => fleet(&arguments),
        #[cfg(feature = "planted-bugs")]
        "power" => power(&arguments),
        #[cfg(feature = "planted-bugs")]
        "rates" => rates(&arguments),
        #[cfg(not(feature = "planted-bugs"))]
        "power" => wrong("power needs a build with --features planted-bugs: every other build keeps its guards"),
        "checks" => {
            for check in CHECKS {
                println!("{:<3} {}", check.id, check.sentence);
            }
            ExitCode::SUCCESS
        }
        "help" | "" => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        other => wrong(&format!("`{other}` is not a command")),
    }
}

fn wrong(why: &str) -> ExitCode {
    eprintln!("refit-sim: {why}\n\n{HELP}");
    ExitCode::from(2)
}

/// A seed that was not used before: any new one serves, and it is printed.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros() & 0xffff_ffff_ffff).unwrap_or(0) << 12
}

fn many(arguments: &Arguments, default: u64, name: &str, run: fn(Seeds, Progress<'_>) -> Tally) -> ExitCode {
    let count = arguments.n.unwrap_or(default);
    let first = arguments.seed.unwrap_or_else(fresh_seed);
    let seeds = Seeds { first, count, threads: arguments.threads, enough: 10 };
    eprintln!("{name}: {count} schedules from seed {first} on, {} threads", arguments.threads);
    let begun = Instant::now();
    let step = (count / 20).max(1);
    let tally = run(seeds, &|done| {
        if done % step == 0 {
            let rate = done as f64 / begun.elapsed().as_secs_f64().max(0.001);
            eprintln!("{name}: {done} of {count}, {rate:.0}/s");
        }
    });
    print_tally(name, &tally, begun.elapsed().as_secs_f64());
    for (seed, violation) in tally.violations.iter().take(3) {
        println!("\nseed {seed}: {violation}");
        if name == "any-state" {
            print_ended(&play_any_state_traced(*seed));
        } else {
            print_minimal(*seed);
        }
    }
    if tally.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_tally(name: &str, tally: &Tally, seconds: f64) {
    let stats = &tally.stats;
    let rate = |count: u64| count as f64 / seconds.max(0.001);
    // Beside other work the wall clock says little.
    let used = user_seconds().filter(|it| 0.0 < *it);
    let used = used.map_or_else(String::new, |it| {
        format!("; {it:.1} s of a processor, {:.0}/s of it", stats.schedules as f64 / it)
    });
    println!("{name}: {} schedules in {seconds:.1} s, {:.0}/s{used}", stats.schedules, rate(stats.schedules));
    println!("  port calls    {:>12}, of which {} before faults stop", stats.calls, stats.calls_with_faults);
    println!("  transactions  {:>12}", stats.transactions);
    println!("  calls at once {:>12} at most", stats.most_calls);
    println!("  faults        {:>12}", stats.all_faults());
    for (kind, count) in stats.by_kind() {
        println!("    {kind:<18}{count:>10}");
    }
    if 0 < stats.sweeps_to_rest {
        println!(
            "  at rest or parked after at most {} sweeps; parked with an alert: {}",
            stats.sweeps_to_rest, stats.parked
        );
        return print_violations(tally);
    }
    let bounds = stats.bounds;
    println!("  sweeps after faults stop until, at most");
    println!("    slot freed        {:>10}", bounds.slot_freed);
    println!("    lost event healed {:>10}", bounds.healed);
    println!("    rollback done     {:>10}", bounds.rolled_back);
    println!("    log published     {:>10}", bounds.published);
    print_violations(tally);
}

fn print_violations(tally: &Tally) {
    println!("  violations    {:>12}", tally.violations.len());
    for (seed, violation) in &tally.violations {
        println!("    seed {seed}: {violation}");
    }
}

/// What a failing schedule needs to fail.
fn print_minimal(seed: u64) {
    let failed = play(seed, &Mask::default());
    let mask = shrink(&failed);
    let minimal = play_traced(seed, &mask);
    println!(
        "what it needs: {} of {} steps, {} of {} faults; refit-sim replay {seed}",
        failed.steps.saturating_sub(mask.steps.len() as u64),
        failed.steps,
        minimal.injected.len(),
        failed.injected.len()
    );
    for line in &minimal.trace {
        println!("{line}");
    }
}

fn replay_any_state(arguments: &Arguments) -> ExitCode {
    let Some(seed) = arguments.rest.first().and_then(|it| parse_number(it)) else {
        return wrong("--replay needs a seed");
    };
    print_ended(&play_any_state_traced(seed))
}

fn replay(arguments: &Arguments) -> ExitCode {
    let Some(seed) = arguments.rest.first().and_then(|it| parse_number(it)) else {
        return wrong("replay needs a seed");
    };
    let ended = play_traced(seed, &Mask::default());
    if arguments.is_full || ended.violation.is_none() {
        for line in &ended.trace {
            println!("{line}");
        }
    } else {
        print_minimal(seed);
    }
    let ended = Ended { trace: Vec::new(), ..ended };
    print_ended(&ended)
}

/// How a schedule ended, after what happened in it.
fn print_ended(ended: &Ended) -> ExitCode {
    for line in &ended.trace {
        println!("{line}");
    }
    println!("seed {}: {} steps, {} faults, trace {:016x}", ended.seed, ended.steps, ended.injected.len(), ended.hash);
    match &ended.violation {
        Some(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn fleet(arguments: &Arguments) -> ExitCode {
    let size = FleetSize {
        models: usize::try_from(arguments.models.unwrap_or(1_000)).unwrap_or(usize::MAX),
        days: i64::try_from(arguments.days.unwrap_or(365)).unwrap_or(i64::MAX),
        slots: usize::try_from(arguments.slots.unwrap_or(3)).unwrap_or(usize::MAX),
    };
    eprintln!("fleet: {} models, {} days, {} slots", size.models, size.days, size.slots);
    let begun = Instant::now();
    let progress = |day: i64| {
        if day % (size.days / 20).max(1) == 0 {
            eprintln!("fleet: day {day} of {}, {:.0} s", size.days, begun.elapsed().as_secs_f64());
        }
    };
    match play_fleet(size, &progress) {
        Ok(year) => {
            print_year(size, &year);
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("fleet: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn print_year(size: FleetSize, year: &FleetYear) {
    let used = user_seconds().map_or_else(String::new, |it| format!("; {it:.0} s of a processor"));
    println!("fleet: {} models, {} days in {:.0} s{used}", size.models, size.days, year.took.as_secs_f64());
    println!("  wake-ups                  {:>12}", year.wake_ups);
    println!("    each, median, at most   {:>9} us", year.quantile_micros(0.5));
    println!("    each, 99 %, at most     {:>9} us", year.quantile_micros(0.99));
    println!("  audit entries             {:>12}", year.entries);
    println!("  checks                    {:>12}", year.checks);
    println!("    longest between two     {:>12}", format!("{:#}", year.longest_between_checks));
    println!("  runs                      {:>12}", year.runs);
    println!("    promoted                {:>12}", year.promotions);
    println!(
        "    waited for a slot       {:>12} at most, {:#} at the median",
        format!("{:#}", year.longest_wait),
        year.median_wait
    );
    println!("  slots held at an instant  {:>12} of {}", year.most_slots, size.slots);
    if let Some(peak) = peak_memory_mb() {
        println!("  peak memory               {peak:>9} MB");
    }
}

/// How long processors have worked for this process, its threads together, in seconds; only Linux says, in ticks of 10 ms.
fn user_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in brackets, which may hold blanks; the 14th is the time.
    let ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(11)?.parse().ok()?;
    Some(ticks / 100.0)
}

/// The most memory that this process ever held; only Linux says.
fn peak_memory_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)
}

/// Takes a guard away for what is replayed.
#[cfg(feature = "planted-bugs")]
fn take_away(name: &str) -> Result<(), String> {
    refit_local::sim::power::prepare();
    let guard = refit_core::Guard::ALL.iter().find(|it| it.name() == name);
    refit_core::plant(Some(*guard.ok_or_else(|| format!("there is no guard `{name}`"))?));
    Ok(())
}

#[cfg(not(feature = "planted-bugs"))]
fn take_away(_name: &str) -> Result<(), String> {
    Err("--without needs a build with --features planted-bugs: every other build keeps its guards".to_owned())
}

/// Takes each guard away in turn and plays all histories: in how many is that noticed, and how often in a second?
#[cfg(feature = "planted-bugs")]
fn rates(arguments: &Arguments) -> ExitCode {
    use refit_core::Guard;
    use refit_local::sim::power::count_guard;

    let first = arguments.seed.unwrap_or_else(fresh_seed);
    let count = arguments.n.unwrap_or(1_000);
    let seeds = Seeds { first, count, threads: arguments.threads, enough: usize::MAX };
    let used = || user_seconds().unwrap_or_default();
    let begun = used();
    let whole = play_many(seeds, &|_| {});
    let cost = (used() - begun) / count as f64;
    let broken: std::collections::BTreeSet<u64> = whole.violations.iter().map(|it| it.0).collect();
    println!("rates: {count} histories a guard from seed {first} on, {:.0} a second of a processor", 1.0 / cost);
    let is_asked = |it: &&Guard| arguments.rest.is_empty() || arguments.rest.iter().any(|name| name == it.name());
    let (mut sum, mut number) = (0.0, 0);
    for guard in Guard::ALL.iter().filter(is_asked) {
        let noticed = count_guard(*guard, seeds, &|seed| !broken.contains(&seed));
        let rate = noticed as f64 / (count as f64 * cost);
        println!("  {:<3} {:<24} {noticed:>6} {rate:>9.2}/s", guard.invariant(), guard.name());
        if 0 < noticed {
            sum += rate.ln();
            number += 1;
        }
    }
    println!("rates: {number} noticed, geometric mean {:.3}/s", (sum / f64::from(number)).exp());
    ExitCode::SUCCESS
}

/// Takes each guard away in turn; fails when the loss of one is not noticed.
#[cfg(feature = "planted-bugs")]
fn power(arguments: &Arguments) -> ExitCode {
    use refit_core::Guard;
    use refit_local::sim::power::{median, try_guard};

    let seeds = Seeds {
        first: arguments.seed.unwrap_or_else(fresh_seed),
        count: arguments.n.unwrap_or(100_000),
        threads: arguments.threads,
        enough: 1,
    };
    let starts = arguments.starts.unwrap_or(5);
    if let Some(name) = arguments.rest.iter().find(|name| Guard::ALL.iter().all(|it| it.name() != name.as_str())) {
        return wrong(&format!("there is no guard `{name}`"));
    }
    println!("power: at most {} schedules a guard, {starts} times, from seed {} on", seeds.count, seeds.first);
    println!("      {:<24} {:>7} {:>7} {:>7}  noticed by, at seed", "guard", "median", "most", "s");
    let is_asked = |it: &&Guard| arguments.rest.is_empty() || arguments.rest.iter().any(|name| name == it.name());
    let mut found = Vec::new();
    let mut bugs = 0;
    for guard in Guard::ALL.iter().filter(is_asked) {
        let result = try_guard(*guard, seeds, starts);
        let number = |it: Option<u64>| it.map_or_else(|| "-".to_owned(), |it| it.to_string());
        let what = result.example().map_or_else(
            || "NOT NOTICED".to_owned(),
            |(seed, violation)| {
                format!("{} {seed}: {}", violation.id, violation.text.chars().take(90).collect::<String>())
            },
        );
        let (middle, most) = (number(result.median()), number(result.most()));
        println!(
            "  {:<3} {:<24} {middle:>7} {most:>7} {:>7.1}  {what}",
            guard.invariant(),
            guard.name(),
            result.seconds
        );
        for (seed, violation) in result.searches.iter().flat_map(|it| &it.unguarded) {
            bugs += 1;
            println!("      with every guard in place, seed {seed}: {violation}");
        }
        found.push(result);
    }
    let missed = found.iter().filter(|it| it.most().is_none()).count() + bugs;
    let middle = median(&found).map_or_else(|| "-".to_owned(), |it| it.to_string());
    let noticed = found.iter().filter(|it| it.most().is_some()).count();
    println!("power: {noticed} of {} noticed each time, median {middle} schedules", found.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
