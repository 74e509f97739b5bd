//! `CONNECT`: TLS interception for services; the credential goes to its own upstream or nowhere.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::setup::{ask, connect, handshake, handshake_offering, intercepting};
use crate::harness::{Curl, MockResponse, MockUpstream, Pki, Sidekey, TIMEOUT};
use crate::suite::http::setup::{RawServer, Wire};

#[tokio::test]
async fn connect_intercepts_curl_and_injects_credential() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let (builder, _) = intercepting(&upstream, &pki, "").await;
    let sidekey = builder.start().await;
    let url = format!("https://localhost:{}/base/v1/x?y=1", upstream.address().port());
    let (proxy, ca) = (sidekey.url(""), sidekey.dir().join("ca.crt"));
    let options = ["--noproxy", "", "--proxy", &proxy, "--cacert", ca.to_str().unwrap()];
    for body in [&b""[..], b"some body"] {
        let more: &[&str] = if body.is_empty() { &[] } else { &["--data-binary", "@-"] };
        let answer = Curl::call(&[&options, more, &[url.as_str()]].concat(), body).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        let seen = upstream.last_request();
        assert_eq!(seen.target, "/base/v1/x?y=1");
        assert_eq!(seen.header("authorization"), Some("Bearer t0ken"));
        assert_eq!(seen.body, body);
    }
    // The alias in `hosts` has the same base URL, with TLS as without.
    let answer = Curl::call(&[&options[..4], &["--insecure", "https://api.internal/x"]].concat(), b"").await;
    assert_eq!((answer.status, upstream.last_request().target.as_str()), (200, "/base/x"));
}

#[tokio::test]
async fn connect_http2_streams_must_match_the_connect_host() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let (builder, ca) = intercepting(&upstream, &pki, "").await;
    let sidekey = builder.start().await;
    let own = format!("localhost:{}", upstream.address().port());
    let (_, wire) = connect(&sidekey, &own).await;
    let stream = handshake_offering(&[b"h2", b"http/1.1"], wire, &ca, "localhost").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for (authority, target, status) in [
        (own.as_str(), "/base/x", 200),
        ("other.example", "/base/x", 403),
        ("api.internal", "/x", 403),
        ("localhost:1", "/base/x", 403),
        (&own, "/elsewhere", 404),
        (&own, "/base/y", 200),
    ] {
        let request = http::Request::get(format!("https://{authority}{target}")).body(()).unwrap();
        send = send.ready().await.unwrap();
        let answer = send.send_request(request, true).unwrap().0.await.unwrap();
        assert_eq!(answer.status(), status, "{authority}{target}");
    }
    let seen: Vec<_> = upstream.requests().iter().map(|request| request.target.clone()).collect();
    assert_eq!(seen, ["/base/x", "/base/y"]);
    assert_eq!(upstream.last_request().header("authorization"), Some("Bearer t0ken"));
}

#[tokio::test]
async fn connect_with_plain_http_inside_is_served() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let sidekey = intercepting(&upstream, &pki, "").await.0.start().await;
    let (status, mut wire) = connect(&sidekey, "localhost:80").await;
    assert_eq!(status, 200);
    wire.send("GET /base/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(wire.rest().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(upstream.only_request().header("authorization"), Some("Bearer t0ken"));
}

#[tokio::test]
async fn connect_request_with_mismatched_names_is_rejected() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let (builder, ca) = intercepting(&upstream, &pki, "").await;
    let sidekey = builder.start().await;
    let own = format!("localhost:{}", upstream.address().port());

    // An SNI other than the CONNECT's host: no certificate, so no request.
    for name in ["elsewhere.example", "api.internal", "sub.localhost"] {
        let (status, wire) = connect(&sidekey, &own).await;
        assert_eq!(status, 200);
        assert!(handshake(wire, &ca, name).await.is_err(), "{name}");
    }
    // Another Host, or another absolute URL.
    for (target, host) in [
        ("/base/x", "elsewhere.example"),
        ("/base/x", "api.internal"),
        ("/base/x", "localhost:1"),
        ("https://elsewhere.example/base/x", "elsewhere.example"),
        ("https://elsewhere.example/base/x", own.as_str()),
    ] {
        let (_, wire) = connect(&sidekey, &own).await;
        let mut stream = handshake(wire, &ca, "localhost").await.unwrap();
        let answer = ask(&mut stream, target, host).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{target} {host}: {answer}");
        assert!(answer.contains("\r\nSidekey-Error: forbidden\r\n"));
    }
    // A Host other than the CONNECT's target.
    let mut wire = Wire::to(&sidekey).await;
    wire.send(format!("CONNECT {own} HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n")).await;
    assert!(wire.rest().await.starts_with("HTTP/1.1 403 "));
    // Outside the service's base path, and a CONNECT inside a CONNECT.
    for (request, status) in [
        ("GET /other HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("GET /base/../x HTTP/1.1\r\nHost: localhost\r\n", 403),
        ("GET /api/x HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n", 400),
    ] {
        let (_, wire) = connect(&sidekey, &own).await;
        let mut stream = handshake(wire, &ca, "localhost").await.unwrap();
        stream.write_all(format!("{request}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{request}");
    }
    assert_eq!(upstream.request_count(), 0);

    let (_, wire) = connect(&sidekey, &own).await;
    let mut stream = handshake(wire, &ca, "localhost").await.unwrap();
    assert!(ask(&mut stream, "/base/x", &own).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(upstream.only_request().header("authorization"), Some("Bearer t0ken"));
}

#[tokio::test]
async fn connect_without_intercept_is_403_with_advice() {
    let upstream = MockUpstream::plain().await;
    let service = format!("{{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }}", upstream.url());
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ level: debug, format: json }}\nconnect: {{ unmatched: tunnel, allow_local: true }}\nservices: {{ api: {service} }}\n"
    );
    let sidekey = Sidekey::configured(&config).start().await;
    let mut wire = Wire::to(&sidekey).await;
    wire.send(format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", upstream.address())).await;
    let answer = wire.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 403 ") && answer.contains("intercept: { ca_cert_file, ca_key_file }"),
        "{answer}"
    );
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn connect_to_unmatched_host_needs_tunnels_allowed() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let other = RawServer::new().await;
    let target = other.url().trim_start_matches("http://").to_owned();

    let denying = intercepting(&upstream, &pki, "").await.0.start().await;
    assert_eq!(connect(&denying, &target).await.0, 404);
    // Another port of a service's host is another server.
    assert_eq!(connect(&denying, "localhost:1").await.0, 404);

    let near = intercepting(&upstream, &pki, "connect: { unmatched: tunnel }").await.0.start().await;
    assert_eq!(connect(&near, &target).await.0, 403);
    assert_eq!(connect(&near, "2130706433:80").await.0, 403);
    assert_eq!(connect(&near, "[::ffff:127.0.0.1]:80").await.0, 403);

    let settings = "connect: { unmatched: tunnel, allow_local: true }";
    let sidekey = intercepting(&upstream, &pki, settings).await.0.start().await;
    let (status, mut wire) = connect(&sidekey, &target).await;
    assert_eq!(status, 200);
    let mut server = other.accept().await;
    // Neither HTTP nor a credential.
    wire.send("\x00anything\r\n\r\n").await;
    assert_eq!(server.until("\r\n\r\n").await, "\x00anything\r\n\r\n");
    // Each direction is closed on its own.
    wire.finish().await;
    assert_eq!(server.rest().await, "");
    server.send("and an answer").await;
    drop(server);
    assert_eq!(wire.rest().await, "and an answer");
    let refused = crate::harness::RefusingPort::new();
    assert_eq!(connect(&sidekey, &refused.address.to_string()).await.0, 502);
    // An absolute http:// URL is not a tunnel.
    let mut plain = Wire::to(&sidekey).await;
    plain
        .send(format!("GET http://{target}/x HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"))
        .await;
    assert!(plain.rest().await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn tunnel_is_closed_after_idle_timeout() {
    let other = RawServer::new().await;
    let target = other.url().trim_start_matches("http://").to_owned();
    let upstream = MockUpstream::plain().await;
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ level: debug, format: json }}\naccess_log: true\nconnect: {{ unmatched: tunnel, allow_local: true, idle_timeout: 300ms }}\n\
         services: {{ api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }} }}\n",
        upstream.url()
    );
    let sidekey = Sidekey::configured(&config).start().await;
    let (_, mut wire) = connect(&sidekey, &target).await;
    let mut server = other.accept().await;
    assert_eq!((wire.rest().await, server.rest().await), (String::new(), String::new()));
    let labels = [("service", ""), ("method", "CONNECT"), ("status_class", "2xx")];
    crate::harness::assert_eventually(TIMEOUT, "the tunnel is counted", async || {
        sidekey.metric("sidekey_requests_total", &labels).await == Some(1.0)
    })
    .await;
    let line = sidekey.logged("request").await;
    assert_eq!(
        (line["url.path"].as_str(), line["http.request.method"].as_str()),
        (Some(&*target), Some("CONNECT"))
    );
}

#[tokio::test]
async fn service_listener_rejects_tunnels() {
    let (upstream, other) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ level: debug, format: json }}\nconnect: {{ unmatched: tunnel, allow_local: true }}\nservices: {{ api: {{ upstream: '{}', listen: '127.0.0.1:0', auth: {{ type: bearer, \
         token: t0ken }} }} }}\n",
        upstream.url()
    );
    let sidekey = Sidekey::configured(&config).start().await;
    let address = sidekey.service_url("api", "").trim_start_matches("http://").to_owned();
    let mut wire = Wire::new(TcpStream::connect(&address).await.unwrap());
    wire.send(format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", other.address())).await;
    assert!(wire.rest().await.starts_with("HTTP/1.1 404 "));
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn intercept_certificates_are_short_lived_and_cached() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let (builder, ca) = intercepting(&upstream, &pki, "").await;
    let sidekey = builder.start().await;
    let own = format!("localhost:{}", upstream.address().port());
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (_, wire) = connect(&sidekey, &own).await;
        let stream = handshake(wire, &ca, "localhost").await.unwrap();
        let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).unwrap();
        let days = (parsed.validity().not_after - parsed.validity().not_before).unwrap().whole_days();
        assert!(days <= 8 && !parsed.is_ca(), "{days}");
        seen.push(leaf);
    }
    assert_eq!(seen[0], seen[1], "the certificate is cached");
    // The CA cannot sign for a host that was not configured when it was made; the log and `check` warn of
    // that.
    let warning = "the CA's name constraints exclude api.internal: callers reject its certificates";
    sidekey.logged_like(&format!("configuration warning: {warning}")).await;
    let config = sidekey.dir().join("sidekey.yaml");
    let checked = Sidekey::command(&["check", "--config", config.to_str().unwrap()], &[]).await;
    assert!(
        checked.status.success() && String::from_utf8_lossy(&checked.stderr).contains(warning),
        "{checked:?}"
    );
    let (_, wire) = connect(&sidekey, "api.internal:443").await;
    assert!(handshake(wire, &ca, "api.internal").await.is_err());
    let key = std::fs::read_to_string(sidekey.dir().join("ca.key")).unwrap();
    let lines: Vec<_> = key.lines().filter(|line| !line.starts_with("---")).collect();
    assert!(lines.iter().all(|line| !sidekey.log().contains(line)) && !lines.is_empty());
}

#[tokio::test]
async fn connect_redirect_is_not_rewritten() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let (builder, ca) = intercepting(&upstream, &pki, "").await;
    let sidekey = builder.start().await;
    let own = format!("localhost:{}", upstream.address().port());
    let location = format!("https://{own}/base/next");
    upstream.next(MockResponse::status(302).header("Location", &location));
    let (_, wire) = connect(&sidekey, &own).await;
    let mut stream = handshake(wire, &ca, "localhost").await.unwrap();
    assert!(ask(&mut stream, "/base/x", &own).await.contains(&format!("\r\nLocation: {location}\r\n")));
}

#[tokio::test]
async fn ca_init_never_overwrites_and_restricts_key_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let init = async || Sidekey::command(&["ca", "init", "--unconstrained", "--out", out], &[]).await;
    assert!(init().await.status.success());
    let file = |name: &str| dir.path().join(name);
    let first = std::fs::read(file("sidekey-ca.key")).unwrap();
    assert_eq!(std::fs::metadata(file("sidekey-ca.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = init().await;
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("never overwritten"), "{again:?}");
    assert_eq!(std::fs::read(file("sidekey-ca.key")).unwrap(), first);
    std::fs::remove_file(file("sidekey-ca.key")).unwrap();
    assert!(!init().await.status.success(), "the certificate alone is reason enough");
    assert!(!file("sidekey-ca.key").exists());
}
