//! `sidekey status`, `refresh` and `reload`: the running process from the shell.

use serde_json::Value;

use crate::harness::{MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey};
use crate::suite::oauth2::setup::service;

const TOKEN: &str = "an-admin-token-CANARY-0123456789";

/// Runs a command with the configuration of the process; returns the exit code and what is printed.
async fn run(sidekey: &Sidekey, arguments: &[&str], env: &[(&str, &str)]) -> (i32, String) {
    let file = sidekey.dir().join("client.yaml");
    let all = [arguments, &["-c", file.to_str().unwrap()]].concat();
    let output = Sidekey::command(&all, env).await;
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!printed.contains("CANARY"), "{printed}");
    (output.status.code().unwrap(), printed)
}

/// A process with a service `api` whose token cannot be refreshed any more, and a service `fine`. The file `client.yaml` has its
/// configuration with the address of its admin listener.
async fn started(endpoint: &MockTokenEndpoint) -> Sidekey {
    let upstream = MockUpstream::plain().await;
    let services = service("api", &upstream, endpoint, "token_request: { min_interval: 1ms },", "")
        + "fine: { upstream: 'https://fine.example', auth: { type: bearer, token: { env: FINE_TOKEN } } }\n";
    let config = Sidekey::configuration_serving(&services)
        .replace("admin: 127.0.0.1:0", "admin: { listen: 127.0.0.1:0, token: { file: $DIR/admin } }");
    let sidekey =
        Sidekey::configured(&config).env("FINE_TOKEN", "CANARY").file("admin", TOKEN).start_ready().await;
    let listen = sidekey.admin_url("").trim_start_matches("http://").to_owned();
    let config = config.replace("listen: 127.0.0.1:0, token", &format!("listen: '{listen}', token"));
    sidekey.write("client.yaml", &config.replace("$DIR", sidekey.dir().to_str().unwrap()));
    sidekey
}

#[tokio::test]
async fn status_shows_every_service_and_fails_if_one_is_in_error() {
    let endpoint = MockTokenEndpoint::plain().await;
    let sidekey = started(&endpoint).await;
    // The variable of the other service is not set in this shell.
    let (code, printed) = run(&sidekey, &["status"], &[]).await;
    assert_eq!(code, 0, "{printed}");
    let lines: Vec<_> = printed.lines().collect();
    assert!(lines[0].starts_with("SERVICE  STATE  WHAT"), "{printed}");
    assert!(
        lines[1].starts_with("api      ready  Ready.") && lines[2].starts_with("fine     ready"),
        "{printed}"
    );
    let (code, printed) = run(&sidekey, &["status", "api"], &[]).await;
    assert!(
        code == 0 && printed.contains("state         ready\n") && printed.contains("expires       20"),
        "{printed}"
    );
    let (code, printed) = run(&sidekey, &["status", "--json"], &[]).await;
    let document: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, document["services"].as_array().unwrap().len()), (0, 2));
    let (code, printed) = run(&sidekey, &["status", "other"], &[]).await;
    assert_eq!((code, printed.as_str()), (64, "no service `other`; the configuration has: api, fine\n"));
}

#[tokio::test]
async fn refresh_and_reload_report_the_outcome() {
    let endpoint = MockTokenEndpoint::plain().await;
    let sidekey = started(&endpoint).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let (code, printed) = run(&sidekey, &["refresh", "api"], &[]).await;
    assert!(code == 0 && printed.starts_with("There is a new token"), "{printed}");
    assert_eq!(endpoint.request_count(), 2);
    endpoint.always(MockTokenResponse::error(400, "invalid_client"));
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let (code, printed) = run(&sidekey, &["refresh", "api"], &[]).await;
    assert!(code == 1 && printed.contains("invalid_client"), "{printed}");
    let (code, printed) = run(&sidekey, &["status"], &[]).await;
    assert!(code == 0 && printed.contains("refused"), "the current token is valid: {printed}");
    let (code, printed) = run(&sidekey, &["refresh", "fine"], &[]).await;
    assert!(code == 1 && printed.contains("409") && printed.contains("static"), "{printed}");
    let (code, printed) = run(&sidekey, &["reload"], &[]).await;
    assert!(code == 0 && printed.starts_with("Reloaded."), "{printed}");
    sidekey.write("sidekey.yaml", "services: 7\n");
    let (code, printed) = run(&sidekey, &["reload"], &[]).await;
    assert!(code == 1 && printed.starts_with("Reload rejected"), "{printed}");
}

#[tokio::test]
async fn missing_process_or_token_is_said() {
    let endpoint = MockTokenEndpoint::plain().await;
    let mut sidekey = started(&endpoint).await;
    sidekey.write("admin", "another-admin-token-0123456789");
    let (code, printed) = run(&sidekey, &["reload"], &[]).await;
    assert!(code == 1 && printed.contains("`admin.token` is not set, or cannot be read here"), "{printed}");
    sidekey.terminate().await;
    for arguments in [&["status"][..], &["reload"], &["refresh", "api"]] {
        let (code, printed) = run(&sidekey, arguments, &[]).await;
        assert!(code == 1 && printed.starts_with("no Sidekey answers at 127.0.0.1:"), "{printed}");
    }
}

#[tokio::test]
async fn show_has_settings_defaults_sources_and_the_state() {
    let endpoint = MockTokenEndpoint::plain().await;
    let mut sidekey = started(&endpoint).await;
    let (code, printed) = run(&sidekey, &["show", "api"], &[]).await;
    assert_eq!(code, 0, "{printed}");
    let first: Vec<_> = printed.lines().take(3).collect();
    assert!(
        first[0].starts_with("# state: ready, Ready.") && first[1].starts_with("# token issued: 20"),
        "{printed}"
    );
    for line in
        ["api:", "    grant_type: client_credentials", "    idle: 60s  # default", "      min_interval: 1ms"]
    {
        assert!(printed.contains(&format!("\n{line}\n")), "{line} in {printed}");
    }
    let (_, printed) = run(&sidekey, &["show", "fine"], &[]).await;
    assert!(printed.contains("\n    token: { env: FINE_TOKEN }\n"), "{printed}");
    let (code, printed) = run(&sidekey, &["show", "fine", "--json"], &[]).await;
    let document: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &document["running"]["state"]), (0, &"ready".into()));
    assert_eq!(document["secrets"][0]["source"]["env"], "FINE_TOKEN");
    assert_eq!(document["settings"]["timeouts"]["connect"], "5s");
    assert!(document["defaults"].as_array().unwrap().contains(&"timeouts.connect".into()));
    let (code, printed) = run(&sidekey, &["show", "other"], &[]).await;
    assert_eq!((code, printed.as_str()), (64, "no service `other`; the configuration has: api, fine\n"));
    sidekey.terminate().await;
    let (code, printed) = run(&sidekey, &["show", "fine"], &[]).await;
    assert!(code == 0 && printed.starts_with("# state: not known, no Sidekey answers at"), "{printed}");
}
