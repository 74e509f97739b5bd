//! The token of the caller is found, removed and exchanged whichever way a request comes in.

use super::setup::{EXCHANGE, Issuer, service};
use crate::harness::{CurlSession, Http2, MockHttp2Upstream, MockResponse, MockUpstream, Pki, Sidekey};
use crate::suite::http::setup::Wire;
use crate::suite::ingress::setup::{ingresses, started_as};

#[tokio::test]
async fn each_caller_has_its_token_by_every_ingress() {
    let (pki, issuer) = (Pki::new(), Issuer::start().await);
    let upstream = MockUpstream::tls(&pki).await;
    upstream.respond_with(|request| {
        let fields = request.headers.all("authorization").join(" and ");
        MockResponse::ok(fields.into_bytes())
    });
    let url = format!("https://localhost:{}", upstream.address().port());
    let auth = format!(
        "{{ type: oauth2, token_url: '{}/token', client_id: me, client_secret: CANARY-client-secret, {EXCHANGE} }}",
        issuer.server.url()
    );
    let sidekey = started_as(&pki, "localhost", &url, "", &auth).await;
    let all = ingresses(&pki, &sidekey, &url);
    assert!(all.len() > 10);
    for ingress in &all {
        let mut curl = CurlSession::default();
        for caller in ["alice", "bob", "alice"] {
            let mut options = ingress.options.clone();
            options.push(format!("header = \"Authorization: Bearer {caller}\""));
            curl.call(&format!("{}/x", ingress.base), &options, None);
        }
        curl.call(&format!("{}/x", ingress.base), &ingress.options, None);
        let responses = curl.run().await;
        for (caller, response) in ["alice", "bob", "alice"].iter().zip(&responses) {
            let body = String::from_utf8_lossy(&response.body).into_owned();
            assert!(body.starts_with(&format!("Bearer for-{caller}-")), "{} {caller}: {body}", ingress.name);
            assert!(!body.contains(" and "), "{}: {body}", ingress.name);
        }
        assert_eq!(responses[3].status, 401, "{}: without a token", ingress.name);
    }
    assert_eq!(issuer.requests(), 2, "one token for each caller, whichever way it came in");
}

#[tokio::test]
async fn call_by_grpc_has_the_token_of_its_caller() {
    let (upstream, issuer) = (MockHttp2Upstream::plain().await, Issuer::start().await);
    upstream.guarded(|token| token.starts_with("for-alice-"));
    let unused = MockUpstream::plain().await;
    let services = service(&unused, &issuer, EXCHANGE, ", protocol: http2");
    let sidekey = Sidekey::serving(&services.replace(&unused.url(), &upstream.url())).start().await;
    for (caller, expected) in [("alice", "0"), ("bob", "16")] {
        let request = http::Request::post("http://localhost/api/grpc/head")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {caller}"));
        let mut stream = Http2::open(sidekey.address()).await.begin(request.body(()).unwrap()).await;
        stream.send("call", true).await;
        let response = stream.response().await;
        let fields = if response.trailers.is_empty() { &response.headers } else { &response.trailers };
        assert_eq!(fields["grpc-status"], expected, "{caller}");
    }
}

#[tokio::test]
async fn websocket_has_the_token_of_its_caller_and_none_without() {
    let (upstream, issuer) = (MockUpstream::plain().await, Issuer::start().await);
    let sidekey = Sidekey::serving(&service(&upstream, &issuer, EXCHANGE, "")).start().await;
    upstream.always(MockResponse::switch_to_echo("websocket"));
    let upgrade = |authorization: &str| {
        format!(
            "GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{authorization}\r\n"
        )
    };
    for caller in ["alice", "bob"] {
        let mut client = Wire::to(&sidekey).await;
        client.send(upgrade(&format!("Authorization: Bearer {caller}\r\n"))).await;
        let head = client.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let request = upstream.last_request();
        let token = request.header("authorization").unwrap();
        assert!(token.starts_with(&format!("Bearer for-{caller}-")), "{token}");
        client.send("hello").await;
        assert_eq!(client.until("hello").await, "hello");
    }
    let mut client = Wire::to(&sidekey).await;
    client.send(upgrade("")).await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 401 "));
    assert_eq!(upstream.request_count(), 2);
}
