//! `refresh_on`: responses beside a 401 after which the credential is renewed and the request sent again.

use std::time::Duration;

use crate::harness::{
    Gate, MockHttp2Upstream, MockResponse, MockTokenEndpoint, MockUpstream, Request, Sidekey,
};
use crate::suite::oauth2::setup::service;

/// A service with these rules, and a token that may be renewed at any time.
fn ruled(upstream: &MockUpstream, endpoint: &MockTokenEndpoint, rules: &str) -> String {
    let more = format!("refresh_on: {rules},");
    service("api", upstream, endpoint, "token_request: { min_interval: 1ms },", &more)
}

struct Ruled {
    upstream: MockUpstream,
    endpoint: MockTokenEndpoint,
    sidekey: Sidekey,
}

impl Ruled {
    async fn start(rules: &str) -> Self {
        let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
        let sidekey = Sidekey::serving(&ruled(&upstream, &endpoint, rules)).start_ready().await;
        Self { upstream, endpoint, sidekey }
    }

    /// Asserts that a request which is answered so, and then with 200, is sent again with a new token.
    async fn renews(&self, answer: MockResponse, what: &str) {
        let (tokens, requests) = (self.endpoint.issued().len(), self.upstream.request_count());
        self.upstream.next(answer);
        pass_min_interval().await;
        assert_eq!(self.sidekey.get("/api/x").await.status, 200, "{what}");
        assert_eq!(self.upstream.request_count(), requests + 2, "{what}");
        assert_eq!(self.endpoint.issued().len(), tokens + 1, "{what}");
        let token = self.endpoint.issued().pop().unwrap();
        assert_eq!(
            self.upstream.last_request().header("authorization"),
            Some(format!("Bearer {token}").as_str())
        );
    }

    /// Asserts that an answer is passed on, byte for byte, and that nothing is renewed.
    async fn passes(&self, answer: MockResponse, status: u16, body: &[u8], what: &str) {
        let (tokens, requests) = (self.endpoint.issued().len(), self.upstream.request_count());
        self.upstream.next(answer);
        let response = self.sidekey.get("/api/x").await;
        assert_eq!(response.status, status, "{what}");
        assert_eq!(response.body, body, "{what}");
        assert_eq!(self.upstream.request_count(), requests + 1, "{what}");
        assert_eq!(self.endpoint.issued().len(), tokens, "{what}");
    }
}

/// Waits until the last token may be renewed.
async fn pass_min_interval() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

fn text(status: u16, body: &str) -> MockResponse {
    MockResponse::status(status).header("Content-Type", "application/json").body(body.as_bytes().to_vec())
}

#[tokio::test]
async fn status_of_a_rule_renews_and_others_do_not() {
    let ruled = Ruled::start("{ status: 403 }").await;
    ruled.renews(text(403, "no"), "403").await;
    ruled.passes(text(404, "none"), 404, b"none", "404").await;
    // 401 renews as ever.
    ruled.renews(text(401, "no"), "401").await;
}

#[tokio::test]
async fn code_in_the_body_renews_and_other_bodies_pass_whole() {
    let ruled =
        Ruled::start("[{ status: 403, code: ExpiredToken }, { status: 200, code: token_revoked }]").await;
    let expired = r#"{"reason":"ExpiredToken"}"#;
    ruled.renews(text(403, expired), "with a length").await;
    ruled.renews(text(403, expired).chunked(3), "in chunks").await;
    ruled.renews(text(403, expired).until_closed(), "until the end of the connection").await;
    ruled.renews(text(200, r#"{"ok":false,"error":"token_revoked"}"#), "an error with 200").await;
    let late = format!("{}{expired}", "x".repeat(50_000));
    ruled.renews(text(403, &late), "in the part that is searched").await;
    let beyond = format!("{}{expired}", "x".repeat(70_000));
    ruled.passes(text(403, &beyond), 403, beyond.as_bytes(), "beyond what is searched").await;
    ruled.passes(text(403, &beyond).chunked(999), 403, beyond.as_bytes(), "beyond, in chunks").await;
    let other = r#"{"reason":"ExpiredTokenOfDevice"}"#;
    ruled.passes(text(403, other).chunked(5), 403, other.as_bytes(), "another word").await;
    ruled.passes(text(400, expired), 400, expired.as_bytes(), "another status").await;
    ruled.passes(text(403, ""), 403, b"", "no body").await;
    let image =
        MockResponse::status(403).header("Content-Type", "image/png").body(expired.as_bytes().to_vec());
    ruled.passes(image, 403, expired.as_bytes(), "no text").await;
    let coded = text(403, expired).header("Content-Encoding", "br");
    ruled.passes(coded, 403, expired.as_bytes(), "compressed").await;
    assert_eq!(ruled.upstream.last_request().header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn redirect_to_the_login_page_renews_and_others_pass() {
    let ruled = Ruled::start("{ redirect: /login }").await;
    let to = |status, location: &str| MockResponse::status(status).header("Location", location);
    ruled.renews(to(302, "/login?next=%2Fx"), "302").await;
    ruled.renews(to(303, "https://sso.example.com/login"), "another host").await;
    ruled.passes(to(302, "/logins"), 302, b"", "another page").await;
    ruled.passes(to(201, "/login"), 201, b"", "no redirect").await;
}

#[tokio::test]
async fn rejection_is_answered_by_one_attempt_and_then_passed_on() {
    let ruled = Ruled::start("{ status: 403, code: ExpiredToken }").await;
    ruled.upstream.always(text(403, "ExpiredToken"));
    let response = ruled.sidekey.get("/api/x").await;
    assert_eq!((response.status, response.body.as_slice()), (403, &b"ExpiredToken"[..]));
    assert_eq!((ruled.upstream.request_count(), ruled.endpoint.issued().len()), (2, 2));
    let retries = [("service", "api"), ("reason", "unauthorized"), ("result", "unauthorized")];
    assert_eq!(ruled.sidekey.metric("sidekey_upstream_retries_total", &retries).await, Some(1.0));
}

#[tokio::test]
async fn body_that_is_not_held_is_not_sent_again_and_the_next_request_is_right() {
    let ruled = Ruled::start("{ status: 403 }").await;
    ruled.upstream.next(text(403, "no"));
    let large = Request::post(ruled.sidekey.url("/api/x"), "y".repeat(300_000));
    assert_eq!(large.send().await.status, 403);
    ruled.endpoint.received(2).await;
    pass_min_interval().await;
    let small = Request::post(ruled.sidekey.url("/api/x"), "z".repeat(30_000));
    ruled.upstream.next(text(403, "no"));
    assert_eq!(small.send().await.status, 200);
    assert_eq!(ruled.upstream.last_request().body.len(), 30_000);
}

#[tokio::test]
async fn malformed_body_that_is_searched_is_an_error_of_the_upstream() {
    let ruled = Ruled::start("{ status: 200, code: Expired }").await;
    let answer = |rest: &str| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        MockResponse::raw(format!("{head}{rest}"))
    };
    ruled.upstream.next(answer("ZZ\r\n{}\r\n0\r\n\r\n"));
    let response = ruled.sidekey.get("/api/x").await;
    assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")));
    // What passes without rules passes with them (RFC 9112 §5.1).
    ruled.passes(answer("2\r\n{}\r\n0\r\nX-Sum : 1\r\n\r\n"), 200, b"{}", "a space before a colon").await;
}

#[tokio::test]
async fn stream_of_events_is_not_held() {
    let ruled = Ruled::start("{ status: 200, code: token_revoked }").await;
    let gate = Gate::closed();
    let events = MockResponse::status(200)
        .header("Content-Type", "text/event-stream")
        .body("data: 1\n\ndata: 2\n\n")
        .chunked(9)
        .body_held_at(14, &gate);
    ruled.upstream.next(events);
    let mut connection = ruled.sidekey.connect().await;
    let head = format!("GET /api/x HTTP/1.1\r\nHost: {}\r\n\r\n", ruled.sidekey.address());
    connection.send(head).await;
    assert_eq!(connection.head().await.0, 200, "while the first event is all there is");
    gate.open();
    let rest = String::from_utf8(connection.bytes(2 * 14 + 5).await).unwrap();
    assert_eq!(rest.matches("data: ").count(), 2, "{rest}");
}

#[tokio::test]
async fn minted_token_is_not_renewed_before_its_minimum() {
    let upstream = MockUpstream::plain().await;
    let services = format!(
        "api: {{ upstream: '{}', refresh_on: [{{ status: 403, code: ExpiredProviderToken }}], \
         auth: {{ type: jwt, secret: hs-canary, claims: {{ iss: TEAM }}, lifetime: 1h, expiry_claim: false, reuse: {{ min: 20m, max: 55m }} }} }}\n",
        upstream.url()
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    upstream.always(text(403, r#"{"reason":"ExpiredProviderToken"}"#));
    for expected in [2, 3] {
        assert_eq!(sidekey.get("/api/x").await.status, 403);
        assert_eq!(upstream.request_count(), expected, "one renewal in 20 minutes");
    }
}

#[tokio::test]
async fn previous_secret_is_tried_after_a_rejection_by_rule() {
    let upstream = MockUpstream::plain().await;
    let services = format!(
        "api: {{ upstream: '{}', refresh_on: {{ status: 403 }}, auth: {{ type: bearer, token: new-one, previous: old-one }} }}\n",
        upstream.url()
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    upstream.respond_with(|request| match request.header("authorization") {
        Some("Bearer old-one") => MockResponse::status(200),
        _ => MockResponse::status(403),
    });
    for _ in 0..3 {
        assert_eq!(sidekey.get("/api/x").await.status, 200);
    }
    assert_eq!(upstream.request_count(), 4, "the previous one stays in use");
}

#[tokio::test]
async fn rule_holds_for_http2_on_both_sides() {
    let (upstream, endpoint) = (MockHttp2Upstream::plain().await, MockTokenEndpoint::plain().await);
    let services = format!(
        "api: {{ upstream: '{}', protocol: http2, refresh_on: {{ status: 403, code: ExpiredToken }}, auth: {{ type: oauth2, \
         grant_type: client_credentials, token_url: '{}', client_id: me, client_secret: s3cret }} }}\n",
        upstream.url(),
        endpoint.url()
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    let first = endpoint.issued().pop().unwrap();
    upstream.guarded(move |token| token != first);
    upstream.rejecting_with(403, "ExpiredToken");
    let response = Request::get(sidekey.url("/api/x")).over_http2().send().await;
    assert_eq!(response.status, 200);
    assert_eq!((upstream.requests().len(), endpoint.issued().len()), (2, 2));
}

#[tokio::test]
async fn previous_secret_is_not_accepted_by_a_rejection_by_rule() {
    let upstream = MockUpstream::plain().await;
    let services = format!(
        "api: {{ upstream: '{}', refresh_on: {{ status: 403 }}, auth: {{ type: bearer, token: new-one, previous: old-one }} }}\n",
        upstream.url()
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    upstream.always(MockResponse::status(403));
    assert_eq!(sidekey.get("/api/x").await.status, 403);
    assert_eq!(upstream.request_count(), 2);
    let in_use = sidekey.metric("sidekey_previous_credential_in_use", &[("service", "api")]).await;
    assert_eq!(in_use, Some(0.0), "both were rejected");
}
