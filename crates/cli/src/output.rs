//! Writing answers, errors and logs.

use std::io::Write as _;

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

/// Logs go to stderr; how many is a matter of `-v` and `REFIT_LOG`.
pub(crate) fn init_logs(verbose: u8) {
    let level = match verbose {
        0 => "error",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("REFIT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}

/// An error with its causes, each said once.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
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
    match std::io::stdout().lock().write_all(out.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// A table with aligned columns; control characters are shown escaped.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let clean = |text: &str| -> String {
        text.chars()
            .flat_map(|it| if it.is_control() { it.escape_default().collect::<Vec<_>>() } else { vec![it] })
            .collect()
    };
    let mut lines: Vec<Vec<String>> = vec![header.iter().map(|it| (*it).to_owned()).collect()];
    lines.extend(rows.iter().map(|row| row.iter().map(|it| clean(it)).collect()));
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
