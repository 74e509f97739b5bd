//! Requests that web pages cause: rejected on TCP listeners unless the page is Sidekey's own, the upstream's or an allowed one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::setup::own_address;
use crate::harness::{Connection, Http2, MockUpstream, Response, Sidekey, assert_eventually, get};

async fn started(upstream: &MockUpstream, listen: &str, more: &str) -> Sidekey {
    Sidekey::configured(&format!(
        "listen: {listen}\nadmin: 127.0.0.1:0\naccess_log: true\nlog: {{ level: debug, format: json }}\n{more}\nservices: {{ api: {{ \
         upstream: '{}', hosts: [api.internal], auth: {{ type: bearer, token: t0ken }} }} }}\n",
        upstream.url()
    ))
    .start()
    .await
}

async fn ask(connection: &mut Connection, method: &str, host: &str, fields: &str) -> Response {
    connection.send(format!("{method} /api/x HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")).await;
    connection.response().await
}

const REFUSED: &[&str] = &[
    "Sec-Fetch-Site: cross-site\r\n",
    "Sec-Fetch-Site: same-site\r\n",
    "sec-fetch-site: CROSS-SITE\r\n",
    "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n",
    "Sec-Fetch-Site: unknown\r\n",
    "Origin: null\r\n",
    "ORIGIN: https://evil.example\r\n",
    "Origin: http://127.0.0.1.evil.example\r\n",
    "Origin:\r\n",
    "Origin: http://localhost:1\r\n",
    "Origin: https://localhost\r\n",
    "Origin: http://user@localhost\r\n",
    "Origin: http://localhost\r\nOrigin: https://evil.example\r\n",
    "Origin: http://localhost\r\nSec-Fetch-Site: cross-site\r\n",
    "Origin: https://evil.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
];

#[tokio::test]
async fn request_of_another_page_is_rejected() {
    let upstream = MockUpstream::plain().await;
    let sidekey = started(&upstream, "127.0.0.1:0", "").await;
    for fields in REFUSED {
        for method in ["GET", "OPTIONS"] {
            let mut connection = sidekey.connect().await;
            let answer = ask(&mut connection, method, "localhost", fields).await;
            assert_eq!(
                (answer.status, answer.sidekey_error()),
                (403, Some("forbidden")),
                "{method} {fields}"
            );
        }
    }
    let mut http2 = Http2::open(sidekey.address()).await;
    for (name, value) in
        [("origin", "null"), ("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]
    {
        let mut request = get("/api/x");
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(http2.call(request).await.status, 403, "{name}: {value}");
    }
    // No service matches: the answer would list the services.
    let mut connection = sidekey.connect().await;
    connection.send("GET /nowhere HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n").await;
    assert_eq!(connection.response().await.status, 403);
    let mut connection = sidekey.connect().await;
    connection
        .send("CONNECT api.internal:443 HTTP/1.1\r\nHost: api.internal:443\r\nOrigin: null\r\n\r\n")
        .await;
    let answer = connection.response().await;
    assert!(answer.status == 403 && answer.text().contains("browser_origins"), "{}", answer.text());
    assert_eq!(upstream.connections(), 0);
    let labels = [("service", "api"), ("reason", "forbidden")];
    assert_eventually(Duration::from_secs(10), "the rejections are counted", async || {
        sidekey.metric("sidekey_request_errors_total", &labels).await.unwrap_or(0.0) >= 30.0
    })
    .await;
}

#[tokio::test]
async fn request_of_own_or_upstream_page_is_served() {
    let upstream = MockUpstream::plain().await;
    let sidekey = started(&upstream, "127.0.0.1:0", "browser_origins: [https://App.example:443]").await;
    let own = sidekey.address().to_string();
    for (host, fields) in [
        ("localhost", String::new()),
        ("localhost", "Sec-Fetch-Site: none\r\n".into()),
        ("localhost", "Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost\r\n".into()),
        (&own, format!("Origin: http://{own}\r\n")),
        (&own, format!("Origin: {}\r\n", upstream.url())),
        ("localhost", "Origin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n".into()),
    ] {
        let mut connection = sidekey.connect().await;
        let answer = ask(&mut connection, "GET", host, &fields).await;
        assert_eq!(answer.status, 200, "{host} {fields}");
        assert_eq!(upstream.last_request().header("authorization"), Some("Bearer t0ken"));
    }
    let mut connection = sidekey.connect().await;
    assert_eq!(ask(&mut connection, "GET", "localhost", "Origin: http://app.example\r\n").await.status, 403);
}

#[tokio::test]
async fn loopback_listener_rejects_foreign_host() {
    let upstream = MockUpstream::plain().await;
    let origins = "browser_origins: http://host.docker.internal:8080";
    let sidekey = started(&upstream, "127.0.0.1:0", origins).await;
    for host in
        ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "x", "a..b"]
    {
        let mut connection = sidekey.connect().await;
        let answer = ask(&mut connection, "GET", host, "").await;
        assert_eq!((answer.status, answer.sidekey_error()), (403, Some("forbidden")), "{host}");
        let mut http2 = Http2::open(sidekey.address()).await;
        let request = http::Request::get(format!("http://{host}/api/x")).body(()).unwrap();
        assert_eq!(http2.call(request).await.status, 403, "{host}");
    }
    assert_eq!(upstream.connections(), 0);
    for host in [
        "localhost",
        "LOCALHOST.:80",
        "app.localhost",
        "127.0.0.1",
        "[::1]:1",
        "10.1.2.3",
        "host.docker.internal:8080",
    ] {
        let mut connection = sidekey.connect().await;
        assert_eq!(ask(&mut connection, "GET", host, "").await.status, 200, "{host}");
    }
    let mut connection = sidekey.connect().await;
    connection.send("GET /x HTTP/1.1\r\nHost: api.internal\r\n\r\n").await;
    assert_eq!(connection.response().await.status, 200);
}

#[tokio::test]
async fn other_listeners_accept_any_host() {
    let upstream = MockUpstream::plain().await;
    let sidekey = started(&upstream, "[0.0.0.0:0, 'unix:$DIR/s.sock']", "").await;
    let mut unix = Connection::open_unix(&sidekey.dir().join("s.sock")).await;
    assert_eq!(
        ask(&mut unix, "GET", "any.example", "Sec-Fetch-Site: cross-site\r\nOrigin: null\r\n").await.status,
        200
    );
    let mut network = Connection::open((own_address(), sidekey.address().port()).into()).await;
    assert_eq!(ask(&mut network, "GET", "sidekey.example", "").await.status, 200);
    assert_eq!(ask(&mut network, "GET", "sidekey.example", "Origin: null\r\n").await.status, 403);
}

/// A page of a browser on this machine reaches a listener at all addresses by loopback.
#[tokio::test]
async fn loopback_connection_to_any_listener_rejects_foreign_host() {
    let upstream = MockUpstream::plain().await;
    for (listen, ip) in [
        ("0.0.0.0:0", "127.0.0.1"),
        ("0.0.0.0:0", "127.9.9.9"),
        ("'[::]:0'", "::1"),
        ("'[::]:0'", "127.0.0.1"),
    ] {
        let sidekey = started(&upstream, listen, "").await;
        let address: SocketAddr = (ip.parse::<IpAddr>().unwrap(), sidekey.address().port()).into();
        let mut connection = Connection::open(address).await;
        let answer = ask(&mut connection, "GET", "evil.example", "").await;
        assert_eq!((answer.status, answer.sidekey_error()), (403, Some("forbidden")), "{listen} {ip}");
        let mut connection = Connection::open(address).await;
        assert_eq!(ask(&mut connection, "GET", "localhost", "").await.status, 200, "{listen} {ip}");
        let mut http2 = Http2::open(address).await;
        let request = http::Request::get("http://evil.example/api/x").body(()).unwrap();
        assert_eq!(http2.call(request).await.status, 403, "{listen} {ip}");
    }
}
