//! Every kind of ingress at once: one upstream behind one Sidekey, and curl's options for each.

use std::fs::read_to_string;

use super::connect::ca_for;
use crate::harness::{Pki, Sidekey};

/// One kind of ingress, with curl's options for it.
pub struct Way {
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
    let (cert, key) = ca_for(host).await;
    let files = pki.server_files(&["localhost"]);
    let config = format!(
        "listen:
- 127.0.0.1:0
- {{ address: 127.0.0.1:0, tls: {{ cert: $DIR/cert.pem, key: $DIR/key.pem }} }}
- unix:$DIR/shared.sock
admin: 127.0.0.1:0
log: {{ level: debug, format: json, access: true }}
intercept: {{ ca_cert: $DIR/ca.crt, ca_key: $DIR/ca.key }}
services:
  api:
    upstream: '{upstream}'
    {more}
    hosts: [api.internal]
    listen: [127.0.0.1:0, 'unix:$DIR/own.sock']
    tls: {{ ca_file: '{}' }}
    auth: {{ type: bearer, token: t0ken }}
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
pub fn ways(pki: &Pki, sidekey: &Sidekey, upstream: &str) -> Vec<Way> {
    let option = |name: &str, value: &str| format!("{name} = \"{value}\"");
    let file = |name: &str| sidekey.dir().join(name).to_str().unwrap().to_owned();
    let (shared, own) = (sidekey.url(""), sidekey.service_url("api", ""));
    let over_tls = format!("{}/api", tls_url(sidekey));
    let (prior, h1, h2) = ("http2-prior-knowledge", "http1.1", "http2");
    let proxy = option("proxy", &shared);
    let (trust, trust_ca) = (option("cacert", &pki.ca_file()), option("cacert", &file("ca.crt")));
    let host = option("header", "Host: api.internal");
    let in_clear = upstream.replacen("https:", "http:", 1);
    let way = |name, base: &str, options: &[&str], location| Way {
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
        way("path prefix", &prefix, &[h1], Some("/api")),
        way("path prefix by h2c", &prefix, &[prior], Some("/api")),
        way("path prefix, offering h2c", &prefix, &[h2], Some("/api")),
        way("Host", &shared, &[h1, &host], Some("")),
        way("own port", &own, &[h1], Some("")),
        way("own port by h2c", &own, &[prior], Some("")),
        way("Unix socket", "http://localhost/api", &[h1, &by_shared], Some("/api")),
        way("own Unix socket", "http://localhost", &[h1, &by_own], Some("")),
        way("HTTP_PROXY", &in_clear, &[h1, &proxy], Some("")),
        way("CONNECT", upstream, &[h1, &proxy, &trust_ca], None),
        way("CONNECT, HTTP/2 inside", upstream, &[h2, &proxy, &trust_ca], None),
        way("CONNECT, not TLS inside", &in_clear, &[h1, &proxy, "proxytunnel"], Some("")),
        way("TLS", &over_tls, &[h1, &trust], Some("/api")),
        way("TLS, HTTP/2", &over_tls, &[h2, &trust], Some("/api")),
    ]
}
