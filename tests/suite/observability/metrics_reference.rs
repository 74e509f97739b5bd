//! docs/METRICS.md is the reference of `/metrics`: it has every family, with its type and labels, and no
//! other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::path::Path;

use tempfile::TempDir;

use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Pki, Sidekey, TIMEOUT, TraceCollector,
    assert_eventually,
};
use crate::suite::oauth2::setup::service;

/// What the names of the families begin with that `sidekey webhook` alone has.
pub const OF_WEBHOOK: &str = "sidekey_webhook_";

/// A family's type, and its labels.
type Families = BTreeMap<String, (String, BTreeSet<String>)>;

/// The rows of the page: `` | `name` | type | `label`, … | …``
pub fn documented() -> Families {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/METRICS.md");
    let page = read_to_string(page).unwrap();
    let mut families = Families::new();
    for line in page.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", name, kind @ ("counter" | "gauge" | "histogram"), labels, ..] = cells[..] else { continue };
        let plain = |text: &str| text.trim().trim_matches('`').to_owned();
        let labels = labels.split(',').map(plain).filter(|label| label != "none").collect();
        let double = families.insert(plain(name), (kind.to_owned(), labels));
        assert!(double.is_none(), "{name} has two rows");
    }
    assert!(families.len() > 30, "the rows are found");
    families
}

/// What `/metrics` has. A histogram's `le` is no label of its own.
pub fn exposed(text: &str) -> Families {
    let mut families = Families::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        }
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let of = |name: &str| families.contains_key(name).then(|| name.to_owned());
        let part = || ["_bucket", "_sum", "_count"].iter().find_map(|end| of(name.strip_suffix(end)?));
        let family = of(name).or_else(part).unwrap_or_else(|| panic!("a family of {name}"));
        // No value of a label has a quote or an equals sign here.
        let names = labels.split('"').step_by(2).filter_map(|text| text.strip_suffix('='));
        let names = names.map(|name| name.trim_start_matches(',').to_owned()).filter(|name| name != "le");
        families.get_mut(&family).unwrap().1.extend(names);
    }
    families
}

#[tokio::test]
async fn metrics_page_has_every_family_with_its_type_and_labels() {
    let (pki, state, collector) = (Pki::new(), TempDir::new().unwrap(), TraceCollector::start().await);
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let certificate = pki.server_files(&["localhost"]);
    let (tls_upstream, tls_endpoint) = (MockUpstream::tls(&pki).await, MockTokenEndpoint::tls(&pki).await);
    let body = serde_json::json!({ "access_token": "t", "expires_in": 3600 });
    let dated = MockResponse::json(&body).header("Date", "Thu, 01 Jan 2026 00:00:00 GMT");
    tls_endpoint.always(dated);
    let services = service("api", &upstream, &endpoint, "token_request: { min_interval: 1ms },", "")
        + &format!(
            "rotated: {{ upstream: '{}', circuit_breaker: {{ consecutive_failures: 3 }}, auth: {{ type: bearer, token: n3w, previous: 0ld }} }}\n",
            upstream.url()
        )
        + &format!(
            "maps: {{ upstream: '{}', leak_guard: body, auth: {{ type: api_key, in: query, name: key, value: k-long-enough }} }}\n",
            upstream.url()
        )
        + &format!(
            "kept: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: refresh_token, refresh_token: r, client_id: me, \
             token_url: '{}' }} }}\n",
            upstream.url(),
            endpoint.url()
        )
        + &format!(
            "exchanged: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: token_exchange, client_id: me, client_secret: s, \
             subject_token: {{ from: caller }}, token_url: '{}' }} }}\n",
            upstream.url(),
            endpoint.url()
        )
        + &format!(
            "verified: {{ upstream: '{}', tls: {{ ca_file: $DIR/ca.pem }}, auth: {{ type: oauth2, grant_type: client_credentials, \
             client_id: me, client_secret: s, token_url: '{}', tls: {{ ca_file: $DIR/ca.pem }} }} }}\n",
            tls_upstream.url(),
            tls_endpoint.url()
        )
        + &format!(
            "shared: {{ upstream: '{}', share: true, auth: {{ type: oauth2, grant_type: client_credentials, client_id: me, \
             client_secret: shared, token_url: '{}' }} }}\n",
            upstream.url(),
            endpoint.url()
        )
        + "tls: { upstream: 'https://127.0.0.1:1', tls: { cert_file: $DIR/cert.pem, key_file: $DIR/key.pem }, auth: { type: \
           bearer, token: t } }\n";
    let config = format!(
        "callers: {{ known: {{ jwt: {{ issuer: a, audience: b, jwks_url: '{}' }} }} }}\n\
         tracing: {{ otlp_endpoint: '{}', export_interval: 20ms }}\n\
         shared: {{ url: 'redis://127.0.0.1:1', key: a-key-of-the-fleet-0123456789-0123456789 }}\n\
         state: {{ dir: '{}', key: a-key-of-the-state-folder-0123456789, access_tokens: true }}\n{}",
        endpoint.url(),
        collector.url(),
        state.path().join("state").display(),
        Sidekey::configuration_serving(&services).replacen(
            "listen: 127.0.0.1:0",
            "listen: { address: '127.0.0.1:0', callers: optional }",
            1
        )
    );
    endpoint.always(MockTokenResponse::issue(3600));
    let sidekey = Sidekey::configured(&config)
        .file("ca.pem", &pki.ca_pem())
        .file("cert.pem", &read_to_string(certificate.certificate).unwrap())
        .file("key.pem", &read_to_string(certificate.key).unwrap())
        .start_ready()
        .await;
    // Longer than the shortest interval between two token requests.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    upstream.next(MockResponse::status(401));
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(sidekey.get("/unknown/x").await.status, 404);
    assert_eq!(sidekey.get("/verified/x").await.status, 200);
    let compressed = MockResponse::status(302).header("Content-Encoding", "gzip").body("a text");
    upstream.next(compressed.header("Location", "/x?key=k-long-enough"));
    assert_eq!(sidekey.get("/maps/x").await.status, 302);

    let mut documented = documented();
    documented.retain(|name, _| !name.starts_with(OF_WEBHOOK));
    let missing = async || {
        let exposed = exposed(&sidekey.metrics().await);
        let missing: Vec<_> =
            documented.keys().filter(|name| !exposed.contains_key(*name)).cloned().collect();
        (exposed, missing)
    };
    assert_eventually(TIMEOUT, "all families have series", async || missing().await.1.is_empty()).await;
    let (exposed, missing) = missing().await;
    assert!(missing.is_empty(), "rows of docs/METRICS.md without a family: {missing:?}");
    for (name, family) in &exposed {
        let row = documented.get(name);
        assert_eq!(row, Some(family), "{name}: its row in docs/METRICS.md, and what /metrics has");
    }
}
