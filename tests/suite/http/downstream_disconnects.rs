//! Callers that disconnect: nothing of their requests stays open, here or at the upstream.

use super::setup::{RawServer, Wire, sidekey_for, sidekey_for_url, wait_until_idle};
use crate::harness::{Gate, MockResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually};

async fn upstream_connections_closed(upstream: &MockUpstream) {
    assert_eventually(TIMEOUT, "the upstream's connection is closed", async || {
        upstream.open_connections() == 0
    })
    .await;
}

#[tokio::test]
async fn disconnect_during_request_body_closes_upstream() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for by_reset in [false, true] {
        let mut client = Wire::to(&sidekey).await;
        client.send("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345").await;
        let requests = upstream.received(1 + usize::from(by_reset)).await;
        assert!(!requests.last().unwrap().complete);
        if by_reset {
            client.reset();
        } else {
            drop(client);
        }
        upstream_connections_closed(&upstream).await;
        wait_until_idle(&sidekey).await;
        assert!(!upstream.last_request().complete);
    }
}

#[tokio::test]
async fn disconnect_while_waiting_for_response_closes_upstream() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for (number, request) in [
        "GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
        "POST /api/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ]
    .iter()
    .enumerate()
    {
        upstream.next(MockResponse::never());
        let mut client = Wire::to(&sidekey).await;
        client.send(request).await;
        upstream.received(number + 1).await;
        drop(client);
        assert_eventually(TIMEOUT, "the upstream sees the disconnect", async || {
            upstream.last_request().abandoned
        })
        .await;
        wait_until_idle(&sidekey).await;
    }
}

#[tokio::test]
async fn disconnect_during_response_body_closes_upstream() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(MockResponse::ok(vec![b'x'; 50_000_000]));
    let mut client = Wire::to(&sidekey).await;
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    drop(client);
    upstream_connections_closed(&upstream).await;
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn disconnect_between_stream_events_closes_upstream() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut client = Wire::to(&sidekey).await;
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (mut upstream, _) = server.accept_request().await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
    client.until("data: 1\n\n").await;
    drop(client);
    assert_eq!(upstream.rest().await, "");
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn pipelining_while_waiting_gets_both_responses() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let gate = Gate::closed();
    upstream.next(MockResponse::ok("1").delayed_until(&gate));
    let mut client = sidekey.connect().await;
    client.send("GET /api/1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    upstream.received(1).await;
    client.send("POST /api/2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi").await;
    gate.open();
    assert_eq!(client.response().await.text(), "1");
    assert_eq!(client.response().await.text(), "ok");
    assert_eq!((upstream.last_request().text().as_str(), upstream.connections()), ("hi", 1));
}

#[tokio::test]
async fn caller_that_does_not_read_is_closed_after_idle_timeout() {
    let upstream = MockUpstream::plain().await;
    let service = format!(
        "api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }}, timeouts: {{ idle: 300ms }} }}",
        upstream.url()
    );
    let sidekey = Sidekey::serving(&service).traceable().start().await;
    upstream.next(MockResponse::ok(vec![b'x'; 50_000_000]));
    let mut client = Wire::to(&sidekey).await;
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    upstream_connections_closed(&upstream).await;
    wait_until_idle(&sidekey).await;
    // The caller's socket is closed too, although unread bytes are still in its buffers.
    assert_eventually(TIMEOUT, "the caller's connection is closed", async || {
        let links = std::fs::read_dir(format!("/proc/{}/fd", sidekey.process_id())).unwrap();
        let tcp = std::fs::read_to_string(format!("/proc/{}/net/tcp", sidekey.process_id())).unwrap();
        let port = format!(":{:04X}", sidekey.address().port());
        let inodes: Vec<_> = tcp
            .lines()
            .filter(|line| {
                let words: Vec<_> = line.split_whitespace().collect();
                words.get(1).is_some_and(|local| local.ends_with(&port)) && words.get(3) != Some(&"0A")
            })
            .map(|line| format!("socket:[{}]", line.split_whitespace().nth(9).unwrap()))
            .collect();
        !links
            .filter_map(|link| std::fs::read_link(link.ok()?.path()).ok())
            .any(|link| inodes.contains(&link.to_string_lossy().into_owned()))
    })
    .await;
    drop(client);
}
