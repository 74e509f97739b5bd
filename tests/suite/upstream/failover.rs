//! Upstreams with several URLs: round robin, and failover while one of them is down.

use crate::harness::{
    MockResponse, MockUpstream, RefusingPort, Request, Sidekey, TIMEOUT, assert_eventually,
};

async fn sidekey_for(urls: &[String]) -> Sidekey {
    let urls: Vec<_> = urls.iter().map(|url| format!("'{url}'")).collect();
    let services =
        format!("api: {{ upstream: [{}], auth: {{ type: bearer, token: t0ken }} }}", urls.join(", "));
    Sidekey::serving(&services).start().await
}

#[tokio::test]
async fn failover_round_robin_uses_host_and_base_path_of_each_url() {
    let (one, two) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let sidekey = sidekey_for(&[format!("{}/v1", one.url()), format!("{}/mirror/v1", two.url())]).await;
    for _ in 0..4 {
        assert_eq!(sidekey.get("/api/x").await.status, 200);
    }
    for (upstream, path) in [(&one, "/v1/x"), (&two, "/mirror/v1/x")] {
        assert_eq!(upstream.request_count(), 2);
        let request = upstream.last_request();
        assert_eq!(request.target, path);
        assert_eq!(request.header("host"), Some(upstream.address().to_string().as_str()));
        assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
    }
    // With either URL a request cannot leave the base path.
    for _ in 0..2 {
        assert_eq!(sidekey.get("/api/../x").await.status, 403);
    }
}

#[tokio::test]
async fn failover_urls_each_match_proxy_requests() {
    let (one, two) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let sidekey = sidekey_for(&[one.url(), two.url()]).await;
    for upstream in [&one, &two] {
        let mut connection = sidekey.connect().await;
        let host = upstream.address();
        connection.send(format!("GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(connection.response().await.status, 200);
    }
    let mut connection = sidekey.connect().await;
    connection.send("GET http://127.0.0.1:1/x HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n").await;
    assert_eq!(connection.response().await.sidekey_error(), Some("unknown_service"));
}

#[tokio::test]
async fn failover_skips_url_that_refuses_connections() {
    let good = MockUpstream::plain().await;
    let port = RefusingPort::new();
    let sidekey = sidekey_for(&[format!("http://{}", port.address), good.url()]).await;
    for number in 0..12 {
        let call = Request::post(sidekey.url("/api/x"), format!("body {number}"));
        assert_eq!(call.send().await.status, 200);
    }
    let bodies: Vec<_> = good.requests().iter().map(|request| request.body.clone()).collect();
    assert_eq!(bodies, (0..12).map(|number| format!("body {number}").into_bytes()).collect::<Vec<_>>());
    sidekey
        .logged("endpoint ejected: it does not answer, and gets no requests as long as another one does")
        .await;
}

#[tokio::test]
async fn failover_skips_url_with_503_until_it_recovers() {
    let (one, two) = (MockUpstream::plain().await, MockUpstream::plain().await);
    one.always(MockResponse::status(503));
    let sidekey = sidekey_for(&[one.url(), two.url()]).await;
    let mut failures = 0;
    for _ in 0..20 {
        failures += usize::from(sidekey.get("/api/x").await.status == 503);
    }
    // The first three 503 are passed on; then the other URL gets the requests.
    assert_eq!((failures, one.request_count(), two.request_count()), (3, 3, 17));
    one.always(MockResponse::ok("back"));
    assert_eventually(TIMEOUT, "it is retried and used", async || {
        sidekey.get("/api/x").await.text() == "back"
    })
    .await;
    let before = one.request_count();
    for _ in 0..4 {
        sidekey.get("/api/x").await;
    }
    assert_eq!(one.request_count(), before + 2);
}

#[tokio::test]
async fn failover_tries_every_url_if_all_are_down() {
    let ports = [RefusingPort::new(), RefusingPort::new()];
    let sidekey = sidekey_for(&ports.each_ref().map(|port| format!("http://{}", port.address))).await;
    for _ in 0..10 {
        assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_connect"));
    }
}

/// A body that is signed is read after the request has its turn.
#[tokio::test]
async fn requests_that_are_signed_late_take_turns() {
    let (one, two) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let services = format!(
        "api: {{ upstream: ['{}', '{}'], auth: {{ type: hmac, key: s1gning-key, parts: [method, path, body_digest], header: X-Signature }} }}",
        one.url(),
        two.url()
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    for _ in 0..4 {
        assert_eq!(Request::post(sidekey.url("/api/x"), "body").send().await.status, 200);
    }
    assert_eq!((one.request_count(), two.request_count()), (2, 2));
}

/// A nonce is that of one server.
#[tokio::test]
async fn request_after_a_401_goes_to_the_same_url() {
    let (one, two) = (MockUpstream::plain().await, MockUpstream::plain().await);
    for (upstream, nonce) in [(&one, "of-one"), (&two, "of-two")] {
        upstream.respond_with(move |request| {
            let is_answer = request
                .header("authorization")
                .is_some_and(|answer| answer.contains(&format!("nonce=\"{nonce}\"")));
            if is_answer {
                return MockResponse::ok("ok");
            }
            let challenge = format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256");
            MockResponse::status(401).header("WWW-Authenticate", &challenge)
        });
    }
    let services = format!(
        "api: {{ upstream: ['{}', '{}'], auth: {{ type: digest, username: me, password: s3cret-canary }} }}",
        one.url(),
        two.url()
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    for number in 0..6 {
        assert_eq!(sidekey.get("/api/x").await.status, 200, "request {number}");
    }
    assert_eq!((one.request_count(), two.request_count()), (4, 4), "each was asked once for its challenge");
}
