//! Fixture of the admin API and status page tests: ten services, at least one in each state a service can
//! have.

use std::fmt::Write as _;

use serde_json::Value;

use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, RefusingPort, Request, Sidekey,
    TIMEOUT, assert_eventually,
};
use crate::suite::oauth2::setup::service;

/// Admin token of every test of the admin listener.
pub const TOKEN: &str = "0123456789abcdef-admin-token";

/// Name, state and severity of each service, in configuration order.
pub const STATES: [(&str, &str, &str); 10] = [
    ("crm", "ready", "ok"),
    ("mail", "ready", "ok"),
    ("search", "ready", "ok"),
    ("maps", "unauthorized", "error"),
    ("billing", "unreachable", "error"),
    ("calendar", "expired", "error"),
    ("tickets", "degraded", "warning"),
    ("payments", "refused", "error"),
    ("reports", "unavailable", "error"),
    ("archive", "ready", "ok"),
];

/// A Sidekey with the ten services, and their upstreams and token endpoints.
pub struct Fleet {
    pub sidekey: Sidekey,
    pub upstream: MockUpstream,
    _alive: Box<dyn std::any::Any + Send>,
}

/// GETs a JSON document of the admin API.
pub async fn get(sidekey: &Sidekey, path: &str) -> Value {
    let response = Request::get(sidekey.admin_url(path)).send().await;
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    assert_eq!(response.header("content-type"), Some("application/json"));
    response.json()
}

/// Waits until a service has this state and severity.
pub async fn becomes(sidekey: &Sidekey, service: &str, state: &str, severity: &str) {
    let what = format!("{service} is {state}, {severity}");
    let path = format!("/api/v1/services/{service}");
    assert_eventually(TIMEOUT, &what, async || {
        let service = get(sidekey, &path).await;
        service["state"] == state && service["severity"] == severity
    })
    .await;
}

impl Fleet {
    /// Starts the fleet and waits until each service is in its state.
    pub async fn start() -> Self {
        let (upstream, rejecting) = (MockUpstream::plain().await, MockUpstream::plain().await);
        rejecting.always(MockResponse::status(401));
        let refusing = RefusingPort::new();
        let endpoint = async |answer: MockTokenResponse| {
            let endpoint = MockTokenEndpoint::plain().await;
            endpoint.always(answer);
            endpoint
        };
        let crm = endpoint(MockTokenResponse::issue(3600)).await;
        let payments = endpoint(MockTokenResponse::error(401, "invalid_client")).await;
        let calendar = endpoint(MockTokenResponse::issue(3)).await;
        let tickets = endpoint(MockTokenResponse::issue(3600)).await;
        let reports = endpoint(MockTokenResponse::html(503)).await;
        let archive = endpoint(MockTokenResponse::issue(86_400)).await;
        let mut services = service("crm", &upstream, &crm, "", "");
        for (name, url, auth) in [
            ("mail", upstream.url(), "type: bearer, token: t"),
            ("search", upstream.url() + "/v2", "type: basic, username: u, password: p"),
            ("maps", rejecting.url() + "/tiles", "type: api_key, in: query, name: key, value: k"),
            ("billing", format!("http://{}", refusing.address), "type: bearer, token: t"),
        ] {
            writeln!(services, "{name}: {{ upstream: '{url}', auth: {{ {auth} }} }}").unwrap();
        }
        for (name, login, auth, more) in [
            ("calendar", &calendar, "", ""),
            ("tickets", &tickets, "token_request: { min_interval: 1ms },", ""),
            ("payments", &payments, "", "readiness: never,"),
            ("reports", &reports, "", ""),
            ("archive", &archive, "", "readiness: never,"),
        ] {
            services += &service(name, &upstream, login, auth, more);
        }
        let services = services.lines().fold(String::new(), |all, line| all + "  " + line + "\n");
        let sidekey = Sidekey::configured(&format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\n\
             log: {{ level: debug, format: json }}\nservices:\n{services}"
        ))
        .start()
        .await;
        becomes(&sidekey, "calendar", "ready", "ok").await;
        becomes(&sidekey, "tickets", "ready", "ok").await;
        calendar.always(MockTokenResponse::html(500));
        tickets.always(MockTokenResponse::html(500));
        // `tickets` fails to refresh a valid token, and stays in that state.
        let refresh = Request::post(sidekey.admin_url("/api/v1/services/tickets/refresh"), "{}")
            .header("Content-Type", "application/json")
            .header("Authorization", &format!("Bearer {TOKEN}"));
        assert_eq!(refresh.send().await.status, 200);
        for path in ["/crm/a", "/maps/a", "/billing/a"] {
            sidekey.get(path).await;
        }
        let fleet = Self {
            sidekey,
            upstream,
            _alive: Box::new((rejecting, refusing, crm, payments, calendar, tickets, reports, archive)),
        };
        fleet.settled().await;
        fleet
    }

    /// Waits until each service is in its state; returns what the API shows then.
    pub async fn settled(&self) -> Value {
        let mut all = Value::Null;
        assert_eventually(TIMEOUT, "each service is in its state", async || {
            all = get(&self.sidekey, "/api/v1/services").await;
            let services = all["services"].as_array().unwrap();
            services.iter().zip(STATES).all(|(service, (_, state, severity))| {
                service["state"] == state && service["severity"] == severity
            })
        })
        .await;
        all
    }
}
