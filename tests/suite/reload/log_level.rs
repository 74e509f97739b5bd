//! A log level set through the admin API survives a reload that does not change the level.

use serde_json::json;

use crate::harness::{Request, Sidekey};
use crate::suite::admin::setup::{TOKEN, get};

fn configuration(level: &str, drain: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\nlog: {{ level: {level}, format: json }}\n\
         shutdown: {{ drain: {drain} }}\n\
         services: {{ mail: {{ upstream: 'http://127.0.0.1:9', auth: {{ type: bearer, token: t }} }} }}\n"
    )
}

#[tokio::test]
async fn log_level_of_admin_api_survives_unrelated_reload() {
    let sidekey = Sidekey::configured(&configuration("info", "1s")).start().await;
    let level = async || get(&sidekey, "/api/v1/log-level").await["level"].clone();
    let call = Request::new("PUT", sidekey.admin_url("/api/v1/log-level")).body("{\"level\":\"debug\"}");
    let call = call.header("Content-Type", "application/json");
    assert_eq!(call.header("Authorization", &format!("Bearer {TOKEN}")).send().await.status, 200);

    assert!(sidekey.reload().await);
    assert_eq!(level().await, json!("debug"), "nothing has changed");
    sidekey.reconfigure(&configuration("info", "2s"));
    assert!(sidekey.reload().await);
    assert_eq!(level().await, json!("debug"), "something else has changed");
    sidekey.reconfigure(&configuration("nonsense", "2s"));
    assert!(!sidekey.reload().await);
    assert_eq!(level().await, json!("debug"), "a rejected reload changes nothing");
    sidekey.reconfigure(&configuration("warn", "2s"));
    assert!(sidekey.reload().await);
    assert_eq!(level().await, json!("warn"));
}
