//! Apache as an upstream that asks for Digest authentication (mod_auth_digest), over a WebDAV folder.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::super::process::{Process, run};
use super::super::{assert_eventually, port};
use super::tool;

const CONFIG: &str = r#"
ServerRoot $DIR
DefaultRuntimeDir $DIR
PidFile $DIR/apache.pid
Mutex file:$DIR default
ServerName localhost
Listen 127.0.0.1:$PORT
ErrorLog $DIR/error.log
User www-data
Group www-data
LoadModule mpm_event_module $MODULES/mod_mpm_event.so
LoadModule authn_core_module $MODULES/mod_authn_core.so
LoadModule authn_file_module $MODULES/mod_authn_file.so
LoadModule authz_core_module $MODULES/mod_authz_core.so
LoadModule authz_user_module $MODULES/mod_authz_user.so
LoadModule auth_digest_module $MODULES/mod_auth_digest.so
LoadModule dav_module $MODULES/mod_dav.so
LoadModule dav_fs_module $MODULES/mod_dav_fs.so
LogFormat "%>s %m %U" short
CustomLog $DIR/access.log short
DavLockDB $DIR/locks
DocumentRoot $DIR/store
<Directory $DIR/store>
    Dav On
    AuthType Digest
    AuthName "the store"
    AuthDigestProvider file
    AuthUserFile $DIR/users
    Require valid-user
$MORE
</Directory>
"#;

/// A running Apache on `http://127.0.0.1:PORT`. Its user is `svc` with the password `Circle of Life`.
pub struct Apache {
    process: Process,
    dir: TempDir,
    port: u16,
}

impl Apache {
    /// A server with these further directives for its folder.
    pub async fn start(more: &str) -> Self {
        let dir = TempDir::with_prefix("sidekey-apache-").unwrap();
        // Its workers have another user, if the tests run as root.
        let open = |path: &std::path::Path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        };
        std::fs::create_dir(dir.path().join("store")).unwrap();
        open(dir.path());
        open(&dir.path().join("store"));
        // printf 'svc:the store:Circle of Life' | md5sum, as `htdigest` writes it.
        std::fs::write(dir.path().join("users"), "svc:the store:8b5c28753180d95844f7e831befa5125\n").unwrap();
        let config = CONFIG
            .replace("$DIR", dir.path().to_str().unwrap())
            .replace("$MODULES", "/usr/lib/apache2/modules")
            .replace("$MORE", more);
        for _ in 0..5 {
            let port = port::free();
            let file = dir.path().join("apache.conf");
            std::fs::write(&file, config.replace("$PORT", &port.to_string())).unwrap();
            let mut command = Command::new(tool("apache2"));
            command.args(["-X", "-f"]).arg(&file);
            let mut process = Process::spawn("apache2", &mut command);
            if listens(&mut process, port).await {
                return Self { process, dir, port };
            }
            let output = process.output();
            assert!(output.contains("Address already in use"), "Apache does not start: {output}");
        }
        panic!("Apache finds no free port");
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The status and the method of each request but the first, which was the harness's own.
    pub fn requests(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default();
        let words = |line: &str| line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ");
        log.lines().filter(|line| !line.ends_with("/.harness")).map(words).collect()
    }

    /// What it logged of errors.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default();
        log + &self.process.output()
    }

    /// A stored file.
    pub fn stored(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.path().join("store").join(name)).unwrap()
    }
}

/// Waits until Apache demands a credential; false once the process has ended instead.
async fn listens(process: &mut Process, port: u16) -> bool {
    let mut alive = false;
    assert_eventually(Duration::from_secs(20), "Apache answers", async || {
        let mut probe = Command::new(tool("curl"));
        probe.args(["--silent", "--noproxy", "*", "--output", "/dev/null", "--write-out", "%{http_code}"]);
        probe.arg(format!("http://127.0.0.1:{port}/.harness"));
        alive = run(probe, b"").await.stdout == b"401";
        alive || process.exit_status().is_some()
    })
    .await;
    alive
}
