//! Counts of categories, and the table that two windows make together.
//!
//! Categories are compared byte by byte: no trimming, no case folding, no Unicode normalization. The empty string is a
//! category, and so is the text "NaN"; only an absent value is missing.

use std::collections::{BTreeMap, BTreeSet};

/// How often each category occurs in a window.
///
/// ```
/// use refit_stats::distance::CategoryCounts;
/// let counts = CategoryCounts::new(&[Some("b"), Some("a"), None, Some("b")]);
/// assert_eq!((counts.n_rows(), counts.n_null(), counts.n_distinct()), (4, 1, 2));
/// assert_eq!(counts.get("b"), 2);
/// assert_eq!(counts.missing_rate(), Some(0.25));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CategoryCounts {
    /// Each count is at least 1.
    counts: BTreeMap<String, u64>,
    n_null: u64,
}

impl CategoryCounts {
    /// Counts the rows of a column.
    pub fn new(values: &[Option<&str>]) -> Self {
        let mut counted = Self::default();
        for value in values {
            counted.add(*value, 1);
        }
        counted
    }

    /// Counts `n` more rows of one value, `None` being a missing one.
    pub fn add(&mut self, value: Option<&str>, n: u64) {
        if n == 0 {
            return;
        }
        match value {
            None => self.n_null += n,
            Some(it) => match self.counts.get_mut(it) {
                Some(count) => *count += n,
                None => drop(self.counts.insert(it.to_owned(), n)),
            },
        }
    }

    /// Returns the categories with their counts, by code point.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Returns how often a category occurs.
    pub fn get(&self, category: &str) -> u64 {
        self.counts.get(category).copied().unwrap_or(0)
    }

    /// Returns the number of different categories.
    pub fn n_distinct(&self) -> usize {
        self.counts.len()
    }

    /// Returns the number of missing values.
    pub fn n_null(&self) -> u64 {
        self.n_null
    }

    /// Returns the number of rows that have a category.
    pub fn n_present(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Returns the number of rows.
    pub fn n_rows(&self) -> u64 {
        self.n_present() + self.n_null
    }

    /// Returns the share of rows without a value; `None` without rows.
    pub fn missing_rate(&self) -> Option<f64> {
        (0 < self.n_rows()).then(|| self.n_null as f64 / self.n_rows() as f64)
    }
}

/// Counts of a reference and a current window over the union of their categories.
///
/// ```
/// use refit_stats::distance::{CategoryCounts, CategoryTable, CountPair};
/// let reference = CategoryCounts::new(&[Some("a"), Some("b")]);
/// let current = CategoryCounts::new(&[Some("a"), Some("c"), Some("c")]);
/// let table = CategoryTable::new(&reference, &current);
/// assert_eq!(table.categories, ["a", "b", "c"]);
/// assert_eq!((table.new_categories(), table.gone_categories()), (vec!["c"], vec!["b"]));
/// assert_eq!(table.new_category_rate(), Some(2.0 / 3.0));
/// assert!(1.0 < CountPair::new(&table.reference, &table.current)?.psi());
/// # Ok::<(), refit_stats::distance::CountsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryTable {
    /// Every category of either side, by code point.
    pub categories: Vec<String>,
    /// Counts of the reference, in that order.
    pub reference: Vec<u64>,
    /// Counts of the current window, in that order.
    pub current: Vec<u64>,
}

impl CategoryTable {
    /// Lines up the categories of both sides.
    pub fn new(reference: &CategoryCounts, current: &CategoryCounts) -> Self {
        let union: BTreeSet<&String> = reference.counts.keys().chain(current.counts.keys()).collect();
        Self {
            reference: union.iter().map(|it| reference.get(it)).collect(),
            current: union.iter().map(|it| current.get(it)).collect(),
            categories: union.into_iter().cloned().collect(),
        }
    }

    /// Returns the categories that only the current window has.
    pub fn new_categories(&self) -> Vec<&str> {
        self.absent_from(&self.reference)
    }

    /// Returns the categories that only the reference has.
    pub fn gone_categories(&self) -> Vec<&str> {
        self.absent_from(&self.current)
    }

    /// Returns the share of the current window's present values that are new categories; `None` without any.
    pub fn new_category_rate(&self) -> Option<f64> {
        let total: u64 = self.current.iter().sum();
        let new: u64 = self.reference.iter().zip(&self.current).filter(|(r, _)| **r == 0).map(|(_, c)| *c).sum();
        (0 < total).then(|| new as f64 / total as f64)
    }

    fn absent_from(&self, side: &[u64]) -> Vec<&str> {
        self.categories.iter().zip(side).filter(|(_, count)| **count == 0).map(|(name, _)| name.as_str()).collect()
    }
}
