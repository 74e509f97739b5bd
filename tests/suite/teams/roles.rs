//! Callers and roles, which stand in the main file, with services that stand in others.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

use super::setup::{file, including, service, with_files};
use crate::harness::{MockUpstream, Request, Response, Sidekey};

const KEY: &str = "CANARY-ci-0123456789abcdefghijklmnop";

/// A caller with that key, and roles.
fn callers(roles: &str) -> String {
    let hash = digest(&SHA256, KEY.as_bytes()).as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    format!("callers: {{ ci: {{ bearer: {{ sha256: {hash} }} }} }}\nroles:\n{roles}")
}

async fn call(sidekey: &Sidekey, path: &str) -> Response {
    let request = Request::get(sidekey.url(path)).header("Authorization", &format!("Bearer {KEY}"));
    request.send().await
}

fn reason(response: &Response) -> (u16, Option<&str>) {
    (response.status, response.header("sidekey-error"))
}

#[tokio::test]
async fn role_names_services_of_every_file() {
    let upstream = MockUpstream::plain().await;
    let roles = "  all: { callers: ci, services: { a: { allow: [GET /v1/**] }, b: {} } }\n";
    let files = [("a.yaml", file(&upstream, &["a"])), ("b.yaml", file(&upstream, &["b", "c"]))];
    let sidekey = with_files(&including(&callers(roles)), files).start_ready().await;
    assert_eq!(call(&sidekey, "/a/v1/x").await.status, 200);
    // The caller's own credential is not passed on by a service of an included file.
    assert_eq!(upstream.last_request().header("authorization"), Some("Bearer token-of-a"));
    assert_eq!(reason(&call(&sidekey, "/a/v2").await), (403, Some("denied")));
    assert_eq!(call(&sidekey, "/b/x").await.status, 200);
    assert_eq!(reason(&call(&sidekey, "/c/x").await), (403, Some("denied")));
    assert_eq!(reason(&sidekey.get("/b/x").await), (401, Some("unauthenticated")));
    assert!(!sidekey.log().contains("CANARY"), "the caller's key is in the log");
}

#[tokio::test]
async fn service_that_is_held_back_is_not_shown_to_an_unknown_caller() {
    let upstream = MockUpstream::plain().await;
    let roles = "  all: { callers: ci, services: [good, broken] }\n";
    let broken = service(&upstream, "broken", "{ env: NOT_SET_ANYWHERE }");
    let files = [("a.yaml", file(&upstream, &["good"])), ("b.yaml", format!("services:\n{broken}"))];
    let sidekey = with_files(&including(&callers(roles)), files).start_ready().await;
    assert_eq!(reason(&sidekey.get("/broken/x").await), (401, Some("unauthenticated")));
    assert_eq!(reason(&call(&sidekey, "/broken/x").await), (503, Some("misconfigured")));
    assert_eq!(call(&sidekey, "/good/x").await.status, 200);
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn service_that_a_role_names_can_be_removed_by_its_team() {
    let upstream = MockUpstream::plain().await;
    let roles = "  all: { callers: ci, services: [a, b] }\n";
    let files = [("a.yaml", file(&upstream, &["a"])), ("b.yaml", file(&upstream, &["b", "c"]))];
    let sidekey = with_files(&including(&callers(roles)), files).start_ready().await;
    let teams = sidekey.dir().join("teams");
    std::fs::write(teams.join("a.yaml"), file(&upstream, &["d"])).unwrap();
    std::fs::write(teams.join("b.yaml"), file(&upstream, &["b"]).replace("token-of-b", "new-b")).unwrap();
    assert!(sidekey.reload().await);
    let warning = sidekey.logged_like("configuration warning: no service has this name").await;
    assert_eq!(warning["config.path"], "roles.all.services[0]");
    assert_eq!(call(&sidekey, "/b/x").await.status, 200);
    assert_eq!(upstream.last_request().header("authorization"), Some("Bearer new-b"));
    // No role names it.
    assert_eq!(reason(&call(&sidekey, "/d/x").await), (403, Some("denied")));
    // A file that cannot be read may have the services that a role names.
    std::fs::write(teams.join("b.yaml"), "services: [").unwrap();
    assert!(!sidekey.reload().await);
    assert_eq!(call(&sidekey, "/b/x").await.status, 200);
    // `check` names the role.
    std::fs::write(teams.join("b.yaml"), file(&upstream, &["b"])).unwrap();
    let main = sidekey.dir().join("sidekey.yaml").display().to_string();
    let check = Sidekey::command(&["check", &main], &[]).await;
    let printed = String::from_utf8(check.stderr).unwrap();
    assert_eq!(check.status.code(), Some(78), "{printed}");
    assert!(printed.contains("roles.all.services[0]: no service has this name"), "{printed}");
}
