//! TLS listeners: certificates, client certificates, and their reload.

use std::fs::read_to_string;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Curl, MockUpstream, Pki, Sidekey, TIMEOUT, assert_eventually};
use crate::suite::http::setup::Wire;

/// A Sidekey whose listener has a certificate for `localhost`, in `$DIR/cert.pem` and `$DIR/key.pem`.
async fn behind_tls(pki: &Pki, upstream: &MockUpstream, more: &str) -> Sidekey {
    let files = pki.server_files(&["localhost"]);
    let config = format!(
        "listen: {{ address: 127.0.0.1:0, tls: {{ cert_file: $DIR/cert.pem, key_file: $DIR/key.pem{more} }} }}
admin: 127.0.0.1:0
reload: {{ interval: 20ms }}
log: {{ level: debug, format: json }}
services: {{ api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }} }}
",
        upstream.url()
    );
    let config = Sidekey::configured(&config).file("ca.pem", &pki.ca_pem());
    // The files must exist before the start.
    config
        .file("cert.pem", &read_to_string(files.certificate).unwrap())
        .file("key.pem", &read_to_string(files.key).unwrap())
        .start()
        .await
}

fn url(sidekey: &Sidekey) -> String {
    format!("https://localhost:{}/api/x", sidekey.address().port())
}

#[tokio::test]
async fn tls_listener_serves_curl_with_either_http_version() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let sidekey = behind_tls(&pki, &upstream, "").await;
    let ca = pki.ca_file();
    for (tls, http, line) in [
        ("--tlsv1.2", "--http1.1", "HTTP/1.1 200 "),
        ("--tlsv1.3", "--http1.1", "HTTP/1.1 200 "),
        ("--tlsv1.2", "--http2", "HTTP/2 200 "),
        ("--tlsv1.3", "--http2", "HTTP/2 200 "),
    ] {
        let answer = Curl::call(&[tls, http, "--include", "--cacert", &ca, &url(&sidekey)], b"").await;
        assert!(answer.text().starts_with(line) && answer.text().ends_with("\r\nok"), "{}", answer.text());
        assert_eq!(upstream.last_request().header("authorization"), Some("Bearer t0ken"));
    }
}

#[tokio::test]
async fn tls_listener_requires_configured_client_certificate() {
    let (pki, other, upstream) = (Pki::new(), Pki::new(), MockUpstream::plain().await);
    let sidekey = behind_tls(&pki, &upstream, ", client_ca_file: $DIR/ca.pem").await;
    let (own, foreign) = (pki.server_files(&["app"]), other.server_files(&["app"]));
    let call = async |identity: &[&str]| {
        let mut command = std::process::Command::new(crate::harness::tool("curl"));
        command.args(["--silent", "--noproxy", "*", "--max-time", "20", "--cacert", &pki.ca_file()]);
        crate::harness::run(
            {
                command.args(identity).arg(url(&sidekey));
                command
            },
            b"",
        )
        .await
    };
    let with = |files: &crate::harness::CertificateFiles| {
        ["--cert", files.certificate.to_str().unwrap(), "--key", files.key.to_str().unwrap()]
            .map(str::to_owned)
    };
    assert!(!call(&[]).await.status.success());
    assert!(!call(&with(&foreign).each_ref().map(String::as_str)).await.status.success());
    assert_eq!(upstream.connections(), 0);
    let answer = call(&with(&own).each_ref().map(String::as_str)).await;
    assert_eq!((answer.status.success(), &*answer.stdout), (true, &b"ok"[..]));
}

#[tokio::test]
async fn tls_listener_closes_plain_http_without_reset() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let sidekey = behind_tls(&pki, &upstream, "").await;
    let mut wire = Wire::to(&sidekey).await;
    wire.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut stream = wire.into_stream();
    let mut answer = Vec::new();
    // A reset would be an error here.
    tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut answer)).await.expect("it closes").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn tls_listener_limits_the_handshake_time() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let sidekey = behind_tls(&pki, &upstream, "").await;
    let mut stream = TcpStream::connect(sidekey.address()).await.unwrap();
    stream.write_all(&[0x16]).await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer));
    assert!(closed.await.expect("the handshake has a timeout").is_ok());
}

#[tokio::test]
async fn tls_listener_reloads_valid_certificate_only() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let sidekey = behind_tls(&pki, &upstream, "").await;
    let (next, ca) = (Pki::new(), pki.ca_file());

    sidekey.write("key.pem", "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n");
    let broken = || {
        let events = sidekey.events();
        events.into_iter().find(|event| event.to_string().contains("certificate reload rejected"))
    };
    assert_eventually(TIMEOUT, "the broken key is named", async || broken().is_some()).await;
    assert_eq!(broken().unwrap()["level"], "ERROR");
    assert!(broken().unwrap().to_string().contains("key.pem"));
    assert!(!sidekey.log().contains("CANARY"));
    assert_eq!(Curl::call(&["--http1.1", "--cacert", &ca, &url(&sidekey)], b"").await.status, 200);

    let files = next.server_files(&["localhost"]);
    sidekey.write("cert.pem", &read_to_string(files.certificate).unwrap());
    sidekey.write("key.pem", &read_to_string(files.key).unwrap());
    sidekey.logged("new certificate files are in use from the next connection on").await;
    let answer = Curl::call(&["--http1.1", "--cacert", &next.ca_file(), &url(&sidekey)], b"").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn tls_listener_of_a_single_service_works() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let files = pki.server_files(&["localhost"]);
    let services = format!(
        "api:
  upstream: '{}'
  auth: {{ type: bearer, token: t0ken }}
  listen: [{{ address: 127.0.0.1:0, tls: {{ cert_file: '{}', key_file: '{}' }} }}]
",
        upstream.url(),
        files.certificate.display(),
        files.key.display()
    );
    let sidekey = Sidekey::serving(&services).start().await;
    let port = sidekey.service_url("api", "").rsplit(':').next().unwrap().to_owned();
    let url = format!("https://localhost:{port}/v1");
    let answer = Curl::call(&["--http1.1", "--cacert", &pki.ca_file(), &url], b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.only_request().target, "/v1");
}
