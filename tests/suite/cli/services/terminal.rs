//! `sidekey add` and `rotate` at a terminal: everything is asked for.

use std::fs;

use super::Setup;
use crate::harness::Sidekey;

#[tokio::test]
async fn add_at_a_terminal_asks_for_everything_and_hides_the_secret() {
    let setup = Setup::new("", &["t0ken-CANARY"]).await;
    let file = setup.file();
    let mut terminal = Sidekey::at_terminal(&["add", "-c", file.to_str().unwrap()], &[("NO_COLOR", "1")]);
    terminal.expect("Provider, or kind of credential").await;
    terminal.type_keys("Bearer tok\r").await;
    terminal.expect("Name of the service").await;
    terminal.type_keys("\r").await;
    terminal.expect("Base URL of the API").await;
    terminal.type_keys("\r").await;
    terminal.expect("`upstream` is required").await;
    terminal.type_keys(&format!("{}\r", setup.upstream.url())).await;
    terminal.expect("where is it?").await;
    terminal.type_keys("\r").await;
    terminal.expect("Token").await;
    terminal.type_keys("t0ken-CANARY\r").await;
    terminal.expect("answer      200").await;
    terminal.expect("Write it?").await;
    terminal.type_keys("y\r").await;
    terminal.expect("written: ").await;
    assert!(terminal.ended().await.success());
    assert!(!terminal.screen().contains("CANARY"));
    assert_eq!(fs::read_to_string(setup.at("secrets/bearer-token")).unwrap(), "t0ken-CANARY");
    assert!(setup.text().contains("  bearer:\n"), "{}", setup.text());
}

#[tokio::test]
async fn add_that_is_not_confirmed_leaves_nothing() {
    let setup = Setup::new("services: {}\n", &["other"]).await;
    let (file, upstream) = (setup.file(), format!("upstream={}", setup.upstream.url()));
    let add = [
        "add",
        "api",
        "-p",
        "bearer",
        "--set",
        &upstream,
        "--secret",
        "token=prompt",
        "-c",
        file.to_str().unwrap(),
    ];
    let mut terminal = Sidekey::at_terminal(&add, &[("NO_COLOR", "1")]);
    terminal.expect("Token").await;
    terminal.type_keys("t0ken-CANARY\r").await;
    terminal.expect("The test failed. Write it all the same?").await;
    terminal.type_keys("\r").await;
    assert_eq!(terminal.ended().await.code(), Some(1));
    assert_eq!(setup.text(), "services: {}\n");
    assert!(!setup.at("secrets").exists());
}
