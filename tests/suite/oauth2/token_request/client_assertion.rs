//! `auth_method: client_assertion`: a token of another issuer, as it is, read again for each token request.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use crate::harness::{
    MockTokenEndpoint, MockTokenResponse, Request, SecretMount, Sidekey, TIMEOUT, UpdateStyle,
    assert_eventually,
};

fn service(endpoint: &MockTokenEndpoint, auth: &str) -> String {
    format!(
        "api: {{ upstream: 'http://127.0.0.1:9', auth: {{ type: oauth2, grant_type: client_credentials, \
         token_url: '{}', client_id: me, auth_method: client_assertion, {auth} }} }}",
        endpoint.url()
    )
}

/// The token of a workload that ends in this many seconds.
fn assertion(name: &str, seconds: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({ "iss": "https://cluster.example", "sub": name, "exp": i64::try_from(now).unwrap() + seconds });
    format!("e30.{}.CANARY-{name}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[tokio::test]
async fn client_assertion_of_a_file_is_read_for_each_request() {
    let endpoint = MockTokenEndpoint::plain().await;
    endpoint.next(MockTokenResponse::issue(2));
    let (first, second) = (assertion("first", 600), assertion("second", 600));
    // Kubernetes replaces a link two folders above the file.
    let mount = SecretMount::new(UpdateStyle::Symlink, &[("token", &format!("{first}\n"))]);
    let auth = format!("client_assertion: {{ file: '{}/token' }}", mount.path());
    let sidekey = Sidekey::serving(&service(&endpoint, &auth)).start_ready().await;
    mount.replace(&[("token", &second)], async || ()).await;
    endpoint.received(2).await;
    for (request, expected) in endpoint.requests().iter().zip([&first, &second]) {
        assert_eq!(request.authorization, None);
        let form: Vec<_> = request.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert_eq!(
            form,
            [
                ("grant_type", "client_credentials"),
                ("client_id", "me"),
                ("client_assertion_type", kind),
                ("client_assertion", expected),
            ]
        );
    }
    assert!(!sidekey.log().contains("CANARY") && !sidekey.metrics().await.contains("CANARY"));
}

#[tokio::test]
async fn client_assertion_may_be_of_a_command_and_of_spiffe() {
    let endpoint = MockTokenEndpoint::plain().await;
    let token = assertion("command", 600);
    let auth = "client_assertion: { exec: [cat, $DIR/svid] }, client_assertion_type: jwt-spiffe";
    let _sidekey = Sidekey::serving(&service(&endpoint, auth)).file("svid", &token).start_ready().await;
    let request = endpoint.only_request();
    assert_eq!(request.param("client_assertion"), Some(token.as_str()));
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
    assert_eq!(request.param("client_assertion_type"), Some(kind));
}

#[tokio::test]
async fn unusable_client_assertion_is_named_and_read_again() {
    for (content, said) in [
        (String::new(), "the secret is empty"),
        ("CANARY".into(), "it is no JWT"),
        ("a.b.c\nd.e.f".into(), "newline"),
        (assertion("expired", -300), "it expired 5 min ago"),
    ] {
        let endpoint = MockTokenEndpoint::plain().await;
        endpoint.next(MockTokenResponse::issue(2));
        let auth = "client_assertion: { file: $DIR/token }";
        let sidekey = Sidekey::serving(&service(&endpoint, auth))
            .file("token", &assertion("first", 600))
            .start_ready()
            .await;
        sidekey.write("token", &content);
        let page = async || Request::get(sidekey.admin_url("/readyz")).send().await.text();
        let named = async || {
            let page = page().await;
            page.contains("client_assertion (file ") && page.contains(said)
        };
        assert_eventually(TIMEOUT, said, named).await;
        assert_eq!(endpoint.request_count(), 1, "nothing is sent");
        let failed = [("result", "failure"), ("reason", "local")];
        assert!(
            sidekey.metric("sidekey_token_requests_total", &failed).await.is_some_and(|count| count >= 1.0)
        );
        let good = assertion("good", 600);
        sidekey.write("token", &good);
        endpoint.received(2).await;
        assert_eq!(endpoint.requests()[1].param("client_assertion"), Some(good.as_str()));
        assert!(!sidekey.log().contains("CANARY"), "{}", sidekey.log());
    }
}

#[tokio::test]
async fn refused_client_assertion_says_what_to_compare() {
    let endpoint = MockTokenEndpoint::plain().await;
    let token = assertion("refused", 600);
    let answer = json!({ "error": "invalid_client", "error_description": format!("no match for {token}") });
    let answer = crate::harness::MockResponse::status(401).body(answer.to_string());
    endpoint.always(answer.header("Content-Type", "application/json"));
    let auth = "client_assertion: { file: $DIR/token }";
    let sidekey = Sidekey::serving(&service(&endpoint, auth)).file("token", &token).start().await;
    let page = async || Request::get(sidekey.admin_url("/readyz")).send().await.text();
    assert_eventually(TIMEOUT, "it is refused", async || page().await.contains("its subject (`sub`)")).await;
    assert!(!page().await.contains("CANARY") && !sidekey.log().contains("CANARY"));
}
