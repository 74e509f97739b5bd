//! The limits of the admin listener: connections, sizes and times.

use crate::harness::{
    Connection, MockUpstream, Request, Sidekey, SidekeyBuilder, TIMEOUT, allow_descriptors, assert_eventually,
};

const HALF: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Half: ";

fn serving(upstream: &MockUpstream) -> SidekeyBuilder {
    Sidekey::serving(&format!(
        "api: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}",
        upstream.url()
    ))
}

async fn open(sidekey: &Sidekey) -> Connection {
    let url = sidekey.admin_url("");
    Connection::open(url.trim_start_matches("http://").parse().unwrap()).await
}

#[tokio::test]
async fn admin_half_requests_leave_callers_and_probes_alone() {
    allow_descriptors(1024);
    let upstream = MockUpstream::plain().await;
    let sidekey = serving(&upstream).traceable().open_files(300, 300).start().await;
    let mut held = Vec::new();
    for round in 0..20 {
        for _ in 0..20 {
            let mut connection = open(&sidekey).await;
            // Fails if it was closed for another one.
            let _ = connection.try_send(HALF).await;
            held.push(connection);
        }
        assert_eq!(Request::get(sidekey.admin_url("/livez")).send().await.status, 200, "{round}");
        assert_eq!(sidekey.get("/api/x").await.status, 200, "{round}");
    }
    let mut callers = Vec::new();
    for _ in 0..100 {
        let mut caller = sidekey.connect().await;
        caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(caller.response().await.status, 200);
        callers.push(caller);
    }
    assert_eq!(sidekey.metric("sidekey_accept_failures_total", &[]).await, Some(0.0));
    assert_eq!(sidekey.log().matches("too many connections: ").count(), 1);
    let open = std::fs::read_dir(format!("/proc/{}/fd", sidekey.process_id())).unwrap().count();
    assert!(open < 300, "{open}");
}

#[tokio::test]
async fn admin_request_that_is_too_large_is_refused() {
    let upstream = MockUpstream::plain().await;
    let sidekey = serving(&upstream).start().await;
    for head in [
        format!("{HALF}{}\r\n\r\n", "x".repeat(350_000)),
        // It never ends.
        format!("{HALF}{}", "x".repeat(350_000)),
        format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(60_000)),
    ] {
        let mut connection = open(&sidekey).await;
        let _ = connection.try_send(&head).await;
        assert_eq!(connection.response().await.status, 431);
    }
    let body = Request::post(sidekey.admin_url("/api/v1/reload"), vec![b'x'; 100_000]).send().await;
    assert_eq!(body.status, 413);
    let chunked = Request::post(sidekey.admin_url("/api/v1/reload"), vec![b'x'; 300_000]).chunked(1000);
    assert_eq!(chunked.send().await.status, 413);
    assert_eq!(Request::get(sidekey.admin_url("/livez")).send().await.status, 200);
}

#[tokio::test]
async fn admin_connection_that_sends_no_request_is_closed() {
    let upstream = MockUpstream::plain().await;
    let sidekey = serving(&upstream).start().await;
    let mut silent = open(&sidekey).await;
    let mut half = open(&sidekey).await;
    half.send(HALF).await;
    let mut slow_body = open(&sidekey).await;
    slow_body.send("POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{").await;
    let mut served = open(&sidekey).await;
    served.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(served.response().await.status, 200);
    // Each waits for the end.
    assert_eq!(silent.rest().await, b"");
    assert_eq!(half.rest().await, b"");
    assert_eq!(slow_body.rest().await, b"");
    // A connection may be idle for longer between two requests.
    served.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(served.response().await.status, 200);
}

#[tokio::test]
async fn admin_unix_socket_has_the_limits() {
    allow_descriptors(1024);
    let upstream = MockUpstream::plain().await;
    let services = format!("api: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}", upstream.url());
    let config = format!("listen: 127.0.0.1:0\nadmin: 'unix:$DIR/admin.sock'\nservices:\n  {services}\n");
    let sidekey = Sidekey::configured(&config).start().await;
    let path = sidekey.dir().join("admin.sock");
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut connection = Connection::open_unix(&path).await;
        let _ = connection.try_send(HALF).await;
        held.push(connection);
    }
    assert_eventually(TIMEOUT, "it answers", async || {
        let mut probe = Connection::open_unix(&path).await;
        probe.try_send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.is_ok()
            && probe.response_to("GET").await.is_ok_and(|response| response.status == 200)
    })
    .await;
}
