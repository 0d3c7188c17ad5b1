//! Endpoints in memory: what they serve, and how often they say that they are busy.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use refit_app::ports::{EndpointError, EndpointState, EndpointStatus, Endpoints, Variant};

use super::{Shared, hash_words};

/// [`Endpoints`] in memory. Clones are handles on the same endpoints.
#[derive(Debug, Clone, Default)]
pub struct MemoryEndpoints {
    state: Shared<State>,
}

/// Everything a [`MemoryEndpoints`] held at one moment.
#[derive(Debug, Clone)]
pub struct EndpointsSnapshot(Arc<State>);

impl Hash for EndpointsSnapshot {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hash_words(&self.0, hasher);
    }
}

impl EndpointsSnapshot {
    /// What an endpoint served; nothing when it did not exist.
    #[must_use]
    pub fn variants(&self, endpoint: &str) -> Vec<Variant> {
        self.0.endpoints.get(endpoint).map(|it| it.variants.clone()).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    endpoints: BTreeMap<String, EndpointState>,
    /// How many calls are still answered with "updating".
    busy: BTreeMap<String, u32>,
}

impl MemoryEndpoints {
    /// What the endpoints are now.
    #[must_use]
    pub fn snapshot(&self) -> EndpointsSnapshot {
        EndpointsSnapshot(self.state.snapshot())
    }

    /// Sets the endpoints back.
    pub fn restore(&self, snapshot: &EndpointsSnapshot) {
        self.state.restore(&snapshot.0);
    }

    /// Lets the endpoint answer its next `calls` changes with [`EndpointError::Updating`].
    pub fn set_busy(&self, endpoint: &str, calls: u32) {
        self.state.write(|it| it.busy.insert(endpoint.to_owned(), calls));
    }

    /// What an endpoint serves; nothing when it does not exist.
    #[must_use]
    pub fn variants(&self, endpoint: &str) -> Vec<Variant> {
        self.state.read(|it| it.endpoints.get(endpoint).map(|it| it.variants.clone()).unwrap_or_default())
    }
}

#[async_trait]
impl Endpoints for MemoryEndpoints {
    async fn describe(&self, endpoint: &str) -> Result<EndpointState, EndpointError> {
        self.state.read(|state| {
            let mut found =
                state.endpoints.get(endpoint).cloned().ok_or_else(|| EndpointError::NotFound(endpoint.to_owned()))?;
            if state.busy.get(endpoint).is_some_and(|it| 0 < *it) {
                found.status = EndpointStatus::Updating;
            }
            Ok(found)
        })
    }

    async fn ensure_variants(&self, endpoint: &str, variants: &[Variant]) -> Result<(), EndpointError> {
        if variants.is_empty() || variants.iter().map(|it| it.weight).sum::<f64>() <= 0.0 {
            return Err(EndpointError::Invalid("an endpoint serves at least one variant with a weight".to_owned()));
        }
        self.state.write(|state| {
            if let Some(calls) = state.busy.get_mut(endpoint).filter(|it| 0 < **it) {
                *calls -= 1;
                return Err(EndpointError::Updating(endpoint.to_owned()));
            }
            let name = endpoint.to_owned();
            let served =
                EndpointState { name: name.clone(), status: EndpointStatus::InService, variants: variants.to_vec() };
            state.endpoints.insert(name, served);
            Ok(())
        })
    }
}
