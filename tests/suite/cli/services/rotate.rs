//! `sidekey rotate`.

use std::fs;

use super::{Setup, accept};
use crate::harness::{MockTokenEndpoint, MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually};

const FILE: &str =
    "services:\n  api:\n    upstream: $UPSTREAM\n    auth: { type: bearer, token: { file: $DIR/token } }\n";

fn read(setup: &Setup, name: &str) -> String {
    fs::read_to_string(setup.at(name)).unwrap()
}

#[tokio::test]
async fn rotate_keeps_the_old_secret_as_previous_until_the_new_one_is_accepted() {
    let setup = Setup::new(FILE, &["CANARY-old", "CANARY-new"]).await;
    fs::write(setup.at("token"), "CANARY-old\n").unwrap();
    let (code, printed) = setup.run(&["rotate", "api", "--yes"], "CANARY-new\n").await;
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("the upstream accepts the new secret"), "{printed}");
    assert_eq!(
        (read(&setup, "token"), read(&setup, "token.previous")),
        ("CANARY-new".into(), "CANARY-old\n".into())
    );
    let previous = format!(", previous: {{ file: {} }} }}", setup.at("token.previous").display());
    assert!(setup.text().contains(&previous), "{}", setup.text());
    // Once more: the file of the previous secret is there already.
    accept(&setup.upstream, &["CANARY-new", "CANARY-newer"]);
    let before = setup.text();
    let (code, printed) = setup.run(&["rotate", "api", "--yes"], "CANARY-newer\n").await;
    assert_eq!((code, setup.text()), (0, before), "{printed}");
    assert_eq!(
        (read(&setup, "token"), read(&setup, "token.previous")),
        ("CANARY-newer".into(), "CANARY-new".into())
    );
}

#[tokio::test]
async fn rotation_that_is_not_finished_is_not_begun_again() {
    let setup = Setup::new(FILE, &["CANARY-old"]).await;
    fs::write(setup.at("token"), "CANARY-old").unwrap();
    let (code, printed) = setup.run(&["rotate", "api", "--yes", "--wait", "0"], "CANARY-new\n").await;
    assert!(code == 1 && printed.contains("does not accept the new secret yet"), "{printed}");
    let (code, printed) = setup.run(&["rotate", "api", "--yes", "--wait", "0"], "CANARY-newer\n").await;
    assert!(code == 64 && printed.contains("the last rotation may not be finished"), "{printed}");
    assert_eq!(
        (read(&setup, "token"), read(&setup, "token.previous")),
        ("CANARY-new".into(), "CANARY-old".into())
    );
    let (code, printed) = setup.run(&["rotate", "api", "--yes"], "CANARY-new\n").await;
    assert!(code == 64 && printed.contains("the new secret is the one that"), "{printed}");
}

#[tokio::test]
async fn secret_of_a_credential_in_a_list_is_rotated() {
    const LIST: &str = "services:
  api:
    upstream: $UPSTREAM
    auth:
      # The gateway.
      - type: api_key
        name: X-Gateway-Key
        value: { file: $DIR/gateway }
      - { type: bearer, token: { file: $DIR/token } } # the API
";
    let setup = Setup::new(LIST, &["CANARY-old", "CANARY-new"]).await;
    fs::write(setup.at("token"), "CANARY-old\n").unwrap();
    fs::write(setup.at("gateway"), "CANARY-gateway\n").unwrap();
    let (code, printed) = setup.run(&["rotate", "api", "--yes"], "CANARY-new\n").await;
    assert!(code == 64 && printed.contains("`--key` is one of: 0.value, 1.token"), "{printed}");
    let (code, printed) = setup.run(&["rotate", "api", "--yes", "--key", "1.token"], "CANARY-new\n").await;
    assert_eq!(code, 0, "{printed}");
    assert_eq!(
        (read(&setup, "token"), read(&setup, "token.previous")),
        ("CANARY-new".into(), "CANARY-old\n".into())
    );
    let previous = format!(", previous: {{ file: {} }} }} # the API", setup.at("token.previous").display());
    assert!(setup.text().contains(&previous), "{}", setup.text());
    assert!(setup.text().contains("      # The gateway.\n      - type: api_key\n"), "{}", setup.text());
    assert!(printed.contains("sidekey edit api --unset auth.1.previous"), "{printed}");
    let (code, printed) =
        setup.run(&["edit", "api", "--yes", "--no-test", "--unset", "auth.1.previous"], "").await;
    assert!(code == 0 && !setup.text().contains("previous"), "{printed} {}", setup.text());
    let (code, printed) =
        setup.run(&["rotate", "api", "--yes", "--key", "0.value"], "CANARY-gateway-2\n").await;
    assert_eq!((code, read(&setup, "gateway")), (0, "CANARY-gateway-2".into()), "{printed}");
    assert!(
        setup.text().contains("        previous:\n") || setup.text().contains("        previous: {"),
        "{}",
        setup.text()
    );
}

#[tokio::test]
async fn client_secret_is_tested_before_it_replaces_the_old_one() {
    let upstream = MockUpstream::plain().await;
    let endpoint = MockTokenEndpoint::plain().await;
    let text = format!(
        "services:\n  api:\n    upstream: {}\n    auth: {{ type: oauth2, grant_type: client_credentials, token_url: '{}', \
         client_id: me, client_secret: {{ file: $DIR/secret }} }}\n",
        upstream.url(),
        endpoint.url()
    );
    let setup = Setup::new(&text, &[]).await;
    fs::write(setup.at("secret"), "CANARY-old").unwrap();
    let before = setup.text();
    endpoint.next(crate::harness::MockTokenResponse::error(401, "invalid_client"));
    let (code, printed) = setup.run(&["rotate", "api", "--yes"], "CANARY-bad\n").await;
    assert!(
        code == 1 && printed.contains("nothing was rotated: the test with the new secret failed"),
        "{printed}"
    );
    assert_eq!(read(&setup, "secret"), "CANARY-old");
    let (code, printed) = setup.run(&["rotate", "api"], "CANARY-new\n").await;
    assert!(code == 1 && printed.contains("nothing was rotated: `--yes` does it"), "{printed}");
    assert_eq!(read(&setup, "secret"), "CANARY-old");
    // A link to the file stays one.
    fs::rename(setup.at("secret"), setup.at("real")).unwrap();
    std::os::unix::fs::symlink("real", setup.at("secret")).unwrap();
    let (code, printed) = setup.run(&["rotate", "api", "--yes"], "CANARY-new\n").await;
    assert_eq!(read(&setup, "real"), "CANARY-new");
    assert_eq!((code, read(&setup, "secret"), setup.text()), (0, "CANARY-new".into(), before), "{printed}");
    assert!(endpoint.requests().last().unwrap().basic().unwrap().contains("CANARY-new"));
    let files: Vec<_> =
        fs::read_dir(setup.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
}

#[tokio::test]
async fn running_process_serves_every_request_through_a_rotation() {
    let setup = Setup::new(FILE, &["CANARY-old"]).await;
    fs::write(setup.at("token"), "CANARY-old").unwrap();
    let services = setup.text().replace("services:\n", "");
    let config = format!(
        "reload: {{ interval: 100ms }}\n{}",
        Sidekey::configuration_serving(&indented_out(&services))
    );
    fs::write(setup.file(), &config).unwrap();
    let sidekey = Sidekey::configured(&config).start_ready().await;
    // The command changes the file of the running process.
    let file = sidekey.dir().join("sidekey.yaml");
    let rotate = ["rotate", "api", "--yes", "--wait", "0", "--config", file.to_str().unwrap()];
    let output = Sidekey::command_with_input(&rotate, b"CANARY-new\n").await;
    assert_eq!(output.status.code(), Some(1), "the upstream does not know the new secret yet");
    let status = async || Request::get(sidekey.url("/api/x")).send().await.status;
    assert_eventually(TIMEOUT, "the new secret is tried", async || {
        assert_eq!(status().await, 200);
        setup
            .upstream
            .requests()
            .iter()
            .any(|sent| sent.target == "/x" && sent.header("authorization") == Some("Bearer CANARY-new"))
    })
    .await;
    accept(&setup.upstream, &["CANARY-new", "CANARY-old"]);
    assert_eq!(status().await, 200);
}

/// Lines without the indentation of an entry of `services`.
fn indented_out(text: &str) -> String {
    text.lines().flat_map(|line| [line.strip_prefix("  ").unwrap_or(line), "\n"]).collect()
}
