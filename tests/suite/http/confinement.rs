//! Confinement: a service cannot leave its upstream's base path, and a caller cannot read the credential.

use super::setup::sidekey_for_url;
use crate::harness::{MockUpstream, Request, Sidekey, Version};

#[tokio::test]
async fn path_outside_base_path_is_forbidden() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&format!("{}/base/v1", upstream.url()), "").await;
    for path in [
        "/..",
        "/../admin",
        "/a/../../admin",
        "/%2e%2e/admin",
        "/.%2E/admin",
        "/%2e./admin",
        "/..%2fadmin",
        "/a%2f..%2f..%2fadmin",
        "/..%5cadmin",
        "/..\\admin",
        "/..;x=1/admin",
        "/;x/../admin",
        "/.;x/../admin",
        "/a//../../../admin",
        // A server that does not take `%2f` for a separator sees one segment here, and two steps up.
        "/a%2fb/../../admin",
        "/a\\b/../../admin",
        "/a%5Cb/../../admin",
        "/%2f/../admin",
        // Servers in a row decode more than once, and some decode what is no UTF-8.
        "/%252e%252e/admin",
        "/%25252e%25252e/admin",
        "/a%252fb/../../admin",
        "/%c0%ae%c0%ae/admin",
        "/%u002e%u002e/admin",
        "/%ef%bc%8e%ef%bc%8e/admin",
        "/..%00/admin",
        "/..%3fadmin",
        "/..%20/admin",
    ] {
        for version in Version::ALL {
            let response = Request::get(sidekey.url(&format!("/api{path}"))).by(version).send().await;
            let refused = (response.status, response.sidekey_error());
            assert_eq!(refused, (403, Some("forbidden")), "{path} {version:?}");
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn path_inside_base_path_passes_unchanged() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&format!("{}/base/", upstream.url()), "").await;
    for path in
        ["", "/", "//", "/a/../b", "/a/%2e%2e/b", "/a%2Fb", "/...", "/a..b", "/x?y=/../..", "/?../..", "?a"]
    {
        for version in Version::ALL {
            let call = Request::get(sidekey.url(&format!("/api{path}"))).by(version);
            assert_eq!(call.send().await.status, 200, "{path} {version:?}");
            assert_eq!(upstream.last_request().target, format!("/base{path}"));
        }
    }
}

#[tokio::test]
async fn options_asterisk_is_forbidden_with_base_path() {
    let upstream = MockUpstream::plain().await;
    let service = |base: &str| {
        format!(
            "upstream: '{}{base}', listen: '127.0.0.1:0', auth: {{ type: bearer, token: t0ken }}",
            upstream.url()
        )
    };
    let sidekey =
        Sidekey::serving(&format!("whole: {{ {} }}\npart: {{ {} }}", service(""), service("/base")))
            .start()
            .await;
    let ask = async |name: &str, method: &str| {
        let address = sidekey.service_url(name, "").strip_prefix("http://").unwrap().parse().unwrap();
        let mut client = crate::harness::Connection::open(address).await;
        client.send(format!("{method} * HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        client.response().await
    };
    assert_eq!(ask("whole", "OPTIONS").await.status, 200);
    assert_eq!(upstream.only_request().target, "*");
    assert_eq!(ask("part", "OPTIONS").await.sidekey_error(), Some("forbidden"));
    assert_eq!(ask("whole", "GET").await.sidekey_error(), Some("bad_request"));
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn trace_method_is_forbidden() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), "").await;
    for version in Version::ALL {
        for method in ["TRACE", "trace", "TRACK", "Track"] {
            let response = Request::new(method, sidekey.url("/api/x")).by(version).send().await;
            assert_eq!((response.status, response.sidekey_error()), (403, Some("forbidden")), "{method}");
        }
    }
    assert_eq!(upstream.connections(), 0);
}
