//! Counts keys into a trie that grows where the rows are, in one pass.
//!
//! The first 16 bits of a key choose one of 65,536 cells; a cell that becomes heavy is split into 64 by the next six bits, and so on to the last
//! bit. Rows that were counted before a split stay with the parent, as rows of which only its interval is known. A cell may hold 32 rows or
//! one in 4,096, whichever is more, before it is split, so at any place at most that share for each level that was split is unknown: some
//! 0.05 % for data of any offset and scale, in any order.

use super::cell::Cell;
use crate::key::key_of;

const ROOT_BITS: u32 = 16;
const ROOT_SHIFT: u32 = u64::BITS - ROOT_BITS;
const NODE_BITS: u32 = 6;
const NODE_CELLS: usize = 1 << NODE_BITS;
/// The root counts as so many nodes.
const ROOT_NODES: usize = 1 << (ROOT_BITS - NODE_BITS);

/// A cell below this is a count; from it on, the number of a node.
const LINK: u32 = 1 << 31;

/// A cell of a single key is emptied here, long before its count could be taken for a link.
const FULL: u32 = 1 << 30;

const MIN_LIMIT: u64 = 32;
const LIMIT_SHARE: u64 = 4096;

/// The trie.
pub(super) struct Trie {
    /// 65,536 cells of the root, then 64 cells for each node.
    cells: Vec<u32>,
    /// Rows that were in the cell when it became the node; none for the root.
    before: Vec<u32>,
    /// A cell is split when it holds so many rows.
    limit: u32,
    rows: u64,
    /// The key that was the first to be heavy by itself, and its rows: data with one frequent value does not walk down for it each time.
    hot: Option<u64>,
    hot_rows: u64,
    /// Full cells of single keys.
    full: Vec<u64>,
}

impl Trie {
    /// An empty trie for data of which `rows` were seen already and one value was frequent.
    pub(super) fn new(hot: Option<u64>, rows: u64) -> Trie {
        Trie {
            cells: vec![0; ROOT_NODES * NODE_CELLS],
            before: vec![0; ROOT_NODES],
            limit: MIN_LIMIT as u32,
            rows,
            hot,
            hot_rows: 0,
            full: Vec::new(),
        }
    }

    /// Counts finite values; a few thousand at a time, so that the limit follows the rows.
    pub(super) fn add(&mut self, values: &[f64]) {
        self.rows += values.len() as u64;
        self.limit = (self.rows / LIMIT_SHARE).clamp(MIN_LIMIT, u64::from(FULL)) as u32;
        match self.hot {
            None => values.iter().for_each(|it| self.count(key_of(*it))),
            Some(hot) => {
                for value in values {
                    let key = key_of(*value);
                    if key == hot {
                        self.hot_rows += 1;
                    } else {
                        self.count(key);
                    }
                }
            }
        }
    }

    fn count(&mut self, key: u64) {
        let mut at = (key >> ROOT_SHIFT) as usize;
        let mut shift = ROOT_SHIFT;
        loop {
            let cell = self.cells[at];
            if cell < LINK {
                self.cells[at] = cell + 1;
                if self.limit <= cell {
                    self.grow(at, key, shift);
                }
                return;
            }
            shift -= NODE_BITS;
            at = (cell - LINK) as usize * NODE_CELLS + (key >> shift) as usize % NODE_CELLS;
        }
    }

    /// Splits a heavy cell, or notes that its only key is frequent.
    #[cold]
    fn grow(&mut self, at: usize, key: u64, shift: u32) {
        if shift == 0 {
            self.hot = self.hot.or(Some(key));
            if FULL <= self.cells[at] {
                self.full.push(key);
                self.cells[at] -= FULL;
            }
            return;
        }
        let node = self.before.len() as u32;
        self.before.push(std::mem::replace(&mut self.cells[at], LINK + node));
        self.cells.resize(self.cells.len() + NODE_CELLS, 0);
    }

    /// The cells with rows, in order; and keys with rows that no cell has, in no order.
    pub(super) fn finish(&self) -> (Vec<Cell>, Vec<(u64, u64)>) {
        let mut found = Vec::new();
        for slot in 0..ROOT_NODES * NODE_CELLS {
            self.collect(slot, (slot as u64) << ROOT_SHIFT, ROOT_SHIFT, &mut found);
        }
        let full = self.full.iter().map(|it| (*it, u64::from(FULL)));
        (found, full.chain(self.hot.map(|it| (it, self.hot_rows))).filter(|it| 0 < it.1).collect())
    }

    fn collect(&self, at: usize, low: u64, shift: u32, found: &mut Vec<Cell>) {
        let cell = self.cells[at];
        let level = (u64::BITS - shift) as u8;
        if cell < LINK {
            if 0 < cell {
                found.push(Cell::somewhere(low, level, cell.into()));
            }
            return;
        }
        let node = (cell - LINK) as usize;
        if 0 < self.before[node] {
            found.push(Cell::somewhere(low, level, self.before[node].into()));
        }
        let shift = shift - NODE_BITS;
        for child in 0..NODE_CELLS {
            self.collect(node * NODE_CELLS + child, low | (child as u64) << shift, shift, found);
        }
    }
}
