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
    /// Part of a text's hash beside its code: most texts that differ are told apart without being looked at.
    codes: HashTable<(u32, u32)>,
    state: RandomState,
}

impl Interner {
    /// The code of `text`, which is appended to the dictionary the first time. The dictionary is the one of every call before.
    pub fn code(&mut self, text: &str, dictionary: &mut Vec<String>) -> u32 {
        let Interner { codes, state } = self;
        let hash = (state.hash_one(text) >> 32) as u32;
        if let Some((_, code)) = codes.find(spread(hash), |it| it.0 == hash && dictionary[it.1 as usize] == text) {
            return *code;
        }
        // Rows are limited to far fewer than 2^32, so a code never reaches MISSING.
        let code = dictionary.len() as u32;
        dictionary.push(text.to_owned());
        codes.insert_unique(spread(hash), (hash, code), |it| spread(it.0));
        code
    }

    /// Forgets all texts, for another dictionary.
    pub(crate) fn clear(&mut self) {
        self.codes.clear();
    }
}

/// The table looks at the upper bits, too.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}
