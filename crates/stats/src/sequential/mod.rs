//! Values one by one, in order: detectors of change that alarm as soon as there is enough evidence, and tests and intervals
//! of a mean that stay valid however often one looks.
//!
//! Each detector is a plain state that serializes, so that it can be stored between batches: two batches give the alarms of
//! their concatenation. After an alarm a detector begins anew. A value that is not finite is left out.

mod adwin;
mod ddm;
mod mixture;
mod page_hinkley;

pub use adwin::Adwin;
pub use ddm::Ddm;
pub use mixture::{AsymptoticMean, NormalMixture};
pub use page_hinkley::PageHinkley;
