//! Scores from every row: each column is sorted once a side, and both sides are walked through once.

use refit_stats::distance::{CategoryCounts, Sample};
use refit_stats::scores::{categorical_scores, numeric_scores};

use super::categories::CategoryCounter;
use super::workers::{Pool, Workers, collect};
use super::{DriftError, FeatureColumn, FeatureComparison, FeatureScores, Side, SideCounts, kinds};
use crate::block::BlockValues;
use crate::frame::Kind;
use crate::table::Table;

/// What the exact method may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExactOptions {
    /// Most memory for values, in bytes. A number takes 8 bytes a row on both sides, and 8 more a row of the longer side while it is sorted:
    /// 72 MB for 3 million rows a side. As many features are compared at once as fit, or one, or none: then it is an error.
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
    let kinds = kinds(reference, features)?;
    let rows = |tables: &[Table<'_>]| tables.iter().filter_map(Table::rows).sum::<u64>();
    let (n, m) = (rows(reference), rows(current));
    let needed = (n + m + n.max(m)).saturating_mul(BYTES_PER_VALUE);
    let at_once = options.memory.checked_div(needed).unwrap_or(u64::MAX);
    let memory = Memory { needed, limit: options.memory, spare: Pool::new() };
    let at_once = usize::try_from(at_once).unwrap_or(usize::MAX).max(1);
    collect(workers, (features.len(), at_once), &|at| {
        let (name, kind) = (features[at], kinds[at]);
        let sides = (
            FeatureColumn::find(Side::Reference, reference, name, kind)?,
            FeatureColumn::find(Side::Current, current, name, kind)?,
        );
        let (reference, current, scores) = match kind {
            Kind::Numeric => compare_numbers(name, &sides, &memory)?,
            Kind::Categorical => compare_categories(name, &sides, &memory)?,
            Kind::Time => return Err(DriftError::Time(name.to_owned())),
        };
        Ok(FeatureComparison { name: name.to_owned(), kind, reference, current, scores })
    })
}

struct Memory {
    needed: u64,
    limit: u64,
    spare: Pool<Vec<u64>>,
}

type Compared = (SideCounts, SideCounts, FeatureScores);

fn compare_numbers(
    name: &str,
    (reference, current): &(FeatureColumn<'_, '_>, FeatureColumn<'_, '_>),
    memory: &Memory,
) -> Result<Compared, DriftError> {
    if memory.limit < memory.needed {
        return Err(DriftError::Memory { name: name.to_owned(), needed: memory.needed, limit: memory.limit });
    }
    let mut spare = memory.spare.take();
    let (of_reference, reference) = read_numbers(reference, &mut spare)?;
    let (of_current, current) = read_numbers(current, &mut spare)?;
    memory.spare.give(spare);
    let scores = match (reference, current) {
        (Some(reference), Some(current)) => FeatureScores::Numeric(Box::new(numeric_scores(&reference, &current))),
        (None, _) | (_, None) => FeatureScores::Undefined,
    };
    Ok((of_reference, of_current, scores))
}

fn read_numbers(
    column: &FeatureColumn<'_, '_>,
    spare: &mut Vec<u64>,
) -> Result<(SideCounts, Option<Sample>), DriftError> {
    let mut counts = SideCounts::default();
    // Known row counts are those of a footer that agrees with its row groups; still they are claims, so no more than a bit is believed.
    const BELIEVED: u64 = 1 << 22;
    let mut values: Vec<f64> = Vec::with_capacity(column.rows().min(BELIEVED) as usize);
    column.scan(&mut |block| {
        counts.count += block.rows() as u64;
        counts.missing += block.missing() as u64;
        if let BlockValues::Numbers(block) = block.values() {
            if block.iter().all(|it| it.is_finite()) {
                values.extend_from_slice(block);
            } else {
                let before = values.len();
                values.extend(block.iter().filter(|it| it.is_finite()));
                counts.non_finite += (block.len() - (values.len() - before)) as u64;
            }
        }
        Ok(())
    })?;
    Ok((counts, Sample::from_finite_with(values, spare)))
}

fn compare_categories(
    name: &str,
    (reference, current): &(FeatureColumn<'_, '_>, FeatureColumn<'_, '_>),
    memory: &Memory,
) -> Result<Compared, DriftError> {
    let (of_reference, reference) = read_categories(name, reference, memory)?;
    let (of_current, current) = read_categories(name, current, memory)?;
    let scores = categorical_scores(&reference, &current).map(|it| FeatureScores::Categorical(Box::new(it)));
    Ok((of_reference, of_current, scores.unwrap_or(FeatureScores::Undefined)))
}

fn read_categories(
    name: &str,
    column: &FeatureColumn<'_, '_>,
    memory: &Memory,
) -> Result<(SideCounts, CategoryCounts), DriftError> {
    let mut counts = SideCounts::default();
    let mut counter = CategoryCounter::default();
    column.scan(&mut |block| {
        counts.count += block.rows() as u64;
        counts.missing += block.missing() as u64;
        if let BlockValues::Categories { codes, dictionary } = block.values() {
            counter.add(codes, dictionary);
        }
        Ok(())
    })?;
    if memory.limit < counter.bytes() {
        return Err(DriftError::Memory { name: name.to_owned(), needed: counter.bytes(), limit: memory.limit });
    }
    Ok((counts, counter.into_counts(counts.missing)))
}
