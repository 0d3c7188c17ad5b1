//! What the three ports on SageMaker share: its client, its ways to say that something is missing, its times.

use aws_config::SdkConfig;
use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::primitives::DateTime;
use jiff::Timestamp;

use crate::call::{Failed, Kind};

pub(crate) fn client(config: &SdkConfig) -> Client {
    Client::new(config)
}

/// Whether a refusal says that what was asked for does not exist.
///
/// Older operations have no error for it: they answer `ValidationException` with words such as `Could not find endpoint`.
pub(crate) fn is_missing(failed: &Failed) -> bool {
    failed.kind == Kind::Refused
        && (["ResourceNotFound", "ResourceNotFoundException"].contains(&failed.code.as_str())
            || failed.code == "ValidationException"
                && failed.says(&["could not find", "does not exist", "cannot find", "not found"]))
}

/// Whether a refusal says that what was to be made exists.
pub(crate) fn is_existing(failed: &Failed) -> bool {
    failed.kind == Kind::Refused
        && (["ResourceInUse", "ConflictException"].contains(&failed.code.as_str())
            || failed.says(&["already exist", "already existing"]))
}

/// A time; the beginning of times where the service gives none.
pub(crate) fn time(time: Option<&DateTime>) -> Timestamp {
    time.and_then(|it| Timestamp::from_nanosecond(it.as_nanos()).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The name at the end of an ARN.
pub(crate) fn name_of_arn<'a>(arn: &'a str, kind: &str) -> &'a str {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    let name = resource.strip_prefix(kind).and_then(|it| it.strip_prefix('/')).unwrap_or(resource);
    name.split('/').next().unwrap_or(name)
}
