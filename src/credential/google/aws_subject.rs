//! The subject token of a workload on AWS: a request for its identity (`GetCallerIdentity` of STS), which is signed here and sent by
//! Google. What AWS answers to Google is who the workload is.
//!
//! The signature covers the provider that the token is for (`x-goog-cloud-target-resource`), so that another one cannot use it. AWS
//! accepts it for 15 minutes at most.

use std::sync::Arc;

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use crate::config::ValueServer;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Definition, Format, Keys};
use crate::config::reader::value::Value;
use crate::credential::aws;
use crate::credential::aws::{
    ACCESS_KEY_ID, ASSUME_ROLE, AwsCredentials, AwsKeys, CREDENTIALS, Identity, REGION, SECRET_ACCESS_KEY,
    SESSION_TOKEN, SignedPost,
};
use crate::credential::{BuildError, SourceContext};
use crate::refresh::{Source, SourceError, SourceErrorKind};
use crate::secret::Secret;

/// The format of `aws`.
pub(in crate::credential) const AWS: Format = Format::Defined(&Definition {
    name: "gcp_aws_subject",
    description: "The identity of AWS that a federation is shown.",
    format: Format::Keys(&[KEYS]),
});

const KEYS: Keys = &[REGION, ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN, CREDENTIALS, ASSUME_ROLE];

/// The service, as in the scope of a signature.
const SERVICE: &str = "sts";
/// The query of the request.
const QUERY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// The place of the region in the URL of the file.
const REGION_PLACE: &str = "{region}";
/// What is encoded in the token: everything but unreserved characters (RFC 3986 §2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The identity that is shown, from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct AwsWorkload {
    region: String,
    identity: Identity,
}

impl AwsWorkload {
    /// Reads `aws`.
    pub(in crate::credential) fn read(value: &Value<'_>) -> Option<Self> {
        let mut mapping: Mapping<'_> = value.mapping()?;
        let region = aws::region(&mut mapping);
        let identity = aws::identity(&mut mapping, region.as_deref());
        mapping.reject_unknown_keys();
        Some(Self { region: region?, identity: identity? })
    }
}

/// The request that is signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct AwsSubject {
    workload: AwsWorkload,
    url: Url,
}

impl AwsSubject {
    /// The request at the URL of the file (`regional_cred_verification_url`). It can be no other request: Google would send what
    /// is signed.
    pub(super) fn new(workload: AwsWorkload, url: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`credential_source.regional_cred_verification_url` is not `https://sts.{REGION_PLACE}.amazonaws.com?{QUERY}`"
            )
        };
        let url = Url::parse(&url.replace(REGION_PLACE, &workload.region)).map_err(|_| wrong())?;
        let region = &workload.region;
        let hosts = [
            format!("sts.{region}.amazonaws.com"),
            format!("sts.{region}.amazonaws.com.cn"),
            "sts.amazonaws.com".into(),
        ];
        let is_plain = url.scheme() == "https"
            && url.port().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let is_host = url.host_str().is_some_and(|host| hosts.iter().any(|known| known == host));
        let is_request = url.path() == "/" && url.query() == Some(QUERY) && url.fragment().is_none();
        if is_plain && is_host && is_request { Ok(Self { workload, url }) } else { Err(wrong()) }
    }

    /// Every server that requests for the keys go to.
    pub(super) fn servers(&self) -> Vec<ValueServer> {
        self.workload.identity.servers()
    }
}

/// Signs the request with the current keys.
pub(super) struct AwsCaller {
    subject: AwsSubject,
    audience: String,
    keys: CallerKeys,
}

enum CallerKeys {
    Fixed(Box<AwsKeys>),
    Temporary(Arc<dyn Source<AwsCredentials>>),
}

impl AwsCaller {
    /// `audience` is the provider of the pool.
    pub(super) fn new(
        subject: &AwsSubject,
        audience: &str,
        context: &SourceContext<'_>,
    ) -> Result<Self, BuildError> {
        let identity = &subject.workload.identity;
        let keys = match (aws::keys_source(identity, context.tls, context.resolver)?, identity.static_keys())
        {
            (Some(source), _) => CallerKeys::Temporary(source),
            (None, Some(keys)) => CallerKeys::Fixed(Box::new(keys.keys())),
            (None, None) => return Err("the identity of AWS has no keys".into()),
        };
        Ok(Self { subject: subject.clone(), audience: audience.to_owned(), keys })
    }

    /// The signed request as Google reads it.
    pub(super) async fn token(&self) -> Result<Secret, SourceError> {
        match &self.keys {
            CallerKeys::Fixed(keys) => self.signed(keys),
            CallerKeys::Temporary(source) => self.signed(source.fetch().await?.keys()),
        }
    }

    fn signed(&self, keys: &AwsKeys) -> Result<Secret, SourceError> {
        let failed = || {
            SourceError::new(SourceErrorKind::Local, "the request for the identity at AWS cannot be signed")
        };
        let post = SignedPost {
            url: &self.subject.url,
            service: SERVICE,
            region: &self.subject.workload.region,
            content_type: None,
            field: Some(("x-goog-cloud-target-resource", &self.audience)),
            body: "",
        };
        let fields: HeaderMap = post.fields(keys, 0).ok_or_else(failed)?;
        let host = aws::authority(&self.subject.url);
        let mut headers = vec![json!({ "key": "host", "value": host })];
        for (name, value) in &fields {
            let value = value.to_str().map_err(|_| failed())?;
            headers.push(json!({ "key": name.as_str(), "value": value }));
        }
        let request = json!({ "headers": headers, "method": "POST", "url": self.subject.url.as_str() });
        let request = Zeroizing::new(request.to_string());
        let token = utf8_percent_encode(&request, ENCODED).to_string();
        Secret::new(token).map_err(|_| failed())
    }
}
