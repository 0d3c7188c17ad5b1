//! The statistics of tables, exactly, in two passes.

use std::collections::BTreeMap;

use super::Number;
use super::statistics::{
    Bucket, Categories, Category, Common, Dataset, Distribution, FeatureStatistics, Histogram, InferredType,
    NumberStatistics, Statistics, TextDistribution, TextStatistics,
};
use crate::block::{Block, BlockValues};
use crate::error::ReadError;
use crate::frame::Kind;
use crate::table::Table;

/// The monitor has ten bins.
const N_BUCKETS: usize = 10;

/// The most values of a text that are listed; a file with more helps nobody.
const MAX_CATEGORIES: usize = 1_000;

/// The statistics of the columns called `features` of all `tables`, which have them. Times are left out; non-finite numbers count as missing.
///
/// # Errors
/// Says where a table is wrong.
pub fn statistics_of(tables: &[Table<'_>], features: &[&str]) -> Result<Statistics, ReadError> {
    let mut found = Statistics::default();
    for name in features {
        let column = tables.first().and_then(|it| it.columns().iter().find(|it| it.name == **name));
        let (feature, rows) = match column.map(|it| it.kind) {
            Some(Kind::Numeric) => of_numbers(tables, name)?,
            Some(Kind::Categorical) => of_texts(tables, name)?,
            Some(Kind::Time) | None => continue,
        };
        found.dataset = Dataset { item_count: Number(rows as f64) };
        found.features.push(feature);
    }
    Ok(found)
}

fn scan(
    tables: &[Table<'_>],
    name: &str,
    sink: &mut dyn FnMut(&Block) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    for table in tables {
        if let Some(at) = table.columns().iter().position(|it| it.name == name) {
            (0..table.n_parts()).try_for_each(|part| table.scan(part, &[at], &mut |_, block| sink(block)))?;
        }
    }
    Ok(())
}

/// Count, mean and squared deviations by Welford's method, which loses nothing where the mean is large.
struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
    sum: f64,
    min: f64,
    max: f64,
    is_integral: bool,
}

fn of_numbers(tables: &[Table<'_>], name: &str) -> Result<(FeatureStatistics, u64), ReadError> {
    let mut rows = 0;
    let mut it = Moments {
        n: 0.0,
        mean: 0.0,
        squares: 0.0,
        sum: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        is_integral: true,
    };
    scan(tables, name, &mut |block| {
        rows += block.rows() as u64;
        if let BlockValues::Numbers(values) = block.values() {
            for value in values.iter().copied().filter(|it| it.is_finite()) {
                it.n += 1.0;
                let off = value - it.mean;
                it.mean += off / it.n;
                it.squares += off * (value - it.mean);
                it.sum += value;
                (it.min, it.max) = (it.min.min(value), it.max.max(value));
                it.is_integral = it.is_integral && value.fract() == 0.0;
            }
        }
        Ok(())
    })?;
    let has_values = 0.0 < it.n;
    let distribution = if has_values { Some(buckets(tables, name, it.min, it.max)?) } else { None };
    let number = |value: f64| Number(if has_values { value } else { f64::NAN });
    let feature = FeatureStatistics {
        name: name.to_owned(),
        inferred_type: if it.is_integral { InferredType::Integral } else { InferredType::Fractional },
        numerical_statistics: Some(NumberStatistics {
            common: Common { num_present: Number(it.n), num_missing: Number(rows as f64 - it.n) },
            mean: number(it.mean),
            sum: Number(it.sum),
            std_dev: number((it.squares / it.n).sqrt()),
            min: number(it.min),
            max: number(it.max),
            distribution,
        }),
        string_statistics: None,
    };
    Ok((feature, rows))
}

fn buckets(tables: &[Table<'_>], name: &str, min: f64, max: f64) -> Result<Distribution, ReadError> {
    // Halves, because the whole span of a column may be beyond the range of a double.
    let edge = |at: usize| min + 2.0 * ((max / 2.0 - min / 2.0) * at as f64 / N_BUCKETS as f64);
    let edges: Vec<f64> = (1..N_BUCKETS).map(edge).collect();
    let mut counts = [0_u64; N_BUCKETS];
    scan(tables, name, &mut |block| {
        if let BlockValues::Numbers(values) = block.values() {
            for value in values.iter().filter(|it| it.is_finite()) {
                counts[edges.partition_point(|edge| edge <= value)] += 1;
            }
        }
        Ok(())
    })?;
    let bucket = |(at, count): (usize, &u64)| Bucket {
        lower_bound: Number(if at == 0 { min } else { edges[at - 1] }),
        upper_bound: Number(edges.get(at).copied().unwrap_or(max)),
        count: Number(*count as f64),
    };
    Ok(Distribution { kll: Histogram { buckets: counts.iter().enumerate().map(bucket).collect(), sketch: None } })
}

fn of_texts(tables: &[Table<'_>], name: &str) -> Result<(FeatureStatistics, u64), ReadError> {
    let (mut rows, mut missing) = (0_u64, 0_u64);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    scan(tables, name, &mut |block| {
        rows += block.rows() as u64;
        missing += block.missing() as u64;
        if let BlockValues::Categories { codes, dictionary } = block.values() {
            let mut here = vec![0_u64; dictionary.len()];
            codes.iter().for_each(|it| here[*it as usize] += 1);
            for (text, count) in dictionary.iter().zip(here).filter(|it| 0 < it.1) {
                match counts.get_mut(text) {
                    Some(sum) => *sum += count,
                    None => _ = counts.insert(text.clone(), count),
                }
            }
        }
        Ok(())
    })?;
    let n_distinct = counts.len();
    let mut categories: Vec<(String, u64)> = counts.into_iter().collect();
    categories.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    categories.truncate(MAX_CATEGORIES);
    let buckets =
        categories.into_iter().map(|(value, count)| Category { value, count: Number(count as f64) }).collect();
    let feature = FeatureStatistics {
        name: name.to_owned(),
        inferred_type: InferredType::String,
        numerical_statistics: None,
        string_statistics: Some(TextStatistics {
            common: Common { num_present: Number((rows - missing) as f64), num_missing: Number(missing as f64) },
            distinct_count: Number(n_distinct as f64),
            distribution: Some(TextDistribution { categorical: Categories { buckets } }),
        }),
    };
    Ok((feature, rows))
}
