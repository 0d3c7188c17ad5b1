//! From the scores of a feature to what its verdict rests on.

use refit_stats::Rng;
use refit_stats::scores::{BinnedScores, NumericScores};
use refit_stats::verdict::{Evidence, Score, Statistic};

use crate::drift::{FeatureComparison, FeatureScores};

/// What is known of a feature, for a verdict by `by`.
///
/// Chance is drawn with `rng` where counts are small; see [`Evidence::of_counts`]. A statistic that the feature's kind does not have gives no score.
#[must_use]
pub fn evidence_of(comparison: &FeatureComparison, by: Statistic, threshold: f64, rng: &mut dyn Rng) -> Evidence {
    let counts = match &comparison.scores {
        FeatureScores::Undefined => None,
        FeatureScores::Numeric(scores) => match of_samples(scores, by) {
            Some(score) => return sampled(comparison, by, threshold, score, scores.ks_p_value),
            None => bins_of(scores, by),
        },
        FeatureScores::Categorical(scores) => Some(&scores.counts),
    };
    let Some(counts) = counts else {
        return sampled(comparison, by, threshold, None, None);
    };
    let exact = Evidence::of_counts(by, threshold, &counts.reference, &counts.current, rng);
    let test = counts.bounded_test;
    let bounded = score_of(counts, by).or_else(|| cramers_v(counts, by));
    Evidence {
        score: bounded.or(exact.score),
        p_value: test.map_or(exact.p_value, |it| it.p_value_at_most),
        reference_rows: comparison.reference.used(),
        current_rows: comparison.current.used(),
        ..exact
    }
}

/// The evidence of a statistic of distribution functions, or of none.
fn sampled(
    comparison: &FeatureComparison,
    by: Statistic,
    threshold: f64,
    score: Option<Score>,
    p_value: Option<f64>,
) -> Evidence {
    Evidence {
        by,
        threshold,
        score,
        p_value,
        chance: None,
        reference_rows: comparison.reference.used(),
        current_rows: comparison.current.used(),
        problem: None,
    }
}

/// The score of a statistic of distribution functions; the outer `None` when `by` is one of counts.
fn of_samples(scores: &NumericScores, by: Statistic) -> Option<Option<Score>> {
    match by {
        Statistic::Ks | Statistic::LinfSimple => Some(Some(scores.ks)),
        Statistic::LinfRobust => Some(Some(scores.linf_robust)),
        Statistic::Wasserstein1OverRefStd => Some(scores.wasserstein1_over_ref_std),
        Statistic::PsiQ10
        | Statistic::PsiW20
        | Statistic::Psi
        | Statistic::KlCurRef
        | Statistic::KlRefCur
        | Statistic::JsDistanceBase2
        | Statistic::Hellinger
        | Statistic::Tvd
        | Statistic::LInfinity
        | Statistic::CramersV => None,
    }
}

fn bins_of(scores: &NumericScores, by: Statistic) -> Option<&BinnedScores> {
    match by {
        Statistic::PsiW20 => scores.w20.as_ref(),
        Statistic::PsiQ10
        | Statistic::Psi
        | Statistic::KlCurRef
        | Statistic::KlRefCur
        | Statistic::JsDistanceBase2
        | Statistic::Hellinger
        | Statistic::Tvd
        | Statistic::LInfinity
        | Statistic::CramersV
        | Statistic::Ks
        | Statistic::LinfSimple
        | Statistic::LinfRobust
        | Statistic::Wasserstein1OverRefStd => Some(&scores.q10),
    }
}

fn score_of(counts: &BinnedScores, by: Statistic) -> Option<Score> {
    match by {
        Statistic::PsiQ10 | Statistic::PsiW20 | Statistic::Psi => Some(counts.psi),
        Statistic::KlCurRef => counts.kl_cur_ref,
        Statistic::KlRefCur => counts.kl_ref_cur,
        Statistic::JsDistanceBase2 => Some(counts.js_distance_base2),
        Statistic::Hellinger => Some(counts.hellinger),
        Statistic::Tvd => Some(counts.tvd),
        Statistic::LInfinity => Some(counts.l_infinity),
        Statistic::CramersV
        | Statistic::Ks
        | Statistic::LinfSimple
        | Statistic::LinfRobust
        | Statistic::Wasserstein1OverRefStd => None,
    }
}

/// The effect size of counts that are not exact; those that are give it themselves.
fn cramers_v(counts: &BinnedScores, by: Statistic) -> Option<Score> {
    counts.bounded_test.filter(|_| by == Statistic::CramersV).map(|it| it.cramers_v)
}
