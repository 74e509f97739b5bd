//! A connection to a store: sends requests with the token of one login, which all secrets of the store share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::answer;
use super::answer::{IssuedToken, LoginAnswer, LookupAnswer};
use super::login::Login;
use super::paths::Mounts;
use super::session::Session;
use super::settings::VaultSettings;
use crate::config::CredentialServer;
use crate::credential::sensitive;
use crate::credential::stores::outage::Outage;
use crate::credential::stores::server::{StoreAnswer, StoreRequest, StoreServer};
use crate::secret::{Secret, SourceError, StoreConnection};

/// The longest time after a refused login in which there is no other one.
const MAX_REFUSAL: Duration = Duration::from_secs(30);
/// Limit on a request that ends a login or a lease.
const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// A connection to a store.
pub(in crate::credential) struct VaultConnection {
    pub(super) settings: VaultSettings,
    pub(super) server: StoreServer,
    state: Mutex<State>,
    refusal: Outage,
    /// The secrets that the last login has sent, so that no error shows them.
    sent: Mutex<Vec<Secret>>,
    pub(super) mounts: Mutex<Mounts>,
}

/// The login. Locked during a login, so that there is one at a time.
#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    logins: u64,
}

/// A request.
pub(super) struct Call<'c> {
    pub(super) method: Method,
    /// The path of the API, below `v1/`.
    pub(super) path: &'c str,
    pub(super) query: Option<&'c str>,
    pub(super) body: Option<Json>,
}

impl<'c> Call<'c> {
    pub(super) fn get(path: &'c str) -> Self {
        Self { method: Method::GET, path, query: None, body: None }
    }

    pub(super) fn put(path: &'c str, body: Json) -> Self {
        Self { method: Method::PUT, body: Some(body), ..Self::get(path) }
    }
}

impl VaultConnection {
    /// A connection. Nothing is sent yet.
    pub(super) fn new(settings: VaultSettings) -> Self {
        let server = StoreServer::new(settings.server.clone(), "Vault", settings.limit);
        let refusal = Outage::new(MAX_REFUSAL);
        let (state, sent, mounts) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { settings, server, state, refusal, sent, mounts }
    }

    /// Whether it has these settings.
    pub(super) fn has(&self, settings: &VaultSettings) -> bool {
        self.settings == *settings
    }

    /// The server.
    pub(super) fn server(&self) -> &CredentialServer {
        &self.settings.server
    }

    /// Sends a request with the token of the login. If the store rejects the token, logs in again and sends it once more. Returns
    /// the login as well. An error is one of the store or of the login; other answers are the caller's.
    pub(super) fn call(&self, call: &Call<'_>) -> Result<(StoreAnswer, Arc<Session>), SourceError> {
        let session = self.session(None)?;
        let answer = self.send(call, Some(&session.token))?;
        if answer.status != 403 || session.is_recent() || self.accepts(&session)? {
            return Ok((answer, session));
        }
        let session = self.session(Some(session.generation))?;
        Ok((self.send(call, Some(&session.token))?, session))
    }

    /// Whether the store accepts the token, so that it is the policy which refuses a request.
    fn accepts(&self, session: &Session) -> Result<bool, SourceError> {
        let answer = self.send(&Call::get("auth/token/lookup-self"), Some(&session.token))?;
        Ok(answer.status == 200)
    }

    /// The current login, renewed or replaced if that is due. `rejected` is the number of a login that the store rejects.
    pub(super) fn session(&self, rejected: Option<u64>) -> Result<Arc<Session>, SourceError> {
        let mut state = self.state.lock();
        if let Some(session) = state.session.clone().filter(|session| Some(session.generation) != rejected) {
            if !session.is_due() {
                return Ok(session);
            }
            if session.is_renewable && !session.has_ended() {
                match self.renew(&session) {
                    Ok(Some(renewed)) => {
                        let renewed = Arc::new(renewed);
                        state.session = Some(renewed.clone());
                        return Ok(renewed);
                    }
                    // It is good until its end.
                    Err(_) => return Ok(session),
                    Ok(None) => {}
                }
            }
        }
        self.refusal.check()?;
        let generation = state.logins + 1;
        let outcome = self.log_in(generation);
        match outcome {
            Ok(session) => {
                self.refusal.over();
                let session = Arc::new(session);
                (state.session, state.logins) = (Some(session.clone()), generation);
                Ok(session)
            }
            Err(error) => {
                // What was there may be good for a while, unless the store rejects it.
                let usable = state.session.clone();
                let usable = usable.filter(|old| Some(old.generation) != rejected && !old.has_ended());
                if !error.is_passing() {
                    self.refusal.failed(&error);
                }
                usable.ok_or(error)
            }
        }
    }

    /// Renews the token; `None` if there has to be another one.
    fn renew(&self, session: &Session) -> Result<Option<Session>, SourceError> {
        let asked = Instant::now();
        let answer = self.send(&Call::put("auth/token/renew-self", json!({})), Some(&session.token))?;
        if answer.status != 200 {
            return Ok(None);
        }
        let issued = self.parse::<LoginAnswer>(&answer)?.auth;
        Ok(issued.and_then(|issued| session.renewed(asked, issued.lease_duration, issued.renewable)))
    }

    fn log_in(&self, generation: u64) -> Result<Session, SourceError> {
        let asked = Instant::now();
        if let Login::Token(source) = &self.settings.login {
            let token = source.secret()?;
            let answer = self.send(&Call::get("auth/token/lookup-self"), Some(&token))?;
            let (ttl, is_renewable) = match answer.status {
                200 => {
                    let facts = self.parse::<LookupAnswer>(&answer)?.data;
                    (facts.ttl, facts.renewable)
                }
                401 | 403 => return Err(self.refused(&answer, Some(&token))),
                // Something in between that knows no such path: the token is used as it is.
                _ => (0, false),
            };
            return Ok(Session::new((token, generation), asked, (ttl, is_renewable), false));
        }
        let request = self.settings.login.request()?.expect("every other method has a request");
        *self.sent.lock() = request.secrets;
        let call = Call { method: Method::POST, ..Call::put(&request.path, request.body) };
        let answer = self.send(&call, None)?;
        if answer.status != 200 {
            return Err(self.refused(&answer, None));
        }
        let Some(IssuedToken { mut client_token, lease_duration, renewable }) =
            self.parse::<LoginAnswer>(&answer)?.auth
        else {
            return Err(answer::malformed(self.server.who(), "to the login has no token"));
        };
        let token = Secret::new(std::mem::take(&mut client_token))
            .map_err(|_| answer::malformed(self.server.who(), "to the login has no usable token"))?;
        Ok(Session::new((token, generation), asked, (lease_duration, renewable), true))
    }

    fn refused(&self, answer: &StoreAnswer, token: Option<&Secret>) -> SourceError {
        let text = self.text(answer, token);
        let advice = self.settings.login.advice(answer.status, &text);
        SourceError::new(format!(
            "the login by `{}` was refused: {text}{advice}",
            self.settings.login.method()
        ))
    }

    /// Sends a request. A store that cannot serve now is an error.
    fn send(&self, call: &Call<'_>, token: Option<&Secret>) -> Result<StoreAnswer, SourceError> {
        self.send_within(self.server.limit(), call, token)
    }

    fn send_within(
        &self,
        limit: Duration,
        call: &Call<'_>,
        token: Option<&Secret>,
    ) -> Result<StoreAnswer, SourceError> {
        let answer = self.server.send_within(limit, self.request(call, token)?)?;
        if answer.is_unavailable() {
            let text = self.text(&answer, token);
            // The engine of this path has failed, such as one whose database is down. Other paths are not concerned.
            let is_of_path = token.is_some() && matches!(answer.status, 500 | 502);
            return Err(if is_of_path { SourceError::passing(text) } else { self.server.unavailable(text) });
        }
        Ok(answer)
    }

    fn request(&self, call: &Call<'_>, token: Option<&Secret>) -> Result<StoreRequest, SourceError> {
        const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
        const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
        const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
        let local = |what: &str| SourceError::new(format!("{}: {what}", self.server.who()));
        let mut url = self.server.url().clone();
        url.path_segments_mut()
            .map_err(|()| local("`url` has no path"))?
            .pop_if_empty()
            .push("v1")
            .extend(call.path.split('/'));
        url.set_query(call.query);
        let mut headers = HeaderMap::from_iter([(REQUEST, HeaderValue::from_static("true"))]);
        headers.extend(token.map(|token| (TOKEN, sensitive(token.expose()))));
        if let Some(namespace) = &self.settings.namespace {
            let namespace = HeaderValue::from_str(namespace).map_err(|_| local("not a valid namespace"))?;
            headers.insert(NAMESPACE, namespace);
        }
        let body = match &call.body {
            Some(body) => {
                headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                body.to_string()
            }
            None => String::new(),
        };
        Ok(StoreRequest { method: call.method.clone(), url, headers, body: Zeroizing::new(body) })
    }

    /// The members of an answer.
    pub(super) fn parse<T: DeserializeOwned>(&self, answer: &StoreAnswer) -> Result<T, SourceError> {
        serde_json::from_slice(&answer.body)
            .map_err(|_| answer::malformed(self.server.who(), "is not one of Vault"))
    }

    /// The error of an answer to a request for `what`.
    pub(super) fn error(&self, answer: &StoreAnswer, session: &Session, advice: &str) -> SourceError {
        let text = self.text(answer, Some(&session.token));
        SourceError::new(format!("{text}{advice}"))
    }

    /// The text of an error, without the token of the request and what the last login has sent: the answer to any request may repeat it.
    fn text(&self, answer: &StoreAnswer, token: Option<&Secret>) -> String {
        let sent = self.sent.lock();
        let secrets: Vec<_> = token.into_iter().chain(&*sent).collect();
        answer::text(self.server.who(), answer.status, &answer.body, &secrets)
    }

    /// Sends a request that ends something, if there is a login that `is_it` accepts. Its failure has no effect.
    pub(super) fn farewell(&self, is_it: impl Fn(&Session) -> bool, call: &Call<'_>) {
        let session = self.state.lock().session.clone();
        if let Some(session) = session.filter(|session| !session.has_ended() && is_it(session))
            && let Err(error) = self.send_within(FAREWELL_LIMIT, call, Some(&session.token))
        {
            tracing::debug!("nothing could be revoked: {error}");
        }
    }
}

impl StoreConnection for VaultConnection {
    /// Revokes the token of the login, and with it every lease.
    fn close(&self) {
        self.farewell(|session| session.is_own, &Call::put("auth/token/revoke-self", json!({})));
        self.state.lock().session = None;
    }
}
