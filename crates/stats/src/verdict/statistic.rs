//! Which statistic a verdict rests on, and the score it gave.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A distance between a reference and a current window that a verdict can rest on. All grow with the distance.
///
/// The names are those of the drift report: `psi_q10`, `ks`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Population Stability Index over the reference's deciles.
    PsiQ10,
    /// Population Stability Index over twenty equal widths of the reference's range.
    PsiW20,
    /// Population Stability Index over categories.
    Psi,
    /// Entropy of the current window relative to the reference, in nats.
    KlCurRef,
    /// Entropy of the reference relative to the current window, in nats.
    KlRefCur,
    /// Jensen-Shannon distance, base 2.
    JsDistanceBase2,
    /// Hellinger distance.
    Hellinger,
    /// Total variation distance.
    Tvd,
    /// Largest difference of a proportion over bins or categories.
    LInfinity,
    /// Kolmogorov-Smirnov statistic.
    Ks,
    /// Wasserstein distance in population standard deviations of the reference.
    #[serde(rename = "wasserstein1_over_ref_std")]
    Wasserstein1OverRefStd,
    /// Model Monitor's simple distance: the largest difference of the distribution functions.
    LinfSimple,
    /// Model Monitor's robust distance: the simple one less what the sizes explain.
    LinfRobust,
    /// Cramér's V of the homogeneity test.
    CramersV,
}

impl Statistic {
    /// Every statistic.
    pub const ALL: [Self; 14] = [
        Self::PsiQ10,
        Self::PsiW20,
        Self::Psi,
        Self::KlCurRef,
        Self::KlRefCur,
        Self::JsDistanceBase2,
        Self::Hellinger,
        Self::Tvd,
        Self::LInfinity,
        Self::Ks,
        Self::Wasserstein1OverRefStd,
        Self::LinfSimple,
        Self::LinfRobust,
        Self::CramersV,
    ];

    /// Returns the name in reports and settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PsiQ10 => "psi_q10",
            Self::PsiW20 => "psi_w20",
            Self::Psi => "psi",
            Self::KlCurRef => "kl_cur_ref",
            Self::KlRefCur => "kl_ref_cur",
            Self::JsDistanceBase2 => "js_distance_base2",
            Self::Hellinger => "hellinger",
            Self::Tvd => "tvd",
            Self::LInfinity => "l_infinity",
            Self::Ks => "ks",
            Self::Wasserstein1OverRefStd => "wasserstein1_over_ref_std",
            Self::LinfSimple => "linf_simple",
            Self::LinfRobust => "linf_robust",
            Self::CramersV => "cramers_v",
        }
    }

    /// Returns the statistic of this name.
    ///
    /// ```
    /// use refit_stats::verdict::Statistic;
    /// assert_eq!(Statistic::find("ks"), Some(Statistic::Ks));
    /// assert_eq!(Statistic::find("p_value"), None);
    /// ```
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Returns the threshold used unless another is set: 0.2 for the indices, which have a custom, else 0.1, which is the
    /// default of Model Monitor and of Evidently and Cohen's smallest effect for Cramér's V.
    pub const fn default_threshold(self) -> f64 {
        match self {
            Self::PsiQ10 | Self::PsiW20 | Self::Psi => 0.2,
            Self::KlCurRef
            | Self::KlRefCur
            | Self::JsDistanceBase2
            | Self::Hellinger
            | Self::Tvd
            | Self::LInfinity
            | Self::Ks
            | Self::Wasserstein1OverRefStd
            | Self::LinfSimple
            | Self::LinfRobust
            | Self::CramersV => 0.1,
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value and how far the exact one may be from it: 0 when it was computed from every row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The value.
    pub value: f64,
    /// The exact value is within this of `value`; at least 0.
    pub error_bound: f64,
}

impl Score {
    /// A score without error.
    pub const fn exact(value: f64) -> Self {
        Self { value, error_bound: 0.0 }
    }

    /// Returns the least the exact value can be; no distance is below 0.
    pub fn low(self) -> f64 {
        (self.value - self.error_bound).max(0.0)
    }

    /// Returns the most the exact value can be.
    pub fn high(self) -> f64 {
        self.value + self.error_bound
    }

    /// Returns where the exact value lies relative to a threshold, as far as the bound tells.
    ///
    /// ```
    /// use refit_stats::verdict::{Score, Side};
    /// assert_eq!(Score::exact(0.2).side_of(0.2), Side::Reaches);
    /// let sketched = Score { value: 0.2, error_bound: 0.01 };
    /// assert_eq!((sketched.side_of(0.3), sketched.side_of(0.205)), (Side::Below, Side::Straddles));
    /// ```
    pub fn side_of(self, threshold: f64) -> Side {
        if threshold <= self.low() {
            Side::Reaches
        } else if self.high() < threshold {
            Side::Below
        } else {
            Side::Straddles
        }
    }

    /// Tells whether both numbers can be judged.
    pub(super) fn is_usable(self) -> bool {
        self.value.is_finite() && 0.0 <= self.error_bound
    }
}

/// Where a score lies relative to a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Below it, whatever the error.
    Below,
    /// At or above it, whatever the error.
    Reaches,
    /// The error bound spans it.
    Straddles,
}
