//! Thousands of failing requests write a few lines, whatever they fail with.

use crate::harness::{MockResponse, MockUpstream, Pki, RefusingPort, Request, Sidekey};

const REQUESTS: usize = 2000;

#[tokio::test]
async fn failing_requests_of_each_kind_write_a_few_lines() {
    let (upstream, refusing) = (MockUpstream::plain().await, RefusingPort::new());
    let untrusted = MockUpstream::tls(&Pki::new()).await;
    let silent = MockUpstream::plain().await;
    silent.always(MockResponse::never());
    let bearer = "auth: { type: bearer, token: t0ken }";
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ format: json }}\nservices:\n\
         \x20 ok: {{ upstream: '{0}', {bearer} }}\n\
         \x20 connect: {{ upstream: 'http://{1}', {bearer} }}\n\
         \x20 tls: {{ upstream: '{2}', {bearer} }}\n\
         \x20 timeout: {{ upstream: '{3}', timeouts: {{ first_byte: 1ms }}, {bearer} }}\n\
         \x20 overload: {{ upstream: '{0}', rate_limit: 1/h, {bearer} }}\n\
         \x20 broken: {{ upstream: 'http://{1}', circuit_breaker: {{}}, {bearer} }}\n\
         \x20 rule: {{ upstream: '{0}', allow: ['GET /allowed'], {bearer} }}\n\
         \x20 large: {{ upstream: '{0}', max_request_body: 1, {bearer} }}\n\
         \x20 credential: {{ upstream: '{0}', token_wait: 0s, readiness: never, auth: {{ type: oauth2, \
         grant_type: client_credentials, token_url: 'http://{1}/token', client_id: c, client_secret: s3cret }} }}\n",
        upstream.url(),
        refusing.address,
        untrusted.url(),
        silent.url(),
    );
    let sidekey = Sidekey::configured(&config).start().await;
    let lines = || sidekey.log().lines().count();
    for (what, request, status) in [
        ("upstream_connect", Request::get(sidekey.url("/connect/x")), 502),
        ("upstream_tls", Request::get(sidekey.url("/tls/x")), 502),
        ("upstream_timeout", Request::get(sidekey.url("/timeout/x")), 504),
        ("rate_limit", Request::get(sidekey.url("/overload/x")), 503),
        ("circuit_breaker", Request::get(sidekey.url("/broken/x")), 503),
        ("denied", Request::get(sidekey.url("/rule/x")), 403),
        ("too_large", Request::post(sidekey.url("/large/x"), "too large"), 413),
        ("credential_unavailable", Request::get(sidekey.url("/credential/x")), 503),
        ("web page", Request::get(sidekey.url("/ok/x")).header("Sec-Fetch-Site", "cross-site"), 403),
        ("unknown_service", Request::get(sidekey.url("/unknown/x")), 404),
    ] {
        let before = lines();
        let mut last = 0;
        for _ in 0..REQUESTS / 10 {
            let ten = (0..10).map(|_| request.clone().send());
            last = futures_util::future::join_all(ten).await.last().unwrap().status;
        }
        assert_eq!(last, status, "{what}");
        let written = lines() - before;
        // One for each ten seconds, and the lines of the refresher.
        assert!(written <= 8, "{what}: {written} lines for {REQUESTS} requests");
    }
}
