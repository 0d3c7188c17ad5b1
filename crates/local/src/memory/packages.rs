//! The model registry in memory.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use refit_app::ports::{ApprovalStatus, PackageDescription, PackageError, Packages};

use super::{Shared, hash_words};

const ARN: &str = "arn:aws:sagemaker:us-east-1:000000000000:model-package";

/// [`Packages`] in memory. Clones are handles on the same registry.
#[derive(Debug, Clone, Default)]
pub struct MemoryPackages {
    state: Shared<State>,
}

/// Everything a [`MemoryPackages`] held at one moment.
#[derive(Debug, Clone)]
pub struct PackagesSnapshot(Arc<State>);

impl Hash for PackagesSnapshot {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hash_words(&self.0, hasher);
    }
}

/// Packages by ARN.
type State = BTreeMap<String, Arc<PackageDescription>>;

impl MemoryPackages {
    /// What the registry holds now.
    #[must_use]
    pub fn snapshot(&self) -> PackagesSnapshot {
        PackagesSnapshot(self.state.snapshot())
    }

    /// Sets the registry back.
    pub fn restore(&self, snapshot: &PackagesSnapshot) {
        self.state.restore(&snapshot.0);
    }

    /// Registers a package as the next version of its group, pending approval.
    #[must_use]
    pub fn register(&self, group: &str, model_data_url: &str, created_at: Timestamp) -> PackageDescription {
        self.state.write(|state| {
            let version = 1 + state.values().filter(|it| it.group == group).count() as u64;
            let arn = format!("{ARN}/{group}/{version}");
            let package = PackageDescription {
                arn: arn.clone(),
                group: group.to_owned(),
                version,
                model_data_url: model_data_url.to_owned(),
                approval: ApprovalStatus::PendingManualApproval,
                created_at,
                metadata: BTreeMap::from([("engine".to_owned(), "memory".to_owned())]),
            };
            state.insert(arn, Arc::new(package.clone()));
            package
        })
    }

    /// All packages, by ARN.
    #[must_use]
    pub fn list(&self) -> Vec<PackageDescription> {
        self.state.read(|it| it.values().map(|it| (**it).clone()).collect())
    }
}

#[async_trait]
impl Packages for MemoryPackages {
    async fn describe(&self, arn: &str) -> Result<PackageDescription, PackageError> {
        self.state.read(|it| it.get(arn).map(|it| (**it).clone())).ok_or_else(|| PackageError::NotFound(arn.to_owned()))
    }

    async fn set_approval(&self, arn: &str, status: ApprovalStatus) -> Result<(), PackageError> {
        self.state.write(|it| match it.get_mut(arn) {
            Some(package) => {
                Arc::make_mut(package).approval = status;
                Ok(())
            }
            None => Err(PackageError::NotFound(arn.to_owned())),
        })
    }
}
