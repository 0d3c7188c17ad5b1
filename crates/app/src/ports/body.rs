//! The text of an item, shared by whoever holds it, and read into a document once.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;

/// A JSON document as it is stored. Clones share the text, and what it was read into: a table in memory hands the same
/// document to every reader, and reading is a function of the text alone.
#[derive(Clone)]
pub struct Body(Arc<Shared>);

struct Shared {
    text: Box<str>,
    /// The document, once somebody has read it while others held it, too.
    read: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Body {
    /// The text of a document, with the document itself: whoever reads it from this process's memory need not parse it.
    /// Stores that keep texts give texts back, which are parsed.
    #[must_use]
    pub fn of<T: Send + Sync + 'static>(text: String, document: Arc<T>) -> Body {
        let read: OnceLock<Arc<dyn Any + Send + Sync>> = OnceLock::new();
        let _ = read.set(document);
        Body(Arc::new(Shared { text: text.into_boxed_str(), read }))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The document; read once for all clones, as whatever type it was read first.
    ///
    /// # Errors
    /// When the text is not such a document.
    pub fn read<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, serde_json::Error> {
        if let Some(Ok(known)) = self.0.read.get().map(|it| Arc::clone(it).downcast::<T>()) {
            return Ok(known);
        }
        let document: Arc<T> = Arc::new(serde_json::from_str(self.as_str())?);
        // Nobody else could ask again for what only one holds.
        if 1 < Arc::strong_count(&self.0) {
            let _ = self.0.read.set(document.clone());
        }
        Ok(document)
    }
}

impl Deref for Body {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Body(Arc::new(Shared { text: text.into_boxed_str(), read: OnceLock::new() }))
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Body {
        Body::from(text.to_owned())
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Body) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for Body {}

impl PartialEq<str> for Body {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl Hash for Body {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.as_str().hash(hasher);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_read_one_document() {
        let body = Body::from("[1,2]");
        let other = body.clone();
        let one = body.read::<Vec<u8>>().expect("a list");
        assert!(Arc::ptr_eq(&one, &other.read::<Vec<u8>>().expect("a list")));
        assert_eq!(*other.read::<Vec<u64>>().expect("another type of list"), [1, 2]);
        assert!(other.read::<String>().is_err());
        assert!(Arc::ptr_eq(&one, &body.read::<Vec<u8>>().expect("a list")));
    }

    #[test]
    fn a_document_that_was_written_is_not_parsed() {
        let list = Arc::new(vec![1_u8, 2]);
        let body = Body::of("[1,2]".to_owned(), Arc::clone(&list));
        assert!(Arc::ptr_eq(&list, &body.read::<Vec<u8>>().expect("a list")));
        assert_eq!(*body.read::<Vec<u64>>().expect("another type of list"), [1, 2]);
    }

    #[test]
    fn a_body_is_its_text() {
        let body = Body::from("{}".to_owned());
        assert_eq!(body, Body::from("{}"));
        assert_ne!(body, Body::from("[]"));
        assert_eq!((format!("{body}"), format!("{body:?}")), ("{}".to_owned(), "\"{}\"".to_owned()));
    }
}
