//! Files that are no regular files: a FIFO without a writer, a device, a folder, a socket. Each is an error that
//! names the place, at once, and no later reload is missed.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use super::setup::{bearer, watched};
use crate::harness::{MockUpstream, Pki, Sidekey, TIMEOUT, assert_eventually};

const IN_USE: &str = "sidekey_config_last_reload_successful";
const CERTIFICATES_IN_USE: &str = "sidekey_certificate_last_reload_successful";

fn make_fifo(path: &Path) {
    let _ = fs::remove_file(path);
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

/// Every key that names a file, as the configuration of a service `api`, or of the whole file if it begins with
/// a newline. `$F` is the file.
const KEYS: [&str; 13] = [
    "auth: { type: bearer, token: { file: $F } }",
    "auth: { type: bearer, token: t }, tls: { ca_file: $F }",
    "auth: { type: bearer, token: t }, tls: { cert_file: $F, key_file: $F }",
    "auth: { type: bearer, token: t }, listen: { address: '127.0.0.1:0', tls: { cert_file: $F, key_file: $F } }",
    "auth: { type: bearer, token: t } }\nadmin: { listen: '127.0.0.1:0', token: { file: $F }",
    "auth: { type: bearer, token: t } }\nstate: { dir: /tmp, key: { file: $F }",
    "auth: { type: bearer, token: t } }\nintercept: { ca_cert_file: $F, ca_key_file: $F",
    "auth: { $OAUTH2, grant_type: client_credentials, client_id: a, client_secret: { file: $F } }",
    "auth: { $OAUTH2, grant_type: client_credentials, client_id: a, auth_method: private_key_jwt, private_key: { file: $F } }",
    "auth: { $OAUTH2, grant_type: client_credentials, client_id: a, auth_method: private_key_jwt, \
     private_key: { env: UNSET }, assertion_certificate: $F }",
    "auth: { $OAUTH2, grant_type: jwt_bearer, service_account_file: $F }",
    "auth: { $OAUTH2, grant_type: token_exchange, subject_token: { file: $F } }",
    "auth: { $OAUTH2, grant_type: client_credentials, client_id: a, client_secret: s, dpop: true, dpop_key: { file: $F } }",
];

async fn check(config: &Path) -> (Option<i32>, String) {
    let checked = Sidekey::command(&["check", "--config", config.to_str().unwrap()], &[]).await;
    let printed = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    (checked.status.code(), printed)
}

#[tokio::test]
async fn check_rejects_special_files_for_every_key() {
    let dir = TempDir::with_prefix("sidekey-special-").unwrap();
    let [fifo, socket, folder, config] =
        ["fifo", "socket", "folder", "config.yaml"].map(|name| dir.path().join(name));
    make_fifo(&fifo);
    fs::create_dir(&folder).unwrap();
    let _listener = UnixListener::bind(&socket).unwrap();
    let kinds = [
        (fifo.as_path(), "a FIFO"),
        (socket.as_path(), "a socket"),
        (folder.as_path(), "a directory"),
        (Path::new("/dev/zero"), "a device"),
    ];
    for key in KEYS {
        let key = key.replace("$OAUTH2", "type: oauth2, token_url: 'https://a.example/t'");
        for (path, kind) in kinds {
            let service = key.replace("$F", &path.display().to_string());
            fs::write(&config, format!("services:\n  api: {{ upstream: 'https://a.example', {service} }}\n"))
                .unwrap();
            let (code, printed) = check(&config).await;
            let said = format!("{}: it is {kind}, not a regular file", path.display());
            assert!(code == Some(78) && printed.contains(&said), "{service}: {code:?} {printed}");
        }
    }
    // A folder is checked as a folder of included files.
    for (path, kind) in kinds.into_iter().filter(|(path, _)| !path.is_dir()) {
        let (code, printed) = check(path).await;
        let said = format!("{}: cannot read the file: it is {kind}, not a regular file", path.display());
        assert!(code == Some(78) && printed.contains(&said), "{code:?} {printed}");
    }
}

#[tokio::test]
async fn reload_survives_a_fifo_in_place_of_a_file() {
    let upstream = MockUpstream::plain().await;
    let text = watched(&bearer("api", &upstream, "{ file: $DIR/secret }"));
    let sidekey = Sidekey::configured(&text).file("secret", "one").start().await;
    let sends = async |token: &str| {
        assert_eventually(TIMEOUT, &format!("{token} is sent"), async || {
            assert_eq!(sidekey.get("/api/x").await.status, 200);
            upstream.last_request().header("authorization") == Some(&format!("Bearer {token}"))
        })
        .await;
    };
    let is_in_use = async |expected: f64| {
        let is_so = async || sidekey.metric(IN_USE, &[]).await == Some(expected);
        assert_eventually(TIMEOUT, &format!("{IN_USE} is {expected}"), is_so).await;
    };
    sends("one").await;
    for (name, content) in [("secret", "two"), ("sidekey.yaml", text.as_str()), ("secret", "three")] {
        let path = sidekey.dir().join(name);
        make_fifo(&path);
        is_in_use(0.0).await;
        let said = |event: &serde_json::Value| {
            let message = event["message"].as_str().unwrap_or_default();
            message.contains(name) && message.contains("it is a FIFO, not a regular file")
        };
        assert!(sidekey.events().iter().any(said), "{}", sidekey.log());
        assert_eq!(sidekey.get("/api/x").await.status, 200, "the one in use stays");
        sidekey.write(name, &content.replace("$DIR", sidekey.dir().to_str().unwrap()));
        is_in_use(1.0).await;
    }
    sends("three").await;
}

#[tokio::test]
async fn certificate_reload_survives_a_fifo() {
    let upstream = MockUpstream::plain().await;
    let pki = Pki::new();
    let [old, new] = [(); 2].map(|()| pki.client_pem("localhost"));
    let text = watched(&bearer("api", &upstream, "t")).replace(
        "listen: 127.0.0.1:0\nadmin",
        "listen: { address: '127.0.0.1:0', tls: { cert_file: $DIR/cert, key_file: $DIR/key } }\nadmin",
    );
    let builder = Sidekey::configured(&text).file("cert", &old.0).file("key", &old.1);
    let sidekey = builder.start().await;
    let is_in_use = async |expected: f64| {
        let is_so = async || sidekey.metric(CERTIFICATES_IN_USE, &[]).await == Some(expected);
        assert_eventually(TIMEOUT, &format!("{CERTIFICATES_IN_USE} is {expected}"), is_so).await;
    };
    make_fifo(&sidekey.dir().join("key"));
    is_in_use(0.0).await;
    sidekey.write("cert", &new.0);
    sidekey.write("key", &new.1);
    is_in_use(1.0).await;
    sidekey.logged("new certificate files are in use from the next connection on").await;
}
