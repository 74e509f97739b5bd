//! `sidekey check` and files that other users of the machine can read or change.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::{MockUpstream, Pki, SecretMount, Sidekey, UpdateStyle};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder with every file that a configuration can name, closed to others.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let dir = TempDir::with_prefix("sidekey-exposure-").unwrap();
        let pki = Pki::new();
        let (certificate, key) = pki.client_pem("localhost");
        let ca = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&ca.signing_key).unwrap();
        let root = dir.path().display();
        let config = format!(
            "listen: {{ address: 127.0.0.1:0, tls: {{ cert_file: {root}/cert.pem, key_file: {root}/tls.key, \
             client_ca_file: {root}/client-ca.pem }} }}
admin: unix:{root}/admin.sock
state: {{ dir: {root}/state, key: {{ file: {root}/state-key }} }}
intercept: {{ ca_cert_file: {root}/ca.pem, ca_key_file: {root}/ca.key }}
services:
  a:
    upstream: https://a.example.com
    auth: {{ type: bearer, token: {{ file: {root}/token }} }}
    tls: {{ ca_file: {root}/upstream-ca.pem, cert_file: {root}/cert.pem, key_file: {root}/client.key }}
  b:
    upstream: https://b.example.com
    auth: {{ type: oauth2, grant_type: client_credentials, token_url: 'https://c.example.com/token', client_id: me, \
             auth_method: private_key_jwt, private_key: {{ file: {root}/signing.key }} }}
"
        );
        for (name, content) in [
            ("sidekey.yaml", config.as_str()),
            ("cert.pem", &certificate),
            ("tls.key", &key),
            ("client.key", &key),
            ("signing.key", &key),
            ("client-ca.pem", &pki.ca_pem()),
            ("upstream-ca.pem", &pki.ca_pem()),
            ("ca.pem", &authority.pem()),
            ("ca.key", &ca.signing_key.serialize_pem()),
            ("token", "t0ken"),
            ("state-key", "a key of at least thirty-two characters"),
        ] {
            fs::write(dir.path().join(name), content).unwrap();
            set_mode(&dir.path().join(name), 0o600);
        }
        Self(dir)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The warnings that `check` prints, without the path of the folder.
    async fn warnings(&self) -> Vec<String> {
        let check =
            Sidekey::command(&["check", "--config", self.at("sidekey.yaml").to_str().unwrap()], &[]).await;
        let printed = String::from_utf8(check.stderr).unwrap();
        assert!(check.status.success(), "{printed}");
        let root = self.0.path().to_str().unwrap();
        printed.lines().map(|line| line.replace(root, "DIR")).collect()
    }
}

#[tokio::test]
async fn check_is_silent_about_files_that_others_cannot_reach() {
    let files = Files::new();
    assert_eq!(files.warnings().await, [""; 0]);
    for public in ["cert.pem", "client-ca.pem", "upstream-ca.pem", "ca.pem", "sidekey.yaml"] {
        set_mode(&files.at(public), 0o644);
    }
    set_mode(files.0.path(), 0o755);
    assert_eq!(files.warnings().await, [""; 0]);
}

#[tokio::test]
async fn check_names_exposed_files_with_the_command() {
    let files = Files::new();
    for (name, modes, what, command) in [
        ("token", &[0o644, 0o666, 0o640, 0o604][..], "read", "chmod 600"),
        ("state-key", &[0o644, 0o666], "read", "chmod 600"),
        ("tls.key", &[0o640, 0o644, 0o666], "read", "chmod 600"),
        ("client.key", &[0o640, 0o644], "read", "chmod 600"),
        ("signing.key", &[0o640, 0o644], "read", "chmod 600"),
        ("ca.key", &[0o640, 0o644], "read", "chmod 600"),
        ("sidekey.yaml", &[0o664, 0o666, 0o622], "change", "chmod go-w"),
        ("upstream-ca.pem", &[0o664, 0o666], "change", "chmod go-w"),
        ("client-ca.pem", &[0o666], "change", "chmod go-w"),
        ("cert.pem", &[0o666], "change", "chmod go-w"),
    ] {
        for mode in modes {
            set_mode(&files.at(name), *mode);
            let warnings = files.warnings().await;
            assert_eq!(warnings.len(), 1, "{name} {mode:o} {warnings:?}");
            let expected = format!("(its mode is {mode:04o}); run `{command} DIR/{name}`");
            assert!(warnings[0].contains(what) && warnings[0].ends_with(&expected), "{warnings:?}");
        }
        set_mode(&files.at(name), 0o600);
    }
}

#[tokio::test]
async fn check_names_a_command_that_others_can_change() {
    let dir = TempDir::new().unwrap();
    let (config, script) = (dir.path().join("sidekey.yaml"), dir.path().join("print-token"));
    fs::write(&script, "#!/bin/sh\necho t0ken\n").unwrap();
    let path = script.display();
    for command in [
        path.to_string(),
        format!("sh, {path}"),
        format!("/bin/sh, -e, {path}"),
        format!("env, --file={path}"),
    ] {
        let text = format!(
            "services: {{ a: {{ upstream: 'https://a.example.com', auth: {{ type: bearer, token: {{ exec: [{command}] }} }} }} }}"
        );
        fs::write(&config, text).unwrap();
        for (mode, count) in [(0o777, 1), (0o775, 1), (0o755, 0)] {
            set_mode(&script, mode);
            let check =
                Sidekey::command(&["check", "--without-secrets", "--config", config.to_str().unwrap()], &[])
                    .await;
            let printed = String::from_utf8_lossy(&check.stderr).into_owned();
            let expected = format!("run `chmod go-w {path}`");
            assert_eq!(printed.matches(&expected).count(), count, "{command} {printed}");
        }
    }
}

#[tokio::test]
async fn check_names_an_open_socket_of_callers() {
    let dir = TempDir::new().unwrap();
    let (config, socket) = (dir.path().join("sidekey.yaml"), dir.path().join("s.sock"));
    let path = socket.display();
    let _socket = UnixListener::bind(&socket).unwrap();
    let api = "{ upstream: 'https://a.example.com', auth: { type: bearer, token: t }";
    for text in [
        format!("listen: 'unix:{path}'\nservices: {{ api: {api} }} }}\n"),
        format!("services: {{ api: {api}, listen: 'unix:{path}' }} }}\n"),
    ] {
        fs::write(&config, text).unwrap();
        for (mode, count) in [(0o777, 1), (0o666, 1), (0o755, 0), (0o660, 0)] {
            set_mode(&socket, mode);
            let check = Sidekey::command(&["check", "--config", config.to_str().unwrap()], &[]).await;
            let printed = String::from_utf8_lossy(&check.stderr).into_owned();
            assert_eq!(printed.matches(&format!("run `chmod 660 {path}`")).count(), count, "{printed}");
        }
    }
}

#[tokio::test]
async fn check_names_open_folders_and_sockets() {
    let files = Files::new();
    set_mode(files.0.path(), 0o777);
    let warnings = files.warnings().await;
    assert!(warnings.len() == 1 && warnings[0].ends_with("run `chmod go-w DIR`"), "{warnings:?}");
    set_mode(files.0.path(), 0o1777);
    assert_eq!(files.warnings().await, [""; 0], "sticky");
    set_mode(files.0.path(), 0o700);

    let _socket = UnixListener::bind(files.at("admin.sock")).unwrap();
    for (mode, count) in [(0o777, 1), (0o666, 1), (0o755, 0), (0o660, 0)] {
        set_mode(&files.at("admin.sock"), mode);
        let warnings = files.warnings().await;
        assert_eq!(warnings.len(), count, "{warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains("run `chmod 660 DIR/admin.sock`")));
    }
    fs::create_dir(files.at("state")).unwrap();
    for (mode, count) in [(0o755, 1), (0o777, 1), (0o1777, 1), (0o700, 0)] {
        set_mode(&files.at("state"), mode);
        let warnings = files.warnings().await;
        assert_eq!(warnings.len(), count, "{warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains("`chmod 700 DIR/state`")), "{warnings:?}");
    }
}

#[tokio::test]
async fn check_names_open_folders_above_the_state_folder() {
    let dir = TempDir::new().unwrap();
    let (open, config) = (dir.path().join("open"), dir.path().join("sidekey.yaml"));
    fs::create_dir_all(open.join("state")).unwrap();
    set_mode(&open.join("state"), 0o700);
    let text = format!(
        "state: {{ dir: {}, key: 'a key of at least thirty-two characters' }}\n\
         services: {{ a: {{ upstream: 'https://a.example.com', auth: {{ type: bearer, token: t }} }} }}\n",
        open.join("state").display()
    );
    fs::write(&config, text).unwrap();
    for (mode, count) in [(0o777, 1), (0o1777, 0), (0o755, 0)] {
        set_mode(&open, mode);
        let check = Sidekey::command(&["check", "--config", config.to_str().unwrap()], &[]).await;
        let printed = String::from_utf8_lossy(&check.stderr).into_owned();
        assert_eq!(
            printed.matches(&format!("run `chmod go-w {}`", open.display())).count(),
            count,
            "{printed}"
        );
    }
}

#[tokio::test]
async fn check_is_silent_about_a_kubernetes_volume() {
    let mount = SecretMount::new(UpdateStyle::Symlink, &[("token", "t0ken")]);
    set_mode(Path::new(mount.path()), 0o1777);
    let real = fs::canonicalize(format!("{}/token", mount.path())).unwrap();
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("sidekey.yaml");
    let text = format!(
        "services: {{ a: {{ upstream: 'https://a.example.com', auth: {{ type: bearer, token: {{ file: {}/token }} }} }} }}",
        mount.path()
    );
    fs::write(&config, text).unwrap();
    for (mode, is_silent) in [(0o644, true), (0o440, true), (0o400, true), (0o666, false)] {
        set_mode(&real, mode);
        let check = Sidekey::command(&["check", "--config", config.to_str().unwrap()], &[]).await;
        assert!(check.status.success());
        assert_eq!(check.stderr.is_empty(), is_silent, "{mode:o} {}", String::from_utf8_lossy(&check.stderr));
    }
    // A link of another name is no such volume.
    let link = dir.path().join("link");
    symlink(&real, &link).unwrap();
    set_mode(&real, 0o600);
}

#[tokio::test]
async fn start_logs_exposed_files() {
    let upstream = MockUpstream::plain().await;
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ level: debug, format: json }}\n\
         services: {{ api: {{ upstream: '{}', auth: {{ type: bearer, token: {{ file: $DIR/token }} }} }} }}\n",
        upstream.url()
    );
    let sidekey = Sidekey::configured(&config).file("token", "t0ken").executable("token").start().await;
    sidekey.logged_like("configuration warning: every user of this machine can read the file").await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
}
