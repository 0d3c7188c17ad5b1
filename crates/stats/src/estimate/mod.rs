//! How good predictions are before their labels are known: confidence-based performance estimation (CBPE).
//!
//! A calibrated probability says how often it is right, so a window's confusion table can be expected from its scores alone.
//! [`Estimator::fit`] checks the calibration on labelled reference rows (the champion's hold-out), and recalibrates where that
//! lowers the error on rows it was not fitted on; [`Estimator::estimate`] gives any metric of a classification for a window
//! without labels, and an interval by drawing labels and days.
//!
//! It holds under a shift of the inputs within what the reference covered. It cannot see that labels come to follow another
//! rule (concept drift): the scores do not know. Realized quality, once labels arrive, is what tells, and both belong side by
//! side. A regression has no confidence to go by: nothing is estimated for it.
//!
//! Values agree with `nannyml.CBPE` 0.13.1 (`tests/estimate.rs`).

mod calibration;
mod expected;
mod isotonic;
mod platt;

pub use calibration::{CalibrationCheck, Calibrator, ECE_BINS, Method, calibration_error};
pub use expected::{Estimate, EstimateError, Estimator};
pub use isotonic::Isotonic;
pub use platt::Platt;
