//! Requests installation tokens.

use std::fmt::{Display, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use chrono::DateTime;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap};
use parking_lot::Mutex;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Map, Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::installation::Installation;
use super::settings::Settings;
use crate::credential::{BuildError, SourceContext, sensitive, token_source};
use crate::oauth2::client::http::HttpClient;
use crate::oauth2::client::observed::{date, learn_from, learn_from_error};
use crate::oauth2::{AccessToken, IssuedToken, RequestKind, TokenResponse, TokenSource, jws, sanitize};
use crate::proto::retry_after::retry_after;
use crate::refresh::{ClockReading, Expiry, Source, SourceError, SourceErrorKind, SourceServer, schedule};
use crate::secret::Secret;

/// A token that the upstream rejects is replaced no earlier.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(10);

/// The server in messages.
const WHO: &str = "GitHub";

/// Limit on one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Lifetime of the app's own token, counted from `iat`: GitHub accepts ten minutes.
const APP_TOKEN_LIFETIME: Duration = Duration::from_secs(9 * 60);
/// How far `iat` of the app's own token lies in the past.
const BACKDATE: Duration = Duration::from_secs(60);

/// Longest lifetime of an installation token that is believed; GitHub's is an hour.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Requests tokens of one installation.
pub(super) struct InstallationTokens {
    settings: Settings,
    http: HttpClient,
    server: Arc<SourceServer>,
    /// The ID that was looked up.
    id: Mutex<Option<u64>>,
}

impl InstallationTokens {
    /// Prepares requests. Nothing is sent yet.
    pub(super) fn new(settings: Settings, context: &SourceContext<'_>) -> Result<Self, BuildError> {
        let tls = context.tls.client(&settings.api.tls)?;
        let http = HttpClient::new(tls, context.resolver.clone(), settings.api.proxy.as_ref())?;
        Ok(Self { settings, http, server: Arc::default(), id: Mutex::default() })
    }

    /// The source of access tokens, with metrics and traces.
    pub(super) fn into_source(self, context: &SourceContext<'_>) -> Arc<dyn Source<AccessToken>> {
        let (server, settings) = (self.server.clone(), self.settings.clone());
        let kind = RequestKind {
            credential: "github_app",
            grant: None,
            method: "POST",
            server: Some(self.settings.api.url.clone()),
        };
        let shared = context.fleet_value("github_app", &settings, MIN_INTERVAL);
        token_source(self, kind, server, context, shared)
    }

    /// The token with which the app itself asks.
    fn app_token(&self) -> Result<Zeroizing<String>, SourceError> {
        let issued = jws::issued_before(ClockReading::now(), BACKDATE);
        let mut claims = Map::new();
        claims.insert("iss".into(), json!(self.settings.app_id));
        claims.insert("iat".into(), json!(issued));
        claims.insert("exp".into(), json!(issued + APP_TOKEN_LIFETIME.as_secs()));
        let signed = jws::sign(&self.settings.key, &[("typ", json!("JWT"))], &claims);
        signed.map_err(|error| SourceError::new(SourceErrorKind::Local, error.to_string()))
    }

    fn url(&self, path: &str) -> Result<Url, SourceError> {
        let base = self.settings.api.url.as_str().trim_end_matches('/');
        let local = |error: &dyn Display| SourceError::new(SourceErrorKind::Local, error.to_string());
        Url::parse(&format!("{base}/{path}")).map_err(|error| local(&error))
    }

    /// Sends a request of the app itself. Returns the status, the fields, and the members of a JSON object; those of any other body
    /// are none.
    async fn send(
        &self,
        (method, path, body): (Method, &str, Option<&Value>),
        app_token: &str,
    ) -> Result<Answer, SourceError> {
        let url = self.url(path)?;
        let request = |client: &Client| -> RequestBuilder {
            let authorization = sensitive(&Zeroizing::new(format!("Bearer {app_token}")));
            let request = client.request(method, url).timeout(TIMEOUT).header(AUTHORIZATION, authorization);
            let request = request.header(ACCEPT, "application/vnd.github+json");
            let request = request.header("X-GitHub-Api-Version", "2022-11-28");
            match body {
                Some(body) => request.header("Content-Type", "application/json").body(body.to_string()),
                None => request,
            }
        };
        let failed = |error: &reqwest::Error| self.http.request_error(error, WHO);
        let client = self.http.client().map_err(|error| failed(&error))?;
        let sent_at = SystemTime::now();
        let answer = request(&client).send().await;
        let answer = answer.inspect_err(|error| learn_from_error(&self.server, error));
        let mut answer: Response = answer.map_err(|error| failed(&error))?;
        learn_from(&self.server, &answer, sent_at);
        let (status, date) = (answer.status(), date(&answer).unwrap_or(sent_at));
        let content = self.http.body(&mut answer, WHO).await?;
        let members = match serde_json::from_slice(&content) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        Ok(Answer { status, headers: answer.headers().clone(), members, sent_at, date })
    }

    /// The ID of the installation.
    async fn installation_id(&self, app_token: &str) -> Result<u64, SourceError> {
        let installation = &self.settings.installation;
        if let Installation::Id(id) = installation {
            return Ok(*id);
        }
        if let Some(id) = *self.id.lock() {
            return Ok(id);
        }
        let mut last = None;
        for path in installation.lookups() {
            let answer = self.send((Method::GET, &path, None), app_token).await?;
            match answer.members.get("id").and_then(Value::as_u64) {
                Some(id) if answer.status == StatusCode::OK => {
                    *self.id.lock() = Some(id);
                    return Ok(id);
                }
                _ if answer.status == StatusCode::NOT_FOUND => last = Some(answer),
                _ => return Err(answer.error("was asked for the installation", app_token)),
            }
        }
        let status = last.map(|answer| answer.status.as_u16());
        let message = format!(
            "GitHub knows no installation of the app for {} (404): is the app installed there, and is `app_id` that app?",
            installation.name()
        );
        Err(SourceError { status, ..SourceError::new(SourceErrorKind::Refused, message) })
    }

    /// What the token is narrowed to.
    fn narrowed(&self) -> Value {
        let mut body = Map::new();
        if !self.settings.repositories.is_empty() {
            body.insert("repositories".into(), json!(self.settings.repositories));
        }
        if !self.settings.permissions.is_empty() {
            body.insert("permissions".into(), self.settings.permissions.clone().into());
        }
        body.into()
    }
}

#[async_trait]
impl TokenSource for InstallationTokens {
    async fn request_token(&self, _: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let app_token = self.app_token()?;
        let id = self.installation_id(&app_token).await?;
        let sent = ClockReading::now();
        let path = format!("app/installations/{id}/access_tokens");
        let mut answer = self.send((Method::POST, &path, Some(&self.narrowed())), &app_token).await?;
        if answer.status != StatusCode::CREATED {
            if answer.status == StatusCode::NOT_FOUND {
                // The app may have been installed anew, with another ID.
                *self.id.lock() = None;
            }
            return Err(answer.error("was asked for an installation token", &app_token));
        }
        let issued = issued(&mut answer, sent).map_err(|what| SourceError {
            status: Some(answer.status.as_u16()),
            ..SourceError::new(SourceErrorKind::Malformed, format!("GitHub's answer has no usable {what}"))
        })?;
        Ok(TokenResponse { access: Ok(issued), refresh_token: None })
    }
}

/// The token of an answer; the error names the member that is missing or wrong.
fn issued(answer: &mut Answer, sent: ClockReading) -> Result<IssuedToken, &'static str> {
    let Some(Value::String(token)) = answer.members.remove("token") else { return Err("`token`") };
    let value = Secret::new(token).map_err(|_| "`token`")?;
    let end = answer.members.get("expires_at").and_then(Value::as_str).unwrap_or_default();
    let end = DateTime::parse_from_rfc3339(end).map_err(|_| "`expires_at`")?;
    // By GitHub's own clock, so that it does not matter if this machine's is wrong.
    let lifetime = SystemTime::from(end).duration_since(answer.date).unwrap_or_default();
    if lifetime.is_zero() || lifetime > MAX_LIFETIME {
        return Err("`expires_at`");
    }
    Ok(IssuedToken { value, expiry: Expiry::after(sent, schedule::usable_for(lifetime)), scope: None })
}

/// An answer of GitHub.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    members: Map<String, Value>,
    sent_at: SystemTime,
    /// `Date`, or when the request was sent.
    date: SystemTime,
}

impl Answer {
    /// The error that the answer is. `asked` completes "GitHub …".
    fn error(&self, asked: &str, app_token: &str) -> SourceError {
        let status = self.status.as_u16();
        let retry_after = retry_after(&self.headers, self.sent_at).or_else(|| self.rate_limit_reset());
        let is_limited = status == 429 || (status == 403 && retry_after.is_some());
        let (kind, advice) = match status {
            _ if is_limited => (SourceErrorKind::RateLimited, ""),
            401 => (
                SourceErrorKind::Refused,
                ": does `private_key` belong to the app `app_id`, and is this machine's clock right?",
            ),
            403 => (SourceErrorKind::Refused, ": is the installation suspended?"),
            404 => (SourceErrorKind::Refused, ": has the app been removed there?"),
            422 => (
                SourceErrorKind::Refused,
                ": the installation does not have all of `repositories` or `permissions`",
            ),
            408 | 425 | 500.. => (SourceErrorKind::ServerError, ""),
            300..=399 => {
                (SourceErrorKind::Malformed, ": a redirect, which is never followed; correct `api_url`")
            }
            _ => (SourceErrorKind::Malformed, ": is `api_url` right?"),
        };
        let mut message = format!("GitHub {asked} and answered {status}");
        if let Some(stated) = self.members.get("message").and_then(Value::as_str) {
            // It should not, but it may repeat what it was sent.
            let _ = write!(message, " ({})", sanitize(&stated.replace(app_token, "…")));
        }
        message.push_str(advice);
        SourceError { retry_after, status: Some(status), ..SourceError::new(kind, message) }
    }

    /// The time until GitHub's limit on requests ends, if it is reached.
    fn rate_limit_reset(&self) -> Option<Duration> {
        let field = |name: &str| self.headers.get(name)?.to_str().ok();
        if field("x-ratelimit-remaining")? != "0" {
            return None;
        }
        let reset: u64 = field("x-ratelimit-reset")?.parse().ok()?;
        let reset = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(reset))?;
        reset.duration_since(self.date).ok()
    }
}
