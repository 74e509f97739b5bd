//! Self-signed certificates, as `openssl req -x509` makes them, that are named in `ca_file` or
//! `client_ca_file`.

use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;

use crate::harness::{MockUpstream, Pki, Sidekey, TIMEOUT, assert_eventually, run, tool};

/// A certificate and its key, in files.
struct SelfSigned(TempDir);

impl SelfSigned {
    /// What `openssl req -x509` makes with these further arguments.
    fn new(more: &[&str]) -> Self {
        let dir = TempDir::with_prefix("sidekey-self-signed-").unwrap();
        let mut command = Command::new(tool("openssl"));
        command
            .current_dir(dir.path())
            .args(["req", "-x509", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"]);
        if !more.contains(&"-newkey") {
            command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        }
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(dir)
    }

    /// One of X.509 version 1, which has no extensions.
    fn version_1(name: &str, key: &[&str]) -> Self {
        let dir = TempDir::with_prefix("sidekey-self-signed-").unwrap();
        let subject = format!("/CN={name}");
        let request =
            [&["req", "-new", "-nodes", "-keyout", "key.pem", "-out", "request.pem", "-subj", &subject], key]
                .concat();
        let sign = ["x509", "-req", "-in", "request.pem", "-signkey", "key.pem", "-out", "cert.pem"];
        for arguments in [&request[..], &sign] {
            let output =
                Command::new(tool("openssl")).current_dir(dir.path()).args(arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Self(dir)
    }

    /// One that was valid in 2001 only.
    fn expired(name: &str) -> Self {
        let dir = TempDir::with_prefix("sidekey-self-signed-").unwrap();
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(dir.path().join("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn pem(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn server(&self) -> Arc<ServerConfig> {
        self.server_of(rustls::ALL_VERSIONS)
    }

    fn server_of(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_file(self.path("cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // rustls' own way does not know certificates of version 1.
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shown = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
        let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        Arc::new(config.with_no_client_auth().with_cert_resolver(Arc::new(shown)))
    }
}

const LOCALHOST: &[&str] = &["-subj", "/CN=server", "-addext", "subjectAltName=DNS:localhost"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [LOCALHOST, more].concat()
}

async fn status(upstream: &MockUpstream, ca_file: &str) -> (u16, Sidekey) {
    let url = format!("https://localhost:{}", upstream.address().port());
    let service = format!(
        "api: {{ upstream: '{url}', auth: {{ type: bearer, token: t }}, tls: {{ ca_file: '{ca_file}' }} }}"
    );
    let sidekey = Sidekey::serving(&service).start().await;
    (sidekey.get("/api/x").await.status, sidekey)
}

#[tokio::test]
async fn self_signed_certificate_in_ca_file_is_trusted() {
    for more in [
        with(&[]),
        with(&["-addext", "basicConstraints=critical,CA:FALSE"]),
        with(&["-addext", "keyUsage=digitalSignature"]),
        with(&["-addext", "basicConstraints=CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"]),
        with(&["-newkey", "rsa:2048"]),
        with(&["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss"]),
        // Without alternative names, the common name counts.
        vec!["-subj", "/CN=localhost"],
    ] {
        let own = SelfSigned::new(&more);
        let upstream = MockUpstream::tls_with(own.server()).await;
        assert_eq!(status(&upstream, &own.path("cert.pem")).await.0, 200, "{more:?}");
    }
}

#[tokio::test]
async fn self_signed_certificate_of_version_1_is_trusted() {
    for key in [&["-newkey", "rsa:2048"][..], &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]] {
        let own = SelfSigned::version_1("localhost", key);
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let upstream = MockUpstream::tls_with(own.server_of(&[version])).await;
            let (code, sidekey) = status(&upstream, &own.path("cert.pem")).await;
            assert_eq!(code, 200, "{key:?} {version:?} {}", sidekey.log());
        }
    }
    // Another key, and another name.
    let own = SelfSigned::version_1("localhost", &["-newkey", "rsa:2048"]);
    let ca_file = own.path("ca.pem");
    std::fs::copy(own.path("cert.pem"), &ca_file).unwrap();
    let other = SelfSigned::version_1("localhost", &["-newkey", "rsa:2048"]);
    std::fs::copy(other.path("key.pem"), own.path("key.pem")).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let upstream = MockUpstream::tls_with(own.server_of(&[version])).await;
        assert_eq!(status(&upstream, &ca_file).await.0, 502, "{version:?}");
        assert_eq!(upstream.request_count(), 0);
    }
    let elsewhere = SelfSigned::version_1("elsewhere.example", &["-newkey", "rsa:2048"]);
    let upstream = MockUpstream::tls_with(elsewhere.server()).await;
    let (code, sidekey) = status(&upstream, &elsewhere.path("cert.pem")).await;
    assert_eq!(code, 502);
    assert!(sidekey.log().contains("for another name"), "{}", sidekey.log());
}

#[tokio::test]
async fn self_signed_certificate_must_be_the_very_one_and_valid() {
    let own = SelfSigned::new(&with(&[]));
    let upstream = MockUpstream::tls_with(own.server()).await;
    let (code, sidekey) = status(&upstream, &SelfSigned::new(&with(&[])).path("cert.pem")).await;
    assert_eq!(code, 502);
    assert!(sidekey.log().contains("tls.ca_file"), "{}", sidekey.log());

    let elsewhere =
        SelfSigned::new(&["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:elsewhere.example"]);
    let upstream = MockUpstream::tls_with(elsewhere.server()).await;
    let (code, sidekey) = status(&upstream, &elsewhere.path("cert.pem")).await;
    assert_eq!(code, 502);
    assert!(sidekey.log().contains("for another name"), "{}", sidekey.log());

    let expired = SelfSigned::expired("localhost");
    let upstream = MockUpstream::tls_with(expired.server()).await;
    let (code, sidekey) = status(&upstream, &expired.path("cert.pem")).await;
    assert_eq!(code, 502);
    assert!(
        sidekey.log().contains("certificate expired: it was valid until 2002-01-01T00:00:00Z"),
        "{}",
        sidekey.log()
    );
}

#[tokio::test]
async fn key_of_self_signed_certificate_signs_no_other() {
    let own = SelfSigned::new(&with(&["-addext", "basicConstraints=critical,CA:FALSE"]));
    let key = rcgen::KeyPair::from_pem(&own.pem("key.pem")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&own.pem("cert.pem"), key).unwrap();
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    std::fs::write(own.path("key.pem"), leaf_key.serialize_pem()).unwrap();
    let ca_file = own.path("ca.pem");
    std::fs::rename(own.path("cert.pem"), &ca_file).unwrap();
    std::fs::write(own.path("cert.pem"), leaf.pem()).unwrap();
    let upstream = MockUpstream::tls_with(own.server()).await;
    assert_eq!(status(&upstream, &ca_file).await.0, 502);
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn self_signed_token_endpoint_in_ca_file_is_trusted() {
    let own = SelfSigned::new(&with(&[]));
    let server = MockUpstream::tls_with(own.server()).await;
    server.respond_with(|_| {
        let token = serde_json::json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 3600 });
        crate::harness::MockResponse::json(&token)
    });
    let upstream = MockUpstream::plain().await;
    let service = format!(
        "api: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: client_credentials, client_id: me, client_secret: s, \
         token_url: 'https://localhost:{}/token', tls: {{ ca_file: '{}' }} }} }}",
        upstream.url(),
        server.address().port(),
        own.path("cert.pem")
    );
    let sidekey = Sidekey::serving(&service).start_ready().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
}

#[tokio::test]
async fn expired_token_endpoint_is_logged_with_dates() {
    let pki = Pki::new();
    let server = MockUpstream::tls_with(pki.expired_server(&["localhost"])).await;
    let service = format!(
        "api: {{ upstream: 'http://127.0.0.1:9', auth: {{ type: oauth2, grant_type: client_credentials, client_id: me, \
         client_secret: s, token_url: 'https://localhost:{}/token', tls: {{ ca_file: '{}' }} }} }}",
        server.address().port(),
        pki.ca_file()
    );
    let sidekey = Sidekey::serving(&service).start().await;
    let dated = "certificate expired: it was valid until 2002-01-01T00:00:00Z";
    assert_eventually(TIMEOUT, "the date is logged", async || sidekey.log().contains(dated)).await;
    assert_eq!(server.request_count(), 0);
}

#[tokio::test]
async fn self_signed_caller_in_client_ca_file_is_accepted() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let files = pki.server_files(&["localhost"]);
    let ca = pki.ca_file();
    let new = |more: &[&str]| SelfSigned::new(&[&["-subj", "/CN=app"], more].concat());
    for (app, accepted) in [
        (new(&[]), true),
        (new(&["-addext", "basicConstraints=critical,CA:FALSE"]), true),
        (new(&["-addext", "extendedKeyUsage=clientAuth"]), true),
        (new(&["-addext", "extendedKeyUsage=serverAuth"]), false),
        (SelfSigned::version_1("app", &["-newkey", "rsa:2048"]), true),
        (SelfSigned::expired("app"), false),
    ] {
        let config = format!(
            "listen: {{ address: 127.0.0.1:0, tls: {{ cert_file: '{}', key_file: '{}', client_ca_file: '{}' }} }}
admin: 127.0.0.1:0
services: {{ api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }} }}
",
            files.certificate.display(),
            files.key.display(),
            app.path("cert.pem"),
            upstream.url()
        );
        let sidekey = Sidekey::configured(&config).start().await;
        let url = format!("https://localhost:{}/api/x", sidekey.address().port());
        let call = async |identity: &SelfSigned| {
            let mut command = Command::new(tool("curl"));
            command.args(["--silent", "--noproxy", "*", "--max-time", "20", "--cacert", &ca]);
            command.args(["--cert", &identity.path("cert.pem"), "--key", &identity.path("key.pem"), &url]);
            run(command, b"").await.status.success()
        };
        assert_eq!(call(&app).await, accepted, "{}", app.pem("cert.pem"));
        assert!(!call(&new(&[])).await, "another certificate of the same name");
    }
}

#[tokio::test]
async fn check_names_keys_that_cannot_be_verified() {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("sidekey.yaml");
    for (key, named) in [
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"][..], "a P-521 key"),
        (&["-newkey", "rsa-pss"], "an RSA key for RSASSA-PSS alone"),
    ] {
        let own = SelfSigned::new(&with(key));
        let text = format!(
            "services: {{ api: {{ upstream: 'https://localhost', auth: {{ type: bearer, token: t }}, \
             tls: {{ ca_file: '{}' }} }} }}",
            own.path("cert.pem")
        );
        std::fs::write(&config, text).unwrap();
        let check = Sidekey::command(&["check", "--config", config.to_str().unwrap()], &[]).await;
        assert!(check.status.success());
        let printed = String::from_utf8_lossy(&check.stderr).into_owned();
        assert!(printed.contains(&format!("has {named}, whose signatures cannot be verified")), "{printed}");
    }
}
