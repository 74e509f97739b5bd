//! WebSocket for HTTP/2 callers (RFC 8441): a stream downstream, the upgrade of RFC 6455 upstream.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use h2::Reason;
use h2::ext::Protocol;
use http::{Method, Request};
use ring::digest;

use crate::harness::{
    AiohttpApi, Http2, MockHttp2Upstream, MockResponse, MockUpstream, Pki, Sidekey, get, http2_websocket,
    part,
};
use crate::suite::http::setup::{
    RawServer, Wire, said, sidekey_for_url, sidekey_with_one_worker, wait_until_idle,
};

/// An extended CONNECT request for this protocol; `more` are further fields.
fn connect(protocol: &'static str, path: &str, more: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = Request::builder().method(Method::CONNECT).uri(format!("http://localhost{path}"));
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    request.extension(Protocol::from_static(protocol)).body(()).unwrap()
}

/// A connection that has received Sidekey's SETTINGS_ENABLE_CONNECT_PROTOCOL.
async fn open(sidekey: &Sidekey) -> Http2 {
    let mut caller = Http2::open(sidekey.address()).await;
    assert_eq!(caller.get("/nobody/x").await.status, 404);
    assert!(caller.takes_extended_connect());
    caller
}

fn field<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

/// The `Sec-WebSocket-Accept` for the key in a request head.
fn accept(head: &str) -> String {
    let key = field(head, "sec-websocket-key").concat();
    assert_eq!(STANDARD.decode(&key).unwrap().len(), 16);
    let whole = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, whole.as_bytes()))
}

/// Sends the 101 response, and `more` at once.
async fn switch(wire: &mut Wire, head: &str, more: &str) {
    let accept = accept(head);
    wire.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\
         Sec-WebSocket-Protocol: chat\r\n\r\n{more}"
    ))
    .await;
}

/// Whether the body has ended, perhaps after one empty frame.
async fn is_over(body: &mut h2::RecvStream) -> bool {
    part(body).await.is_none_or(|part| part.is_empty()) && part(body).await.is_none()
}

#[tokio::test]
async fn http2_websocket_gets_credential_and_passes_bytes() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&format!("{}/base", server.url()), "").await;
    let mut caller = open(&sidekey).await;
    let mut keys = Vec::new();
    for caller_ends in [true, false] {
        let fields = [
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "chat, other"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("authorization", "Bearer evil"),
        ];
        let mut stream = caller.begin(connect("websocket", "/api/chat?room=1", &fields)).await;
        stream.send("early ", false).await;
        let (mut wire, head) = server.accept_request().await;
        assert!(head.starts_with("GET /base/chat?room=1 HTTP/1.1\r\n"), "{head}");
        assert_eq!(field(&head, "authorization"), ["Bearer t0ken"]);
        assert_eq!(field(&head, "upgrade"), ["websocket"]);
        assert_eq!(field(&head, "connection"), ["upgrade"]);
        assert_eq!(field(&head, "sec-websocket-version"), ["13"]);
        assert_eq!(field(&head, "sec-websocket-protocol"), ["chat, other"]);
        assert_eq!(field(&head, "sec-websocket-extensions"), ["permessage-deflate"]);
        assert!(field(&head, "transfer-encoding").is_empty() && field(&head, "content-length").is_empty());
        keys.push(field(&head, "sec-websocket-key").concat());
        // A `CONNECT` expects nothing before its 200.
        wire.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
        switch(&mut wire, &head, "welcome").await;
        assert!(stream.next_interim().await.is_none());
        let answer = stream.head().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
        for name in ["sec-websocket-accept", "connection", "upgrade", "content-length"] {
            assert!(answer.headers().get(name).is_none(), "{name}");
        }
        let mut body = answer.into_body();
        assert_eq!(part(&mut body).await.unwrap(), "welcome");
        stream.send("and late", false).await;
        assert_eq!(wire.until("late").await, "early and late");
        // The bytes are not parsed.
        for message in ["HTTP/1.1 200 OK\r\n\r\n", "\0\u{1}0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
            wire.send(message).await;
            assert_eq!(part(&mut body).await.unwrap(), message);
            stream.send(message, false).await;
            assert_eq!(wire.until(message).await, message);
        }
        // Meanwhile the connection carries other requests.
        assert_eq!(caller.get("/nobody/x").await.status, 404);
        if caller_ends {
            stream.send("", true).await;
            assert_eq!(wire.rest().await, "");
            wire.send("bye").await;
            drop(wire);
            assert_eq!(part(&mut body).await.unwrap(), "bye");
            assert!(is_over(&mut body).await);
        } else {
            drop(wire);
            assert!(is_over(&mut body).await);
            stream.send("", true).await;
        }
        wait_until_idle(&sidekey).await;
    }
    assert!(keys[0] != keys[1] && !keys.contains(&"dGhlIHNhbXBsZSBub25jZQ==".to_owned()));
}

#[tokio::test]
async fn http2_websocket_respects_flow_control() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut caller = open(&sidekey).await;
    let mut stream = caller.begin(connect("websocket", "/api/x", &[])).await;
    let (mut wire, head) = server.accept_request().await;
    switch(&mut wire, &head, "").await;
    let mut body = stream.head().await.unwrap().into_body();
    let message = "0123456789abcdef".repeat(64 * 1024);
    let echo = tokio::spawn(async move {
        let (mut reading, mut writing) = wire.into_stream().into_split();
        tokio::io::copy(&mut reading, &mut writing).await.unwrap()
    });
    let mut seen = Vec::new();
    let reading = async {
        while let Some(part) = part(&mut body).await {
            seen.extend_from_slice(&part);
        }
    };
    tokio::join!(stream.send(message.clone(), true), reading);
    assert!(seen == message.as_bytes());
    assert_eq!(echo.await.unwrap(), 1024 * 1024);
}

#[tokio::test]
async fn http2_websocket_cancelled_closes_upstream_connection() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut caller = open(&sidekey).await;
    let mut stream = caller.begin(connect("websocket", "/api/x", &[])).await;
    let (mut wire, head) = server.accept_request().await;
    switch(&mut wire, &head, "").await;
    stream.head().await.unwrap();
    stream.up.send_reset(Reason::CANCEL);
    assert_eq!(wire.rest().await, "");
    wait_until_idle(&sidekey).await;
    // A cancellation before the 101 response as well.
    let mut stream = caller.begin(connect("websocket", "/api/x", &[])).await;
    let (mut wire, _) = server.accept_request().await;
    stream.up.send_reset(Reason::CANCEL);
    assert_eq!(wire.rest().await, "");
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn http2_websocket_opens_only_with_valid_upgrade_response() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), "").await;
    let mut caller = open(&sidekey).await;
    let failed = (502, Some("upstream_protocol"));
    let wrong = |accept: &str| {
        MockResponse::raw(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n{accept}\r\n"
        ))
    };
    for answer in [
        wrong(""),
        wrong("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        MockResponse::switch_to_echo("h2c"),
        // Passed on unchanged, either of these would open the WebSocket.
        MockResponse::ok("fine"),
        MockResponse::status(204),
    ] {
        upstream.next(answer);
        let response = caller.begin(connect("websocket", "/api/x", &[])).await.response().await;
        assert_eq!((response.status, response.header("sidekey-error")), failed);
    }
    // A rejection is an ordinary response.
    for status in [302, 401, 404, 426] {
        upstream.next(MockResponse::status(status).header("Sec-WebSocket-Version", "8").body("no"));
        let response = caller.begin(connect("websocket", "/api/x", &[])).await.response().await;
        assert_eq!((response.status, response.text().as_str()), (status, "no"));
        assert_eq!(response.header("sec-websocket-version"), Some("8"));
    }
    let response = caller.begin(connect("websocket", "/nobody/x", &[])).await.response().await;
    assert_eq!(response.header("sidekey-error"), Some("unknown_service"));
    assert_eq!(caller.get("/api/x").await.status, 200);
}

#[tokio::test]
async fn http2_connect_for_other_protocols_is_bad_request() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), "").await;
    let mut caller = open(&sidekey).await;
    for protocol in ["connect-udp", "connect-ip", "WebSocket", "webtransport"] {
        let response = caller.begin(connect(protocol, "/api/x", &[])).await.response().await;
        assert_eq!((response.status, response.header("sidekey-error")), (400, Some("bad_request")));
    }
    let tunnel = Request::builder().method(Method::CONNECT).uri("sidekey:443").body(()).unwrap();
    let response = caller.begin(tunnel).await.response().await;
    assert_eq!(response.header("sidekey-error"), Some("bad_request"));
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn http2_websocket_uses_http1_to_the_upstream() {
    let pki = Pki::new();
    // This server speaks HTTP/2 only, so that a request over HTTP/1.1 fails there.
    let upstream = MockHttp2Upstream::tls(&pki, &["h2", "http/1.1"]).await;
    let sidekey =
        sidekey_with_one_worker(&upstream.url(), &format!(", tls: {{ ca_file: '{}' }}", pki.ca_file())).await;
    let mut caller = open(&sidekey).await;
    assert_eq!(caller.call(get("/api/x")).await.text(), "ok");
    let response = caller.begin(connect("websocket", "/api/x", &[])).await.response().await;
    assert_eq!(response.header("sidekey-error"), Some("upstream_protocol"));
    assert_eq!(upstream.requests().len(), 1);
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_with_one_worker(&upstream.url(), ", protocol: http2").await;
    let mut caller = open(&sidekey).await;
    let response = caller.begin(connect("websocket", "/api/x", &[])).await.response().await;
    assert_eq!(response.header("sidekey-error"), Some("upstream_protocol"));
    said(&sidekey, "a WebSocket needs HTTP/1.1").await;
}

#[tokio::test]
async fn http2_websocket_works_with_node_and_aiohttp() {
    let pki = Pki::new();
    let api = AiohttpApi::start(&pki).await;
    let tls = format!(", tls: {{ ca_file: '{}' }}", pki.ca_file());
    let sidekey = sidekey_for_url(&format!("https://localhost:{}/v2", api.port), &tls).await;
    let seen = http2_websocket(&sidekey.url(""), "/api/ws").await;
    // Two messages, which are sent back reversed, and the code of a normal close.
    assert_eq!(
        seen,
        serde_json::json!({ "status": 200, "messages": [[1, "olleh"], [1, 20_000], [8, "\u{3}\u{e8}"]] })
    );
    wait_until_idle(&sidekey).await;
}
