//! octokit, which follows `Link` and URLs in bodies.

use std::path::Path;

use serde_json::json;

use super::stage::{Api, Stage};
use crate::harness::{MockResponse, MockUpstream, Pki, installed};

/// An API in the manner of GitHub's, which demands a token for everything.
async fn github(pki: &Pki) -> MockUpstream {
    let upstream = MockUpstream::tls(pki).await;
    let url = upstream.url();
    upstream.respond_with(move |request| {
        if request.header("authorization") != Some("Bearer t0ken") {
            return MockResponse::status(401);
        }
        match &*request.target {
            "/repos/acme/app/issues?per_page=1" => {
                let link = format!("<{url}/repositories/1/issues?per_page=1&page=2>; rel=\"next\"");
                MockResponse::json(&json!([{ "title": "one" }])).header("Link", &link)
            }
            "/repositories/1/issues?per_page=1&page=2" => MockResponse::json(&json!([{ "title": "two" }])),
            "/repos/acme/app/issues/1" => {
                let comments = format!("{url}/repos/acme/app/issues/1/comments");
                MockResponse::json(&json!({ "title": "one", "comments_url": comments }))
            }
            "/repos/acme/app/issues/1/comments" => MockResponse::json(&json!([{ "body": "fine" }])),
            _ => MockResponse::status(404),
        }
    });
    upstream
}

fn link_modules(dir: &Path) {
    installed("node_modules/@octokit/rest");
    std::os::unix::fs::symlink(installed("node_modules"), dir.join("node_modules")).unwrap();
}

#[tokio::test]
async fn documented_octokit_commands_do_what_is_said() {
    let pki = Pki::new();
    let upstream = github(&pki).await;
    let api = Api {
        service: "github",
        documented: "api.github.com",
        here: &format!("localhost:{}", upstream.address().port()),
        secret: "t0ken",
    };
    Stage::set("octokit", &pki, api).await.run_all(async |dir| link_modules(dir)).await;
    let second_pages = upstream.requests().iter().filter(|it| it.target.ends_with("page=2")).count();
    assert_eq!(second_pages, 5, "one for each way in");
}
