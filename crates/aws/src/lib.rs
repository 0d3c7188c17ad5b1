//! The ports of `refit-app` on the real services: DynamoDB, S3, SageMaker, SNS and EventBridge.
//!
//! Every call goes through one place (`call.rs`), which gives it a timeout, a retry class and a cap, and says what kind of
//! failure it ended with. The SDK's own retries are off: it does not know which of our calls may be repeated when nobody
//! can say whether the first one had its effect, and it does not look into a canceled transaction.

#[cfg(feature = "api")]
mod api;
mod call;
mod clock;
mod connect;
#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "sagemaker")]
mod endpoints;
#[cfg(feature = "sagemaker")]
mod packages;
#[cfg(feature = "sagemaker")]
mod pipelines;
#[cfg(all(feature = "events", feature = "sns"))]
mod publisher;
#[cfg(feature = "s3")]
mod range;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "sagemaker")]
mod sagemaker;

#[cfg(feature = "api")]
pub use api::{ApiClient, ApiError, ApiReply};
pub use call::Limits;
pub use clock::{ClockError, SystemClock, UrlClock};
pub use connect::{connect, https};
#[cfg(feature = "dynamodb")]
pub use dynamodb::{DynamoTable, INDEX, names};
#[cfg(feature = "sagemaker")]
pub use endpoints::SageMakerEndpoints;
#[cfg(feature = "sagemaker")]
pub use packages::SageMakerPackages;
#[cfg(feature = "sagemaker")]
pub use pipelines::SageMakerPipelines;
#[cfg(all(feature = "events", feature = "sns"))]
pub use publisher::{AwsPublisher, HOP, with_hop};
#[cfg(feature = "s3")]
pub use range::{ObjectRange, ObjectRanges};
#[cfg(feature = "s3")]
pub use s3::S3Objects;
