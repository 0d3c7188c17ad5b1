//! Counts the categories of a column while it is streamed.

use std::collections::HashMap;
use std::sync::Arc;

use refit_stats::distance::CategoryCounts;

/// Counts by code while blocks share a dictionary, and by text across dictionaries: a text is looked at once a dictionary, not once a row.
#[derive(Default)]
pub(super) struct CategoryCounter {
    dictionary: Option<Arc<Vec<String>>>,
    /// By code of the dictionary.
    by_code: Vec<u64>,
    by_text: HashMap<String, u64>,
    text_bytes: u64,
}

/// What an entry costs beside its text: the count, the string's head, and the room that a hash table leaves free.
const ENTRY_BYTES: u64 = 64;

impl CategoryCounter {
    /// Counts codes into a dictionary, which blocks in a row may share. Codes are valid indices.
    pub(super) fn add(&mut self, codes: &[u32], dictionary: &Arc<Vec<String>>) {
        if self.dictionary.as_ref().is_none_or(|it| !Arc::ptr_eq(it, dictionary)) {
            self.flush();
            self.by_code.resize(dictionary.len(), 0);
            self.dictionary = Some(Arc::clone(dictionary));
        }
        for code in codes {
            self.by_code[*code as usize] += 1;
        }
    }

    /// Counts all that another has counted.
    pub(super) fn merge(&mut self, other: CategoryCounter) {
        for (text, n) in other.finish() {
            self.add_text(&text, n);
        }
    }

    /// How much memory the counts take, roughly.
    pub(super) fn bytes(&self) -> u64 {
        self.text_bytes + ENTRY_BYTES * self.by_text.len() as u64
    }

    /// Counts rows of one text.
    pub(super) fn add_text(&mut self, text: &str, n: u64) {
        match self.by_text.get_mut(text) {
            Some(sum) => *sum += n,
            None => {
                self.text_bytes += text.len() as u64;
                self.by_text.insert(text.to_owned(), n);
            }
        }
    }

    fn flush(&mut self) {
        let Some(dictionary) = self.dictionary.take() else { return };
        if self.by_text.is_empty() {
            // At once: growing step by step holds two tables.
            self.by_text.reserve(self.by_code.iter().filter(|it| 0 < **it).count());
        }
        let by_code = std::mem::take(&mut self.by_code);
        for (text, count) in dictionary.iter().zip(by_code).filter(|it| 0 < it.1) {
            self.add_text(text, count);
        }
    }

    /// The counts by text, in no order.
    pub(super) fn finish(mut self) -> HashMap<String, u64> {
        self.flush();
        self.by_text
    }

    /// The counts with the number of rows without a value.
    pub(super) fn into_counts(self, n_missing: u64) -> CategoryCounts {
        let mut counts = CategoryCounts::default();
        for (text, count) in self.finish() {
            counts.add(Some(&text), count);
        }
        counts.add(None, n_missing);
        counts
    }
}
