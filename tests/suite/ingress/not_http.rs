//! Callers that do not speak HTTP as the listener expects it: answered at once, and named in the log.

use tokio::io::AsyncReadExt as _;

use crate::harness::{MockUpstream, Pki, Sidekey, TIMEOUT, assert_eventually};
use crate::suite::http::setup::{Wire, sidekey_for};

/// The beginning of a ClientHello of TLS 1.2 or later, as any client sends it.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
const PROXY_V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x01\x00\x02";

/// The number of warnings that contain this text.
fn warnings(sidekey: &Sidekey, text: &str) -> usize {
    let is_it = |event: &serde_json::Value| {
        event["level"] == "WARN" && event["message"].as_str().is_some_and(|message| message.contains(text))
    };
    sidekey.events().iter().filter(|event| is_it(event)).count()
}

async fn logged_once(sidekey: &Sidekey, text: &str) {
    assert_eventually(TIMEOUT, &format!("{text:?} is logged"), async || warnings(sidekey, text) > 0).await;
    assert_eq!(warnings(sidekey, text), 1, "{text}");
}

#[tokio::test]
async fn plain_listener_answers_other_protocols_at_once() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for (bytes, words) in [
        (CLIENT_HELLO, "its URL must begin with http://"),
        (&CLIENT_HELLO[..1], "its URL must begin with http://"),
        (b"\x80\x2e\x01\x03\x01", "its URL must begin with http://"),
        (b"\x05\x01\x00", "does not speak SOCKS"),
        (b"\x04\x01\x01\xbb\x7f\x00\x00\x01\x00", "does not speak SOCKS"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY protocol"),
        (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "PROXY protocol",
        ),
        (PROXY_V2, "PROXY protocol"),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", "What came is not HTTP."),
        (b"\xff\xfb\x1f", "What came is not HTTP."),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "What came is not HTTP."),
        (b"EHLO client.example\r\n", "What came is not HTTP."),
        (b"*1\r\n$4\r\nPING\r\n", "What came is not HTTP."),
        (b"PING\r\n", "What came is not HTTP."),
        (b"USER me\r\n", "What came is not HTTP."),
    ] {
        let mut caller = Wire::to(&sidekey).await;
        caller.send(bytes).await;
        let answer = caller.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{} {answer}", bytes.escape_ascii());
        assert!(answer.contains(words) && answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
    // The same in pieces.
    let mut caller = Wire::to(&sidekey).await;
    for piece in [&PROXY_V2[..3], &PROXY_V2[3..5], &PROXY_V2[5..]] {
        caller.send(piece).await;
    }
    assert!(caller.rest().await.contains("PROXY protocol"));
    for text in ["begins with TLS on a listener without TLS", "speaks SOCKS", "speaks the PROXY protocol"] {
        logged_once(&sidekey, text).await;
    }
    assert_eq!(
        sidekey.metric("sidekey_request_errors_total", &[("reason", "bad_request")]).await,
        Some(16.0)
    );
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn http2_preface_that_is_cut_off_ends_the_connection() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for rest in ["XX\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "SM\r\n\r\nnot a frame at all"] {
        let mut caller = Wire::to(&sidekey).await;
        caller.send(format!("PRI * HTTP/2.0\r\n\r\n{rest}")).await;
        // Frames of HTTP/2 may come before the end.
        let mut frames = Vec::new();
        let read = tokio::time::timeout(TIMEOUT, caller.into_stream().read_to_end(&mut frames)).await;
        read.expect("the end in time").unwrap();
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn plain_listener_ends_a_kept_connection_that_becomes_tls() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Wire::to(&sidekey).await;
    caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    caller.until("\r\n\r\nok").await;
    caller.send(CLIENT_HELLO).await;
    assert!(caller.rest().await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn tls_listener_answers_other_protocols_at_once() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let files = pki.server_files(&["localhost"]);
    let config = format!(
        "listen: {{ address: 127.0.0.1:0, tls: {{ cert_file: {}, key_file: {} }} }}
admin: 127.0.0.1:0
log: {{ level: debug, format: json }}
services: {{ api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }} }}
",
        files.certificate.display(),
        files.key.display(),
        upstream.url()
    );
    let sidekey = Sidekey::configured(&config).start().await;
    for request in ["GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n", "G", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut caller = Wire::to(&sidekey).await;
        caller.send(request).await;
        let answer = caller.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("begin with https://"), "{answer}");
    }
    for bytes in [&b"\x05\x01\x00"[..], PROXY_V2, b"\0\0"] {
        let mut caller = Wire::to(&sidekey).await;
        caller.send(bytes).await;
        assert_eq!(caller.rest().await, "", "{}", bytes.escape_ascii());
    }
    for text in ["speaks plain HTTP on a listener with TLS", "speaks SOCKS", "speaks the PROXY protocol"] {
        logged_once(&sidekey, text).await;
    }
    assert_eq!(upstream.connections(), 0);
}
