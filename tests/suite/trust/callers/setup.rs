//! Shared set-up: keys, and services with roles.

use ring::digest::{SHA256, digest};

use crate::harness::{MockUpstream, Response, Sidekey, SidekeyBuilder};

/// Keys of callers. None may reach an upstream, a log, a metric or the audit log.
pub const BILLING_KEY: &str = "CANARY-billing-0123456789abcdefghij";
pub const CI_KEY: &str = "CANARY-ci-0123456789abcdefghijklmnop";
pub const CI_NEXT_KEY: &str = "CANARY-ci-next-0123456789abcdefghijk";

/// The hash of a key, as the configuration has it.
pub fn sha256(key: &str) -> String {
    let bytes = digest(&SHA256, key.as_bytes());
    let digits = bytes.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// `callers` and `roles`: billing may read and write `crm`, ci may read below /v1 of it, neither may use `other`.
pub fn keys_and_roles() -> String {
    format!(
        "callers:
  billing: {{ bearer: {{ sha256: {} }} }}
  ci: {{ bearer: {{ sha256: [{}, {}] }} }}
  lonely: {{ network: 203.0.113.0/24 }}
roles:
  write-crm: {{ callers: billing, services: [crm] }}
  read-crm: {{ callers: [ci, billing], services: {{ crm: {{ allow: [GET /v1/**], deny: [/v1/secret/**] }}, reports: {{ allow: read_only }} }} }}
",
        sha256(BILLING_KEY),
        sha256(CI_KEY),
        sha256(CI_NEXT_KEY)
    )
}

/// The configuration of three services of one upstream, with these callers and roles, and this listener.
pub fn configuration(upstream: &MockUpstream, callers: &str, listen: &str) -> String {
    let url = upstream.url();
    format!(
        "listen: {listen}
admin: 127.0.0.1:0
log: {{ level: trace, format: json }}
access_log: true
{callers}
services:
  crm: {{ upstream: '{url}', auth: {{ type: api_key, name: X-Api-Key, value: t0ken }} }}
  reports: {{ upstream: '{url}', auth: {{ type: bearer, token: t0ken }} }}
  other: {{ upstream: '{url}', auth: {{ type: bearer, token: t0ken }} }}
"
    )
}

pub fn configured(upstream: &MockUpstream, callers: &str) -> SidekeyBuilder {
    Sidekey::configured(&configuration(upstream, callers, "127.0.0.1:0"))
}

/// The status, and the reason or rule in the problem document.
pub fn outcome(response: &Response) -> (u16, String) {
    let rule = serde_json::from_slice::<serde_json::Value>(&response.body)
        .ok()
        .and_then(|problem| problem["rule"].as_str().map(str::to_owned));
    (response.status, rule.unwrap_or_default())
}

/// Checks that nothing of a caller's credential reached the upstream or was written down.
pub async fn assert_no_canary(sidekey: &Sidekey, upstream: &MockUpstream) {
    for request in upstream.requests() {
        let raw = String::from_utf8_lossy(&request.raw_head).into_owned();
        assert!(!raw.contains("CANARY") && !raw.to_lowercase().contains("proxy-authorization"), "{raw}");
    }
    assert!(!sidekey.log().contains("CANARY"), "{}", sidekey.log());
    assert!(!sidekey.metrics().await.contains("CANARY"));
}
