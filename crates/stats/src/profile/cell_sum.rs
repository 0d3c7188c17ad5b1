//! The sum of many rows of cells, in time that grows with what is added and not with what is there.
//!
//! A table by place with open addressing. What is added to stands in the table itself, so that a cell waits for one place of memory, and cells do not
//! wait for each other.

use super::cell::Cell;

/// Entries that a table begins with; a power of two. Profiles of one feature have some 1,350 cells each, most of them shared.
const FIRST_ENTRIES: usize = 1 << 12;

/// Of so many eighths of the entries, at most, there is a cell: then most cells are found where they are looked for first.
const MOST_EIGHTHS: usize = 5;

/// Where the level stands beside the rows. Their product with the parts of a cell passes 64 bits before they pass 56.
const LEVEL_BITS: u32 = 8;

/// A cell as half a line of a processor's cache. Without rows it is free.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(32))]
struct Entry {
    low: u64,
    /// The number of rows, then the level.
    rows_and_level: u64,
    position: u64,
    blur: u64,
}

impl Entry {
    fn level(&self) -> u8 {
        self.rows_and_level as u8
    }

    fn is_free(&self) -> bool {
        self.rows_and_level == 0
    }

    fn is_of(&self, low: u64, level: u8) -> bool {
        self.low == low && self.level() == level && !self.is_free()
    }
}

/// The sum.
#[derive(Debug, Clone, Default)]
pub(super) struct CellSum {
    /// A power of two of them, or none.
    entries: Vec<Entry>,
    /// Where the cells are, in order of first appearance: those of each profile came in order, which sorting makes use of.
    used: Vec<u32>,
}

impl CellSum {
    /// Adds the rows of one cell.
    #[inline]
    pub(super) fn add(&mut self, cell: Cell) {
        let mut at = self.first_place(cell.low, cell.level);
        // No entries are like none that is free.
        while let Some(entry) = self.entries.get_mut(at) {
            if entry.is_of(cell.low, cell.level) {
                entry.rows_and_level += cell.count << LEVEL_BITS;
                entry.position += cell.position;
                entry.blur += cell.blur;
                return;
            }
            if entry.is_free() {
                break;
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
        self.insert(cell, at);
    }

    #[cold]
    fn insert(&mut self, cell: Cell, mut at: usize) {
        if self.entries.len() * MOST_EIGHTHS <= self.used.len() * 8 {
            self.grow();
            at = self.free_place(cell.low, cell.level);
        }
        let Cell { low, level, count, position, blur } = cell;
        self.entries[at] = Entry { low, rows_and_level: count << LEVEL_BITS | u64::from(level), position, blur };
        self.used.push(at as u32);
    }

    /// Where a cell is looked for first.
    #[inline]
    fn first_place(&self, low: u64, level: u8) -> usize {
        // Knuth's multiplier, as in the table of distinct values. The low bits of places are zeros but for the level, which tells nested cells
        // apart, so only the high bits of the product are well mixed.
        const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
        let hash = (low ^ u64::from(level)).wrapping_mul(MULTIPLIER);
        // One bit is shifted apart, since an empty table would shift by all.
        (hash >> 1 >> (u64::BITS - 1 - self.entries.len().max(1).trailing_zeros())) as usize
    }

    fn free_place(&self, low: u64, level: u8) -> usize {
        let mut at = self.first_place(low, level);
        while !self.entries[at].is_free() {
            at = (at + 1) & (self.entries.len() - 1);
        }
        at
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![Entry::default(); (self.entries.len() * 2).max(FIRST_ENTRIES)];
        let entries = std::mem::replace(&mut self.entries, larger);
        let mut used = std::mem::take(&mut self.used);
        for place in &mut used {
            let entry = entries[*place as usize];
            let at = self.free_place(entry.low, entry.level());
            self.entries[at] = entry;
            *place = at as u32;
        }
        self.used = used;
    }

    /// The cells in order of `(low, level)`; then the sum is empty, and its room can be used again.
    pub(super) fn take(&mut self) -> Vec<Cell> {
        // As whole numbers, which are sorted faster than structures: places of cells, then places in the table.
        let order = |at: &u32| {
            let it = &self.entries[*at as usize];
            u128::from(it.low) << 64 | u128::from(it.level()) << 32 | u128::from(*at)
        };
        let mut places: Vec<u128> = self.used.iter().map(order).collect();
        places.sort();
        let cell = |place: &u128| {
            let it = std::mem::take(&mut self.entries[*place as u32 as usize]);
            let count = it.rows_and_level >> LEVEL_BITS;
            Cell { low: it.low, level: it.level(), count, position: it.position, blur: it.blur }
        };
        let cells = places.iter().map(cell).collect();
        self.used.clear();
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::merge;
    use super::*;

    fn cells(seed: u64, n: usize) -> Vec<Cell> {
        let mut state = seed;
        let mut draw = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let cell = |_| {
            let level = [0, 1, 7, 16, 22, 63, 64][draw(7) as usize];
            let low = (draw(1 << 20) << 44 | draw(3)) & !u64::MAX.checked_shr(level.into()).unwrap_or(0);
            Cell { position: draw(100), blur: draw(10), ..Cell::somewhere(low, level, 1 + draw(5)) }
        };
        let mut cells: Vec<Cell> = (0..n).map(cell).collect();
        cells.sort_by_key(|it| (it.low, it.level));
        cells.dedup_by_key(|it| (it.low, it.level));
        cells
    }

    #[test]
    fn a_sum_is_one_merge_after_another() {
        let mut sum = CellSum::default();
        assert_eq!(sum.take(), []);
        // More than the table begins with, and again in the room of the first time.
        for (seed, n) in [(1, 3000), (2, 50)] {
            let mut merged = Vec::new();
            for part in 0..4 {
                let cells = cells(seed * 10 + part, n);
                merged = merge(&merged, &cells);
                cells.iter().for_each(|it| sum.add(*it));
            }
            assert_eq!(sum.take(), merged);
        }
    }
}
