//! Limits of an upstream: `max_in_flight`, `rate_limit`, `max_request_body`, `circuit_breaker`, `pool`,
//! `retry_idempotent`.

use std::time::Duration;

use crate::harness::{
    ChaosProxy, Gate, MockResponse, MockUpstream, Request, Response, Sidekey, TIMEOUT, assert_eventually,
};
use crate::suite::http::setup::{RawServer, sidekey_for_url};

async fn sidekey_for(upstream: &MockUpstream, more: &str) -> Sidekey {
    sidekey_for_url(&upstream.url(), &format!(", {more}")).await
}

#[track_caller]
fn overloaded(response: &Response) -> u64 {
    assert_eq!((response.status, response.sidekey_error()), (503, Some("overloaded")), "{}", response.text());
    response.header("retry-after").expect("Retry-After").parse().expect("seconds")
}

#[tokio::test]
async fn max_in_flight_rejects_further_requests() {
    let upstream = MockUpstream::plain().await;
    let gate = Gate::closed();
    upstream.always(MockResponse::ok("ok").delayed_until(&gate));
    let sidekey = sidekey_for(&upstream, "max_in_flight: 2").await;
    let held: Vec<_> = (0..2)
        .map(|_| {
            let url = sidekey.url("/api/x");
            tokio::spawn(async move { Request::get(url).send().await.status })
        })
        .collect();
    upstream.received(2).await;
    for _ in 0..3 {
        assert_eq!(overloaded(&sidekey.get("/api/x").await), 1);
    }
    gate.open();
    for held in held {
        assert_eq!(held.await.unwrap(), 200);
    }
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(upstream.request_count(), 3);
    assert_eq!(sidekey.metric("sidekey_request_errors_total", &[("reason", "overloaded")]).await, Some(3.0));
}

#[tokio::test]
async fn max_in_flight_slot_is_released_on_disconnect() {
    let upstream = MockUpstream::plain().await;
    upstream.next(MockResponse::never());
    let sidekey = sidekey_for(&upstream, "max_in_flight: 1").await;
    let mut gone = sidekey.connect().await;
    gone.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    upstream.received(1).await;
    assert_eq!(overloaded(&sidekey.get("/api/x").await), 1);
    drop(gone);
    assert_eventually(TIMEOUT, "a slot is free again", async || sidekey.get("/api/x").await.status == 200)
        .await;
}

#[tokio::test]
async fn rate_limit_rejects_further_requests() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream, "rate_limit: { rate: 1/h, burst: 2 }").await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    let seconds = overloaded(&sidekey.get("/api/x").await);
    assert!((3500..=3600).contains(&seconds), "{seconds}");
    assert_eq!(upstream.request_count(), 2);
}

#[tokio::test]
async fn max_request_body_rejects_larger_bodies() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream, "max_request_body: 10").await;
    let post = |length: usize| Request::post(sidekey.url("/api/x"), "x".repeat(length));
    assert_eq!(post(10).send().await.status, 200);
    assert_eq!(post(10).chunked(3).send().await.status, 200);
    let refused = post(11).send().await;
    assert_eq!((refused.status, refused.sidekey_error()), (413, Some("too_large")));
    assert_eq!(upstream.request_count(), 2, "rejected by its Content-Length");
    let refused = post(11).chunked(4).send().await;
    assert_eq!((refused.status, refused.sidekey_error()), (413, Some("too_large")));
    assert!(upstream.requests().iter().skip(2).all(|request| !request.complete));
    assert_eq!(sidekey.get("/api/x").await.status, 200);
}

#[tokio::test]
async fn circuit_opens_after_failures_and_closes_after_success() {
    let upstream = MockUpstream::plain().await;
    let chaos = ChaosProxy::in_front_of(upstream.address()).await;
    let url = format!("http://{}", chaos.address());
    let sidekey =
        sidekey_for_url(&url, ", circuit_breaker: { consecutive_failures: 3, open_duration: 2s }").await;
    let gauge = async |name: &str| sidekey.metric(name, &[("service", "api")]).await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(gauge("sidekey_circuit_breaker_open").await, Some(0.0));
    // The connection goes back to the pool after the response is sent.
    let is_idle = async || gauge("sidekey_upstream_connections_idle").await == Some(1.0);
    assert_eventually(TIMEOUT, "the connection is idle", is_idle).await;
    chaos.cut();
    chaos.refuse();
    for _ in 0..3 {
        assert_eq!(sidekey.get("/api/x").await.status, 502);
    }
    let connections = chaos.connections();
    for _ in 0..5 {
        let seconds = overloaded(&sidekey.get("/api/x").await);
        assert!((1..=2).contains(&seconds), "{seconds}");
    }
    assert_eq!(chaos.connections(), connections, "no connection while it is open");
    assert_eq!(gauge("sidekey_circuit_breaker_open").await, Some(1.0));
    assert_eq!(gauge("sidekey_upstream_connections_idle").await, Some(0.0));
    sidekey
        .logged("circuit breaker open: the last requests failed, so requests are rejected for a while")
        .await;
    chaos.resume();
    assert_eventually(TIMEOUT, "it closes", async || sidekey.get("/api/x").await.status == 200).await;
    sidekey.logged("circuit breaker closed: the upstream answers again").await;
    assert_eq!(gauge("sidekey_circuit_breaker_open").await, Some(0.0));
    for _ in 0..5 {
        assert_eq!(sidekey.get("/api/x").await.status, 200);
    }
}

/// Otherwise a caller that goes away each time would keep the circuit breaker open for all others.
#[tokio::test]
async fn circuit_breaker_gives_the_probe_of_a_caller_that_goes_away_to_the_next() {
    let upstream = MockUpstream::plain().await;
    let breaker = "circuit_breaker: { consecutive_failures: 1, open_duration: 3s }";
    let sidekey = sidekey_for(&upstream, breaker).await;
    upstream.next(MockResponse::status(503));
    assert_eq!(sidekey.get("/api/x").await.status, 503);
    overloaded(&sidekey.get("/api/x").await);
    upstream.next(MockResponse::never());
    let sent = upstream.request_count();
    assert_eventually(TIMEOUT, "the probe is sent", async || {
        let mut caller = sidekey.connect().await;
        caller.send("GET /api/probe HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        upstream.request_count() > sent
    })
    .await;
    let is_over =
        async || sidekey.metric("sidekey_requests_in_flight", &[("service", "api")]).await == Some(0.0);
    assert_eventually(TIMEOUT, "its caller is gone", is_over).await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
}

#[tokio::test]
async fn retry_idempotent_retries_only_idempotent_requests() {
    let upstream = MockUpstream::plain().await;
    let lost = || upstream.next(MockResponse::close_unanswered());
    let asked = sidekey_for(&upstream, "retry_idempotent: true, pool: { max_idle: 0 }").await;
    lost();
    assert_eq!(asked.get("/api/x").await.status, 200);
    assert_eq!(upstream.request_count(), 2);
    lost();
    assert_eq!(Request::post(asked.url("/api/x"), "once").send().await.status, 502);
    assert_eq!(upstream.request_count(), 3);
    lost();
    lost();
    assert_eq!(asked.get("/api/x").await.status, 502, "one retry and no more");
    assert_eq!(upstream.request_count(), 5);
    let not_asked = sidekey_for(&upstream, "pool: { max_idle: 0 }").await;
    lost();
    assert_eq!(not_asked.get("/api/x").await.status, 502);
    assert_eq!(upstream.request_count(), 6);
}

#[tokio::test]
async fn pool_respects_keep_alive_of_upstream_minus_one_second() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream, "readiness: always").await;
    let said = ["timeout=1", "max=5, timeout=1", "timeout=60, max=100", "timeout=60"];
    for (keep_alive, connections) in said.into_iter().zip([1, 2, 3, 3]) {
        upstream.next(MockResponse::ok("ok").header("Keep-Alive", keep_alive));
        assert_eq!(sidekey.get("/api/x").await.header("keep-alive"), None);
        assert_eq!(upstream.connections(), connections, "{keep_alive}");
    }
}

#[tokio::test]
async fn pool_limits_idle_connections() {
    let upstream = MockUpstream::plain().await;
    let none = sidekey_for(&upstream, "pool: { max_idle: 0 }").await;
    for _ in 0..3 {
        assert_eq!(none.get("/api/x").await.status, 200);
    }
    assert_eq!(upstream.connections(), 3);
    let short = sidekey_for(&upstream, "pool: { idle_timeout: 1ms }").await;
    for _ in 0..2 {
        assert_eq!(short.get("/api/x").await.status, 200);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(upstream.connections(), 5);
}

#[tokio::test]
async fn hanging_upstream_does_not_block_another() {
    let (slow, fast) = (MockUpstream::plain().await, MockUpstream::plain().await);
    slow.always(MockResponse::never());
    // Accepts connections, and never answers the TLS handshake.
    let mute = RawServer::new().await;
    let service = |name: &str, url: &str| {
        format!("  {name}: {{ upstream: '{url}', auth: {{ type: bearer, token: t }} }}\n")
    };
    // One worker, so that anything that blocked it would block all requests.
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nthreads: 1\nlog: {{ format: json }}\nservices:\n{}{}{}",
        service("slow", &slow.url()),
        service("mute", &mute.url().replace("http:", "https:"))
            .replace("auth:", "timeouts: { connect: 60s }, auth:"),
        service("fast", &fast.url()),
    );
    let sidekey = Sidekey::configured(&config).start().await;
    let waiting: Vec<_> = (0..400)
        .map(|number| {
            let url = sidekey.url(if number % 4 == 0 { "/mute/x" } else { "/slow/x" });
            tokio::spawn(async move { Request::get(url).try_send().await.is_ok() })
        })
        .collect();
    slow.received(300).await;
    let all_wait = async || sidekey.metric("sidekey_requests_in_flight", &[]).await == Some(400.0);
    assert_eventually(TIMEOUT, "four hundred requests are in flight", all_wait).await;
    for _ in 0..200 {
        assert_eq!(sidekey.get("/fast/x").await.status, 200);
    }
    assert!(waiting.iter().all(|call| !call.is_finished()));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn max_connections_rejects_further_connections() {
    let upstream = MockUpstream::plain().await;
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nmax_connections: 2\nlog: {{ format: json }}\nservices:\n  \
         api: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}\n",
        upstream.url()
    );
    let sidekey = Sidekey::configured(&config).start().await;
    let mut kept = [sidekey.connect().await, sidekey.connect().await];
    for connection in &mut kept {
        connection.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(connection.response().await.status, 200);
    }
    let mut one_too_many = sidekey.connect().await;
    assert_eq!(overloaded(&one_too_many.response().await), 1);
    assert_eq!(one_too_many.rest().await, b"");
    sidekey.logged("max_connections reached: new connections are rejected").await;
    drop(kept);
    assert_eventually(TIMEOUT, "a slot is free again", async || {
        let sent = Request::get(sidekey.url("/api/x")).try_send().await;
        sent.is_ok_and(|response| response.status == 200)
    })
    .await;
}
