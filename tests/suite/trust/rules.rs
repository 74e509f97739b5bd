//! `allow` and `deny` on the wire: for every version of HTTP and every way in.

use http::Request as Http2Request;

use crate::harness::{
    Connection, Http2, MockHttp2Upstream, MockUpstream, Pki, RecordedRequest, Request, Sidekey, Version,
};
use crate::suite::ingress::setup::{connect, handshake, intercepting};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const RULES: &str =
    "allow: [GET /base/v1/**, 'POST /base/v1/notes', { grpc: a.Notes/Get* }], deny: [/base/v1/admin/**],";

async fn sidekey(upstream: &MockUpstream, rules: &str) -> Sidekey {
    let services = format!(
        "api: {{ {rules} upstream: '{}/base', hosts: [api.internal], auth: {{ type: bearer, token: t0ken }} }}",
        upstream.url()
    );
    Sidekey::serving(&services).start().await
}

/// The status and the problem document of a raw request.
async fn raw(sidekey: &Sidekey, head: &str) -> (u16, String) {
    let mut connection = Connection::open(sidekey.address()).await;
    connection.send(format!("{head}Host: localhost\r\n\r\n")).await;
    let response = connection.response().await;
    (response.status, response.text())
}

#[tokio::test]
async fn request_is_forwarded_only_if_a_rule_allows_it() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey(&upstream, RULES).await;
    for (method, path) in [("GET", "/v1/x"), ("POST", "/v1/notes"), ("GET", "/v1/x?admin/../..")] {
        let (status, body) =
            raw(&sidekey, &format!("{method} /api{path} HTTP/1.1\r\nContent-Length: 0\r\n")).await;
        assert_eq!(status, 200, "{method} {path}: {body}");
    }
    let count = upstream.request_count();
    for (method, path) in [
        ("DELETE", "/v1/x"),
        ("get", "/v1/x"),
        ("POST", "/v1/notes/"),
        ("POST", "/v1/Notes"),
        ("GET", "/v2/x"),
        ("GET", ""),
        ("GET", "/v1/admin"),
        ("GET", "/v1/admin/"),
        ("GET", "/v1/ADMIN/x"),
        ("GET", "/v1/%61dmin/x"),
        ("GET", "/v1//admin"),
        ("GET", "/v1/./admin"),
        ("GET", "/v1/x/../admin"),
        ("GET", "/v1/x/%2e%2e/admin"),
        ("GET", "/v1/x%2f..%2fadmin"),
        ("GET", "/v1/x\\..\\admin"),
        ("GET", "/v1/x%5cadmin"),
        ("GET", "/v1/admin;x=1"),
        ("GET", "/v1/%00admin"),
        ("GET", "/v1/%c0%ae%c0%ae/admin"),
        ("GET", "/v1/%252e%252e/admin"),
        ("GET", "/v1/admin%20"),
        ("GET", "/v1/x%3f/admin"),
        ("GET", "/v1/x?_method=DELETE"),
    ] {
        let (status, body) = raw(&sidekey, &format!("{method} /api{path} HTTP/1.1\r\n")).await;
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &problem["type"]), (403, &"urn:sidekey:error:denied".into()), "{method} {path}");
        assert!(problem["rule"].as_str().is_some_and(|rule| !rule.is_empty()), "{problem}");
    }
    for field in [
        "X-HTTP-Method-Override: DELETE",
        "x_http_method: PUT",
        "X-Original-URL: /base/v1/admin",
        "X-Rewrite-URL: /x",
    ] {
        let (status, _) = raw(&sidekey, &format!("GET /api/v1/x HTTP/1.1\r\n{field}\r\n")).await;
        assert_eq!(status, 403, "{field}");
    }
    for query in ["_HttpMethod=DELETE", ".method=DELETE", "rest_route=/x", "_method%5B%5D=DELETE"] {
        let (status, _) = raw(&sidekey, &format!("GET /api/v1/x?{query} HTTP/1.1\r\n")).await;
        assert_eq!(status, 403, "{query}");
    }
    assert_eq!(upstream.request_count(), count, "nothing was forwarded");
    let denied = [("service", "api"), ("reason", "denied")];
    assert_eq!(sidekey.metric("sidekey_request_errors_total", &denied).await, Some(32.0));
    let line = sidekey.events().into_iter().find(|event| event.get("sidekey.rule").is_some()).unwrap();
    assert_eq!(
        (&line["sidekey.error"], &line["sidekey.rule"]),
        (&"denied".into(), &"no rule of allow matches".into())
    );
}

#[tokio::test]
async fn rules_hold_for_every_way_in() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey(&upstream, RULES).await;
    let origin = upstream.url();
    for (target, host, expected) in [
        ("/v1/x".to_owned(), "api.internal", 200),
        ("/v1/admin/x".to_owned(), "api.internal", 403),
        (format!("{origin}/base/v1/x"), "", 200),
        (format!("{origin}/base/v1/admin/x"), "", 403),
        (format!("{origin}/base/v1/%2e%2e/v1/admin"), "", 403),
    ] {
        let mut connection = Connection::open(sidekey.address()).await;
        let host = if host.is_empty() { upstream.address().to_string() } else { host.to_owned() };
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(connection.response().await.status, expected, "{target}");
    }
}

#[tokio::test]
async fn rules_hold_inside_an_interception() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let (builder, ca) = intercepting(&upstream, &pki, "").await;
    let sidekey = builder.start().await;
    let config = std::fs::read_to_string(sidekey.dir().join("sidekey.yaml")).unwrap();
    let with_rules = config.replacen("auth:", "deny: /base/secret/**\n    auth:", 1);
    assert_ne!(config, with_rules);
    sidekey.reconfigure(&with_rules);
    assert!(sidekey.reload().await);
    for (path, expected) in
        [("/base/x", "HTTP/1.1 200 "), ("/base/secret", "HTTP/1.1 403 "), ("/base//secret", "HTTP/1.1 403 ")]
    {
        let authority = format!("localhost:{}", upstream.address().port());
        let (status, wire) = connect(&sidekey, &authority).await;
        assert_eq!(status, 200);
        let mut stream = handshake(wire, &ca, "localhost").await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(expected.as_bytes()), "{path}: {}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn rules_hold_for_http2_and_grpc() {
    let upstream = MockHttp2Upstream::plain().await;
    let services = format!(
        "api: {{ {} upstream: '{}', protocol: http2, auth: {{ type: bearer, token: t0ken }} }}",
        RULES.replace("/base", ""),
        upstream.url()
    );
    let sidekey = Sidekey::serving(&services).start().await;
    let mut caller = Http2::open(sidekey.address()).await;
    for (path, expected) in
        [("/api/v1/x", 200), ("/api/v1/admin", 403), ("/api/v1/a/../admin", 403), ("/api/x", 403)]
    {
        assert_eq!(caller.get(path).await.status, expected, "{path}");
    }
    for (path, expected) in [("a.Notes/GetNote", None), ("a.Notes/Delete", Some("7"))] {
        let request = Http2Request::post(format!("http://localhost/api/{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let mut stream = Http2::open(sidekey.address()).await.begin(request.body(()).unwrap()).await;
        stream.send("call", true).await;
        let response = stream.response().await;
        let status = response.headers.get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
        if let Some(expected) = expected {
            assert_eq!(
                (response.headers["sidekey-error"].to_str().unwrap(), status.as_deref()),
                ("denied", Some(expected))
            );
        } else {
            assert!(!response.headers.contains_key("sidekey-error"), "{path}");
        }
    }
}

#[tokio::test]
async fn websocket_needs_a_rule_of_its_own() {
    let upstream = MockUpstream::plain().await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (rules, expected) in [
        ("allow: [read_only],", 403),
        ("allow: [GET /base/**],", 403),
        ("deny: [GET /base/**],", 403),
        ("deny: [websocket],", 403),
        ("allow: [websocket],", 200),
        ("allow: [WEBSOCKET /base/*],", 200),
        ("deny: [POST /**],", 200),
    ] {
        let sidekey = sidekey(&upstream, rules).await;
        let (status, body) = raw(&sidekey, &format!("GET /api/x HTTP/1.1\r\n{upgrade}")).await;
        assert_eq!(status, expected, "{rules}: {body}");
    }
}

#[tokio::test]
async fn destination_must_be_allowed_as_well() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey(&upstream, "allow: [MOVE /base/public/**],").await;
    let base = "http://localhost/api";
    for (destination, expected) in [("/public/b", 200), ("/admin/b", 403), ("/public/%2e%2e/admin", 403)] {
        let (status, _) =
            raw(&sidekey, &format!("MOVE /api/public/a HTTP/1.1\r\nDestination: {base}{destination}\r\n"))
                .await;
        assert_eq!(status, expected, "{destination}");
    }
    for foreign in ["http://other.example/base/admin", "x", "\u{ff}"] {
        let (status, _) =
            raw(&sidekey, &format!("MOVE /api/public/a HTTP/1.1\r\nDestination: {foreign}\r\n")).await;
        assert_eq!(status, 403, "{foreign}");
    }
}

#[tokio::test]
async fn resource_in_a_field_is_denied_where_rules_have_paths() {
    let upstream = MockUpstream::plain().await;
    let copy = "Content-Length: 0\r\nx-amz-copy-source: /base/secret/key\r\n";
    for (rules, expected) in [
        ("allow: [PUT /base/public/**],", 403),
        ("deny: [/base/secret/**],", 403),
        ("deny: [DELETE /**],", 200),
        ("", 200),
    ] {
        let sidekey = sidekey(&upstream, rules).await;
        let (status, body) = raw(&sidekey, &format!("PUT /api/public/a HTTP/1.1\r\n{copy}")).await;
        assert_eq!(status, expected, "{rules}: {body}");
    }
}

#[tokio::test]
async fn other_name_of_a_denied_path_is_denied() {
    let upstream = MockUpstream::plain().await;
    let rules = "deny: ['/base/caf\u{e9}/**', '/base/administrator/**', '/base/\u{39f}\u{3a3}*'],";
    let sidekey = sidekey(&upstream, rules).await;
    for path in [
        "/caf%C3%A9/x",
        "/CAF%C3%89/x",
        // As macOS writes it.
        "/cafe%CC%81/x",
        // As Windows names it as well.
        "/ADMINI~1/x",
        "/admini%7E1/x",
        // A sigma in each of its forms.
        "/%CE%9F%CE%A3%CE%91",
        "/%CE%BF%CF%83%CE%B1",
        "/%CE%BF%CF%82",
    ] {
        let (status, _) = raw(&sidekey, &format!("GET /api{path} HTTP/1.1\r\n")).await;
        assert_eq!(status, 403, "{path}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn trailer_that_names_another_method_or_path_is_rejected() {
    let upstream = MockUpstream::plain().await;
    let rules = "allow: [POST /base/**],";
    for (rules, name, is_passed) in [
        (rules, "X-HTTP-Method-Override", false),
        (rules, "X_Original-URL", false),
        (rules, "x-amz-copy-source", false),
        (rules, "X-Checksum", true),
        ("", "X-HTTP-Method-Override", true),
    ] {
        let sidekey = sidekey(&upstream, rules).await;
        for version in Version::ALL {
            let call = Request::post(sidekey.url("/api/x"), "body").chunked(4).trailer(name, "x");
            let response = call.by(version).send().await;
            assert_eq!(response.status == 200, is_passed, "{rules} {name} {version:?}: {}", response.status);
        }
    }
    let passed = |name: &str| {
        let has = |request: &RecordedRequest| request.complete && request.trailers.first(name).is_some();
        upstream.requests().iter().filter(|request| has(request)).count()
    };
    assert_eq!(
        (passed("x-http-method-override"), passed("x-amz-copy-source"), passed("x-checksum")),
        (2, 0, 2)
    );
}

#[tokio::test]
async fn removed_field_denies_nothing() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey(&upstream, "allow: [/base/x], headers: { remove: X-Forwarded-Prefix },").await;
    for (field, expected) in [("X-Forwarded-Prefix: /y", 200), ("X-Forwarded-Path: /y", 403)] {
        let (status, _) = raw(&sidekey, &format!("GET /api/x HTTP/1.1\r\n{field}\r\n")).await;
        assert_eq!(status, expected, "{field}");
    }
    assert_eq!(upstream.only_request().header("x-forwarded-prefix"), None);
}

#[tokio::test]
async fn changed_rules_hold_for_the_next_request() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey(&upstream, "").await;
    assert_eq!(Request::post(sidekey.url("/api/x"), "").send().await.status, 200);
    sidekey.reconfigure(&Sidekey::configuration_serving(&format!(
        "api: {{ allow: read_only, upstream: '{}/base', auth: {{ type: bearer, token: t0ken }} }}",
        upstream.url()
    )));
    assert!(sidekey.reload().await);
    assert_eq!(Request::post(sidekey.url("/api/x"), "").send().await.sidekey_error(), Some("denied"));
    assert_eq!(sidekey.get("/api/x").await.status, 200);
}
