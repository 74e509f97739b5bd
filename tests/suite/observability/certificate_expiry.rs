//! The expiry metric of the certificates that Sidekey presents to others.

use std::fs::read_to_string;

use crate::harness::{MockUpstream, Pki, Sidekey, assert_eventually};
use std::time::Duration;

const METRIC: &str = "sidekey_certificate_expiry_timestamp_seconds";

/// Expiry of rcgen's certificates: 4096-01-01.
const END: f64 = 67_090_118_400.0;

#[tokio::test]
async fn certificate_expiry_metric_follows_the_configuration() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let files = pki.server_files(&["localhost"]);
    let (client, client_key) = pki.client_pem("me");
    let config = |listener: &str, services: &str| {
        format!(
            "listen: {listener}
admin: 127.0.0.1:0
log: {{ level: debug, format: json }}
services:
  plain: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }}
{services}",
            upstream.url()
        )
    };
    let tls_listener = "{ address: 127.0.0.1:0, tls: { cert_file: $DIR/cert.pem, key_file: $DIR/key.pem } }";
    let services = "
  mutual:
    upstream: https://127.0.0.1:1
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://127.0.0.1:1/token
      client_id: me
      auth_method: tls_client_auth
      tls: { cert_file: $DIR/token.pem, key_file: $DIR/client.key }
    tls: { ca_file: $DIR/ca.pem, cert_file: $DIR/client.pem, key_file: $DIR/client.key }
";
    let sidekey = Sidekey::configured(&config(tls_listener, services))
        .file("ca.pem", &pki.ca_pem())
        .file("cert.pem", &read_to_string(files.certificate).unwrap())
        .file("key.pem", &read_to_string(files.key).unwrap())
        .file("client.pem", &client)
        .file("token.pem", &client)
        .file("client.key", &client_key)
        .start()
        .await;
    let known = async |names: &[&str]| {
        let mut paths: Vec<_> = names.iter().map(|name| sidekey.dir().join(name)).collect();
        paths.sort();
        let expected: Vec<_> =
            paths.iter().map(|path| format!("{METRIC}{{file=\"{}\"}} {END}", path.display())).collect();
        let what = format!("the series are those of {names:?}");
        assert_eventually(Duration::from_secs(20), &what, async || {
            let text = sidekey.metrics().await;
            let mut found: Vec<_> =
                text.lines().filter(|line| line.starts_with(&format!("{METRIC}{{"))).collect();
            found.sort_unstable();
            found == expected
        })
        .await;
    };
    known(&["cert.pem", "client.pem", "token.pem"]).await;
    sidekey.reconfigure(&config(tls_listener, ""));
    assert!(sidekey.reload().await);
    known(&["cert.pem"]).await;
    sidekey.reconfigure(&config("127.0.0.1:0", services));
    assert!(sidekey.reload().await);
    known(&["client.pem", "token.pem"]).await;
}
