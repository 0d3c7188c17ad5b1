//! Corrections of p-values when many hypotheses are tested at once.
//!
//! Forty features tested at 5 % give two false alarms a window. Bonferroni and Holm bound the chance of any false alarm;
//! Benjamini-Hochberg and Benjamini-Yekutieli bound the share of false ones among the alarms (the latter under any
//! dependence). Results are those of `statsmodels.stats.multitest.multipletests`.

/// A rule that corrects p-values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Correction {
    /// Each p-value times their number.
    Bonferroni,
    /// Bonferroni, stepping down; never rejects less.
    Holm,
    /// False discovery rate of independent tests.
    BenjaminiHochberg,
    /// False discovery rate under any dependence.
    BenjaminiYekutieli,
}

impl Correction {
    /// Every rule.
    pub const ALL: [Self; 4] = [
        Self::Bonferroni,
        Self::Holm,
        Self::BenjaminiHochberg,
        Self::BenjaminiYekutieli,
    ];

    /// Returns the name used in policies and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bonferroni => "bonferroni",
            Self::Holm => "holm",
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
        let mut adjusted = vec![0.0; n];
        let scaled = |rank: usize| p_values[order[rank]] * self.factor(rank, n);
        match self {
            Self::Bonferroni => {
                (0..n).for_each(|rank| adjusted[order[rank]] = scaled(rank).min(1.0))
            }
            Self::Holm => {
                let mut most = 0.0_f64;
                for rank in 0..n {
                    most = most.max(scaled(rank));
                    adjusted[order[rank]] = most.min(1.0);
                }
            }
            Self::BenjaminiHochberg | Self::BenjaminiYekutieli => {
                let mut least = 1.0_f64;
                for rank in (0..n).rev() {
                    least = least.min(scaled(rank));
                    adjusted[order[rank]] = least;
                }
            }
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
        let mut rejects = vec![false; n];
        match self {
            Self::Bonferroni => (0..n).for_each(|rank| rejects[order[rank]] = meets(rank)),
            Self::Holm => (0..n)
                .take_while(|rank| meets(*rank))
                .for_each(|rank| rejects[order[rank]] = true),
            Self::BenjaminiHochberg | Self::BenjaminiYekutieli => {
                if let Some(last) = (0..n).rev().find(|rank| meets(*rank)) {
                    (0..=last).for_each(|rank| rejects[order[rank]] = true);
                }
            }
        }
        Some(rejects)
    }

    /// What the p-value of 0-based `rank` among `n` is multiplied by.
    fn factor(self, rank: usize, n: usize) -> f64 {
        let (rank, size) = (rank as f64, n as f64);
        match self {
            Self::Bonferroni => size,
            Self::Holm => size - rank,
            Self::BenjaminiHochberg => size / (rank + 1.0),
            Self::BenjaminiYekutieli => {
                size / (rank + 1.0) * (1..=n).map(|it| 1.0 / it as f64).sum::<f64>()
            }
        }
    }
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
