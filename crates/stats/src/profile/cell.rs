//! Rows by interval of their keys, the intervals being nested or apart.
//!
//! A cell holds the rows whose keys share their first `level` bits (a node of the binary trie over all keys); where in the cell they are is
//! known only roughly. Cells of two profiles are the same, one within the other, or apart, whatever data they come from, so adding profiles is
//! adding the rows of the same cells, and no bound grows by it. [`compact`] makes few cells of many by joining all cells below a node.

use crate::key::value_of;

/// Parts of a cell by which positions are counted.
pub(super) const PARTS: u64 = 1 << 16;

/// Parts in a step, by which positions are stored.
const STEP: u64 = PARTS / 256;

/// Rows whose keys share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    /// The shared bits, then zeros: the least key of the cell.
    pub(super) low: u64,
    /// How many bits are shared, at most 64: then all rows have this very key.
    pub(super) level: u8,
    /// Rows, at least one.
    pub(super) count: u64,
    /// Sum over the rows of where in the cell they are, in parts of its keys.
    pub(super) position: u64,
    /// The sum of the positions is wrong by at most this.
    pub(super) blur: u64,
}

impl Cell {
    /// Rows of which nothing but the cell is known: taken to be in the middle, give or take half of the cell.
    pub(super) fn somewhere(low: u64, level: u8, count: u64) -> Cell {
        if level == 64 {
            return Cell { low, level, count, position: 0, blur: 0 };
        }
        Cell { low, level, count, position: count * (PARTS / 2), blur: count * (PARTS / 2) }
    }

    /// The greatest key of the cell.
    pub(super) fn high(&self) -> u64 {
        self.low | u64::MAX.checked_shr(self.level.into()).unwrap_or(0)
    }

    /// The mean position of the rows, as a key.
    pub(super) fn center(&self) -> u64 {
        if self.level == 64 {
            return self.low;
        }
        let within = (u128::from(self.position) << (64 - self.level)) / (u128::from(self.count) * u128::from(PARTS));
        self.low + within.min(u128::from(self.high() - self.low)) as u64
    }

    /// The cell with its position and blur in 256 steps, as it is stored; doing it again changes nothing.
    pub(super) fn rounded(&self) -> Cell {
        if self.level == 64 {
            return *self;
        }
        let (position, blur) = self.steps();
        Cell::of_steps(self.low, self.level, self.count, position, blur)
    }

    /// Mean position and blur of a row in steps of 1/256 of the cell.
    pub(super) fn steps(&self) -> (u8, u8) {
        let step = u128::from(self.count) * u128::from(STEP);
        let position = (u128::from(self.position) / step).min(255);
        let exact = position * step + step / 2;
        let blur = u128::from(self.blur) + exact.abs_diff(u128::from(self.position));
        (position as u8, blur.div_ceil(step).min(255) as u8)
    }

    /// The cell that was stored so.
    pub(super) fn of_steps(low: u64, level: u8, count: u64, position: u8, blur: u8) -> Cell {
        let position = count * STEP * u64::from(position) + count * (STEP / 2);
        Cell { low, level, count, position, blur: count * STEP * u64::from(blur) }
    }

    fn place(&self) -> (u64, u8) {
        (self.low, self.level)
    }
}

/// The shared bits of two cells, of which the first comes first.
fn shared_level(a: &Cell, b: &Cell) -> u8 {
    let shared = (a.low ^ b.low).leading_zeros() as u8;
    shared.min(a.level).min(b.level)
}

/// Adds two rows of cells, each in order of `(low, level)` without repetition.
pub(super) fn merge(a: &[Cell], b: &[Cell]) -> Vec<Cell> {
    let mut merged = Vec::with_capacity(a.len().max(b.len()) + 16);
    let (mut i, mut j) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        match x.place().cmp(&y.place()) {
            std::cmp::Ordering::Less => {
                merged.push(*x);
                i += 1;
            }
            std::cmp::Ordering::Greater => {
                merged.push(*y);
                j += 1;
            }
            std::cmp::Ordering::Equal => {
                merged.push(Cell {
                    count: x.count + y.count,
                    position: x.position + y.position,
                    blur: x.blur + y.blur,
                    ..*x
                });
                i += 1;
                j += 1;
            }
        }
    }
    merged.extend_from_slice(&a[i..]);
    merged.extend_from_slice(&b[j..]);
    merged
}

/// The range of the rows, as keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) low: u64,
    pub(super) high: u64,
}

/// How much more a wide cell weighs than its rows: a cell is as bad for the Wasserstein distance as its width times its rows, for ranks as its rows
/// alone. With 16, tails are cut finely enough for the former at the cost of some 5 % of the cells.
const WIDTH_WEIGHT: f64 = 16.0;

/// Below this level a cell holds several powers of two, over which positions by key are not positions by value.
pub(super) const LINEAR_LEVEL: u8 = 12;

/// Joins cells below common nodes until at most `n_cells` are left: first those with the fewest rows and the least width.
///
/// What is left is widened to the node right below the one that was kept open, if that is no worse than what was joined: so profiles of similar
/// data have the same cells, and their sum has hardly more. A frequent value stays a cell of its own.
pub(super) fn compact(cells: &[Cell], range: Range, n_cells: usize) -> Vec<Cell> {
    if cells.len() <= n_cells.max(1) {
        return cells.to_vec();
    }
    let scale = Scale::new(cells, range);
    let splits = splits(cells, &scale);
    let mut scores: Vec<f64> = splits.iter().map(|it| it.score).collect();
    let opened = n_cells.max(1) - 1;
    // The splits of one node have one score, so that a node is opened whole or not at all.
    let (_, limit, _) = scores.select_nth_unstable_by(opened, |a, b| b.total_cmp(a));
    let limit = *limit;
    let mut joined = Vec::with_capacity(n_cells);
    let (mut start, mut left) = (0, None);
    for end in 1..=cells.len() {
        let right = splits.get(end - 1);
        if right.is_some_and(|it| it.score <= limit) {
            continue;
        }
        let inner = splits[start..end - 1].iter().map(|it| it.level).min();
        let finest = inner.unwrap_or(cells[start].level);
        let coarsest = left.max(right.map(|it| it.level)).map_or(0, |it| it + 1);
        // A value that occurs twice is one of few: it stays exact.
        let is_value = inner.is_none() && finest == 64 && 1 < cells[start].count;
        let fits = |level: &u8| !is_value && scale.score(start, end - 1, *level) <= limit;
        joined.push(join(&cells[start..end], (coarsest..finest).find(fits).unwrap_or(finest)));
        (start, left) = (end, right.map(|it| it.level));
    }
    joined
}

/// Between two neighboring cells: the node that has them on different sides.
struct Split {
    level: u8,
    score: f64,
}

/// What it costs to know nothing but the node of some rows.
struct Scale<'a> {
    cells: &'a [Cell],
    range: Range,
    /// Rows before each cell, and all.
    before: Vec<u64>,
    total: f64,
    spread: f64,
}

impl<'a> Scale<'a> {
    fn new(cells: &'a [Cell], range: Range) -> Scale<'a> {
        let mut total = 0;
        let mut before = Vec::with_capacity(cells.len() + 1);
        before.push(0);
        before.extend(cells.iter().map(|it| {
            total += it.count;
            total
        }));
        Scale { cells, range, before, total: total as f64, spread: spread(cells, range, total) }
    }

    /// The score of these cells as one of this level; it falls with the level.
    fn score(&self, first: usize, last: usize, level: u8) -> f64 {
        let share = (self.before[last + 1] - self.before[first]) as f64 / self.total;
        let (low, high) = node(self.cells[first].low, level);
        let width = half_width(low, high, self.range) / self.spread;
        let bend = if level < LINEAR_LEVEL { 2.0 } else { 1.0 };
        share.max(WIDTH_WEIGHT * bend * share * width)
    }
}

/// First and last key of the node of a level that has this key.
fn node(key: u64, level: u8) -> (u64, u64) {
    let rest = u64::MAX.checked_shr(level.into()).unwrap_or(0);
    (key & !rest, key | rest)
}

fn splits(cells: &[Cell], scale: &Scale<'_>) -> Vec<Split> {
    let levels: Vec<u8> = cells.windows(2).map(|it| shared_level(&it[0], &it[1])).collect();
    // The node of a split spans the cells between the nearest splits of a lower level on both sides. Open nodes: level, first cell, last split;
    // splits of one node are linked backwards.
    let mut found: Vec<Split> = levels.iter().map(|level| Split { level: *level, score: 0.0 }).collect();
    let mut earlier: Vec<Option<usize>> = vec![None; levels.len()];
    let mut open: Vec<(u8, usize, usize)> = Vec::new();
    for at in 0..=levels.len() {
        let level = levels.get(at).copied();
        let mut first = at;
        while let Some((top, start, last)) = open.pop_if(|it| level.is_none_or(|level| level < it.0)) {
            let score = scale.score(start, at, top);
            let mut member = Some(last);
            while let Some(it) = member {
                found[it].score = score;
                member = earlier[it];
            }
            first = start;
        }
        let Some(level) = level else { break };
        match open.last_mut() {
            Some((top, _, last)) if *top == level => earlier[at] = Some(std::mem::replace(last, at)),
            Some(_) | None => open.push((level, first, at)),
        }
    }
    found
}

/// Half the distance between both keys within the range; half, so that it is finite.
fn half_width(low: u64, high: u64, range: Range) -> f64 {
    let (low, high) = (low.clamp(range.low, range.high), high.clamp(range.low, range.high));
    value_of(high) / 2.0 - value_of(low) / 2.0
}

/// Half the distance between the hundredths at both ends, as a unit of width; never 0.
fn spread(cells: &[Cell], range: Range, total: u64) -> f64 {
    let mut sum = 0;
    let low = cells.iter().find(|it| {
        sum += it.count;
        total / 100 < sum
    });
    sum = 0;
    let high = cells.iter().rev().find(|it| {
        sum += it.count;
        total / 100 < sum
    });
    let of = |low: u64, high: u64| half_width(low, high, range);
    let inner = low.zip(high).map_or(0.0, |(low, high)| of(low.low, high.high()));
    if 0.0 < inner { inner } else { of(range.low, range.high).max(f64::MIN_POSITIVE) }
}

/// All rows of some cells as the node of a level that has them all.
fn join(cells: &[Cell], level: u8) -> Cell {
    if let [cell] = cells
        && cell.level == level
    {
        return *cell;
    }
    let low = node(cells[0].low, level).0;
    let (mut count, mut keys, mut blur) = (0, 0_u128, 0_u128);
    for cell in cells {
        count += cell.count;
        // In keys; a position is one part in 2^16 of the cell.
        keys += u128::from(cell.count) * u128::from(cell.low - low)
            + ((u128::from(cell.position) << (64 - cell.level)) >> 16);
        blur += (u128::from(cell.blur) << (64 - cell.level)) >> 16;
    }
    // Each cell was rounded down by less than one key, and the sums by less than one part.
    let parts = |keys: u128| (keys << 16) >> (64 - level);
    let rounded = cells.len() as u128;
    Cell {
        low,
        level,
        count,
        position: parts(keys) as u64,
        blur: (parts(blur + rounded) as u64).saturating_add(2).min(count.saturating_mul(PARTS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::key_of;

    fn points(values: &[f64]) -> Vec<Cell> {
        values.iter().map(|it| Cell::somewhere(key_of(*it), 64, 1)).collect()
    }

    #[test]
    fn joined_points_keep_their_mean() {
        let cells = points(&[1.0, 1.25, 1.5, 1.75]);
        let range = Range { low: key_of(1.0), high: key_of(1.75) };
        let joined = compact(&cells, range, 1);
        assert_eq!(joined.len(), 1);
        assert_eq!(joined[0].count, 4);
        assert!((value_of(joined[0].center()) - 1.375).abs() < 1e-4);
    }

    #[test]
    fn heavy_cells_stay_apart() {
        let mut cells = points(&[1.0, 1.1, 3.0, 3.1, 5.0, 9.0]);
        cells[1].count = 1000;
        cells[4].count = 1000;
        let range = Range { low: key_of(1.0), high: key_of(9.0) };
        let kept = compact(&cells, range, 5);
        assert!(kept.len() <= 5);
        for at in [1, 4] {
            assert!(kept.contains(&cells[at]), "{kept:?}");
        }
    }

    #[test]
    fn merging_is_adding() {
        let (a, b) = (points(&[1.0, 2.0]), points(&[0.5, 2.0, 3.0]));
        let merged = merge(&a, &b);
        assert_eq!(merged.iter().map(|it| it.count).collect::<Vec<_>>(), [1, 1, 2, 1]);
        assert_eq!(merged, merge(&b, &a));
    }
}
