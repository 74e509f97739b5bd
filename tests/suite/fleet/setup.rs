//! A provider, an upstream that checks every token, and processes that share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::harness::{
    MockResponse, MockUpstream, RecordedRequest, Redis, Request, Sidekey, assert_eventually,
};

/// A key for `shared`.
pub const KEY: &str = "the-key-of-the-fleet-CANARY-0123456789";

/// The admin token of every process.
const ADMIN_TOKEN: &str = "admin-0123456789abcdef";

/// What begins every token.
pub const ACCESS: &str = "at-CANARY";
pub const REFRESH: &str = "rt-CANARY";

/// An identity provider. It issues tokens, and each refresh token may be spent once.
pub struct Provider {
    pub state: Mutex<ProviderState>,
}

pub struct ProviderState {
    /// Lifetime of the tokens.
    pub lifetime: Duration,
    /// How long an answer takes.
    pub delay: Duration,
    /// How long a refresh token is accepted again after it was spent, as providers do for lost answers.
    pub grace: Duration,
    /// The answer to every request instead of a token.
    pub refusal: Option<MockResponse>,
    pub issued: Vec<Issued>,
    /// Refresh tokens that came twice: the grant is ended.
    pub reused: Vec<String>,
    spent: Vec<(String, Instant)>,
    /// Number of token requests.
    pub requests: usize,
}

pub struct Issued {
    pub token: String,
    pub at: Instant,
    pub is_revoked: bool,
}

impl Provider {
    pub fn new(lifetime: Duration) -> Arc<Self> {
        let state = ProviderState {
            lifetime,
            delay: Duration::ZERO,
            grace: Duration::ZERO,
            refusal: None,
            issued: Vec::new(),
            reused: Vec::new(),
            spent: Vec::new(),
            requests: 0,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Serves its token endpoint.
    pub async fn serve(self: &Arc<Self>) -> MockUpstream {
        let (server, provider) = (MockUpstream::plain().await, self.clone());
        server.respond_with(move |request: &RecordedRequest| provider.answer(request));
        server
    }

    /// Serves an upstream that accepts its tokens.
    pub async fn upstream(self: &Arc<Self>) -> MockUpstream {
        let (server, provider) = (MockUpstream::plain().await, self.clone());
        server.respond_with(move |request: &RecordedRequest| {
            let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
            match token {
                Some(token) if provider.is_live(token) => MockResponse::ok("granted"),
                _ => MockResponse::status(401),
            }
        });
        server
    }

    fn is_live(&self, token: &str) -> bool {
        let state = self.state.lock();
        let issued = state.issued.iter().find(|issued| issued.token == token);
        issued.is_some_and(|issued| !issued.is_revoked && issued.at.elapsed() < state.lifetime)
    }

    /// From now on rejects every token issued so far.
    pub fn revoke_all(&self) {
        self.state.lock().issued.iter_mut().for_each(|issued| issued.is_revoked = true);
    }

    pub fn requests(&self) -> usize {
        self.state.lock().requests
    }

    pub fn issued(&self) -> usize {
        self.state.lock().issued.len()
    }

    fn answer(&self, request: &RecordedRequest) -> MockResponse {
        let mut state = self.state.lock();
        state.requests += 1;
        if let Some(refusal) = &state.refusal {
            return refusal.clone();
        }
        let fields: Vec<(String, String)> = form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let number = state.issued.len() + 1;
        let mut answer = serde_json::json!({
            "access_token": format!("{ACCESS}-{number}"),
            "token_type": "Bearer",
            "expires_in": state.lifetime.as_secs(),
        });
        if field("grant_type").as_deref() == Some("refresh_token") {
            let token = field("refresh_token").unwrap_or_default();
            let spent = state.spent.iter().find(|(spent, _)| *spent == token).map(|(_, at)| *at);
            let is_known = token == format!("{REFRESH}-0")
                || state
                    .issued
                    .iter()
                    .any(|issued| issued.token.strip_prefix(ACCESS) == token.strip_prefix(REFRESH));
            let grace = state.grace;
            match spent {
                Some(at) if at.elapsed() > grace => state.reused.push(token.clone()),
                Some(_) => {}
                None => state.spent.push((token.clone(), Instant::now())),
            }
            if !state.reused.is_empty() || !is_known {
                return MockResponse::status(400)
                    .header("Content-Type", "application/json")
                    .body(r#"{"error":"invalid_grant"}"#);
            }
            answer["refresh_token"] = format!("{REFRESH}-{number}").into();
        }
        if field("grant_type").as_deref() == Some("authorization_code") {
            answer["refresh_token"] = format!("{REFRESH}-{number}").into();
        }
        state.issued.push(Issued {
            token: format!("{ACCESS}-{number}"),
            at: Instant::now(),
            is_revoked: false,
        });
        MockResponse::json(&answer).after(state.delay)
    }
}

/// The section `shared`.
pub fn shared(redis: &Redis) -> String {
    format!("shared: {{ url: '{}', key: {KEY}, timeout: 1s, allow_plaintext: true }}", redis.url())
}

/// The credential of a client.
pub fn client_credentials(provider: &MockUpstream) -> String {
    format!(
        "type: oauth2, grant_type: client_credentials, token_url: '{}', client_id: me, client_secret: s3cret-CANARY",
        provider.url()
    )
}

/// The credential of a refresh token.
pub fn refresh_token(provider: &MockUpstream) -> String {
    format!(
        "type: oauth2, grant_type: refresh_token, token_url: '{}', client_id: me, client_secret: s3cret-CANARY, refresh_token: \
         {REFRESH}-0",
        provider.url()
    )
}

/// The configuration of one process.
pub fn config(shared: &str, upstream: &MockUpstream, auth: &str) -> String {
    format!(
        "hardening: none\nlisten: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {ADMIN_TOKEN} }}\nthreads: 1\nlog: {{ level: debug, format: json }}\n{shared}\nservices:\n  api: {{ \
         upstream: '{}', share: true, auth: {{ {auth} }} }}\n",
        upstream.url()
    )
}

/// Starts processes with this configuration, all at once.
pub async fn start(config: &str, count: usize) -> Vec<Sidekey> {
    futures_util::future::join_all((0..count).map(|_| Sidekey::configured(config).start())).await
}

/// Callers of every process.
pub struct Callers {
    tasks: Vec<(u32, JoinHandle<Vec<String>>)>,
    stop: Arc<AtomicBool>,
    pub answered: Arc<AtomicUsize>,
    pause: Duration,
}

impl Callers {
    /// Starts a caller of each process: a request every few hundredths of a second.
    pub fn of(processes: &[Sidekey]) -> Self {
        Self::every(Duration::from_millis(50), processes)
    }

    /// Starts a caller of each process, which pauses for this long between two requests.
    pub fn every(pause: Duration, processes: &[Sidekey]) -> Self {
        let mut callers = Self { tasks: Vec::new(), stop: Arc::default(), answered: Arc::default(), pause };
        for process in processes {
            callers.add(process);
        }
        callers
    }

    pub fn add(&mut self, process: &Sidekey) {
        let (url, stop, answered) = (process.url("/api/x"), self.stop.clone(), self.answered.clone());
        let pause = self.pause;
        let task = tokio::spawn(async move {
            let mut failures = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let response = Request::get(url.clone()).send().await;
                if response.status == 200 {
                    answered.fetch_add(1, Ordering::Relaxed);
                } else {
                    failures.push(format!("{} {}", response.status, response.text()));
                }
                tokio::time::sleep(pause).await;
            }
            failures
        });
        self.tasks.push((process.process_id(), task));
    }

    /// Ends the caller of a process that is about to be killed.
    pub fn leave(&mut self, process: &Sidekey) -> Vec<String> {
        let at = self.tasks.iter().position(|(id, _)| *id == process.process_id()).unwrap();
        let (_, task) = self.tasks.remove(at);
        task.abort();
        Vec::new()
    }

    /// Stops; returns what was not a 200.
    pub async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for (_, task) in self.tasks {
            failures.extend(task.await.unwrap());
        }
        failures
    }
}

/// Which process waits for an answer of this server: whoever has a connection to it.
pub fn holder(processes: &[Sidekey], server: &MockUpstream) -> Option<usize> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let to = format!("0100007F:{:04X}", server.address().port());
    let connections = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let connections =
        connections.filter(|columns| columns.len() > 9 && columns[2] == to && columns[3] == "01");
    let sockets: Vec<_> = connections.map(|columns| format!("socket:[{}]", columns[9])).collect();
    let has = |process: &Sidekey| {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", process.process_id())).unwrap();
        let links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.into_iter().any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()))
    };
    processes.iter().position(has)
}

/// Has a process request a token now, as an operator does who does not wait for the end of the lifetime. It is requested again until
/// there is one: another may have been obtained a moment ago (`token_request.min_interval`).
pub fn request_token(process: &Sidekey) -> JoinHandle<()> {
    let url = process.admin_url("/api/v1/services/api/refresh");
    tokio::spawn(async move {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let request = Request::post(url.clone(), "{}").header("Content-Type", "application/json");
            let request = request.header("Authorization", &format!("Bearer {ADMIN_TOKEN}"));
            let answer = request.send().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            if answer.json()["ok"] == true {
                return;
            }
            assert!(Instant::now() < deadline, "there is no new token: {}", answer.text());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
}

/// Waits for the next token request; returns which process makes it.
pub async fn next_holder(provider: &Provider, endpoint: &MockUpstream, processes: &[Sidekey]) -> usize {
    let requests = provider.requests();
    let mut found = None;
    assert_eventually(Duration::from_secs(60), "a process requests a token", async || {
        found = (provider.requests() > requests).then(|| holder(processes, endpoint)).flatten();
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// Kills a process without a warning.
pub async fn kill(mut process: Sidekey) {
    process.signal(Signal::SIGKILL);
    process.ended().await;
}
