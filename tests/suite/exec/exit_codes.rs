//! The exit code is that of the command, and standard input and output are the command's.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::setup::{Stage, printed, text};
use crate::harness::Sidekey;

#[tokio::test]
async fn exit_code_is_that_of_the_command() {
    let stage = Stage::new().await;
    for (shell, code) in
        [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137), ("kill $$", 143)]
    {
        let output = stage.run(&[], &["sh", "-c", shell]).await;
        assert_eq!(output.status.code(), Some(code), "{shell} {output:?}");
    }
}

#[tokio::test]
async fn command_that_cannot_be_run_is_126_or_127() {
    let stage = Stage::new().await;
    let file = stage.dir().join("not-executable");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let cases =
        [("/nonexistent/command", 127), ("no-such-command-anywhere", 127), (file.to_str().unwrap(), 126)];
    for (command, code) in cases {
        let output = stage.run(&[], &[command]).await;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(text(&output.stderr).contains(&format!("cannot run {command}: ")), "{output:?}");
    }
}

#[tokio::test]
async fn wrong_usage_is_64_and_starts_nothing() {
    let stage = Stage::new().await;
    for options in [&["--config", "-"][..], &["--ready-timeout", "30"], &["--log-level", "loud"]] {
        let output = Sidekey::command(&[&["exec"], options, &["--", "echo", "started"]].concat(), &[]).await;
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(64), String::new()), "{output:?}");
    }
    let output = stage.run(&["--log-file", "/nonexistent/log"], &["echo", "started"]).await;
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(125), String::new()), "{output:?}");
    assert!(text(&output.stderr).contains("cannot write to /nonexistent/log"), "{output:?}");
}

#[tokio::test]
async fn standard_input_and_output_are_those_of_the_command() {
    let stage = Stage::new().await;
    let config = stage.config();
    let arguments = ["exec", "--config", config.to_str().unwrap(), "--", "cat"];
    stage.configure(&format!("services:\n  api: {}\n", stage.service("plain-token-0123")));
    let input = "line\n".repeat(100_000);
    let output = Sidekey::command_with_input(&arguments, input.as_bytes()).await;
    assert_eq!(printed(&output), input);
    // The warning about the secret in plain text is on standard error, or in the log file.
    assert!(text(&output.stderr).contains("configuration warning"), "{output:?}");
    let log = stage.dir().join("log");
    let output = stage.run(&["--log-file", log.to_str().unwrap()], &["true"]).await;
    assert_eq!((printed(&output), text(&output.stderr)), (String::new(), String::new()));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("configuration warning") && log.contains("listening"), "{log}");
}
