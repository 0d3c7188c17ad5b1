//! Two classifiers' answers to the same rows.

use crate::distance::chi_square_tail;
use crate::laws::binomial_lower;

/// McNemar's tests of one table. With no row on which the models disagree the statistics are undefined and every p-value is 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct McNemar {
    /// Rows on which just one of them is right.
    pub discordant: u64,
    /// Two-sided p-value of the exact test (binomial).
    pub exact_p: f64,
    /// Chi-square with continuity correction; `None` without a discordant row.
    pub chi2_corrected: Option<f64>,
    /// p-value of `chi2_corrected`.
    pub p_corrected: f64,
    /// Chi-square without correction; `None` without a discordant row.
    pub chi2_uncorrected: Option<f64>,
    /// p-value of `chi2_uncorrected`.
    pub p_uncorrected: f64,
}

/// Tests whether two models are right equally often, given how often only the one and only the other is right.
///
/// Q. McNemar, 1947; as `statsmodels.stats.contingency_tables.mcnemar`, so the correction takes 1 from the difference even
/// where that is 0. Rows on which both are right or both wrong say nothing. The exact test is the one for up to some 50
/// discordant rows.
///
/// ```
/// use refit_stats::compare::mcnemar;
/// let found = mcnemar(12, 5);
/// assert!((found.exact_p - 0.143463134765625).abs() < 1e-12);
/// assert_eq!(mcnemar(0, 0).exact_p, 1.0);
/// ```
pub fn mcnemar(only_first_right: u64, only_second_right: u64) -> McNemar {
    let (fewer, discordant) = (only_first_right.min(only_second_right), only_first_right + only_second_right);
    if discordant == 0 {
        let (p, none) = (1.0, None);
        return McNemar {
            discordant,
            exact_p: p,
            chi2_corrected: none,
            p_corrected: p,
            chi2_uncorrected: none,
            p_uncorrected: p,
        };
    }
    let gap = only_first_right.abs_diff(only_second_right) as f64;
    let corrected = (gap - 1.0) * (gap - 1.0) / discordant as f64;
    let uncorrected = gap * gap / discordant as f64;
    McNemar {
        discordant,
        exact_p: (2.0 * binomial_lower(fewer, discordant, 0.5)).min(1.0),
        chi2_corrected: Some(corrected),
        p_corrected: chi_square_tail(corrected, 1),
        chi2_uncorrected: Some(uncorrected),
        p_uncorrected: chi_square_tail(uncorrected, 1),
    }
}
