//! git's own HTTP server (`git http-backend`) behind nginx, with basic authentication.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::super::process::{Process, run};
use super::super::{Pki, assert_eventually};
use super::{Nginx, tool};

const SERVER: &str = "
        location / {
            auth_basic git;
            auth_basic_user_file $DIR/users;
            fastcgi_pass unix:$DIR/fcgi.sock;
            fastcgi_param SCRIPT_FILENAME $BACKEND;
            fastcgi_param GIT_PROJECT_ROOT $DIR/repositories;
            fastcgi_param GIT_HTTP_EXPORT_ALL 1;
            fastcgi_param PATH_INFO $uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param REMOTE_USER $remote_user;
        }
";

/// A running server for the repositories in its folder, at `https://localhost:PORT/NAME.git`, for the user
/// `robot` with the password `pa55`.
pub struct GitServer {
    nginx: Nginx,
    _fcgiwrap: Process,
}

impl GitServer {
    pub async fn start(pki: &Pki) -> Self {
        let exec_path = PathBuf::from(git(Path::new("/"), &["--exec-path"]).await.trim());
        let server = SERVER.replace("$BACKEND", exec_path.join("git-http-backend").to_str().unwrap());
        let users = Nginx::htpasswd("robot", "pa55").await;
        let mut fcgiwrap = None;
        let nginx = Nginx::https(pki, "", &server, async |dir| {
            std::fs::create_dir(dir.join("repositories")).unwrap();
            std::fs::write(dir.join("users"), &users).unwrap();
            let socket = dir.join("fcgi.sock");
            let mut command = Command::new(tool("fcgiwrap"));
            command.arg("-s").arg(format!("unix:{}", socket.display()));
            command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", dir);
            fcgiwrap = Some(Process::spawn("fcgiwrap", &mut command));
            assert_eventually(Duration::from_secs(20), "fcgiwrap listens", async || socket.exists()).await;
        })
        .await;
        Self { nginx, _fcgiwrap: fcgiwrap.unwrap() }
    }

    pub fn url(&self) -> String {
        self.nginx.url()
    }

    /// The lines of nginx's access log.
    pub fn access_log(&self) -> String {
        self.nginx.access_log()
    }

    /// Makes the bare repository `NAME.git` from the branch `main` of a folder.
    pub async fn add(&self, name: &str, from: &Path) {
        let bare = self.repository(name);
        git(from, &["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]).await;
    }

    /// The folder of a bare repository.
    pub fn repository(&self, name: &str) -> PathBuf {
        self.nginx.dir().join("repositories").join(format!("{name}.git"))
    }
}

/// The output of git with these arguments, in this folder, without the developer's settings.
pub async fn git(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(tool("git"));
    command.args(arguments).current_dir(dir).env("HOME", dir).env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Ada").env(format!("GIT_{role}_EMAIL"), "ada@example.com");
    }
    let output = run(command, b"").await;
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
