//! A real API server of Kubernetes: as an upstream, for tokens of service accounts, and as the issuer of
//! callers' tokens.

use serde_json::{Value, json};

use crate::harness::{
    ISSUER, Kubernetes, MockUpstream, Request, SecretMount, Sidekey, TIMEOUT, UpdateStyle, assert_eventually,
};

const ACCOUNTS: &str = "/api/v1/namespaces/shop/serviceaccounts";

async fn create_account(kubernetes: &Kubernetes) {
    kubernetes.create(ACCOUNTS, &json!({ "metadata": { "name": "app" } })).await;
}

/// A cluster with the service account `shop/app`, which may list pods of its namespace, and nothing else.
async fn cluster() -> Kubernetes {
    let kubernetes = Kubernetes::start().await;
    kubernetes.create_namespace("shop", &[]).await;
    create_account(&kubernetes).await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop";
    let rules = json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] }]);
    kubernetes
        .create(&format!("{rbac}/roles"), &json!({ "metadata": { "name": "reader" }, "rules": rules }))
        .await;
    let binding = json!({
        "metadata": { "name": "reader" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader" },
        "subjects": [{ "kind": "ServiceAccount", "name": "app", "namespace": "shop" }],
    });
    kubernetes.create(&format!("{rbac}/rolebindings"), &binding).await;
    kubernetes
}

#[tokio::test]
async fn projected_token_is_accepted_by_the_api_server() {
    let kubernetes = cluster().await;
    let first = kubernetes.token("shop", "app", ISSUER).await;
    let mount = SecretMount::new(UpdateStyle::Symlink, &[("token", &first)]);
    let service = format!(
        "k8s: {{ upstream: '{}', tls: {{ ca_file: '{}' }}, auth: {{ type: kubernetes, token_file: '{}/token' }} }}",
        kubernetes.url(),
        kubernetes.pki().ca_file(),
        mount.path()
    );
    let sidekey = Sidekey::serving(&service).start_ready().await;
    let pods = "/k8s/api/v1/namespaces/shop/pods";
    let listed = sidekey.get(pods).await;
    assert_eq!((listed.status, &listed.json()["kind"]), (200, &json!("PodList")), "{}", listed.text());
    let forbidden = sidekey.get("/k8s/api/v1/namespaces/shop/secrets").await;
    assert_eq!(forbidden.status, 403);
    assert!(forbidden.text().contains("system:serviceaccount:shop:app"), "{}", forbidden.text());

    // The account is another one from now on: its tokens are rejected, until the kubelet writes a new one.
    assert_eq!(kubernetes.send("DELETE", &format!("{ACCOUNTS}/app"), &Value::Null).await.status, 200);
    create_account(&kubernetes).await;
    let rejected = async || sidekey.get(pods).await.status == 401;
    assert_eventually(TIMEOUT, "the old token is rejected", rejected).await;
    let second = kubernetes.token("shop", "app", ISSUER).await;
    mount.replace(&[("token", &second)], async || ()).await;
    let accepted = async || sidekey.get(pods).await.status == 200;
    assert_eventually(TIMEOUT, "the new token is sent", accepted).await;
    let shown = sidekey.log() + &sidekey.metrics().await;
    assert!(!shown.contains(&first) && !shown.contains(&second));
}

#[tokio::test]
async fn caller_is_known_by_a_token_of_its_service_account() {
    let kubernetes = cluster().await;
    kubernetes.create(ACCOUNTS, &json!({ "metadata": { "name": "other" } })).await;
    let upstream = MockUpstream::plain().await;
    let own = kubernetes.token("shop", "app", ISSUER).await;
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ level: debug, format: json }}\ncallers:\n  app:\n    jwt:\n      \
         issuer: {ISSUER}\n      audience: sidekey\n      jwks_url: {}/openid/v1/jwks\n      jwks_token: {{ file: $DIR/token }}\n      \
         tls: {{ ca_file: '{}' }}\n      claims: {{ sub: 'system:serviceaccount:shop:app' }}\nroles:\n  crm: {{ callers: app, services: [crm] }}\n\
         services:\n  crm: {{ upstream: '{}', auth: {{ type: api_key, name: X-Api-Key, value: t0ken }} }}\n",
        kubernetes.url(),
        kubernetes.pki().ca_file(),
        upstream.url()
    );
    // A pod may read the keys of its cluster.
    let sidekey = Sidekey::configured(&config).file("token", &own).start().await;
    let call = async |token: &str| {
        let authorization = format!("Bearer {token}");
        Request::get(sidekey.url("/crm/x")).header("Authorization", &authorization).send().await.status
    };
    let known = kubernetes.token("shop", "app", "sidekey").await;
    assert_eventually(TIMEOUT, "the keys are fetched", async || call(&known).await == 200).await;
    assert_eq!(upstream.last_request().header("authorization"), None);
    let other_account = kubernetes.token("shop", "other", "sidekey").await;
    assert_eq!(call(&other_account).await, 401);
    assert_eq!(call(&own).await, 401, "for another audience");
    let (rest, signature) = known.rsplit_once('.').unwrap();
    let forged = format!("{rest}.{}", signature.chars().rev().collect::<String>());
    assert_eq!(call(&forged).await, 401);
}
