//! Shared set-up of the ingress tests: every kind of ingress at once, with curl's options for each, and
//! interception.

use std::fs::read_to_string;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{MockUpstream, Pki, Sidekey, SidekeyBuilder, TIMEOUT};
use crate::suite::http::setup::Wire;

/// One kind of ingress, with curl's options for it.
pub struct Ingress {
    pub name: &'static str,
    /// The URL prefix of the upstream's paths.
    pub base: String,
    /// Lines of curl's configuration.
    pub options: Vec<String>,
    pub http2: bool,
    /// The prefix of the upstream's paths in a rewritten `Location`; `None` if `Location` is not rewritten.
    pub location: Option<&'static str>,
}

/// A Sidekey with a service `api` (upstream `https://localhost:PORT`, bearer token `t0ken`) and every kind of
/// ingress.
pub async fn started(pki: &Pki, upstream: &str, protocol: &str) -> Sidekey {
    started_with(pki, "localhost", upstream, &format!("protocol: {protocol}")).await
}

/// Like [`started`], for an upstream on another host, with further keys of the service.
pub async fn started_with(pki: &Pki, host: &str, upstream: &str, more: &str) -> Sidekey {
    started_as(pki, host, upstream, more, "{ type: bearer, token: t0ken }").await
}

/// Like [`started_with`], with this credential.
pub async fn started_as(pki: &Pki, host: &str, upstream: &str, more: &str, auth: &str) -> Sidekey {
    let (cert, key) = ca_for(host).await;
    let files = pki.server_files(&["localhost"]);
    let config = format!(
        "listen:
- 127.0.0.1:0
- {{ address: 127.0.0.1:0, tls: {{ cert_file: $DIR/cert.pem, key_file: $DIR/key.pem }} }}
- unix:$DIR/shared.sock
admin: 127.0.0.1:0
log: {{ level: debug, format: json }}
access_log: true
intercept: {{ ca_cert_file: $DIR/ca.crt, ca_key_file: $DIR/ca.key }}
services:
  api:
    upstream: '{upstream}'
    {more}
    hosts: [api.internal]
    listen: [127.0.0.1:0, 'unix:$DIR/own.sock']
    tls: {{ ca_file: '{}' }}
    auth: {auth}
",
        pki.ca_file()
    );
    Sidekey::configured(&config)
        .file("ca.crt", &cert)
        .file("ca.key", &key)
        .file("cert.pem", &read_to_string(files.certificate).unwrap())
        .file("key.pem", &read_to_string(files.key).unwrap())
        .start()
        .await
}

/// The URL of the listener with TLS.
pub fn tls_url(sidekey: &Sidekey) -> String {
    format!("https://localhost:{}", sidekey.shared_addresses()[1].rsplit(':').next().unwrap())
}

/// Every kind of ingress.
pub fn ingresses(pki: &Pki, sidekey: &Sidekey, upstream: &str) -> Vec<Ingress> {
    let option = |name: &str, value: &str| format!("{name} = \"{value}\"");
    let file = |name: &str| sidekey.dir().join(name).to_str().unwrap().to_owned();
    let (shared, own) = (sidekey.url(""), sidekey.service_url("api", ""));
    let over_tls = format!("{}/api", tls_url(sidekey));
    let (prior, h1, h2) = ("http2-prior-knowledge", "http1.1", "http2");
    let proxy = option("proxy", &shared);
    let (trust, trust_ca) = (option("cacert", &pki.ca_file()), option("cacert", &file("ca.crt")));
    let host = option("header", "Host: api.internal");
    let in_clear = upstream.replacen("https:", "http:", 1);
    let ingress = |name, base: &str, options: &[&str], location| Ingress {
        name,
        base: base.to_owned(),
        options: options.iter().map(|&line| line.to_owned()).collect(),
        // Without TLS, curl's `http2` offers an upgrade to h2c, which Sidekey ignores.
        http2: options.contains(&prior) || options.contains(&h2) && base.starts_with("https:"),
        location,
    };
    let prefix = format!("{shared}/api");
    let (by_shared, by_own) =
        (option("unix-socket", &file("shared.sock")), option("unix-socket", &file("own.sock")));
    vec![
        ingress("path prefix", &prefix, &[h1], Some("/api")),
        ingress("path prefix by h2c", &prefix, &[prior], Some("/api")),
        ingress("path prefix, offering h2c", &prefix, &[h2], Some("/api")),
        ingress("Host", &shared, &[h1, &host], Some("")),
        ingress("own port", &own, &[h1], Some("")),
        ingress("own port by h2c", &own, &[prior], Some("")),
        ingress("Unix socket", "http://localhost/api", &[h1, &by_shared], Some("/api")),
        ingress("own Unix socket", "http://localhost", &[h1, &by_own], Some("")),
        ingress("HTTP_PROXY", &in_clear, &[h1, &proxy], Some("")),
        ingress("CONNECT", upstream, &[h1, &proxy, &trust_ca], None),
        ingress("CONNECT, HTTP/2 inside", upstream, &[h2, &proxy, &trust_ca], None),
        ingress("CONNECT, not TLS inside", &in_clear, &[h1, &proxy, "proxytunnel"], Some("")),
        ingress("TLS", &over_tls, &[h1, &trust], Some("/api")),
        ingress("TLS, HTTP/2", &over_tls, &[h2, &trust], Some("/api")),
    ]
}

/// Certificate and key of a CA made by `sidekey ca init` for a service at `host`.
pub async fn ca_for(host: &str) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.yaml");
    std::fs::write(&config, format!("services: {{ api: {{ upstream: 'https://{host}' }} }}")).unwrap();
    let out = dir.path().to_str().unwrap();
    let made =
        Sidekey::command(&["ca", "init", "--config", config.to_str().unwrap(), "--out", out], &[]).await;
    assert!(made.status.success(), "{made:?}");
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    (read("sidekey-ca.crt"), read("sidekey-ca.key"))
}

/// A Sidekey with `intercept` and a service `api` at `https://localhost:PORT/base`; and the certificate of
/// its CA.
pub async fn intercepting(upstream: &MockUpstream, pki: &Pki, more: &str) -> (SidekeyBuilder, String) {
    let (cert, key) = ca_for("localhost").await;
    let config = format!(
        "listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: {{ level: trace, format: json }}
access_log: true
intercept: {{ ca_cert_file: $DIR/ca.crt, ca_key_file: $DIR/ca.key }}
{more}
services:
  api:
    upstream: https://localhost:{}/base
    hosts: [api.internal]
    tls: {{ ca_file: '{}' }}
    auth: {{ type: bearer, token: t0ken }}
",
        upstream.address().port(),
        pki.ca_file(),
    );
    (Sidekey::configured(&config).file("ca.crt", &cert).file("ca.key", &key), cert)
}

/// Sends a CONNECT; returns the status and the connection after the response head.
pub async fn connect(sidekey: &Sidekey, authority: &str) -> (u16, Wire) {
    let mut wire = Wire::to(sidekey).await;
    wire.send(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n")).await;
    let head = wire.until("\r\n\r\n").await;
    (head.split(' ').nth(1).unwrap().parse().unwrap(), wire)
}

/// The TLS handshake of a caller that trusts `ca` and asks for `name`.
pub async fn handshake(wire: Wire, ca: &str, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    handshake_offering(&[], wire, ca, name).await
}

/// Like [`handshake`], with these protocols offered by ALPN.
pub async fn handshake_offering(
    alpn: &[&[u8]],
    wire: Wire,
    ca: &str,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, wire.into_stream());
    tokio::time::timeout(TIMEOUT, connecting).await.expect("a handshake in time")
}

/// One request inside the TLS connection; reads until its end.
pub async fn ask(stream: &mut TlsStream<TcpStream>, target: &str, host: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut answer)).await.expect("an answer").unwrap();
    String::from_utf8(answer).unwrap()
}

/// An address of this machine other than loopback.
pub fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Sends nothing.
    socket.connect("198.51.100.1:9").expect("a network interface");
    socket.local_addr().unwrap().ip()
}
