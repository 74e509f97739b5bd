//! Bodies: what is signed of them, and which are refused.

use ring::digest;

use super::verifier::hex;
use super::{ID, SECRET, config, verify};
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
async fn what_the_caller_states_of_a_body_is_signed_beside_another_credential() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls(&pki).await;
    let signing = |service: &str| {
        format!(
            "{{ type: aws_sigv4, service: {service}, region: eu-west-1, access_key_id: {ID}, secret_access_key: {SECRET} }}"
        )
    };
    for (service, of_body) in [
        ("execute-api", hex(digest::digest(&digest::SHA256, b"{}").as_ref())),
        ("s3", "STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned()),
    ] {
        let services = format!(
            "api: {{ upstream: '{}', tls: {{ ca_file: {} }}, auth: [{{ type: api_key, name: X-Api-Key, value: k-canary }}, {}] }}",
            upstream.url(),
            pki.ca_file(),
            signing(service)
        );
        let sidekey = Sidekey::serving(&services).start_ready().await;
        let call =
            Request::post(sidekey.url("/api/x"), b"{}".to_vec()).header("X-Amz-Content-Sha256", &of_body);
        assert_eq!(call.send().await.status, 200, "{service}");
        let request = upstream.last_request();
        assert_eq!(request.headers.all("x-api-key"), ["k-canary"]);
        assert_eq!(request.headers.all("x-amz-content-sha256"), [of_body.as_str()]);
        assert_eq!(verify(&request, SECRET).unwrap().payload, of_body);
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

const SIGNATURE: &str = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648";

/// A body in chunks of this size, each signed by the caller, with a checksum behind them.
fn signed_chunks(content: &[u8], size: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in content.chunks(size) {
        body.extend_from_slice(format!("{:x};chunk-signature={SIGNATURE}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    let end = format!(
        "0;chunk-signature={SIGNATURE}\r\nx-amz-checksum-crc32:NhCmhg==\r\nx-amz-trailer-signature:{SIGNATURE}\r\n\r\n"
    );
    body.extend_from_slice(end.as_bytes());
    body
}

fn put_chunks(sidekey: &Sidekey, body: Vec<u8>, length: usize, word: &str) -> Request {
    Request::new("PUT", sidekey.url("/api/b/k?x=1"))
        .body(body)
        .header("Content-Encoding", "aws-chunked")
        .header("X-Amz-Decoded-Content-Length", &length.to_string())
        .header("X-Amz-Trailer", "x-amz-checksum-crc32")
        .header("X-Amz-Content-Sha256", word)
}

#[tokio::test]
async fn chunks_that_the_caller_signed_are_unwrapped_and_signed_again() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::serving(&config(&upstream.url(), "s3", "", "")).start_ready().await;
    for (length, size) in [(5, 5), (50_000, 8192), (0, 1)] {
        for word in [
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            // Without TLS the service does not accept it.
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        ] {
            let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let call = put_chunks(&sidekey, signed_chunks(&content, size), length, word);
            for call in [call.clone(), call.over_http2()] {
                let response = call.send().await;
                assert_eq!(response.status, 200, "{word} {length}: {}", response.text());
                let request = upstream.last_request();
                assert_eq!(request.body, content, "{word}");
                assert_eq!(request.header("content-length"), Some(length.to_string().as_str()));
                assert_eq!(request.header("x-amz-checksum-crc32"), Some("NhCmhg=="));
                for name in
                    ["content-encoding", "transfer-encoding", "x-amz-trailer", "x-amz-decoded-content-length"]
                {
                    assert_eq!(request.header(name), None, "{name}");
                }
                let hash = hex(digest::digest(&digest::SHA256, &content).as_ref());
                assert_eq!(verify(&request, SECRET).unwrap().payload, hash);
            }
        }
    }
    // The next request on the connection is read from where the body ended.
    let body = signed_chunks(b"hello", 5);
    let head = format!(
        "PUT /api/b/k HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: aws-chunked\r\nContent-Length: {}\r\n\
         X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n\r\n",
        body.len()
    );
    let mut connection = sidekey.connect().await;
    let next = b"GET /api/b/next HTTP/1.1\r\nHost: localhost\r\n\r\n";
    connection.send([head.as_bytes(), &body, next].concat()).await;
    assert_eq!((connection.response().await.status, connection.response().await.status), (200, 200));
    assert_eq!(upstream.last_request().target, "/b/next");
}

#[tokio::test]
async fn chunks_that_are_too_large_or_wrong_are_refused_in_words() {
    let (upstream, sidekey) = over_tls("s3", "").await;
    let word = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let cut = signed_chunks(b"hello", 5)[..40].to_vec();
    for (body, length, expected) in [
        (signed_chunks(&vec![b'x'; LARGE], LARGE), LARGE, "switch chunked encoding off"),
        (cut, 5, "not in the chunks"),
        (signed_chunks(b"hello", 5), 6, "not in the chunks"),
        (b"hello".to_vec(), 5, "not in the chunks"),
    ] {
        let response = put_chunks(&sidekey, body, length, word).send().await;
        assert_eq!((response.status, response.sidekey_error()), (400, Some("bad_request")), "{expected}");
        assert!(response.text().contains(expected), "{}", response.text());
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
