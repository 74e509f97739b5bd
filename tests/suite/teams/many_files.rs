//! Two hundred services in thirty files, of which five have a mistake each.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::setup::{including, service, with_files};
use crate::harness::{MockUpstream, Request, Sidekey};

/// The mistakes: the file, the service that has it, its text, and the line and the text of the error.
const MISTAKES: [(usize, &str, &str, &str); 5] = [
    (3, "s3-0", "upstrem: CANARY", "teams/t03.yaml:2: services.s3-0.upstrem: unknown key"),
    (
        9,
        "s9-0",
        "auth: { type: bearer, token: { env: NOT_SET_ANYWHERE } }",
        "teams/t09.yaml:2: services.s9-0.auth.token: ",
    ),
    (
        14,
        "s14-0",
        "auth: { type: bearer, token: { file: $DIR/unreadable } }",
        "teams/t14.yaml:2: services.s14-0.auth.token: ",
    ),
    (
        20,
        "s20-0",
        "hosts: [taken.example]",
        "teams/t20.yaml:2: services.s20-0.hosts[0]: the same host as `services.s0-0.hosts[0]` in ",
    ),
    (29, "", "services: { s29-0: { upstream: CANARY ]\n", "teams/t29.yaml:1: not valid YAML"),
];

/// Thirty files with two hundred services: twenty with seven, nine with six, and one with six of which... the last has one.
fn files(upstream: &MockUpstream) -> Vec<(String, String)> {
    let file = |index: usize| {
        let count = if index < 29 { 199 / 29 + usize::from(index < 199 % 29) } else { 1 };
        let mut text = String::from("services:\n");
        for number in 0..count {
            let name = format!("s{index}-{number}");
            let mistake = MISTAKES.iter().find(|(_, service, ..)| *service == name);
            let more = match (mistake, index + number) {
                (Some((_, _, mistake, _)), _) if mistake.starts_with("auth") => {
                    let upstream = upstream.url();
                    text.extend(["  ", &name, ": { upstream: '", &upstream, "', ", mistake, " }\n"]);
                    continue;
                }
                (Some((_, _, mistake, _)), _) => mistake,
                (None, 0) => "hosts: [taken.example]",
                _ => "",
            };
            let line = service(upstream, &name, &format!("token-of-{name}"));
            text += &if more.is_empty() { line } else { line.replace(" }\n", &format!(", {more} }}\n")) };
        }
        let text = if index == 29 { MISTAKES[4].2.to_owned() } else { text };
        (format!("t{index:02}.yaml"), text)
    };
    (0..30).map(file).collect()
}

#[tokio::test]
async fn two_hundred_services_of_which_five_are_broken_run_195() {
    let upstream = MockUpstream::plain().await;
    let files = files(&upstream);
    let named = files.iter().map(|(name, text)| (name.as_str(), text.clone()));
    let builder = with_files(&including(""), named).file("unreadable", "secret");
    // Root reads every file: a folder in its place cannot be read by anybody.
    std::fs::remove_file(builder.dir().join("unreadable")).unwrap();
    std::fs::create_dir(builder.dir().join("unreadable")).unwrap();
    std::fs::set_permissions(builder.dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let sidekey = builder.start_ready().await;

    let listed = Request::get(sidekey.admin_url("/api/v1/services")).send().await.json();
    let services = listed["services"].as_array().unwrap();
    assert_eq!(services.len(), 199, "the service of the file that is no YAML is not known");
    let broken: Vec<_> = services.iter().filter(|service| service["state"] == "misconfigured").collect();
    let held_back: Vec<_> = broken.iter().map(|service| service["name"].as_str().unwrap()).collect();
    assert_eq!(held_back, ["s3-0", "s9-0", "s14-0", "s20-0"]);
    let running = services.iter().filter(|service| service["ready"] == true);
    let mut count = 0;
    for name in running.map(|service| service["name"].as_str().unwrap()) {
        assert_eq!(sidekey.get(&format!("/{name}/x")).await.status, 200, "{name}");
        assert_eq!(
            upstream.last_request().header("authorization"),
            Some(&*format!("Bearer token-of-{name}"))
        );
        count += 1;
    }
    assert_eq!(count, 195);

    let problems = listed["config"]["problems"].as_array().unwrap();
    let errors: Vec<_> = problems.iter().map(|problem| problem["error"].as_str().unwrap()).collect();
    for (_, name, _, error) in MISTAKES {
        let found = errors.iter().filter(|text| text.contains(error)).count();
        assert_eq!(found, 1, "{error}: {errors:#?}");
        if !name.is_empty() {
            let response = sidekey.get(&format!("/{name}/x")).await;
            let problem: Value = response.json();
            assert_eq!(
                (response.status, response.header("sidekey-error")),
                (503, Some("misconfigured")),
                "{name}"
            );
            assert!(problem["detail"].as_str().unwrap().contains("has a mistake"), "{problem}");
        }
    }
    assert_eq!(upstream.request_count(), 195, "nothing is forwarded for what is held back");
    assert!(!sidekey.log().contains("CANARY") && !listed.to_string().contains("CANARY"));

    // `check` is strict, and names each error with its file and line.
    let path = sidekey.dir().join("sidekey.yaml");
    let output = Sidekey::command(&["check", path.to_str().unwrap()], &[]).await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.starts_with("5 errors in 5 files:"), "{text}");
    for (.., error) in MISTAKES {
        assert!(text.contains(error), "{error}: {text}");
    }
}
