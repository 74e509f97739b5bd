//! httpbin as an upstream that checks credentials: it rejects a direct request and accepts Sidekey's.

use crate::harness::{Curl, Httpbin, Pki, Sidekey};

/// One service for each kind of credential: its name, its credential, and a path that shows or checks it.
const KINDS: [(&str, &str, &str); 6] = [
    ("basic", "{ type: basic, username: svc, password: 's3cret' }", "/basic-auth/svc/s3cret"),
    ("hidden", "{ type: basic, username: svc, password: 's3cret' }", "/hidden-basic-auth/svc/s3cret"),
    ("bearer", "{ type: bearer, token: t0ken }", "/bearer"),
    ("header", "{ type: api_key, in: header, name: X-API-Key, value: k3y }", "/headers"),
    ("query", "{ type: api_key, in: query, name: key, value: k3y }", "/get"),
    ("cookie", "{ type: api_key, in: cookie, name: key, value: k3y }", "/cookies"),
];

#[tokio::test]
async fn httpbin_accepts_each_credential_over_both_versions() {
    let pki = Pki::new();
    let httpbin = Httpbin::start(&pki).await;
    let service = |(name, auth, _): &(&str, &str, &str)| {
        let (url, ca) = (httpbin.url(), pki.ca_file());
        format!("{name}: {{ upstream: '{url}', tls: {{ ca_file: '{ca}' }}, auth: {auth} }}\n")
    };
    let sidekey = Sidekey::serving(&KINDS.iter().map(service).collect::<String>()).start().await;
    for (kind, _, path) in KINDS {
        let bare = Curl::call(&["--cacert", &pki.ca_file(), &format!("{}{path}", httpbin.url())], b"").await;
        assert!(matches!(bare.status, 401 | 404) || !bare.text().contains("k3y"), "{kind}: {}", bare.text());
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let answer = Curl::call(&[version, &sidekey.url(&format!("/{kind}{path}"))], b"").await;
            let shown = ["\"authenticated\": true", "\"authenticated\":true", "k3y"];
            assert_eq!(answer.status, 200, "{kind}, {version}");
            assert!(shown.iter().any(|shown| answer.text().contains(shown)), "{kind}: {}", answer.text());
        }
    }
}
