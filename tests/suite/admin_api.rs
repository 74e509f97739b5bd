//! The JSON API: what it shows of every state a service can be in, and that its OpenAPI document says the same.

use serde_json::{Value, json};

use super::oauth2::{PATIENCE, service};
use crate::harness::{
    Answer, Call, RefusingPort, Response, Sidekey, TokenAnswer, TokenEndpoint, Upstream, assert_eventually,
    openapi_holds,
};

const TOKEN: &str = "0123456789abcdef-admin-token";

pub async fn get(sidekey: &Sidekey, path: &str) -> Value {
    let response = Call::get(sidekey.admin_url(path)).send().await;
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    assert_eq!(response.header("content-type"), Some("application/json"));
    response.json()
}

async fn state(sidekey: &Sidekey, service: &str) -> (String, String) {
    let service = get(sidekey, &format!("/api/v1/services/{service}")).await;
    (service["state"].as_str().unwrap().into(), service["severity"].as_str().unwrap().into())
}

async fn becomes(sidekey: &Sidekey, service: &str, state: &str, severity: &str) {
    let expected = (state.to_owned(), severity.to_owned());
    let what = format!("{service} is {state}, {severity}");
    assert_eventually(PATIENCE, &what, async || self::state(sidekey, service).await == expected).await;
}

pub async fn put_log_level(sidekey: &Sidekey, level: &str) -> Response {
    let call = Call::new("PUT", sidekey.admin_url("/api/v1/log-level")).body(level);
    let call = call.header("Content-Type", "application/json");
    call.header("Authorization", &format!("Bearer {TOKEN}")).send().await
}

#[tokio::test]
async fn every_state_is_shown_with_its_cause_and_what_to_do() {
    let (upstream, refusing) = (Upstream::plain().await, RefusingPort::new());
    let rejecting = Upstream::plain().await;
    rejecting.always(Answer::status(401));
    let endpoints = [(); 5].map(|()| ());
    let mut logins = Vec::new();
    for () in endpoints {
        logins.push(TokenEndpoint::plain().await);
    }
    let [good, down, refused, expiring, failing] = &logins[..] else { unreachable!() };
    good.always(TokenAnswer::issue(3600));
    down.always(TokenAnswer::html(503));
    refused.always(TokenAnswer::error(401, "invalid_client"));
    expiring.always(TokenAnswer::issue(3));
    failing.always(TokenAnswer::issue(20));
    let mut config = service("good", &upstream, good, "", "")
        + &service("unavailable", &upstream, down, "", "")
        + &service("refused", &upstream, refused, "", "optional: true,")
        + &service("expired", &upstream, expiring, "", "")
        + &service("failing", &upstream, failing, "", "");
    for (name, url) in [
        ("fixed", upstream.url()),
        ("rejected", rejecting.url() + "/base"),
        ("unreachable", format!("http://{}", refusing.address)),
    ] {
        config += &format!("{name}: {{ upstream: '{url}', auth: {{ type: bearer, token: t }} }}\n");
    }
    let sidekey = Sidekey::serving(&config).start().await;
    becomes(&sidekey, "good", "ready", "ok").await;
    becomes(&sidekey, "fixed", "ready", "ok").await;
    becomes(&sidekey, "rejected", "ready", "ok").await;
    becomes(&sidekey, "unavailable", "unavailable", "broken").await;
    becomes(&sidekey, "refused", "refused", "broken").await;
    becomes(&sidekey, "expired", "ready", "ok").await;
    becomes(&sidekey, "failing", "ready", "ok").await;
    expiring.always(TokenAnswer::html(500));
    failing.always(TokenAnswer::html(500));
    for path in ["/good/a", "/rejected/a", "/unreachable/a"] {
        sidekey.get(path).await;
    }
    // Before the next sample of the traffic is taken.
    becomes(&sidekey, "rejected", "rejected", "broken").await;
    becomes(&sidekey, "unreachable", "unreachable", "broken").await;
    becomes(&sidekey, "expired", "expired", "broken").await;
    becomes(&sidekey, "failing", "failing", "warning").await;

    let all = get(&sidekey, "/api/v1/services").await;
    let counts = &all["counts"];
    assert_eq!(
        (
            counts["total"].as_u64(),
            counts["broken"].as_u64(),
            counts["warning"].as_u64(),
            counts["ok"].as_u64()
        ),
        (Some(8), Some(5), Some(1), Some(2)),
        "{all:#}"
    );
    let find = |name: &str| {
        all["services"].as_array().unwrap().iter().find(|service| service["name"] == name).unwrap().clone()
    };
    let good = find("good");
    assert_eq!((&good["kind"], &good["upstream"]), (&json!("oauth2"), &json!(upstream.url())));
    assert_eq!(
        (&good["advice"], &good["last_error"], &good["ready"]),
        (&Value::Null, &Value::Null, &json!(true))
    );
    let lifetime = good["token"]["lifetime_seconds"].as_f64().unwrap();
    assert!((3590.0..=3600.0).contains(&lifetime), "{good:#}");
    let token = |name: &str| good["token"][name].as_str().unwrap().to_owned();
    assert!(token("issued") < token("next_refresh") && token("next_refresh") < token("expires"), "{good:#}");

    let fixed = find("fixed");
    assert_eq!(fixed["token"], Value::Null);
    let refused = find("refused");
    assert_eq!((&refused["optional"], &refused["ready"]), (&json!(true), &json!(false)));
    assert_eq!(refused["last_error"]["reason"], "refused");
    assert!(refused["summary"].as_str().unwrap().contains("invalid_client"), "{refused:#}");
    assert!(refused["advice"].as_str().unwrap().contains("client_secret"), "{refused:#}");
    let unreachable = find("unreachable");
    assert_eq!(unreachable["last_error"]["reason"], "upstream_connect");
    assert!(unreachable["last_error"]["at"].is_string());
    assert!(unreachable["summary"].as_str().unwrap().contains("refused"), "{unreachable:#}");
    let rejected = find("rejected");
    assert_eq!(rejected["upstream"], rejecting.url() + "/base");
    assert!(rejected["advice"].as_str().unwrap().contains("revoked"), "{rejected:#}");
    let failing = find("failing");
    assert!(failing["token"]["consecutive_failures"].as_u64() >= Some(1), "{failing:#}");
    assert!(failing["token"]["failing_since"].is_string() && failing["ready"] == true, "{failing:#}");

    // Traffic comes into the history with the next sample.
    let sampled = async || {
        let traffic = get(&sidekey, "/api/v1/services/good").await["traffic"].clone();
        let requests = traffic["requests"].as_array().unwrap().iter();
        requests.filter_map(Value::as_u64).sum::<u64>() == 1
            && traffic["latency_ms"].as_array().unwrap().iter().any(Value::is_number)
            && traffic["requests_per_second"].as_f64() > Some(0.0)
    };
    assert_eventually(PATIENCE, "the request is in the history", sampled).await;

    let document = get(&sidekey, "/api/v1/openapi.json").await;
    let mut answers = Vec::new();
    for service in all["services"].as_array().unwrap() {
        let path = "/api/v1/services/{name}";
        answers.push(json!({ "path": path, "method": "GET", "status": 200, "type": "application/json", "body": service }));
    }
    answers.push(json!({ "path": "/api/v1/services", "method": "GET", "status": 200, "type": "application/json", "body": all }));
    openapi_holds(&document, &answers).await;
}

/// Every operation of the document, asked well and badly; whatever comes back is in the document.
#[tokio::test]
async fn the_openapi_document_describes_every_answer() {
    let sidekey = Sidekey::configured(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN}, require_token_to_read: true }}\n\
         log: {{ level: info, format: json }}\n\
         services: {{ mail: {{ upstream: 'http://127.0.0.1:1', auth: {{ type: bearer, token: t }} }} }}\n"
    ))
    .start_ready()
    .await;
    let document = Call::get(sidekey.admin_url("/api/v1/openapi.json"))
        .header("Authorization", &format!("Bearer {TOKEN}"));
    let document = document.send().await.json();
    let (mut answers, mut asked) = (Vec::new(), 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            for (name, token, content_type, host, body) in [
                ("mail", Some(TOKEN), "application/json", "localhost", good_body(path)),
                ("nobody", Some(TOKEN), "application/json", "localhost", good_body(path)),
                ("mail", Some(TOKEN), "application/json", "localhost", "{\"level\": 5"),
                ("mail", Some(TOKEN), "text/plain", "localhost", good_body(path)),
                ("mail", Some("wrong"), "application/json", "localhost", good_body(path)),
                ("mail", None, "application/json", "localhost", good_body(path)),
                ("mail", Some(TOKEN), "application/json", "evil.example", good_body(path)),
            ] {
                let mut call = Call::new(method, sidekey.admin_url(&path.replace("{name}", name)));
                call = call.header("Host", host).header("Content-Type", content_type).body(body);
                if let Some(token) = token {
                    call = call.header("Authorization", &format!("Bearer {token}"));
                }
                let response = call.send().await;
                asked += 1;
                if item.get(method.to_lowercase()).is_none() {
                    assert!(
                        [401, 403, 405, 415].contains(&response.status),
                        "{method} {path}: {}",
                        response.text()
                    );
                    continue;
                }
                assert_ne!(response.status, 405, "{method} {path} is in the document");
                answers.push(json!({
                    "path": path, "method": method, "status": response.status,
                    "type": response.header("content-type").unwrap(), "body": response.json(),
                }));
            }
        }
    }
    assert!(asked >= 7 * 5 * 4 && answers.len() >= 7 * 5, "{asked} {}", answers.len());
    for status in [200, 400, 401, 403, 404, 415] {
        assert!(answers.iter().any(|answer| answer["status"] == status), "{status} came");
    }
    openapi_holds(&document, &answers).await;
}

fn good_body(path: &str) -> &'static str {
    if path.ends_with("/log-level") { "{\"level\": \"warn,sidekey=info\"}" } else { "{}" }
}

/// The other direction: a route that is not in the document is found in the source.
#[test]
fn the_openapi_document_has_every_route() {
    let source = include_str!("../../src/admin/api.rs");
    let document: Value = serde_json::from_str(include_str!("../../src/admin/openapi.json")).unwrap();
    let mut routes: Vec<_> = source
        .match_indices(".route(\"")
        .map(|(at, start)| source[at + start.len()..].split('"').next().unwrap())
        .filter(|route| !route.contains("{*"))
        .collect();
    let mut described: Vec<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    routes.sort_unstable();
    described.sort_unstable();
    assert_eq!(routes, described);
}

#[tokio::test]
async fn the_log_level_changes_at_run_time() {
    let upstream = Upstream::plain().await;
    let sidekey = Sidekey::configured(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\n\
         log: {{ level: info, format: json, access: true }}\n\
         services: {{ mail: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }} }}\n",
        upstream.url()
    ))
    .start_ready()
    .await;
    assert_eq!(get(&sidekey, "/api/v1/log-level").await, json!({ "level": "info" }));
    let lines = |level: &str| sidekey.events().iter().filter(|event| event["level"] == level).count();
    sidekey.get("/nobody").await;
    assert_eq!(lines("DEBUG"), 0);

    let answer = put_log_level(&sidekey, "{\"level\": \"debug\"}").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "level": "debug" })));
    let changed = sidekey.logged("log level changed through the admin API").await;
    assert_eq!((&changed["log.level"], &changed["log.level_before"]), (&json!("debug"), &json!("info")));
    let more = async || {
        sidekey.get("/nobody").await;
        lines("DEBUG") > 0
    };
    assert_eventually(PATIENCE, "it logs at level debug", more).await;

    for (body, says) in [
        ("{\"level\": \"inof\"}", "did you mean `info`?"),
        ("{\"level\": \"\"}", "not a level"),
        ("{\"level\": 5}", "JSON object"),
        ("{\"level\": \"info\", \"more\": 1}", "JSON object"),
        ("", "JSON object"),
        ("[", "JSON object"),
    ] {
        let answer = put_log_level(&sidekey, body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(says), "{body}: {}", answer.text());
    }
    assert_eq!(put_log_level(&sidekey, &" ".repeat(20_000)).await.status, 413);
    assert_eq!(
        get(&sidekey, "/api/v1/log-level").await,
        json!({ "level": "debug" }),
        "a mistake changes nothing"
    );
}
