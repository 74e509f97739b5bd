//! gRPC, with grpcio at both ends: every kind of call behaves as without Sidekey.

use crate::harness::{GrpcServer, MockResponse, MockUpstream, Pki, Sidekey, grpc_calls, httpx_calls};

/// A Sidekey whose service `api` has its own listener, because a path `/package.Service/Method` has no
/// service prefix.
async fn sidekey_for(server: &GrpcServer, more: &str) -> Sidekey {
    let services = format!(
        "api: {{ upstream: '{}', listen: 127.0.0.1:0, auth: {{ type: bearer, token: t0ken }}{more} }}",
        server.url()
    );
    Sidekey::serving(&services).start().await
}

fn address(sidekey: &Sidekey) -> String {
    sidekey.service_url("api", "").trim_start_matches("http://").to_owned()
}

#[tokio::test]
async fn grpc_calls_behave_as_without_sidekey() {
    let (direct, server) = (GrpcServer::plain().await, GrpcServer::plain().await);
    let sidekey = sidekey_for(&server, ", protocol: http2").await;
    let expected = grpc_calls(&direct.address(), "Bearer t0ken").await;
    assert_eq!(expected["both"][0][19], "re: turn 19", "{expected}");
    assert_eq!((&expected["deadline"], &expected["many"]), (&"DEADLINE_EXCEEDED".into(), &true.into()));
    assert_eq!(expected["ended at the server"], "2");
    let seen = grpc_calls(&address(&sidekey), "Bearer evil").await;
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn grpc_calls_over_tls_need_no_protocol_key() {
    let pki = Pki::new();
    let (direct, server) = (GrpcServer::plain().await, GrpcServer::tls(&pki).await);
    let sidekey = sidekey_for(&server, &format!(", tls: {{ ca_file: '{}' }}", pki.ca_file())).await;
    let expected = grpc_calls(&direct.address(), "Bearer t0ken").await;
    assert_eq!(grpc_calls(&address(&sidekey), "Bearer evil").await, expected);
}

#[tokio::test]
async fn httpx_over_http2_reaches_http1_upstream() {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::ok(vec![b'x'; 100_000]));
    let sidekey = crate::suite::http::setup::sidekey_for(&upstream).await;
    let seen = httpx_calls(&sidekey.url("/api")).await;
    let answer = |length: usize| serde_json::json!(["HTTP/2", 200, length]);
    let whole = || answer(100_000);
    assert_eq!(seen, serde_json::json!([whole(), answer(0), whole(), whole(), whole()]));
    let requests = upstream.requests();
    assert_eq!(
        (requests[0].target.as_str(), requests[0].header("cookie")),
        ("/get?a=%20&b", Some("a=1; b=2"))
    );
    assert_eq!((requests[2].body.len(), requests[3].body.len()), (300_000, 50_000));
}
