//! Keys of a role, from the Security Token Service: `AssumeRole` and `AssumeRoleWithWebIdentity`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use form_urlencoded::Serializer;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use ring::digest;
use url::Url;
use zeroize::Zeroizing;

use super::canonical::{CanonicalRequest, SignedHeaders};
use super::credentials::{AwsCredentials, Issued};
use super::identity::Role;
use super::keys::AwsKeys;
use super::metadata::token_of_file;
use super::path::PathRule;
use super::refusal::refused;
use super::signature::{Signing, SigningKey, scope};
use super::time::{Timestamp, unix_seconds};
use super::xml;
use crate::credential::exchange::{ServerAnswer, ServerClient, ServerRequest, Stated};
use crate::refresh::{ClockReading, Source, SourceError, SourceErrorKind, SourceServer};
use crate::secret::hex;

/// The server in messages.
pub(super) const WHO: &str = "STS";
/// The limit on one request.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

const VERSION: &str = "2011-06-15";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// What a role is requested with.
pub(super) enum Proof {
    /// The token in this file, which is read for each request. The request is not signed.
    WebIdentity(PathBuf),
    /// Keys, which sign the request.
    Keys(Base),
}

/// Keys that take on a role.
pub(super) enum Base {
    Fixed(Box<AwsKeys>),
    Temporary(Arc<dyn Source<AwsCredentials>>),
}

/// A source of the keys of a role.
pub(super) struct RoleSource {
    server: ServerClient,
    role: Role,
    proof: Proof,
}

impl RoleSource {
    pub(super) fn new(server: ServerClient, role: Role, proof: Proof) -> Self {
        Self { server, role, proof }
    }

    fn form(&self, token: Option<&str>) -> Zeroizing<String> {
        let mut form = Serializer::new(String::new());
        let action = if token.is_some() { "AssumeRoleWithWebIdentity" } else { "AssumeRole" };
        form.append_pair("Action", action).append_pair("Version", VERSION);
        form.append_pair("RoleArn", &self.role.arn).append_pair("RoleSessionName", &self.role.session_name);
        if let Some(id) = &self.role.external_id {
            form.append_pair("ExternalId", id);
        }
        if let Some(duration) = self.role.duration {
            form.append_pair("DurationSeconds", &duration.as_secs().to_string());
        }
        if let Some(token) = token {
            form.append_pair("WebIdentityToken", token);
        }
        Zeroizing::new(form.finish())
    }

    async fn send(
        &self,
        body: Zeroizing<String>,
        signature: HeaderMap<HeaderValue>,
    ) -> Result<ServerAnswer, SourceError> {
        let mut headers = signature;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FORM));
        let request = ServerRequest { method: Method::POST, url: &self.role.sts, headers, body };
        self.server.send(request).await
    }

    /// Sends a request that these keys sign, and a second one if a clock is off.
    async fn send_signed(&self, keys: &AwsKeys) -> Result<ServerAnswer, SourceError> {
        let body = self.form(None);
        let answer = self.send(body.clone(), self.signature(&body, keys, 0)?).await?;
        let now = SystemTime::now();
        let skew = answer.date.map_or(0, |date| unix_seconds(date) - unix_seconds(now));
        if answer.status.is_client_error() && skew.abs() >= super::clock::TOLERANCE {
            let signature = self.signature(&body, keys, skew)?;
            return self.send(body, signature).await;
        }
        Ok(answer)
    }

    fn signature(
        &self,
        body: &str,
        keys: &AwsKeys,
        correction: i64,
    ) -> Result<HeaderMap<HeaderValue>, SourceError> {
        const DATE: HeaderName = HeaderName::from_static("x-amz-date");
        const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
        let timestamp = Timestamp::now(correction);
        let host = authority(&self.role.sts);
        let own = [("content-type", FORM), ("host", &host), ("x-amz-date", timestamp.as_str())];
        let own = own.into_iter().chain(keys.token().map(|token| ("x-amz-security-token", token)));
        let headers = SignedHeaders::new(own.map(|(name, value)| (name, value.as_bytes())));
        let request = CanonicalRequest {
            method: "POST",
            path_rule: PathRule::of("sts"),
            path: self.role.sts.path(),
            query: self.role.sts.query().unwrap_or_default(),
            query_of_signature: &[],
            headers: &headers,
            payload: &hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref()),
        };
        let secret = keys.secret_access_key.expose();
        let signing = Signing {
            access_key_id: keys.access_key_id.expose(),
            timestamp: &timestamp,
            scope: &scope(&timestamp, Some(&self.role.region), "sts"),
            key: &SigningKey::derive(secret, timestamp.date(), &self.role.region, "sts"),
        };
        let authorization = signing.authorization(&request).and_then(|text| HeaderValue::try_from(text).ok());
        let (Some(mut authorization), Ok(date)) = (authorization, HeaderValue::from_str(timestamp.as_str()))
        else {
            return Err(SourceError::new(SourceErrorKind::Local, "the request to STS cannot be signed"));
        };
        authorization.set_sensitive(true);
        let mut fields = HeaderMap::from_iter([(header::AUTHORIZATION, authorization), (DATE, date)]);
        fields.extend(keys.session_token.clone().map(|token| (TOKEN, token)));
        Ok(fields)
    }

    fn parse(
        &self,
        answer: &ServerAnswer,
        sent: ClockReading,
        secrets: &[&str],
    ) -> Result<AwsCredentials, SourceError> {
        let text = |element| xml::text(&answer.body, element);
        if !answer.status.is_success() {
            let (code, message) = (text("Code"), text("Message"));
            let stated = Stated { code: code.as_deref(), message: message.as_deref(), secrets };
            return Err(refused(&self.server, answer, &stated));
        }
        let issued = Issued {
            access_key_id: text("AccessKeyId").unwrap_or_default(),
            secret_access_key: text("SecretAccessKey").unwrap_or_default(),
            session_token: text("SessionToken").unwrap_or_default(),
            expiration: text("Expiration").unwrap_or_default(),
        };
        AwsCredentials::issued(issued, sent, answer.date, WHO)
    }
}

#[async_trait]
impl Source<AwsCredentials> for RoleSource {
    async fn fetch(&self) -> Result<AwsCredentials, SourceError> {
        match &self.proof {
            Proof::WebIdentity(file) => {
                let token = token_of_file(file).await?;
                let sent = ClockReading::now();
                let answer = self.send(self.form(Some(&token)), HeaderMap::new()).await?;
                self.parse(&answer, sent, &[&token])
            }
            Proof::Keys(Base::Fixed(keys)) => self.assume(keys).await,
            Proof::Keys(Base::Temporary(source)) => self.assume(&source.fetch().await?.keys).await,
        }
    }

    fn server(&self) -> Option<Arc<SourceServer>> {
        Some(self.server.facts())
    }
}

impl RoleSource {
    async fn assume(&self, keys: &AwsKeys) -> Result<AwsCredentials, SourceError> {
        let sent = ClockReading::now();
        let answer = self.send_signed(keys).await?;
        let secrets: Vec<_> = [keys.secret_access_key.expose()].into_iter().chain(keys.token()).collect();
        self.parse(&answer, sent, &secrets)
    }
}

/// The value of `Host` for a URL.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
