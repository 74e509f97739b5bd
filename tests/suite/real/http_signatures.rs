//! `type: http_signature` on the wire, verified by `http-message-signatures`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::harness::{
    MockHttp2Upstream, MockResponse, MockUpstream, Pki, RecordedRequest, Request, Sidekey, SignedRequest,
    http_signatures_verify, openssl,
};

const COMPONENTS: &str = r#"["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query",
    '@query-param;name="a"', content-type, content-length, content-digest, 'priority;key="u"', priority;sf, x-two, x-two;bs]"#;

/// A service that signs with a key in `$DIR/key`.
fn service(upstream: &str, algorithm: &str, components: &str, more: &str) -> String {
    format!(
        "api: {{ upstream: '{upstream}/base', auth: {{ type: http_signature, algorithm: {algorithm}, key: {{ file: $DIR/key }}, \
         key_id: the-key, components: {components}{more} }} }}"
    )
}

/// A request for the verifier.
fn signed<'a>(
    origin: &str,
    request: &'a RecordedRequest,
    algorithm: &'a str,
    key: &'a str,
) -> SignedRequest<'a> {
    SignedRequest {
        method: &request.method,
        url: format!("{origin}{}", request.target),
        target: &request.target,
        fields: request.headers.0.clone(),
        body: &request.body,
        algorithm,
        key,
        key_id: "the-key",
    }
}

#[tokio::test]
async fn verifier_accepts_every_algorithm_over_both_versions() {
    for (algorithm, generated) in [
        ("hmac-sha256", ""),
        ("ed25519", "genpkey -algorithm ED25519"),
        ("ecdsa-p256-sha256", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
        ("ecdsa-p384-sha384", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
        ("rsa-pss-sha512", "genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048"),
        ("rsa-v1_5-sha256", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    ] {
        let upstream = MockUpstream::plain().await;
        let key =
            if generated.is_empty() { "a shared canary key".to_owned() } else { openssl(generated).await };
        let more = ", expires_in: 5m, nonce: true, send_algorithm: true, tag: ledger, label: led";
        let services = service(&upstream.url(), algorithm, COMPONENTS, more);
        let sidekey = Sidekey::serving(&services).file("key", &key).start_ready().await;
        let post = || {
            Request::post(sidekey.url("/api/x%20y?a=b+c%2F&d"), "{\"body\": 1}")
                .header("Content-Type", "application/json")
                .header("Priority", "u=1 ,i")
                .header("X-Two", "one, two")
                .header("X-Two", "three")
                .header("Signature", "led=:AAAA:")
                .header("Signature-Input", "led=();created=1")
                .header("content-digest", "sha-256=:AAAA:")
        };
        for request in [post(), post().over_http2(), Request::get(sidekey.url("/api"))] {
            assert_eq!(request.send().await.status, 200, "{algorithm}");
        }
        let requests = upstream.requests();
        let shown = if generated.is_empty() { BASE64_STANDARD.encode(&key) } else { key.clone() };
        let requests: Vec<_> =
            requests.iter().map(|request| signed(&upstream.url(), request, algorithm, &shown)).collect();
        let verified = http_signatures_verify(&requests).await;
        for (index, result) in verified.iter().enumerate() {
            assert_eq!(result["label"], "led", "{algorithm}: {result}");
            assert_eq!(result["parameters"]["alg"], algorithm, "{result}");
            assert_eq!(result["parameters"]["tag"], "ledger", "{result}");
            let seconds = |name: &str| result["parameters"][name].as_u64().unwrap();
            assert_eq!(seconds("expires") - seconds("created"), 300);
            // What the GET does not have is not covered.
            let covered = result["covered"].as_object().unwrap();
            assert_eq!(covered.len(), if index < 2 { 16 } else { 8 }, "{result}");
            assert_eq!(result["body"], index < 2);
        }
        assert_eq!(verified[0]["covered"]["\"@query-param\";name=\"a\""], "b%20c%2F");
        assert_eq!(
            verified[0]["covered"]["\"@target-uri\""],
            format!("{}/base/x%20y?a=b+c%2F&d", upstream.url())
        );
        assert_ne!(verified[0]["parameters"]["nonce"], verified[1]["parameters"]["nonce"]);
        assert!(!sidekey.log().contains("canary") && !sidekey.log().contains("PRIVATE"));
    }
}

#[tokio::test]
async fn verifier_accepts_what_an_http2_upstream_gets() {
    let pki = Pki::new();
    let upstream = MockHttp2Upstream::tls(&pki, &["h2"]).await;
    let key = openssl("genpkey -algorithm ED25519").await;
    let services = service(&upstream.url(), "ed25519", COMPONENTS, "")
        .replace("auth:", &format!("protocol: http2, tls: {{ ca_file: '{}' }}, auth:", pki.ca_file()));
    let sidekey = Sidekey::serving(&services).file("key", &key).start_ready().await;
    let post = Request::post(sidekey.url("/api/x?a=1"), "body").header("X-Two", "three");
    for request in [post, Request::get(sidekey.url("/api/y")).over_http2()] {
        assert_eq!(request.send().await.status, 200);
    }
    let requests = upstream.requests();
    let targets: Vec<_> =
        requests.iter().map(|request| request.uri.path_and_query().unwrap().as_str().to_owned()).collect();
    let requests: Vec<_> = requests
        .iter()
        .zip(&targets)
        .map(|(request, target)| SignedRequest {
            method: request.method.as_str(),
            url: format!("https://{}{target}", request.uri.authority().unwrap()),
            target,
            fields: request
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect(),
            body: &request.body,
            algorithm: "ed25519",
            key: &key,
            key_id: "the-key",
        })
        .collect();
    let verified = http_signatures_verify(&requests).await;
    assert_eq!(verified[0]["body"], true, "{verified:?}");
    assert_eq!(verified[1]["covered"]["\"@path\""], "/base/y", "{verified:?}");
}

#[tokio::test]
async fn signature_is_made_again_for_a_request_that_is_sent_again() {
    let upstream = MockUpstream::plain().await;
    let services = service(&upstream.url(), "hmac-sha256", "['@path', content-digest]", ", nonce: true");
    let sidekey = Sidekey::serving(&services).file("key", "canary").start_ready().await;
    assert_eq!(sidekey.get("/api/a").await.status, 200);
    upstream.next(MockResponse::close_unanswered());
    assert_eq!(sidekey.get("/api/a").await.status, 200);
    let requests = upstream.requests();
    let inputs: Vec<_> = requests.iter().map(|request| request.header("signature-input").unwrap()).collect();
    assert_eq!(inputs.len(), 3);
    assert_ne!(inputs[1], inputs[2]);
}

#[tokio::test]
async fn request_that_has_no_signature_is_refused_in_words() {
    let upstream = MockUpstream::plain().await;
    let components = "['@query-param;name=\"a\"', x-text, priority;sf, content-digest]";
    let services = service(&upstream.url(), "hmac-sha256", components, "");
    let sidekey = Sidekey::serving(&services).file("key", "canary").start_ready().await;
    for (request, status, why) in [
        (Request::get(sidekey.url("/api/a?a=1&%61=2")), 400, "twice"),
        (Request::get(sidekey.url("/api/a")).header("X-Text", "\u{e9}"), 400, "beyond ASCII"),
        (Request::get(sidekey.url("/api/a")).header("Priority", "u=,"), 400, "malformed"),
        (Request::post(sidekey.url("/api/a?a=1&a=1"), "body"), 400, "twice"),
        (Request::post(sidekey.url("/api/a"), "x".repeat(65_537)), 413, "64 KiB"),
    ] {
        let response = request.send().await;
        assert_eq!(response.status, status, "{}", response.text());
        assert!(response.text().contains(why), "{}", response.text());
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn digest_of_the_caller_is_signed_if_configured() {
    let upstream = MockUpstream::plain().await;
    let key = BASE64_STANDARD.encode("canary");
    let services =
        service(&upstream.url(), "hmac-sha256", "['@path', content-digest]", ", content_digest: caller");
    let sidekey = Sidekey::serving(&services).file("key", "canary").start_ready().await;
    let body = "x".repeat(200_000);
    let hash = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    let own = format!("sha-256=:{}:", BASE64_STANDARD.encode(hash));
    let call = Request::post(sidekey.url("/api/a"), body).header("Content-Digest", &own);
    assert_eq!(call.send().await.status, 200);
    let request = upstream.only_request();
    let verified = http_signatures_verify(&[signed(&upstream.url(), &request, "hmac-sha256", &key)]).await;
    assert_eq!(verified[0]["body"], true, "{verified:?}");
}

#[tokio::test]
async fn previous_key_signs_until_the_new_one_is_known() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(|request| {
        let is_old =
            request.header("signature-input").is_some_and(|input| input.contains("keyid=\"old-key\""));
        if is_old { MockResponse::ok("ok") } else { MockResponse::status(401) }
    });
    let more = ", previous: old-canary, previous_key_id: old-key";
    let services = service(&upstream.url(), "hmac-sha256", "['@path']", more);
    let sidekey = Sidekey::serving(&services).file("key", "canary").start_ready().await;
    for _ in 0..2 {
        assert_eq!(sidekey.get("/api/a").await.status, 200);
    }
    assert_eq!(upstream.request_count(), 3);
    sidekey.logged_like("the upstream rejects the new secret").await;
}
