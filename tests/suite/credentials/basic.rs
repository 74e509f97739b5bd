//! Basic credentials in the forms that APIs ask for: the key as user name, and an empty password.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::harness::{MockUpstream, Sidekey};

async fn sent(auth: &str) -> (String, String) {
    let upstream = MockUpstream::plain().await;
    let service = format!("api: {{ upstream: '{}', auth: {{ type: basic, {auth} }} }}", upstream.url());
    let sidekey = Sidekey::serving(&service).file("key", "k3y\n").start().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    let request = upstream.only_request();
    let value = request.header("authorization").unwrap().strip_prefix("Basic ").unwrap().to_owned();
    (String::from_utf8(BASE64_STANDARD.decode(value).unwrap()).unwrap(), sidekey.log())
}

#[tokio::test]
async fn basic_key_as_username_with_empty_password() {
    let (pair, log) = sent("username: { file: $DIR/key }, password: ''").await;
    assert_eq!(pair, "k3y:");
    assert!(!log.contains("plain text"), "no warning: {log}");
    assert!(!log.contains("k3y"));
    assert_eq!(sent("username: me, password: ''").await.0, "me:");
    assert_eq!(sent("username: { file: $DIR/key }, password: { file: $DIR/key }").await.0, "k3y:k3y");
}
