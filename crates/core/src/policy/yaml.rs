//! YAML with places: a text becomes a tree of nodes that know their line and column.
//!
//! Only what a configuration needs is read: one document of texts, lists and maps with text keys. Whatever makes YAML
//! surprising or dangerous (anchors, aliases, merge keys, tags, duplicate keys, tabs) is refused where it stands. Scalars
//! stay texts; what `NO`, `1:30` or `~` means is for the schema to say.

use std::collections::HashMap;
use std::fmt::Write as _;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::read::Problem;

/// The largest text that is read: 1,000 models of 4 KB each.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The deepest nesting that is read; the schema needs seven.
const MAX_DEPTH: usize = 32;

/// The last column at which the name of an anchor is looked up: a line may hold tens of thousands of them.
const MAX_NAMED_COLUMN: usize = 1_000;

/// A place in the text; line and column are counted from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value and where it stands; the place of a value that is left out is its key's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar {
        text: String,
        style: Style,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something that is already reported as a problem.
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
}

/// A key with its value; the keys of a map are distinct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: At,
    pub(super) value: Node,
}

/// What a scalar means by the core schema of YAML 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Null,
    Boolean,
    Number,
    Text,
}

impl Meaning {
    /// The meaning of a scalar. Hexadecimal and octal numbers count as texts: the schema has no use for them.
    pub(super) fn of(text: &str, style: Style) -> Meaning {
        match (style, text) {
            (Style::Quoted, _) => Meaning::Text,
            (Style::Plain, "" | "~" | "null" | "Null" | "NULL") => Meaning::Null,
            (Style::Plain, "true" | "True" | "TRUE" | "false" | "False" | "FALSE") => Meaning::Boolean,
            (Style::Plain, text) => {
                if is_number(text) {
                    Meaning::Number
                } else {
                    Meaning::Text
                }
            }
        }
    }
}

fn is_number(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(text, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    !(whole.is_empty() && fraction.is_empty())
        && all_digits(whole)
        && all_digits(fraction)
        && !exponent.is_empty()
        && all_digits(exponent)
}

/// The path of `key` below `path`; keys that are not plain words are quoted.
pub(super) fn join(path: &str, key: &str) -> String {
    let is_word =
        !key.is_empty() && key.len() <= 64 && key.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-".contains(&it));
    match (path, is_word) {
        ("", true) => key.to_owned(),
        (path, true) => format!("{path}.{key}"),
        (path, false) => format!("{path}[\"{}\"]", shown(key)),
    }
}

/// Shows a text that somebody typed: shortened, with control characters escaped.
pub(super) fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if 60 < text.chars().count() {
        out.push('…');
    }
    out
}

/// Reads a text into its only document.
///
/// What can be stepped over is pushed to `problems` and its node marked as refused; `None` means that the text is not
/// YAML that is read here at all, with the reason in `problems`.
pub(super) fn parse(text: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Err((at, message)) = check_characters(text) {
        problems.push(Problem::new(at, "", message));
        return None;
    }
    let mut builder = Builder { lines: text.lines().collect(), problems, frames: Vec::new(), root: None };
    for event in Parser::new_from_str(text) {
        let done = match event {
            Ok((event, span)) => builder.take(event, span.start),
            Err(error) => Err(builder.syntax_error(&error)),
        };
        if let Err((at, message)) = done {
            let path = builder.path();
            builder.problems.push(Problem::new(at, &path, message));
            return None;
        }
    }
    let root = builder.root.take();
    let is_empty = root.as_ref().is_none_or(
        |it| matches!(&it.kind, Kind::Scalar { text, style } if Meaning::of(text, *style) == Meaning::Null),
    );
    if is_empty {
        problems.push(Problem::new(
            At { line: 1, column: 1 },
            "",
            "the document is empty: it declares a fleet, beginning with `schema: 1`".to_owned(),
        ));
        return None;
    }
    root
}

/// Refuses what the parser should not even see: too much text, control characters, indentation by tabs.
fn check_characters(text: &str) -> Result<(), (At, String)> {
    if MAX_BYTES < text.len() {
        return Err((
            At { line: 1, column: 1 },
            format!("the text has {} bytes; at most {MAX_BYTES} are read", text.len()),
        ));
    }
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some((column, character)) = line.chars().enumerate().find(|(_, it)| it.is_control() && *it != '\t') {
            let at = At { line: index + 1, column: column + 1 };
            return Err((at, format!("control character U+{:04X}; remove it", u32::from(character))));
        }
        let content = line.trim_start_matches([' ', '\t']);
        let tab = line.chars().take_while(|it| matches!(it, ' ' | '\t')).position(|it| it == '\t');
        if let Some(column) = tab.filter(|_| !content.is_empty() && !content.starts_with('#')) {
            return Err((
                At { line: index + 1, column: column + 1 },
                "a tab in the indentation; YAML is indented by spaces".to_owned(),
            ));
        }
    }
    Ok(())
}

/// A list or map that is being read.
struct Frame {
    at: At,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: HashMap<String, At>, key: NextKey },
}

/// What the next node of a map is.
enum NextKey {
    /// A key.
    Awaited,
    /// The value of this key.
    Given(String, At),
    /// The value of a key that is reported as a problem.
    Refused,
}

struct Builder<'a, 'p> {
    lines: Vec<&'a str>,
    problems: &'p mut Vec<Problem>,
    frames: Vec<Frame>,
    root: Option<Node>,
}

type Fatal = (At, String);

impl Builder<'_, '_> {
    fn take(&mut self, event: Event<'_>, marker: Marker) -> Result<(), Fatal> {
        let at = place(marker);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                if self.root.is_some() {
                    return Err((at, "a second document begins here; one file holds one document".to_owned()));
                }
            }
            Event::Alias(_) => {
                let name = self.name_at(at, '*');
                self.report(at, format!("alias `*{name}`: anchors and aliases are not read; write the value out"));
                self.place_node(Node { at, kind: Kind::Refused });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.check_properties(at, anchor, tag.as_deref());
                let style = if style == ScalarStyle::Plain { Style::Plain } else { Style::Quoted };
                if let Some(character) = text.chars().find(|it| it.is_control() && !matches!(it, '\n' | '\t')) {
                    self.report(
                        at,
                        format!("the text holds the control character U+{:04X}; remove it", u32::from(character)),
                    );
                    self.place_node(Node { at, kind: Kind::Refused });
                } else {
                    self.place_node(Node { at, kind: Kind::Scalar { text: text.into_owned(), style } });
                }
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_properties(at, anchor, tag.as_deref());
                self.open(Frame { at, inside: Inside::List(Vec::new()) })?;
            }
            Event::MappingStart(anchor, tag) => {
                self.check_properties(at, anchor, tag.as_deref());
                let inside = Inside::Map { entries: Vec::new(), seen: HashMap::new(), key: NextKey::Awaited };
                self.open(Frame { at, inside })?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(frame) = self.frames.pop() {
                    let kind = match frame.inside {
                        Inside::List(nodes) => Kind::List(nodes),
                        Inside::Map { entries, .. } => Kind::Map(entries),
                    };
                    self.place_node(Node { at: frame.at, kind });
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, frame: Frame) -> Result<(), Fatal> {
        if MAX_DEPTH <= self.frames.len() {
            return Err((frame.at, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.frames.push(frame);
        Ok(())
    }

    /// Puts a complete node where it belongs: into the document, a list, or a map as a key or as its value.
    fn place_node(&mut self, mut node: Node) {
        let mut refused_key = None;
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut frame.inside {
            Inside::List(nodes) => nodes.push(node),
            Inside::Map { entries, seen, key } => match std::mem::replace(key, NextKey::Awaited) {
                NextKey::Awaited => match take_key(node, seen) {
                    Ok((text, at)) => *key = NextKey::Given(text, at),
                    Err(refused) => {
                        *key = NextKey::Refused;
                        refused_key = refused;
                    }
                },
                NextKey::Given(key, at) => {
                    if node.at.line != at.line
                        && matches!(&node.kind, Kind::Scalar { text, style } if Meaning::of(text, *style) == Meaning::Null)
                    {
                        // The parser notices only at the next token that a value is left out.
                        node.at = at;
                    }
                    entries.push(Entry { key, at, value: node });
                }
                NextKey::Refused => {}
            },
        }
        if let Some((at, name, message)) = refused_key {
            let path = self.path();
            self.problems.push(Problem::new(at, &name.map_or_else(|| path.clone(), |it| join(&path, &it)), message));
        }
    }

    fn check_properties(&mut self, at: At, anchor: usize, tag: Option<&Tag>) {
        if 0 < anchor {
            let name = self.name_at(at, '&');
            self.report(at, format!("anchor `&{name}`: anchors and aliases are not read; write the value out"));
        }
        if let Some(tag) = tag {
            let handle = if tag.handle == "tag:yaml.org,2002:" { "!!" } else { tag.handle.as_str() };
            self.report(
                at,
                format!("tag `{}`: tags are not read; remove it", shown(&format!("{handle}{}", tag.suffix))),
            );
        }
    }

    fn report(&mut self, at: At, message: String) {
        let path = self.path();
        self.problems.push(Problem::new(at, &path, message));
    }

    fn syntax_error(&self, error: &ScanError) -> Fatal {
        let at = place(*error.marker());
        if error.info().contains("unknown anchor") {
            let name = self.name_at(at, '*');
            return (at, format!("alias `*{name}`: anchors and aliases are not read; write the value out"));
        }
        (at, format!("not YAML: {}", error.info()))
    }

    /// The name after `sign` at or shortly before a place, for a message only; empty where looking would take long.
    fn name_at(&self, at: At, sign: char) -> String {
        if MAX_NAMED_COLUMN < at.column {
            return String::new();
        }
        let line = self.lines.get(at.line.saturating_sub(1)).copied().unwrap_or_default();
        let from = line.char_indices().nth(at.column.saturating_sub(1)).map_or(line.len(), |(index, _)| index);
        let start = if line[from..].starts_with(sign) { Some(from) } else { line[..from].rfind(sign) };
        let name = start.map_or("", |start| &line[start + sign.len_utf8()..]);
        shown(name.split([' ', '\t', ',', ']', '}', '\r']).next().unwrap_or_default())
    }

    /// Where in the document the next node belongs.
    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.frames {
            match &frame.inside {
                Inside::List(nodes) => {
                    write!(path, "[{}]", nodes.len()).expect("invariant: writing to a string succeeds")
                }
                Inside::Map { key: NextKey::Given(key, _), .. } => path = join(&path, key),
                Inside::Map { key: NextKey::Awaited | NextKey::Refused, .. } => {}
            }
        }
        path
    }
}

type RefusedKey = Option<(At, Option<String>, String)>;

/// Reads a node as a key; the error is the problem with it, unless that is reported already.
fn take_key(node: Node, seen: &mut HashMap<String, At>) -> Result<(String, At), RefusedKey> {
    let at = node.at;
    let (text, style) = match node.kind {
        Kind::Scalar { text, style } => (text, style),
        Kind::List(_) | Kind::Map(_) => {
            return Err(Some((at, None, "a key is a text, not a list or a map".to_owned())));
        }
        Kind::Refused => return Err(None),
    };
    if style == Style::Plain && text == "<<" {
        return Err(Some((at, None, "merge key `<<`: merge keys are not read; write the keys out".to_owned())));
    }
    if Meaning::of(&text, style) != Meaning::Text {
        return Err(Some((at, None, format!("a key is a text; put `{}` in quotes", shown(&text)))));
    }
    if let Some(first) = seen.get(&text) {
        let message = format!(
            "duplicate key `{}`; it is first given at line {}, column {}",
            shown(&text),
            first.line,
            first.column
        );
        return Err(Some((at, Some(text), message)));
    }
    seen.insert(text.clone(), at);
    Ok((text, at))
}

/// The parser counts lines from 1 and columns from 0.
fn place(marker: Marker) -> At {
    At { line: marker.line().max(1), column: marker.col() + 1 }
}
