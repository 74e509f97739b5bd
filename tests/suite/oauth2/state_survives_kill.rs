//! `kill -9` in a loop, with a provider that revokes the whole grant if a refresh token is used twice.
//!
//! Before an access token is used, the refresh token that came with it is on disk. So the grant survives
//! every later kill. The one window that no client can close is between the provider's response and the
//! write; a kill there is not tested (docs/SECURITY.md).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::harness::{MockResponse, MockUpstream, RecordedRequest, Sidekey};

const ROUNDS: usize = 20;

/// An identity provider that accepts each refresh token once.
#[derive(Default)]
struct Provider {
    issued: AtomicUsize,
    reused: Mutex<Vec<String>>,
}

impl Provider {
    fn answer(&self, request: &RecordedRequest) -> MockResponse {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let mut fields = form_urlencoded::parse(body.as_bytes());
        let token = fields.find(|(name, _)| name == "refresh_token").map(|(_, value)| value.into_owned());
        let token = token.unwrap_or_default();
        let current = format!("rt-{}", self.issued.load(Ordering::SeqCst));
        if token != current || !self.reused.lock().is_empty() {
            self.reused.lock().push(token);
            return MockResponse::status(400)
                .header("Content-Type", "application/json")
                .body(r#"{"error":"invalid_grant"}"#);
        }
        let next = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = format!(
            r#"{{"access_token":"at-{next}","token_type":"Bearer","expires_in":3600,"refresh_token":"rt-{next}"}}"#
        );
        MockResponse::ok(answer).header("Content-Type", "application/json")
    }
}

#[tokio::test]
async fn state_grant_survives_sigkill() {
    let (upstream, login) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let provider = Arc::new(Provider::default());
    let answering = provider.clone();
    login.respond_with(move |request: &RecordedRequest| answering.answer(request));
    let folder = TempDir::new().unwrap();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ level: debug, format: json }}\n\
         state: {{ dir: '{}', key: a-key-of-the-state-folder-0123456789 }}\nservices:\n  \
         api: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: refresh_token, token_url: '{}', client_id: a, \
         client_secret: s, refresh_token: rt-0 }} }}",
        folder.path().join("state").display(),
        upstream.url(),
        login.url()
    );
    for round in 1..=ROUNDS {
        let mut sidekey = Sidekey::configured(&config).start_ready().await;
        assert_eq!(sidekey.get("/api/").await.status, 200, "round {round}");
        sidekey.signal(Signal::SIGKILL);
        sidekey.ended().await;
    }
    assert_eq!(*provider.reused.lock(), Vec::<String>::new(), "no refresh token came twice");
    assert_eq!(provider.issued.load(Ordering::SeqCst), ROUNDS);
    let used: Vec<_> = upstream
        .requests()
        .iter()
        .map(|request| request.header("authorization").unwrap().to_owned())
        .collect();
    let expected: Vec<_> = (1..=ROUNDS).map(|round| format!("Bearer at-{round}")).collect();
    assert_eq!(used, expected);
}
