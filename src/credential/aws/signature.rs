//! The string to sign, the key, and the signature.

use ring::hmac;
use zeroize::Zeroizing;

use super::canonical::{CanonicalRequest, SignedHeaders};
use super::time::Timestamp;
use crate::secret::hex;

/// The name of the algorithm of Signature Version 4.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The key of one day, region and service. It cannot be used to find the secret access key.
pub(super) struct SigningKey(hmac::Key);

impl SigningKey {
    /// Derives the key of a day.
    pub(super) fn derive(secret_access_key: &str, date: &str, region: &str, service: &str) -> Self {
        let secret = Zeroizing::new(format!("AWS4{secret_access_key}"));
        let first = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let key = [date, region, service, "aws4_request"].iter().fold(first, |key, part| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
        });
        Self(key)
    }

    /// Signs a string to sign, in hexadecimal digits.
    fn sign(&self, text: &str) -> String {
        hex(hmac::sign(&self.0, text.as_bytes()).as_ref())
    }
}

/// What a signature names beside the request: who signs, when, and for whom.
pub(super) struct Signing<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) timestamp: &'a Timestamp,
    /// `20150830/us-east-1/s3/aws4_request`.
    pub(super) scope: &'a str,
    pub(super) key: &'a SigningKey,
}

/// The scope of a signature.
pub(super) fn scope(timestamp: &Timestamp, region: &str, service: &str) -> String {
    format!("{}/{region}/{service}/aws4_request", timestamp.date())
}

impl Signing<'_> {
    /// The text that is signed.
    pub(super) fn string_to_sign(&self, request: &CanonicalRequest<'_>) -> String {
        format!("{ALGORITHM}\n{}\n{}\n{}", self.timestamp.as_str(), self.scope, request.digest())
    }

    /// The signature of a request.
    pub(super) fn signature(&self, request: &CanonicalRequest<'_>) -> String {
        self.key.sign(&self.string_to_sign(request))
    }

    /// The value of `Authorization`.
    pub(super) fn authorization(&self, request: &CanonicalRequest<'_>) -> String {
        let (id, scope, names) = (self.access_key_id, self.scope, request.headers.names());
        let signature = self.signature(request);
        format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
    }

    /// The query parameters of a signature that is valid for `expires` seconds, without the signature.
    pub(super) fn parameters(
        &self,
        headers: &SignedHeaders<'_>,
        expires: u64,
    ) -> [(&'static str, String); 5] {
        [
            ("X-Amz-Algorithm", ALGORITHM.to_owned()),
            ("X-Amz-Credential", format!("{}/{}", self.access_key_id, self.scope)),
            ("X-Amz-Date", self.timestamp.as_str().to_owned()),
            ("X-Amz-Expires", expires.to_string()),
            ("X-Amz-SignedHeaders", headers.names()),
        ]
    }
}
