//! Logs in, and ends sessions.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use form_urlencoded::Serializer;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use reqwest::{RequestBuilder, Response};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::csrf::{CsrfStep, CsrfToken};
use super::place::Answer;
use super::settings::{Credentials, Method, Settings};
use crate::config::auth::placement::RequestPart;
use crate::credential::kinds::basic;
use crate::credential::{BuildError, Logouts, OpenSession, SourceContext};
use crate::metrics::SharedTokenMetrics;
use crate::oauth2::client::http::HttpClient;
use crate::oauth2::client::observed::{learn_from, learn_from_error};
use crate::oauth2::{
    AccessToken, IssuedToken, RequestKind, TokenResponse, TokenSource, Unpersisted, WithMetrics, WithTracing,
};
use crate::proto::retry_after::retry_after;
use crate::refresh::{ClockReading, Expiry, Source, SourceError, SourceErrorKind, SourceServer, schedule};
use crate::secret::Secret;

/// A session that the upstream rejects is replaced no earlier.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// Limit on one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The lifetime of a session if nothing states one.
const UNSTATED_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// The limit on a session in bytes: larger ones do not fit into the head of a request.
const MAX_SESSION: usize = 8 * 1024;
/// The server in messages.
const WHO: &str = "the login server";

/// Opens sessions of one login.
pub(super) struct Sessions {
    settings: Settings,
    http: HttpClient,
    server: Arc<SourceServer>,
    services: String,
    users: SharedTokenMetrics,
    logouts: Arc<Logouts>,
    /// The session that was opened last, until it is part of the token.
    opened: Mutex<Option<OpenSession>>,
}

impl Sessions {
    /// Prepares logins. Nothing is sent yet.
    pub(super) fn new(settings: Settings, context: &SourceContext<'_>) -> Result<Arc<Self>, BuildError> {
        let tls = context.tls.client(&settings.server.tls)?;
        let http = HttpClient::new(tls, context.resolver.clone(), settings.server.proxy.as_ref())?;
        Ok(Arc::new(Self {
            settings,
            http,
            server: Arc::default(),
            services: context.services.join(", "),
            users: context.users.clone(),
            logouts: context.logouts.clone(),
            opened: Mutex::default(),
        }))
    }

    /// The source of sessions, with metrics and traces.
    pub(super) fn into_source(self: Arc<Self>, context: &SourceContext<'_>) -> Arc<dyn Source<AccessToken>> {
        let server = Some(self.settings.server.url.clone());
        let kind = RequestKind { credential: "login", method: "POST", grant: None, server };
        let logins = Logins(self.clone());
        let logins = WithTracing::new(logins, kind, self.services.clone(), context.traces.clone());
        let logins = Unpersisted(WithMetrics::new(logins, context.users.clone()));
        Arc::new(SessionSource { logins, sessions: self })
    }

    /// The login, ready to be sent. `csrf` is the token of the page before it.
    fn login(
        &self,
        client: &reqwest::Client,
        credentials: &Credentials,
        csrf: Option<&CsrfToken>,
    ) -> RequestBuilder {
        let request = client.post(self.settings.server.url.clone()).timeout(TIMEOUT);
        let request = request.header("Accept", "application/json, */*;q=0.5");
        let request = request.headers(csrf.map(|csrf| csrf.headers.clone()).unwrap_or_default());
        let field = self.settings.csrf.as_ref().and_then(|step| step.field.as_deref());
        let field = field.zip(csrf.map(|csrf| csrf.token.as_str()));
        match credentials {
            Credentials::Basic(name, password) => {
                request.header(AUTHORIZATION, basic::value(name, password.as_ref())).body("")
            }
            Credentials::Form(fields) => {
                let mut form = Serializer::new(String::new());
                let fields = fields.iter().map(|(name, value)| (name.as_str(), value.expose()));
                form.extend_pairs(field.into_iter().chain(fields));
                let form = request.body(form.finish());
                form.header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            }
            Credentials::Json(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.as_str(), value.expose()));
                let document = document(field.into_iter().chain(fields));
                request.header(CONTENT_TYPE, "application/json").body(document.to_string())
            }
        }
    }

    /// Sends a request, and reads its answer.
    async fn exchange(&self, request: RequestBuilder) -> Result<LoginAnswer, SourceError> {
        let sent_at = SystemTime::now();
        let answer = request.send().await.inspect_err(|error| learn_from_error(&self.server, error));
        let mut answer: Response = answer.map_err(|error| self.http.request_error(&error, WHO))?;
        learn_from(&self.server, &answer, sent_at);
        let content = self.http.body(&mut answer, WHO).await?;
        Ok(LoginAnswer { status: answer.status(), headers: answer.headers().clone(), content, sent_at })
    }

    /// The token of the page before the login.
    async fn csrf(&self, client: &reqwest::Client, step: &CsrfStep) -> Result<CsrfToken, SourceError> {
        let page = step.url(&self.settings.server.url);
        let request = client
            .get(page.clone())
            .timeout(TIMEOUT)
            .header("Accept", "text/html, application/json, */*;q=0.5");
        let answer = self.exchange(request).await?;
        let found = step.token(page, (answer.status, &answer.headers), &answer.content, ClockReading::now());
        found.map_err(|why| {
            let status = answer.status.as_u16();
            let kind = if status >= 500 { SourceErrorKind::ServerError } else { SourceErrorKind::Malformed };
            let message = format!("the answer of the page before the login ({status}) {why}");
            SourceError { status: Some(status), ..SourceError::new(kind, message) }
        })
    }

    async fn send(&self, credentials: &Credentials) -> Result<LoginAnswer, SourceError> {
        let client = self.http.client().map_err(|error| self.http.request_error(&error, WHO))?;
        let csrf = match &self.settings.csrf {
            None => None,
            Some(step) => Some(self.csrf(&client, step).await?),
        };
        self.exchange(self.login(&client, credentials, csrf.as_ref())).await
    }

    /// Logs in. If the server rejects that, the values from before a rotation are tried.
    async fn open(&self) -> Result<IssuedToken, SourceError> {
        let opened = self.open_with(&self.settings.credentials).await;
        match (&opened, &self.settings.previous) {
            (Err(error), Some(previous)) if error.kind == SourceErrorKind::Refused => {
                let Ok(session) = self.open_with(previous).await else { return opened };
                tracing::warn!(
                    sidekey.service = self.services,
                    "the login server accepts the previous values, and not the new ones yet"
                );
                Ok(session)
            }
            _ => opened,
        }
    }

    async fn open_with(&self, credentials: &Credentials) -> Result<IssuedToken, SourceError> {
        let sent = ClockReading::now();
        let LoginAnswer { status, headers, content, sent_at } = self.send(credentials).await?;
        // Forms are often answered with a redirect, which is never followed.
        if !status.is_success() && !status.is_redirection() {
            return Err(rejected(status, &headers, sent_at));
        }
        let error = |kind, message: &str| {
            let number = status.as_u16();
            let message = format!("the answer to the login ({number}) {message}");
            SourceError { status: Some(number), ..SourceError::new(kind, message) }
        };
        let host = self.settings.server.url.host_str().unwrap_or_default();
        let answer = Answer { host, headers: &headers, json: serde_json::from_slice(&content).ok() };
        let found = answer.session(&self.settings.session, sent).ok_or_else(|| {
            let why = "has no session where `session` says: are the user name and the password right?";
            error(SourceErrorKind::Refused, why)
        })?;
        let malformed = |why| error(SourceErrorKind::Malformed, why);
        if found.value.len() > MAX_SESSION {
            return Err(malformed("has a session that is larger than 8 KiB"));
        }
        let stated = match &self.settings.lifetime_field {
            None => None,
            Some(pointer) => {
                let stated = answer.lifetime(pointer, sent);
                Some(stated.ok_or_else(|| malformed("has no lifetime where `lifetime_field` says"))?)
            }
        };
        let value = Secret::new(found.value).map_err(|_| malformed("has a session that cannot be sent"))?;
        *self.opened.lock() = self.closing(&value);
        let stated = stated.into_iter().chain(found.lifetime).min();
        let lifetime = match (stated, self.settings.lifetime) {
            (Some(stated), Some(most)) => stated.min(most),
            (stated, most) => stated.or(most).unwrap_or(UNSTATED_LIFETIME),
        };
        if lifetime.is_zero() {
            return Err(malformed("has a session that has ended already: is this machine's clock right?"));
        }
        Ok(IssuedToken { value, expiry: Expiry::after(sent, schedule::usable_for(lifetime)), scope: None })
    }

    /// Keeps how a session is ended, if it can be.
    fn closing(&self, session: &Secret) -> Option<OpenSession> {
        let (method, url) = self.settings.logout.clone()?;
        let placed = self.settings.token.value(session.expose())?;
        let client = self.http.client().ok()?;
        let method = match method {
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
            Method::Get => reqwest::Method::GET,
        };
        let token = self.settings.token.clone();
        let (users, services) = (self.users.clone(), self.services.clone());
        let logout: BoxFuture<'static, ()> = Box::pin(async move {
            let mut url = url;
            let mut headers = HeaderMap::new();
            match token.part {
                RequestPart::Header => {
                    let name = http::HeaderName::try_from(&*token.name);
                    headers.extend(name.ok().map(|name| (name, placed)));
                }
                RequestPart::Cookie => {
                    headers.insert(COOKIE, placed);
                }
                RequestPart::Query => url.set_query(placed.to_str().ok()),
            }
            let began = Instant::now();
            let answer = client.request(method, url).headers(headers).body("").timeout(TIMEOUT).send().await;
            // A session that has ended already is answered in various ways.
            let is_done = answer.is_ok_and(|answer| !answer.status().is_server_error());
            users.logged_out(is_done);
            tracing::debug!(
                sidekey.service = services,
                request.duration_s = began.elapsed().as_secs_f64(),
                "session ended: {}",
                if is_done { "the login server has answered" } else { "the login server has not answered" }
            );
        });
        Some(self.logouts.register(logout))
    }
}

/// An answer of the server.
struct LoginAnswer {
    status: StatusCode,
    headers: HeaderMap,
    content: Zeroizing<Vec<u8>>,
    sent_at: SystemTime,
}

/// The JSON document of these members.
fn document<'f>(fields: impl Iterator<Item = (&'f str, &'f str)>) -> Value {
    let mut root = Map::new();
    for (name, text) in fields {
        let path: Vec<String> = match name.strip_prefix('/') {
            Some(pointer) => {
                pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect()
            }
            None => vec![name.to_owned()],
        };
        insert(&mut root, &path, text);
    }
    Value::Object(root)
}

fn insert(object: &mut Map<String, Value>, path: &[String], text: &str) {
    match path {
        [] => {}
        [last] => {
            object.insert(last.clone(), text.into());
        }
        [first, rest @ ..] => {
            let inner = object.entry(first.clone()).or_insert_with(|| Map::new().into());
            if let Value::Object(inner) = inner {
                insert(inner, rest, text);
            }
        }
    }
}

/// The error that an answer is.
fn rejected(status: StatusCode, headers: &HeaderMap, sent_at: SystemTime) -> SourceError {
    let number = status.as_u16();
    let (kind, advice) = match number {
        400 | 401 | 403 | 422 => (
            SourceErrorKind::Refused,
            ": are the user name and the password right, and is the form of the login (`login_format`, `fields`)?",
        ),
        429 => (SourceErrorKind::RateLimited, ""),
        408 | 425 | 500.. => (SourceErrorKind::ServerError, ""),
        _ => (SourceErrorKind::Malformed, ": is `login_url` right?"),
    };
    let message = format!("{WHO} answered {number}{advice}");
    let retry_after = retry_after(headers, sent_at);
    SourceError { retry_after, status: Some(number), ..SourceError::new(kind, message) }
}

/// The logins of sessions, as token requests.
struct Logins(Arc<Sessions>);

#[async_trait]
impl TokenSource for Logins {
    async fn request_token(&self, _: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        Ok(TokenResponse { access: Ok(self.0.open().await?), refresh_token: None })
    }
}

/// Makes tokens of sessions: a session is ended after its token was dropped.
struct SessionSource<S> {
    logins: S,
    sessions: Arc<Sessions>,
}

#[async_trait]
impl<S: Source<TokenResponse>> Source<AccessToken> for SessionSource<S> {
    async fn fetch(&self) -> Result<AccessToken, SourceError> {
        let issued = self.logins.fetch().await.and_then(|response| response.access);
        let session = self.sessions.opened.lock().take();
        let token = AccessToken::new(&issued?, None, &self.sessions.settings.token)?;
        Ok(match session {
            Some(session) => token.with_lease(Box::new(session)),
            None => token,
        })
    }

    fn server(&self) -> Option<Arc<SourceServer>> {
        Some(self.sessions.server.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_has_members_at_their_pointers() {
        let fields = [("method", "user.login"), ("/params/user", "u"), ("/params/a~1b", "p\"")];
        let expected = serde_json::json!({ "method": "user.login", "params": { "user": "u", "a/b": "p\"" } });
        assert_eq!(document(fields.into_iter()), expected);
    }

    #[test]
    fn rejection_of_a_password_needs_somebody() {
        let of = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            rejected(status, &HeaderMap::new(), SystemTime::now()).kind
        };
        for status in [400, 401, 403, 422] {
            assert_eq!(of(status), SourceErrorKind::Refused);
        }
        assert_eq!(of(429), SourceErrorKind::RateLimited);
        assert_eq!(of(503), SourceErrorKind::ServerError);
        assert_eq!(of(404), SourceErrorKind::Malformed);
    }
}
