//! `/metrics` after every kind of event, checked by promtool.

use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, RefusingPort, Sidekey,
    promtool_check_metrics,
};

#[tokio::test]
async fn metrics_page_passes_promtool() {
    let (upstream, login, refusing) =
        (MockUpstream::plain().await, MockTokenEndpoint::plain().await, RefusingPort::new());
    let oauth2 = |client: &str| {
        let url = login.url();
        format!(
            "{{ type: oauth2, grant_type: client_credentials, token_url: '{url}', client_id: {client}, client_secret: s }}"
        )
    };
    let url = upstream.url();
    let sidekey = Sidekey::serving(&format!(
        "
static: {{ upstream: '{url}', auth: {{ type: bearer, token: t }} }}
good: {{ upstream: '{url}', auth: {} }}
closed: {{ upstream: 'http://{}', auth: {{ type: bearer, token: t }} }}
",
        oauth2("good"),
        refusing.address,
    ))
    .start_ready()
    .await;
    promtool_check_metrics(&sidekey.metrics().await).await;

    upstream.next(MockResponse::status(401));
    login.next(MockTokenResponse::error(400, "invalid_client"));
    for path in ["/good/a", "/static/a", "/closed/a", "/nobody/a"] {
        sidekey.get(path).await;
    }
    upstream.always(MockResponse::status(500));
    sidekey.get("/static/a").await;
    let page = sidekey.metrics().await;
    promtool_check_metrics(&page).await;
    for series in
        ["sidekey_requests_total", "sidekey_request_errors_total", "sidekey_token_requests_total", "process_"]
    {
        assert!(page.contains(&format!("\n{series}")), "{series} is there:\n{page}");
    }
}
