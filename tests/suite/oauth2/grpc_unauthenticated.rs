//! `grpc-status: 16` (UNAUTHENTICATED) is to gRPC what 401 is to HTTP: the token is renewed, and the call is sent
//! again if nothing of its response was passed on.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Request;

use super::setup::service;
use crate::harness::{
    Http2, Http2Response, MockHttp2Upstream, MockResponse, MockTokenEndpoint, MockUpstream, Sidekey, TIMEOUT,
    Version, assert_eventually,
};

/// An HTTP/2 upstream that accepts the endpoint's live tokens only, the endpoint, and a ready Sidekey.
async fn sidekey_with_guarded(auth: &str) -> (MockHttp2Upstream, MockTokenEndpoint, Sidekey) {
    let (upstream, endpoint) = (MockHttp2Upstream::plain().await, MockTokenEndpoint::plain().await);
    let accepts = endpoint.live();
    upstream.guarded(accepts);
    let unused = MockUpstream::plain().await;
    let services = service("api", &unused, &endpoint, auth, "protocol: http2,");
    let sidekey = Sidekey::serving(&services.replace(&unused.url(), &upstream.url())).start_ready().await;
    (upstream, endpoint, sidekey)
}

const OFTEN: &str = "token_request: { min_interval: 1ms },";

/// Makes a gRPC call with this content type.
async fn call(sidekey: &Sidekey, path: &str, content_type: &str) -> Http2Response {
    let request = Request::post(format!("http://localhost/api/grpc/{path}"))
        .header("content-type", content_type)
        .header("te", "trailers");
    let mut stream = Http2::open(sidekey.address()).await.begin(request.body(()).unwrap()).await;
    stream.send("call", true).await;
    stream.response().await
}

/// The status of a call, from the head or the trailers.
fn status(response: &Http2Response) -> &str {
    let fields = if response.trailers.is_empty() { &response.headers } else { &response.trailers };
    fields["grpc-status"].to_str().unwrap()
}

/// Revokes all tokens, later than a `min_interval` of 1 ms after the last token request.
async fn revoke(endpoint: &MockTokenEndpoint) {
    tokio::time::sleep(Duration::from_millis(5)).await;
    endpoint.revoke_all();
}

#[tokio::test]
async fn unauthenticated_in_the_head_is_retried_with_new_token() {
    let (upstream, endpoint, sidekey) = sidekey_with_guarded(OFTEN).await;
    for (number, kind) in
        ["application/grpc", "application/grpc+proto", "application/grpc-web"].iter().enumerate()
    {
        revoke(&endpoint).await;
        let response = call(&sidekey, "head", kind).await;
        assert_eq!((status(&response), response.text().as_str()), ("0", "message"), "{kind}");
        assert_eq!((endpoint.request_count(), upstream.requests().len()), (number + 2, 2 * number + 2));
        assert_eq!(upstream.last_request().body, b"call");
    }
    assert_eq!(sidekey.metric("sidekey_upstream_unauthorized_total", &[]).await, Some(3.0));
    let labels = [("reason", "unauthorized"), ("result", "success")];
    assert_eq!(sidekey.metric("sidekey_upstream_retries_total", &labels).await, Some(3.0));
}

#[tokio::test]
async fn unauthenticated_in_trailers_renews_token_for_next_call() {
    let (_upstream, endpoint, sidekey) = sidekey_with_guarded(OFTEN).await;
    for (path, count) in [("late", 2), ("trailers", 3)] {
        revoke(&endpoint).await;
        let response = call(&sidekey, path, "application/grpc").await;
        if path == "late" {
            // The message was passed on.
            assert_eq!((status(&response), response.text().as_str()), ("16", "message"));
        }
        assert_eventually(TIMEOUT, "the token is renewed", async || endpoint.request_count() == count).await;
        assert_eventually(TIMEOUT, "the new token is used", async || {
            status(&call(&sidekey, path, "application/grpc").await) == "0"
        })
        .await;
        assert_eq!(endpoint.request_count(), count);
    }
}

#[tokio::test]
async fn unauthenticated_by_http1_is_retried_as_well() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, OFTEN, "")).start_ready().await;
    let grpc = || MockResponse::status(200).header("Content-Type", "application/grpc");
    for rejected in [
        grpc().header("Grpc-Status", "16"),
        grpc().chunked(10).trailer("grpc-status", "16"),
        grpc().chunked(10).trailer("GRPC-Status", " 16"),
    ] {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let before = endpoint.request_count();
        upstream.next(rejected);
        upstream.next(grpc().body("message").chunked(10).trailer("grpc-status", "0"));
        let call = crate::harness::Request::post(sidekey.url("/api/x"), "call");
        let response = call.header("Content-Type", "application/grpc").send().await;
        assert_eq!(
            (response.text().as_str(), response.trailers.first("grpc-status")),
            ("message", Some("0"))
        );
        assert_eq!(endpoint.request_count(), before + 1);
    }
}

/// The trailers of gRPC-Web are the last frame of the body.
#[tokio::test]
async fn unauthenticated_in_a_body_of_grpc_web_renews_token_for_next_call() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, OFTEN, "")).start_ready().await;
    let frame = |flags: u8, payload: &str| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[flags][..], &length, payload.as_bytes()].concat()
    };
    let body = [frame(0, "message"), frame(0x80, "grpc-status: 16\r\ngrpc-message: no\r\n")].concat();
    let text = BASE64_STANDARD.encode(&body);
    for (kind, body) in
        [("application/grpc-web+proto", body.clone()), ("application/grpc-web-text+proto", text.into_bytes())]
    {
        let response = || MockResponse::ok(body.clone()).header("Content-Type", kind);
        let ways = [
            response(),
            response().chunked(3),
            response().until_closed(),
            response().dribbled(7, Duration::from_millis(1)),
        ];
        for rejected in ways {
            for version in Version::ALL {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let before = endpoint.request_count();
                upstream.next(rejected.clone());
                let call =
                    crate::harness::Request::post(sidekey.url("/api/x"), "call").header("Content-Type", kind);
                assert_eq!(call.by(version).send().await.body, body, "it is passed on unchanged");
                assert_eventually(TIMEOUT, "the token is renewed", async || {
                    endpoint.request_count() > before
                })
                .await;
                assert_eq!(endpoint.request_count(), before + 1);
            }
        }
    }
    let before = endpoint.request_count();
    upstream.next(
        MockResponse::ok(frame(0x80, "grpc-status: 0\r\n")).header("Content-Type", "application/grpc-web"),
    );
    let call = crate::harness::Request::post(sidekey.url("/api/x"), "call");
    assert_eq!(call.header("Content-Type", "application/grpc-web").send().await.status, 200);
    assert_eq!(endpoint.request_count(), before);
}

#[tokio::test]
async fn unauthenticated_without_end_honours_min_interval() {
    let (upstream, endpoint, sidekey) = sidekey_with_guarded("token_request: { min_interval: 1h },").await;
    upstream.guarded(|_| false);
    for _ in 0..20 {
        assert_eq!(status(&call(&sidekey, "head", "application/grpc").await), "16");
    }
    assert_eq!((endpoint.request_count(), upstream.requests().len()), (2, 21));
}

#[tokio::test]
async fn other_status_or_content_type_renews_no_token() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, OFTEN, "")).start_ready().await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    for (kind, code) in [("application/grpc", "7"), ("application/grpc", "0"), ("application/json", "16")] {
        upstream.next(MockResponse::ok("x").header("Content-Type", kind).header("grpc-status", code));
        upstream.next(MockResponse::ok("x").chunked(9).trailer("grpc-status", code));
        for _ in 0..2 {
            let call =
                crate::harness::Request::post(sidekey.url("/api/x"), "call").header("Content-Type", kind);
            assert_eq!(call.send().await.text(), "x");
        }
    }
    assert_eq!((endpoint.request_count(), upstream.request_count()), (1, 6));
}
