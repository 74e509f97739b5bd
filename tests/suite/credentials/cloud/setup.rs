//! What the tests of cloud identities have in common.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{RecordedRequest, Request, Sidekey};

/// The values of a form, in order.
pub fn form(request: &RecordedRequest) -> Vec<(String, String)> {
    form_urlencoded::parse(&request.body).into_owned().collect()
}

/// The parameters of a query, in order.
pub fn query(request: &RecordedRequest) -> Vec<(String, String)> {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The bearer token of a request.
pub fn bearer(request: &RecordedRequest) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

/// The time since 1970.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// A JWT that nobody verifies, with these claims and this lifetime in seconds.
pub fn unsigned(mut claims: Value, seconds: i64) -> String {
    claims["exp"] = json!(i64::try_from(now().as_secs()).unwrap() + seconds);
    format!("e30.{}.CANARY-signature", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// Why the services are not ready.
pub async fn why_not_ready(sidekey: &Sidekey) -> String {
    Request::get(sidekey.admin_url("/readyz")).send().await.text()
}

/// Runs `sidekey COMMAND` with one service, in this environment; returns the exit code and everything it prints.
pub async fn command(command: &[&str], service: &str, environment: &[(&str, &str)]) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services.yaml");
    std::fs::write(&file, format!("services:\n  {service}\n")).unwrap();
    let (name, arguments) = command.split_first().unwrap();
    let all = [&[*name, "--config", file.to_str().unwrap()], arguments].concat();
    let output = Sidekey::command(&all, environment).await;
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().expect("an exit code"), printed)
}
