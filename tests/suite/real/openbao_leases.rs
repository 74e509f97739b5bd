//! Dynamic secrets of OpenBao: leases are renewed, replaced at their longest lifetime, and revoked at the end. The engine is that of
//! RabbitMQ, whose management API is scripted.

use serde_json::{Value, json};

use super::openbao::{approle, configuration, entry, store};
use crate::harness::{
    MockResponse, MockUpstream, OpenBao, Pki, RecordedRequest, Sidekey, TIMEOUT, assert_eventually,
};

/// RabbitMQ, as far as the engine speaks to it.
async fn rabbitmq(bao: &OpenBao, lease: &Value) -> MockUpstream {
    let rabbitmq = MockUpstream::plain().await;
    rabbitmq.respond_with(|request: &RecordedRequest| match request.method.as_str() {
        "GET" => MockResponse::json(&json!([])),
        "PUT" => MockResponse::status(201),
        _ => MockResponse::status(204),
    });
    bao.send("POST", "sys/mounts/rabbitmq", &json!({ "type": "rabbitmq" })).await;
    let config = json!({ "connection_uri": rabbitmq.url(), "username": "admin", "password": "admin" });
    bao.send("POST", "rabbitmq/config/connection", &config).await;
    bao.send("POST", "rabbitmq/config/lease", lease).await;
    let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
    let role = json!({ "vhosts": json!({ "/": all }).to_string() });
    bao.send("POST", "rabbitmq/roles/app", &role).await;
    rabbitmq
}

/// The users that were made, and those that were removed.
fn users(rabbitmq: &MockUpstream) -> (Vec<String>, Vec<String>) {
    let of = |method: &str| -> Vec<String> {
        let requests = rabbitmq.requests();
        let of_method = requests.iter().filter(|request| request.method == method);
        let user = |request: &RecordedRequest| Some(request.path().strip_prefix("/api/users/")?.to_owned());
        of_method.filter_map(user).collect()
    };
    (of("PUT"), of("DELETE"))
}

fn service(upstream: &MockUpstream) -> String {
    let part = |field: &str| format!("{{ vault: {{ path: rabbitmq/creds/app, field: {field} }} }}");
    format!(
        "mq: {{ upstream: '{}', auth: {{ type: basic, username: {}, password: {} }} }}\n",
        upstream.url(),
        part("username"),
        part("password")
    )
}

#[tokio::test]
async fn lease_is_renewed_replaced_and_revoked() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let bao = store(&pki).await;
    let rabbitmq = rabbitmq(&bao, &json!({ "ttl": 3, "max_ttl": 9 })).await;
    let stores =
        entry("main", &bao, &approle(&bao, &json!({})).await, "").replace("refresh_interval: 1s, ", "");
    let mut sidekey = Sidekey::configured(&configuration(&stores, &service(&upstream))).start_ready().await;
    assert_eq!(sidekey.get("/mq/x").await.status, 200);
    let first = upstream.last_request().header("authorization").unwrap().to_owned();
    assert_eq!(users(&rabbitmq).0.len(), 1, "both fields are of one lease");
    // It lives for longer than one lease, and is replaced before the longest lifetime.
    let is_replaced = async || users(&rabbitmq).0.len() == 2;
    assert_eventually(TIMEOUT, "a second user is made", is_replaced).await;
    assert_eq!(users(&rabbitmq).1, Vec::<String>::new(), "the first user is there until its end");
    let is_used = async || {
        assert_eq!(sidekey.get("/mq/x").await.status, 200);
        upstream.last_request().header("authorization") != Some(&first)
    };
    assert_eventually(TIMEOUT, "the second user is used", is_used).await;
    assert!(!sidekey.log().contains("secret source failed"), "{}", sidekey.log());
    assert_eq!(sidekey.terminate().await.code(), Some(0));
    let all_removed = async || {
        let (made, removed) = users(&rabbitmq);
        made.iter().all(|user| removed.contains(user))
    };
    assert_eventually(TIMEOUT, "every user is removed", all_removed).await;
}

#[tokio::test]
async fn lease_of_a_removed_service_is_revoked() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let bao = store(&pki).await;
    let rabbitmq = rabbitmq(&bao, &json!({ "ttl": 3600, "max_ttl": 7200 })).await;
    // A token of the operator, which the process does not revoke.
    let stores = entry("main", &bao, &format!("{{ method: token, token: {} }}", bao.root_token()), "");
    let other = format!("other: {{ upstream: '{}', auth: {{ type: bearer, token: x }} }}\n", upstream.url());
    let both = configuration(&stores, &(service(&upstream) + &other));
    let sidekey = Sidekey::configured(&both).start_ready().await;
    assert_eq!(sidekey.get("/mq/x").await.status, 200);
    assert_eq!(users(&rabbitmq).1.len(), 0);
    sidekey.reconfigure(&configuration(&stores, &other));
    let is_removed = async || users(&rabbitmq).1 == users(&rabbitmq).0;
    assert_eventually(TIMEOUT, "the user is removed", is_removed).await;
    assert_eq!(bao.send("GET", "auth/token/lookup-self", &Value::Null).await["data"]["ttl"], 0);
}
