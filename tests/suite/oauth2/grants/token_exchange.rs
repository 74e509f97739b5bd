//! `grant_type: token_exchange`.

use serde_json::json;

use super::setup::{form, serving, without_refresh_token};
use crate::harness::{MockTokenEndpoint, MockTokenResponse, MockUpstream, TIMEOUT, assert_eventually};

const SUBJECT: &str = "grant_type: token_exchange, subject_token: { file: $DIR/subject }";

#[tokio::test]
async fn token_exchange_sends_every_parameter() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::json(&json!({
        "access_token": "for-the-cloud", "token_type": "N_A", "expires_in": 600,
        "issued_token_type": "urn:ietf:params:oauth:token-type:id_token",
    })));
    let more = format!(
        "{SUBJECT}, subject_token_type: 'urn:example:k8s', actor_token: {{ file: $DIR/actor }}, \
         requested_token_type: id_token, audience: [one, two], resource: 'https://api.example.com/', \
         scopes: [a, b], client_id: me, client_secret: s"
    );
    let builder = serving(&upstream, &endpoint, &more).file("subject", "e30.subject.sig\n");
    let sidekey = builder.file("actor", "e30.actor.sig").start_ready().await;
    let request = endpoint.only_request();
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "e30.subject.sig"),
        ("subject_token_type", "urn:example:k8s"),
        ("actor_token", "e30.actor.sig"),
        ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("audience", "one"),
        ("audience", "two"),
        ("resource", "https://api.example.com/"),
        ("scope", "a b"),
    ];
    assert_eq!(form(&request), expected);
    assert_eq!(request.basic().as_deref(), Some("me:s"));
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(upstream.only_request().header("authorization"), Some("Bearer for-the-cloud"));
}

#[tokio::test]
async fn token_exchange_reads_subject_token_for_each_request() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(without_refresh_token(2));
    let sidekey = serving(&upstream, &endpoint, SUBJECT).file("subject", "subject-1").start_ready().await;
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "subject-1"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ];
    assert_eq!(form(&endpoint.requests()[0]), expected);
    assert_eq!(endpoint.requests()[0].authorization, None);
    sidekey.write("subject", "subject-2");
    let renewed = async || {
        endpoint.requests().iter().any(|request| request.param("subject_token") == Some("subject-2"))
    };
    assert_eventually(TIMEOUT, "the new subject token is sent", renewed).await;
}

#[tokio::test]
async fn token_exchange_runs_its_command_for_each_request() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(without_refresh_token(2));
    let command = "grant_type: token_exchange, \
                   subject_token: { exec: [sh, -c, 'echo run >> $DIR/runs; cat $DIR/subject'] }";
    let sidekey = serving(&upstream, &endpoint, command).file("subject", "subject-1").start_ready().await;
    assert_eq!(endpoint.requests()[0].param("subject_token"), Some("subject-1"));
    sidekey.write("subject", "subject-2");
    let renewed = async || {
        endpoint.requests().iter().any(|request| request.param("subject_token") == Some("subject-2"))
    };
    assert_eventually(TIMEOUT, "the new subject token is sent", renewed).await;
    // A reload checks nothing that was checked before: the command runs for token requests, and once at the start.
    assert!(sidekey.reload().await);
    let runs = std::fs::read_to_string(sidekey.dir().join("runs")).unwrap().lines().count();
    let requests = endpoint.request_count();
    assert!((requests..=requests + 2).contains(&runs), "{runs} runs, {requests} requests");
}

#[tokio::test]
async fn token_exchange_without_subject_token_makes_no_request() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(without_refresh_token(1));
    let sidekey = serving(&upstream, &endpoint, SUBJECT).file("subject", "subject-1").start_ready().await;
    std::fs::remove_file(sidekey.dir().join("subject")).unwrap();
    let named = async || sidekey.log().contains("subject_token (file ");
    assert_eventually(TIMEOUT, "the log names the missing file", named).await;
    let requests = endpoint.request_count();
    let counted = sidekey.metric("sidekey_token_requests_total", &[("reason", "local")]).await;
    assert!(counted.is_some_and(|count| count >= 1.0), "{counted:?}");
    assert_eventually(TIMEOUT, "it is not ready", async || !sidekey.is_ready().await).await;
    assert_eq!(endpoint.request_count(), requests);
    sidekey.write("subject", "subject-2");
    sidekey.ready().await;
    assert!(!sidekey.log().contains("subject-1") && !sidekey.log().contains("subject-2"));
}
