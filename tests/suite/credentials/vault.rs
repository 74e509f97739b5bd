//! `{ vault: … }` against a scripted store, which counts what it is asked.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::harness::{
    MockResponse, MockUpstream, RecordedRequest, Request, Sidekey, TIMEOUT, assert_eventually,
};

/// A store with scripted answers, by method and path.
struct Store {
    server: MockUpstream,
    state: Arc<Mutex<State>>,
}

struct State {
    /// The value of the field `token` of `secret/crm`.
    token: String,
    /// The token that is valid.
    valid: String,
    logins: usize,
    /// How long a login lasts, in seconds.
    ttl: u64,
    /// Answers every request, if it is set.
    instead: Option<MockResponse>,
}

impl Store {
    async fn start() -> Self {
        let server = MockUpstream::plain().await;
        let state = State { token: "one".into(), valid: String::new(), logins: 0, ttl: 3600, instead: None };
        let state = Arc::new(Mutex::new(state));
        let of_server = state.clone();
        server.respond_with(move |request| answer(request, &mut of_server.lock()));
        Self { server, state }
    }

    /// The number of requests for this path of the API.
    fn count(&self, path: &str) -> usize {
        let path = format!("/v1/{path}");
        self.server.requests().iter().filter(|request| request.path() == path).count()
    }

    /// A configuration with this store, and these services.
    fn configuration(&self, services: &str) -> String {
        let text = Sidekey::configuration_serving(services);
        format!(
            "reload: {{ interval: 100ms }}\nsecret_stores:\n  main: {{ type: vault, url: '{}', refresh_interval: 1s, timeout: 2s, \
             namespace: team-a, login: {{ method: approle, role_id: me, secret_id: {{ file: $DIR/id }} }} }}\n{text}",
            self.server.url()
        )
    }
}

fn answered(status: u16, body: &Value) -> MockResponse {
    MockResponse::status(status).body(body.to_string()).header("Content-Type", "application/json")
}

fn answer(request: &RecordedRequest, state: &mut State) -> MockResponse {
    if let Some(answer) = &state.instead {
        return answer.clone();
    }
    assert_eq!(request.header("x-vault-namespace"), Some("team-a"));
    assert_eq!(request.header("x-vault-request"), Some("true"));
    let path = request.path().strip_prefix("/v1/").expect("a path of the API").to_owned();
    if path == "auth/approle/login" {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if body["secret_id"] != "CANARY-secret-id" {
            return answered(400, &json!({ "errors": ["invalid role or secret ID: CANARY-secret-id-2"] }));
        }
        state.logins += 1;
        state.valid = format!("hvs.CANARY{}", state.logins);
        let auth = json!({ "client_token": state.valid, "lease_duration": state.ttl, "renewable": false });
        return answered(200, &json!({ "auth": auth }));
    }
    if request.header("x-vault-token") != Some(&state.valid) {
        return answered(403, &json!({ "errors": ["permission denied"] }));
    }
    match path.as_str() {
        "sys/internal/ui/mounts/secret/crm" => {
            let facts = json!({ "path": "secret/", "type": "kv", "options": { "version": "2" } });
            answered(200, &json!({ "data": facts }))
        }
        "secret/data/crm" => {
            let version = if request.query() == Some("version=1") { 1 } else { 7 };
            let token = if version == 1 { "first" } else { &state.token };
            let data = json!({ "user": "me", "token": token, "list": [] });
            let data = json!({ "data": data, "metadata": { "version": version } });
            answered(200, &json!({ "lease_id": "", "data": data }))
        }
        "database/creds/app" => answered(500, &json!({ "errors": ["dial tcp: connection refused"] })),
        "secret/large" => MockResponse::ok("x".repeat(2 << 20)),
        "auth/token/lookup-self" => answered(200, &json!({ "data": { "ttl": state.ttl } })),
        "auth/token/revoke-self" => MockResponse::status(204),
        _ => answered(404, &json!({ "errors": [] })),
    }
}

fn bearer(name: &str, upstream: &MockUpstream, secret: &str) -> String {
    format!(
        "{name}: {{ upstream: '{}', auth: {{ type: bearer, token: {{ vault: {secret} }} }} }}\n",
        upstream.url()
    )
}

/// What the admin API says.
async fn state_of(sidekey: &Sidekey) -> Value {
    Request::get(sidekey.admin_url("/api/v1/services")).send().await.json()
}

async fn assert_sends(sidekey: &Sidekey, upstream: &MockUpstream, service: &str, token: &str) {
    assert_eventually(TIMEOUT, &format!("{token} is sent"), async || {
        let status = sidekey.get(&format!("/{service}/x")).await.status;
        status == 200 && upstream.last_request().header("authorization") == Some(&format!("Bearer {token}"))
    })
    .await;
}

#[tokio::test]
async fn store_is_logged_in_to_once_and_read_once_per_path() {
    let (store, upstream) = (Store::start().await, MockUpstream::plain().await);
    let crm = "{ path: secret/crm, field: token, store: main }";
    let basic = format!(
        "basic: {{ upstream: '{}', auth: {{ type: basic, username: {{ vault: {{ path: secret/crm, field: user }} }}, \
         password: {{ vault: {{ path: secret/crm, field: token }} }} }} }}\n",
        upstream.url()
    );
    let services =
        (0..20).map(|index| bearer(&format!("s{index}"), &upstream, crm)).collect::<String>() + &basic;
    let old =
        bearer("old", &upstream, "{ path: secret/crm, field: token, version: 1, refresh_interval: 1h }");
    let mut sidekey = Sidekey::configured(&store.configuration(&(services + &old)))
        .file("id", "CANARY-secret-id")
        .start_ready()
        .await;
    assert_sends(&sidekey, &upstream, "s7", "one").await;
    assert_sends(&sidekey, &upstream, "old", "first").await;
    assert_eq!(sidekey.get("/basic/x").await.status, 200);
    assert_eq!(upstream.last_request().header("authorization"), Some("Basic bWU6b25l"));
    assert_eq!(store.count("auth/approle/login"), 1, "one login for all secrets");
    let reads = || store.count("secret/data/crm");
    let before = reads();
    assert!((2..6).contains(&before), "all fields of a version are read at once: {before}");
    store.state.lock().token = "two".into();
    assert_sends(&sidekey, &upstream, "s7", "two").await;
    assert_sends(&sidekey, &upstream, "s19", "two").await;
    assert_sends(&sidekey, &upstream, "old", "first").await;
    assert_eq!((store.count("auth/approle/login"), store.count("sys/internal/ui/mounts/secret/crm")), (1, 1));
    assert_eq!(sidekey.metric("sidekey_secret_reload_total", &[("result", "success")]).await, Some(1.0));
    assert_eq!(sidekey.terminate().await.code(), Some(0));
    assert_eq!(store.count("auth/token/revoke-self"), 1, "the token of the login ends with the process");
    assert!(!sidekey.log().contains("CANARY"), "{}", sidekey.log());
}

#[tokio::test]
async fn rejected_token_of_the_store_leads_to_one_login() {
    let (store, upstream) = (Store::start().await, MockUpstream::plain().await);
    let services = bearer("api", &upstream, "{ path: secret/crm, field: token }");
    let sidekey = Sidekey::configured(&store.configuration(&services))
        .file("id", "CANARY-secret-id")
        .start_ready()
        .await;
    assert_sends(&sidekey, &upstream, "api", "one").await;
    // As after a restart of a store that has lost its tokens, once the token is not a new one any more.
    let is_older = async || store.count("secret/data/crm") > 7;
    assert_eventually(TIMEOUT, "some polls have passed", is_older).await;
    {
        let mut state = store.state.lock();
        (state.valid, state.token) = ("revoked".into(), "two".into());
    }
    assert_sends(&sidekey, &upstream, "api", "two").await;
    assert_eq!(store.count("auth/approle/login"), 2);
}

#[tokio::test]
async fn secret_stays_in_use_and_is_stale_while_the_store_fails() {
    let (store, upstream) = (Store::start().await, MockUpstream::plain().await);
    let services = bearer("api", &upstream, "{ path: secret/crm, field: token }");
    let text = store.configuration(&services);
    let sidekey = Sidekey::configured(&text).file("id", "CANARY-secret-id").start_ready().await;
    let stale = async || sidekey.metric("sidekey_stale_secrets", &[]).await;
    assert_eq!(stale().await, Some(0.0));
    assert_eq!(sidekey.metric("sidekey_stale_secrets_oldest_timestamp_seconds", &[]).await, Some(0.0));
    let sealed = answered(503, &json!({ "errors": ["Vault is sealed"] }));
    let moved = MockResponse::status(307).header("Location", "https://other.example/v1/secret/data/crm");
    let page = MockResponse::ok("<html>hello</html>");
    for (answer, said) in [
        (sealed, "answered 503: it is sealed"),
        (moved, "answered 307, a redirect, which is never followed"),
        (page, "the answer is not one of Vault"),
    ] {
        store.state.lock().instead = Some(answer);
        assert_eventually(TIMEOUT, "it is stale", async || stale().await == Some(1.0)).await;
        let shown = async || state_of(&sidekey).await["config"]["stale_secrets"].clone();
        let is_said = async || shown().await[0]["error"].as_str().unwrap_or_default().contains(said);
        assert_eventually(TIMEOUT, said, is_said).await;
        let shown = shown().await;
        assert_eq!(shown[0]["used_by"], json!(["services.api.auth.token"]), "{shown}");
        assert_eq!(shown[0]["source"], "vault secret/crm");
        let since = sidekey.metric("sidekey_stale_secrets_oldest_timestamp_seconds", &[]).await;
        assert!(since > Some(1.7e9), "{since:?}");
        assert_sends(&sidekey, &upstream, "api", "one").await;
        store.state.lock().instead = None;
        assert_eventually(TIMEOUT, "it is fresh", async || stale().await == Some(0.0)).await;
    }
    let failed = sidekey.logged_like("secret source failed, the previous secret stays in use").await;
    assert_eq!(failed["secret.source"], "vault secret/crm");
    sidekey.logged("secret source succeeded again").await;
    assert!(sidekey.is_ready().await && !sidekey.log().contains("CANARY"));
}

#[tokio::test]
async fn process_starts_and_waits_for_a_store_that_is_away() {
    let (store, upstream) = (Store::start().await, MockUpstream::plain().await);
    store.state.lock().instead = Some(answered(503, &json!({ "errors": ["Vault is sealed"] })));
    // The only services: without them a process would not start.
    let services: String = (0..30)
        .map(|index| {
            bearer(&format!("s{index}"), &upstream, &format!("{{ path: secret/crm{index}, field: token }}"))
        })
        .collect();
    let services = services.replace("secret/crm7,", "secret/crm,");
    let sidekey =
        Sidekey::configured(&store.configuration(&services)).file("id", "CANARY-secret-id").start().await;
    assert!(!sidekey.is_ready().await);
    let failed = sidekey.get("/s7/x").await;
    assert_eq!(
        (failed.status, failed.sidekey_error()),
        (503, Some("credential_unavailable")),
        "{}",
        failed.text()
    );
    assert!(store.server.request_count() < 10, "one failure, not one for each of thirty secrets");
    store.state.lock().instead = None;
    assert_sends(&sidekey, &upstream, "s7", "one").await;
    let is_other = async || {
        let problems = state_of(&sidekey).await["config"]["problems"].to_string();
        problems.contains("there is no secret at this path") && !problems.contains("sealed")
    };
    assert_eventually(TIMEOUT, "the other mistakes are shown", is_other).await;
}

/// Whatever the request was, and also if it is the login itself that has no answer.
#[tokio::test]
async fn error_that_repeats_what_a_login_sent_is_shown_without_it() {
    let (store, upstream) = (Store::start().await, MockUpstream::plain().await);
    let text = store.configuration(&bearer("api", &upstream, "{ path: secret/crm, field: token }"));
    let repeats = |status| {
        let error = "cannot use CANARY-secret-id with hvs.CANARY1 here";
        Some(answered(status, &json!({ "errors": [error] })))
    };
    let reads = Sidekey::configured(&text).file("id", "CANARY-secret-id").start_ready().await;
    // What was sent is masked, and not what another login would send.
    reads.write("id", "another-secret-id");
    for status in [400, 429, 500] {
        store.state.lock().instead = repeats(status);
        let shown = async || state_of(&reads).await["config"]["stale_secrets"].to_string();
        let said = format!("answered {status}: cannot use");
        assert_eventually(TIMEOUT, &said, async || shown().await.contains(&said)).await;
        assert!(!shown().await.contains("CANARY"), "{}", shown().await);
    }
    for status in [429, 500] {
        store.state.lock().instead = repeats(status);
        let logs_in = Sidekey::configured(&text).file("id", "CANARY-secret-id").start().await;
        let problems = state_of(&logs_in).await["config"]["problems"].to_string();
        let said = format!("answered {status}: cannot use");
        assert!(problems.contains(&said) && !problems.contains("CANARY-secret-id"), "{problems}");
        assert!(!logs_in.log().contains("CANARY-secret-id"), "{}", logs_in.log());
    }
    assert!(!reads.log().contains("CANARY"), "{}", reads.log());
}

#[tokio::test]
async fn path_that_fails_concerns_no_other_secret_of_the_store() {
    let (store, upstream) = (Store::start().await, MockUpstream::plain().await);
    let secrets = [
        ("database", "{ path: database/creds/app, field: password }"),
        ("large", "{ path: secret/large, field: token }"),
        ("crm", "{ path: secret/crm, field: token }"),
    ];
    let services: String = secrets.iter().map(|(name, secret)| bearer(name, &upstream, secret)).collect();
    let sidekey =
        Sidekey::configured(&store.configuration(&services)).file("id", "CANARY-secret-id").start().await;
    assert_eq!(sidekey.get("/crm/x").await.status, 200);
    let problems = state_of(&sidekey).await["config"]["problems"].to_string();
    assert!(problems.contains("answered 500") && problems.contains("larger than 1 MiB"), "{problems}");
    store.state.lock().token = "two".into();
    assert_sends(&sidekey, &upstream, "crm", "two").await;
}

#[tokio::test]
async fn mistakes_are_named_by_their_place_in_the_file() {
    let (store, upstream) = (Store::start().await, MockUpstream::plain().await);
    let services = bearer("good", &upstream, "{ path: secret/crm, field: token }")
        + &bearer("path", &upstream, "{ path: secret/CANARY-path, field: token }")
        + &bearer("field", &upstream, "{ path: secret/crm, field: CANARY-field }")
        + &bearer("list", &upstream, "{ path: secret/crm, field: list }");
    let dir = tempfile::tempdir().unwrap();
    let (file, id) = (dir.path().join("sidekey.yaml"), dir.path().join("id"));
    let text = store.configuration(&services).replace("$DIR", dir.path().to_str().unwrap());
    std::fs::write(&file, &text).unwrap();
    let check = async |more: &[&str]| {
        let arguments = [&["check", "--config", file.to_str().unwrap()], more].concat();
        let output = Sidekey::command(&arguments, &[]).await;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!said.contains("CANARY"), "{said}");
        (output.status.code(), said)
    };
    std::fs::write(&id, "CANARY-secret-id").unwrap();
    let (code, said) = check(&["--online"]).await;
    assert_eq!(code, Some(78), "{said}");
    for (path, what) in [
        ("services.path.auth.token", "there is no secret at this path"),
        ("services.field.auth.token", "has no field of this name"),
        ("services.list.auth.token", "the field is a JSON object or list"),
    ] {
        let is_it = |line: &str| line.contains(path) && line.contains(what);
        assert!(said.lines().any(is_it), "{path}: {what}: {said}");
    }
    assert!(!said.contains("services.good"), "{said}");
    assert_eq!(store.count("auth/token/revoke-self"), 1, "`check` ends its login");

    std::fs::write(&id, "CANARY-secret-id-2").unwrap();
    let (code, said) = check(&[]).await;
    assert_eq!(code, Some(78), "{said}");
    let refused = "services.good.auth.token: the login by `approle` was refused: Vault at ";
    assert!(
        said.contains(refused) && said.contains("answered 400: invalid role or secret ID: ****"),
        "{said}"
    );
    assert!(said.contains("; has the SecretID ended or been used up"), "{said}");
    assert_eq!(store.count("auth/approle/login"), 2, "a refused login is not repeated for each secret");

    let (code, said) = check(&["--without-secrets"]).await;
    assert_eq!(code, Some(0), "{said}");
    let only = bearer("good", &upstream, "{ path: secret/crm, field: token }");
    let text = store.configuration(&only).replace("$DIR", dir.path().to_str().unwrap());
    std::fs::write(&file, text).unwrap();
    std::fs::write(&id, "CANARY-secret-id").unwrap();
    let (code, said) = check(&["--online"]).await;
    let row =
        said.lines().find(|line| line.starts_with("secret_stores.main ")).unwrap_or_else(|| panic!("{said}"));
    assert!(code == Some(0) && row.contains("secret store") && row.ends_with("OK"), "{said}");
}

#[tokio::test]
async fn reload_uses_another_store_and_ends_the_login_of_the_old_one() {
    let (one, two) = (Store::start().await, Store::start().await);
    let upstream = MockUpstream::plain().await;
    two.state.lock().token = "of-two".into();
    let services = bearer("api", &upstream, "{ path: secret/crm, field: token }");
    let sidekey =
        Sidekey::configured(&one.configuration(&services)).file("id", "CANARY-secret-id").start_ready().await;
    assert_sends(&sidekey, &upstream, "api", "one").await;
    sidekey.reconfigure(&two.configuration(&services));
    assert_sends(&sidekey, &upstream, "api", "of-two").await;
    let ended = async || one.count("auth/token/revoke-self") == 1;
    assert_eventually(TIMEOUT, "the first login is ended", ended).await;
    let count = one.server.request_count();
    // A store that does not answer changes nothing that runs.
    let away = two.configuration(&services).replace("namespace: team-a", "namespace: team-b");
    two.state.lock().instead = Some(MockResponse::close_unanswered());
    sidekey.reconfigure(&away);
    let problem = async || state_of(&sidekey).await["config"]["problems"].to_string();
    assert_eventually(TIMEOUT, "the problem is shown", async || problem().await.contains("Vault at")).await;
    assert_sends(&sidekey, &upstream, "api", "of-two").await;
    assert_eq!(one.server.request_count(), count, "nothing is sent to the first store");
}
