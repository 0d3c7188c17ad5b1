//! Sequential detectors of change: values one by one, in order, and an alarm as soon as there is enough evidence.
//!
//! Each detector is a plain state that serializes, so that it can be stored between batches: two batches give the alarms of
//! their concatenation. After an alarm a detector begins anew. A value that is not finite is left out.

mod adwin;
mod ddm;
mod page_hinkley;

pub use adwin::Adwin;
pub use ddm::Ddm;
pub use page_hinkley::PageHinkley;
