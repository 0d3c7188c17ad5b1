//! The local endpoints: what each serves, kept beside the state.

use async_trait::async_trait;
use refit_app::ports::{EndpointError, EndpointState, EndpointStatus, Endpoints, Variant};

use crate::store::Database;

const KIND: &str = "endpoint";

/// Endpoints that change at once.
#[derive(Debug, Clone)]
pub struct LocalEndpoints {
    database: Database,
}

impl LocalEndpoints {
    /// Endpoints kept in `database`.
    #[must_use]
    pub fn new(database: Database) -> LocalEndpoints {
        LocalEndpoints { database }
    }

    /// What an endpoint serves; `None` when it does not exist.
    ///
    /// # Errors
    /// [`EndpointError::Unavailable`] when the database fails.
    pub fn find(&self, endpoint: &str) -> Result<Option<EndpointState>, EndpointError> {
        let stored =
            self.database.get_document(KIND, endpoint).map_err(|error| EndpointError::Unavailable(error.into()))?;
        let parse =
            |text: String| serde_json::from_str(&text).map_err(|error| EndpointError::Unavailable(error.into()));
        stored.map(parse).transpose()
    }
}

#[async_trait]
impl Endpoints for LocalEndpoints {
    async fn describe(&self, endpoint: &str) -> Result<EndpointState, EndpointError> {
        self.find(endpoint)?.ok_or_else(|| EndpointError::NotFound(endpoint.to_owned()))
    }

    async fn ensure_variants(&self, endpoint: &str, variants: &[Variant]) -> Result<(), EndpointError> {
        if variants.is_empty() {
            return Err(EndpointError::Invalid("an endpoint needs at least one variant".to_owned()));
        }
        let state =
            EndpointState { name: endpoint.to_owned(), status: EndpointStatus::InService, variants: variants.to_vec() };
        let body = serde_json::to_string(&state).map_err(|error| EndpointError::Unavailable(error.into()))?;
        self.database.put_document(KIND, endpoint, &body).map_err(|error| EndpointError::Unavailable(error.into()))
    }
}
