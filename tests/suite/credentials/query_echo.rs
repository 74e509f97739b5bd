//! A query credential never comes back to the caller in a URL of the response, for example if the upstream redirects with the
//! query that it received.

use crate::harness::{MockResponse, MockUpstream, Request, Sidekey};
use crate::suite::http::setup::RawServer;

const SECRET: &str = "cAn4ry-9f3e";

async fn sidekey_with_query_key(url: &str, more: &str) -> Sidekey {
    let auth = format!("{{ type: api_key, in: query, name: 'api key', value: {SECRET} }}");
    Sidekey::serving(&format!("maps: {{ upstream: '{url}', auth: {auth}{more} }}")).start().await
}

#[tokio::test]
async fn redirect_with_received_query_does_not_return_the_key() {
    let upstream = MockUpstream::plain().await;
    for more in ["", ", rewrite_location: false"] {
        let sidekey = sidekey_with_query_key(&upstream.url(), more).await;
        let received = format!("a=1&api+key={SECRET}");
        let nested = format!("next=%2Fx%3Fa%3D1%26api%2520key%3D{SECRET}");
        let urls = [
            format!("/x/?{received}"),
            format!("x/?{received}"),
            format!("{}/x/?{received}#top", upstream.url()),
            format!("https://other.example/x/?{received}"),
            format!("https://login.example/?{nested}"),
            format!("/x/?api%20key={SECRET}"),
            format!("/#/x?api%20key={SECRET}"),
        ];
        for (name, form) in [
            ("Location", "URL"),
            ("Content-Location", "URL"),
            ("Link", "<URL>; rel=\"next\", <URL>; rel=last"),
            ("Refresh", "0; url=URL"),
            ("Refresh", "0;URL='URL'"),
            ("Operation-Location", "URL"),
        ] {
            for (status, url) in
                [301, 307, 200, 202].into_iter().flat_map(|status| urls.iter().map(move |url| (status, url)))
            {
                upstream.next(MockResponse::status(status).header(name, &form.replace("URL", url)));
                let response = Request::get(sidekey.url("/maps/x?a=1")).send().await;
                let value = response.header(name).unwrap_or_else(|| panic!("no {name} for {url}"));
                assert_eq!(response.status, status);
                assert!(!value.contains(SECRET), "{name}: {value}");
            }
        }
        assert!(upstream.requests().last().unwrap().target.contains(SECRET));
        let count = sidekey.metric("sidekey_response_redactions_total", &[("service", "maps")]).await;
        // Seven URLs in each of seven places, for four statuses.
        assert_eq!(count, Some(196.0));
    }
}

#[tokio::test]
async fn key_is_redacted_in_any_other_field() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_with_query_key(&upstream.url(), "").await;
    for (name, value) in [
        ("Link", format!("</x>; rel=next; anchor=\"/y?api+key={SECRET}\"")),
        ("Link", format!("</x> </y?api+key={SECRET}>")),
        ("Link", format!("/x?api+key={SECRET}; rel=next")),
        ("Refresh", format!("0 url=/x?api+key={SECRET}")),
        ("Location", format!("/login/%3Fapi%2Bkey%3D{SECRET}")),
        ("Location", format!("/x?API+KEY={SECRET}")),
        ("Location", format!("https://other.example/?copied={SECRET}")),
        ("Location", format!("https://{SECRET}@other.example/")),
        ("Location", format!("/x?copied={}", SECRET.replace('-', "%2d"))),
        ("Location", format!("/login?next=%2Fx%3Fcopied%3D{}", SECRET.replace('-', "%252D"))),
        ("X-Original-URL", format!("/x?api+key={SECRET}")),
        ("Set-Cookie", format!("last=/x?api+key={SECRET}")),
        ("WWW-Authenticate", format!("Bearer resource_metadata=\"/x?api+key={SECRET}\"")),
        ("ETag", format!("\"{SECRET}\"")),
    ] {
        for over_http2 in [false, true] {
            upstream.next(MockResponse::status(302).header(name, &value));
            let request = Request::get(sidekey.url("/maps/x?a=1"));
            let request = if over_http2 { request.over_http2() } else { request };
            let response = request.send().await;
            let found = response.header(name).unwrap_or_else(|| panic!("no {name} for {value}"));
            assert!(!found.contains(SECRET) && !found.to_lowercase().contains("2d9f3e"), "{name}: {found}");
        }
    }
    let count = sidekey.metric("sidekey_response_redactions_total", &[("service", "maps")]).await;
    assert!(count >= Some(26.0), "{count:?}");
}

#[tokio::test]
async fn interim_response_does_not_return_the_key() {
    let server = RawServer::new().await;
    let sidekey = sidekey_with_query_key(&server.url(), "").await;
    let mut client = sidekey.connect().await;
    client.send("GET /maps/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let head = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css?api%20key={SECRET}>; rel=preload\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    );
    let (mut wire, _) = server.accept_request().await;
    wire.send(&head).await;
    let (status, fields) = client.head().await;
    assert_eq!((status, fields.first("link")), (103, Some("<http://localhost/maps/style.css>; rel=preload")));
}

#[tokio::test]
async fn other_url_fields_pass_unchanged_beside_a_query_key() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_with_query_key(&upstream.url(), "").await;
    for (name, value) in [
        ("Location", "https://other.example/x?a=1&keys=2#api"),
        ("Link", "<https://other.example/x?a=%7B>; title=\"a, <b>\""),
        ("Refresh", "5"),
    ] {
        upstream.next(MockResponse::status(302).header(name, value));
        assert_eq!(sidekey.get("/maps/x").await.header(name), Some(value));
    }
    assert_eq!(sidekey.metric("sidekey_response_redactions_total", &[("service", "maps")]).await, None);
}
