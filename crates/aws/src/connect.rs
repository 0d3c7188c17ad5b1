//! Where the services are and who calls them.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// Longest time to open a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// The SDK's configuration from the environment, as the SDK documents it, with retries and time limits left to this crate.
pub async fn connect() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .http_client(https())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
        .load()
        .await
}

/// The client of every call.
pub fn https() -> SharedHttpClient {
    Builder::new().tls_provider(tls()).build_https()
}

/// TLS of every call: rustls over ring, which is a megabyte smaller than what the SDKs would take, and quicker to build.
pub(crate) fn tls() -> Provider {
    Provider::Rustls(CryptoMode::Ring)
}
