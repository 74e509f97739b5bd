//! boto3, whose signature covers `Host` and the path.

use super::sigv4::is_signed;
use super::stage::{Api, SECRET_KEY, Stage};
use crate::harness::{MockResponse, MockUpstream, Pki, RecordedRequest};

/// A gateway that demands a key of its own, in front of a storage that verifies the app's signature.
fn storage(request: &RecordedRequest) -> MockResponse {
    let error = |code: &str| {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
        MockResponse::status(403).header("Content-Type", "application/xml").body(body)
    };
    match request.header("x-gateway-key") {
        Some("g4teway") if is_signed(request, SECRET_KEY) => MockResponse::ok(match &*request.method {
            "GET" => "42",
            _ => "",
        }),
        Some("g4teway") => error("SignatureDoesNotMatch"),
        _ => error("NoGatewayKey"),
    }
}

#[tokio::test]
async fn documented_boto3_commands_do_what_is_said() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls(&pki).await;
    upstream.respond_with(storage);
    let api = Api {
        service: "s3",
        documented: "s3.example.com",
        here: &format!("localhost:{}", upstream.address().port()),
        secret: "g4teway",
    };
    Stage::set("boto3", &pki, api).await.run_all(async |_| ()).await;
}
