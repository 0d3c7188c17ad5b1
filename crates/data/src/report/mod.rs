//! The report of a comparison as a document: every score with its error, the verdicts with the thresholds they rest on.
//!
//! The names are a contract with whoever reads `refit drift --output-format json`. A score that a feature does not have is left out; a p-value that
//! does not exist is null.
//!
//! What is not here: reading, comparing ([`crate::drift`]) and the rule of verdicts ([`refit_stats::verdict`]).

mod evidence;
mod scores;

use refit_stats::Rng;
use refit_stats::verdict::{
    DatasetVerdict, Evidence, FeatureVerdict, Rules, Statistic, Verdict, judge, judge_features,
};
use serde::{Deserialize, Serialize};

pub use evidence::evidence_of;
pub use scores::{ScoreReport, Scores};

use crate::drift::{FeatureComparison, SideCounts};
use crate::frame::Kind;

/// The version of [`DriftReport`].
pub const SCHEMA: u16 = 1;

/// Why a column of the current data alone is not compared, as [`IgnoredColumn::reason`] says it.
pub const NOT_IN_REFERENCE: &str = "the reference does not have it";

/// How scores were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// From every row.
    Exact,
    /// From profiles; every score has an error bound.
    Profile,
}

/// All scores of one comparison, with the thresholds used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// The version of this document.
    pub schema: u16,
    /// How the scores were made.
    pub method: Method,
    /// Which reference: `sha256:` and the digest of what was read of it.
    pub baseline_id: String,
    /// The reference.
    pub reference: RowsReport,
    /// The current data.
    pub current: WindowReport,
    /// The features by name; those that the current data lacks come last.
    pub features: Vec<FeatureReport>,
    /// All features together.
    pub dataset: DatasetVerdict,
    /// The prediction, judged by itself and not counted among the features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<FeatureReport>,
    /// The label, as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<FeatureReport>,
    /// How good the predictions are, where there are labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quality: Vec<QualityReport>,
    /// The same for the rows with each value of a segment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentReport>,
    /// Columns that were not compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredColumn>,
}

/// How much was read of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsReport {
    /// Rows.
    pub rows: u64,
}

/// How much was read of the current data, and of when it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowReport {
    /// Rows.
    pub rows: u64,
    /// The first and the last time, where a time column was named.
    pub window: Option<Window>,
}

/// From the first time to the last, as RFC 3339 in UTC. Both are times of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The earliest.
    pub start: String,
    /// The latest.
    pub end: String,
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureReport {
    /// The column.
    pub name: String,
    /// What it was compared as.
    pub kind: Kind,
    /// Rows of the reference.
    pub reference: SideCounts,
    /// Rows of the current data.
    pub current: SideCounts,
    /// How far apart they are.
    pub scores: Scores,
    /// What it was found to be.
    pub verdict: Verdict,
    /// The statistic that decided.
    pub verdict_by: Statistic,
    /// The threshold that was used.
    pub threshold: f64,
    /// The p-value of the test that decided.
    pub p_value: Option<f64>,
    /// The same, corrected over the features judged together.
    pub q_value: Option<f64>,
    /// Why, in sentences with the numbers.
    pub reasons: Vec<String>,
}

/// A measure of the predictions on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityReport {
    /// Its name, as in a policy.
    pub metric: String,
    /// On the rows of the reference that have prediction and label.
    pub reference: Option<f64>,
    /// On those of the current data.
    pub current: Option<f64>,
}

/// The rows with one value of a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentReport {
    /// The column.
    pub segment: String,
    /// The value.
    pub value: String,
    /// Rows of the reference.
    pub reference_rows: u64,
    /// Rows of the current data.
    pub current_rows: u64,
    /// The features, without the segment itself.
    pub features: Vec<FeatureReport>,
    /// All features together.
    pub dataset: DatasetVerdict,
}

/// A column that was not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoredColumn {
    /// The column.
    pub name: String,
    /// Why not.
    pub reason: String,
}

/// Which statistic decides on a feature, and from where on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The statistic.
    pub by: Statistic,
    /// The threshold.
    pub threshold: f64,
}

impl Choice {
    /// What decides unless something else is chosen: the Population Stability Index with its usual threshold.
    #[must_use]
    pub fn usual(kind: Kind) -> Choice {
        let by = match kind {
            Kind::Numeric | Kind::Time => Statistic::PsiQ10,
            Kind::Categorical => Statistic::Psi,
        };
        Choice { by, threshold: by.default_threshold() }
    }
}

/// A generator for a feature: the same one for the same name, so that verdicts do not depend on which features are compared.
pub type GeneratorOf<'a> = &'a dyn Fn(&str) -> Box<dyn Rng>;

/// Judges features together; there is a choice for each.
#[must_use]
pub fn judge_comparisons(
    comparisons: &[FeatureComparison],
    choices: &[Choice],
    rules: &Rules,
    generator: GeneratorOf<'_>,
) -> (Vec<FeatureReport>, DatasetVerdict) {
    let (verdicts, dataset) = judge(&evidence(comparisons, choices, generator), rules);
    (reports(comparisons, verdicts), dataset)
}

/// Judges one feature by itself.
#[must_use]
pub fn judge_comparison(
    comparison: &FeatureComparison,
    choice: Choice,
    rules: &Rules,
    generator: GeneratorOf<'_>,
) -> FeatureReport {
    let comparisons = std::slice::from_ref(comparison);
    let verdicts = judge_features(&evidence(comparisons, &[choice], generator), rules);
    reports(comparisons, verdicts).swap_remove(0)
}

fn evidence(comparisons: &[FeatureComparison], choices: &[Choice], generator: GeneratorOf<'_>) -> Vec<Evidence> {
    let each = comparisons.iter().zip(choices);
    each.map(|(it, choice)| evidence_of(it, choice.by, choice.threshold, &mut *generator(&it.name))).collect()
}

fn reports(comparisons: &[FeatureComparison], verdicts: Vec<FeatureVerdict>) -> Vec<FeatureReport> {
    let report = |(it, verdict): (&FeatureComparison, FeatureVerdict)| FeatureReport {
        name: it.name.clone(),
        kind: it.kind,
        reference: it.reference,
        current: it.current,
        scores: Scores::of(&it.scores),
        verdict: verdict.verdict,
        verdict_by: verdict.verdict_by,
        threshold: verdict.threshold,
        p_value: verdict.p_value,
        q_value: verdict.q_value,
        reasons: verdict.reasons,
    };
    comparisons.iter().zip(verdicts).map(report).collect()
}

impl FeatureReport {
    /// The score that decided.
    #[must_use]
    pub fn decisive(&self) -> Option<&ScoreReport> {
        self.scores.find(self.verdict_by)
    }

    /// A feature that could not be compared, as an errored one.
    #[must_use]
    pub fn errored(name: &str, kind: Kind, choice: Choice, reason: String) -> FeatureReport {
        FeatureReport {
            name: name.to_owned(),
            kind,
            reference: SideCounts::default(),
            current: SideCounts::default(),
            scores: Scores::default(),
            verdict: Verdict::Errored,
            verdict_by: choice.by,
            threshold: choice.threshold,
            p_value: None,
            q_value: None,
            reasons: vec![reason],
        }
    }
}
