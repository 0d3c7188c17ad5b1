//! Values of the document that know their path: each is read as what it should be, or reported.

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::Problem;
use super::describe::{Notes, Shape, number};
use super::words::suggest;
use crate::policy::Span;
use crate::policy::yaml::{At, Entry, Kind, Meaning, Node, Style, join, shown};

/// The keys of a section.
pub(super) struct Keys {
    /// Those that have an effect.
    pub(super) built: &'static [&'static str],
    /// Those that are refused by name.
    pub(super) not_built: &'static [&'static str],
}

/// The problems found so far; or, on a walk that only describes, what would have been taken.
pub(super) struct Log {
    problems: Vec<Problem>,
    notes: Option<Notes>,
    /// The keys that each section has, and those that are given.
    #[cfg(test)]
    pub(super) visited: Vec<(Vec<&'static str>, Vec<String>)>,
}

/// What stands everywhere in a document that is only described.
static VOID: Node = Node { at: At { line: 1, column: 1 }, kind: Kind::Refused };

impl Log {
    pub(super) fn new(problems: Vec<Problem>) -> Log {
        Log {
            problems,
            notes: None,
            #[cfg(test)]
            visited: Vec::new(),
        }
    }

    /// A log that notes what is read.
    pub(super) fn describing(notes: Notes) -> Log {
        Log { notes: Some(notes), ..Log::new(Vec::new()) }
    }

    pub(super) fn into_notes(self) -> Notes {
        self.notes.unwrap_or_default()
    }

    /// Notes what a field must be; says whether the document is only described.
    fn describe(&mut self, path: &str, shape: impl FnOnce() -> Shape) -> bool {
        let Some(notes) = &mut self.notes else { return false };
        notes.note(path, shape());
        true
    }

    /// The problems in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|it| (it.line, it.column));
        self.problems
    }
}

/// A value with its path.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    path: String,
    /// Where its key stands, or itself if it has none.
    key: At,
    node: &'a Node,
}

/// What a number must be.
pub(super) struct Bounds {
    /// In words, after "must be".
    pub(super) words: &'static str,
    /// Whether a finite number is within.
    pub(super) contains: fn(f64) -> bool,
}

/// A share above 0, at most 1.
pub(super) const SHARE: Bounds =
    Bounds { words: "a share above 0, at most 1 (5 % is `0.05`)", contains: |it| 0.0 < it && it <= 1.0 };

/// Any finite number.
pub(super) const FINITE: Bounds = Bounds { words: "finite", contains: f64::is_finite };

impl<'a> Field<'a> {
    pub(super) fn root(node: &'a Node) -> Field<'a> {
        Field { path: String::new(), key: node.at, node }
    }

    /// The root of a document that is only described.
    pub(super) fn void() -> Field<'static> {
        Field::root(&VOID)
    }

    /// Whether a list stands here.
    pub(super) fn is_list(&self, log: &Log) -> bool {
        log.notes.as_ref().map_or_else(|| matches!(self.node.kind, Kind::List(_)), |it| it.takes_maps)
    }

    /// Where the value stands.
    pub(super) fn at(&self) -> At {
        self.node.at
    }

    pub(super) fn report(&self, log: &mut Log, message: String) {
        log.problems.push(Problem::new(self.node.at, &self.path, message));
    }

    /// Whether exactly this word stands here.
    pub(super) fn is_word(&self, word: &'static str, log: &mut Log) -> bool {
        if log.describe(&self.path, || Shape::Word(vec![word])) {
            return false;
        }
        matches!(&self.node.kind, Kind::Scalar { text, .. } if text == word)
    }

    /// Whether a map stands here.
    pub(super) fn is_map(&self, log: &Log) -> bool {
        log.notes.as_ref().map_or_else(|| matches!(self.node.kind, Kind::Map(_)), |it| it.takes_maps)
    }

    /// What stands here, in words.
    fn found(&self) -> String {
        match &self.node.kind {
            Kind::Scalar { text, style } => match Meaning::of(text, *style) {
                Meaning::Null => "nothing".to_owned(),
                Meaning::Boolean => format!("`{text}`"),
                Meaning::Number => format!("the number `{}`", shown(text)),
                Meaning::Text => format!("the text `{}`", shown(text)),
            },
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
            Kind::Refused => "what is refused".to_owned(),
        }
    }

    /// Reports that something of another type is needed, unless what stands here is reported already.
    fn report_type(&self, expected: &str, log: &mut Log) {
        if self.node.kind != Kind::Refused {
            self.report(log, format!("expected {expected}, found {}", self.found()));
        }
    }

    /// The entries of a map; `None`, unreported, if it is something else.
    pub(super) fn given(&self) -> Option<&'a [Entry]> {
        match &self.node.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Scalar { .. } | Kind::List(_) | Kind::Refused => None,
        }
    }

    /// The value of a key of a map, if given.
    pub(super) fn child(&self, key: &str) -> Option<Field<'a>> {
        let entry = self.given()?.iter().find(|it| it.key == key)?;
        Some(Field { path: join(&self.path, key), key: entry.at, node: &entry.value })
    }

    /// Whether a scalar of this text stands here.
    pub(super) fn is_scalar(&self, wanted: &str) -> bool {
        matches!(&self.node.kind, Kind::Scalar { text, .. } if text == wanted)
    }

    /// The same place with another value.
    pub(super) fn with<'b>(&self, node: &'b Node) -> Field<'b> {
        Field { path: self.path.clone(), key: self.key, node }
    }

    /// Reads a map, refusing unknown keys and those whose effect is not built.
    pub(super) fn section(&self, keys: &Keys, log: &mut Log) -> Option<Section<'a>> {
        if log.describe(&self.path, || Shape::Section(keys.built.to_vec())) {
            return Some(Section { path: self.path.clone(), at: self.key, entries: &[], is_void: true });
        }
        let entries = self.entries(log)?;
        #[cfg(test)]
        log.visited.push((keys.built.to_vec(), entries.iter().map(|it| it.key.clone()).collect()));
        for entry in entries {
            let key = entry.key.as_str();
            if keys.built.contains(&key) {
                continue;
            }
            let message = if keys.not_built.contains(&key) {
                format!("`{}` is not built yet; remove it", join(&in_model(&self.path), key))
            } else {
                format!("unknown key `{}`; {}", shown(key), suggest(key, keys.built))
            };
            log.problems.push(Problem::new(entry.at, &join(&self.path, key), message));
        }
        Some(Section { path: self.path.clone(), at: self.key, entries, is_void: false })
    }

    fn entries(&self, log: &mut Log) -> Option<&'a [Entry]> {
        if let Kind::Map(entries) = &self.node.kind {
            return Some(entries);
        }
        self.report_type("a map", log);
        None
    }

    /// Reads a map with free keys; the place given with each value is that of its key.
    pub(super) fn map(&self, log: &mut Log) -> Option<Vec<(&'a str, Key, Field<'a>)>> {
        if log.describe(&self.path, || Shape::Free) {
            let path = format!("{}.*", self.path);
            let key = Key { path: path.clone(), at: self.key };
            return Some(vec![("*", key, Field { path, key: self.key, node: &VOID })]);
        }
        let field = |entry: &'a Entry| {
            let path = join(&self.path, &entry.key);
            (
                entry.key.as_str(),
                Key { path: path.clone(), at: entry.at },
                Field { path, key: entry.at, node: &entry.value },
            )
        };
        Some(self.entries(log)?.iter().map(field).collect())
    }

    /// Reads a list with a number of items within `count`.
    pub(super) fn list(&self, count: RangeInclusive<usize>, items: &str, log: &mut Log) -> Option<Vec<Field<'a>>> {
        if log.describe(&self.path, || Shape::List(*count.start(), *count.end())) {
            return Some(vec![Field { path: format!("{}[]", self.path), key: self.key, node: &VOID }]);
        }
        let Kind::List(nodes) = &self.node.kind else {
            self.report_type("a list", log);
            return None;
        };
        if nodes.len() < *count.start() {
            self.report(log, format!("at least {} of the {items} must be given", count.start()));
            return None;
        }
        if *count.end() < nodes.len() {
            self.report(log, format!("{} {items} are given; at most {} are read", nodes.len(), count.end()));
            return None;
        }
        Some(
            nodes
                .iter()
                .enumerate()
                .map(|(index, node)| Field { path: format!("{}[{index}]", self.path), key: node.at, node })
                .collect(),
        )
    }

    /// Reads a scalar as it was typed, whatever it means; nothing is not a scalar.
    pub(super) fn scalar(&self, expected: &str, log: &mut Log) -> Option<&'a str> {
        if log.describe(&self.path, || Shape::Scalar(expected.to_owned())) {
            return None;
        }
        match &self.node.kind {
            Kind::Scalar { text, style } if Meaning::of(text, *style) != Meaning::Null => Some(text),
            Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) | Kind::Refused => {
                self.report_type(expected, log);
                None
            }
        }
    }

    /// Reads a text. Numbers and booleans are texts in quotes only, since somebody who typed one may have meant it.
    pub(super) fn text(&self, log: &mut Log) -> Option<&'a str> {
        if log.describe(&self.path, || Shape::Text) {
            return None;
        }
        match &self.node.kind {
            Kind::Scalar { text, style } => match Meaning::of(text, *style) {
                Meaning::Text => return Some(text),
                Meaning::Null => self.report_type("a text", log),
                Meaning::Boolean | Meaning::Number => {
                    self.report(
                        log,
                        format!("expected a text, found {}; put it in quotes to mean a text", self.found()),
                    );
                }
            },
            Kind::List(_) | Kind::Map(_) | Kind::Refused => self.report_type("a text", log),
        }
        None
    }

    /// Reads a text of another form, such as an address.
    pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(&self, expected: &str, log: &mut Log) -> Option<T> {
        match self.scalar(expected, log)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.report(log, error.to_string());
                None
            }
        }
    }

    /// Reads a length of time within `range`.
    pub(super) fn span(&self, range: RangeInclusive<Span>, log: &mut Log) -> Option<Span> {
        let span: Span = self.parse("a length of time", log)?;
        if !range.contains(&span) {
            let (least, most) = range.into_inner();
            let most = if most == longest() { String::new() } else { format!(", at most {most}") };
            self.report(log, format!("{span} is out of range: it must be at least {least}{most}"));
            return None;
        }
        Some(span)
    }

    /// The text of a plain number; percentages get a hint.
    fn digits(&self, expected: &str, log: &mut Log) -> Option<&'a str> {
        if let Kind::Scalar { text, style } = &self.node.kind {
            if Meaning::of(text, *style) == Meaning::Number {
                return Some(text);
            }
            if Meaning::of(text, Style::Plain) == Meaning::Number {
                self.report(log, format!("expected {expected}, found the text `{}`; remove the quotes", shown(text)));
                return None;
            }
            if let Some(percent) =
                text.strip_suffix('%').and_then(|it| it.trim_end().parse::<f64>().ok()).filter(|it| it.is_finite())
            {
                self.report(log, format!("expected {expected}, found `{}`; say `{}`", shown(text), percent / 100.0));
                return None;
            }
        }
        self.report_type(expected, log);
        None
    }

    /// Reads a number within `bounds`; never NaN or infinite.
    pub(super) fn number(&self, bounds: &Bounds, log: &mut Log) -> Option<f64> {
        if log.describe(&self.path, || number(bounds)) {
            return None;
        }
        let text = self.digits("a number", log)?;
        let value: f64 = text.parse().unwrap_or(f64::NAN);
        if !value.is_finite() {
            self.report(log, format!("`{}` is out of range: it must be a finite number", shown(text)));
            return None;
        }
        if !(bounds.contains)(value) {
            self.report(log, format!("`{}` is out of range: it must be {}", shown(text), bounds.words));
            return None;
        }
        // Zero has one sign, so that equal policies have equal digests.
        Some(value + 0.0)
    }

    /// Reads a whole number within `range`.
    pub(super) fn whole(&self, range: RangeInclusive<u64>, log: &mut Log) -> Option<u64> {
        if log.describe(&self.path, || Shape::Whole(*range.start(), *range.end())) {
            return None;
        }
        let text = self.digits("a whole number", log)?;
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if !digits.bytes().all(|it| it.is_ascii_digit()) {
            self.report(log, format!("expected a whole number, found the number `{}`", shown(text)));
            return None;
        }
        if let Some(value) = text.parse().ok().filter(|it| range.contains(it)) {
            return Some(value);
        }
        let (least, most) = range.into_inner();
        let words = if most == u64::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
        self.report(log, format!("`{}` is out of range: it must be {words}", shown(text)));
        None
    }

    /// Reads a whole number within `range`.
    pub(super) fn count(&self, range: RangeInclusive<u32>, log: &mut Log) -> Option<u32> {
        let (least, most) = range.into_inner();
        self.whole(u64::from(least)..=u64::from(most), log).and_then(|it| u32::try_from(it).ok())
    }

    /// Reads one of `words`; those `not_built` are refused by name.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)], not_built: &[&str], log: &mut Log) -> Option<T> {
        let names: Vec<&'static str> = words.iter().map(|(word, _)| *word).collect();
        if log.describe(&self.path, || Shape::Word(names.clone())) {
            return None;
        }
        let text = self.scalar(&format!("one of `{}`", names.join("`, `")), log)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        if not_built.contains(&text) {
            let instead: Vec<String> = names.iter().map(|it| format!("`{it}`")).collect();
            let path = in_model(&self.path);
            self.report(log, format!("`{path}: {text}` is not built yet; use {}", instead.join(" or ")));
        } else {
            self.report(log, format!("unknown word `{}`; {}", shown(text), suggest(text, &names)));
        }
        None
    }
}

/// The longest length of time there is.
pub(super) fn longest() -> Span {
    Span::seconds(i64::MAX)
}

/// The path below the model, as the documentation writes it.
pub(super) fn in_model(path: &str) -> String {
    let below = path.strip_prefix("models[").and_then(|rest| rest.split_once(']'));
    below.map_or(path, |(_, rest)| rest.trim_start_matches('.')).to_owned()
}

/// A key of a map with free keys.
pub(super) struct Key {
    path: String,
    at: At,
}

impl Key {
    pub(super) fn report(&self, log: &mut Log, message: String) {
        log.problems.push(Problem::new(self.at, &self.path, message));
    }
}

/// A map with known keys.
pub(super) struct Section<'a> {
    path: String,
    /// Where its key stands: what is missing cannot be pointed at.
    at: At,
    entries: &'a [Entry],
    /// Whether every key is there, with nothing in it.
    is_void: bool,
}

impl<'a> Section<'a> {
    /// The value of a key, if given.
    pub(super) fn find(&self, key: &str) -> Option<Field<'a>> {
        if self.is_void {
            return Some(Field { path: join(&self.path, key), key: self.at, node: &VOID });
        }
        let entry = self.entries.iter().find(|it| it.key == key)?;
        Some(Field { path: join(&self.path, key), key: entry.at, node: &entry.value })
    }

    /// Reports a problem with the section as a whole.
    pub(super) fn report(&self, log: &mut Log, message: String) {
        log.problems.push(Problem::new(self.at, &self.path, message));
    }

    /// Reads a key that must be given; `None` is reported.
    pub(super) fn required<T>(
        &self,
        key: &str,
        log: &mut Log,
        read: impl FnOnce(Field<'a>, &mut Log) -> Option<T>,
    ) -> Option<T> {
        if let Some(notes) = &mut log.notes {
            notes.require(&self.path, key);
        }
        if let Some(field) = self.find(key) {
            return read(field, log);
        }
        log.problems.push(Problem::new(self.at, &self.path, format!("required key `{key}` is missing")));
        None
    }

    /// Reads a key that may be left out; the outer `None` is reported.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        log: &mut Log,
        read: impl FnOnce(Field<'a>, &mut Log) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.find(key) {
            Some(field) => read(field, log).map(Some),
            None => Some(None),
        }
    }

    /// Reads a key with a default; `None` is reported.
    pub(super) fn or<T>(
        &self,
        key: &str,
        default: T,
        log: &mut Log,
        read: impl FnOnce(Field<'a>, &mut Log) -> Option<T>,
    ) -> Option<T> {
        match self.find(key) {
            Some(field) => read(field, log),
            None => Some(default),
        }
    }
}
