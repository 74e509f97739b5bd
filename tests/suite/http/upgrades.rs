//! `Upgrade`: WebSocket passes with the credential; no other protocol does.

use super::setup::{RawServer, Wire, sidekey_for, sidekey_for_url, wait_until_idle};
use crate::harness::{MockResponse, MockUpstream, TIMEOUT, assert_eventually};

const UPGRADE: &str = "GET /api/chat HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                       Authorization: Bearer evil\r\n\r\n";

#[tokio::test]
async fn websocket_gets_credential_and_passes_bytes_both_ways() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(MockResponse::switch_to_echo("websocket"));
    let mut client = Wire::to(&sidekey).await;
    client.send(UPGRADE).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.to_lowercase().contains("\r\nconnection: upgrade\r\nupgrade: websocket\r\n"), "{head}");
    let request = upstream.only_request();
    assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(request.header("upgrade").map(str::to_lowercase).as_deref(), Some("websocket"));
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
    // From here on bytes are not parsed as requests.
    for message in ["hello", "GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n", "\u{1}\0\r\n"] {
        client.send(message).await;
        assert_eq!(client.until(message).await, message);
    }
    assert_eq!(upstream.request_count(), 1);
    client.finish().await;
    assert_eq!(client.rest().await, "");
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn websocket_bytes_sent_with_the_heads_are_not_lost() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut client = Wire::to(&sidekey).await;
    client.send(format!("{UPGRADE}early")).await;
    let (mut upstream, _) = server.accept_request().await;
    upstream
        .send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nwelcome")
        .await;
    client.until("\r\n\r\nwelcome").await;
    assert_eq!(upstream.until("early").await, "early");
}

#[tokio::test]
async fn websocket_closed_by_one_side_closes_the_other() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    for caller_first in [true, false] {
        let mut client = Wire::to(&sidekey).await;
        client.send(UPGRADE).await;
        let (mut upstream, _) = server.accept_request().await;
        upstream
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            .await;
        client.until("\r\n\r\n").await;
        if caller_first {
            drop(client);
            assert_eq!(upstream.rest().await, "");
            drop(upstream);
        } else {
            drop(upstream);
            assert_eq!(client.rest().await, "");
            drop(client);
        }
        wait_until_idle(&sidekey).await;
    }
}

#[tokio::test]
async fn websocket_rejected_by_upstream_is_an_ordinary_response() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(MockResponse::status(426).header("Sec-WebSocket-Version", "8").body("no"));
    let mut client = sidekey.connect().await;
    client.send(UPGRADE).await;
    assert_eq!(client.response().await.status, 426);
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(upstream.last_request().header("authorization"), Some("Bearer t0ken"));
}

#[tokio::test]
async fn upgrade_to_other_protocols_is_not_forwarded() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: upgrade\r\nUpgrade: TLS/1.2\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Upgrade: websocket\r\n",
    ] {
        let mut client = sidekey.connect().await;
        client.send(format!("GET /api/x HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await;
        assert_eq!(client.response().await.status, 200);
        let names = upstream.last_request().headers.names();
        assert!(
            !names.iter().any(|name| ["upgrade", "connection", "http2-settings"].contains(&name.as_str())),
            "{fields}"
        );
    }
    let mut client = sidekey.connect().await;
    client.send(UPGRADE.replacen("GET", "POST", 1)).await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(upstream.last_request().header("upgrade"), None);
}

#[tokio::test]
async fn upgrade_that_was_not_requested_is_upstream_protocol() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(MockResponse::switch_to_echo("websocket"));
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_protocol"));
    upstream.next(MockResponse::switch_to_echo("h2c"));
    let mut client = sidekey.connect().await;
    client.send(UPGRADE).await;
    assert_eq!(client.response().await.sidekey_error(), Some("upstream_protocol"));
    assert_eventually(TIMEOUT, "both connections are closed", async || upstream.open_connections() == 0)
        .await;
}
