//! Names, digests and addresses: parsed once at the edge, correct by construction inside.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::json::to_json;

/// The longest name: SageMaker allows 63 characters for a model package group.
const MAX_NAME: usize = 63;

/// Why a text is not a valid name, digest or address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name does not follow the rule for names.
    #[error("`{0}` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit")]
    Name(String),
    /// The run id does not follow `<model>-r<number>`.
    #[error("`{0}` is not a run id: it looks like `flight-time-r0003`")]
    RunId(String),
    /// The digest is not SHA-256 in hexadecimal.
    #[error("`{0}` is not a digest: it is `sha256:` and 64 hexadecimal digits")]
    Digest(String),
    /// The address is not an S3 URI that Refit accepts.
    #[error("`{uri}` is not an S3 address: {why}")]
    Uri {
        /// What was given.
        uri: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Shows a text that somebody typed in an error: shortened, with control characters escaped.
fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if 80 < text.chars().count() {
        out.push('…');
    }
    out
}

/// Parses a text where it stands, without a copy of it.
struct ByParsing<T>(PhantomData<T>);

impl<T: FromStr<Err = NameError>> Visitor<'_> for ByParsing<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! text_newtype {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(ByParsing(PhantomData))
            }
        }
    };
}

/// The id of a monitored model: `[A-Za-z0-9][A-Za-z0-9-]{0,62}`, safe in every AWS name, path and log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId(Arc<str>);
text_newtype!(ModelId);

impl FromStr for ModelId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_name(text) { Ok(ModelId(text.into())) } else { Err(NameError::Name(shown(text))) }
    }
}

/// Whether `text` follows the rule for names of models, endpoints, variants and groups.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// The id of a retraining run, `<model>-r<number>`: numbered by the model's HEAD, so that it is unique without
/// randomness and begins the execution's display name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Arc<str>);
text_newtype!(RunId);

impl RunId {
    /// The id of the `number`-th run of `model`, counted from 1.
    #[must_use]
    pub fn new(model: &ModelId, number: u64) -> RunId {
        RunId(format!("{model}-r{number:04}").into())
    }

    /// The model this run belongs to.
    #[must_use]
    pub fn model(&self) -> ModelId {
        let (model, _) = self.0.rsplit_once("-r").expect("invariant: a run id contains `-r`");
        ModelId(model.into())
    }
}

impl FromStr for RunId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = text.rsplit_once("-r").is_some_and(|(model, number)| {
            is_name(model) && 4 <= number.len() && number.len() <= 12 && number.bytes().all(|it| it.is_ascii_digit())
        });
        if valid { Ok(RunId(text.into())) } else { Err(NameError::RunId(shown(text))) }
    }
}

/// A SHA-256 digest, written `sha256:<64 hexadecimal digits>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);
text_newtype!(Digest);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::of_parts(&[bytes])
    }

    /// The digest of the concatenation of `parts`, each preceded by its length so that no two lists collide.
    #[must_use]
    pub fn of_list(parts: &[&str]) -> Digest {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        Digest::finish(hasher)
    }

    /// The digest of the bytes of `parts`, one after another.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Digest {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Digest::finish(hasher)
    }

    /// The digest of a document as JSON.
    ///
    /// # Panics
    /// Never for Refit's own documents, whose map keys are texts.
    #[must_use]
    pub fn of_json<T: Serialize>(document: &T) -> Digest {
        Digest::of(to_json(document).as_bytes())
    }

    /// The 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    /// The first 12 hexadecimal digits, enough to tell documents apart on a screen.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// The first eight bytes as a number: a seed that is a pure function of the digest.
    #[must_use]
    pub fn seed(&self) -> u64 {
        u64::from_str_radix(&self.hex()[..16], 16).expect("invariant: a digest is hexadecimal")
    }

    /// The first sixteen bytes as two numbers.
    pub(crate) fn seeds(&self) -> (u64, u64) {
        let second = u64::from_str_radix(&self.hex()[16..32], 16).expect("invariant: a digest is hexadecimal");
        (self.seed(), second)
    }

    fn finish(hasher: Sha256) -> Digest {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(hasher.finalize()) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        let mut text = [0; "sha256:".len() + 64];
        text[.."sha256:".len()].copy_from_slice(b"sha256:");
        text["sha256:".len()..].copy_from_slice(&hex);
        let text = std::str::from_utf8(&text).expect("invariant: a digest is hexadecimal");
        Digest(text.into())
    }
}

impl FromStr for Digest {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = text.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
        });
        if valid { Ok(Digest(text.into())) } else { Err(NameError::Digest(shown(text))) }
    }
}

/// An S3 address `s3://bucket/key`; the key may be empty or end in `/` where a prefix is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectUri {
    bucket: String,
    key: String,
}

impl ObjectUri {
    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key, without a leading slash.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The address of a key in a bucket.
    ///
    /// # Errors
    /// Refuses a bucket or a key that is none.
    pub fn of(bucket: &str, key: String) -> Result<ObjectUri, NameError> {
        match check_address(bucket, &key) {
            Ok(()) => Ok(ObjectUri { bucket: bucket.to_owned(), key }),
            Err(why) => Err(NameError::Uri { uri: shown(&format!("s3://{bucket}/{key}")), why }),
        }
    }

    /// The address of `name` below this one, with exactly one slash between.
    ///
    /// # Errors
    /// Refuses a name that makes an invalid key.
    pub fn join(&self, name: &str) -> Result<ObjectUri, NameError> {
        let base = self.key.trim_end_matches('/');
        let key = if base.is_empty() { name.to_owned() } else { [base, "/", name].concat() };
        ObjectUri::of(&self.bucket, key)
    }

    /// Whether `other` lies below this address, which is read as a prefix.
    #[must_use]
    pub fn contains(&self, other: &ObjectUri) -> bool {
        let prefix = self.key.trim_end_matches('/');
        self.bucket == other.bucket
            && (prefix.is_empty()
                || other.key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

impl fmt::Display for ObjectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl FromStr for ObjectUri {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let refuse = |why| NameError::Uri { uri: shown(text), why };
        let rest = text.strip_prefix("s3://").ok_or_else(|| refuse("it must begin with `s3://`"))?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        check_address(bucket, key).map_err(refuse)?;
        Ok(ObjectUri { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

/// What is wrong with an address, if anything.
fn check_address(bucket: &str, key: &str) -> Result<(), &'static str> {
    let is_bucket = 3 <= bucket.len()
        && bucket.len() <= 63
        && bucket.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-' || it == b'.')
        && !bucket.contains("..")
        && bucket.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric())
        && bucket.bytes().last().is_some_and(|it| it.is_ascii_alphanumeric());
    if !is_bucket {
        return Err("the bucket is 3 to 63 of `a-z 0-9 - .`, beginning and ending with a letter or digit");
    }
    if 1024 < key.len() {
        return Err("the key is longer than 1,024 bytes");
    }
    if key.chars().any(char::is_control) {
        return Err("the key holds a control character");
    }
    // The last part alone may be empty: the key is a prefix then.
    let (folder, last) = key.rsplit_once('/').map_or((None, key), |(folder, last)| (Some(folder), last));
    for part in folder.into_iter().flat_map(|it| it.split('/')) {
        match part {
            "" => return Err("the key has an empty part (`//`)"),
            "." | ".." => return Err("the key has a part `.` or `..`"),
            _ => {}
        }
    }
    if last == "." || last == ".." {
        return Err("the key has a part `.` or `..`");
    }
    if key.starts_with(' ') || key.ends_with(' ') {
        return Err("the key begins or ends with a space");
    }
    Ok(())
}

impl Serialize for ObjectUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["a", "flight-time", "A9", &"x".repeat(63)] {
            assert!(good.parse::<ModelId>().is_ok(), "{good}");
        }
        for bad in ["", &"x".repeat(64), "-a", "a_b", "a/b", "..", "a b", "emoji😀", "а", "a\n", "CON."] {
            assert!(bad.parse::<ModelId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn run_ids_know_their_model() {
        let model: ModelId = "my-model-r2".parse().unwrap_or_else(|_| unreachable!());
        let run = RunId::new(&model, 12);
        assert_eq!(run.to_string(), "my-model-r2-r0012");
        assert_eq!(run.model(), model);
        assert_eq!(run.to_string().parse(), Ok(run));
        assert!("flight-time".parse::<RunId>().is_err());
    }

    #[test]
    fn addresses_are_strict() {
        for good in
            ["s3://bucket/key", "s3://bucket/a/b.json", "s3://bucket/prefix/", "s3://bucket", "s3://my.bucket/x y"]
        {
            assert!(good.parse::<ObjectUri>().is_ok(), "{good}");
        }
        let bad = [
            "s3://",
            "s3:///k",
            "S3://B/..",
            "http://169.254.169.254/x",
            "file:///etc/passwd",
            "s3://Bucket/k",
            "s3://bucket/a/../b",
            "s3://bucket//k",
            "s3://bucket/k\0",
            "s3://bucket/k ",
            "s3://ab/k",
            "s3://-ab/k",
        ];
        for bad in bad {
            assert!(bad.parse::<ObjectUri>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn prefixes_end_at_a_slash() {
        let prefix: ObjectUri = "s3://bucket/a/b".parse().unwrap_or_else(|_| unreachable!());
        for (uri, inside) in [
            ("s3://bucket/a/b/c", true),
            ("s3://bucket/a/b", true),
            ("s3://bucket/a/bc", false),
            ("s3://other/a/b/c", false),
        ] {
            assert_eq!(prefix.contains(&uri.parse().unwrap_or_else(|_| unreachable!())), inside, "{uri}");
        }
    }

    #[test]
    fn digests_read_back() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_ne!(Digest::of_list(&["a", "bc"]), Digest::of_list(&["ab", "c"]));
    }
}
