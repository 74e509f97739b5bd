//! `state`: tokens that are kept on disk over a restart.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::setup::service;
use crate::harness::{
    Gate, MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually,
};

const KEY: &str = "CANARY-key-of-the-state-folder-0123456789";

/// A configuration with one service whose access tokens are kept in this folder.
fn config(upstream: &MockUpstream, endpoint: &MockTokenEndpoint, dir: &Path, key: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ level: debug, format: json }}\n\
         state: {{ dir: '{}', key: {key}, access_tokens: true }}\nservices:\n  {}",
        dir.display(),
        service("api", upstream, endpoint, "", "")
    )
}

fn state_files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().unwrap().to_string_lossy().starts_with(extension)).collect()
}

#[tokio::test]
async fn state_restart_reuses_the_stored_token() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    upstream.respond_with(endpoint.guard());
    endpoint.always(MockTokenResponse::issue(3600));
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("made/by/sidekey");
    let config = config(&upstream, &endpoint, &dir, KEY);
    for _ in 0..3 {
        let mut sidekey = Sidekey::configured(&config).start_ready().await;
        assert_eq!(sidekey.get("/api/").await.text(), "granted");
        sidekey.terminate().await;
    }
    assert_eq!(endpoint.requests().len(), 1);

    let files = state_files(&dir, "state");
    assert_eq!(files.len(), 1);
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let content = fs::read(&files[0]).unwrap();
    let content = String::from_utf8_lossy(&content);
    assert!(!content.contains("tok-1") && !content.contains("CANARY") && !content.contains("s3cret"));
}

#[tokio::test]
async fn state_is_not_used_with_another_client_secret() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let folder = TempDir::new().unwrap();
    let config = config(&upstream, &endpoint, &folder.path().join("state"), KEY);
    Sidekey::configured(&config).start_ready().await.terminate().await;
    Sidekey::configured(&config.replace("s3cret", "rotated")).start_ready().await.terminate().await;
    assert_eq!(endpoint.requests().len(), 2);
}

#[tokio::test]
async fn state_file_of_another_key_is_reported_and_set_aside() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("state");
    let first = config(&upstream, &endpoint, &dir, KEY);
    Sidekey::configured(&first).start_ready().await.terminate().await;
    let old = fs::read(&state_files(&dir, "state")[0]).unwrap();
    let other = config(&upstream, &endpoint, &dir, "CANARY-another-key-of-the-state-folder-012");
    let sidekey = Sidekey::configured(&other).start_ready().await;
    let written =
        async || sidekey.metric("sidekey_state_writes_total", &[("result", "success")]).await == Some(1.0);
    assert_eventually(TIMEOUT, "the new token is kept", written).await;
    sidekey.logged_like("state file not read: the state file ").await;
    let aside = state_files(&dir, "broken-");
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read(&aside[0]).unwrap(), old);
    assert!(!sidekey.log().contains("CANARY"));
}

#[tokio::test]
async fn state_shutdown_waits_for_pending_token_request() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let folder = TempDir::new().unwrap();
    let config = config(&upstream, &endpoint, &folder.path().join("state"), KEY);
    let gate = Gate::closed();
    endpoint.next(MockTokenResponse::issue(3600).delayed_until(&gate));
    let mut sidekey = Sidekey::configured(&config).start().await;
    endpoint.received(1).await;
    sidekey.signal(nix::sys::signal::Signal::SIGTERM);
    sidekey.logged("draining").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!sidekey.log().contains("\"stopped\""), "it waits");
    gate.open();
    assert!(sidekey.ended().await.success());
    Sidekey::configured(&config).start_ready().await;
    assert_eq!(endpoint.requests().len(), 1, "the token issued during the shutdown was stored");
}

#[tokio::test]
async fn state_folder_open_to_others_fails_the_start() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let config = config(&upstream, &endpoint, folder.path(), KEY);
    let (code, output) = Sidekey::configured(&config).expect_start_failure().await;
    assert_eq!(code, 1);
    assert!(output.contains("state.dir ") && output.contains("its mode is 755"), "{output}");
    assert!(endpoint.requests().is_empty());
}

/// Limits the size of the files that the process writes (`bytes`, or `unlimited`).
fn limit_file_size(sidekey: &Sidekey, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let process = format!("--pid={}", sidekey.process_id());
    let status = Command::new("prlimit").args([process, limit]).status();
    assert!(status.expect("prlimit, of util-linux").success());
}

#[tokio::test]
async fn state_write_failure_is_logged_once_and_recovers() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    upstream.respond_with(endpoint.guard());
    endpoint.always(MockTokenResponse::issue(2));
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("state");
    let mut sidekey = Sidekey::configured(&config(&upstream, &endpoint, &dir, KEY)).start_ready().await;
    let writes = async |result| {
        sidekey.metric("sidekey_state_writes_total", &[("result", result)]).await.unwrap_or(0.0)
    };
    let errors = || sidekey.events().iter().filter(|event| event["level"] == "ERROR").count();
    assert_eventually(TIMEOUT, "the first token is kept", async || writes("success").await >= 1.0).await;

    for episode in 1..=2 {
        limit_file_size(&sidekey, "0");
        let failed = writes("failure").await;
        assert_eventually(TIMEOUT, "a write fails", async || writes("failure").await > failed).await;
        let files = state_files(&dir, "state");
        assert_eq!((files.len(), state_files(&dir, "new").len()), (1, 0));
        let before = fs::read(&files[0]).unwrap();
        assert!(!before.is_empty());
        // New tokens are in use, and the file is unchanged.
        endpoint.received(endpoint.request_count() + 2).await;
        assert_eq!(sidekey.get("/api/").await.text(), "granted");
        assert_eq!(fs::read(&files[0]).unwrap(), before);
        assert_eq!(errors(), episode, "{}", sidekey.log());
        assert!(sidekey.log().contains("cannot write the state file "));

        limit_file_size(&sidekey, "unlimited");
        let at_last = || sidekey.log().matches("state file written: ").count() == episode;
        assert_eventually(TIMEOUT, "it is written, and logged", async || at_last()).await;
        assert_ne!(fs::read(&files[0]).unwrap(), before);
        assert_eq!(state_files(&dir, "broken-"), Vec::<PathBuf>::new());
    }
    assert_eq!(sidekey.get("/api/").await.text(), "granted");
    assert!(sidekey.terminate().await.success(), "the limit on files has not ended it");
}
