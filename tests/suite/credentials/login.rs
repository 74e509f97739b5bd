//! `type: login` against a scripted server: sessions are opened once, renewed, and ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::harness::{
    MockResponse, MockUpstream, RecordedRequest, Request, Sidekey, TIMEOUT, assert_eventually,
};

/// What the server knows.
#[derive(Default)]
struct Seen {
    logins: AtomicUsize,
    logouts: AtomicUsize,
    /// The sessions that are open.
    open: Mutex<BTreeSet<String>>,
    /// The most sessions that were open at a time.
    most: AtomicUsize,
}

impl Seen {
    fn counts(&self) -> (usize, usize, usize) {
        let open = self.open.lock().len();
        (self.logins.load(Ordering::SeqCst), self.logouts.load(Ordering::SeqCst), open)
    }

    /// Ends every session, as a server does that was restarted.
    fn forget(&self) {
        self.open.lock().clear();
    }
}

fn bearer(request: &RecordedRequest) -> String {
    request.header("authorization").unwrap_or_default().replace("Bearer ", "")
}

/// A server like Airflow: a token for a password, with a lifetime of `seconds`.
async fn server(seconds: u64) -> (MockUpstream, Arc<Seen>) {
    let (upstream, seen) = (MockUpstream::plain().await, Arc::new(Seen::default()));
    let known = seen.clone();
    upstream.respond_with(move |request| match (request.method.as_str(), request.path()) {
        ("POST", "/auth/token") => {
            let sent: Option<Value> = serde_json::from_slice(&request.body).ok();
            let is_right = sent == Some(json!({ "username": "svc", "password": "pass-CANARY" }));
            if !is_right {
                return MockResponse::status(401).body(request.text());
            }
            let number = known.logins.fetch_add(1, Ordering::SeqCst);
            let token = format!("session-CANARY-{number}");
            let mut open = known.open.lock();
            open.insert(token.clone());
            known.most.fetch_max(open.len(), Ordering::SeqCst);
            let body = json!({ "data": { "access_token": token, "expires_in": seconds } });
            MockResponse::status(201).body(body.to_string())
        }
        ("DELETE", "/auth/logout") => {
            known.logouts.fetch_add(1, Ordering::SeqCst);
            known.open.lock().remove(&bearer(request));
            MockResponse::status(204)
        }
        _ if known.open.lock().contains(&bearer(request)) => MockResponse::ok("dags"),
        _ => MockResponse::status(401).body("no session"),
    });
    (upstream, seen)
}

fn service(upstream: &MockUpstream, more: &str) -> String {
    let url = upstream.url();
    format!(
        "flow: {{ upstream: '{url}/api', token_wait: 5s, auth: {{ type: login, login_url: '{url}/auth/token', \
         fields: {{ username: svc, password: {{ file: $DIR/password }} }}, session: 'json:/data/access_token', \
         lifetime_field: /data/expires_in, logout_url: '{url}/auth/logout', logout_method: delete{more} }} }}"
    )
}

async fn started(upstream: &MockUpstream) -> Sidekey {
    Sidekey::serving(&service(upstream, "")).file("password", "pass-CANARY").start_ready().await
}

#[tokio::test]
async fn login_is_made_once_for_all_callers() {
    let (upstream, seen) = server(3600).await;
    let mut sidekey = started(&upstream).await;
    for _ in 0..3 {
        let call = Request::get(sidekey.url("/flow/dags")).header("Authorization", "Bearer own");
        assert_eq!(call.send().await.text(), "dags");
    }
    assert_eq!(seen.counts(), (1, 0, 1));
    seen.forget();
    let calls = (0..20).map(|number| {
        let url = sidekey.url(&format!("/flow/{number}"));
        tokio::spawn(async move { Request::post(url, "body").send().await.status })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200, "sent again with the new session");
    }
    assert_eq!(seen.counts().0, 2, "one new login for all of them");
    let success = [("service", "flow"), ("result", "success")];
    assert_eq!(sidekey.metric("sidekey_token_requests_total", &success).await, Some(2.0));
    let ended = async || seen.counts().1 == 1;
    assert_eventually(TIMEOUT, "the old session is ended", ended).await;
    assert_eventually(TIMEOUT, "and counted", async || {
        sidekey.metric("sidekey_logouts_total", &success).await == Some(1.0)
    })
    .await;
    let shown = format!("{} {}", sidekey.log(), sidekey.metrics().await);
    assert!(!shown.contains("CANARY"));
    sidekey.terminate().await;
    assert_eq!(seen.counts(), (2, 2, 0), "no session is left");
}

#[tokio::test]
async fn session_is_renewed_in_time_and_at_most_two_are_open() {
    // Renewed about three seconds after each login.
    let (upstream, seen) = server(5).await;
    let mut sidekey = started(&upstream).await;
    assert_eventually(TIMEOUT, "the session was renewed twice", async || {
        assert_eq!(sidekey.get("/flow/dags").await.status, 200);
        seen.counts().0 >= 3
    })
    .await;
    assert!(seen.most.load(Ordering::SeqCst) <= 2, "the old one is ended after the new one is open");
    sidekey.terminate().await;
    assert_eq!(seen.counts().2, 0);
}

#[tokio::test]
async fn session_of_a_removed_service_is_ended() {
    let (upstream, seen) = server(3600).await;
    let mut sidekey = started(&upstream).await;
    let without = format!("other: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}", upstream.url());
    sidekey.reconfigure(&Sidekey::configuration_serving(&without));
    sidekey.reload().await;
    assert_eventually(TIMEOUT, "the session is ended", async || seen.counts() == (1, 1, 0)).await;
    sidekey.terminate().await;
    assert_eq!(seen.counts(), (1, 1, 0), "once");
}

#[tokio::test]
async fn session_stays_until_there_is_one_with_the_new_password() {
    let (upstream, seen) = server(3600).await;
    let sidekey = started(&upstream).await;
    sidekey.write("password", "wrong");
    sidekey.reload().await;
    sidekey.logged_like("token refused").await;
    assert_eq!(sidekey.get("/flow/dags").await.status, 200, "the old session is in use");
    sidekey.write("password", "pass-CANARY");
    sidekey.reload().await;
    assert_eventually(TIMEOUT, "the old session is replaced", async || seen.counts() == (2, 1, 1)).await;
    assert_eq!(sidekey.get("/flow/dags").await.status, 200);
}

#[tokio::test]
async fn test_command_ends_its_session() {
    let (upstream, seen) = server(3600).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services.yaml");
    std::fs::write(dir.path().join("password"), "pass-CANARY").unwrap();
    let services = service(&upstream, "").replace("$DIR", dir.path().to_str().unwrap());
    std::fs::write(&file, format!("services:\n  {services}\n")).unwrap();
    let output = Sidekey::command(&["test", "--config", file.to_str().unwrap(), "flow", "/dags"], &[]).await;
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(printed.contains("It works") && !printed.contains("CANARY"), "{printed}");
    assert_eq!(seen.counts(), (1, 1, 0));
    std::fs::write(dir.path().join("password"), "wrong").unwrap();
    let output = Sidekey::command(&["test", "--config", file.to_str().unwrap(), "flow", "/dags"], &[]).await;
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(printed.contains("answered 401") && printed.contains("`fields`"), "{printed}");
}

/// A service whose login is a form that is answered with this.
async fn form(answer: MockResponse, more: &str) -> (MockUpstream, Sidekey) {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(move |request| match request.path() {
        "/login" if request.text() == "user=s+v%26c&pass=pass-CANARY" => answer.clone(),
        "/login" | "/logout" => MockResponse::status(400),
        _ => MockResponse::ok(request.header("cookie").unwrap_or("none").to_owned()),
    });
    let url = upstream.url();
    let services = format!(
        "wiki: {{ upstream: '{url}', token_wait: 1s, auth: {{ type: login, login_url: '{url}/login', login_format: form, \
         fields: {{ user: 's v&c', pass: pass-CANARY }}{more} }} }}"
    );
    let sidekey = Sidekey::serving(&services).start().await;
    (upstream, sidekey)
}

#[tokio::test]
async fn cookie_of_a_form_is_sent_with_those_of_the_caller() {
    let answer = MockResponse::status(302)
        .header("Location", "/home")
        .header("Set-Cookie", "theme=dark")
        .header("Set-Cookie", "sid=session-CANARY; HttpOnly; Path=/; SameSite=Lax; Max-Age=600");
    let (_upstream, sidekey) = form(answer, ", session: 'cookie:sid'").await;
    sidekey.ready().await;
    let call = Request::get(sidekey.url("/wiki/x")).header("Cookie", "a=1; sid=evil");
    assert_eq!(call.send().await.text(), "a=1; sid=session-CANARY");
    let left = sidekey.metric("sidekey_token_expiry_timestamp_seconds", &[("service", "wiki")]).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((500.0..=600.0).contains(&(left.unwrap() - now)), "{left:?} {now}");
    assert!(!sidekey.log().contains("CANARY"));
}

#[tokio::test]
async fn hostile_answer_to_a_login_gives_no_session() {
    let cookie = |value: &str| MockResponse::status(200).header("Set-Cookie", value);
    for (answer, session, said) in [
        (cookie("sid=x-CANARY; Domain=evil.example"), "cookie:sid", "has no session"),
        (cookie("sid=; Max-Age=600"), "cookie:sid", "has no session"),
        (cookie("sid=x-CANARY; Max-Age=0"), "cookie:sid", "has no session"),
        (cookie("sid=\"x,CANARY\""), "cookie:sid", "cannot be sent"),
        (MockResponse::ok("{\"t\": {\"x\": \"CANARY\"}}"), "json:/t", "has no session"),
        (
            MockResponse::ok(format!("{{\"t\": \"CANARY{}\"}}", "x".repeat(9000))),
            "json:/t",
            "larger than 8 KiB",
        ),
        (
            MockResponse::ok(format!("{{\"t\": \"{}\"}}", "x".repeat(2_000_000))),
            "json:/t",
            "larger than 1 MiB",
        ),
        (MockResponse::ok("[".repeat(100_000)), "json:/t", "has no session"),
        (MockResponse::ok("{\"t\": \"a\\r\\nX: CANARY\"}"), "json:/t", "cannot be sent"),
        (MockResponse::status(500).body("CANARY"), "json:/t", "answered 500"),
    ] {
        let (_upstream, sidekey) = form(answer, &format!(", session: '{session}'")).await;
        let response = sidekey.get("/wiki/x").await;
        assert_eq!(
            (response.status, response.sidekey_error()),
            (503, Some("credential_unavailable")),
            "{said}"
        );
        let failed = async || sidekey.log().contains(said);
        assert_eventually(TIMEOUT, said, failed).await;
        assert!(!sidekey.log().contains("CANARY"), "{said}");
    }
}

#[tokio::test]
async fn ended_session_is_recognized_by_what_is_configured() {
    let json = json!({ "error": { "code": -32602, "data": "Session terminated, re-login" } });
    for (rule, answer) in [
        ("redirect: /login", MockResponse::status(302).header("Location", "/login?next=/")),
        ("status: 200, code: re-login", MockResponse::json(&json)),
    ] {
        let (upstream, seen) = server(3600).await;
        let services = service(&upstream, "").replace("auth:", &format!("refresh_on: [{{ {rule} }}], auth:"));
        let sidekey = Sidekey::serving(&services).file("password", "pass-CANARY").start_ready().await;
        upstream.next(answer);
        assert_eq!(sidekey.get("/flow/dags").await.text(), "dags", "{rule}");
        assert_eq!(seen.counts().0, 2, "{rule}");
    }
}

#[tokio::test]
async fn login_has_the_token_and_the_cookies_of_the_page_before() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(|request| match (request.method.as_str(), request.path()) {
        ("GET", "/page") => MockResponse::ok(
            "<!-- <input name=t value=no> --><input type=hidden value='csrf-CANARY&amp;1' name=t><input name=t value=no>",
        )
        .header("Set-Cookie", "pre=cookie-CANARY; Path=/; HttpOnly")
        .header("Set-Cookie", "other=no; Domain=evil.example")
        .header("Set-Cookie", "gone=; Max-Age=0"),
        ("POST", "/login") => {
            let is_right = request.header("cookie") == Some("pre=cookie-CANARY")
                && request.header("x-csrf") == Some("csrf-CANARY&1")
                && request.header("referer").is_some_and(|page| page.ends_with("/page"));
            let sent: Value = serde_json::from_slice(&request.body).unwrap();
            let expected = json!({ "t": "csrf-CANARY&1", "user": "svc", "password": "pass-CANARY" });
            if !is_right || sent != expected {
                return MockResponse::status(403).body(request.text());
            }
            MockResponse::json(&json!({ "token": "session-CANARY" }))
        }
        _ => MockResponse::ok(request.header("authorization").unwrap_or_default().to_owned()),
    });
    let url = upstream.url();
    let service = format!(
        "api: {{ upstream: '{url}/api', auth: {{ type: login, login_url: '{url}/login', session: 'json:/token', \
         fields: {{ user: svc, password: {{ file: $DIR/password }} }}, \
         csrf: {{ url: '{url}/page', from: 'input:t', field: t, header: X-Csrf }} }} }}"
    );
    let sidekey = Sidekey::serving(&service).file("password", "pass-CANARY").start_ready().await;
    assert_eq!(sidekey.get("/api/x").await.text(), "Bearer session-CANARY");
    let shown = sidekey.log() + &sidekey.metrics().await;
    assert!(!shown.contains("CANARY"), "{shown}");
}

#[tokio::test]
async fn page_without_the_token_sends_no_password() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(|request| match request.path() {
        "/page" => MockResponse::ok("<p>maintenance CANARY</p>"),
        _ => MockResponse::json(&json!({ "token": "session" })),
    });
    let url = upstream.url();
    let service = format!(
        "api: {{ upstream: '{url}/api', token_wait: 1s, auth: {{ type: login, login_url: '{url}/login', session: 'json:/token', \
         fields: {{ password: s3cret }}, csrf: {{ url: '{url}/page', from: 'meta:t', header: X-Csrf }} }} }}"
    );
    let sidekey = Sidekey::serving(&service).start().await;
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("credential_unavailable"));
    assert!(upstream.requests().iter().all(|request| request.method == "GET"), "no login");
    let said = "the answer of the page before the login (200) has no token where `csrf.from` says";
    assert!(sidekey.log().contains(said) && !sidekey.log().contains("CANARY"), "{}", sidekey.log());
}

#[tokio::test]
async fn previous_password_is_tried_if_the_login_is_rejected() {
    for (format, fields, previous) in [
        (
            "json",
            "fields: { user: svc, password: { file: $DIR/new } }",
            "previous: { password: { file: $DIR/old } }",
        ),
        ("basic", "username: svc, password: { file: $DIR/new }", "previous: { file: $DIR/old }"),
    ] {
        let upstream = MockUpstream::plain().await;
        upstream.respond_with(|request| match request.path() {
            "/login" => {
                let basic = request.header("authorization").unwrap_or_default();
                // svc:old-CANARY
                let is_old = request.text().contains("old-CANARY") || basic == "Basic c3ZjOm9sZC1DQU5BUlk=";
                if is_old {
                    MockResponse::json(&json!({ "token": "session" }))
                } else {
                    MockResponse::status(401)
                }
            }
            _ => MockResponse::ok("ok"),
        });
        let url = upstream.url();
        let service = format!(
            "api: {{ upstream: '{url}/api', auth: {{ type: login, login_url: '{url}/login', login_format: {format}, {fields}, {previous}, \
             session: 'json:/token' }} }}"
        );
        let sidekey = Sidekey::serving(&service)
            .file("new", "new-CANARY")
            .file("old", "old-CANARY")
            .start_ready()
            .await;
        assert_eq!(sidekey.get("/api/x").await.status, 200, "{format}");
        sidekey.logged("the login server accepts the previous values, and not the new ones yet").await;
        assert_eq!(upstream.requests().iter().filter(|request| request.path() == "/login").count(), 2);
        assert!(!sidekey.log().contains("CANARY"));
    }
}
