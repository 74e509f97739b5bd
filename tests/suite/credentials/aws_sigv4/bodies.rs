//! Bodies: what is signed of them, and which are refused.

use ring::digest;

use super::verifier::hex;
use super::{SECRET, config, verify};
use crate::harness::{MockUpstream, Pki, Request, Sidekey};

const LARGE: usize = 70_000;

async fn over_tls(service: &str, auth: &str) -> (MockUpstream, Sidekey) {
    let pki = Pki::new();
    let upstream = MockUpstream::tls(&pki).await;
    let more = format!(", tls: {{ ca_file: {} }}", pki.ca_file());
    let sidekey = Sidekey::serving(&config(&upstream.url(), service, auth, &more)).start_ready().await;
    (upstream, sidekey)
}

#[tokio::test]
async fn large_body_for_s3_by_tls_is_sent_unsigned() {
    let (upstream, sidekey) = over_tls("s3", "").await;
    for (size, payload) in [(LARGE, Some("UNSIGNED-PAYLOAD")), (65_536, None)] {
        let body = vec![b'x'; size];
        let response = Request::new("PUT", sidekey.url("/api/b/k")).body(body.clone()).send().await;
        assert_eq!(response.status, 200);
        let request = upstream.last_request();
        assert_eq!(request.body.len(), size);
        let hash = hex(digest::digest(&digest::SHA256, &body).as_ref());
        assert_eq!(verify(&request, SECRET).unwrap().payload, payload.unwrap_or(&hash));
    }
    let chunked = Request::new("PUT", sidekey.url("/api/b/k")).body(vec![b'y'; LARGE]).chunked(1000);
    assert_eq!(chunked.send().await.status, 200);
    assert_eq!(verify(&upstream.last_request(), SECRET).unwrap().payload, "UNSIGNED-PAYLOAD");
}

#[tokio::test]
async fn hash_that_the_caller_states_is_signed_for_a_large_body() {
    let upstream = MockUpstream::plain().await;
    let body = vec![b'z'; 3 * LARGE];
    let hash = hex(digest::digest(&digest::SHA256, &body).as_ref());
    for service in ["s3", "glacier"] {
        let sidekey = Sidekey::serving(&config(&upstream.url(), service, "", "")).start_ready().await;
        let call = Request::new("PUT", sidekey.url("/api/b/k")).body(body.clone());
        assert_eq!(call.header("X-Amz-Content-Sha256", &hash).send().await.status, 200);
        let request = upstream.last_request();
        assert_eq!(request.body.len(), body.len());
        assert_eq!(verify(&request, SECRET).unwrap().payload, hash);
    }
}

#[tokio::test]
async fn large_body_that_must_be_signed_is_refused_in_words() {
    let (s3, tls) = over_tls("s3", ", payload: signed").await;
    let upstream = MockUpstream::plain().await;
    for (service, auth) in [("execute-api", ""), ("s3", ""), ("es", ", payload: signed")] {
        let sidekey = Sidekey::serving(&config(&upstream.url(), service, auth, "")).start_ready().await;
        let response = Request::post(sidekey.url("/api/x"), vec![b'x'; LARGE]).send().await;
        assert_eq!((response.status, response.sidekey_error()), (413, Some("too_large")), "{service}");
        assert!(response.text().contains("signs the body"), "{}", response.text());
    }
    assert_eq!(Request::post(tls.url("/api/x"), vec![b'x'; LARGE]).send().await.status, 413);
    assert!(upstream.requests().is_empty() && s3.requests().is_empty());
    let services = config(&upstream.url(), "aoss", ", payload: unsigned", "");
    let sidekey = Sidekey::serving(&services).start_ready().await;
    assert_eq!(Request::post(sidekey.url("/api/x"), vec![b'x'; LARGE]).send().await.status, 200);
    assert_eq!(verify(&upstream.last_request(), SECRET).unwrap().payload, "UNSIGNED-PAYLOAD");
}

#[tokio::test]
async fn chunks_that_the_caller_signed_are_refused_in_words() {
    let (upstream, sidekey) = over_tls("s3", "").await;
    let signature = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648";
    let body = format!(
        "5;chunk-signature={signature}\r\nhello\r\n0;chunk-signature={signature}\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    );
    for word in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"] {
        let call = Request::new("PUT", sidekey.url("/api/b/k"))
            .body(body.clone())
            .header("Content-Encoding", "aws-chunked")
            .header("X-Amz-Decoded-Content-Length", "5")
            .header("X-Amz-Content-Sha256", word);
        let response = call.send().await;
        assert_eq!((response.status, response.sidekey_error()), (400, Some("bad_request")), "{word}");
        assert!(response.text().contains("chunked encoding"), "{}", response.text());
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn chunks_without_signature_are_passed_on_with_a_new_one() {
    let (upstream, sidekey) = over_tls("s3", "").await;
    let word = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    let body = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let call = Request::new("PUT", sidekey.url("/api/b/k"))
        .body(body)
        .header("Content-Encoding", "aws-chunked")
        .header("X-Amz-Trailer", "x-amz-checksum-crc32")
        .header("X-Amz-Decoded-Content-Length", "5")
        .header("X-Amz-Content-Sha256", word);
    assert_eq!(call.send().await.status, 200);
    let request = upstream.last_request();
    assert_eq!(request.text(), body);
    let signature = verify(&request, SECRET).unwrap();
    assert_eq!(signature.payload, word);
    assert!(signature.signed_headers.iter().any(|name| name == "x-amz-trailer"));
}
