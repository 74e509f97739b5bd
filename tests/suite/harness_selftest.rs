//! Tests of the harness itself: the fakes do what they claim. No test here starts the program.

use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::{
    ChaosProxy, Connection, Curl, Gate, MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream,
    Pki, Process, RefusingPort, Request, assert_eventually, run, tool,
};

#[tokio::test]
async fn mock_upstream_records_request_byte_for_byte() {
    let upstream = MockUpstream::plain().await;
    let mut client = Connection::open(upstream.address()).await;
    let head =
        "POST /a?b=%2f HTTP/1.1\r\nhOsT: x\r\nX-Twice: 1\r\nx-twice:2\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(head).await;
    client.send("3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n").await;
    assert_eq!(client.response().await.text(), "ok");
    let request = upstream.only_request();
    assert_eq!(request.raw_head, head.as_bytes());
    assert_eq!((request.path(), request.query()), ("/a", Some("b=%2f")));
    assert_eq!(request.headers.all("x-twice"), ["1", "2"]);
    assert_eq!(request.headers.0[0].0, "hOsT");
    assert_eq!(request.text(), "abcde");
    assert_eq!(request.trailers.first("x-sum"), Some("5"));
    assert!(request.complete);
}

#[tokio::test]
async fn mock_upstream_sends_every_form_of_response() {
    let upstream = MockUpstream::plain().await;
    let call = || Request::get(upstream.url()).send();

    upstream.next(
        MockResponse::ok("abcdefgh").chunked(3).trailer("X-Sum", "8").after_informational("103 Early Hints"),
    );
    let response = call().await;
    assert_eq!((response.text().as_str(), response.trailers.first("X-Sum")), ("abcdefgh", Some("8")));
    assert_eq!(response.informational[0].0, "HTTP/1.1 103 Early Hints");

    upstream.next(MockResponse::ok("until the end").until_closed());
    assert_eq!(call().await.text(), "until the end");

    upstream.next(MockResponse::ok("12345678").cut_at(4));
    let response = call().await;
    assert_eq!((response.text().as_str(), response.complete), ("1234", false));

    upstream.next(MockResponse::ok("slowly").dribbled(2, Duration::from_millis(1)));
    assert_eq!(call().await.text(), "slowly");

    upstream.next(MockResponse::close_unanswered());
    assert_eq!(Request::get(upstream.url()).try_send().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);

    upstream.next(MockResponse::reset());
    assert_eq!(Request::get(upstream.url()).try_send().await.unwrap_err().kind(), ErrorKind::ConnectionReset);

    upstream.respond_with(|request| MockResponse::status(201).body(request.target.clone()));
    let response = Request::new("HEAD", upstream.url() + "/x").send().await;
    assert_eq!((response.status, response.header("content-length")), (201, Some("2")));
}

#[tokio::test]
async fn mock_upstream_responds_early_and_records_partial_body() {
    let upstream = MockUpstream::plain().await;
    upstream.next(MockResponse::status(413).early().close());
    let mut client = Connection::open(upstream.address()).await;
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n").await;
    assert_eq!(client.response().await.status, 413);

    let mut client = Connection::open(upstream.address()).await;
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345").await;
    let half_there = async || upstream.request_count() == 2 && upstream.last_request().text() == "12345";
    assert_eventually(Duration::from_secs(10), "half the body is on record", half_there).await;
    assert!(!upstream.last_request().complete);
}

#[tokio::test]
async fn mock_upstream_waits_for_gate_and_detects_disconnect() {
    let upstream = MockUpstream::plain().await;
    let gate = Gate::closed();
    upstream.next(MockResponse::ok("late").delayed_until(&gate));
    let waiting = tokio::spawn(Request::get(upstream.url()).send());
    upstream.received(1).await;
    assert!(!waiting.is_finished());
    gate.open();
    assert_eq!(waiting.await.unwrap().text(), "late");

    upstream.next(MockResponse::never());
    let mut client = Connection::open(upstream.address()).await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    upstream.received(2).await;
    drop(client);
    assert_eventually(Duration::from_secs(10), "the disconnect is detected", async || {
        upstream.last_request().abandoned
    })
    .await;
}

#[tokio::test]
async fn mock_upstream_tls_is_trusted_by_curl_with_its_ca_only() {
    let (pki, other) = (Pki::new(), Pki::new());
    let upstream = MockUpstream::tls(&pki).await;
    let answer = Curl::call(&["--cacert", &pki.ca_file(), &upstream.url()], b"").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(upstream.only_request().server_name.as_deref(), Some("localhost"));

    let expired = MockUpstream::tls_with(pki.expired_server(&["localhost"])).await;
    for (server, ca) in [(&upstream, &other), (&expired, &pki)] {
        let mut curl = Command::new(tool("curl"));
        curl.args(["-sS", "--cacert", &ca.ca_file(), &server.url()]);
        let output = run(curl, b"").await;
        assert!(matches!(output.status.code(), Some(35 | 60)), "{output:?}");
    }
}

#[tokio::test]
async fn mock_token_endpoint_numbers_tokens_and_can_fail() {
    let endpoint = MockTokenEndpoint::plain().await;
    let ask = || {
        let form = "grant_type=client_credentials&scope=a+b";
        Request::post(endpoint.url(), form).header("Authorization", "Basic aWQ6cyUyQg==").try_send()
    };
    endpoint.next(MockTokenResponse::retry_after("7"));
    assert_eq!(ask().await.unwrap().header("retry-after"), Some("7"));
    assert_eq!(ask().await.unwrap().json()["access_token"], "tok-1");
    endpoint.next(MockTokenResponse::issue_with(json!("60"), json!({ "scope": "a" })));
    let second = ask().await.unwrap().json();
    assert_eq!(
        second,
        json!({ "access_token": "tok-2", "token_type": "Bearer", "expires_in": "60", "scope": "a" })
    );
    endpoint.go_down();
    assert!(ask().await.is_err());
    endpoint.come_up();
    assert_eq!(ask().await.unwrap().json()["access_token"], "tok-3");

    assert_eq!((endpoint.issued().len(), endpoint.request_count()), (3, 4));
    let request = &endpoint.requests()[0];
    assert_eq!((request.param("scope"), request.basic().as_deref()), (Some("a b"), Some("id:s%2B")));
    assert!(endpoint.is_live("tok-3") && !endpoint.is_live("tok-9"));
    endpoint.revoke_all();
    assert!(!endpoint.is_live("tok-3"));
}

#[tokio::test]
async fn chaos_proxy_stalls_resets_and_refuses() {
    let upstream = MockUpstream::plain().await;
    let chaos = ChaosProxy::in_front_of(upstream.address()).await;
    let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut client = Connection::open(chaos.address()).await;
    client.send(request).await;
    assert_eq!(client.response().await.status, 200);

    chaos.stall();
    client.send(request).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(upstream.request_count(), 1);
    chaos.resume();
    assert_eq!(client.response().await.status, 200);

    chaos.reset();
    assert!(client.response_to("GET").await.is_err());
    chaos.refuse();
    let mut client = Connection::open(chaos.address()).await;
    assert!(client.response_to("GET").await.is_err());
    assert_eq!(chaos.connections(), 2);
}

#[tokio::test]
async fn refusing_port_refuses_connections() {
    let port = RefusingPort::new();
    assert_eq!(TcpStream::connect(port.address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn process_is_killed_when_dropped() {
    let process = Process::spawn("sleep", Command::new("sleep").arg("1000"));
    let proc = format!("/proc/{}", process.id());
    assert!(std::fs::exists(&proc).unwrap());
    drop(process);
    assert!(!std::fs::exists(&proc).unwrap());
}
