//! The local model registry: packages numbered within their group.
//!
//! A registration is known by execution and step, so that an execution that is run again after a crash finds its
//! package instead of making a second one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use refit_app::ports::{ApprovalStatus, BoxError, PackageDescription, PackageError, Packages, TableError};
use refit_core::{Digest, is_name};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::{Database, Transaction};

const PACKAGE: &str = "model-package";
const GROUP: &str = "model-package-group";
const REGISTRATION: &str = "model-package-registration";
/// What every package's ARN begins with.
pub(crate) const ARN: &str = "arn:aws:sagemaker:us-east-1:000000000000:model-package/";

/// What a `RegisterModel` step asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The execution that registers.
    pub execution_arn: String,
    /// Its step.
    pub step: String,
    /// The model package group; made when it does not exist.
    pub group: String,
    /// Where the model archive is.
    pub model_data_url: String,
    /// The approval status, in SageMaker's words.
    pub approval: String,
    /// Customer metadata.
    pub metadata: BTreeMap<String, String>,
    /// Everything else that the request said, in SageMaker's words; an object.
    pub details: Value,
}

/// A model package group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageGroup {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The number that it gave last.
    pub last_version: u64,
}

/// A package as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredPackage {
    schema: u16,
    package: PackageDescription,
    details: Value,
    changed_at: Timestamp,
}

/// A group as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredGroup {
    schema: u16,
    group: PackageGroup,
}

/// The registry, stored in the local database.
#[derive(Debug, Clone)]
pub struct LocalPackages {
    database: Database,
}

impl LocalPackages {
    /// The registry in this database.
    #[must_use]
    pub fn new(database: Database) -> LocalPackages {
        LocalPackages { database }
    }

    /// Registers a package, or returns the one that this step of this execution registered before.
    ///
    /// # Errors
    /// [`PackageError::Invalid`] for a group or status that SageMaker would refuse.
    pub fn register(&self, registration: &Registration, now: Timestamp) -> Result<PackageDescription, PackageError> {
        if !is_name(&registration.group) {
            return Err(PackageError::Invalid(format!("`{}` is not a model package group's name", registration.group)));
        }
        let approval = serde_json::from_value(registration.approval.clone().into())
            .map_err(|_| PackageError::Invalid(format!("`{}` is not an approval status", registration.approval)))?;
        self.transact(|transaction| register(transaction, registration, approval, now))
    }

    /// Makes a group; answers `false` and changes nothing when there is one.
    ///
    /// # Errors
    /// [`PackageError::Invalid`] for a name that SageMaker would refuse.
    pub fn create_group(&self, name: &str, description: Option<String>, now: Timestamp) -> Result<bool, PackageError> {
        if !is_name(name) {
            return Err(PackageError::Invalid(format!("`{name}` is not a model package group's name")));
        }
        let group = PackageGroup { name: name.to_owned(), description, created_at: now, last_version: 0 };
        let body = to_json(&StoredGroup { schema: 1, group });
        self.database.insert_document(GROUP, &name.to_lowercase(), &body).map_err(unavailable)
    }

    /// All groups, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_groups(&self) -> Result<Vec<PackageGroup>, PackageError> {
        let stored = self.database.list_documents(GROUP).map_err(unavailable)?;
        stored.iter().map(|(id, body)| read_group(id, body)).collect()
    }

    /// A package with everything else that its request said and the time of its last change; `None` when there is none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find(&self, arn: &str) -> Result<Option<(PackageDescription, Value, Timestamp)>, PackageError> {
        let Some(id) = id_of_arn(arn) else { return Ok(None) };
        let body = self.database.get_document(PACKAGE, &id).map_err(unavailable)?;
        let stored = body.map(|body| read_stored(&id, &body)).transpose()?;
        Ok(stored.map(|it| (it.package, it.details, it.changed_at)))
    }

    /// Changes a package; `false` when there is none.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn change(
        &self,
        arn: &str,
        now: Timestamp,
        change: impl FnOnce(&mut PackageDescription, &mut Value),
    ) -> Result<bool, PackageError> {
        let Some(id) = id_of_arn(arn) else { return Ok(false) };
        self.transact(|transaction| {
            let Some(body) = transaction.get_document(PACKAGE, &id)? else { return Ok(Ok(false)) };
            let mut stored = match read_stored(&id, &body) {
                Ok(stored) => stored,
                Err(error) => return Ok(Err(error)),
            };
            change(&mut stored.package, &mut stored.details);
            stored.changed_at = now;
            transaction.put_document(PACKAGE, &id, &to_json(&stored))?;
            Ok(Ok(true))
        })
    }

    /// All packages of a group, by version.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self, group: &str) -> Result<Vec<PackageDescription>, PackageError> {
        let stored = self.database.list_documents(PACKAGE).map_err(unavailable)?;
        let packages = stored.iter().map(|(id, body)| read_package(id, body)).collect::<Result<Vec<_>, _>>()?;
        Ok(packages.into_iter().filter(|it| it.group.eq_ignore_ascii_case(group)).collect())
    }

    /// Runs `work` in a transaction; what it refuses, it refuses before it writes.
    fn transact<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<Result<T, PackageError>, TableError>,
    ) -> Result<T, PackageError> {
        self.database.update(work).map_err(unavailable)?
    }
}

/// Packages' ids sort by version within their group.
fn package_id(group: &str, version: u64) -> String {
    format!("{}/{version:010}", group.to_lowercase())
}

/// The id behind an ARN, which ends in `<group>/<version>`.
fn id_of_arn(arn: &str) -> Option<String> {
    let (group, version) = arn.strip_prefix(ARN)?.split_once('/')?;
    Some(package_id(group, version.parse().ok()?))
}

fn register(
    transaction: &Transaction<'_>,
    registration: &Registration,
    approval: ApprovalStatus,
    now: Timestamp,
) -> Result<Result<PackageDescription, PackageError>, TableError> {
    let key = Digest::of_list(&[&registration.execution_arn, &registration.step]).to_string();
    if let Some(id) = transaction.get_document(REGISTRATION, &key)? {
        let body = transaction.get_document(PACKAGE, &id)?.unwrap_or_default();
        return Ok(read_package(&id, &body));
    }
    let group_id = registration.group.to_lowercase();
    let name = registration.group.clone();
    let mut group = PackageGroup { name, description: None, created_at: now, last_version: 0 };
    if let Some(body) = transaction.get_document(GROUP, &group_id)? {
        group = match read_group(&group_id, &body) {
            Ok(group) => group,
            Err(error) => return Ok(Err(error)),
        };
    }
    group.last_version += 1;
    let version = group.last_version;
    let package = PackageDescription {
        arn: format!("{ARN}{group_id}/{version}"),
        group: registration.group.clone(),
        version,
        model_data_url: registration.model_data_url.clone(),
        approval,
        created_at: now,
        metadata: registration.metadata.clone(),
    };
    let id = package_id(&registration.group, version);
    let details = registration.details.clone();
    let stored = StoredPackage { schema: 1, package: package.clone(), details, changed_at: now };
    transaction.put_document(GROUP, &group_id, &to_json(&StoredGroup { schema: 1, group }))?;
    transaction.put_document(PACKAGE, &id, &to_json(&stored))?;
    transaction.put_document(REGISTRATION, &key, &id)?;
    Ok(Ok(package))
}

fn read_package(id: &str, body: &str) -> Result<PackageDescription, PackageError> {
    read_stored(id, body).map(|it| it.package)
}

fn read_stored(id: &str, body: &str) -> Result<StoredPackage, PackageError> {
    serde_json::from_str(body).map_err(|error| unreadable(id, &error))
}

fn read_group(id: &str, body: &str) -> Result<PackageGroup, PackageError> {
    serde_json::from_str::<StoredGroup>(body).map(|it| it.group).map_err(|error| unreadable(id, &error))
}

fn to_json<T: Serialize>(document: &T) -> String {
    serde_json::to_string(document).expect("invariant: own documents serialize")
}

fn unreadable(id: &str, error: &serde_json::Error) -> PackageError {
    PackageError::Invalid(format!("stored document `{id}` does not parse: {error}"))
}

fn unavailable(error: TableError) -> PackageError {
    let cause: BoxError = Box::new(error);
    PackageError::Unavailable(cause)
}

#[async_trait]
impl Packages for LocalPackages {
    async fn describe(&self, arn: &str) -> Result<PackageDescription, PackageError> {
        let missing = || PackageError::NotFound(arn.to_owned());
        let id = id_of_arn(arn).ok_or_else(missing)?;
        let body = self.database.get_document(PACKAGE, &id).map_err(unavailable)?.ok_or_else(missing)?;
        read_package(&id, &body)
    }

    async fn set_approval(&self, arn: &str, status: ApprovalStatus) -> Result<(), PackageError> {
        let missing = || PackageError::NotFound(arn.to_owned());
        let id = id_of_arn(arn).ok_or_else(missing)?;
        self.transact(|transaction| {
            let Some(body) = transaction.get_document(PACKAGE, &id)? else { return Ok(Err(missing())) };
            let mut stored = match read_stored(&id, &body) {
                Ok(stored) => stored,
                Err(error) => return Ok(Err(error)),
            };
            stored.package.approval = status;
            transaction.put_document(PACKAGE, &id, &to_json(&stored))?;
            Ok(Ok(()))
        })
    }
}
