//! nginx as an upstream that rejects missing and wrong credentials; curl and Python's requests as callers.

use serde_json::json;

use crate::harness::{Curl, Nginx, Pki, Sidekey, python_requests};

const MIB: usize = 1024 * 1024;

/// Each path requires another credential; all of them lead to the same file store.
const HTTP: &str = r#"
    map $http_x_api_key     $header_key { "h3ader-key" 1; default 0; }
    map $arg_key            $query_key  { "qu3ry-key"  1; default 0; }
    map $cookie_session_key $cookie_key { "c00kie-key" 1; default 0; }
    map $request_method     $as_stored  { POST PUT; default $request_method; }
    server {
        listen unix:$DIR/store.sock;
        root $DIR/store;
        dav_methods PUT DELETE;
        create_full_put_path on;
    }
"#;
const SERVER: &str = r#"
        proxy_method $as_stored;
        location /basic/ {
            auth_basic "office";
            auth_basic_user_file $DIR/htpasswd;
            proxy_pass http://unix:$DIR/store.sock:/;
        }
        location /bearer/ {
            if ($http_authorization != "Bearer b3arer.t0k-en") { return 401; }
            proxy_pass http://unix:$DIR/store.sock:/;
        }
        location /header/ {
            if ($header_key = 0) { return 403; }
            proxy_pass http://unix:$DIR/store.sock:/;
        }
        location /query/ {
            if ($query_key = 0) { return 403; }
            proxy_pass http://unix:$DIR/store.sock:/;
        }
        location /cookie/ {
            if ($cookie_key = 0) { return 403; }
            proxy_pass http://unix:$DIR/store.sock:/;
        }
"#;
const KINDS: [(&str, &str); 5] = [
    ("basic", "{ type: basic, username: svc-billing, password: 'p@ss:wörd' }"),
    ("bearer", "{ type: bearer, token: b3arer.t0k-en }"),
    ("header", "{ type: api_key, in: header, name: X-API-Key, value: h3ader-key }"),
    ("query", "{ type: api_key, in: query, name: key, value: qu3ry-key }"),
    ("cookie", "{ type: api_key, in: cookie, name: session_key, value: c00kie-key }"),
];
const WRONG: [(&str, &str); 5] = [
    ("basic", "{ type: basic, username: svc-billing, password: wrong }"),
    ("bearer", "{ type: bearer, token: wrong }"),
    ("header", "{ type: api_key, in: header, name: X-API-Key, value: wrong }"),
    ("query", "{ type: api_key, in: query, name: key, value: wrong }"),
    ("cookie", "{ type: api_key, in: cookie, name: session_key, value: wrong }"),
];

async fn nginx_store(pki: &Pki) -> Nginx {
    Nginx::https(pki, HTTP, SERVER, async |dir| {
        std::fs::create_dir(dir.join("store")).unwrap();
        std::fs::write(dir.join("htpasswd"), Nginx::htpasswd("svc-billing", "p@ss:wörd").await).unwrap();
    })
    .await
}

async fn sidekey(pki: &Pki, nginx: &Nginx, kinds: &[(&str, &str)]) -> Sidekey {
    let service = |(name, auth): &(&str, &str)| {
        let (url, ca) = (nginx.url(), pki.ca_file());
        format!("{name}: {{ upstream: '{url}/{name}', tls: {{ ca_file: '{ca}' }}, auth: {auth} }}\n")
    };
    Sidekey::serving(&kinds.iter().map(service).collect::<String>()).start_ready().await
}

fn noise(length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(..)).take(length).collect()
}

#[tokio::test]
async fn nginx_accepts_each_credential_from_curl() {
    let pki = Pki::new();
    let nginx = nginx_store(&pki).await;
    let sidekey = sidekey(&pki, &nginx, &KINDS).await;
    let large = noise(5 * MIB);
    for (kind, _) in KINDS {
        let direct =
            Curl::call(&["--cacert", &pki.ca_file(), &format!("{}/{kind}/x", nginx.url())], b"").await;
        assert!(matches!(direct.status, 401 | 403), "nginx guards /{kind}/: {}", direct.status);

        let url = sidekey.url(&format!("/{kind}/files/of%20{kind}"));
        assert_eq!(Curl::call(&["-T", "-", &url], &large).await.status, 201, "{kind}: PUT in chunks");
        let download = Curl::get(&url).await;
        assert_eq!(download.status, 200, "{kind}: GET");
        assert!(download.body == large, "{kind}: the download is not what was uploaded");
        assert_eq!(Curl::call(&["--head", &url], b"").await.status, 200, "{kind}: HEAD");
        assert_eq!(Curl::call(&["-X", "DELETE", &url], b"").await.status, 204, "{kind}: DELETE");
        assert_eq!(Curl::get(&url).await.status, 404, "{kind}: GET after DELETE");

        let posted = Curl::call(&["--data-binary", "@-", &url], &large).await;
        assert_eq!(posted.status, 201, "{kind}: POST with Content-Length");
        assert!(Curl::get(&url).await.body == large, "{kind}: the download is not what was posted");
    }
}

#[tokio::test]
async fn nginx_accepts_each_credential_from_python_requests() {
    let pki = Pki::new();
    let nginx = nginx_store(&pki).await;
    let sidekey = sidekey(&pki, &nginx, &KINDS).await;
    let calls = |kind: &str| {
        let url = sidekey.url(&format!("/{kind}/inbox/{kind}"));
        [
            json!({ "method": "PUT", "url": url, "random_bytes": 5 * MIB, "seed": 1 }),
            json!({ "method": "GET", "url": url }),
            json!({ "method": "POST", "url": url, "text": "short" }),
            json!({ "method": "GET", "url": url }),
            json!({ "method": "HEAD", "url": url }),
            json!({ "method": "DELETE", "url": url }),
        ]
    };
    let all: Vec<_> = KINDS.iter().flat_map(|(kind, _)| calls(kind)).collect();
    let results = python_requests(&all.into()).await;
    for ((kind, _), results) in KINDS.iter().zip(results.chunks(6)) {
        let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
        assert_eq!(statuses, [201, 200, 204, 200, 200, 204], "{kind}");
        assert_eq!(results[1]["length"], 5 * MIB, "{kind}");
        assert_eq!(results[1]["sha256"], results[0]["sent_sha256"], "{kind}");
        assert_eq!(results[3]["text"], "short", "{kind}");
        assert_eq!(results[4]["headers"]["Content-Length"], "5", "{kind}: HEAD has the length");
    }
}

#[tokio::test]
async fn nginx_never_gets_the_callers_own_credential() {
    let pki = Pki::new();
    let nginx = nginx_store(&pki).await;
    let sidekey = sidekey(&pki, &nginx, &KINDS).await;
    let url = |kind: &str| sidekey.url(&format!("/{kind}/mine"));
    for (kind, arguments) in [
        ("basic", vec!["--user", "svc-billing:guess"]),
        ("bearer", vec!["--oauth2-bearer", "guess"]),
        ("header", vec!["--header", "x-api-key: guess", "--header", "X-API-KEY: guess"]),
        ("cookie", vec!["--cookie", "a=b; session_key=guess; c=d"]),
    ] {
        let url = url(kind);
        let answer = Curl::call(&[&["-T", "-", url.as_str()], &arguments[..]].concat(), b"mine").await;
        assert!(matches!(answer.status, 201 | 204), "{kind}: {}", answer.status);
    }
    for query in ["?key=guess", "?a=b&key=guess&c=d", "?%6bey=guess", "?key=guess&key=guess"] {
        let answer = Curl::call(&["-T", "-", &(url("query") + query)], b"mine").await;
        assert!(matches!(answer.status, 201 | 204), "{query}: {}", answer.status);
    }
}

#[tokio::test]
async fn nginx_rejection_is_passed_on() {
    let pki = Pki::new();
    let nginx = nginx_store(&pki).await;
    let sidekey = sidekey(&pki, &nginx, &WRONG).await;
    for (kind, _) in WRONG {
        let response = sidekey.get(&format!("/{kind}/x")).await;
        let expected = if matches!(kind, "basic" | "bearer") { 401 } else { 403 };
        assert_eq!((response.status, response.sidekey_error()), (expected, None), "{kind}");
        assert!(response.text().contains("nginx"), "{kind}: {}", response.text());
    }
    let refused = sidekey.metric("sidekey_upstream_unauthorized_total", &[]).await;
    assert_eq!(refused, Some(2.0), "the two 401 are counted");
}

#[tokio::test]
async fn nginx_with_untrusted_ca_never_gets_the_credential() {
    let (pki, other) = (Pki::new(), Pki::new());
    let nginx = nginx_store(&other).await;
    let sidekey = sidekey(&pki, &nginx, &KINDS).await;
    for (kind, _) in KINDS {
        let response = sidekey.get(&format!("/{kind}/x")).await;
        assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_tls")), "{kind}");
    }
    assert!(!nginx.access_log().contains("/x"), "{}", nginx.access_log());
}
