//! Tests of whether two rows of counts come from one distribution.
//!
//! Both rows are samples: the expected counts come from both together. (Testing the window against scaled reference counts
//! would treat the reference as exact and about double the statistic.)

use statrs::function::gamma::gamma_ur;

use crate::binomial::probability;
use crate::sum::pairwise_by;

/// Relative slack within which two tables count as equally likely in Fisher's test.
///
/// Tables that tie by symmetry differ by rounding of some 1e-14.
const FISHER_TIE: f64 = 1e-9;

/// The two-sample chi-square and likelihood-ratio tests.
///
/// ```
/// let test = refit_stats::distance::homogeneity(&[54, 66], &[41, 89]).expect("two categories");
/// assert_eq!(test.degrees_of_freedom, 1);
/// assert!((test.chi2_p - 0.028467504540893883).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Homogeneity {
    /// Pearson's statistic, without a continuity correction.
    pub chi2: f64,
    /// Categories less one.
    pub degrees_of_freedom: u64,
    /// p-value of `chi2`.
    pub chi2_p: f64,
    /// Effect size: root of `chi2` over the number of rows.
    pub cramers_v: f64,
    /// Smallest expected count; below about 5 the p-values are rough.
    pub min_expected: f64,
    /// Likelihood-ratio statistic.
    pub g: f64,
    /// p-value of `g`.
    pub g_p: f64,
}

/// Tests whether both rows of counts come from one distribution.
///
/// `None` if the rows differ in length, one is empty, or fewer than two categories occur. Categories that occur in neither
/// row are left out.
pub fn homogeneity(reference: &[u64], current: &[u64]) -> Option<Homogeneity> {
    let columns = occurring(reference, current)?;
    let table = Expected::new(&columns);
    let sum = |term: fn(f64, f64) -> f64| {
        pairwise_by(columns.len(), &|at| {
            let (r, c) = columns[at];
            let (expected_r, expected_c) = table.of(r + c);
            term(r, expected_r) + term(c, expected_c)
        })
    };
    let chi2 = sum(|observed, expected| (observed - expected) * (observed - expected) / expected);
    // Never negative in exact arithmetic.
    let g = sum(|observed, expected| if observed == 0.0 { 0.0 } else { 2.0 * observed * (observed / expected).ln() })
        .max(0.0);
    let degrees_of_freedom = columns.len() as u64 - 1;
    let smallest = columns.iter().map(|(r, c)| r + c).fold(f64::INFINITY, f64::min);
    let (least_r, least_c) = table.of(smallest);
    Some(Homogeneity {
        chi2,
        degrees_of_freedom,
        chi2_p: chi_square_tail(chi2, degrees_of_freedom),
        cramers_v: (chi2 / (table.reference + table.current)).sqrt(),
        min_expected: least_r.min(least_c),
        g,
        g_p: chi_square_tail(g, degrees_of_freedom),
    })
}

/// Tests that exist only for two categories.
///
/// ```
/// let test = refit_stats::distance::two_by_two([54, 66], [41, 89]).expect("two categories");
/// assert!((test.fisher_p - 0.0367405742881234).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoByTwo {
    /// Chi-square with Yates' continuity correction.
    pub chi2_yates: f64,
    /// p-value of `chi2_yates`.
    pub chi2_yates_p: f64,
    /// Two-sided p-value of Fisher's exact test.
    pub fisher_p: f64,
}

/// Tests a table of two rows and two categories; `None` if a row or a category is empty.
pub fn two_by_two(reference: [u64; 2], current: [u64; 2]) -> Option<TwoByTwo> {
    let columns = occurring(&reference, &current).filter(|it| it.len() == 2)?;
    let table = Expected::new(&columns);
    let chi2_yates = columns
        .iter()
        .map(|(r, c)| {
            let (expected_r, expected_c) = table.of(r + c);
            let gap = (r - expected_r).abs();
            let gap = gap - gap.min(0.5);
            gap * gap / expected_r + gap * gap / expected_c
        })
        .sum();
    Some(TwoByTwo { chi2_yates, chi2_yates_p: chi_square_tail(chi2_yates, 1), fisher_p: fisher(reference, current) })
}

/// Columns in which something occurs, if the tables are of one width with at least two such and no empty row.
fn occurring(reference: &[u64], current: &[u64]) -> Option<Vec<(f64, f64)>> {
    if reference.len() != current.len() {
        return None;
    }
    let both = reference.iter().zip(current);
    let columns: Vec<_> = both.filter(|(r, c)| 0 < **r || 0 < **c).map(|(r, c)| (*r as f64, *c as f64)).collect();
    let empty_row = columns.iter().all(|(r, _)| *r == 0.0) || columns.iter().all(|(_, c)| *c == 0.0);
    (2 <= columns.len() && !empty_row).then_some(columns)
}

/// Row totals, from which the expected counts of a column follow.
struct Expected {
    reference: f64,
    current: f64,
}

impl Expected {
    fn new(columns: &[(f64, f64)]) -> Self {
        Self { reference: columns.iter().map(|it| it.0).sum(), current: columns.iter().map(|it| it.1).sum() }
    }

    fn of(&self, column: f64) -> (f64, f64) {
        let total = self.reference + self.current;
        (self.reference * column / total, self.current * column / total)
    }
}

/// Returns `P(X >= statistic)` of the chi-square law.
pub(crate) fn chi_square_tail(statistic: f64, degrees_of_freedom: u64) -> f64 {
    if statistic <= 0.0 {
        return 1.0;
    }
    // Rounding can pass 1 by a bit.
    gamma_ur(degrees_of_freedom as f64 / 2.0, statistic / 2.0).clamp(0.0, 1.0)
}

/// Sum of the probabilities of all tables with these margins that are no likelier than this one.
fn fisher(reference: [u64; 2], current: [u64; 2]) -> f64 {
    let row = reference[0] + reference[1];
    let other_row = current[0] + current[1];
    let column = reference[0] + current[0];
    let share = column as f64 / (row + other_row) as f64;
    // Hypergeometric as a quotient of binomials, whose common denominator cancels in the ratio of the sums.
    let of = |hits: u64| {
        let part =
            |hits: u64, trials: u64| probability(hits, trials, trials as f64 * share, trials as f64 * (1.0 - share));
        part(hits, row) * part(column - hits, other_row)
    };
    let limit = of(reference[0]) * (1.0 + FISHER_TIE);
    let (mut tail, mut total) = (0.0, 0.0);
    for hits in column.saturating_sub(other_row)..=row.min(column) {
        let it = of(hits);
        total += it;
        if it <= limit {
            tail += it;
        }
    }
    if total <= 0.0 { 0.0 } else { (tail / total).min(1.0) }
}
