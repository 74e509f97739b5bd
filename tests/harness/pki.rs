//! A certificate authority for one test: newly generated, and trusted only by clients that are given its
//! file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Datelike as _, Days, Utc};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

/// A CA with its certificate in a file for `tls: { ca_file: … }`.
pub struct Pki {
    dir: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

/// A server's certificate and key, in PEM files.
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Pki {
    pub fn new() -> Self {
        Self::named("Sidekey test CA")
    }

    /// A CA with this name. Two CAs of the same name have different keys.
    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = TempDir::with_prefix("sidekey-pki-").unwrap();
        std::fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
        Self { dir, ca }
    }

    /// The path of the CA's certificate.
    pub fn ca_file(&self) -> String {
        self.dir.path().join("ca.pem").to_str().unwrap().to_owned()
    }

    pub fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    /// A server configuration for these names and addresses.
    pub fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.server_with(names, |_| ())
    }

    /// A server configuration with an expired certificate.
    pub fn expired_server(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.server_with(names, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        })
    }

    /// A server configuration with a certificate that ends after this number of days.
    pub fn server_ending_in(&self, names: &[&str], days: u64) -> Arc<ServerConfig> {
        let end = DateTime::<Utc>::from(SystemTime::now()) + Days::new(days);
        self.server_with(names, |params| {
            params.not_after =
                date_time_ymd(end.year(), end.month().try_into().unwrap(), end.day().try_into().unwrap());
        })
    }

    /// A server's certificate and key in files, for external servers.
    pub fn server_files(&self, names: &[&str]) -> CertificateFiles {
        let (certificate, key) = self.issue(names, |_| ());
        let stem = self.dir.path().join(format!("server-{:x}", fastrand::u64(..)));
        let files =
            CertificateFiles { certificate: stem.with_extension("pem"), key: stem.with_extension("key") };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// A client certificate and its key, in PEM.
    pub fn client_pem(&self, name: &str) -> (String, String) {
        let (certificate, key) = self.issue(&[name], |_| ());
        (certificate.pem(), key.serialize_pem())
    }

    /// A client certificate with these URIs and DNS names as alternative names, and its key, in PEM.
    pub fn caller_pem(&self, uris: &[&str], dns: &[&str]) -> (String, String) {
        let (certificate, key) = self.issue(dns, |params| {
            let uri = |uri: &&str| rcgen::SanType::URI((*uri).try_into().unwrap());
            params.subject_alt_names.extend(uris.iter().map(uri));
        });
        (certificate.pem(), key.serialize_pem())
    }

    /// A server configuration that accepts only clients with a certificate of `clients`.
    pub fn server_for(&self, names: &[&str], clients: &Self) -> Arc<ServerConfig> {
        self.server_for_any(names, &[clients])
    }

    /// A server configuration that accepts only clients with a certificate of one of these CAs.
    pub fn server_for_any(&self, names: &[&str], clients: &[&Self]) -> Arc<ServerConfig> {
        let (certificate, key) = self.issue(names, |_| ());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        for clients in clients {
            roots.add(clients.ca.der().clone()).unwrap();
        }
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }

    /// A server configuration with TLS 1.2 as the newest version.
    pub fn tls12_server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let (certificate, key) = self.issue(names, |_| ());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }

    fn server_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let (certificate, key) = self.issue(names, change);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }

    fn issue(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.ca).unwrap(), key)
    }
}
