//! The string to sign, the key, and the signature.

use ring::hmac;
use zeroize::Zeroizing;

use super::canonical::{CanonicalRequest, SignedHeaders};
use super::time::Timestamp;
use super::v4a;
use super::v4a::KeyPair;
use crate::secret::hex;

/// The key of signatures. It cannot be used to find the secret access key.
pub(super) enum SigningKey {
    /// The key of one day, region and service.
    V4(hmac::Key),
    /// The key of an access key, for any day, region and service.
    V4a(Box<KeyPair>),
}

impl SigningKey {
    /// Derives the key of a day.
    pub(super) fn derive(secret_access_key: &str, date: &str, region: &str, service: &str) -> Self {
        let secret = Zeroizing::new(format!("AWS4{secret_access_key}"));
        let first = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let key = [date, region, service, "aws4_request"].iter().fold(first, |key, part| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
        });
        Self::V4(key)
    }

    /// The name of the algorithm.
    fn algorithm(&self) -> &'static str {
        match self {
            Self::V4(_) => "AWS4-HMAC-SHA256",
            Self::V4a(_) => v4a::ALGORITHM,
        }
    }

    /// Signs a string to sign, in hexadecimal digits; `None` if the machine has no random numbers.
    fn sign(&self, text: &str) -> Option<String> {
        Some(match self {
            Self::V4(key) => hex(hmac::sign(key, text.as_bytes()).as_ref()),
            Self::V4a(pair) => hex(&pair.sign(text.as_bytes())?),
        })
    }
}

/// What a signature names beside the request: who signs, when, and for whom.
pub(super) struct Signing<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) timestamp: &'a Timestamp,
    /// `20150830/us-east-1/s3/aws4_request`; without the region in version 4a.
    pub(super) scope: &'a str,
    pub(super) key: &'a SigningKey,
}

/// The scope of a signature; `region` is `None` in version 4a.
pub(super) fn scope(timestamp: &Timestamp, region: Option<&str>, service: &str) -> String {
    match region {
        Some(region) => format!("{}/{region}/{service}/aws4_request", timestamp.date()),
        None => format!("{}/{service}/aws4_request", timestamp.date()),
    }
}

impl Signing<'_> {
    /// The text that is signed.
    pub(super) fn string_to_sign(&self, request: &CanonicalRequest<'_>) -> String {
        let (algorithm, time) = (self.key.algorithm(), self.timestamp.as_str());
        format!("{algorithm}\n{time}\n{}\n{}", self.scope, request.digest())
    }

    /// The signature of a request; `None` if the machine has no random numbers, which version 4a needs.
    pub(super) fn signature(&self, request: &CanonicalRequest<'_>) -> Option<String> {
        self.key.sign(&self.string_to_sign(request))
    }

    /// The value of `Authorization`; `None` as for [`Self::signature`].
    pub(super) fn authorization(&self, request: &CanonicalRequest<'_>) -> Option<String> {
        let (id, scope, names) = (self.access_key_id, self.scope, request.headers.names());
        let (algorithm, signature) = (self.key.algorithm(), self.signature(request)?);
        Some(format!("{algorithm} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"))
    }

    /// The query parameters of a signature that is valid for `expires` seconds, without the signature.
    pub(super) fn parameters(
        &self,
        headers: &SignedHeaders<'_>,
        expires: u64,
    ) -> [(&'static str, String); 5] {
        [
            ("X-Amz-Algorithm", self.key.algorithm().to_owned()),
            ("X-Amz-Credential", format!("{}/{}", self.access_key_id, self.scope)),
            ("X-Amz-Date", self.timestamp.as_str().to_owned()),
            ("X-Amz-Expires", expires.to_string()),
            ("X-Amz-SignedHeaders", headers.names()),
        ]
    }
}
