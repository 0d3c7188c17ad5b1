//! How documents become text.

use serde::Serialize;

/// Most documents fit: their text is written without being moved while it grows.
const USUAL_BYTES: usize = 4_096;

/// A document as JSON.
///
/// # Panics
/// Never for Refit's own documents, whose map keys are texts.
#[must_use]
pub fn to_json<T: Serialize + ?Sized>(document: &T) -> String {
    let mut text = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut text, document).expect("invariant: own documents serialize");
    String::from_utf8(text).expect("invariant: JSON is UTF-8")
}
