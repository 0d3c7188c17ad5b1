//! What is wrong with a policy, and how it is shown.

use std::fmt;

use crate::policy::yaml::At;

/// How many characters of a source line are shown on each side of a problem.
const SHOWN_AROUND: usize = 60;

/// One thing that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// Where in the document, for example `models[0].triggers.drift.threshold`; empty for the document itself.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    pub(in crate::policy) fn new(at: At, path: &str, message: String) -> Problem {
        Problem { line: at.line, column: at.column, path: path.to_owned(), message }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a policy, in the order of the text; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Shows one problem per line, after the file's name.
    pub fn display<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            for (index, problem) in self.0.iter().enumerate() {
                let end = if index == 0 { "" } else { "\n" };
                write!(f, "{end}{file}:{problem}")?;
            }
            Ok(())
        })
    }

    /// Shows each problem with the source line it is in and a caret below its place.
    #[must_use]
    pub fn render(&self, file: &str, text: &str) -> String {
        use fmt::Write as _;
        let lines: Vec<&str> = text.strip_prefix('\u{feff}').unwrap_or(text).split('\n').collect();
        let width = self.0.iter().map(|it| it.line.to_string().len()).max().unwrap_or_default();
        let mut out = String::new();
        // A line may be long and hold many problems: it is taken apart once.
        let mut current: (usize, Vec<char>) = (0, Vec::new());
        for problem in &self.0 {
            writeln!(out, "{file}:{problem}").expect("invariant: writing to a string succeeds");
            if current.0 != problem.line {
                let line = lines.get(problem.line.saturating_sub(1)).copied().unwrap_or_default();
                current = (problem.line, line.trim_end().chars().collect());
            }
            if !current.1.is_empty() {
                let (source, caret) = excerpt(&current.1, problem.column);
                writeln!(out, "{:>width$} | {source}\n{:>width$} | {caret}", problem.line, "")
                    .expect("invariant: writing to a string succeeds");
            }
        }
        out
    }
}

/// The part of a line around a column, with a line that has a caret below it.
fn excerpt(line: &[char], column: usize) -> (String, String) {
    let column = column.saturating_sub(1).min(line.len());
    let start = column.saturating_sub(SHOWN_AROUND);
    let end = (start + 2 * SHOWN_AROUND).min(line.len());
    let mut source: String = if start == 0 { String::new() } else { "…".to_owned() };
    let indent = source.chars().count() + (column - start);
    // A control character would move the caret, or the terminal.
    source.extend(line[start..end].iter().map(|it| if it.is_control() { ' ' } else { *it }));
    if end < line.len() {
        source.push('…');
    }
    (source, format!("{}^", " ".repeat(indent)))
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
