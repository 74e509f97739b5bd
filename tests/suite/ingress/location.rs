//! `rewrite_location`: URLs in response fields that lie inside the upstream lead back to Sidekey, by the ingress that the
//! caller used; `Destination` of a request is rewritten in the other direction.

use crate::harness::{Curl, MockResponse, MockUpstream, Request, Sidekey};
use crate::suite::http::setup::sidekey_for_url;

async fn redirecting(more: &str) -> (MockUpstream, Sidekey) {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&format!("{}/v2", upstream.url()), more).await;
    (upstream, sidekey)
}

fn answer(status: u16, name: &str, value: &str) -> MockResponse {
    MockResponse::status(status).header(name, value)
}

#[tokio::test]
async fn location_is_rewritten_for_prefix_host_and_own_port() {
    let (upstream, sidekey) = redirecting(", hosts: [api.internal], listen: '127.0.0.1:0'").await;
    let location = format!("{}/v2/next?a=b", upstream.url());
    for (call, expected) in [
        (Request::get(sidekey.url("/api/x")), "/api/next?a=b"),
        (Request::get(sidekey.url("/x")).header("Host", "api.internal"), "/next?a=b"),
        (Request::get(sidekey.service_url("api", "/x")), "/next?a=b"),
    ] {
        for (status, name) in
            [(301, "Location"), (302, "location"), (307, "Location"), (201, "Content-Location")]
        {
            upstream.next(answer(status, name, &location));
            let response = call.clone().send().await;
            assert_eq!((response.status, response.header(name)), (status, Some(expected)));
        }
    }
}

#[tokio::test]
async fn location_is_rewritten_for_proxy_requests() {
    let (upstream, sidekey) = redirecting("").await;
    let location = format!("{}/v2/next", upstream.url());
    upstream.next(answer(302, "Location", &location));
    let mut client = sidekey.connect().await;
    let own = upstream.address();
    client.send(format!("GET http://{own}/v2/x HTTP/1.1\r\nHost: {own}\r\n\r\n")).await;
    assert_eq!(client.response().await.header("location"), Some("/v2/next"));
}

#[tokio::test]
async fn location_outside_upstream_is_unchanged() {
    let (upstream, sidekey) = redirecting("").await;
    let outside = format!("{}/v3/next", upstream.url());
    for (status, location) in
        [(302, "https://elsewhere.example/v2/x"), (302, &outside), (302, "next"), (202, &outside)]
    {
        upstream.next(answer(status, "Location", location));
        assert_eq!(sidekey.get("/api/x").await.header("location"), Some(location), "{status}");
    }
}

#[tokio::test]
async fn location_is_rewritten_whatever_the_status() {
    let (upstream, sidekey) = redirecting("").await;
    let inside = format!("{}/v2/next", upstream.url());
    for status in [200, 202, 303, 308, 404, 503] {
        upstream.next(answer(status, "Location", &inside));
        assert_eq!(sidekey.get("/api/x").await.header("location"), Some("/api/next"), "{status}");
    }
}

#[tokio::test]
async fn link_keeps_the_scheme_and_host_of_the_caller() {
    let (upstream, sidekey) = redirecting(", hosts: [api.internal], listen: '127.0.0.1:0'").await;
    let link = format!(
        r#"<{0}/v2/x?page=2>; rel="next", </v2/x?page=9>; rel="last", <https://cdn.example/a>"#,
        upstream.url()
    );
    let (own, service) = (sidekey.url(""), sidekey.service_url("api", ""));
    for (call, base) in [
        (Request::get(sidekey.url("/api/x")), format!("{own}/api")),
        (Request::get(sidekey.url("/x")).header("Host", "api.internal"), "http://api.internal".to_owned()),
        (Request::get(sidekey.service_url("api", "/x")), service),
    ] {
        upstream.next(answer(200, "Link", &link));
        let expected = format!(
            r#"<{base}/x?page=2>; rel="next", <{base}/x?page=9>; rel="last", <https://cdn.example/a>"#
        );
        assert_eq!(call.send().await.header("link"), Some(expected.as_str()));
    }
    let operation = format!("{}/v2/operations/1", upstream.url());
    upstream.next(answer(202, "Operation-Location", &operation));
    let response = sidekey.get("/api/x").await;
    assert_eq!(response.header("operation-location"), Some(format!("{own}/api/operations/1").as_str()));
    upstream.next(answer(200, "Refresh", &format!("1; url={operation}")));
    assert_eq!(sidekey.get("/api/x").await.header("refresh"), Some("1; url=/api/operations/1"));
}

#[tokio::test]
async fn destination_becomes_a_url_of_the_upstream() {
    let (upstream, sidekey) = redirecting(", hosts: [api.internal], listen: '127.0.0.1:0'").await;
    let copy = |url: String, destination: &str| Request::new("COPY", url).header("Destination", destination);
    let inside = format!("{}/v2/b%20c", upstream.url());
    for call in [
        copy(sidekey.url("/api/a"), &sidekey.url("/api/b%20c")),
        copy(sidekey.url("/api/a"), "/api/b%20c"),
        copy(sidekey.url("/a"), "http://api.internal/b%20c").header("Host", "api.internal"),
        copy(sidekey.service_url("api", "/a"), &sidekey.service_url("api", "/b%20c")),
    ] {
        assert_eq!(call.send().await.status, 200);
        assert_eq!(upstream.requests().last().unwrap().header("destination"), Some(inside.as_str()));
    }
    for elsewhere in ["https://elsewhere.example/api/b", "/other/b", inside.as_str()] {
        assert_eq!(copy(sidekey.url("/api/a"), elsewhere).send().await.status, 200);
        assert_eq!(upstream.requests().last().unwrap().header("destination"), Some(elsewhere));
    }
    let response = copy(sidekey.url("/api/a"), &sidekey.url("/api/../admin")).send().await;
    assert_eq!((response.status, response.header("sidekey-error")), (403, Some("forbidden")));
}

#[tokio::test]
async fn resources_in_an_if_become_urls_of_the_upstream() {
    let (upstream, sidekey) = redirecting("").await;
    let put = |value: &str| Request::new("PUT", sidekey.url("/api/a")).header("If", value);
    let (own, inside) = (sidekey.url("/api/b"), format!("{}/v2/b", upstream.url()));
    for (sent, passed) in [
        (format!("<{own}> (<opaquelocktoken:1>)"), format!("<{inside}> (<opaquelocktoken:1>)")),
        (
            format!("<{own}> (Not <DAV:no-lock> [\"a)\"]) </api/b> (<urn:1>)"),
            format!("<{inside}> (Not <DAV:no-lock> [\"a)\"]) <{inside}> (<urn:1>)"),
        ),
        (format!("<http://me@{}> (<urn:1>)", &own[7..]), format!("<{inside}> (<urn:1>)")),
        ("(<opaquelocktoken:1> [\"e\"])".into(), "(<opaquelocktoken:1> [\"e\"])".into()),
        (
            "<https://elsewhere.example/api/b> (<urn:1>)".into(),
            "<https://elsewhere.example/api/b> (<urn:1>)".into(),
        ),
    ] {
        assert_eq!(put(&sent).send().await.status, 200);
        assert_eq!(upstream.requests().last().unwrap().header("if"), Some(passed.as_str()), "{sent}");
    }
    let count = upstream.request_count();
    let response = put(&format!("<{}> (<urn:1>)", sidekey.url("/api/../admin"))).send().await;
    assert_eq!((response.status, response.header("sidekey-error")), (403, Some("forbidden")));
    let response = put("(<urn:1>)").header("IF", "(<urn:2>)").send().await;
    assert_eq!((response.status, response.header("sidekey-error")), (400, Some("bad_request")));
    assert_eq!(upstream.request_count(), count);
}

#[tokio::test]
async fn location_rewriting_can_be_disabled() {
    let (upstream, sidekey) = redirecting(", rewrite_location: false").await;
    let inside = format!("{}/v2/next", upstream.url());
    upstream.next(answer(302, "Location", &inside));
    assert_eq!(sidekey.get("/api/x").await.header("location"), Some(inside.as_str()));
}

#[tokio::test]
async fn location_redirects_are_followed_by_curl_with_credential() {
    let (upstream, sidekey) = redirecting("").await;
    upstream.next(answer(302, "Location", &format!("{}/v2/second", upstream.url())));
    upstream.next(answer(307, "Location", "/v2/third?x"));
    upstream.next(answer(302, "Location", "fourth"));
    let end = Curl::call(&["--location", &sidekey.url("/api/first")], b"").await;
    assert_eq!((end.status, end.text().as_str()), (200, "ok"));
    let seen: Vec<_> = upstream.requests().iter().map(|request| request.target.clone()).collect();
    assert_eq!(seen, ["/v2/first", "/v2/second", "/v2/third?x", "/v2/fourth"]);
    assert!(
        upstream.requests().iter().all(|request| request.header("authorization") == Some("Bearer t0ken"))
    );
}
