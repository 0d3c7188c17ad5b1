//! The files of SageMaker Model Monitor: `statistics.json`, `constraints.json` and `constraint_violations.json`, read and written.
//!
//! Reading takes what the service and its tools really write: version `0` or `0.0`, numbers as the texts `NaN` and `Infinity`, overrides under any of
//! three names, and check types that nobody has seen yet. Unknown keys are left out; a key twice is an error. Writing gives files that
//! dashboards for the service can read, from a comparison of tables.
//!
//! What is not here: the names of the files, and deciding what drifted ([`crate::report`]).

mod constraints;
mod measure;
mod number;
mod statistics;
mod violations;

pub use constraints::{
    Constraints, DistributionConstraints, FeatureConstraints, MetricConstraint, MonitoringConfig, NumberConstraints,
    TextConstraints,
};
pub use measure::statistics_of;
pub use number::Number;
pub use statistics::{
    Bucket, Categories, Category, Common, Dataset, Distribution, FeatureStatistics, Histogram, InferredType,
    MetricValue, NumberStatistics, Sketch, SketchParameters, Statistics, TextDistribution, TextStatistics,
};
pub use violations::{CheckType, Violation, Violations, violations_of};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The names that the service gives its list of violations.
pub const VIOLATIONS_NAMES: [&str; 2] = ["constraint_violations.json", "constraints_violations.json"];

/// Why a file of the monitor could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// It is larger than any such file.
    #[error("the file has {0} bytes; at most 67108864 are read")]
    TooLarge(usize),
    /// It is not JSON, or not of this form; the cause says where.
    #[error("it is not a {what} file")]
    Form {
        /// Which file it should be.
        what: &'static str,
        /// What the parser said, with line and column.
        #[source]
        source: serde_json::Error,
    },
}

/// Sketches of a thousand features stay below it.
const MAX_BYTES: usize = 64 << 20;

fn read<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, MonitorError> {
    if MAX_BYTES < bytes.len() {
        return Err(MonitorError::TooLarge(bytes.len()));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|source| MonitorError::Form { what, source })
}

fn write(document: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).expect("invariant: texts, numbers and lists are JSON");
    bytes.push(b'\n');
    bytes
}
