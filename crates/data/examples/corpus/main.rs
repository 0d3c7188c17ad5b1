//! Tries every malformed file of the list at its full size: `make corpus`. Each must be answered within two seconds and 256 MB, without a panic, as stated.
//!
//! The measure of memory is Linux's peak of the process since the case began; elsewhere it is not shown.

#![expect(clippy::disallowed_methods, reason = "a program that measures time and memory of readers")]

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

#[path = "../../tests/corpus/mod.rs"]
mod corpus;

const MAX_SECONDS: f64 = 2.0;
const MAX_MB: u64 = 256;

fn main() -> ExitCode {
    let mut n_failed = 0;
    println!("{:>3}  {:42}  {:>7}  {:>6}  answer", "no.", "what", "seconds", "MB");
    for case in corpus::cases() {
        forget_peak();
        let begun = Instant::now();
        let outcome = catch_unwind(|| (case.run)(corpus::Scale::Full));
        let seconds = begun.elapsed().as_secs_f64();
        let peak = peak_mb();
        let outcome = outcome.unwrap_or_else(|_| Err("panicked".to_owned()));
        let is_small = peak.is_none_or(|it| it <= MAX_MB);
        let (mark, words) = match outcome {
            Ok(words) if seconds <= MAX_SECONDS && is_small => ("", words),
            Ok(words) => ("TOO MUCH: ", words),
            Err(words) => ("WRONG: ", words),
        };
        n_failed += usize::from(!mark.is_empty());
        let peak = peak.map_or_else(|| "-".to_owned(), |it| it.to_string());
        let words: String = words.chars().take(110).collect();
        println!("{:>3}  {:42}  {seconds:>7.2}  {peak:>6}  {mark}{words}", case.number, case.name);
    }
    if n_failed == 0 {
        return ExitCode::SUCCESS;
    }
    println!("{n_failed} are not as they should be");
    ExitCode::FAILURE
}

/// Makes the peak of memory begin anew.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    let kb: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kb / 1024)
}
