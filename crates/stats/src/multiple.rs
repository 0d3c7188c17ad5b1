//! Corrections of p-values when many hypotheses are tested at once.
//!
//! Forty features tested at 5 % give two false alarms a window. The family-wise rules (Bonferroni, Sidak, Holm, Hochberg,
//! Hommel) bound the chance of any false alarm; Benjamini-Hochberg and Benjamini-Yekutieli bound the share of false ones
//! among the alarms. Bonferroni, Holm and Benjamini-Yekutieli hold under any dependence, which features of one model
//! have; the others assume independence or a positive kind of it. Results are those of
//! `statsmodels.stats.multitest.multipletests`.

/// A rule that corrects p-values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Correction {
    /// Each p-value times their number.
    Bonferroni,
    /// The exact form of Bonferroni for independent tests.
    Sidak,
    /// Bonferroni, stepping down; never rejects less.
    Holm,
    /// Holm's factors, stepping up.
    Hochberg,
    /// Closed testing with Simes' test; never rejects less than Hochberg. Takes quadratic time.
    Hommel,
    /// False discovery rate of independent tests.
    BenjaminiHochberg,
    /// False discovery rate under any dependence.
    BenjaminiYekutieli,
}

impl Correction {
    /// Every rule.
    pub const ALL: [Self; 7] = [
        Self::Bonferroni,
        Self::Sidak,
        Self::Holm,
        Self::Hochberg,
        Self::Hommel,
        Self::BenjaminiHochberg,
        Self::BenjaminiYekutieli,
    ];

    /// Returns the name used in policies and reports, which is that of statsmodels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bonferroni => "bonferroni",
            Self::Sidak => "sidak",
            Self::Holm => "holm",
            Self::Hochberg => "simes-hochberg",
            Self::Hommel => "hommel",
            Self::BenjaminiHochberg => "fdr_bh",
            Self::BenjaminiYekutieli => "fdr_by",
        }
    }

    /// Returns the adjusted p-values in the given order; `None` if one is not in [0, 1].
    ///
    /// A hypothesis is rejected at `alpha` when its adjusted p-value is at most `alpha`; [`Correction::rejects`] decides
    /// that without the rounding of the adjustment.
    ///
    /// ```
    /// use refit_stats::multiple::Correction;
    /// let adjusted = Correction::Holm.adjusted(&[0.5, 0.125, 0.25]).expect("p-values");
    /// assert_eq!(adjusted, [0.5, 0.375, 0.5]);
    /// ```
    pub fn adjusted(self, p_values: &[f64]) -> Option<Vec<f64>> {
        let order = rising(p_values)?;
        let n = p_values.len();
        let sorted: Vec<f64> = order.iter().map(|at| p_values[*at]).collect();
        let mut scaled: Vec<f64> = (0..n).map(|rank| sorted[rank] * self.factor(rank, n)).collect();
        match self {
            Self::Bonferroni => {}
            Self::Sidak => {
                for (it, p) in scaled.iter_mut().zip(&sorted) {
                    *it = -(n as f64 * (-p).ln_1p()).exp_m1();
                }
            }
            Self::Holm => {
                for rank in 1..n {
                    scaled[rank] = scaled[rank].max(scaled[rank - 1]);
                }
            }
            Self::Hochberg | Self::BenjaminiHochberg | Self::BenjaminiYekutieli => {
                for rank in (1..n).rev() {
                    scaled[rank - 1] = scaled[rank - 1].min(scaled[rank]);
                }
            }
            Self::Hommel => scaled = hommel(&sorted),
        }
        let mut adjusted = vec![0.0; n];
        for (at, it) in order.into_iter().zip(scaled) {
            adjusted[at] = it.min(1.0);
        }
        Some(adjusted)
    }

    /// Tells for each hypothesis whether it is rejected at `alpha`; `None` if a p-value or `alpha` is not in [0, 1].
    ///
    /// ```
    /// use refit_stats::multiple::Correction;
    /// let rejects = Correction::Bonferroni.rejects(&[0.01, 0.04], 0.05).expect("p-values");
    /// assert_eq!(rejects, [true, false]);
    /// ```
    pub fn rejects(self, p_values: &[f64], alpha: f64) -> Option<Vec<bool>> {
        let order = rising(p_values)?;
        if !(0.0..=1.0).contains(&alpha) {
            return None;
        }
        let n = p_values.len();
        let meets = |rank: usize| p_values[order[rank]] <= alpha / self.factor(rank, n);
        let n_rejected = match self {
            Self::Bonferroni | Self::Holm => (0..n).take_while(|rank| meets(*rank)).count(),
            Self::Hochberg | Self::BenjaminiHochberg | Self::BenjaminiYekutieli => {
                (0..n).rev().find(|rank| meets(*rank)).map_or(0, |last| last + 1)
            }
            Self::Sidak => {
                let limit = -((-alpha).ln_1p() / n as f64).exp_m1();
                order.iter().filter(|at| p_values[**at] <= limit).count()
            }
            Self::Hommel => self.adjusted(p_values)?.iter().filter(|it| **it <= alpha).count(),
        };
        let mut rejects = vec![false; n];
        order[..n_rejected].iter().for_each(|at| rejects[*at] = true);
        Some(rejects)
    }

    /// What the p-value of 0-based `rank` among `n` is multiplied by; 1 where the rule is not a product.
    fn factor(self, rank: usize, n: usize) -> f64 {
        let (rank, size) = (rank as f64, n as f64);
        match self {
            Self::Bonferroni => size,
            Self::Holm | Self::Hochberg => size - rank,
            Self::BenjaminiHochberg => size / (rank + 1.0),
            Self::BenjaminiYekutieli => size / (rank + 1.0) * (1..=n).map(|it| 1.0 / it as f64).sum::<f64>(),
            Self::Sidak | Self::Hommel => 1.0,
        }
    }
}

/// Hommel's adjustment of rising p-values: G. Hommel, 1988, in the form of S. P. Wright, 1992.
fn hommel(sorted: &[f64]) -> Vec<f64> {
    let n = sorted.len();
    let mut adjusted = sorted.to_vec();
    for size in (2..=n).rev() {
        let split = n - size;
        let scale = size as f64;
        let simes = |rank: usize| scale * sorted[split + rank] / (rank + 1) as f64;
        let least = (0..size).map(simes).fold(f64::INFINITY, f64::min);
        for (at, it) in adjusted.iter_mut().enumerate() {
            let bound = if at < split { least.min(scale * sorted[at]) } else { least };
            *it = it.max(bound);
        }
    }
    adjusted
}

/// Positions by rising p-value, ties in the given order.
fn rising(p_values: &[f64]) -> Option<Vec<usize>> {
    if p_values.iter().any(|it| !(0.0..=1.0).contains(it)) {
        return None;
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    Some(order)
}
