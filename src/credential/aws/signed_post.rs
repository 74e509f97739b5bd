//! A POST to an API of AWS that Sidekey makes for itself, signed in its header fields.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ring::digest;
use url::Url;

use super::canonical::{CanonicalRequest, SignedHeaders};
use super::keys::AwsKeys;
use super::path::PathRule;
use super::signature::{Signing, SigningKey, scope};
use super::time::Timestamp;
use crate::secret::hex;

/// A request.
pub(in crate::credential) struct SignedPost<'r> {
    pub(in crate::credential) url: &'r Url,
    pub(in crate::credential) service: &'r str,
    pub(in crate::credential) region: &'r str,
    /// `None` for a request without a body.
    pub(in crate::credential) content_type: Option<&'static str>,
    /// One more header field, such as the operation for an API that is told it there.
    pub(in crate::credential) field: Option<(&'static str, &'r str)>,
    pub(in crate::credential) body: &'r str,
}

impl SignedPost<'_> {
    /// Every header field of the request but `Host`, with the signature of these keys. `correction` is added to the time, in seconds.
    /// `None` if it cannot be signed.
    pub(in crate::credential) fn fields(
        &self,
        keys: &AwsKeys,
        correction: i64,
    ) -> Option<HeaderMap<HeaderValue>> {
        const DATE: HeaderName = HeaderName::from_static("x-amz-date");
        const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
        let timestamp = Timestamp::now(correction);
        let host = authority(self.url);
        let own = [("host", host.as_str()), ("x-amz-date", timestamp.as_str())];
        let own = own.into_iter().chain(keys.token().map(|token| ("x-amz-security-token", token)));
        let own = own.chain(self.content_type.map(|kind| ("content-type", kind))).chain(self.field);
        let headers = SignedHeaders::new(own.map(|(name, value)| (name, value.as_bytes())));
        let request = CanonicalRequest {
            method: "POST",
            path_rule: PathRule::of(self.service),
            path: self.url.path(),
            query: self.url.query().unwrap_or_default(),
            query_of_signature: &[],
            headers: &headers,
            payload: &hex(digest::digest(&digest::SHA256, self.body.as_bytes()).as_ref()),
        };
        let secret = keys.secret_access_key.expose();
        let signing = Signing {
            access_key_id: keys.access_key_id.expose(),
            timestamp: &timestamp,
            scope: &scope(&timestamp, Some(self.region), self.service),
            key: &SigningKey::derive(secret, timestamp.date(), self.region, self.service),
        };
        let mut authorization = HeaderValue::try_from(signing.authorization(&request)?).ok()?;
        authorization.set_sensitive(true);
        let date = HeaderValue::from_str(timestamp.as_str()).ok()?;
        let mut fields = HeaderMap::from_iter([(header::AUTHORIZATION, authorization), (DATE, date)]);
        fields.extend(self.content_type.map(|kind| (header::CONTENT_TYPE, HeaderValue::from_static(kind))));
        fields.extend(keys.session_token.clone().map(|token| (TOKEN, token)));
        if let Some((name, value)) = self.field {
            fields.insert(HeaderName::from_static(name), HeaderValue::from_str(value).ok()?);
        }
        Some(fields)
    }
}

/// The value of `Host` for a URL.
pub(in crate::credential) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
