//! Hosts of no service: passed on without a credential, or refused.

use super::setup::{HOST, Stage, printed, text};
use crate::harness::MockUpstream;

#[tokio::test]
async fn hosts_of_no_service_are_refused_with_deny_unmatched() {
    let stage = Stage::with("connect: { unmatched: tunnel, allow_local: true }").await;
    let other = MockUpstream::tls(&stage.pki).await;
    let calls = [
        format!("https://localhost:{}/x", other.address().port()),
        format!("http://localhost:{}/x", other.address().port()),
        format!("https://{HOST}:8443/x"),
    ];
    for url in calls {
        let shell =
            format!("NO_PROXY= no_proxy= curl -sS -o /dev/null {url} || true; curl -sS https://{HOST}/v1/x");
        let before = stage.upstream.request_count();
        assert_eq!(printed(&stage.run(&["--deny-unmatched"], &["sh", "-c", &shell]).await), "Ada", "{url}");
        assert_eq!(stage.upstream.request_count() - before, 1);
    }
    assert_eq!(other.connections(), 0);
    let shell = "NO_PROXY= no_proxy= curl -sS http://other.invalid/x; \
                 NO_PROXY= no_proxy= curl -sS -o /dev/null -w '%{http_connect}' https://other.invalid/x";
    let output = stage.run(&["--deny-unmatched"], &["sh", "-c", shell]).await;
    let said = text(&output.stdout);
    assert!(
        said.contains("urn:sidekey:error:unknown_service") && said.trim_end().ends_with("}\n404"),
        "{said}"
    );
}

#[tokio::test]
async fn hosts_of_no_service_are_passed_on_without_interception() {
    let stage = Stage::with("connect: { unmatched: tunnel, allow_local: true }").await;
    let other = MockUpstream::tls(&stage.pki).await;
    let shell = format!(
        "NO_PROXY= no_proxy= curl -sS -o /dev/null --cacert {} https://localhost:{}/x",
        stage.pki.ca_file(),
        other.address().port()
    );
    printed(&stage.run(&[], &["sh", "-c", &shell]).await);
    // The certificate was the other host's own, and nothing was added.
    assert_eq!(other.only_request().header("authorization"), None);
    assert_eq!(stage.upstream.request_count(), 0);
}

#[tokio::test]
async fn service_that_was_not_chosen_is_a_host_of_no_service() {
    let stage = Stage::new().await;
    stage.configure(&format!(
        "services:
  api: {}
  other: {{ upstream: 'https://other.invalid', auth: {{ type: bearer, token: {{ env: OTHER }} }} }}
",
        stage.service("{ env: API_TOKEN }")
    ));
    let shell = "curl -sS -o /dev/null -w '%{http_connect}' https://other.invalid/x";
    let output = stage.run(&["--service", "api", "--deny-unmatched"], &["sh", "-c", shell]).await;
    assert_eq!(text(&output.stdout), "404", "{output:?}");
}
