//! Writing answers, errors and logs.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use anyhow::Context as _;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::arguments::Format;

/// How a command ended that did not break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Yes.
    Yes,
    /// No: a negative answer or a refusal.
    No,
}

/// Logs go to stderr, colored on a terminal only; how many is a matter of `-v` and `REFIT_LOG`.
pub(crate) fn init_logs(verbose: u8) {
    let level = match verbose {
        0 => "error",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("REFIT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let is_colored = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_colored)
        .with_target(false)
        .init();
}

/// Writes a line to stderr. Nobody has to be there to read it: a command goes on when its reader went away.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// An error with its causes, each said once.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for cause in error.chain() {
        let cause = without_code(&cause.to_string());
        // Some errors repeat the cause in their own words, and some causes the words before them.
        if text.ends_with(&cause) || (!last.is_empty() && cause.ends_with(&last)) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
        last = cause;
    }
    // A message may have several lines; what it quotes must neither move the cursor nor look like a line of ours.
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n  ")
}

/// A message of the operating system without its number, which tells people nothing.
fn without_code(message: &str) -> String {
    message.rsplit_once(" (os error ").map_or(message, |(words, _)| words).to_owned()
}

/// Text of unknown origin as part of a line: whatever could break the line, move the cursor or reorder the letters is
/// shown as `\u{1b}` or so.
pub(crate) fn escaped(text: &str) -> String {
    let is_harmful = |it: char| {
        it.is_control()
            || matches!(it, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut clean = String::with_capacity(text.len());
    for it in text.chars() {
        if is_harmful(it) {
            clean.extend(it.escape_default());
        } else {
            clean.push(it);
        }
    }
    clean
}

/// A number with its noun.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A value of an enum, as the word that files and JSON use for it.
pub(crate) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Writes an answer: the document as JSON, or what `text` makes of it.
///
/// A reader that went away (`refit runs | head -1`) is no failure.
pub(crate) fn answer<T: Serialize>(
    format: Format,
    document: &T,
    text: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    let mut out = match format {
        Format::Json => serde_json::to_string_pretty(document)?,
        Format::Text => text(document),
    };
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("writing the answer to stdout"),
    }
}

/// A table with aligned columns.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines: Vec<Vec<String>> = vec![header.iter().map(|it| (*it).to_owned()).collect()];
    lines.extend(rows.iter().map(|row| row.iter().map(|it| escaped(it)).collect()));
    let width = |column: usize| lines.iter().map(|it| it[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let mut padded = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            padded.push_str(cell);
            padded.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}
