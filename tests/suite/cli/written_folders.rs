//! Folders that the program writes to, besides `state.dir`: no other user may replace files in them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use crate::harness::Sidekey;

#[tokio::test]
async fn ca_init_refuses_a_folder_that_others_can_write_to() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().to_str().unwrap();
    for (mode, is_refused) in [(0o777, true), (0o703, true), (0o1777, false)] {
        fs::set_permissions(out, Permissions::from_mode(mode)).unwrap();
        let made = Sidekey::command(&["ca", "init", "--unconstrained", "--out", out], &[]).await;
        assert_eq!(made.status.success(), !is_refused, "{mode:o} {made:?}");
        let printed = String::from_utf8_lossy(&made.stderr).into_owned();
        assert_eq!(printed.contains(&format!("chmod go-w {out}")), is_refused, "{printed}");
    }
}

#[tokio::test]
async fn upgrade_socket_is_not_put_where_others_can_replace_it() {
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
    let socket = dir.path().join("upgrade.sock");
    let services = "api: { upstream: 'http://127.0.0.1:9', auth: { type: bearer, token: t } }";
    let config =
        format!("upgrade_sock: '{}'\n{}", socket.display(), Sidekey::configuration_serving(services));
    let sidekey = Sidekey::configured(&config).start().await;
    let event = sidekey.logged_like("cannot offer sockets").await;
    assert!(event["message"].as_str().unwrap().contains("chmod go-w"), "{event}");
    assert!(!socket.exists());
}
