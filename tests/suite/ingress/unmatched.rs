//! Requests that match no service, and rejected ones: the error response, the metrics and the access log.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::harness::{Connection, MockUpstream, Request, Sidekey, assert_eventually};
use crate::suite::http::setup::sidekey_for;

async fn ask(client: &mut Connection) -> serde_json::Value {
    client.send("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = client.response().await;
    assert_eq!((answer.status, answer.sidekey_error()), (404, Some("unknown_service")));
    answer.json()
}

#[tokio::test]
async fn unmatched_request_lists_services_for_local_callers_only() {
    let upstream = MockUpstream::plain().await;
    let service = format!("{{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }}", upstream.url());
    let config = format!(
        "listen: [0.0.0.0:0, 'unix:$DIR/s.sock']
admin: 127.0.0.1:0
log: {{ level: debug, format: json }}
services: {{ billing: {service}, crm: {service} }}
"
    );
    let sidekey = Sidekey::configured(&config).start().await;
    let port = sidekey.address().port();
    let names = serde_json::json!(["billing", "crm"]);

    let mut loopback = Connection::open(SocketAddr::from(([127, 0, 0, 1], port))).await;
    assert_eq!(ask(&mut loopback).await["services"], names);
    let mut unix = Connection::open_unix(&sidekey.dir().join("s.sock")).await;
    assert_eq!(ask(&mut unix).await["services"], names);
    let mut outside = Connection::open(SocketAddr::new(outer_address(), port)).await;
    assert_eq!(ask(&mut outside).await.get("services"), None);
}

/// An address of this machine other than loopback: the source address of outgoing connections.
fn outer_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Connecting a UDP socket sends nothing.
    socket.connect("192.0.2.1:9").expect("a network interface besides loopback");
    socket.local_addr().unwrap().ip()
}

#[tokio::test]
async fn forbidden_request_does_not_list_services() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let answer = Request::new("TRACE", sidekey.url("/api/x")).send().await;
    assert_eq!((answer.status, answer.json().get("services")), (403, None));
}

#[tokio::test]
async fn rejected_request_is_counted_and_in_the_access_log() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for (bytes, status, service, method, path, reason) in [
        (
            "GET /nowhere?secret=CANARY HTTP/1.1\r\nHost: localhost\r\n\r\n",
            404,
            "",
            "GET",
            "",
            "unknown_service",
        ),
        ("TRACE /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n", 403, "api", "OTHER", "/api/x", "forbidden"),
        ("GET /api/x HTTP/1.1\r\n\r\n", 400, "", "OTHER", "", "bad_request"),
        ("GET http://a/x HTTP/1.1\r\nHost: b\r\n\r\n", 403, "", "OTHER", "", "forbidden"),
    ] {
        let labels = [("service", service), ("method", method), ("status_class", "4xx")];
        let count = async || sidekey.metric("sidekey_requests_total", &labels).await.unwrap_or(0.0);
        let before = count().await;
        let mut client = sidekey.connect().await;
        client.send(bytes).await;
        assert_eq!(client.response().await.status, status, "{bytes}");
        // Counted and logged after the response is sent.
        assert_eventually(Duration::from_secs(10), bytes, async || {
            (count().await - before - 1.0).abs() < 0.1
        })
        .await;
        assert_eventually(Duration::from_secs(10), bytes, async || {
            sidekey.events().into_iter().filter(|event| event["target"] == "sidekey::access").any(|event| {
                event["url.path"] == path
                    && event["sidekey.service"] == service
                    && event["http.response.status_code"] == status
                    && event["sidekey.error"] == reason
            })
        })
        .await;
    }
    assert!(!sidekey.log().contains("CANARY"));
    assert_eq!(upstream.connections(), 0);
}
