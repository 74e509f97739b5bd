//! A page and an API with five hundred services stay usable.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::setup::{TOKEN, becomes, get};
use crate::harness::{
    Browser, MockResponse, MockUpstream, RefusingPort, Request, Sidekey, TIMEOUT, assert_eventually,
};

const COUNT: usize = 500;

async fn start(upstream: &MockUpstream, refusing: &RefusingPort) -> Sidekey {
    let mut services = format!(
        "  broken: {{ upstream: 'http://{}', auth: {{ type: bearer, token: t }} }}\n",
        refusing.address
    );
    for number in 1..COUNT {
        let auth =
            if number % 2 == 0 { "type: bearer, token: t" } else { "type: basic, username: u, password: p" };
        writeln!(
            services,
            "  api-{number}: {{ upstream: '{}/{number}', auth: {{ {auth} }} }}",
            upstream.url()
        )
        .unwrap();
    }
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\nlog: {{ level: info, format: json }}\nservices:\n{services}"
    );
    Sidekey::configured(&config).start_ready().await
}

#[tokio::test]
async fn status_page_with_500_services_is_short_and_can_be_searched() {
    let (upstream, refusing) = (MockUpstream::plain().await, RefusingPort::new());
    let sidekey = start(&upstream, &refusing).await;
    sidekey.get("/broken/x").await;
    becomes(&sidekey, "broken", "unreachable", "error").await;
    let mut browser = Browser::start();
    browser.open(&sidekey.admin_url("/"), 1200, false).await;
    browser.wait("document.querySelectorAll('#services > li').length > 1").await;
    let height = browser.eval("document.documentElement.scrollHeight").await.as_u64().unwrap();
    assert!(height < 2000, "{height} px");
    assert_eq!(browser.eval("document.querySelector('#services h3').innerText").await, json!("broken"));
    assert!(browser.text("[aria-labelledby='service-broken']").await.contains("What to do"));
    let lines =
        "[...document.querySelectorAll('.service.ok')].every(e => e.getBoundingClientRect().height < 45)";
    assert_eq!(browser.eval(lines).await, json!(true), "one line for each service that is ready");
    let host = browser.text("#about").await;
    assert!(host.contains(" · Version "), "the instance has a name: {host}");

    let names = "[...document.querySelectorAll('#services h3')].map(h => h.innerText).join(' ')";
    browser.fill("#search", "api-49").await;
    browser.wait(&format!("{names}.startsWith('api-49 api-490 ')")).await;
    assert_eq!(browser.eval("document.querySelectorAll('#services > li').length").await, json!(11));
    browser.click("[aria-label='Details of api-490']").await;
    assert!(browser.text("[aria-labelledby='service-api-490']").await.contains("Static credential"));
    browser.eval("(e => { e.value = 'basic'; e.dispatchEvent(new Event('input')); })(document.querySelector('#by-kind'))").await;
    browser.wait(&format!("!{names}.includes('api-490') && {names}.includes('api-491')")).await;
    browser.fill("#search", "").await;
    browser.click("#more").await;
    browser.wait("document.querySelectorAll('#services > li').length === 250").await;
    assert_eq!(browser.messages().await, [""; 0]);
}

#[tokio::test]
async fn update_of_one_of_500_services_costs_its_own_bytes() {
    let (upstream, refusing) = (MockUpstream::plain().await, RefusingPort::new());
    let sidekey = start(&upstream, &refusing).await;
    let whole = get(&sidekey, "/api/v1/services").await;
    assert_eq!((&whole["complete"], whole["services"].as_array().unwrap().len()), (&json!(true), COUNT));
    let since = |state: &Value| format!("/api/v1/services?since={}", state["revision"].as_str().unwrap());
    let unchanged = get(&sidekey, &since(&whole)).await;
    assert_eq!(
        (&unchanged["complete"], &unchanged["services"]),
        (&json!(false), &json!([])),
        "nothing has changed"
    );
    assert_eq!(unchanged["counts"]["total"], COUNT);

    sidekey.get("/broken/x").await;
    let mut bytes = 0;
    let mut changed = Value::Null;
    assert_eventually(TIMEOUT, "the change is seen", async || {
        let response = Request::get(sidekey.admin_url(&since(&whole))).send().await;
        bytes = response.text().len();
        changed = response.json();
        changed["services"][0]["state"] == "unreachable"
    })
    .await;
    assert_eq!(changed["services"].as_array().unwrap().len(), 1);
    assert_eq!(changed["services"][0]["name"], "broken");
    assert!(bytes < 3000, "{bytes} bytes");
    // A client of another process, or one that makes a revision up, gets everything.
    for foreign in ["?since=0-1", "?since=x", "?since=", "?since=99999"] {
        let all = get(&sidekey, &format!("/api/v1/services{foreign}")).await;
        assert_eq!(all["complete"], true, "{foreign}");
    }
}

#[tokio::test]
async fn upstream_that_answers_only_errors_is_failing_and_stays_ready_for_probes() {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::status(500));
    let services = format!(
        "api: {{ upstream: '{}', allow: ['GET /allowed'], auth: {{ type: bearer, token: t }} }}",
        upstream.url()
    );
    let config = Sidekey::configuration_serving(&services)
        .replace("admin: 127.0.0.1:0", &format!("admin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}"));
    let sidekey = Sidekey::configured(&config).start_ready().await;
    for _ in 0..3 {
        assert_eq!(sidekey.get("/api/allowed").await.status, 500);
    }
    becomes(&sidekey, "api", "upstream_failing", "error").await;
    let service = get(&sidekey, "/api/v1/services/api").await;
    assert_eq!(
        (&service["runbook"], &service["ready"]),
        (&json!("SidekeyUpstreamAnswersErrors"), &json!(true))
    );
    assert!(sidekey.is_ready().await, "readiness is about credentials");

    // A test has no more rights than callers have.
    let test = async |path: &str| {
        Request::post(sidekey.admin_url("/api/v1/services/api/test"), json!({ "path": path }).to_string())
            .header("Content-Type", "application/json")
            .header("Authorization", &format!("Bearer {TOKEN}"))
            .send()
            .await
    };
    let denied = test("/other").await;
    assert_eq!(denied.status, 403, "{}", denied.text());
    assert!(denied.json()["detail"].as_str().unwrap().contains("rules"), "{}", denied.text());
    assert_eq!(upstream.request_count(), 3);
    upstream.always(MockResponse::status(200));
    assert_eq!(test("/allowed").await.json()["ok"], true);
}

#[tokio::test]
async fn events_of_a_service_have_first_and_last_time() {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::status(500));
    let config = |token: &str| {
        Sidekey::configuration_serving(&format!(
            "api: {{ upstream: '{}', auth: {{ type: bearer, token: {token} }} }}",
            upstream.url()
        ))
    };
    let sidekey = Sidekey::configured(&config("one")).start_ready().await;
    let kinds = async || -> Vec<Value> {
        let service = get(&sidekey, "/api/v1/services/api").await;
        service["events"].as_array().unwrap().clone()
    };
    let seen = async |kind: &str| {
        assert_eventually(TIMEOUT, kind, async || {
            kinds().await.first().is_some_and(|event| event["kind"] == kind)
        })
        .await;
    };
    sidekey.get("/api/x").await;
    seen("failed").await;
    let lasting = async || {
        let events = kinds().await;
        events[0]["first"] != events[0]["last"]
    };
    assert_eventually(TIMEOUT, "it lasts", lasting).await;
    upstream.always(MockResponse::status(200));
    sidekey.get("/api/x").await;
    seen("recovered").await;
    sidekey.reconfigure(&config("two"));
    assert!(sidekey.reload().await);
    seen("rotated").await;
    let events = kinds().await;
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events[2]["message"].as_str().unwrap().contains("5xx"), "{events:?}");
}
