//! Verdicts that do not cry wolf: what a distance means, given what chance alone produces at these sizes.
//!
//! A feature has drifted when all of these hold:
//!
//! 1. *enough rows*: the window has at least [`Rules::min_rows`] values, the reference [`Rules::min_reference_rows`];
//! 2. *effect*: the score reaches the threshold of its statistic, whatever the score's error bound;
//! 3. *significance*: its p-value, corrected over the features judged together ([`Rules::correction`], by default the false
//!    discovery rate of Benjamini and Hochberg), is at most [`Rules::alpha`], and the score is above what chance alone
//!    exceeds so rarely ([`Evidence::chance`]), where that is known.
//!
//! With too few rows, no score, no test, or an error bound that spans the threshold it is `inconclusive`; what could not be
//! measured at all is `errored`. A data set has drifted from a share of drifted features on; while features that are
//! inconclusive could still decide that, the data set is inconclusive.
//!
//! Effect alone cries wolf on small windows (the Population Stability Index of 50 undrifted rows averages 0.2 to 0.5), and
//! significance alone on large ones (at three million rows a shift of 0.005 standard deviations has a p-value of 1e-5).
//!
//! The same rule judges windows in the control plane and files in `refit drift`. It works on numbers alone, so exact scores,
//! scores from profiles and an oracle's are judged alike; [`Evidence::of_samples`] and [`Evidence::of_counts`] make exact
//! ones.

mod evidence;
mod rule;
mod statistic;

pub(crate) use evidence::MIN_EXPECTED;
pub use evidence::{CHANCE_LEVEL, CHANCE_REPLICATES, Evidence, counts_p_value, psi_chance, samples_p_value};
pub use rule::{DatasetVerdict, FeatureVerdict, Rules, Verdict, judge, judge_dataset, judge_features};
pub use statistic::{Score, Side, Statistic};
