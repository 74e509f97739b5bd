//! The admin JSON API: service states, history, log level, reload; and its OpenAPI document.

use serde_json::{Value, json};

use super::setup::{Fleet, STATES, TOKEN, get};
use crate::harness::{MockUpstream, Request, Response, Sidekey, TIMEOUT, assert_eventually, openapi_holds};

async fn put_log_level(sidekey: &Sidekey, level: &str) -> Response {
    let call = Request::new("PUT", sidekey.admin_url("/api/v1/log-level")).body(level);
    let call = call.header("Content-Type", "application/json");
    call.header("Authorization", &format!("Bearer {TOKEN}")).send().await
}

#[tokio::test]
async fn api_shows_each_service_state_with_cause_and_advice() {
    let fleet = Fleet::start().await;
    let all = fleet.settled().await;
    let count = |name: &str| all["counts"][name].as_u64().unwrap();
    assert_eq!((count("total"), count("error"), count("warning"), count("ok")), (10, 5, 1, 4), "{all:#}");
    let services = all["services"].as_array().unwrap();
    let names: Vec<_> = services.iter().map(|service| service["name"].as_str().unwrap()).collect();
    assert_eq!(names, STATES.map(|(name, ..)| name), "in the order of the configuration");
    let find = |name: &str| services.iter().find(|service| service["name"] == name).unwrap();

    let crm = find("crm");
    assert_eq!((&crm["kind"], &crm["upstream"]), (&json!("oauth2"), &json!(fleet.upstream.url())));
    assert_eq!(
        (&crm["suggestions"], &crm["last_error"], &crm["ready"]),
        (&json!([]), &Value::Null, &json!(true))
    );
    let lifetime = crm["token"]["lifetime_seconds"].as_f64().unwrap();
    assert!((3590.0..=3600.0).contains(&lifetime), "{crm:#}");
    let token = |name: &str| crm["token"][name].as_str().unwrap();
    assert!(token("issued") < token("next_refresh") && token("next_refresh") < token("expires"), "{crm:#}");

    assert_eq!(find("mail")["token"], Value::Null);
    for (name, key, expected) in [
        ("payments", "summary", "invalid_client"),
        ("payments", "suggestions", "`auth_method` and the secret"),
        ("billing", "summary", "refused"),
        ("billing", "suggestions", "No server accepts connections there"),
        ("maps", "summary", "401"),
        ("maps", "suggestions", "Compare `in` and `name`"),
        ("tickets", "summary", "Requests work until"),
        ("calendar", "summary", "Requests get 503"),
        ("reports", "summary", "503"),
        ("reports", "suggestions", "status page"),
    ] {
        let field = &find(name)[key];
        let text = field.as_str().unwrap_or_else(|| field[0].as_str().unwrap());
        assert!(text.contains(expected), "{name}: {text}");
    }
    for (name, reason) in [
        ("payments", "refused"),
        ("billing", "upstream_connect"),
        ("maps", "unauthorized"),
        ("reports", "server_error"),
    ] {
        assert_eq!(find(name)["last_error"]["reason"], reason);
    }
    let ready = |name: &str| find(name)["ready"].as_bool().unwrap();
    assert!(!ready("payments") && ready("tickets") && ready("maps") && !ready("calendar"));
    let tickets = &find("tickets")["token"];
    assert!(tickets["consecutive_failures"].as_u64() >= Some(1) && tickets["failing_since"].is_string());
    assert_eq!(
        (&find("archive")["readiness"], &find("crm")["readiness"]),
        (&json!("never"), &json!("first"))
    );

    let document = get(&fleet.sidekey, "/api/v1/openapi.json").await;
    let answer = |path: &str, body: &Value| json!({ "path": path, "method": "GET", "status": 200, "type": "application/json", "body": body });
    let mut answers: Vec<_> =
        services.iter().map(|service| answer("/api/v1/services/{name}", service)).collect();
    answers.push(answer("/api/v1/services", &all));
    openapi_holds(&document, &answers).await;
}

#[tokio::test]
async fn api_history_includes_traffic() {
    let upstream = MockUpstream::plain().await;
    let mail = format!("mail: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}", upstream.url());
    let sidekey = Sidekey::serving(&mail).start_ready().await;
    let traffic = async || get(&sidekey, "/api/v1/services/mail").await["traffic"].clone();
    assert_eq!(traffic().await["requests"], serde_json::json!([]), "it begins with the first request");
    for _ in 0..3 {
        assert_eq!(sidekey.get("/mail/").await.status, 200);
    }
    upstream.set_accepting(false);
    assert_eq!(sidekey.get("/mail/").await.status, 502);
    let sum = |list: &Value| list.as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>();
    let sampled = async || {
        let traffic = traffic().await;
        (sum(&traffic["requests"]), sum(&traffic["errors"])) == (4, 1)
            && traffic["latency_ms"].as_array().unwrap().iter().any(Value::is_number)
            && traffic["requests_per_second"].as_f64() > Some(0.0)
    };
    assert_eventually(TIMEOUT, "the requests are in the history", sampled).await;
}

/// Every operation of the document with valid and invalid requests: the document describes each response.
#[tokio::test]
async fn openapi_document_describes_every_response() {
    let sidekey = Sidekey::configured(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN}, require_token_to_read: true }}\n\
         log: {{ level: info, format: json }}\n\
         services: {{ mail: {{ upstream: 'http://127.0.0.1:1', auth: {{ type: bearer, token: t }} }} }}\n"
    ))
    .start_ready()
    .await;
    let document = Request::get(sidekey.admin_url("/api/v1/openapi.json"))
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
                let mut call = Request::new(method, sidekey.admin_url(&path.replace("{name}", name)));
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
    for status in [200, 400, 401, 403, 404, 409, 415] {
        assert!(answers.iter().any(|answer| answer["status"] == status), "{status} came");
    }
    openapi_holds(&document, &answers).await;
}

fn good_body(path: &str) -> &'static str {
    match path {
        "/api/v1/log-level" => "{\"level\": \"warn,sidekey=info\"}",
        "/api/v1/services" => "{\"name\": \"new\", \"preset\": \"bearer\"}",
        _ => "{}",
    }
}

#[tokio::test]
async fn api_changes_log_level_at_run_time() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::configured(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\n\
         log: {{ level: info, format: json }}\naccess_log: true\n\
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
    assert_eventually(TIMEOUT, "it logs at level debug", more).await;

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
        "an invalid configuration changes nothing"
    );
}

#[tokio::test]
async fn api_reloads_configuration() {
    let config = |services: &str| {
        format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\nreload: {{ interval: 1h }}\n\
             log: {{ level: info, format: json }}\nservices:\n  mail: {{ upstream: 'http://127.0.0.1:1', auth: \
             {{ type: bearer, token: t }} }}\n{services}"
        )
    };
    let sidekey = Sidekey::configured(&config("")).start_ready().await;
    let reload = async |token: Option<&str>| {
        let mut call = Request::post(sidekey.admin_url("/api/v1/reload"), "{}")
            .header("Content-Type", "application/json");
        if let Some(token) = token {
            call = call.header("Authorization", &format!("Bearer {token}"));
        }
        call.send().await
    };
    assert_eq!(reload(None).await.status, 401);
    assert_eq!(reload(Some(TOKEN)).await.json()["message"], "Reloaded. Nothing has changed.");
    let more = "  maps: { upstream: 'http://127.0.0.1:1', auth: { type: bearer, token: t } }\n";
    sidekey.write("sidekey.yaml", &config(more));
    let answer = reload(Some(TOKEN)).await.json();
    assert_eq!((&answer["ok"], &answer["added"]), (&json!(true), &json!(["maps"])), "{answer}");
    assert_eq!(get(&sidekey, "/api/v1/services").await["counts"]["total"], 2);
    assert_eq!(get(&sidekey, "/api/v1/services/maps").await["state"], "ready");

    sidekey.write("sidekey.yaml", &config("  maps: { upstrem: 'http://127.0.0.1:1' }\n"));
    let answer = reload(Some(TOKEN)).await;
    assert_eq!(answer.status, 200, "that the file is broken is the answer");
    let answer = answer.json();
    assert_eq!(answer["ok"], false);
    assert!(answer["message"].as_str().unwrap().contains("did you mean `upstream`?"), "{answer}");
    let all = get(&sidekey, "/api/v1/services").await;
    assert!(all["config"]["problems"][0]["error"].as_str().unwrap().contains("upstrem"), "{all}");
    assert_eq!(all["counts"]["total"], 2, "the service runs with its previous settings");
    let document = get(&sidekey, "/api/v1/openapi.json").await;
    let answers = [
        json!({ "path": "/api/v1/reload", "method": "POST", "status": 200, "type": "application/json", "body": answer }),
        json!({ "path": "/api/v1/services", "method": "GET", "status": 200, "type": "application/json", "body": all }),
    ];
    openapi_holds(&document, &answers).await;
    sidekey.write("sidekey.yaml", &config(""));
    assert_eq!(reload(Some(TOKEN)).await.json()["removed"], json!(["maps"]));
    assert_eq!(get(&sidekey, "/api/v1/services").await["config"]["problems"], json!([]));
}
