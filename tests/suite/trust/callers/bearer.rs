//! Callers that are known by a key, and what their roles let them do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::setup::{
    BILLING_KEY, CI_KEY, CI_NEXT_KEY, assert_no_canary, configuration, configured, keys_and_roles, outcome,
    sha256,
};
use crate::harness::{Connection, Http2, MockUpstream, Request, Sidekey, Version};

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

#[tokio::test]
async fn role_decides_by_caller_service_and_method() {
    let upstream = MockUpstream::plain().await;
    let sidekey = configured(&upstream, &keys_and_roles()).start().await;
    for version in Version::ALL {
        for (key, method, path, expected) in [
            (BILLING_KEY, "GET", "/crm/v1/x", 200),
            (BILLING_KEY, "POST", "/crm/v2/x", 200),
            (BILLING_KEY, "GET", "/crm/v1/secret/x", 200),
            (BILLING_KEY, "POST", "/reports/x", 403),
            (BILLING_KEY, "GET", "/reports/x", 200),
            (BILLING_KEY, "GET", "/other/x", 403),
            (CI_KEY, "GET", "/crm/v1/x", 200),
            (CI_NEXT_KEY, "HEAD", "/crm/v1/x", 200),
            (CI_KEY, "POST", "/crm/v1/x", 403),
            (CI_KEY, "GET", "/crm/v2/x", 403),
            (CI_KEY, "GET", "/crm/v1/secret/x", 403),
            (CI_KEY, "GET", "/crm/v1/SECRET", 403),
            (CI_KEY, "GET", "/crm/v1/%2e%2e/v2", 403),
            (CI_KEY, "GET", "/other/x", 403),
            ("CANARY-none-0123456789abcdefghijklmno", "GET", "/crm/v1/x", 401),
        ] {
            let request = Request::new(method, sidekey.url(path)).header("Authorization", &bearer(key));
            let response = request.by(version).send().await;
            assert_eq!(response.status, expected, "{version:?} {key} {method} {path}: {}", response.text());
            let error = match expected {
                401 => Some("unauthenticated"),
                403 => Some("denied"),
                _ => None,
            };
            assert_eq!(response.sidekey_error(), error);
        }
    }
    for request in upstream.requests() {
        let fields = (request.header("authorization"), request.header("x-api-key"));
        assert!(matches!(fields, (None, Some("t0ken")) | (Some("Bearer t0ken"), None)), "{fields:?}");
    }
    assert_no_canary(&sidekey, &upstream).await;
    let counted = |caller, decision, reason| {
        let labels = [("caller", caller), ("decision", decision), ("reason", reason)];
        let sidekey = &sidekey;
        async move { sidekey.metric("sidekey_caller_requests_total", &labels).await }
    };
    assert_eq!(counted("billing", "allowed", "").await, Some(8.0));
    assert_eq!(counted("ci", "refused", "rule").await, Some(10.0));
    assert_eq!(counted("ci", "refused", "no_role").await, Some(2.0));
    assert_eq!(counted("anonymous", "refused", "unknown_key").await, Some(2.0));
    let view = Request::get(sidekey.admin_url("/api/v1/services/crm")).send().await.json();
    let of = |name: &str| {
        let callers = view["callers"].as_array().unwrap();
        let caller = callers.iter().find(|caller| caller["name"] == name).unwrap();
        (caller["allowed"].as_u64().unwrap(), caller["refused"].as_u64().unwrap())
    };
    assert_eq!((of("billing"), of("ci"), of("anonymous")), ((6, 0), (4, 10), (0, 2)));
    let lines = sidekey.events();
    assert!(
        lines.iter().any(|line| line["sidekey.caller"] == "ci"
            && line["sidekey.rule"] == "role read-crm: deny: /v1/secret/**")
    );
}

#[tokio::test]
async fn unknown_caller_is_asked_for_a_credential() {
    let upstream = MockUpstream::plain().await;
    let sidekey = configured(&upstream, &keys_and_roles()).start().await;
    let response = sidekey.get("/crm/v1/x").await;
    assert_eq!(response.header("www-authenticate"), Some("Bearer realm=\"sidekey\""));
    assert_eq!((response.status, response.header("content-type")), (401, Some("application/problem+json")));
    let (_, rule) = outcome(&response);
    assert_eq!(rule, "no_credential: the caller is not known, and the request presents no credential");
    // Nothing is said about which services there are.
    let response = sidekey.get("/nothing/x").await;
    assert_eq!((response.status, response.text().contains("crm")), (401, false));
    let wrong = Request::get(sidekey.url("/crm/v1/x")).header("Authorization", "Bearer dummy").send().await;
    let challenge = "Bearer realm=\"sidekey\", error=\"invalid_token\"";
    assert_eq!((wrong.status, wrong.header("www-authenticate")), (401, Some(challenge)));
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn key_for_the_proxy_is_read_before_the_dummy_of_the_app() {
    let upstream = MockUpstream::plain().await;
    let sidekey = configured(&upstream, &keys_and_roles()).start().await;
    let basic = format!("Basic {}", STANDARD.encode(format!("x:{CI_KEY}")));
    for (fields, expected) in [
        (vec![("Proxy-Authorization", basic.as_str())], 200),
        (vec![("Proxy-Authorization", basic.as_str()), ("Authorization", "Bearer dummy")], 200),
        (vec![("PROXY-AUTHORIZATION", &bearer(CI_KEY)), ("authorization", &bearer(BILLING_KEY))], 200),
        (vec![("Authorization", basic.as_str())], 200),
        (vec![("Proxy-Authorization", "Bearer dummy"), ("Authorization", &bearer(CI_KEY))], 401),
    ] {
        let mut request = Request::get(sidekey.url("/reports/x"));
        for (name, value) in &fields {
            request = request.header(name, value);
        }
        assert_eq!(request.send().await.status, expected, "{fields:?}");
    }
    // Through a proxy setting: absolute form and 407.
    let target = format!("{}/v1/x", upstream.url());
    let mut connection = Connection::open(sidekey.address()).await;
    connection.send(format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", upstream.address())).await;
    let response = connection.response().await;
    assert_eq!(
        (response.status, response.header("proxy-authenticate")),
        (407, Some("Basic realm=\"sidekey\""))
    );
    assert_eq!(response.header("www-authenticate"), None);
    connection
        .send(format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nProxy-Authorization: {basic}\r\n\r\n",
            upstream.address()
        ))
        .await;
    assert_eq!(connection.response().await.status, 200);
    assert_no_canary(&sidekey, &upstream).await;
}

#[tokio::test]
async fn ambiguous_credential_is_refused() {
    let upstream = MockUpstream::plain().await;
    let sidekey = configured(&upstream, &keys_and_roles()).start().await;
    let key = bearer(CI_KEY);
    for (fields, status, reason) in [
        (format!("Authorization: {key}\r\nAuthorization: {key}\r\n"), 401, "several_credentials"),
        (format!("authorization: {key}\r\nAUTHORIZATION: Bearer x\r\n"), 401, "several_credentials"),
        (format!("Authorization: {key}, Bearer x\r\n"), 401, "malformed_credential"),
        (format!("Authorization: {key} x\r\n"), 401, "malformed_credential"),
        (format!("Authorization: {key}\t\r\n"), 200, ""),
        (format!("Authorization : {key}\r\n"), 400, ""),
        (format!(" Authorization: {key}\r\n"), 400, ""),
        (format!("Authorization:\r\n {key}\r\n"), 400, ""),
        (format!("X-Forwarded-Authorization: {key}\r\n"), 401, "no_credential"),
        ("X-Forwarded-Client-Cert: URI=spiffe://example.org/web\r\nX-Forwarded-For: 203.0.113.1\r\nForwarded: for=203.0.113.1\r\nX-Remote-User: billing\r\n".into(), 401, "no_credential"),
        (format!("Connection: authorization\r\nAuthorization: {key}\r\n"), 200, ""),
        ("Authorization: Digest x\r\n".into(), 401, "no_credential"),
    ] {
        let mut connection = Connection::open(sidekey.address()).await;
        connection.send(format!("GET /crm/v1/x HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await;
        let (found, rule) = outcome(&connection.response().await);
        assert_eq!((found, rule.split(':').next().unwrap()), (status, reason), "{fields}");
    }
}

#[tokio::test]
async fn each_request_of_a_connection_has_its_own_caller() {
    let upstream = MockUpstream::plain().await;
    let sidekey = configured(&upstream, &keys_and_roles()).start().await;
    let mut connection = Connection::open(sidekey.address()).await;
    let requests =
        [(bearer(BILLING_KEY), 200), (String::new(), 401), (bearer(CI_KEY), 403), (bearer(BILLING_KEY), 200)];
    for (key, expected) in &requests {
        let field = if key.is_empty() { String::new() } else { format!("Authorization: {key}\r\n") };
        connection.send(format!("GET /crm/v2/x HTTP/1.1\r\nHost: localhost\r\n{field}\r\n")).await;
        assert_eq!(connection.response().await.status, *expected, "{key}");
    }
    let mut http2 = Http2::open(sidekey.address()).await;
    let mut streams = Vec::new();
    for (key, expected) in requests.iter().cycle().take(40) {
        let mut request = http::Request::get("http://localhost/crm/v2/x");
        if !key.is_empty() {
            request = request.header("authorization", key);
        }
        let mut stream = http2.begin(request.body(()).unwrap()).await;
        stream.send("", true).await;
        streams.push((stream, *expected));
    }
    for (stream, expected) in streams {
        assert_eq!(stream.response().await.status, expected);
    }
}

#[tokio::test]
async fn reload_takes_a_key_and_a_role_from_open_connections() {
    let upstream = MockUpstream::plain().await;
    let sidekey = configured(&upstream, &keys_and_roles()).start().await;
    let mut http1 = Connection::open(sidekey.address()).await;
    let mut http2 = Http2::open(sidekey.address()).await;
    let head = |key: &str| {
        format!("GET /crm/v1/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n")
    };
    let request = |key: &str| {
        http::Request::get("http://localhost/crm/v1/x").header("authorization", bearer(key)).body(()).unwrap()
    };
    for key in [CI_KEY, CI_NEXT_KEY] {
        http1.send(head(key)).await;
        assert_eq!(http1.response().await.status, 200);
        assert_eq!(http2.call(request(key)).await.status, 200);
    }
    // The old key of a rotation goes.
    let rotated = keys_and_roles().replace(&format!("{}, ", sha256(CI_KEY)), "");
    sidekey.reconfigure(&configuration(&upstream, &rotated, "127.0.0.1:0"));
    assert!(sidekey.reload().await);
    for (key, expected) in [(CI_KEY, 401), (CI_NEXT_KEY, 200)] {
        http1.send(head(key)).await;
        assert_eq!(http1.response().await.status, expected, "{key}");
        assert_eq!(http2.call(request(key)).await.status, expected, "{key}");
    }
    let without_role = rotated.replace("callers: [ci, billing]", "callers: [billing]");
    sidekey.reconfigure(&configuration(&upstream, &without_role, "127.0.0.1:0"));
    assert!(sidekey.reload().await);
    http1.send(head(CI_NEXT_KEY)).await;
    assert_eq!(http1.response().await.status, 403);
    assert_eq!(http2.call(request(CI_NEXT_KEY)).await.status, 403);
}

#[tokio::test]
async fn optional_listener_serves_unknown_callers_what_no_role_names() {
    let upstream = MockUpstream::plain().await;
    let listen = "[{ address: '127.0.0.1:0', callers: optional }, 127.0.0.1:0]";
    let sidekey = Sidekey::configured(&configuration(&upstream, &keys_and_roles(), listen)).start().await;
    for (path, key, expected) in [
        ("/other/x", None, 200),
        ("/crm/v1/x", None, 401),
        ("/crm/v1/x", Some(CI_KEY), 200),
        ("/other/x", Some(CI_KEY), 200),
        ("/other/x", Some("dummy"), 401),
    ] {
        let mut request = Request::get(sidekey.url(path));
        if let Some(key) = key {
            request = request.header("Authorization", &bearer(key));
        }
        assert_eq!(request.send().await.status, expected, "{path} {key:?}");
    }
    let second = format!("http://{}/other/x", sidekey.shared_addresses()[1]);
    assert_eq!(Request::get(&second).send().await.status, 401);
    let known = Request::get(&second).header("Authorization", &bearer(CI_KEY)).send().await;
    assert_eq!(outcome(&known), (403, "no role of the caller ci names the service".into()));
}

#[tokio::test]
async fn limit_of_a_caller_is_its_own() {
    let upstream = MockUpstream::plain().await;
    let limited =
        keys_and_roles().replacen("billing: {", "billing: { rate_limit: { rate: 1/h, burst: 2 }, ", 1);
    let sidekey = configured(&upstream, &limited).start().await;
    let call =
        async |key| Request::get(sidekey.url("/crm/v1/x")).header("Authorization", &bearer(key)).send().await;
    for expected in [200, 200, 503, 503] {
        assert_eq!(call(BILLING_KEY).await.status, expected);
    }
    let refused = call(BILLING_KEY).await;
    assert!(refused.header("retry-after").is_some() && refused.sidekey_error() == Some("overloaded"));
    assert_eq!(call(CI_KEY).await.status, 200, "another caller");
    // A reload that changes nothing about the limit gives no new burst.
    sidekey.reconfigure(&configuration(&upstream, &format!("via: true\n{limited}"), "127.0.0.1:0"));
    assert!(sidekey.reload().await);
    assert_eq!(call(BILLING_KEY).await.status, 503);
}

#[tokio::test]
async fn hash_key_prints_a_key_and_its_hash() {
    let made = Sidekey::command(&["hash-key"], &[]).await;
    let text = String::from_utf8(made.stdout).unwrap();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(value("sha256:"), sha256(&value("key:")));
    let again = Sidekey::command(&["hash-key"], &[]).await;
    assert_ne!(String::from_utf8(again.stdout).unwrap(), text);
    let given = Sidekey::command_with_input(&["hash-key", "--stdin"], format!("{CI_KEY}\n").as_bytes()).await;
    assert_eq!(String::from_utf8(given.stdout).unwrap(), format!("sha256: {}\n", sha256(CI_KEY)));
    for weak in
        ["password", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "two words two words two words two words"]
    {
        let refused = Sidekey::command_with_input(&["hash-key", "--stdin"], weak.as_bytes()).await;
        assert_eq!(refused.status.code(), Some(64), "{weak}");
    }
}

#[tokio::test]
async fn explain_prints_what_a_caller_may_do() {
    let upstream = MockUpstream::plain().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services.yaml");
    std::fs::write(&file, configuration(&upstream, &keys_and_roles(), "127.0.0.1:0")).unwrap();
    let file = file.to_str().unwrap();
    for (arguments, code, expected) in [
        (
            &["crm", "GET", "/v1/x", "--caller", "ci"][..],
            0,
            "allowed: no rule is against it; role read-crm (services.yaml:11) allows it by `allow`: GET /v1/** (services.yaml:11)",
        ),
        (
            &["crm", "GET", "/v1/secret/x", "--caller", "ci"],
            1,
            "denied by role read-crm (services.yaml:11): deny: /v1/secret/** (services.yaml:11)",
        ),
        (&["other", "GET", "/", "--caller", "ci"], 1, "denied: no role lets the caller use the service"),
        (
            &["crm", "GET", "/v1/x"],
            1,
            "denied: the caller is not known, and the request presents no credential",
        ),
        (
            &["crm", "GET", "/v1/x", "--caller", "x"],
            64,
            "no caller `x`; the configuration has: billing, ci, lonely",
        ),
    ] {
        let all = [&["explain", "--config", file], arguments].concat();
        let output = Sidekey::command(&all, &[]).await;
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        let text = text.replace(file, "services.yaml");
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn grpc_call_and_websocket_need_a_known_caller() {
    let upstream = MockUpstream::plain().await;
    let sidekey = configured(&upstream, &keys_and_roles()).start().await;
    for (key, status) in [(None, "16"), (Some("dummy"), "16"), (Some(CI_KEY), "7")] {
        let mut request = http::Request::post("http://localhost/crm/pkg.Notes/Write")
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(key) = key {
            request = request.header("authorization", bearer(key));
        }
        let response = Http2::open(sidekey.address()).await.call(request.body(()).unwrap()).await;
        assert_eq!(response.header("grpc-status"), Some(status), "{key:?}");
    }
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (key, expected) in [("dummy", 401), (CI_KEY, 403), (BILLING_KEY, 200)] {
        let mut connection = Connection::open(sidekey.address()).await;
        let head = format!(
            "GET /crm/v1/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n{upgrade}\r\n"
        );
        connection.send(head).await;
        assert_eq!(connection.response().await.status, expected, "{key}");
    }
    assert_no_canary(&sidekey, &upstream).await;
}
