//! git, with repositories of which one has a submodule at an absolute URL.

use std::path::Path;

use super::stage::{Api, Stage};
use crate::harness::{GitServer, Pki, git};

/// A repository in the folder, with one commit of this file.
async fn commit(dir: &Path, file: &str, content: &str) {
    git(dir, &["init", "--quiet", "--initial-branch=main"]).await;
    std::fs::write(dir.join(file), content).unwrap();
    git(dir, &["add", file]).await;
    git(dir, &["commit", "--quiet", "--message", "a change"]).await;
}

/// Adds the repositories `app`, and `suite` with `app` as a submodule.
async fn add_repositories(server: &GitServer) {
    let app = tempfile::tempdir().unwrap();
    commit(app.path(), "readme", "hello").await;
    server.add("app", app.path()).await;
    let head = git(app.path(), &["rev-parse", "HEAD"]).await;
    let suite = tempfile::tempdir().unwrap();
    let modules = format!("[submodule \"app\"]\n\tpath = app\n\turl = {}/app.git\n", server.url());
    commit(suite.path(), ".gitmodules", &modules).await;
    let link = format!("160000,{},app", head.trim());
    git(suite.path(), &["update-index", "--add", "--cacheinfo", &link]).await;
    git(suite.path(), &["commit", "--quiet", "--message", "a submodule"]).await;
    server.add("suite", suite.path()).await;
}

#[tokio::test]
async fn documented_git_commands_do_what_is_said() {
    let pki = Pki::new();
    let server = GitServer::start(&pki).await;
    add_repositories(&server).await;
    let here = server.url().trim_start_matches("https://").to_owned();
    let api = Api { service: "git", documented: "git.example.com", here: &here, secret: "pa55" };
    let bare = server.repository("app");
    let stage = Stage::set("git", &pki, api).await;
    stage
        .run_all(async |dir| {
            // Each push has another commit, for a branch that does not exist. It is larger than `http.postBuffer`,
            // so that git sends it in chunks, after a request that shows whether the credential is accepted.
            git(&bare, &["update-ref", "-d", "refs/heads/change"]).await;
            let large: String = std::iter::repeat_with(fastrand::alphanumeric).take(3_000_000).collect();
            commit(dir, "change", &large).await;
        })
        .await;
    let log = server.access_log();
    let pushes = log.lines().filter(|line| line.contains("\"POST /app.git/git-receive-pack HTTP/1.1\" 200"));
    assert_eq!(pushes.count(), 2 * 5, "two for each way in: {log}");
}
