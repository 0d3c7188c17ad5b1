//! A strict reader of the report's markup: whatever it accepts, a browser reads the same way.

/// An element as it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
}

const VOID: [&str; 2] = ["meta", "br"];

/// Reads a page; panics where it is not well-formed.
#[track_caller]
pub(crate) fn read(page: &str) -> Vec<Element> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a page begins with its document type");
    let mut open: Vec<String> = Vec::new();
    let mut elements = Vec::new();
    while let Some(begin) = rest.find('<') {
        check_text(&rest[..begin]);
        rest = &rest[begin + 1..];
        if let Some(after) = rest.strip_prefix('/') {
            let (name, after) = after.split_once('>').expect("a closing tag ends");
            assert_eq!(open.pop().as_deref(), Some(name), "closed in the order they were opened, before {:.60}", after);
            rest = after;
            continue;
        }
        let (element, is_closed, after) = read_tag(rest);
        rest = after;
        if element.name == "style" {
            // Raw text: it ends at the first closing tag, whatever stands in it.
            rest = &rest[rest.find("</style").expect("the style ends")..];
        }
        if !is_closed && !VOID.contains(&element.name.as_str()) {
            open.push(element.name.clone());
        }
        elements.push(element);
    }
    check_text(rest);
    assert!(open.is_empty(), "left open: {open:?}");
    elements
}

fn read_tag(text: &str) -> (Element, bool, &str) {
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == ':';
    let end = text.find(|it| !is_name(it)).expect("a tag ends");
    assert!(0 < end, "no name after `<`: {text:.60}");
    let mut element = Element { name: text[..end].to_owned(), attributes: Vec::new() };
    let mut rest = &text[end..];
    loop {
        let trimmed = rest.trim_start_matches([' ', '\n']);
        if let Some(after) = trimmed.strip_prefix("/>") {
            return (element, true, after);
        }
        if let Some(after) = trimmed.strip_prefix('>') {
            return (element, false, after);
        }
        assert_ne!(trimmed, rest, "a space stands before an attribute: {rest:.60}");
        let end = trimmed.find(|it| !is_name(it)).expect("an attribute ends");
        assert!(0 < end, "no attribute's name: {trimmed:.60}");
        let name = trimmed[..end].to_owned();
        assert!(element.attributes.iter().all(|it| it.0 != name), "{name} stands twice");
        rest = &trimmed[end..];
        let mut value = "";
        if let Some(after) = rest.strip_prefix("=\"") {
            (value, rest) = after.split_once('"').expect("a value ends");
            assert!(!value.contains(['<', '>']), "{name}={value}");
        }
        element.attributes.push((name, value.to_owned()));
    }
}

fn check_text(text: &str) {
    assert!(!text.contains('>'), "unescaped: {text:.80}");
    assert!(!text.chars().any(|it| it.is_control() && it != '\n'), "control character: {text:.80}");
}
