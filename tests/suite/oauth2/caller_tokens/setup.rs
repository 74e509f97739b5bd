//! Shared set-up: a token endpoint that issues a token for each subject.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::json;

use crate::harness::{Gate, MockResponse, MockUpstream, RecordedRequest, Request, Response, Sidekey};

/// A token endpoint. It issues `for-SUBJECT-N`, N being the number of the token. Dots are replaced: a token that looks like a JWT would
/// end with the subject.
pub struct Issuer {
    pub server: MockUpstream,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    issued: AtomicUsize,
    lifetime: AtomicUsize,
    /// What is answered in place of a token, by subject; `*` is for every subject.
    errors: Mutex<HashMap<String, MockResponse>>,
    gate: Mutex<Option<Gate>>,
}

impl Issuer {
    pub async fn start() -> Self {
        let (server, state) = (MockUpstream::plain().await, Arc::new(State::default()));
        state.lifetime.store(3600, Ordering::SeqCst);
        let shared = state.clone();
        server.respond_with(move |request| answer(&shared, request));
        Self { server, state }
    }

    /// Issues tokens of this lifetime in seconds.
    pub fn lifetime(&self, seconds: usize) {
        self.state.lifetime.store(seconds, Ordering::SeqCst);
    }

    /// Answers an OAuth error for a subject; `*`: for every subject.
    pub fn refuse(&self, subject: &str, code: &str) {
        let error = json!({ "error": code, "error_description": format!("no: {subject}") });
        self.fail(
            subject,
            MockResponse::status(400).header("Content-Type", "application/json").body(error.to_string()),
        );
    }

    pub fn fail(&self, subject: &str, response: MockResponse) {
        self.state.errors.lock().insert(subject.to_owned(), response);
    }

    /// Delays answers until the gate is opened.
    pub fn hold(&self) -> Gate {
        let gate = Gate::closed();
        *self.state.gate.lock() = Some(gate.clone());
        gate
    }

    pub fn requests(&self) -> usize {
        self.server.request_count()
    }
}

/// The parameter of a form.
pub fn parameter(request: &RecordedRequest, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(&request.body);
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The caller's token in a token request.
pub fn subject(request: &RecordedRequest) -> String {
    ["subject_token", "assertion"].into_iter().find_map(|name| parameter(request, name)).unwrap_or_default()
}

fn answer(state: &State, request: &RecordedRequest) -> MockResponse {
    let subject = subject(request);
    let errors = state.errors.lock();
    let response = if let Some(error) = errors.get(&subject).or_else(|| errors.get("*")) {
        error.clone()
    } else {
        let number = state.issued.fetch_add(1, Ordering::SeqCst) + 1;
        MockResponse::json(&json!({
            "access_token": format!("for-{}-{number}", subject.replace('.', "_")),
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": state.lifetime.load(Ordering::SeqCst),
        }))
    };
    match &*state.gate.lock() {
        Some(gate) => response.delayed_until(gate),
        None => response,
    }
}

/// An upstream that sends back the token that it got.
pub async fn echo() -> MockUpstream {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(|request| {
        MockResponse::ok(request.header("authorization").unwrap_or("none").as_bytes())
    });
    upstream
}

pub const EXCHANGE: &str = "grant_type: token_exchange, subject_token: { from: caller }";

/// A service `api` whose token is exchanged for that of the caller, with these further keys of the credential and of the service.
pub fn service(upstream: &MockUpstream, issuer: &Issuer, auth: &str, more: &str) -> String {
    format!(
        "api: {{ upstream: '{}', auth: {{ type: oauth2, token_url: '{}/token', client_id: me, client_secret: CANARY-client-secret, \
         {auth} }}{more} }}",
        upstream.url(),
        issuer.server.url()
    )
}

pub async fn serving(upstream: &MockUpstream, issuer: &Issuer, auth: &str, more: &str) -> Sidekey {
    Sidekey::serving(&service(upstream, issuer, auth, more)).start().await
}

/// A request of a caller with this token.
pub async fn call(sidekey: &Sidekey, token: &str) -> Response {
    Request::get(sidekey.url("/api/x")).header("Authorization", &format!("Bearer {token}")).send().await
}

/// The number of the token in a response of [`echo`]; the test fails if it is not one of this caller.
pub fn number(response: &Response, caller: &str) -> usize {
    let text = response.text();
    let number = text.strip_prefix(&format!("Bearer for-{}-", caller.replace('.', "_")));
    number.unwrap_or_else(|| panic!("{caller} got {} {text}", response.status)).parse().unwrap()
}
