//! S3 for an app that has a placeholder in place of a key.

use super::stage::{Api, Stage};
use crate::harness::{MockResponse, MockUpstream, Pki, RecordedRequest};
use crate::suite::credentials::aws_sigv4::verify;

/// A storage that verifies signatures.
fn storage(request: &RecordedRequest) -> MockResponse {
    match verify(request, "the-secret-access-key") {
        Ok(signature) if signature.access_key_id == "AKIAOBJECTS" && signature.scope == "eu-west-1/s3" => {
            MockResponse::ok(if request.method == "GET" { "42" } else { "" })
        }
        other => MockResponse::status(403).header("Content-Type", "application/xml").body(format!(
            "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>{other:?}</Message></Error>"
        )),
    }
}

#[tokio::test]
async fn documented_s3_commands_do_what_is_said() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls(&pki).await;
    upstream.respond_with(storage);
    let api = Api {
        service: "objects",
        documented: "s3.eu-west-1.amazonaws.com",
        here: &format!("localhost:{}", upstream.address().port()),
        secret: "[default]\naws_access_key_id = AKIAOBJECTS\naws_secret_access_key = the-secret-access-key\n",
    };
    Stage::set("S3", &pki, api).await.run_all(async |_| ()).await;
}
