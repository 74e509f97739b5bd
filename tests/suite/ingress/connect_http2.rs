//! HTTP/2 inside a `CONNECT`: negotiated by ALPN; every stream must match the host of the `CONNECT`.

use bytes::Bytes;
use h2::client::Builder;
use http::Request;

use super::setup::{ca_for, connect, handshake_offering, intercepting};
use crate::harness::{Curl, Gate, Http2, MockResponse, MockUpstream, Nghttpd, Pki, Sidekey};
use crate::suite::http::setup::wait_until_idle;

const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

/// An upstream with base path `/base`, an intercepting Sidekey, an HTTP/2 connection inside a CONNECT, and
/// its authority.
async fn started(pki: &Pki) -> (MockUpstream, Sidekey, Http2, String) {
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let (builder, ca) = intercepting(&upstream, pki, "").await;
    let sidekey = builder.start().await;
    let own = format!("localhost:{}", upstream.address().port());
    let caller = inside(&sidekey, &ca, &own).await;
    (upstream, sidekey, caller, own)
}

async fn inside(sidekey: &Sidekey, ca: &str, authority: &str) -> Http2 {
    let (status, wire) = connect(sidekey, authority).await;
    assert_eq!(status, 200);
    let stream = handshake_offering(BOTH, wire, ca, "localhost").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    Http2::over(stream, &Builder::new()).await
}

fn get(url: &str) -> Request<()> {
    Request::get(url).body(()).unwrap()
}

#[tokio::test]
async fn connect_http2_requests_get_credential_and_pass_bodies() {
    let pki = Pki::new();
    let (upstream, _sidekey, mut caller, own) = started(&pki).await;
    upstream.next(MockResponse::status(201).body("made").chunked(2).trailer("X-Sum", "7"));
    let request =
        Request::post(format!("https://{own}/base/x?y=1")).header("authorization", "Basic ZXZpbA==");
    let mut stream = caller.begin(request.body(()).unwrap()).await;
    stream.send("0123456789".repeat(20_000), false).await;
    stream
        .up
        .send_trailers([("x-check".parse().unwrap(), "9".parse().unwrap())].into_iter().collect())
        .unwrap();
    let response = stream.response().await;
    assert_eq!((response.status, response.text().as_str()), (201, "made"));
    assert_eq!(response.trailers["x-sum"], "7");
    let seen = upstream.only_request();
    assert_eq!((seen.target.as_str(), seen.body.len()), ("/base/x?y=1", 200_000));
    assert_eq!(seen.header("authorization"), Some("Bearer t0ken"));
    assert_eq!((seen.header("host"), seen.trailers.first("x-check")), (Some(own.as_str()), Some("9")));
    // The host without a port is accepted too, with TLS as without.
    assert_eq!(caller.call(get("https://localhost/base/x")).await.status, 200);
}

#[tokio::test]
async fn connect_http2_rejects_other_authorities() {
    let pki = Pki::new();
    let (upstream, sidekey, mut caller, own) = started(&pki).await;
    let host_alone = |host: &str| Request::get("/base/x").header("host", host).body(()).unwrap();
    for (request, status, reason) in [
        (get("https://elsewhere.example/base/x"), 403, "forbidden"),
        (get("https://api.internal/x"), 403, "forbidden"),
        (get("https://localhost:1/base/x"), 403, "forbidden"),
        (get(&format!("http://elsewhere.example:{}/base/x", upstream.address().port())), 403, "forbidden"),
        (host_alone("elsewhere.example"), 403, "forbidden"),
        (get(&format!("https://{own}/other")), 404, "unknown_service"),
        (get(&format!("https://{own}/api/x")), 404, "unknown_service"),
        (get(&format!("https://{own}/base/../x")), 403, "forbidden"),
        (Request::connect("localhost:443").body(()).unwrap(), 400, "bad_request"),
    ] {
        let what = format!("{request:?}");
        let response = caller.call(request).await;
        assert_eq!((response.status, response.header("sidekey-error")), (status, Some(reason)), "{what}");
    }
    // An authority and a different Host.
    let mut two = get(&format!("https://{own}/base/x"));
    two.headers_mut().insert("host", "elsewhere.example".parse().unwrap());
    assert_eq!(caller.call(two).await.status, 400);
    assert_eq!((upstream.connections(), upstream.request_count()), (0, 0));

    // The connection still works.
    assert_eq!(caller.call(host_alone(&own)).await.status, 200);
    assert_eq!(upstream.only_request().header("authorization"), Some("Bearer t0ken"));
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn connect_http2_rejected_stream_does_not_affect_others() {
    let pki = Pki::new();
    let (upstream, _sidekey, mut caller, own) = started(&pki).await;
    let gate = Gate::closed();
    upstream.next(MockResponse::ok("first half, second half").body_held_at(10, &gate));
    let mut first = caller.begin(get(&format!("https://{own}/base/first"))).await;
    first.send(Bytes::new(), true).await;
    upstream.received(1).await;
    let second = caller.call(get("https://elsewhere.example/base/second")).await;
    assert_eq!((second.status, second.header("sidekey-error")), (403, Some("forbidden")));
    gate.open();
    assert_eq!(first.response().await.text(), "first half, second half");
    let seen = upstream.only_request();
    assert_eq!((seen.target.as_str(), seen.header("authorization")), ("/base/first", Some("Bearer t0ken")));
}

#[tokio::test]
async fn connect_http2_confinement_survives_a_reload() {
    let pki = Pki::new();
    let (upstream, sidekey, mut caller, own) = started(&pki).await;
    assert_eq!(caller.call(get(&format!("https://{own}/base/x"))).await.status, 200);
    let config = std::fs::read_to_string(sidekey.dir().join("sidekey.yaml")).unwrap();
    sidekey.reconfigure(&config.replace("t0ken", "0ther"));
    assert!(sidekey.reload().await);
    let wrong = caller.call(get("https://elsewhere.example/base/x")).await;
    assert_eq!((wrong.status, wrong.header("sidekey-error")), (403, Some("forbidden")));
    // Nor is a path prefix, which selects services outside of CONNECT, accepted here.
    assert_eq!(caller.call(get(&format!("https://{own}/api/x"))).await.status, 404);
    assert_eq!(upstream.request_count(), 1);
    assert_eq!(caller.call(get(&format!("https://{own}/base/x"))).await.status, 200);
    assert_eq!(upstream.last_request().header("authorization"), Some("Bearer 0ther"));
}

#[tokio::test]
async fn connect_alpn_negotiates_http1_or_fails() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let (builder, ca) = intercepting(&upstream, &pki, "").await;
    let sidekey = builder.start().await;
    let own = format!("localhost:{}", upstream.address().port());
    for offered in [&[][..], &[&b"http/1.1"[..]]] {
        let (_, wire) = connect(&sidekey, &own).await;
        let stream = handshake_offering(offered, wire, &ca, "localhost").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), offered.first().copied());
    }
    // A protocol that Sidekey does not speak fails the handshake.
    let (_, wire) = connect(&sidekey, &own).await;
    assert!(handshake_offering(&[b"h3"], wire, &ca, "localhost").await.is_err());
}

#[tokio::test]
async fn connect_http2_works_with_curl_and_nghttpd() {
    let pki = Pki::new();
    let file: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let nghttpd = Nghttpd::start(
        &file,
        Some(&pki.server_files(&["localhost"])),
        &["--echo-upload", "--trailer", "x-sum: 7"],
    )
    .await;
    let (cert, key) = ca_for("localhost").await;
    let config = format!(
        "listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: {{ level: debug, format: json }}
intercept: {{ ca_cert_file: $DIR/ca.crt, ca_key_file: $DIR/ca.key }}
services: {{ api: {{ upstream: 'https://localhost:{}', tls: {{ ca_file: '{}' }}, auth: {{ type: bearer, token: t0ken }} }} }}
",
        nghttpd.port(),
        pki.ca_file()
    );
    let sidekey = Sidekey::configured(&config).file("ca.crt", &cert).file("ca.key", &key).start().await;
    let url = |path: &str| format!("https://localhost:{}{path}", nghttpd.port());
    let (proxy, ca) = (sidekey.url(""), sidekey.dir().join("ca.crt"));
    let through = ["--noproxy", "", "--proxy", &proxy, "--cacert", ca.to_str().unwrap(), "--http2"];
    let head = Curl::call(&[&through[..], &["--head", &url("/file")]].concat(), b"").await;
    assert!(head.text().contains("HTTP/2 200 "), "{}", head.text());
    let down = Curl::call(&[&through[..], &[&url("/file")]].concat(), b"").await;
    assert!(down.status == 200 && down.body == file);
    let up = Curl::call(&[&through[..], &["--data-binary", "@-", &url("/echo")]].concat(), &file).await;
    assert!(up.status == 200 && up.body == file, "{} bytes", up.body.len());
    let log = nghttpd.log();
    assert!(log.contains("authorization: Bearer t0ken") && log.contains("x-sum: 7"), "{log}");
}
