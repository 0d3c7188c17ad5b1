//! Champion against challenger on the same rows, and rates against rates.
//!
//! - [`delong`]: two areas under the curve of the same rows.
//! - [`mcnemar`]: two classifiers' right and wrong answers to the same rows.
//! - [`paired_difference`] and [`wilcoxon`]: differences of paired values, by their mean or by their ranks.
//! - [`two_proportions`], [`wilson`] and [`clopper_pearson`]: rates.
//!
//! Each assumes independent rows. Rows of one day err together: where that matters use [`crate::resample`], and where the data
//! are looked at more than once [`crate::sequential`]. Results are those of scipy and statsmodels, case by case
//! (`tests/oracle/compare.rs`).

mod delong;
mod mcnemar;
mod paired;
mod proportions;

pub use delong::{DeLong, delong};
pub use mcnemar::{McNemar, mcnemar};
pub use paired::{PairedDifference, Wilcoxon, paired_difference, wilcoxon};
pub use proportions::{TwoProportions, clopper_pearson, two_proportions, wilson};

/// Ranks from 1 on, equal values sharing their mean rank; and the sizes of the groups of equal values.
pub(crate) fn midranks(values: &[f64]) -> (Vec<f64>, Vec<usize>) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut groups = Vec::new();
    let mut start = 0;
    for end in 1..=order.len() {
        if end < order.len() && values[order[end]] == values[order[start]] {
            continue;
        }
        let rank = (start + 1 + end) as f64 / 2.0;
        order[start..end].iter().for_each(|at| ranks[*at] = rank);
        groups.push(end - start);
        start = end;
    }
    (ranks, groups)
}
