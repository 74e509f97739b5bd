//! `type: digest` against a scripted server: what Apache and httpbin do not do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ring::digest;

use crate::harness::{MockResponse, MockUpstream, RecordedRequest, Request, Sidekey};

const USER: &str = "J\u{e4}son";
const PASSWORD: &str = "pass\u{e9}-canary";

fn hash(algorithm: &str, text: &str) -> String {
    let algorithm = if algorithm.starts_with("SHA-256") { &digest::SHA256 } else { &digest::SHA512_256 };
    sidekey::secret::hex(digest::digest(algorithm, text.as_bytes()).as_ref())
}

/// A parameter of `Authorization`.
fn parameter(request: &RecordedRequest, name: &str) -> Option<String> {
    let value = request.header("authorization")?.strip_prefix("Digest ")?;
    value.split(", ").find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}

/// Whether the answer is right for this challenge.
fn is_right(request: &RecordedRequest, realm: &str, algorithm: &str) -> bool {
    let get = |name| parameter(request, name).unwrap_or_default();
    let mut key = hash(algorithm, &format!("{USER}:{realm}:{PASSWORD}"));
    if algorithm.ends_with("-sess") {
        key = hash(algorithm, &format!("{key}:{}:{}", get("nonce"), get("cnonce")));
    }
    let target = hash(algorithm, &format!("{}:{}", request.method, request.target));
    let text = format!("{key}:{}:{}:{}:auth:{target}", get("nonce"), get("nc"), get("cnonce"));
    let name = if get("userhash") == "true" {
        get("username") == hash(algorithm, &format!("{USER}:{realm}"))
    } else {
        parameter(request, "username*").as_deref() == Some("UTF-8''J%C3%A4son")
    };
    name && get("uri") == request.target && get("response") == hash(algorithm, &text)
}

fn challenge(realm: &str, nonce: usize, more: &str) -> String {
    format!("Digest realm=\"{realm}\", nonce=\"nonce-{nonce}\", qop=\"auth\", charset=UTF-8{more}")
}

fn unauthorized(challenge: &str) -> MockResponse {
    MockResponse::status(401).header("WWW-Authenticate", challenge).body("no")
}

fn service(upstream: &str, more: &str) -> String {
    format!(
        "api: {{ upstream: '{upstream}/base', auth: {{ type: digest, username: '{USER}', password: '{PASSWORD}'{more} }} }}"
    )
}

#[tokio::test]
async fn digest_answers_each_algorithm_with_and_without_userhash() {
    for algorithm in ["SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"] {
        for userhash in ["", ", userhash=true"] {
            let upstream = MockUpstream::plain().await;
            upstream.respond_with(move |request| {
                if is_right(request, "r", algorithm) {
                    return MockResponse::ok(request.body.clone());
                }
                let weak = challenge("r", 1, "");
                let strong = challenge("r", 2, &format!(", algorithm={algorithm}{userhash}"));
                unauthorized(&format!("Basic realm=\"r\", {weak}, {strong}"))
            });
            let sidekey = Sidekey::serving(&service(&upstream.url(), "")).start_ready().await;
            for target in ["/api/x?b=%20&a", "/api", "/api/?", "/api/a'b;c"] {
                let call = Request::post(sidekey.url(target), "body");
                assert_eq!(call.send().await.text(), "body", "{algorithm}{userhash} {target}");
            }
            let requests = upstream.requests();
            assert_eq!(requests.len(), 5, "one request asks for the challenge");
            assert_eq!(requests[0].header("authorization"), None);
            let counts: Vec<_> =
                requests[1..].iter().map(|request| parameter(request, "nc").unwrap()).collect();
            assert_eq!(counts, ["00000001", "00000002", "00000003", "00000004"]);
            assert!(!sidekey.log().contains(PASSWORD));
        }
    }
}

#[tokio::test]
async fn digest_counts_each_request_of_a_nonce_once() {
    let upstream = MockUpstream::plain().await;
    let seen = Arc::new(Mutex::new(std::collections::HashSet::new()));
    let known = seen.clone();
    upstream.respond_with(move |request| {
        let is_first = known.lock().insert((parameter(request, "nonce"), parameter(request, "nc")));
        if is_right(request, "r", "SHA-256") && is_first {
            MockResponse::ok("ok")
        } else {
            unauthorized(&challenge("r", 1, ", algorithm=SHA-256"))
        }
    });
    let sidekey = Sidekey::serving(&service(&upstream.url(), "")).start_ready().await;
    assert_eq!(sidekey.get("/api/first").await.status, 200);
    let calls = (0..50).map(|number| {
        let url = sidekey.url(&format!("/api/{number}"));
        tokio::spawn(async move { Request::get(url).send().await.status })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(seen.lock().len(), 52, "no count was used twice");
}

#[tokio::test]
async fn digest_renews_nonces_that_the_server_forgets() {
    for stale in [", stale=true", ""] {
        let upstream = MockUpstream::plain().await;
        let nonce = Arc::new(AtomicUsize::new(1));
        let current = nonce.clone();
        upstream.respond_with(move |request| {
            let current = current.load(Ordering::SeqCst);
            let is_current = parameter(request, "nonce") == Some(format!("nonce-{current}"));
            if is_current && is_right(request, "r", "SHA-256") {
                MockResponse::ok("ok")
            } else {
                unauthorized(&challenge("r", current, &format!(", algorithm=SHA-256{stale}")))
            }
        });
        let sidekey = Sidekey::serving(&service(&upstream.url(), "")).start_ready().await;
        for _ in 0..3 {
            assert_eq!(sidekey.get("/api/a").await.status, 200);
            assert_eq!(sidekey.get("/api/b").await.status, 200);
            nonce.fetch_add(1, Ordering::SeqCst);
        }
        assert_eq!(upstream.request_count(), 9, "one more for each nonce");
    }
}

#[tokio::test]
async fn digest_sends_a_request_twice_at_most_for_ever_new_nonces() {
    let upstream = MockUpstream::plain().await;
    let nonce = AtomicUsize::new(1);
    upstream.respond_with(move |_| {
        let nonce = nonce.fetch_add(1, Ordering::SeqCst);
        unauthorized(&challenge("r", nonce, ", algorithm=SHA-256, stale=true"))
    });
    let sidekey = Sidekey::serving(&service(&upstream.url(), "")).start_ready().await;
    for count in [2, 4, 6] {
        assert_eq!(sidekey.get("/api/a").await.status, 401);
        assert_eq!(upstream.request_count(), count);
    }
}

#[tokio::test]
async fn digest_answers_no_other_realm_and_no_weaker_hash() {
    for (more, refused, reason) in [
        (", realm: mine", challenge("other", 1, ", algorithm=SHA-256"), "realm"),
        (", algorithms: [sha-256]", challenge("r", 1, ""), "algorithms"),
        ("", challenge("r", 1, ", algorithm=SHA-1"), "not supported"),
        ("", "Digest realm=\"r\", qop=\"auth\"".to_owned(), "malformed"),
        ("", format!("Digest realm=\"r\", nonce=\"{}\"", "n".repeat(3000)), "malformed"),
        ("", "Basic realm=\"r\"".to_owned(), "another scheme"),
    ] {
        let upstream = MockUpstream::plain().await;
        upstream.always(unauthorized(&refused));
        let sidekey = Sidekey::serving(&service(&upstream.url(), more)).start_ready().await;
        for _ in 0..2 {
            assert_eq!(sidekey.get("/api/a").await.status, 401);
        }
        let requests = upstream.requests();
        assert_eq!(requests.len(), 2, "{refused}");
        assert!(requests.iter().all(|request| request.header("authorization").is_none()), "{refused}");
        let event = sidekey.logged_like("the upstream's challenge cannot be answered").await;
        assert!(event["reason"].as_str().unwrap().contains(reason), "{event}");
        let lines = sidekey.log().matches("the upstream's challenge cannot be answered").count();
        assert_eq!(lines, 1, "logged once for a row of them");
    }
}

#[tokio::test]
async fn digest_asks_for_the_challenge_before_a_large_body() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(|request| {
        if is_right(request, "r", "SHA-256") {
            MockResponse::ok(request.body.len().to_string())
        } else {
            unauthorized(&challenge("r", 1, ", algorithm=SHA-256"))
        }
    });
    let sidekey = Sidekey::serving(&service(&upstream.url(), "")).start_ready().await;
    let upload = || Request::post(sidekey.url("/api/a?b"), "x".repeat(200_000)).header("X-Own", "1");
    assert_eq!(upload().send().await.text(), "200000");
    assert_eq!(upload().chunked(10_000).send().await.text(), "200000");
    let seen = upstream.requests();
    let sent: Vec<_> = seen.iter().map(|request| (request.method.as_str(), request.body.len())).collect();
    assert_eq!(sent, [("HEAD", 0), ("POST", 200_000), ("POST", 200_000)], "the nonce is fresh");
    assert_eq!(
        (seen[0].target.as_str(), seen[0].header("authorization"), seen[0].header("x-own")),
        ("/base/a?b", None, None)
    );
}

/// A server that answers a HEAD in this way, and any other request as Digest requires if `is_protected`.
async fn answering_head_with(head: MockResponse, is_protected: bool) -> MockUpstream {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(move |request| {
        if request.method == "HEAD" {
            return head.clone();
        }
        if is_protected && !is_right(request, "r", "SHA-256") {
            return unauthorized(&challenge("r", 1, ", algorithm=SHA-256"));
        }
        MockResponse::ok(request.body.len().to_string())
    });
    upstream
}

fn sent(upstream: &MockUpstream) -> Vec<(String, usize)> {
    upstream.requests().iter().map(|request| (request.method.clone(), request.body.len())).collect()
}

#[tokio::test]
async fn digest_sends_a_large_body_once_if_a_head_has_no_challenge() {
    for head in [
        MockResponse::status(200),
        MockResponse::status(405),
        MockResponse::status(302).header("Location", "/login"),
        MockResponse::close_unanswered(),
        MockResponse::never(),
    ] {
        for (is_protected, status) in [(false, 200), (true, 401)] {
            let upstream = answering_head_with(head.clone(), is_protected).await;
            let sidekey = Sidekey::serving(&service(&upstream.url(), "")).start_ready().await;
            let upload = || Request::post(sidekey.url("/api/a"), "x".repeat(200_000));
            let began = Instant::now();
            assert_eq!(upload().send().await.status, status);
            // Less than `timeouts.first_byte`, which is a minute.
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
            let expected = [("HEAD".to_owned(), 0), ("POST".to_owned(), 200_000)];
            assert_eq!(sent(&upstream), expected, "{is_protected}");
            if is_protected {
                // The answer to the request had the challenge.
                assert_eq!(upload().send().await.text(), "200000");
                assert_eq!(sent(&upstream).len(), 3);
            }
        }
    }
}

#[tokio::test]
async fn digest_asks_again_if_an_idle_connection_is_closed() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(|request| {
        if request.method == "GET" {
            MockResponse::ok("ok")
        } else if is_right(request, "r", "SHA-256") {
            MockResponse::ok(request.body.len().to_string())
        } else {
            unauthorized(&challenge("r", 1, ", algorithm=SHA-256"))
        }
    });
    let sidekey = Sidekey::serving(&service(&upstream.url(), "")).start_ready().await;
    assert_eq!(sidekey.get("/api/a").await.status, 200);
    // The connection is closed instead of an answer.
    upstream.next(MockResponse::close_unanswered());
    let upload = Request::post(sidekey.url("/api/a"), "x".repeat(200_000));
    assert_eq!(upload.send().await.text(), "200000");
    let methods: Vec<_> = sent(&upstream).into_iter().map(|(method, _)| method).collect();
    assert_eq!(methods, ["GET", "HEAD", "HEAD", "POST"]);
}

#[tokio::test]
async fn digest_asks_for_no_challenge_that_rules_or_settings_exclude() {
    for more in [", allow: [POST /**]", ", retry_on_401: false"] {
        let upstream = MockUpstream::plain().await;
        upstream.respond_with(|request| {
            if is_right(request, "r", "SHA-256") {
                MockResponse::ok("ok")
            } else {
                unauthorized(&challenge("r", 1, ", algorithm=SHA-256"))
            }
        });
        let services = service(&upstream.url(), "").replace(" } }", &format!(" }}{more} }}"));
        let sidekey = Sidekey::serving(&services).start_ready().await;
        let upload = || Request::post(sidekey.url("/api/a"), "x".repeat(200_000));
        assert_eq!(upload().send().await.status, 401, "{more}: its body is gone");
        assert!(upstream.requests().iter().all(|request| request.method == "POST"), "{more}");
    }
}

#[tokio::test]
async fn digest_repeats_a_body_that_comes_after_the_401() {
    let (upstream, other) = (MockUpstream::plain().await, MockUpstream::plain().await);
    // As Apache, which does not wait for the body.
    upstream.next(unauthorized(&challenge("r", 1, ", algorithm=SHA-256")).early());
    upstream.respond_with(|request| {
        let is_right = is_right(request, "r", "SHA-256");
        if is_right { MockResponse::ok(request.body.clone()) } else { MockResponse::status(500) }
    });
    let services = format!(
        "{}\nother: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}",
        service(&upstream.url(), ""),
        other.url()
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    let mut connection = sidekey.connect().await;
    let head = format!("POST /api/a HTTP/1.1\r\nHost: {}\r\nContent-Length: 4\r\n\r\n", sidekey.address());
    connection.send(head).await;
    for _ in 0..5 {
        assert_eq!(sidekey.get("/other/x").await.status, 200, "the head has arrived meanwhile");
    }
    connection.send("late").await;
    assert_eq!(connection.response().await.text(), "late");
}

#[tokio::test]
async fn digest_password_file_is_followed() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(|request| {
        let is_right = is_right(request, "r", "SHA-256");
        if is_right {
            MockResponse::ok("ok")
        } else {
            unauthorized(&challenge("r", 1, ", algorithm=SHA-256"))
        }
    });
    let services = service(&upstream.url(), "").replace(&format!("'{PASSWORD}'"), "{ file: $DIR/password }");
    let sidekey = Sidekey::serving(&services).file("password", "wrong").start_ready().await;
    assert_eq!(sidekey.get("/api/a").await.status, 401);
    sidekey.write("password", PASSWORD);
    sidekey.reload().await;
    assert_eq!(sidekey.get("/api/a").await.status, 200);
}
