//! Keys of a role, from the Security Token Service: `AssumeRole` and `AssumeRoleWithWebIdentity`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use form_urlencoded::Serializer;
use http::{HeaderMap, HeaderValue, Method, header};
use zeroize::Zeroizing;

use super::credentials::{AwsCredentials, Issued};
use super::identity::Role;
use super::keys::AwsKeys;
use super::metadata::token_of_file;
use super::refusal::refused;
use super::signed_post::SignedPost;
use super::time::unix_seconds;
use super::xml;
use crate::credential::exchange::{ServerAnswer, ServerClient, ServerRequest, Stated};
use crate::refresh::{ClockReading, Source, SourceError, SourceErrorKind, SourceServer};

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
        let (url, region) = (&self.role.sts, &*self.role.region);
        let post = SignedPost { url, service: "sts", region, content_type: Some(FORM), field: None, body };
        let fields = post.fields(keys, correction);
        fields.ok_or_else(|| SourceError::new(SourceErrorKind::Local, "the request to STS cannot be signed"))
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
