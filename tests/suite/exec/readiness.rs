//! The command starts when its credentials are ready, and not before.

use super::setup::{Stage, text};
use crate::harness::{MockTokenEndpoint, MockTokenResponse, Process, assert_eventually};

async fn stage_with_tokens(tokens: &MockTokenEndpoint) -> Stage {
    let stage = Stage::new().await;
    let auth = format!(
        "{{ type: oauth2, grant_type: client_credentials, token_url: '{}', client_id: me, client_secret: {{ env: API_TOKEN }} }}",
        tokens.url()
    );
    let service = stage.service("x").replace("{ type: bearer, token: x }", &auth);
    assert!(service.contains("oauth2"), "{service}");
    stage.configure(&format!("services:\n  api: {service}\n"));
    stage
}

#[tokio::test]
async fn command_starts_when_its_token_is_there() {
    let tokens = MockTokenEndpoint::plain().await;
    tokens.go_down();
    let stage = stage_with_tokens(&tokens).await;
    let mut process: Process = stage.spawn(&[], &["echo", "started"]);
    let failed = async || process.output().contains("token not obtained");
    assert_eventually(crate::harness::TIMEOUT, "a token request fails", failed).await;
    assert!(!process.output().contains("started"), "{}", process.output());
    tokens.come_up();
    assert!(process.ended(crate::harness::TIMEOUT).await.success());
    assert!(process.output().contains("started\n"), "{}", process.output());
}

#[tokio::test]
async fn command_is_not_started_without_its_token() {
    let tokens = MockTokenEndpoint::plain().await;
    tokens.go_down();
    let stage = stage_with_tokens(&tokens).await;
    let output = stage.run(&["--ready-timeout", "300ms"], &["echo", "started"]).await;
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(69), String::new()), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("service `api` has no credential: "), "{said}");
    assert!(said.contains("The command was not started."), "{said}");
}

#[tokio::test]
async fn refused_credential_is_not_waited_for() {
    let tokens = MockTokenEndpoint::plain().await;
    tokens.always(MockTokenResponse::error(401, "invalid_client"));
    let stage = stage_with_tokens(&tokens).await;
    let output = stage.run(&["--ready-timeout", "1h"], &["echo", "started"]).await;
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(69), String::new()), "{output:?}");
    assert!(text(&output.stderr).contains("invalid_client"), "{output:?}");
}
