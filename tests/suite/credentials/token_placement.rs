//! `token`: a token that goes elsewhere than in `Authorization`.

use crate::harness::{MockTokenEndpoint, MockUpstream, Request, Sidekey};
use crate::suite::oauth2::setup::service;

#[tokio::test]
async fn token_goes_where_it_is_said_and_nothing_of_the_caller_stays_there() {
    for (placement, header) in [
        ("name: X-Shop-Token", Some("X-Shop-Token")),
        ("in: cookie, name: sid, prefix: v1.", None),
        ("in: query, name: access token", None),
    ] {
        let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
        upstream.respond_with(|_| crate::harness::MockResponse::status(200));
        let config = service("api", &upstream, &endpoint, &format!("token: {{ {placement} }},"), "");
        let sidekey = Sidekey::serving(&config).start_ready().await;
        let call = Request::get(sidekey.url("/api/x?a=1&access+token=evil"))
            .header("X-Shop_Token", "evil")
            .header("Cookie", "b=2; sid=evil")
            .header("Authorization", "Bearer of-the-app");
        assert_eq!(call.send().await.status, 200);
        let request = upstream.last_request();
        let token = endpoint.issued().pop().unwrap();
        assert_eq!(request.header("authorization"), Some("Bearer of-the-app"), "it goes elsewhere");
        let text = format!("{} {:?}", request.target, request.headers);
        match (header, placement.contains("cookie")) {
            (Some(name), _) => assert_eq!(request.headers.all(name), [token.as_str()]),
            (None, true) => {
                assert_eq!(request.header("cookie"), Some(format!("b=2; sid=v1.{token}").as_str()));
            }
            (None, false) => assert_eq!(request.target, format!("/x?a=1&access+token={token}")),
        }
        let evil = text.matches("evil").count();
        assert_eq!(evil, 2, "only what belongs to the credential is removed: {text}");
        assert!(!sidekey.log().contains(&token), "{placement}");
    }
}
