//! The scores of a feature under the names of the report.

use refit_stats::distance::homogeneity;
use refit_stats::scores::{BinnedScores, NumericScores};
use refit_stats::verdict::{Score, Statistic};
use serde::{Deserialize, Serialize};

use crate::drift::FeatureScores;

/// A score with its error and what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoreReport {
    /// The value.
    pub value: f64,
    /// The exact value is within this of `value`.
    pub error_bound: f64,
    /// The probability of such a score without drift, where the score is that of a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// The degrees of freedom of that test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degrees_of_freedom: Option<u64>,
}

/// The scores of a feature; entropies and distances without a suffix are over the deciles of a number or over categories.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is the statistic of its name, see `Statistic`")]
pub struct Scores {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ks: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi_q10: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi_w20: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_cur_ref: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_ref_cur: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub js_distance_base2: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hellinger: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tvd: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l_infinity: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasserstein1: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasserstein1_over_ref_std: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linf_simple: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linf_robust: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chi2: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cramers_v: Option<ScoreReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_category_rate: Option<ScoreReport>,
}

impl From<Score> for ScoreReport {
    fn from(it: Score) -> ScoreReport {
        ScoreReport { value: it.value, error_bound: it.error_bound, p_value: None, degrees_of_freedom: None }
    }
}

fn report(score: Option<Score>) -> Option<ScoreReport> {
    score.map(ScoreReport::from)
}

fn tested(score: Option<Score>, p_value: Option<f64>) -> Option<ScoreReport> {
    score.map(|it| ScoreReport { p_value, ..it.into() })
}

impl Scores {
    /// The scores of a comparison.
    pub(super) fn of(scores: &FeatureScores) -> Scores {
        match scores {
            FeatureScores::Undefined => Scores::default(),
            FeatureScores::Numeric(it) => Scores {
                ks: tested(Some(it.ks), it.ks_p_value),
                psi_q10: report(Some(it.q10.psi)),
                psi_w20: report(it.w20.as_ref().map(|it| it.psi)),
                wasserstein1: report(Some(it.wasserstein1)),
                wasserstein1_over_ref_std: report(it.wasserstein1_over_ref_std),
                linf_simple: report(Some(it.ks)),
                linf_robust: report(Some(it.linf_robust)),
                ..Scores::tested_deciles(it)
            },
            FeatureScores::Categorical(it) => Scores {
                psi: report(Some(it.counts.psi)),
                chi2: tested(it.chi2, it.chi2_p_value)
                    .map(|score| ScoreReport { degrees_of_freedom: it.degrees_of_freedom, ..score }),
                cramers_v: report(it.cramers_v),
                new_category_rate: report(Some(it.new_category_rate)),
                ..Scores::binned(&it.counts)
            },
        }
    }

    /// The scores over deciles, with the test of their counts where these are exact.
    fn tested_deciles(it: &NumericScores) -> Scores {
        let is_exact = it.q10.bounded_test.is_none();
        let test = is_exact.then(|| homogeneity(&it.q10.reference, &it.q10.current)).flatten();
        let chi2 = test.map(|test| ScoreReport {
            p_value: Some(test.chi2_p),
            degrees_of_freedom: Some(test.degrees_of_freedom),
            ..Score::exact(test.chi2).into()
        });
        let exact = test.map(|test| Score::exact(test.cramers_v));
        let cramers_v = report(it.q10.bounded_test.map(|it| it.cramers_v).or(exact));
        Scores { chi2, cramers_v, ..Scores::binned(&it.q10) }
    }

    fn binned(it: &BinnedScores) -> Scores {
        Scores {
            kl_cur_ref: report(it.kl_cur_ref),
            kl_ref_cur: report(it.kl_ref_cur),
            js_distance_base2: report(Some(it.js_distance_base2)),
            hellinger: report(Some(it.hellinger)),
            tvd: report(Some(it.tvd)),
            l_infinity: report(Some(it.l_infinity)),
            ..Scores::default()
        }
    }

    /// The score of a statistic.
    #[must_use]
    pub fn find(&self, by: Statistic) -> Option<&ScoreReport> {
        match by {
            Statistic::PsiQ10 => self.psi_q10.as_ref(),
            Statistic::PsiW20 => self.psi_w20.as_ref(),
            Statistic::Psi => self.psi.as_ref(),
            Statistic::KlCurRef => self.kl_cur_ref.as_ref(),
            Statistic::KlRefCur => self.kl_ref_cur.as_ref(),
            Statistic::JsDistanceBase2 => self.js_distance_base2.as_ref(),
            Statistic::Hellinger => self.hellinger.as_ref(),
            Statistic::Tvd => self.tvd.as_ref(),
            Statistic::LInfinity => self.l_infinity.as_ref(),
            Statistic::Ks => self.ks.as_ref(),
            Statistic::Wasserstein1OverRefStd => self.wasserstein1_over_ref_std.as_ref(),
            Statistic::LinfSimple => self.linf_simple.as_ref(),
            Statistic::LinfRobust => self.linf_robust.as_ref(),
            Statistic::CramersV => self.cramers_v.as_ref(),
        }
    }
}
