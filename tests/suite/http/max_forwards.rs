//! `Max-Forwards` (RFC 9110 §7.6.2): `OPTIONS` and `TRACE` requests that are for Sidekey itself, and those that are
//! forwarded.

use super::setup::{Wire, sidekey_for};
use crate::harness::{Http2, MockUpstream, Request, Version};

#[tokio::test]
async fn options_with_max_forwards_0_is_answered_by_sidekey() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Wire::to(&sidekey).await;
    for fields in ["Max-Forwards: 0", "max-forwards: 00", "Max-Forwards: 5\r\nMAX-FORWARDS: 0"] {
        caller.send(format!("OPTIONS /api/x HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n")).await;
        let head = caller.until("\r\n\r\n").await;
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
    }
    let mut request = crate::harness::get("/api/x");
    *request.method_mut() = http::Method::OPTIONS;
    request.headers_mut().insert("max-forwards", "0".parse().unwrap());
    let response = Http2::open(sidekey.address()).await.call(request).await;
    assert_eq!((response.status, response.header("content-length")), (200, Some("0")));
    assert_eq!(upstream.request_count(), 0);
    let labels = [("service", "api"), ("status_class", "2xx")];
    assert_eq!(sidekey.metric("sidekey_requests_total", &labels).await, Some(4.0));
}

#[tokio::test]
async fn options_with_max_forwards_is_forwarded_with_one_less() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for (sent, passed) in
        [("1", "0"), ("10", "9"), ("18446744073709551616", "2147483647"), ("many", "many"), ("-1", "-1")]
    {
        for version in Version::ALL {
            let call = Request::new("OPTIONS", sidekey.url("/api/x")).header("Max-Forwards", sent);
            assert_eq!(call.by(version).send().await.status, 200);
            assert_eq!(upstream.last_request().header("max-forwards"), Some(passed), "{sent}");
        }
    }
}

#[tokio::test]
async fn max_forwards_of_other_methods_is_not_read() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for method in ["GET", "POST", "OPTION"] {
        let call = Request::new(method, sidekey.url("/api/x")).header("Max-Forwards", "0");
        assert_eq!(call.send().await.status, 200);
        assert_eq!(upstream.last_request().header("max-forwards"), Some("0"));
    }
}

#[tokio::test]
async fn trace_is_never_forwarded() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for number in ["0", "1"] {
        let call = Request::new("TRACE", sidekey.url("/api/x")).header("Max-Forwards", number);
        let response = call.send().await;
        assert_eq!((response.status, response.sidekey_error()), (403, Some("forbidden")));
    }
    assert_eq!(upstream.request_count(), 0);
}
