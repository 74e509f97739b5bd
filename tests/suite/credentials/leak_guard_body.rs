//! `leak_guard: body`: a text that repeats the credential does not give it to the caller.

use crate::harness::{
    MockHttp2Upstream, MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, RecordedRequest,
    Request, Sidekey,
};
use crate::suite::http::setup::{RawServer, Wire, said};

const SECRET: &str = "cAn4ry.9f3e/x+y";
/// How many bytes of a body are searched.
const SEARCHED: usize = 64 * 1024;

fn bearer(url: &str) -> String {
    format!("api: {{ upstream: '{url}', leak_guard: body, auth: {{ type: bearer, token: {SECRET} }} }}")
}

/// Asterisks in the place of a text.
fn masked(text: &str, secret: &str) -> String {
    text.replace(secret, &"*".repeat(secret.len()))
}

/// What was sent as the credential, without the name of a scheme.
fn sent(request: &RecordedRequest) -> String {
    let names = ["authorization", "x-key", "cookie"];
    let sent = names.into_iter().find_map(|name| request.header(name)).unwrap_or(&request.target);
    let prefixes = ["Bearer ", "Basic ", "sid=", "/x?key="];
    prefixes.into_iter().find_map(|prefix| sent.strip_prefix(prefix)).unwrap_or(sent).to_owned()
}

#[tokio::test]
async fn credential_of_every_kind_is_masked_in_a_body() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(|request| {
        let body = serde_json::json!({ "you": "sent", "value": sent(request), "n": 1 }).to_string();
        MockResponse::status(200).header("Content-Type", "application/json; charset=utf-8").body(body)
    });
    let endpoint = MockTokenEndpoint::plain().await;
    endpoint.always(MockTokenResponse::json(
        &serde_json::json!({ "access_token": SECRET, "token_type": "Bearer", "expires_in": 3600 }),
    ));
    let (up, to) = (upstream.url(), endpoint.url());
    let services = format!(
        "bearer: {{ upstream: '{up}', leak_guard: body, auth: {{ type: bearer, token: {SECRET} }} }}
basic: {{ upstream: '{up}', leak_guard: body, auth: {{ type: basic, username: user, password: {SECRET} }} }}
key: {{ upstream: '{up}', leak_guard: body, auth: {{ type: api_key, name: X-Key, value: {SECRET} }} }}
query: {{ upstream: '{up}', leak_guard: body, auth: {{ type: api_key, in: query, name: key, value: {SECRET} }} }}
cookie: {{ upstream: '{up}', leak_guard: body, auth: {{ type: api_key, in: cookie, name: sid, value: {SECRET} }} }}
header: {{ upstream: '{up}', leak_guard: body, auth: {{ type: header, headers: {{ X-Key: {{ env: LEAKED }} }} }} }}
oauth2: {{ upstream: '{up}', leak_guard: body, auth: {{ type: oauth2, grant_type: client_credentials, token_url: '{to}', client_id: a, \
         client_secret: b }} }}
headers: {{ upstream: '{up}', leak_guard: headers, auth: {{ type: bearer, token: {SECRET} }} }}
"
    );
    let sidekey = Sidekey::serving(&services).env("LEAKED", SECRET).start_ready().await;
    for service in ["bearer", "basic", "key", "query", "cookie", "header", "oauth2"] {
        for over_http2 in [false, true] {
            let request = Request::get(sidekey.url(&format!("/{service}/x")));
            let response = if over_http2 { request.over_http2() } else { request }.send().await;
            let secret = sent(&upstream.last_request());
            assert!(secret.len() >= SECRET.len(), "{service}: {secret}");
            let value = response.json()["value"].as_str().unwrap().to_owned();
            assert_eq!(value, "*".repeat(secret.len()), "{service}");
            assert_eq!(response.json()["n"], 1);
        }
        let redacted = sidekey.metric("sidekey_response_redactions_total", &[("service", service)]).await;
        assert_eq!(redacted, Some(2.0), "{service}");
    }
    let logged = sidekey.events();
    let warnings = logged.iter().filter(|event| event.to_string().contains("in the body of its response"));
    assert_eq!(warnings.count(), 7, "one line for each service, however many responses");
    assert!(!sidekey.log().contains(SECRET));
    assert_eq!(sidekey.get("/headers/x").await.json()["value"], SECRET, "bodies pass by default");
}

#[tokio::test]
async fn credential_is_masked_in_every_framing_wherever_it_is_split() {
    let server = RawServer::new().await;
    let sidekey = Sidekey::serving(&bearer(&server.url())).start().await;
    let body = format!("{{\"sent\": \"{SECRET}\", \"after\": 1}}");
    let (length, expected) = (body.len(), masked(&body, SECRET));
    let begin = body.find(SECRET).unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let chunk = |text: &str| format!("{:x};ext=1\r\n{text}\r\n", text.len());
    // Before, within and behind the credential.
    for at in [begin, begin + 1, begin + 7, begin + SECRET.len() - 1, begin + SECRET.len()] {
        let (first, second) = body.split_at(at);
        for framing in ["length", "chunked", "close", "http10"] {
            let mut client = Wire::to(&sidekey).await;
            let version = if framing == "http10" { "1.0" } else { "1.1" };
            client
                .send(format!("GET /api/x HTTP/{version}\r\nHost: localhost\r\nTE: trailers\r\n\r\n"))
                .await;
            let (mut wire, _) = server.accept_request().await;
            let (fields, parts) = match framing {
                "length" => (format!("Content-Length: {length}\r\n"), [first.to_owned(), second.to_owned()]),
                "close" => (String::new(), [first.to_owned(), second.to_owned()]),
                _ => (
                    "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n".to_owned(),
                    [chunk(first), format!("{}0\r\nX-Sum: {SECRET}\r\n\r\n", chunk(second))],
                ),
            };
            wire.send(format!("{head}{fields}\r\n{}", parts[0])).await;
            assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
            // What is certain not to be the credential comes before the rest was sent.
            let sure = client.until(&body[..begin.min(at)]).await;
            wire.send(&parts[1]).await;
            if framing == "close" {
                drop(wire);
            }
            let received = match framing {
                "length" => sure + &client.until("}").await,
                "http10" => sure + &client.rest().await,
                _ => dechunked(&(sure + &client.until("\r\n\r\n").await), framing == "chunked"),
            };
            assert_eq!(received, expected, "{framing}, split at {at}");
        }
    }
}

/// The content of a chunked body. The credential must be masked in the trailers.
fn dechunked(body: &str, has_trailers: bool) -> String {
    let (mut content, mut rest) = (String::new(), body);
    loop {
        let (size, after) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("{body:?}"));
        if size == 0 {
            let trailers =
                if has_trailers { format!("X-Sum: {}\r\n", "*".repeat(SECRET.len())) } else { String::new() };
            assert_eq!(after, format!("{trailers}\r\n"));
            return content;
        }
        content.push_str(&after[..size]);
        rest = after[size..].strip_prefix("\r\n").unwrap();
    }
}

#[tokio::test]
async fn body_of_an_http2_upstream_is_masked_across_frames() {
    let upstream = MockHttp2Upstream::plain().await;
    let service = format!(
        "api: {{ upstream: '{}', protocol: http2, leak_guard: body, auth: {{ type: bearer, token: {SECRET} }} }}",
        upstream.url()
    );
    let sidekey = Sidekey::serving(&service).start().await;
    let body = format!("<p>{SECRET}</p>");
    for over_http2 in [false, true] {
        let request = Request::post(sidekey.url("/api/echo"), body.as_str()).chunked(5);
        let response = if over_http2 { request.over_http2() } else { request }.send().await;
        assert_eq!(response.text(), masked(&body, SECRET));
    }
    // The upstream sends back each part as it comes.
    let mut client = Wire::to(&sidekey).await;
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let (first, second) = body.split_at(8);
    let head = "POST /api/echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}{}", chunk(first))).await;
    client.until("\r\n\r\n").await;
    let sure = client.until("<p>").await;
    client.send(format!("{}0\r\n\r\n", chunk(second))).await;
    assert_eq!(dechunked(&(sure + &client.until("0\r\n\r\n").await), false), masked(&body, SECRET));
}

#[tokio::test]
async fn credential_that_begins_in_the_first_64_kib_is_masked() {
    let upstream = MockUpstream::plain().await;
    let services = bearer(&upstream.url());
    let sidekey = Sidekey::serving(&services).start().await;
    for (before, is_masked) in [(0, true), (SEARCHED - 1, true), (SEARCHED, false), (3 * SEARCHED, false)] {
        let body = format!("{}{SECRET}{}", "x".repeat(before), "y".repeat(200_000));
        upstream.next(MockResponse::status(200).header("Content-Type", "text/plain").body(body.clone()));
        let response = sidekey.get("/api/x").await;
        let expected = if is_masked { masked(&body, SECRET) } else { body };
        assert!(response.text() == expected, "{before} bytes before it");
    }
}

#[tokio::test]
async fn answers_that_are_no_text_pass_and_compressed_texts_are_counted() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::serving(&bearer(&upstream.url())).start().await;
    let count =
        async || sidekey.metric("sidekey_response_bodies_unsearched_total", &[("service", "api")]).await;
    for content_type in ["application/octet-stream", "image/png", "application/grpc"] {
        upstream.next(MockResponse::status(200).header("Content-Type", content_type).body(SECRET));
        assert_eq!(sidekey.get("/api/x").await.text(), SECRET, "{content_type}");
    }
    assert_eq!(count().await, None);
    let text = MockResponse::status(200).header("Content-Type", "text/plain");
    upstream.next(text.clone().header("Content-Encoding", "gzip").body(SECRET));
    let response = Request::get(sidekey.url("/api/x")).header("Accept-Encoding", "gzip, br").send().await;
    assert_eq!(response.text(), SECRET);
    let head = upstream.last_request();
    assert_eq!(head.header("accept-encoding"), Some("identity"), "texts are asked for as they are");
    assert_eq!(count().await, Some(1.0));
    said(&sidekey, "was not searched for the credential").await;
    upstream.next(MockResponse::status(200).body(SECRET));
    assert_eq!(sidekey.get("/api/x").await.text(), "*".repeat(SECRET.len()), "a recipient guesses the type");
}

#[tokio::test]
async fn events_of_a_stream_pass_at_once() {
    let server = RawServer::new().await;
    let sidekey = Sidekey::serving(&bearer(&server.url())).start().await;
    let mut client = Wire::to(&sidekey).await;
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (mut wire, _) = server.accept_request().await;
    wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000000\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    for number in 0..5 {
        let event = format!("data: {number} {SECRET}\n\n");
        wire.send(&event).await;
        assert_eq!(client.until("\n\n").await, masked(&event, SECRET));
    }
}

#[tokio::test]
async fn text_that_ends_too_early_is_aborted() {
    let server = RawServer::new().await;
    let sidekey = Sidekey::serving(&bearer(&server.url())).start().await;
    for (framing, body) in
        [("Content-Length: 100", "half cAn4ry.9"), ("Transfer-Encoding: chunked", "5\r\ncAn4r\r\n")]
    {
        let mut client = Wire::to(&sidekey).await;
        client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let (mut wire, _) = server.accept_request().await;
        wire.send(&format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{framing}\r\n\r\n{body}")).await;
        client.until("\r\n\r\n").await;
        drop(wire);
        let rest = client.rest().await;
        assert!(!rest.contains("0\r\n\r\n") && !rest.contains("cAn4r"), "{framing}: {rest:?}");
    }
}
