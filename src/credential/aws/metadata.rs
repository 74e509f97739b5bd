//! Keys of the role of an instance or a container, from an endpoint of the machine.
//!
//! | source | who is asked | what proves the right to ask |
//! |---|---|---|
//! | instance | the metadata service of EC2, version 2 | a token that the service gave to this machine |
//! | container | the agent of ECS, or of EKS Pod Identity | the token in a file, read again each time |
//!
//! Version 1 of the metadata service is never used: any request that an app can be made to send would get the keys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::credentials::{AwsCredentials, Issued};
use super::refusal::refused;
use crate::credential::exchange::{ServerAnswer, ServerClient, ServerRequest, Stated};
use crate::refresh::{ClockReading, Source, SourceError, SourceErrorKind, SourceServer};
use crate::secret::read_file;

/// The limit on one request to an endpoint of this machine.
pub(super) const LIMIT: Duration = Duration::from_secs(1);

const TOKEN_LIFETIME: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
/// The largest file with a token, in bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// The keys as both endpoints state them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    code: Option<String>,
    message: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    expiration: Option<String>,
}

/// Reads the keys of an answer.
fn keys(
    server: &ServerClient,
    answer: &ServerAnswer,
    sent: ClockReading,
    who: &str,
) -> Result<AwsCredentials, SourceError> {
    let document = serde_json::from_str::<Document>(&answer.body).map_err(|_| {
        SourceError::new(SourceErrorKind::Malformed, format!("{who}'s answer is not JSON with a key"))
    })?;
    if document.code.as_deref().is_some_and(|code| code != "Success") {
        let stated = Stated {
            code: document.code.as_deref(),
            message: document.message.as_deref(),
            ..Stated::default()
        };
        return Err(refused(server, answer, &stated));
    }
    let issued = Issued {
        access_key_id: document.access_key_id.unwrap_or_default(),
        secret_access_key: document.secret_access_key.unwrap_or_default(),
        session_token: document.token.unwrap_or_default(),
        expiration: document.expiration.unwrap_or_default(),
    };
    AwsCredentials::issued(issued, sent, answer.date, who)
}

/// The role of an EC2 instance.
pub(super) struct InstanceSource {
    server: ServerClient,
    base: Url,
}

pub(super) const IMDS: &str = "the metadata service of the instance";

impl InstanceSource {
    pub(super) fn new(server: ServerClient, base: Url) -> Self {
        Self { server, base }
    }

    fn url(&self, path: &str) -> Result<Url, SourceError> {
        self.base.join(path).map_err(|_| {
            SourceError::new(SourceErrorKind::Malformed, format!("{IMDS} named a role that is no path"))
        })
    }

    async fn get(&self, path: &str, token: &HeaderValue) -> Result<ServerAnswer, SourceError> {
        let url = self.url(path)?;
        let answer = self
            .server
            .send(ServerRequest::get(&url, HeaderMap::from_iter([(TOKEN, token.clone())])))
            .await?;
        match answer.status.as_u16() {
            200 => Ok(answer),
            404 => {
                let message = format!("{IMDS} has no key: no role is attached to the instance");
                Err(SourceError { status: Some(404), ..SourceError::new(SourceErrorKind::Refused, message) })
            }
            _ => Err(refused(&self.server, &answer, &Stated::default())),
        }
    }

    async fn token(&self) -> Result<HeaderValue, SourceError> {
        let url = self.url("latest/api/token")?;
        let headers = HeaderMap::from_iter([(TOKEN_LIFETIME, HeaderValue::from_static("60"))]);
        let request = ServerRequest { method: Method::PUT, url: &url, headers, body: Zeroizing::default() };
        let answer = self.server.send(request).await.map_err(|mut error| {
            if matches!(error.kind, SourceErrorKind::Timeout | SourceErrorKind::Connect) {
                error.message = format!(
                    "{} (in a container the hop limit of the instance's metadata options must be 2 or more; version 1 of the \
                     service is not used)",
                    error.message
                );
            }
            error
        })?;
        if !answer.status.is_success() {
            let stated =
                Stated { message: Some("is the metadata service switched off?"), ..Stated::default() };
            return Err(refused(&self.server, &answer, &stated));
        }
        let mut token = HeaderValue::from_str(answer.body.trim()).map_err(|_| {
            SourceError::new(SourceErrorKind::Malformed, format!("{IMDS} gave a token that cannot be sent"))
        })?;
        token.set_sensitive(true);
        Ok(token)
    }
}

#[async_trait]
impl Source<AwsCredentials> for InstanceSource {
    async fn fetch(&self) -> Result<AwsCredentials, SourceError> {
        let sent = ClockReading::now();
        let token = self.token().await?;
        let path = "latest/meta-data/iam/security-credentials/";
        let roles = self.get(path, &token).await?;
        let role = roles.body.lines().next().unwrap_or_default().trim();
        if role.is_empty() || !role.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c)) {
            let message = format!("{IMDS} named no role");
            return Err(SourceError::new(SourceErrorKind::Malformed, message));
        }
        let answer = self.get(&format!("{path}{role}"), &token).await?;
        keys(&self.server, &answer, sent, IMDS)
    }

    fn server(&self) -> Option<std::sync::Arc<SourceServer>> {
        Some(self.server.facts())
    }
}

/// The role of a container.
pub(super) struct ContainerSource {
    server: ServerClient,
    url: Url,
    /// The file with the token, or the token.
    authorization: Option<ContainerAuthorization>,
}

/// What proves the right to ask for the keys of a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) enum ContainerAuthorization {
    /// A file, which is read for each request.
    File(PathBuf),
    /// A token of the environment.
    Token(crate::secret::Secret),
}

pub(super) const AGENT: &str = "the credential endpoint of the container";

impl ContainerSource {
    pub(super) fn new(server: ServerClient, url: Url, authorization: Option<ContainerAuthorization>) -> Self {
        Self { server, url, authorization }
    }

    async fn token(&self) -> Result<Option<HeaderValue>, SourceError> {
        let local = |message: String| SourceError::new(SourceErrorKind::Local, message);
        let text = match &self.authorization {
            None => return Ok(None),
            Some(ContainerAuthorization::Token(token)) => Zeroizing::new(token.expose().to_owned()),
            Some(ContainerAuthorization::File(path)) => token_of_file(path).await?,
        };
        let mut value = HeaderValue::from_str(text.trim())
            .map_err(|_| local(format!("the token for {AGENT} has characters that cannot be sent")))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// The content of a file with a token.
pub(super) async fn token_of_file(path: &Path) -> Result<Zeroizing<String>, SourceError> {
    let path = path.to_owned();
    let local = |message: String| SourceError::new(SourceErrorKind::Local, message);
    // Disks can be slow, and network file systems can hang.
    let read = tokio::task::spawn_blocking(move || {
        let bytes = read_file(&path, MAX_TOKEN_BYTES)
            .map_err(|error| format!("cannot read the token file {}: {error}", path.display()))?;
        let text = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
        if text.is_empty() {
            return Err(format!("the token file {} has no token", path.display()));
        }
        Ok(Zeroizing::new(text.to_owned()))
    });
    read.await.map_err(|_| local("reading the token file broke off inside Sidekey".into()))?.map_err(local)
}

#[async_trait]
impl Source<AwsCredentials> for ContainerSource {
    async fn fetch(&self) -> Result<AwsCredentials, SourceError> {
        let sent = ClockReading::now();
        let token = self.token().await?;
        let headers = token.into_iter().map(|token| (header::AUTHORIZATION, token)).collect();
        let answer = self.server.send(ServerRequest::get(&self.url, headers)).await?;
        if !answer.status.is_success() {
            let document = serde_json::from_str::<Document>(&answer.body).ok();
            let part =
                |part: fn(&Document) -> &Option<String>| document.as_ref().and_then(|it| part(it).as_deref());
            let (code, message) = (part(|it| &it.code), part(|it| &it.message));
            return Err(refused(&self.server, &answer, &Stated { code, message, ..Stated::default() }));
        }
        keys(&self.server, &answer, sent, AGENT)
    }

    fn server(&self) -> Option<std::sync::Arc<SourceServer>> {
        Some(self.server.facts())
    }
}
