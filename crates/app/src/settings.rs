//! Facts of a deployment, given once.

use refit_core::ObjectUri;

use crate::documents::state_uri;

/// What a deployment fixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The bucket for Refit's own documents.
    pub bucket: String,
}

impl Settings {
    /// Below which address runs write.
    #[must_use]
    pub fn runs_root(&self) -> ObjectUri {
        state_uri(&self.bucket, &["runs"])
    }
}
