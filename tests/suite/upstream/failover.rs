//! An upstream of several URLs: round robin, and what happens while one of them is away.

use crate::harness::{Answer, Call, RefusingPort, Sidekey, Upstream, assert_eventually};
use crate::suite::http::setup::PATIENCE;

async fn before(urls: &[String]) -> Sidekey {
    let urls: Vec<_> = urls.iter().map(|url| format!("'{url}'")).collect();
    let services =
        format!("api: {{ upstream: [{}], auth: {{ type: bearer, token: t0ken }} }}", urls.join(", "));
    Sidekey::serving(&services).start().await
}

#[tokio::test]
async fn requests_go_round_each_with_the_host_and_base_path_of_its_url() {
    let (one, two) = (Upstream::plain().await, Upstream::plain().await);
    let sidekey = before(&[format!("{}/v1", one.url()), format!("{}/mirror/v1", two.url())]).await;
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
    // None of them lets a request out of its base path.
    for _ in 0..2 {
        assert_eq!(sidekey.get("/api/../x").await.status, 403);
    }
}

#[tokio::test]
async fn each_url_is_a_way_in_for_requests_in_proxy_form() {
    let (one, two) = (Upstream::plain().await, Upstream::plain().await);
    let sidekey = before(&[one.url(), two.url()]).await;
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
async fn a_url_that_takes_no_connection_costs_no_request_and_is_passed_over() {
    let good = Upstream::plain().await;
    let port = RefusingPort::new();
    let sidekey = before(&[format!("http://{}", port.address), good.url()]).await;
    for number in 0..12 {
        let call = Call::post(sidekey.url("/api/x"), format!("body {number}"));
        assert_eq!(call.send().await.status, 200);
    }
    let bodies: Vec<_> = good.requests().iter().map(|request| request.body.clone()).collect();
    assert_eq!(bodies, (0..12).map(|number| format!("body {number}").into_bytes()).collect::<Vec<_>>());
    sidekey
        .logged("endpoint ejected: it does not answer, and gets no requests as long as another one does")
        .await;
}

#[tokio::test]
async fn a_url_whose_gateway_says_that_nobody_is_there_is_passed_over_and_comes_back() {
    let (one, two) = (Upstream::plain().await, Upstream::plain().await);
    one.always(Answer::status(503));
    let sidekey = before(&[one.url(), two.url()]).await;
    let mut failures = 0;
    for _ in 0..20 {
        failures += usize::from(sidekey.get("/api/x").await.status == 503);
    }
    // The answer is the upstream's own and passed on; after three the others get it.
    assert_eq!((failures, one.request_count(), two.request_count()), (3, 3, 17));
    one.always(Answer::ok("back"));
    assert_eventually(PATIENCE, "it is tried again and used", async || {
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
async fn none_is_passed_over_where_none_answers() {
    let ports = [RefusingPort::new(), RefusingPort::new()];
    let sidekey = before(&ports.each_ref().map(|port| format!("http://{}", port.address))).await;
    for _ in 0..10 {
        assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_connect"));
    }
}
