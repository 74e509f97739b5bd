//! Every spelling of a service's host is the service's host: in `CONNECT`, in absolute URLs, in `Host`, and inside an
//! interception.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::setup::{connect, handshake, intercepting, own_address};
use crate::harness::{MockUpstream, Pki, Sidekey, TIMEOUT};
use crate::suite::http::setup::Wire;

const TUNNELS: &str = "connect: { unmatched: tunnel, allow_local: true }";

#[tokio::test]
async fn connect_to_host_in_any_spelling_is_intercepted() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let (builder, ca) = intercepting(&upstream, &pki, TUNNELS).await;
    let sidekey = builder.start().await;
    let port = upstream.address().port();
    let spellings = [
        (format!("localhost.:{port}"), "localhost."),
        (format!("LocalHost.:{port}"), "localhost"),
        (format!("%6cocalhost:{port}"), "LOCALHOST."),
        (format!("localhost:0{port}"), "localhost"),
    ];
    for (count, (authority, host)) in spellings.iter().enumerate() {
        let (status, wire) = connect(&sidekey, authority).await;
        assert_eq!(status, 200, "{authority}");
        // Only the interception has a certificate of this CA.
        let mut stream = handshake(wire, &ca, "localhost").await.expect(authority);
        let request = format!("GET /base/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut answer)).await.expect("an answer").unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{authority} {host}");
        assert_eq!(upstream.request_count(), count + 1);
        assert_eq!(upstream.last_request().header("authorization"), Some("Bearer t0ken"));
    }
    for invalid in [format!("localhost..:{port}"), format!("localhost:+{port}"), format!("[::1%25lo]:{port}")]
    {
        let mut wire = Wire::to(&sidekey).await;
        wire.send(format!("CONNECT {invalid} HTTP/1.1\r\nHost: {invalid}\r\n\r\n")).await;
        assert!(wire.rest().await.starts_with("HTTP/1.1 400 "), "{invalid}");
    }
}

#[tokio::test]
async fn connect_to_address_in_any_spelling_is_no_tunnel() {
    let upstream = MockUpstream::plain().await;
    let port = upstream.address().port();
    let sidekey = Sidekey::configured(&format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n{TUNNELS}\nservices: {{ api: {{ upstream: 'http://127.0.0.1:{port}', \
         hosts: ['2001:db8::1'], auth: {{ type: bearer, token: t0ken }} }} }}\n"
    ))
    .start()
    .await;
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "[::FFFF:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[2001:DB8:0::1]",
        "[2001:0db8::0.0.0.1]",
    ] {
        let mut wire = Wire::to(&sidekey).await;
        wire.send(format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")).await;
        let answer = wire.rest().await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("intercept"), "{host}: {answer}");
    }
    assert_eq!(upstream.connections(), 0);
}

/// Under another name of this machine, a tunnel would lead to the service without its credential, or into Sidekey.
#[tokio::test]
async fn connect_to_this_machine_by_another_name_is_no_way_around() {
    let upstream = MockUpstream::plain().await;
    let other = MockUpstream::plain().await;
    let port = upstream.address().port();
    let sidekey = Sidekey::configured(&format!(
        "listen: 0.0.0.0:0\nadmin: 127.0.0.1:0\n{TUNNELS}\nservices: {{ api: {{ upstream: 'http://localhost:{port}', \
         auth: {{ type: bearer, token: t0ken }} }} }}\n"
    ))
    .start()
    .await;
    let admin_port = sidekey.admin_url("").rsplit(':').next().unwrap().parse().unwrap();
    let own_ports = [sidekey.address().port(), admin_port];
    for host in ["127.0.0.1", "127.9.9.9", "[::ffff:127.0.0.1]", "0.0.0.0", &own_address().to_string()] {
        for port in [port, own_ports[0], own_ports[1]] {
            let mut wire = Wire::to(&sidekey).await;
            wire.send(format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")).await;
            let answer = wire.rest().await;
            assert!(
                answer.starts_with("HTTP/1.1 403 ") && answer.contains("another name"),
                "{host}: {answer}"
            );
        }
    }
    assert_eq!(upstream.connections(), 0);
    // Another program on this machine is allowed by `allow_local`.
    assert_eq!(connect(&sidekey, &format!("127.0.0.1:{}", other.address().port())).await.0, 200);

    let closed = Sidekey::configured(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nconnect: { unmatched: tunnel }\nservices: { api: { upstream: 'http://localhost:9', \
         auth: { type: bearer, token: t0ken } } }\n",
    )
    .start()
    .await;
    let authority = format!("{}:{}", own_address(), sidekey.address().port());
    let mut wire = Wire::to(&closed).await;
    wire.send(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n")).await;
    let answer = wire.rest().await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("allow_local"), "{answer}");
}

#[tokio::test]
async fn connect_to_the_address_that_resolve_gives_is_no_way_around() {
    let upstream = MockUpstream::plain().await;
    let port = upstream.address().port();
    let sidekey = Sidekey::configured(&format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n{TUNNELS}\nservices: {{ api: {{ upstream: 'http://api.example.com:{port}', \
         allow_plaintext: true, resolve: 127.0.0.1, auth: {{ type: bearer, token: t0ken }} }} }}\n"
    ))
    .start()
    .await;
    for host in ["127.0.0.1", "127.9.9.9", "localhost"] {
        let (status, _) = connect(&sidekey, &format!("{host}:{port}")).await;
        assert_eq!(status, 403, "{host}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn request_to_host_in_any_spelling_is_routed() {
    let upstream = MockUpstream::plain().await;
    let port = upstream.address().port();
    let sidekey = Sidekey::configured(&format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nservices: {{ api: {{ upstream: 'http://127.0.0.1:{port}', \
         hosts: [api.internal, bücher.example, '::ffff:192.0.2.1'], auth: {{ type: bearer, token: t0ken }} }} }}\n"
    ))
    .start()
    .await;
    for (target, host) in [
        ("/x", "api.internal.".to_owned()),
        ("/x", "API.Internal.:080".to_owned()),
        ("/x", "bücher.example.".to_owned()),
        ("/x", "XN--BCHER-KVA.example".to_owned()),
        ("/x", "192.0.2.1:80".to_owned()),
        ("/x", "[::ffff:c000:201]".to_owned()),
        ("http://api.internal./x", "api.internal".to_owned()),
        (&format!("http://127.0.0.1.:{port}/x"), format!("127.0.0.1:{port}")),
        (&format!("http://[::ffff:127.0.0.1]:{port}/x"), format!("2130706433:0{port}")),
    ] {
        let mut wire = Wire::to(&sidekey).await;
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        let answer = wire.rest().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target} {host}: {answer}");
        let seen = upstream.last_request();
        assert_eq!((seen.target.as_str(), seen.header("authorization")), ("/x", Some("Bearer t0ken")));
    }
    let count = upstream.request_count();
    for host in ["api.internal..", ".api.internal", "api.internal:x", "[::ffff:192.0.2.1%25lo]"] {
        let mut wire = Wire::to(&sidekey).await;
        wire.send(format!("GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert!(wire.rest().await.starts_with("HTTP/1.1 403 "), "{host}");
    }
    assert_eq!(upstream.request_count(), count);
}
