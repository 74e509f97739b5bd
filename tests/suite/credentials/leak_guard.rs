//! `leak_guard`: a response that repeats the credential does not give it to the caller.

use crate::harness::{MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Request, Sidekey};
use crate::suite::http::setup::{RawServer, Wire};

const SECRET: &str = "cAn4ry.9f3e/x+y";

/// A service of each kind, with the text that it sends.
fn services(upstream: &str, endpoint: &str) -> String {
    format!(
        "bearer: {{ upstream: '{upstream}', auth: {{ type: bearer, token: {SECRET} }} }}
basic: {{ upstream: '{upstream}', auth: {{ type: basic, username: user, password: {SECRET} }} }}
key: {{ upstream: '{upstream}', auth: {{ type: api_key, name: X-Key, value: {SECRET} }} }}
cookie: {{ upstream: '{upstream}', auth: {{ type: api_key, in: cookie, name: sid, value: {SECRET} }} }}
header: {{ upstream: '{upstream}', auth: {{ type: header, headers: {{ X-Key: {{ env: LEAKED }}, X-Version: 2023-06-01 }} }} }}
oauth2: {{ upstream: '{upstream}', auth: {{ type: oauth2, grant_type: client_credentials, token_url: '{endpoint}', client_id: a, \
         client_secret: b }} }}
off: {{ upstream: '{upstream}', leak_guard: off, auth: {{ type: bearer, token: {SECRET} }} }}
"
    )
}

/// Answers with the credential of the request in a field.
fn echo(request: &crate::harness::RecordedRequest) -> MockResponse {
    let sent =
        ["authorization", "x-key", "cookie"].into_iter().find_map(|name| request.header(name)).unwrap();
    MockResponse::status(401)
        .header("WWW-Authenticate", &format!("Bearer realm=\"you sent {sent}\""))
        .header("X-Sent", sent)
        .header("X-Version", "2023-06-01")
}

#[tokio::test]
async fn credential_of_every_kind_is_masked_in_the_head_of_a_response() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(echo);
    let endpoint = MockTokenEndpoint::plain().await;
    endpoint.always(MockTokenResponse::json(
        &serde_json::json!({ "access_token": SECRET, "token_type": "Bearer", "expires_in": 3600 }),
    ));
    let services = services(&upstream.url(), &endpoint.url());
    let sidekey = Sidekey::serving(&services).env("LEAKED", SECRET).start_ready().await;
    for (service, count) in
        [("bearer", 2.0), ("basic", 2.0), ("key", 2.0), ("cookie", 2.0), ("header", 2.0), ("oauth2", 2.0)]
    {
        for over_http2 in [false, true] {
            let request = Request::get(sidekey.url(&format!("/{service}/x")));
            let response = if over_http2 { request.over_http2() } else { request }.send().await;
            let sent = upstream.last_request();
            let secret =
                ["authorization", "x-key", "cookie"].into_iter().find_map(|name| sent.header(name)).unwrap();
            let secret =
                secret.trim_start_matches("Bearer ").trim_start_matches("Basic ").trim_start_matches("sid=");
            for name in ["www-authenticate", "x-sent"] {
                let value = response.header(name).unwrap();
                assert!(!value.contains(secret) && value.contains("********"), "{service}: {name}: {value}");
            }
            assert_eq!(response.header("x-version"), Some("2023-06-01"), "a fixed value is no secret");
        }
        let redacted = sidekey.metric("sidekey_response_redactions_total", &[("service", service)]).await;
        assert!(redacted >= Some(2.0 * count), "{service}: {redacted:?}");
    }
    let logged = sidekey.events();
    let warnings = logged.iter().filter(|event| event.to_string().contains("repeats the credential"));
    assert_eq!(warnings.count(), 6, "one line for each service, however many responses");
    let response = sidekey.get("/off/x").await;
    assert_eq!(response.header("x-sent"), Some(format!("Bearer {SECRET}").as_str()));
}

#[tokio::test]
async fn credential_is_masked_in_trailers_and_interim_responses() {
    let server = RawServer::new().await;
    let service =
        format!("api: {{ upstream: '{}', auth: {{ type: bearer, token: {SECRET} }} }}", server.url());
    let sidekey = Sidekey::serving(&service).start().await;
    for pieces in [1, 2] {
        let mut client = sidekey.connect().await;
        client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\n\r\n").await;
        let (mut wire, _) = server.accept_request().await;
        wire.send(&format!("HTTP/1.1 103 Early Hints\r\nX-Hint: {SECRET}\r\n\r\n")).await;
        let (status, fields) = client.head().await;
        assert_eq!((status, fields.first("x-hint")), (103, Some("*".repeat(SECRET.len()).as_str())));
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n").await;
        assert_eq!(client.head().await.0, 200);
        let trailers = format!("5\r\nhello\r\n0\r\nX-Sum: {SECRET}\r\n\r\n");
        let half = trailers.len() - SECRET.len();
        if pieces == 1 {
            wire.send(&trailers).await;
        } else {
            wire.send(&trailers[..half]).await;
            wire.send(&trailers[half..]).await;
        }
        let masked = trailers.replace(SECRET, &"*".repeat(SECRET.len()));
        assert_eq!(String::from_utf8(client.bytes(masked.len()).await).unwrap(), masked);
    }
}

/// A request that the upstream answers late: the token that it was sent with has been replaced, and is still valid.
#[tokio::test]
async fn token_that_was_replaced_before_the_response_is_masked() {
    let (server, endpoint) = (RawServer::new().await, MockTokenEndpoint::plain().await);
    let service = format!(
        "api: {{ upstream: '{}', leak_guard: body, auth: {{ type: oauth2, grant_type: client_credentials, token_url: '{}', \
         client_id: a, client_secret: b, token_request: {{ min_interval: 1ms }} }} }}",
        server.url(),
        endpoint.url()
    );
    let token = |token: &str| {
        MockTokenResponse::json(
            &serde_json::json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }),
        )
    };
    let (first, second) = ("cAn4ry.0ne/x+y", "cAn4ry.tw0/x+y");
    endpoint.next(token(first));
    endpoint.always(token(second));
    let sidekey = Sidekey::serving(&service).start_ready().await;
    let get = "GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: TE, close\r\nTE: trailers\r\n\r\n";
    let mut late = Wire::to(&sidekey).await;
    late.send(get).await;
    let (mut late_wire, head) = server.accept_request().await;
    assert!(head.contains(first), "{head}");
    // Another request gets a 401, so that the token is replaced.
    let mut other = sidekey.connect().await;
    other.send(get).await;
    let (mut wire, _) = server.accept_request().await;
    wire.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
    let head = wire.until("\r\n\r\n").await;
    assert!(head.contains(second), "{head}");
    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(other.head().await.0, 200);
    let head = format!(
        "HTTP/1.1 200 OK\r\nX-Sent: {first}\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let body = format!("{:x}\r\n{first}\r\n0\r\nX-Sum: {first}\r\n\r\n", first.len());
    late_wire.send(&head).await;
    late_wire.send(&body).await;
    let received = late.until("\r\n\r\n").await + &late.until("\r\n\r\n").await;
    assert!(!received.contains(first), "{received}");
    assert_eq!(received.matches(&"*".repeat(first.len())).count(), 3, "{received}");
}
