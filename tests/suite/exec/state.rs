//! A command beside a running sidecar with the same `state.dir`.

use serde_json::json;

use super::setup::{Stage, printed};
use crate::harness::{MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey};

#[tokio::test]
async fn refresh_tokens_that_rotate_are_shared_with_a_running_sidecar() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    for rotated in ["second", "third", "fourth"] {
        tokens.next(MockTokenResponse::issue_with(json!(3600), json!({ "refresh_token": rotated })));
    }
    let stage = Stage::new().await;
    let config = format!(
        "listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: {{ level: info, format: json }}
state: {{ dir: '{}', key: 0123456789abcdef0123456789abcdef }}
services:
  api:
    upstream: '{}'
    auth: {{ type: oauth2, grant_type: refresh_token, token_url: '{}', client_id: me, refresh_token: first }}
",
        stage.dir().join("state").display(),
        upstream.url(),
        tokens.url()
    );
    stage.configure(&config);
    let sidecar = Sidekey::configured(&config).start_ready().await;
    for _ in 0..2 {
        let shell = "curl -sS --noproxy '*' -o /dev/null -w '%{http_code}' $SIDEKEY_URL/api/x";
        assert_eq!(printed(&stage.run(&[], &["sh", "-c", shell]).await), "200");
    }
    // None was used twice, although two processes use them in turn.
    let requests = tokens.requests();
    let used: Vec<_> = requests.iter().map(|request| request.param("refresh_token").unwrap()).collect();
    assert_eq!(used, ["first", "second", "third"]);
    assert_eq!(sidecar.get("/api/x").await.status, 200);
}
