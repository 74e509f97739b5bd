//! A provider that detects reuse of refresh tokens, and a `state.dir` that is full: the grant survives, and everybody
//! can see that it is in danger.

use std::process::Command;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    Gate, MockResponse, MockTokenEndpoint, MockUpstream, RecordedRequest, Request, Sidekey, TIMEOUT,
    assert_eventually, free_port,
};

const TOKEN: &str = "an-admin-token-of-sufficient-length";

/// Issues `refresh-1`, `refresh-2`, …; a spent one that comes again revokes the whole grant.
#[derive(Default)]
struct Provider {
    issued: u32,
    is_revoked: bool,
    /// Delays the response to the next request.
    gate: Option<Gate>,
}

impl Provider {
    fn answer(&mut self, request: &RecordedRequest) -> MockResponse {
        let form: Vec<(String, String)> = form_urlencoded::parse(&request.body).into_owned().collect();
        let sent = form.iter().find(|(name, _)| name == "refresh_token").map(|(_, value)| value.as_str());
        let current = if self.issued == 0 { "seed".to_owned() } else { format!("refresh-{}", self.issued) };
        self.is_revoked |= sent != Some(current.as_str());
        if self.is_revoked {
            return MockResponse::status(400).body(json!({ "error": "invalid_grant" }).to_string());
        }
        self.issued += 1;
        let (access, refresh) = (format!("access-{}", self.issued), format!("refresh-{}", self.issued));
        let body = json!({ "access_token": access, "refresh_token": refresh, "expires_in": 3 });
        let answer = MockResponse::json(&body);
        match self.gate.take() {
            Some(gate) => answer.delayed_until(&gate),
            None => answer,
        }
    }
}

struct Setup {
    upstream: MockUpstream,
    endpoint: MockTokenEndpoint,
    provider: Arc<Mutex<Provider>>,
    sidekey: Sidekey,
    _folder: TempDir,
}

async fn start() -> Setup {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let provider = Arc::new(Mutex::new(Provider::default()));
    let answering = provider.clone();
    endpoint.server().respond_with(move |request| answering.lock().answer(request));
    let folder = TempDir::new().unwrap();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: '127.0.0.1:{}', token: {TOKEN} }}\nlog: {{ level: debug, format: json }}\n\
         state: {{ dir: '{}', key: a key of at least thirty-two characters }}\nservices:\n  api: {{ upstream: '{}', readiness: always, \
         auth: {{ type: oauth2, token_url: '{}', client_id: me, grant_type: refresh_token, refresh_token: seed }} }}\n",
        free_port(),
        folder.path().join("state").display(),
        upstream.url(),
        endpoint.url()
    );
    let sidekey = Sidekey::configured(&config).start_ready().await;
    Setup { upstream, endpoint, provider, sidekey, _folder: folder }
}

/// Limits the size of the files that the process writes (`bytes`, or `unlimited`): what a full disk does.
fn limit_file_size(sidekey: &Sidekey, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let process = format!("--pid={}", sidekey.process_id());
    let status = Command::new("prlimit").args([process, limit]).status();
    assert!(status.expect("prlimit, of util-linux").success());
}

impl Setup {
    async fn is_failing(&self) -> bool {
        self.sidekey.metric("sidekey_state_write_failing", &[("service", "api")]).await == Some(1.0)
    }

    /// Asserts that nobody is told that all is well.
    async fn assert_in_danger(&self, why: &str) {
        let ready = Request::get(self.sidekey.admin_url("/readyz")).send().await;
        assert_eq!(ready.status, 503, "{}", ready.text());
        assert!(ready.text().contains(why), "{}", ready.text());
        let seen = Request::get(self.sidekey.admin_url("/api/v1/services/api")).send().await;
        let seen: Value = serde_json::from_str(&seen.text()).unwrap();
        assert_eq!((&seen["ready"], &seen["severity"] == "ok"), (&json!(false), false), "{seen}");
        assert_ne!(seen["state"], "ready");
    }

    /// Runs `sidekey test` with the same configuration.
    async fn test(&self) -> (i32, String) {
        let file = self.sidekey.dir().join("sidekey.yaml");
        let output = Sidekey::command(&["test", "--config", file.to_str().unwrap(), "api"], &[]).await;
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), printed)
    }
}

#[tokio::test]
async fn refresh_token_is_not_spent_while_state_dir_is_full() {
    let setup = start().await;
    limit_file_size(&setup.sidekey, "0");
    assert_eventually(TIMEOUT, "the state cannot be written", async || setup.is_failing().await).await;
    let requests = setup.endpoint.request_count();
    setup.assert_in_danger("state.dir cannot be written").await;
    let expired = async || setup.sidekey.get("/api/").await.status == 503;
    assert_eventually(TIMEOUT, "the token expires", expired).await;
    assert_eq!(setup.endpoint.request_count(), requests, "no refresh token is spent");

    limit_file_size(&setup.sidekey, "unlimited");
    setup.sidekey.ready().await;
    assert_eq!(setup.sidekey.get("/api/").await.status, 200);
    assert!(!setup.is_failing().await && !setup.provider.lock().is_revoked);
}

#[tokio::test]
async fn unwritten_refresh_token_survives_sidekey_test() {
    let setup = start().await;
    // There is space before the request, and none after it.
    let gate = Gate::closed();
    setup.provider.lock().gate = Some(gate.clone());
    let requests = setup.endpoint.request_count();
    setup.endpoint.received(requests + 1).await;
    limit_file_size(&setup.sidekey, "0");
    gate.open();
    assert_eventually(TIMEOUT, "the state cannot be written", async || setup.is_failing().await).await;
    setup.assert_in_danger("in memory only").await;
    setup.sidekey.logged_like("state file not written: ").await;

    let (code, printed) = setup.test().await;
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("tested by   the Sidekey that runs at 127.0.0.1:"), "{printed}");
    assert!(printed.contains("It works: the upstream answered 200."), "{printed}");
    let used = setup.upstream.last_request().header("authorization").unwrap().to_owned();
    assert!(used.starts_with("Bearer access-"), "{used}");

    limit_file_size(&setup.sidekey, "unlimited");
    setup.sidekey.logged_like("state file written: ").await;
    setup.sidekey.ready().await;
    assert!(!setup.provider.lock().is_revoked);
    let requests = setup.endpoint.request_count();
    setup.endpoint.received(requests + 2).await;
    assert!(!setup.provider.lock().is_revoked, "each refresh token is spent once");
}

#[tokio::test]
async fn sidekey_test_spends_no_refresh_token_beside_a_running_process() {
    let setup = start().await;
    for _ in 0..3 {
        let (code, printed) = setup.test().await;
        assert_eq!((code, printed.contains("tested by")), (0, true), "{printed}");
    }
    assert!(!setup.provider.lock().is_revoked);
}
