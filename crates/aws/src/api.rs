//! A caller of Refit's own API: requests signed with the caller's credentials.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use refit_app::ports::BoxError;

use crate::connect::tls;

/// The name that the gateway's signatures are for.
const SERVICE: &str = "execute-api";
/// Longer than the gateway itself waits.
const PATIENCE: Duration = Duration::from_secs(35);

/// Why the API could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// There are no credentials.
    #[error("no AWS credentials were found: set AWS_PROFILE, sign in, or give the role's variables")]
    NoCredentials(#[source] Option<CredentialsError>),
    /// The region is not known.
    #[error("the region of the API is not known: set AWS_REGION")]
    NoRegion,
    /// The request cannot be signed.
    #[error("the request to `{url}` cannot be signed")]
    Sign {
        /// The address.
        url: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// Nobody answers.
    #[error("the API at `{url}` could not be reached")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        #[source]
        source: BoxError,
    },
}

/// What the API answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiReply {
    /// The HTTP status.
    pub status: u16,
    /// The generation of what was shown, for `If-Match`.
    pub etag: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A caller of the API.
pub struct ApiClient {
    config: SdkConfig,
    url: String,
}

impl ApiClient {
    /// A caller with the credentials of the environment, as the SDK documents it. Calls nobody yet.
    pub async fn connect(url: &str) -> ApiClient {
        ApiClient { config: crate::connect().await, url: url.trim_end_matches('/').to_owned() }
    }

    /// Sends a request, signed at `now`; `path` begins with a slash and may have a query.
    ///
    /// # Errors
    /// See [`ApiError`]. An answer that says no is an answer.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        now: SystemTime,
    ) -> Result<ApiReply, ApiError> {
        let url = format!("{}{path}", self.url);
        let request = self.signed(method, &url, headers, body, now).await?;
        let unreachable = |source: BoxError| ApiError::Unreachable { url: url.clone(), source };
        let connector = Connector::builder().tls_provider(tls()).build();
        let answered = tokio::time::timeout(PATIENCE, connector.call(request)).await;
        let response = answered.map_err(|it| unreachable(it.into()))?.map_err(|it| unreachable(it.into()))?;
        let status = response.status().as_u16();
        let etag = response.headers().get("etag").map(str::to_owned);
        let body = tokio::time::timeout(PATIENCE, ByteStream::new(response.into_body()).collect()).await;
        let body = body.map_err(|it| unreachable(it.into()))?.map_err(|it| unreachable(it.into()))?;
        Ok(ApiReply { status, etag, body: body.to_vec() })
    }

    async fn signed(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        now: SystemTime,
    ) -> Result<HttpRequest, ApiError> {
        let provider = self.config.credentials_provider().ok_or(ApiError::NoCredentials(None))?;
        let credentials = provider.provide_credentials().await.map_err(|it| ApiError::NoCredentials(Some(it)))?;
        let identity = credentials.into();
        let region = region_of(&self.url).map(str::to_owned).or_else(|| self.config.region().map(ToString::to_string));
        let region = region.ok_or(ApiError::NoRegion)?;
        let wrong = |source: BoxError| ApiError::Sign { url: url.to_owned(), source };
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(SERVICE)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|it| wrong(it.into()))?;
        let signable = SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body))
            .map_err(|it| wrong(it.into()))?;
        let (instructions, _) = sign(signable, &parameters.into()).map_err(|it| wrong(it.into()))?.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body.to_vec()));
        request.set_method(method).map_err(|it| wrong(it.into()))?;
        request.set_uri(url).map_err(|it| wrong(it.into()))?;
        for (name, value) in headers.iter().copied().chain(instructions.headers()) {
            request.headers_mut().try_insert(name.to_owned(), value.to_owned()).map_err(|it| wrong(it.into()))?;
        }
        Ok(request)
    }
}

/// The region in the gateway's own address, `https://<id>.execute-api.<region>.amazonaws.com`.
fn region_of(url: &str) -> Option<&str> {
    let host = url.split_once("://")?.1.split(['/', ':']).next()?;
    let (_, rest) = host.split_once(".execute-api.")?;
    rest.split_once(".amazonaws.com").map(|it| it.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_stands_in_the_address() {
        assert_eq!(region_of("https://a1.execute-api.eu-west-1.amazonaws.com/x"), Some("eu-west-1"));
        assert_eq!(region_of("https://a1.execute-api.cn-north-1.amazonaws.com.cn"), Some("cn-north-1"));
        assert_eq!(region_of("http://127.0.0.1:8000"), None);
    }
}
