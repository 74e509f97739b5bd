//! Signatures, verified over what the upstream received.

use std::fs;

use super::{ID, SECRET, config, verify};
use crate::harness::{MockResponse, MockUpstream, RecordedRequest, Request, Sidekey, assert_eventually};

const PATHS: [&str; 9] = [
    "/",
    "/bucket/JULY%2027%20TO%2031.zip",
    "/bucket/mac@2x.png",
    "/bucket/x_$folder$",
    "/bucket/a+b=c",
    "/bucket/%E1%88%B4?list-type=2&prefix=a%2Fb%20c&delimiter=%2F",
    "/bucket?acl",
    "/bucket/key?b=2&a=1&a=0&empty=",
    "/bucket/100%25",
];

/// Answers 200 if the signature is right, else 403 with the reason.
fn verifying(secret: &'static str) -> impl Fn(&RecordedRequest) -> MockResponse + Send + Sync + 'static {
    move |request| match verify(request, secret) {
        Ok(_) => MockResponse::ok("signed"),
        Err(why) => MockResponse::status(403).body(why),
    }
}

#[tokio::test]
async fn signature_is_right_for_every_path_and_method() {
    for service in ["s3", "execute-api"] {
        let upstream = MockUpstream::plain().await;
        upstream.respond_with(verifying(SECRET));
        for base in ["", "/base"] {
            let services = config(&format!("{}{base}", upstream.url()), service, "", "");
            let sidekey = Sidekey::serving(&services).start_ready().await;
            for path in PATHS {
                for (method, body) in [("GET", ""), ("PUT", "content"), ("DELETE", ""), ("HEAD", "")] {
                    let call = Request::new(method, sidekey.url(&format!("/api{path}"))).body(body);
                    let response = call
                        .header("Content-Type", "text/plain; charset=utf-8")
                        .header("X-Amz-Meta-Name", "two   words")
                        .send()
                        .await;
                    assert_eq!(response.status, 200, "{service} {method} {base}{path}: {}", response.text());
                    assert_eq!(upstream.last_request().target, format!("{base}{path}"), "byte for byte");
                }
            }
        }
        let signature = verify(&upstream.last_request(), SECRET).unwrap();
        assert_eq!(
            (signature.access_key_id.as_str(), signature.scope.as_str()),
            (ID, format!("eu-west-1/{service}").as_str())
        );
        for name in ["content-type", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-name"] {
            assert!(signature.signed_headers.iter().any(|signed| signed == name), "{name}");
        }
    }
}

#[tokio::test]
async fn signature_of_the_caller_is_removed() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(verifying(SECRET));
    for place in ["header", "query"] {
        let auth = format!(", session_token: session-token-canary, in: {place}");
        let sidekey = Sidekey::serving(&config(&upstream.url(), "s3", &auth, "")).start_ready().await;
        let target = "/api/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=PLACEHOLDER%2F20150830&list-type=2\
                      &X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token=PLACEHOLDER\
                      &X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-Signature=PLACEHOLDER";
        let call = Request::get(sidekey.url(target))
            .header("Authorization", "AWS4-HMAC-SHA256 Credential=PLACEHOLDER/20150830/a/s3/aws4_request")
            .header("X-Amz-Date", "20150830T123600Z")
            .header("X-Amz-Security-Token", "PLACEHOLDER")
            .header("x_amz_security_token", "PLACEHOLDER")
            .header("X-Amz-Region-Set", "PLACEHOLDER")
            .header("X-Amz-Content-Sha256", "PLACEHOLDER");
        let response = call.send().await;
        assert_eq!(response.status, 200, "{place}: {}", response.text());
        let request = upstream.last_request();
        let raw = String::from_utf8_lossy(&request.raw_head).into_owned();
        assert!(!raw.contains("PLACEHOLDER") && !raw.contains("20150830"), "{raw}");
        assert!(request.target.starts_with("/bucket/key?list-type=2"), "{raw}");
        let signature = verify(&request, SECRET).unwrap();
        assert_eq!(signature.session_token.as_deref(), Some("session-token-canary"));
        assert_eq!(request.header("authorization").is_some(), place == "header");
    }
}

#[tokio::test]
async fn presigned_url_in_a_response_is_passed_on() {
    let upstream = MockUpstream::plain().await;
    let url =
        "https://bucket.s3.eu-west-1.amazonaws.com/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0a1b";
    upstream.respond_with(move |_| MockResponse::status(302).header("Location", url));
    let sidekey = Sidekey::serving(&config(&upstream.url(), "execute-api", "", "")).start_ready().await;
    assert_eq!(sidekey.get("/api/download").await.header("location"), Some(url));
}

#[tokio::test]
async fn signature_is_right_over_http2() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(verifying(SECRET));
    let sidekey = Sidekey::serving(&config(&upstream.url(), "es", "", "")).start_ready().await;
    let call = Request::post(sidekey.url("/api/_search?q=a"), "query").header("x-amz-target", "Search");
    let response = call.over_http2().send().await;
    assert_eq!(response.status, 200, "{}", response.text());
}

#[tokio::test]
async fn changed_key_file_is_followed() {
    let upstream = MockUpstream::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret-access-key");
    fs::write(&file, SECRET).unwrap();
    let services = format!(
        "api: {{ upstream: '{}', auth: {{ type: aws_sigv4, service: sqs, region: eu-west-1, access_key_id: {ID}, \
         secret_access_key: {{ file: {} }} }} }}",
        upstream.url(),
        file.display()
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    verify(&upstream.last_request(), SECRET).unwrap();
    fs::write(&file, "another-secret-access-key").unwrap();
    assert_eventually(crate::harness::TIMEOUT, "the new key is used", async || {
        sidekey.get("/api/x").await;
        verify(&upstream.last_request(), "another-secret-access-key").is_ok()
    })
    .await;
}

#[tokio::test]
async fn session_token_is_masked_in_a_response_and_no_key_is_logged() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(|request| {
        MockResponse::status(403).header("X-Sent", request.header("x-amz-security-token").unwrap())
    });
    let services = config(&upstream.url(), "s3", ", session_token: session-token-canary", "");
    let sidekey = Sidekey::serving(&services).env("RUST_LOG", "trace").start_ready().await;
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.header("x-sent")), (403, Some("********************")));
    let shown = sidekey.log() + &sidekey.metrics().await;
    assert!(!shown.contains("session-token-canary") && !shown.contains(SECRET));
}
