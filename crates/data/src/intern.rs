//! The codes of texts, each text held once.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

/// Codes into a dictionary that is kept elsewhere, so that no text is held twice.
///
/// ```
/// use refit_data::{Categories, Interner};
/// let (mut interner, mut column) = (Interner::default(), Categories::default());
/// for text in ["JFK", "LGA", "JFK"] {
///     column.codes.push(interner.code(text, &mut column.dictionary));
/// }
/// assert_eq!((column.codes, column.dictionary), (vec![0, 1, 0], vec!["JFK".to_owned(), "LGA".to_owned()]));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Interner {
    codes: HashTable<u32>,
    state: RandomState,
}

impl Interner {
    /// The code of `text`, which is appended to the dictionary the first time. The dictionary is the one of every call before.
    pub fn code(&mut self, text: &str, dictionary: &mut Vec<String>) -> u32 {
        let Interner { codes, state } = self;
        let hash = state.hash_one(text);
        if let Some(code) = codes.find(hash, |it| dictionary[*it as usize] == text) {
            return *code;
        }
        // Rows are limited to far fewer than 2^32, so a code never reaches MISSING.
        let code = dictionary.len() as u32;
        dictionary.push(text.to_owned());
        codes.insert_unique(hash, code, |it| state.hash_one(&dictionary[*it as usize]));
        code
    }

    /// Forgets all texts, for another dictionary.
    pub(crate) fn clear(&mut self) {
        self.codes.clear();
    }
}
