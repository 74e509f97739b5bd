//! Access control of the admin listener, over the wire.

use super::setup::TOKEN;
use crate::harness::{Connection, Request, Response, Sidekey, TIMEOUT, assert_eventually};

async fn sidekey(admin: &str) -> Sidekey {
    // Nothing listens on the upstream's address: no test here sends a request to it.
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {admin}\nlog: {{ level: info, format: json }}\n\
         services: {{ mail: {{ upstream: 'http://127.0.0.1:1', auth: {{ type: bearer, token: t }} }} }}\n"
    );
    Sidekey::configured(&config).start().await
}

async fn put(sidekey: &Sidekey, fields: &[(&str, &str)]) -> Response {
    let mut call = Request::new("PUT", sidekey.admin_url("/api/v1/log-level")).body("{\"level\": \"warn\"}");
    for (name, value) in fields {
        call = call.header(name, value);
    }
    call.send().await
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test]
async fn admin_without_token_is_read_only() {
    let sidekey = sidekey("127.0.0.1:0").await;
    for path in ["/api/v1/services", "/api/v1/log-level", "/metrics", "/livez", "/readyz"] {
        assert_eq!(Request::get(sidekey.admin_url(path)).send().await.status, 200, "{path}");
    }
    let bearer = format!("Bearer {TOKEN}");
    for fields in [vec![JSON], vec![JSON, ("Authorization", bearer.as_str())]] {
        let answer = put(&sidekey, &fields).await;
        assert_eq!((answer.status, answer.header("content-type")), (403, Some("application/problem+json")));
        assert!(answer.text().contains("admin.token"), "{}", answer.text());
    }
    let level = Request::get(sidekey.admin_url("/api/v1/log-level")).send().await.json();
    assert_eq!(level["level"], "info", "nothing was changed");
}

#[tokio::test]
async fn admin_write_requires_the_token() {
    let sidekey = sidekey(&format!("{{ listen: 127.0.0.1:0, token: {TOKEN} }}")).await;
    let bearer = format!("Bearer {TOKEN}");
    let right = ("Authorization", bearer.as_str());
    let missing = put(&sidekey, &[JSON]).await;
    assert_eq!(missing.status, 401);
    assert!(missing.header("www-authenticate").unwrap().starts_with("Bearer "));
    assert_eq!(
        put(&sidekey, &[JSON, ("Authorization", "Bearer 0123456789abcdef-admin-tokem")]).await.status,
        401
    );
    assert_eq!(put(&sidekey, &[right]).await.status, 415);
    assert_eq!(put(&sidekey, &[JSON, right, ("Origin", "http://evil.example")]).await.status, 403);
    assert_eq!(put(&sidekey, &[JSON, right, ("Sec-Fetch-Site", "cross-site")]).await.status, 403);
    assert_eq!(put(&sidekey, &[JSON, right, ("Host", "evil.example")]).await.status, 403);
    assert_eq!(put(&sidekey, &[JSON, right]).await.status, 200);
    assert!(!sidekey.log().contains(TOKEN));
    assert!(sidekey.log().contains("wrong admin token"));
}

#[tokio::test]
async fn admin_read_and_metrics_can_require_the_token() {
    let closed = format!(
        "{{ listen: 127.0.0.1:0, token: {TOKEN}, require_token_to_read: true, require_token_for_metrics: true }}"
    );
    let sidekey = sidekey(&closed).await;
    let ask = async |path: &str, token: Option<&str>| {
        let mut call = Request::get(sidekey.admin_url(path));
        if let Some(token) = token {
            call = call.header("Authorization", &format!("Bearer {token}"));
        }
        call.send().await
    };
    for path in
        ["/api/v1/services", "/api/v1/services/mail", "/api/v1/log-level", "/api/v1/openapi.json", "/metrics"]
    {
        assert_eq!(ask(path, None).await.status, 401, "{path}");
        assert_eq!(ask(path, Some("0123456789abcdef")).await.status, 401, "{path}");
        assert_eq!(ask(path, Some(TOKEN)).await.status, 200, "{path}");
    }
    assert_eq!(ask("/livez", None).await.text(), "ok\n");
    assert_eq!(ask("/readyz", None).await.text(), "ready\n", "probes have no token");
}

#[tokio::test]
async fn admin_unix_socket_allows_writes_without_token() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    let _sidekey = sidekey(&format!("'unix:{}'", socket.display())).await;
    let mut connection = Connection::open_unix(&socket).await;
    let body = "{\"level\": \"warn\"}";
    let request = |host: &str| {
        format!(
            "PUT /api/v1/log-level HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    connection.send(request("localhost")).await;
    assert_eq!(connection.response().await.status, 200);
    connection.send(request("evil.example")).await;
    assert_eq!(connection.response().await.status, 403);
}

#[tokio::test]
async fn admin_token_file_change_applies_to_next_request() {
    let config = "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0, token: { file: $DIR/token } }\n\
         reload: { interval: 20ms }\nlog: { level: debug, format: json }\n\
         services: { mail: { upstream: 'http://127.0.0.1:1', auth: { type: bearer, token: t } } }\n";
    let sidekey = Sidekey::configured(config).file("token", "the-first-admin-token\n").start().await;
    let with = async |token: &str| {
        put(&sidekey, &[JSON, ("Authorization", &format!("Bearer {token}"))]).await.status
    };
    assert_eq!(with("the-first-admin-token").await, 200);
    // Half of it is too short for a token: the previous one stays valid.
    let file = sidekey.dir().join("token");
    std::fs::write(&file, "the-").unwrap();
    assert_eventually(TIMEOUT, "the short token is rejected", async || {
        sidekey.metric("sidekey_secret_reload_total", &[("result", "failure")]).await == Some(1.0)
    })
    .await;
    assert_eq!(with("the-first-admin-token").await, 200);
    std::fs::write(&file, "the-second-admin-token\n").unwrap();
    assert_eventually(TIMEOUT, "the new token is accepted", async || {
        with("the-second-admin-token").await == 200
    })
    .await;
    assert_eq!(with("the-first-admin-token").await, 401);
    assert!(!sidekey.log().contains("next start") && !sidekey.log().contains("-admin-token"));
}
