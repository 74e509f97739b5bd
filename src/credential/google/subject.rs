//! The token of the other platform, which is exchanged for one of Google's. It is read again for each exchange.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use super::aws_subject::{AwsCaller, AwsSubject};
use super::subject_command::SubjectCommand;
use crate::config::{ProxyConfig, Tls};
use crate::credential::exchange::{ServerClient, ServerRequest, Stated};
use crate::credential::{BuildError, SourceContext, sensitive};
use crate::oauth2::client::expired::expired;
use crate::oauth2::client::fresh_secret;
use crate::refresh::{SourceError, SourceErrorKind};
use crate::secret;
use crate::secret::{Fetched, Secret, SecretSource, SecretText, Source, WatchHint, read_file};

/// The largest file, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The limit on one request.
const LIMIT: Duration = Duration::from_secs(10);
/// The server in messages.
const WHO: &str = "the server in `credential_source.url`";

/// The form of a token in a file or an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) enum Format {
    /// The token alone.
    Text,
    /// A JSON object; the token is the member of this name.
    Json(String),
}

impl Format {
    /// The token in a text. An error has nothing of the text.
    fn token(&self, text: &str) -> Result<String, &'static str> {
        match self {
            Self::Text => Ok(text.trim().to_owned()),
            Self::Json(name) => {
                let members: Map<String, Value> =
                    serde_json::from_str(text).map_err(|_| "it is not a JSON object")?;
                let token = members.get(name).and_then(Value::as_str);
                token.map(str::to_owned).ok_or("it has no such member as `subject_token_field_name` says")
            }
        }
    }
}

/// Where the token comes from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) enum SubjectOrigin {
    /// A file.
    File(PathBuf, Format),
    /// A GET with these header fields.
    Url { url: Url, headers: Vec<(HeaderName, Secret)>, format: Format },
    /// A request to AWS, which is signed.
    Aws(Box<AwsSubject>),
    /// A command that prints it.
    Command(SubjectCommand),
}

/// Without the query of a URL, because it may hold a secret.
impl fmt::Debug for SubjectOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, format) => f.debug_tuple("File").field(path).field(format).finish(),
            Self::Aws(subject) => f.debug_tuple("Aws").field(subject).finish(),
            Self::Command(command) => fmt::Debug::fmt(command, f),
            Self::Url { url, headers, format } => {
                let host = url.host_str();
                f.debug_struct("Url")
                    .field("host", &host)
                    .field("headers", headers)
                    .field("format", format)
                    .finish()
            }
        }
    }
}

/// A way to the token.
pub(super) enum Subject {
    Local(Source),
    Url(Box<SubjectServer>),
    Aws(Box<AwsCaller>),
}

/// A server that gives the token.
pub(super) struct SubjectServer {
    client: ServerClient,
    url: Url,
    headers: HeaderMap,
    format: Format,
}

impl Subject {
    /// `audience` is the provider that the token is for.
    pub(super) fn new(
        origin: &SubjectOrigin,
        audience: &str,
        proxy: Option<&ProxyConfig>,
        context: &SourceContext<'_>,
    ) -> Result<Self, BuildError> {
        Ok(match origin {
            SubjectOrigin::File(path, format) => {
                Self::Local(Source::new(TokenInFile { path: path.clone(), format: format.clone() }))
            }
            SubjectOrigin::Command(command) => Self::Local(Source::new(command.clone())),
            SubjectOrigin::Aws(subject) => Self::Aws(Box::new(AwsCaller::new(subject, audience, context)?)),
            SubjectOrigin::Url { url, headers, format } => {
                let tls = context.tls.client(&Tls::default())?;
                // The metadata service of a machine is not behind a proxy.
                let proxy = proxy.filter(|_| url.scheme() == "https");
                let client = ServerClient::new(tls, context.resolver.clone(), proxy, (WHO, LIMIT))?;
                let headers =
                    headers.iter().map(|(name, value)| (name.clone(), sensitive(value.expose()))).collect();
                Self::Url(Box::new(SubjectServer {
                    client,
                    url: url.clone(),
                    headers,
                    format: format.clone(),
                }))
            }
        })
    }

    /// The token, now. One that has expired is not presented.
    pub(super) async fn token(&self) -> Result<Secret, SourceError> {
        let token = self.fetch().await?;
        match expired(token.expose(), SystemTime::now()) {
            None => Ok(token),
            Some(why) => {
                let message = format!("the subject token cannot be used: {why}");
                Err(SourceError::new(SourceErrorKind::Local, message))
            }
        }
    }

    async fn fetch(&self) -> Result<Secret, SourceError> {
        match self {
            Self::Local(source) => fresh_secret::read("the subject token", source).await,
            Self::Aws(caller) => caller.token().await,
            Self::Url(server) => {
                let SubjectServer { client, url, headers, format } = &**server;
                let answer = client.send(ServerRequest::get(url, headers.clone())).await?;
                if !answer.status.is_success() {
                    return Err(client.refused(answer.failure_kind(), &answer, &Stated::default()));
                }
                let malformed = |what: &str| SourceError {
                    status: Some(answer.status.as_u16()),
                    ..SourceError::new(SourceErrorKind::Malformed, format!("{WHO}: {what}"))
                };
                let token = format.token(&answer.body).map_err(malformed)?;
                Secret::new(token).map_err(|error| malformed(&error.to_string()))
            }
        }
    }
}

/// A file with the token.
#[derive(PartialEq, Eq, Hash)]
struct TokenInFile {
    path: PathBuf,
    format: Format,
}

impl SecretSource for TokenInFile {
    fn fetch(&self) -> Result<Fetched, secret::SourceError> {
        let failed = |why: &dyn fmt::Display| secret::SourceError::new(format!("{self}: {why}"));
        let content = read_file(&self.path, MAX_BYTES).map_err(|error| failed(&error))?;
        let text = std::str::from_utf8(&content).map_err(|_| failed(&"not UTF-8 text"))?;
        let token = self.format.token(text).map_err(|error| failed(&error))?;
        Ok(Fetched { value: SecretText::verbatim(Zeroizing::new(token)), expires_at: None, lease: None })
    }

    fn watch(&self) -> WatchHint {
        WatchHint::ContentOf(self.path.clone())
    }
}

impl fmt::Debug for TokenInFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {}", Path::display(&self.path))
    }
}

impl fmt::Display for TokenInFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file {}", Path::display(&self.path))
    }
}
