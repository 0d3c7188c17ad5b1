//! [`Objects`] on S3.

use std::ops::Range;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use jiff::Timestamp;
use refit_app::ports::{Object, ObjectError, ObjectInfo, ObjectPage, Objects};
use refit_core::ObjectUri;

use crate::call::{Failed, Kind, Limits, Repeat, call};

/// Larger than any object: what lies beyond is not asked for.
const END_OF_OBJECTS: u64 = 1 << 50;

/// Objects in S3.
#[derive(Debug, Clone)]
pub struct S3Objects {
    client: Client,
    limits: Limits,
}

impl S3Objects {
    /// Objects in the buckets that the caller can reach.
    #[must_use]
    pub fn new(config: &SdkConfig, limits: Limits) -> S3Objects {
        // An endpoint of one's own is an emulator, which has no host names for buckets.
        let is_emulated = config.endpoint_url().is_some();
        let client = Client::from_conf(Builder::from(config).force_path_style(is_emulated).build());
        S3Objects { client, limits }
    }

    /// Describes an object, if it has `etag` where that is given.
    async fn describe(&self, uri: &ObjectUri, etag: Option<&str>) -> Result<ObjectInfo, ObjectError> {
        let request = self.client.head_object().bucket(uri.bucket()).key(uri.key());
        let request = request.set_if_match(etag.map(str::to_owned));
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let found = call(self.limits, Repeat::Freely, attempt).await.map_err(|it| object_error(uri, it))?;
        let info = info(uri.clone(), found.content_length, found.e_tag, found.last_modified);
        info.map_err(|missing| unclear(uri, missing))
    }

    /// Writes an object under a condition.
    async fn write(&self, uri: &ObjectUri, bytes: &[u8], if_match: Option<&str>) -> Result<ObjectInfo, ObjectError> {
        refuse_no_key(uri)?;
        let attempt = || async {
            let request = self.client.put_object().bucket(uri.bucket()).key(uri.key());
            let request = request.body(ByteStream::from(bytes.to_vec()));
            let request = match if_match {
                Some(etag) => request.if_match(etag),
                None => request.if_none_match("*"),
            };
            request.send().await.map_err(Failed::of)
        };
        // The repetition of a write that had its effect would be refused, as if somebody else had written.
        let written = match call(self.limits, Repeat::IfRefused, attempt).await {
            Ok(written) => written,
            Err(failed) if failed.status == 404 && failed.code == "NoSuchKey" => {
                return Err(ObjectError::Conflict(uri.clone()));
            }
            Err(failed) => return Err(object_error(uri, failed)),
        };
        // The answer does not say when.
        match self.describe(uri, written.e_tag.as_deref()).await {
            Ok(info) => Ok(info),
            // Somebody was fast: what was written is not there any more.
            Err(ObjectError::Conflict(_) | ObjectError::NotFound(_)) => {
                info(uri.clone(), i64::try_from(bytes.len()).ok(), written.e_tag, Some(DateTime::from_secs(0)))
                    .map_err(|missing| unclear(uri, missing))
            }
            Err(error) => Err(error),
        }
    }

    /// The objects after a key.
    async fn page(&self, prefix: &ObjectUri, after: Option<&str>) -> Result<ObjectPage, ObjectError> {
        let request = self.client.list_objects_v2().bucket(prefix.bucket()).max_keys(1_000);
        let request = request.set_prefix(Some(prefix.key().to_owned()).filter(|it| !it.is_empty()));
        let request = request.set_start_after(after.filter(|it| !it.is_empty()).map(str::to_owned));
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let found = call(self.limits, Repeat::Freely, attempt).await.map_err(|it| object_error(prefix, it))?;
        let is_cut = found.is_truncated.unwrap_or_default();
        let mut items = Vec::new();
        for object in found.contents.unwrap_or_default() {
            let key = object.key.unwrap_or_default();
            // Others write keys that no address of ours can name: folders' markers, control characters.
            match format!("s3://{}/{key}", prefix.bucket()).parse::<ObjectUri>() {
                Ok(uri) if uri.key() == key => {
                    let info = info(uri, object.size, object.e_tag, object.last_modified);
                    items.push((key, Some(info.map_err(|missing| unclear(prefix, missing))?)));
                }
                Ok(_) | Err(_) => items.push((key, None)),
            }
        }
        let next = items.last().filter(|_| is_cut).map(|it| it.0.clone());
        Ok(ObjectPage { items: items.into_iter().filter_map(|it| it.1).collect(), next })
    }
}

/// A whole body, with its length checked against what the service said before it.
async fn read_body(body: ByteStream, length: Option<i64>) -> Result<Vec<u8>, Failed> {
    let bytes = body.collect().await.map_err(Failed::of_body)?.to_vec();
    let said = length.and_then(|it| usize::try_from(it).ok());
    if said.is_some_and(|said| said != bytes.len()) {
        return Err(Failed::of_body(format!("the body has {} bytes, not {said:?}", bytes.len())));
    }
    Ok(bytes)
}

fn info(
    uri: ObjectUri,
    size: Option<i64>,
    etag: Option<String>,
    modified: Option<DateTime>,
) -> Result<ObjectInfo, &'static str> {
    // S3 tells seconds only, in one answer as in the other.
    let modified = modified.and_then(|it| Timestamp::from_second(it.secs()).ok()).ok_or("a time")?;
    let size = size.and_then(|it| u64::try_from(it).ok()).ok_or("a size")?;
    Ok(ObjectInfo { uri, size, etag: etag.ok_or("an etag")?, modified })
}

fn unclear(uri: &ObjectUri, missing: &str) -> ObjectError {
    ObjectError::Unavailable { uri: uri.clone(), source: format!("the answer lacks {missing}").into() }
}

fn refuse_no_key(uri: &ObjectUri) -> Result<(), ObjectError> {
    if uri.key().is_empty() {
        return Err(ObjectError::Invalid { uri: uri.clone(), why: "it names a bucket and no object".to_owned() });
    }
    Ok(())
}

fn object_error(uri: &ObjectUri, failed: Failed) -> ObjectError {
    let uri = uri.clone();
    match failed.kind {
        Kind::Throttled | Kind::Unknown => ObjectError::Unavailable { uri, source: failed.into() },
        Kind::Denied => ObjectError::Denied(uri),
        // An answer to HEAD has no body, and with it no code.
        Kind::Refused => match (failed.status, failed.code.as_str()) {
            (412, _) => ObjectError::Conflict(uri),
            (404, code) if code != "NoSuchBucket" => ObjectError::NotFound(uri),
            _ => ObjectError::Invalid { uri, why: failed.words() },
        },
    }
}

#[async_trait]
impl Objects for S3Objects {
    async fn head(&self, uri: &ObjectUri) -> Result<ObjectInfo, ObjectError> {
        refuse_no_key(uri)?;
        self.describe(uri, None).await
    }

    async fn get(&self, uri: &ObjectUri, limit: u64) -> Result<Object, ObjectError> {
        refuse_no_key(uri)?;
        let request = self.client.get_object().bucket(uri.bucket()).key(uri.key());
        let attempt = || async {
            let found = request.clone().send().await.map_err(Failed::of)?;
            let size = found.content_length.and_then(|it| u64::try_from(it).ok());
            match size {
                Some(size) if size <= limit => {}
                // The body is not read: the connection is given up.
                Some(size) => return Ok(Err(ObjectError::TooLarge { uri: uri.clone(), size, limit })),
                None => return Err(Failed::of_body("the answer lacks a size")),
            }
            let etag = found.e_tag.ok_or_else(|| Failed::of_body("the answer lacks an etag"))?;
            let bytes = read_body(found.body, found.content_length).await?;
            Ok(Ok(Object { bytes: bytes.into(), etag }))
        };
        call(self.limits, Repeat::Freely, attempt).await.map_err(|it| object_error(uri, it))?
    }

    async fn get_range(&self, uri: &ObjectUri, etag: &str, range: Range<u64>) -> Result<Vec<u8>, ObjectError> {
        refuse_no_key(uri)?;
        if range.end <= range.start || END_OF_OBJECTS <= range.start {
            return self.describe(uri, Some(etag)).await.map(|_| Vec::new());
        }
        let last = range.end.min(END_OF_OBJECTS) - 1;
        let request = self.client.get_object().bucket(uri.bucket()).key(uri.key());
        let request = request.if_match(etag).range(format!("bytes={}-{last}", range.start));
        let attempt = || async {
            let found = request.clone().send().await.map_err(Failed::of)?;
            read_body(found.body, found.content_length).await
        };
        match call(self.limits, Repeat::Freely, attempt).await {
            Ok(bytes) => Ok(bytes),
            // It begins beyond the end; the etag was looked at before.
            Err(failed) if failed.status == 416 => Ok(Vec::new()),
            Err(failed) => Err(object_error(uri, failed)),
        }
    }

    async fn put_new(&self, uri: &ObjectUri, bytes: &[u8]) -> Result<ObjectInfo, ObjectError> {
        self.write(uri, bytes, None).await
    }

    async fn replace(&self, uri: &ObjectUri, bytes: &[u8], etag: &str) -> Result<ObjectInfo, ObjectError> {
        self.write(uri, bytes, Some(etag)).await
    }

    async fn remove(&self, uri: &ObjectUri) -> Result<(), ObjectError> {
        refuse_no_key(uri)?;
        let request = self.client.delete_object().bucket(uri.bucket()).key(uri.key());
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        match call(self.limits, Repeat::Freely, attempt).await.map_err(|it| object_error(uri, it)) {
            Ok(_) | Err(ObjectError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, prefix: &ObjectUri, after: Option<&str>) -> Result<ObjectPage, ObjectError> {
        let mut after = after.map(str::to_owned);
        loop {
            let page = self.page(prefix, after.as_deref()).await?;
            // Whatever a page holds that has no address of ours is not worth a page of its own.
            if !page.items.is_empty() || page.next.is_none() {
                return Ok(page);
            }
            after = page.next;
        }
    }
}
