//! Stripping: a caller's own value in the credential's place never reaches the upstream.

use crate::harness::{Connection, MockUpstream, RecordedRequest, Request, Sidekey};

/// The requests that the upstream receives from an HTTP/1.1 caller and from an HTTP/2 caller (without
/// `Connection`).
async fn received(auth: &str, target: &str, fields: &str) -> [RecordedRequest; 2] {
    received_with(auth, "", target, fields).await
}

/// Like [`received`], with further keys of the service.
async fn received_with(auth: &str, more: &str, target: &str, fields: &str) -> [RecordedRequest; 2] {
    let upstream = MockUpstream::plain().await;
    let services = format!("api: {{ upstream: '{}', auth: {{ {auth} }}{more} }}", upstream.url());
    let sidekey = Sidekey::serving(&services).start().await;
    let mut client = Connection::open(sidekey.address()).await;
    client.send(format!("GET /api{target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await;
    assert_eq!(client.response().await.status, 200);
    let mut call = Request::get(sidekey.url(&format!("/api{target}"))).over_http2();
    for (name, value) in fields.lines().map(|line| line.split_once(':').unwrap()) {
        if name != "Connection" {
            call = call.header(name, value.trim());
        }
    }
    assert_eq!(call.send().await.status, 200);
    upstream.requests().try_into().unwrap()
}

const AUTHORIZATIONS: &str = "Authorization: Bearer evil\r\naUTHORIZATION: Basic evil\r\nauthorization:evil\r\n\
                              Connection: authorization, close\r\n";

#[tokio::test]
async fn bearer_token_replaces_every_authorization_field() {
    for request in received("type: bearer, token: t0ken", "/x", AUTHORIZATIONS).await {
        assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
    }
}

#[tokio::test]
async fn basic_credential_replaces_every_authorization_field() {
    for request in received("type: basic, username: u, password: p", "/x", AUTHORIZATIONS).await {
        assert_eq!(request.header("authorization"), Some("Basic dTpw"));
    }
}

#[tokio::test]
async fn api_key_header_replaces_field_in_any_spelling() {
    // A CGI or WSGI server reads `X_Api_Key` and `X-Api-Key` as the same variable.
    let fields = "X-Api-Key: evil\r\nx-api-key: evil\r\nX-API-KEY:evil\r\nX_Api_Key: evil\r\nx_api-key: evil\r\n\
                  Connection: x-api-key, close\r\nAuthorization: mine\r\nX_Api_Keys: fine\r\n";
    for request in received("type: api_key, in: header, name: X-Api-Key, value: k3y", "/x", fields).await {
        assert_eq!(request.header("x-api-key"), Some("k3y"));
        assert_eq!(request.header("authorization"), Some("mine"));
        let names = request.headers.names();
        assert!(!names.iter().any(|name| ["x_api_key", "x_api-key"].contains(&name.as_str())), "{names:?}");
        assert!(names.contains(&"x_api_keys".to_owned()));
    }
}

#[tokio::test]
async fn api_key_parameter_replaces_it_in_any_encoding() {
    let auth = "type: api_key, in: query, name: api_key, value: 'k3y&+'";
    let target = "/x?a=1&api_key=evil&%61pi_key=evil&api%5Fkey=evil&b=%20&api_key&c;api_key=evil&api_keys=2";
    for request in received(auth, target, "").await {
        assert_eq!(request.target, "/x?a=1&b=%20&api_keys=2&api_key=k3y%26%2B");
    }
}

#[tokio::test]
async fn api_key_cookie_replaces_it_and_keeps_the_others() {
    let auth = "type: api_key, in: cookie, name: sid, value: k3y";
    let fields = "Cookie: a=1; sid=evil; b=2\r\ncookie: sid=evil\r\nCOOKIE: sid = evil;c=3\r\n";
    for request in received(auth, "/x", fields).await {
        assert_eq!(request.header("cookie"), Some("a=1; b=2; c=3; sid=k3y"));
    }
}

#[tokio::test]
async fn trailer_in_credential_slot_is_rejected() {
    let upstream = MockUpstream::plain().await;
    let auth = "type: api_key, in: header, name: X-Api-Key, value: k3y";
    let services = format!("api: {{ upstream: '{}', auth: {{ {auth} }} }}", upstream.url());
    let sidekey = Sidekey::serving(&services).start().await;
    for name in ["X-API-KEY", "x_api_key", "Authorization", "Cookie"] {
        let call = Request::post(sidekey.url("/api/x"), "body").chunked(4).trailer(name, "evil");
        assert_eq!(call.clone().send().await.sidekey_error(), Some("bad_request"), "{name}");
        assert!(call.over_http2().send().await.status != 200, "{name}");
    }
    assert!(upstream.requests().iter().all(|request| !request.complete));
}

#[tokio::test]
async fn removed_header_is_not_passed_on_in_any_spelling() {
    let key = "type: api_key, in: header, name: X-Api-Key, value: k3y";
    let remove = ", headers: { remove: [Authorization, X-Dummy-Key, Cookie] }";
    let fields = "aUTHORIZATION: Bearer dummy\r\nX_Dummy_Key: dummy\r\nx-dummy-key: dummy\r\nCookie: a=1\r\n\
                  X-Dummy-Keys: fine\r\nX-Api-Key: evil\r\n";
    for request in received_with(key, remove, "/x", fields).await {
        assert_eq!(request.header("x-api-key"), Some("k3y"));
        let names = request.headers.names();
        for name in ["authorization", "x-dummy-key", "x_dummy_key", "cookie"] {
            assert!(!names.contains(&name.to_owned()), "{name}: {names:?}");
        }
        assert!(names.contains(&"x-dummy-keys".to_owned()));
    }
    // A credential in a cookie or in `Authorization` itself stays.
    let cookie = "type: api_key, in: cookie, name: sid, value: k3y";
    for request in received_with(cookie, remove, "/x", fields).await {
        assert_eq!((request.header("cookie"), request.header("authorization")), (Some("sid=k3y"), None));
    }
    for request in received_with("type: bearer, token: t0ken", remove, "/x", fields).await {
        assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
    }
}

#[tokio::test]
async fn trailer_with_name_of_removed_header_is_rejected() {
    let upstream = MockUpstream::plain().await;
    let services = format!(
        "api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }}, headers: {{ remove: X-Dummy-Key }} }}",
        upstream.url()
    );
    let sidekey = Sidekey::serving(&services).start().await;
    for name in ["X-Dummy-Key", "x_dummy_key"] {
        let call = Request::post(sidekey.url("/api/x"), "body").chunked(4).trailer(name, "dummy");
        assert_eq!(call.clone().send().await.sidekey_error(), Some("bad_request"), "{name}");
        assert!(call.over_http2().send().await.status != 200, "{name}");
    }
    assert!(upstream.requests().iter().all(|request| !request.complete));
}
