//! Scores from every row: each column is sorted once a side, and both sides are walked through once.

use std::sync::{Mutex, PoisonError};

use refit_stats::distance::Sample;
use refit_stats::scores::{categorical_scores, numeric_scores};

use super::categories::CategoryCounter;
use super::workers::{Pool, Workers, collect};
use super::{DriftError, FeatureComparison, FeatureScores, Side, SideColumns, SideCounts, groups, kinds};
use crate::block::{Block, BlockValues};
use crate::error::ReadError;
use crate::frame::Kind;
use crate::table::Table;

/// What the exact method may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExactOptions {
    /// Most memory for values, in bytes. A number takes 8 bytes a row on both sides, and 8 more a row of the longer side while it is sorted:
    /// 72 MB for 3 million rows a side. As many features are compared at once as fit, or one, or none: then it is an error. Of a text, which is read
    /// once for all features, all are held.
    pub memory: u64,
}

impl Default for ExactOptions {
    /// A gibibyte: 44 million rows a side.
    fn default() -> Self {
        ExactOptions { memory: 1 << 30 }
    }
}

const BYTES_PER_VALUE: u64 = 8;

/// Compares these features exactly; every table has them.
///
/// ```
/// use refit_data::drift::{ExactOptions, FeatureScores, OneWorker, compare_exact};
/// use refit_data::{ReadOptions, Table};
/// let (january, july) = (b"x\n1\n2\n3\n".to_vec(), b"x\n2\n3\n4\n".to_vec());
/// let reference = [Table::open(&january, &ReadOptions::all())?];
/// let current = [Table::open(&july, &ReadOptions::all())?];
/// let compared = compare_exact(&reference, &current, &["x"], ExactOptions::default(), &OneWorker)?;
/// let FeatureScores::Numeric(scores) = &compared[0].scores else { panic!("a number") };
/// assert_eq!((scores.ks.value, scores.ks.error_bound), (1.0 / 3.0, 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When a table cannot be read or lacks a feature, or a feature does not fit into the allowed memory.
pub fn compare_exact(
    reference: &[Table<'_>],
    current: &[Table<'_>],
    features: &[&str],
    options: ExactOptions,
    workers: &dyn Workers,
) -> Result<Vec<FeatureComparison>, DriftError> {
    let features = kinds(reference, features)?;
    let rows = |tables: &[Table<'_>]| tables.iter().map(Table::rows).sum::<Option<u64>>();
    let known = rows(reference).zip(rows(current));
    let needed = known.map(|(n, m)| (n + m + n.max(m)).saturating_mul(BYTES_PER_VALUE));
    let memory = Memory { needed, limit: options.memory, spare: Pool::new() };
    // Where the rows are not known before they are read, one group has all of the memory.
    let at_once = needed.map_or(1, |needed| options.memory.checked_div(needed).unwrap_or(u64::MAX));
    let at_once = usize::try_from(at_once).unwrap_or(usize::MAX).max(1);
    let groups = groups(reference.iter().chain(current), features.len());
    let group = |at: usize| &features[groups[at].clone()];
    let columns = |at: usize, side: Side| match side {
        Side::Reference => SideColumns::find(side, reference, group(at)),
        Side::Current => SideColumns::find(side, current, group(at)),
    };
    let both = |at: usize, reference: Vec<Sorted>, current: Vec<Sorted>| {
        let names = group(at).iter();
        names.zip(reference.into_iter().zip(current)).map(|((name, kind), it)| compare(name, *kind, it)).collect()
    };
    // With both sides sorted beside each other, twice what is held is needed.
    let beside = known.map(|(n, m)| (n + m).saturating_mul(2 * BYTES_PER_VALUE * groups.len() as u64));
    let is_few = groups.len() == features.len() && groups.len() <= FEW_GROUPS;
    let compared: Vec<Vec<FeatureComparison>> = if is_few && beside.is_some_and(|it| it <= options.memory) {
        // So few that cores would wait.
        let side = |it: usize| Ok((columns(it / 2, [Side::Reference, Side::Current][it % 2])?, group(it / 2)));
        let sides: Vec<_> = (0..2 * groups.len()).map(side).collect::<Result<_, DriftError>>()?;
        let mut sides = sorted_in_pieces(&sides, &memory, workers)?.into_iter();
        let pairs = std::iter::from_fn(|| sides.next().zip(sides.next()));
        pairs.enumerate().map(|(at, (reference, current))| both(at, reference, current)).collect()
    } else {
        collect(workers, (groups.len(), at_once), &|at| {
            let read = |side: Side, held: u64| {
                let columns = columns(at, side)?;
                Ok::<_, DriftError>(sorted(gather(&columns, &columns.parts(), group(at), &memory, held)?, &memory))
            };
            let reference = read(Side::Reference, 0)?;
            let held = reference.iter().map(Sorted::bytes).sum();
            Ok(both(at, reference, read(Side::Current, held)?))
        })?
    };
    Ok(compared.into_iter().flatten().collect())
}

/// Up to so many features, the sides of each are read and sorted beside each other: fewer than the cores of most machines.
const FEW_GROUPS: usize = 4;
/// Into so many pieces the row groups of a side are cut then.
const PIECES: usize = 8;

/// The columns of a side, and the features that they hold.
type SideFeatures<'a, 'b> = (SideColumns<'a, 'b>, &'a [(&'a str, Kind)]);

/// Reads the pieces of all sides beside each other, then sorts the sides beside each other.
fn sorted_in_pieces(
    sides: &[SideFeatures<'_, '_>],
    memory: &Memory,
    workers: &dyn Workers,
) -> Result<Vec<Vec<Sorted>>, DriftError> {
    let parts: Vec<Vec<(usize, usize)>> = sides.iter().map(|it| it.0.parts()).collect();
    let cut = |it: usize| parts[it].chunks(parts[it].len().div_ceil(PIECES).max(1)).map(move |piece| (it, piece));
    let pieces: Vec<(usize, &[(usize, usize)])> = (0..sides.len()).flat_map(cut).collect();
    let gathered = collect(workers, (pieces.len(), usize::MAX), &|at| {
        let (side, parts) = pieces[at];
        gather(&sides[side].0, parts, sides[side].1, memory, 0)
    })?;
    // Each side's pieces wait for the one task that takes them.
    let waiting: Vec<Mutex<Vec<Vec<Gathered>>>> = sides.iter().map(|_| Mutex::default()).collect();
    for ((side, _), piece) in pieces.iter().zip(gathered) {
        waiting[*side].lock().unwrap_or_else(PoisonError::into_inner).push(piece);
    }
    collect(workers, (sides.len(), usize::MAX), &|at| {
        let pieces = std::mem::take(&mut *waiting[at].lock().unwrap_or_else(PoisonError::into_inner));
        Ok(sorted(joined(pieces, sides[at].1.len()), memory))
    })
}

fn sorted(side: Vec<Gathered>, memory: &Memory) -> Vec<Sorted> {
    side.into_iter().map(|it| it.sorted(memory)).collect()
}

/// The features of pieces that lie behind one another.
fn joined(pieces: Vec<Vec<Gathered>>, n_features: usize) -> Vec<Gathered> {
    let mut pieces: Vec<_> = pieces.into_iter().map(Vec::into_iter).collect();
    let mut join = || pieces.iter_mut().filter_map(Iterator::next).reduce(Gathered::followed_by).unwrap_or_default();
    (0..n_features).map(|_| join()).collect()
}

struct Memory {
    /// What a number takes, where the rows are known.
    needed: Option<u64>,
    limit: u64,
    spare: Pool<Vec<u64>>,
}

/// What is held of a feature on one side.
#[derive(Default)]
struct Gathered {
    counts: SideCounts,
    /// The finite values of a number.
    values: Vec<f64>,
    /// The counts of a category.
    categories: CategoryCounter,
}

impl Gathered {
    fn bytes(&self) -> u64 {
        self.values.len() as u64 * BYTES_PER_VALUE + self.categories.bytes()
    }

    fn followed_by(mut self, behind: Gathered) -> Gathered {
        self.counts.count += behind.counts.count;
        self.counts.missing += behind.counts.missing;
        self.counts.non_finite += behind.counts.non_finite;
        self.values.reserve_exact(behind.values.len());
        self.values.extend_from_slice(&behind.values);
        self.categories.merge(behind.categories);
        self
    }

    fn sorted(self, memory: &Memory) -> Sorted {
        let bytes = self.bytes();
        let mut spare = memory.spare.take();
        let sample = Sample::from_finite_with(self.values, &mut spare);
        memory.spare.give(spare);
        Sorted { counts: self.counts, sample, categories: self.categories, bytes }
    }

    fn add(&mut self, block: &Block) {
        self.counts.count += block.rows() as u64;
        self.counts.missing += block.missing() as u64;
        match block.values() {
            BlockValues::Numbers(values) if values.iter().all(|it| it.is_finite()) => {
                self.values.extend_from_slice(values);
            }
            BlockValues::Numbers(values) => {
                let before = self.values.len();
                self.values.extend(values.iter().filter(|it| it.is_finite()));
                self.counts.non_finite += (values.len() - (self.values.len() - before)) as u64;
            }
            BlockValues::Categories { codes, dictionary } => self.categories.add(codes, dictionary),
            // Times were refused before anything was read.
            BlockValues::Times(_) => {}
        }
    }
}

/// The same with its values in order.
struct Sorted {
    counts: SideCounts,
    /// `None` without a value.
    sample: Option<Sample>,
    categories: CategoryCounter,
    bytes: u64,
}

impl Sorted {
    fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Reads parts of a side; `held` bytes of the other side are held already.
fn gather(
    columns: &SideColumns<'_, '_>,
    parts: &[(usize, usize)],
    group: &[(&str, Kind)],
    memory: &Memory,
    held: u64,
) -> Result<Vec<Gathered>, DriftError> {
    let limit = memory.limit;
    let refusal = |at: usize, needed| DriftError::Memory { name: group[at].0.to_owned(), needed, limit };
    if let Some(at) = group.iter().position(|it| it.1 == Kind::Numeric)
        && let Some(needed) = memory.needed.filter(|it| limit < *it)
    {
        return Err(refusal(at, needed));
    }
    let mut gathered: Vec<Gathered> = group.iter().map(|_| Gathered::default()).collect();
    // What a footer says of rows is a claim, so no more than a bit is believed.
    const BELIEVED: u64 = 1 << 22;
    let all = columns.tables.iter().map(|it| it.n_parts() as u64).sum::<u64>().max(1);
    let rows = columns.tables.iter().filter_map(Table::rows).sum::<u64>().saturating_mul(parts.len() as u64) / all;
    let rows = rows.min(BELIEVED);
    for (feature, _) in gathered.iter_mut().zip(group).filter(|(_, it)| it.1 == Kind::Numeric) {
        feature.values.reserve_exact(rows as usize);
    }
    let (mut held, mut refused) = (held, None);
    let scanned = columns.scan(parts, &mut |at, block| {
        let feature = &mut gathered[at];
        let before = feature.bytes();
        feature.add(block);
        held += feature.bytes().saturating_sub(before);
        // To sort a feature takes its room once more.
        let needed = held + feature.values.len() as u64 * BYTES_PER_VALUE;
        if limit < needed {
            refused = Some(refusal(at, needed));
            return Err(ReadError::TooLarge { what: "bytes of values are", limit });
        }
        Ok(())
    });
    match refused {
        Some(refused) => Err(refused),
        None => scanned.map(|()| gathered),
    }
}

fn compare(name: &str, kind: Kind, (reference, current): (Sorted, Sorted)) -> FeatureComparison {
    let counts = (reference.counts, current.counts);
    let scores = match kind {
        Kind::Numeric => {
            let samples = reference.sample.zip(current.sample);
            samples.map(|(r, c)| FeatureScores::Numeric(Box::new(numeric_scores(&r, &c))))
        }
        Kind::Categorical => {
            let reference = reference.categories.into_counts(counts.0.missing);
            let current = current.categories.into_counts(counts.1.missing);
            categorical_scores(&reference, &current).map(|it| FeatureScores::Categorical(Box::new(it)))
        }
        Kind::Time => None,
    };
    let scores = scores.unwrap_or(FeatureScores::Undefined);
    FeatureComparison { name: name.to_owned(), kind, reference: counts.0, current: counts.1, scores }
}
