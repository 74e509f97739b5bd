//! A mock OAuth2 token endpoint: issues `tok-1`, `tok-2`, …; its responses and failures can be scripted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::mock_response::{Gate, MockResponse};
use super::mock_upstream::MockUpstream;
use super::pki::Pki;
use super::recorded_request::RecordedRequest;

/// The endpoint. Its path is `/oauth2/token`, and it responds on every other path as well.
pub struct MockTokenEndpoint {
    server: MockUpstream,
    state: Arc<Mutex<State>>,
}

struct State {
    queue: VecDeque<MockTokenResponse>,
    default: MockTokenResponse,
    issued: Vec<Issued>,
    stalled: bool,
}

struct Issued {
    token: String,
    /// `None`: the response had no lifetime, so the token never expires here.
    expires: Option<Instant>,
}

/// One scripted response.
#[derive(Debug, Clone)]
pub struct MockTokenResponse {
    kind: Kind,
    gate: Option<Gate>,
}

#[derive(Debug, Clone)]
enum Kind {
    Issue { expires_in: Value, valid_for: Option<Duration>, whole_second: bool, extra: Value },
    Http(Box<MockResponse>),
}

impl MockTokenResponse {
    /// A new token with a lifetime of `seconds`.
    pub fn issue(seconds: u64) -> Self {
        let kind = Kind::Issue {
            expires_in: json!(seconds),
            valid_for: Some(Duration::from_secs(seconds)),
            whole_second: false,
            extra: json!({}),
        };
        Self { kind, gate: None }
    }

    /// Like [`issue`](Self::issue), but valid from the start of the current second, like the tokens of
    /// servers that stamp whole seconds (`iat` and `exp` of a JWT): it expires up to a second before
    /// `expires_in` has passed.
    pub fn issue_from_whole_second(seconds: u64) -> Self {
        let mut answer = Self::issue(seconds);
        if let Kind::Issue { whole_second, .. } = &mut answer.kind {
            *whole_second = true;
        }
        answer
    }

    /// A new token whose response has this `expires_in` (`Value::Null`: none at all) and these extra members.
    pub fn issue_with(expires_in: Value, extra: Value) -> Self {
        Self { kind: Kind::Issue { expires_in, valid_for: None, whole_second: false, extra }, gate: None }
    }

    /// An error response of RFC 6749 §5.2.
    pub fn error(status: u16, code: &str) -> Self {
        let body = json!({ "error": code, "error_description": format!("scripted {code}") }).to_string();
        MockResponse::status(status).body(body).header("Content-Type", "application/json").into()
    }

    /// 429 with `Retry-After`.
    pub fn retry_after(value: &str) -> Self {
        MockResponse::status(429).header("Retry-After", value).into()
    }

    /// A web page instead of a token.
    pub fn html(status: u16) -> Self {
        let page = "<!DOCTYPE html><html><body>We are down for maintenance</body></html>";
        MockResponse::status(status).body(page).header("Content-Type", "text/html").into()
    }

    /// 200 with an empty body.
    pub fn empty() -> Self {
        MockResponse::status(200).into()
    }

    /// 200 with this JSON.
    pub fn json(value: &Value) -> Self {
        MockResponse::json(value).into()
    }

    /// Sends the response when the gate opens.
    pub fn delayed_until(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
}

impl From<MockResponse> for MockTokenResponse {
    fn from(answer: MockResponse) -> Self {
        Self { kind: Kind::Http(Box::new(answer)), gate: None }
    }
}

/// One token request.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    pub at: Instant,
    /// The form's parameters, decoded, in order.
    pub form: Vec<(String, String)>,
    pub authorization: Option<String>,
    /// The underlying HTTP request.
    pub http: RecordedRequest,
}

impl TokenRequest {
    fn new(http: RecordedRequest) -> Self {
        let form = form_urlencoded::parse(&http.body).into_owned().collect();
        Self { at: http.at, form, authorization: http.header("authorization").map(str::to_owned), http }
    }

    /// The value of the only parameter of that name.
    pub fn param(&self, name: &str) -> Option<&str> {
        let all: Vec<_> = self.form.iter().filter(|(key, _)| key == name).collect();
        assert!(all.len() < 2, "{name} came more than once: {all:?}");
        all.first().map(|(_, value)| value.as_str())
    }

    /// The value of `Authorization: Basic`, Base64-decoded and otherwise unchanged.
    pub fn basic(&self) -> Option<String> {
        let encoded = self.authorization.as_deref()?.strip_prefix("Basic ")?;
        Some(String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap())
    }
}

impl MockTokenEndpoint {
    /// A plain HTTP endpoint; its tokens last one hour.
    pub async fn plain() -> Self {
        Self::on(MockUpstream::plain().await)
    }

    /// An HTTPS endpoint; its tokens last one hour.
    pub async fn tls(pki: &Pki) -> Self {
        Self::on(MockUpstream::tls(pki).await)
    }

    fn on(server: MockUpstream) -> Self {
        let state = State {
            queue: VecDeque::new(),
            default: MockTokenResponse::issue(3600),
            issued: Vec::new(),
            stalled: false,
        };
        let state = Arc::new(Mutex::new(state));
        let answering = state.clone();
        server.respond_with(move |_| answering.lock().answer());
        Self { server, state }
    }

    /// The token endpoint's URL.
    pub fn url(&self) -> String {
        self.server.url() + "/oauth2/token"
    }

    /// The underlying server.
    pub fn server(&self) -> &MockUpstream {
        &self.server
    }

    /// Queues a response for one request.
    pub fn next(&self, answer: impl Into<MockTokenResponse>) {
        self.state.lock().queue.push_back(answer.into());
    }

    /// Sets the response for requests that find the queue empty.
    pub fn always(&self, answer: impl Into<MockTokenResponse>) {
        self.state.lock().default = answer.into();
    }

    /// From now on resets connections.
    pub fn go_down(&self) {
        self.server.set_accepting(false);
    }

    /// From now on accepts requests and never responds.
    pub fn stall(&self) {
        self.state.lock().stalled = true;
    }

    /// Ends [`go_down`](Self::go_down) and [`stall`](Self::stall) for later requests.
    pub fn come_up(&self) {
        self.state.lock().stalled = false;
        self.server.set_accepting(true);
    }

    /// Every token request so far whose body was received.
    pub fn requests(&self) -> Vec<TokenRequest> {
        self.server.requests().into_iter().filter(|request| request.complete).map(TokenRequest::new).collect()
    }

    pub fn request_count(&self) -> usize {
        self.server.request_count()
    }

    pub fn only_request(&self) -> TokenRequest {
        TokenRequest::new(self.server.only_request())
    }

    /// Waits until this many token requests have come.
    pub async fn received(&self, count: usize) {
        self.server.received(count).await;
    }

    /// Every token issued so far, oldest first.
    pub fn issued(&self) -> Vec<String> {
        self.state.lock().issued.iter().map(|issued| issued.token.clone()).collect()
    }

    /// Whether this token was issued here and has not expired.
    pub fn is_live(&self, token: &str) -> bool {
        self.state.lock().is_live(token)
    }

    /// No token issued so far is accepted any more.
    pub fn revoke_all(&self) {
        for issued in &mut self.state.lock().issued {
            issued.expires = Some(Instant::now());
        }
    }

    /// Whether a token issued here is live, for
    /// [`MockHttp2Upstream::guarded`](super::MockHttp2Upstream::guarded).
    pub fn live(&self) -> impl Fn(&str) -> bool + Send + Sync + 'static {
        let state = self.state.clone();
        move |token| state.lock().is_live(token)
    }

    /// A responder for [`MockUpstream::respond_with`]: 401 unless the request has a live token of this
    /// endpoint.
    pub fn guard(&self) -> impl Fn(&RecordedRequest) -> MockResponse + Send + Sync + 'static {
        let state = self.state.clone();
        move |request| {
            let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
            if token.is_some_and(|token| state.lock().is_live(token)) {
                MockResponse::ok("granted")
            } else {
                MockResponse::status(401)
                    .header("WWW-Authenticate", "Bearer error=\"invalid_token\"")
                    .body("refused")
            }
        }
    }
}

impl State {
    fn answer(&mut self) -> MockResponse {
        if self.stalled {
            return MockResponse::never();
        }
        let scripted = self.queue.pop_front().unwrap_or_else(|| self.default.clone());
        let answer = match scripted.kind {
            Kind::Http(answer) => *answer,
            Kind::Issue { expires_in, valid_for, whole_second, extra } => {
                let already = if whole_second { fraction_of_second() } else { Duration::ZERO };
                self.issue(&expires_in, valid_for.map(|time| time.saturating_sub(already)), extra)
            }
        };
        match &scripted.gate {
            Some(gate) => answer.delayed_until(gate),
            None => answer,
        }
    }

    fn issue(&mut self, expires_in: &Value, valid_for: Option<Duration>, extra: Value) -> MockResponse {
        let token = format!("tok-{}", self.issued.len() + 1);
        self.issued
            .push(Issued { token: token.clone(), expires: valid_for.map(|time| Instant::now() + time) });
        let mut body = json!({ "access_token": token, "token_type": "Bearer" });
        if !expires_in.is_null() {
            body["expires_in"] = expires_in.clone();
        }
        if let (Some(body), Value::Object(extra)) = (body.as_object_mut(), extra) {
            body.extend(extra);
        }
        MockResponse::json(&body).header("Cache-Control", "no-store")
    }

    fn is_live(&self, token: &str) -> bool {
        let found = self.issued.iter().find(|issued| issued.token == token);
        found.is_some_and(|issued| issued.expires.is_none_or(|end| Instant::now() < end))
    }
}

/// The elapsed part of the current second.
pub fn fraction_of_second() -> Duration {
    Duration::from_nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into())
}
