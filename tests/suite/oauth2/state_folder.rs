//! `state.dir`: folders and files that somebody else may have put there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::setup::service;
use crate::harness::{
    MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually,
};

const KEY: &str = "CANARY-key-of-the-state-folder-0123456789";

async fn config(dir: &Path) -> (String, MockUpstream, MockTokenEndpoint) {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    upstream.respond_with(endpoint.guard());
    endpoint.always(MockTokenResponse::issue(3600));
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ level: debug, format: json }}\n\
         state: {{ dir: '{}', key: {KEY}, access_tokens: true }}\nservices:\n  {}",
        dir.display(),
        service("api", &upstream, &endpoint, "", "")
    );
    (config, upstream, endpoint)
}

/// What `sidekey run` prints, which has to fail.
async fn refusal(dir: &Path) -> String {
    let (config, _upstream, endpoint) = config(dir).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sidekey.yaml");
    fs::write(&file, config).unwrap();
    let run = Sidekey::command(&["run", "--config", file.to_str().unwrap()], &[]).await;
    assert!(!run.status.success());
    assert_eq!(endpoint.request_count(), 0);
    String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned()
}

#[tokio::test]
async fn state_folder_that_others_may_enter_is_refused() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("state");
    fs::create_dir(&dir).unwrap();
    for mode in [0o777, 0o1777, 0o770, 0o755, 0o702] {
        fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
        let printed = refusal(&dir).await;
        assert!(printed.contains(&format!("chmod 700 {}", dir.display())), "{mode:o} {printed}");
    }
}

#[tokio::test]
async fn state_folder_of_another_owner_is_refused() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("state");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    // Only root can give a folder away; for another user, `/` is another owner's.
    let own = fs::metadata(&dir).unwrap().uid();
    let dir = if own == 0 {
        chown(&dir, Some(12_345), None).unwrap();
        dir.as_path()
    } else {
        Path::new("/")
    };
    let printed = refusal(dir).await;
    assert!(printed.contains("belongs to user") && printed.contains(&format!("chown {own}")), "{printed}");
    assert!(printed.contains(dir.to_str().unwrap()), "{printed}");
}

#[tokio::test]
async fn state_files_behind_symbolic_links_are_not_touched() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("state");
    let (config, _upstream, endpoint) = config(&dir).await;
    Sidekey::configured(&config).start_ready().await.terminate().await;
    let state = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let state = state.filter(|path| path.extension().is_some_and(|it| it == "state")).collect::<Vec<_>>();
    let outside = folder.path().join("outside");
    for extension in ["lock", "new", "state"] {
        let link = state[0].with_extension(extension);
        let _ = fs::remove_file(&link);
        symlink(&outside, &link).unwrap();
    }
    // Without its state it requests a token as at the first start.
    let before = endpoint.request_count();
    let sidekey = Sidekey::configured(&config).start().await;
    let named = async || sidekey.log().contains("symbolic link");
    assert_eventually(TIMEOUT, "the link is named", named).await;
    assert!(!outside.exists(), "a dangling link was followed");
    drop(sidekey);
    fs::write(&outside, "precious").unwrap();
    let sidekey = Sidekey::configured(&config).start().await;
    let named = async || sidekey.log().contains("symbolic link");
    assert_eventually(TIMEOUT, "the link is named", named).await;
    assert_eq!(fs::read(&outside).unwrap(), b"precious");
    assert!(endpoint.request_count() >= before);
}
