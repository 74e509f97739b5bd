//! `tls` of a listener: the server certificate, and the CA of client certificates.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, ServerConfig};
use zeroize::Zeroizing;

use crate::config::exposure::Content;
use crate::config::reader::report::display_path;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::tls::key_kind::{SUPPORTED_KEYS, unsupported_key};
use crate::config::tls::trust::TrustedCertificates;
use crate::config::tls::verifiers::ClientVerifier;
use crate::config::watched_files::FileKind;
use crate::secret::read_pem_file;

/// The keys of `tls` of a listener.
pub(crate) const KEYS: Keys = &[
    Key::required("cert_file", Format::Text, "PEM file: the certificate, followed by the intermediate ones."),
    Key::required("key_file", Format::Text, "PEM file: its private key."),
    Key::optional(
        "client_ca_file",
        Format::Text,
        "PEM file: certificates of CAs, or of callers; a caller must show one of these CAs', or its own.",
    ),
];

/// Largest file, in bytes: ten times the CA bundle of an operating system.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The PEM files of a listener's TLS, read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListenerTlsConfig {
    /// The certificate and its intermediates.
    pub cert_file: PathBuf,
    /// Its private key (PKCS #8, PKCS #1 or SEC 1).
    pub key_file: PathBuf,
    /// If set, callers must present a certificate issued by one of these CAs, or one of these certificates.
    pub client_ca_file: Option<PathBuf>,
}

/// The content of the files at one point in time.
pub struct ListenerTlsFiles {
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

impl Hash for ListenerTlsFiles {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.cert, &*self.key, &self.client_ca).hash(state);
    }
}

impl ListenerTlsConfig {
    /// Reads the files; the error names the one that cannot be read.
    pub fn read(&self) -> Result<ListenerTlsFiles, String> {
        Ok(ListenerTlsFiles {
            cert: content(&self.cert_file)?.to_vec(),
            key: content(&self.key_file)?,
            client_ca: self.client_ca_file.as_deref().map(content).transpose()?.map(|pem| pem.to_vec()),
        })
    }

    /// Builds the TLS configuration of the server. The error names the file and nothing of its content.
    pub fn server(&self, files: &ListenerTlsFiles) -> Result<ServerConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = certificates(&self.cert_file, &files.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| {
            format!("the file{} contains no private key that can be parsed", display_path(&self.key_file))
        })?;
        let identity = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                format!(
                    "the key{} does not match the certificate{}",
                    display_path(&self.key_file),
                    display_path(&self.cert_file)
                )
            }
            _ => {
                format!(
                    "the certificate{} and the key{} cannot be used; supported keys: {SUPPORTED_KEYS}",
                    display_path(&self.cert_file),
                    display_path(&self.key_file)
                )
            }
        })?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match (&self.client_ca_file, &files.client_ca) {
            (Some(path), Some(pem)) => {
                let trusted = TrustedCertificates::new(&certificates(path, pem)?).map_err(|_| {
                    format!("the file{} contains a certificate that cannot be parsed", display_path(path))
                })?;
                builder.with_client_cert_verifier(Arc::new(ClientVerifier::new(trusted, &provider)))
            }
            _ => builder.with_no_client_auth(),
        };
        let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        if self.client_ca_file.is_some() {
            // A session that is resumed has the certificate of the first handshake, which is not verified again: a caller could go
            // on with one that has expired, or that it has replaced by one with other names.
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        }
        Ok(server)
    }
}

/// Reads a file; the error names it.
pub(crate) fn content(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    read_pem_file(path, MAX_BYTES).map_err(|error| format!("the file{}: {error}", display_path(path)))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!(
            "the file{} contains no certificate; expected PEM (`-----BEGIN CERTIFICATE-----`)",
            display_path(path)
        )),
        Err(_) => Err(format!("the file{} contains a certificate that cannot be parsed", display_path(path))),
    }
}

/// Reads a listener's `tls`. The files are read as well, so that an error in them is an error of the
/// configuration.
pub(crate) fn read(value: &Value<'_>) -> Option<ListenerTlsConfig> {
    let mut mapping = value.mapping()?;
    let cert = mapping.required("cert_file").and_then(|value| value.parse(path));
    let key = mapping.required("key_file").and_then(|value| value.parse(path));
    let has_client_ca = mapping.has("client_ca_file");
    let client_ca = mapping.optional("client_ca_file").and_then(|value| value.parse(path));
    mapping.reject_unknown_keys();
    if has_client_ca && client_ca.is_none() {
        return None;
    }
    let tls = ListenerTlsConfig { cert_file: cert?, key_file: key?, client_ca_file: client_ca };
    for file in [Some(&tls.cert_file), Some(&tls.key_file), tls.client_ca_file.as_ref()].into_iter().flatten()
    {
        value.watch(file, FileKind::Certificate);
        let is_key = *file == tls.key_file;
        value.warn_if_exposed(file, if is_key { Content::Secret } else { Content::Trusted });
    }
    if !value.reads_files() {
        return Some(tls);
    }
    let usable = tls.read().and_then(|files| tls.server(&files));
    usable.map_err(|message| value.error(message)).ok()?;
    if let Some(path) = &tls.client_ca_file
        && let Ok(all) = content(path).and_then(|pem| certificates(path, &pem))
    {
        for kind in all.iter().filter_map(unsupported_key) {
            value.warn(format!(
                "a certificate in the file{} has {kind}, whose signatures cannot be verified; supported: {SUPPORTED_KEYS}",
                display_path(path)
            ));
        }
    }
    Some(tls)
}

pub(crate) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        Err("not a valid path".into())
    } else {
        Ok(PathBuf::from(text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["proxy.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn server(cert: &str, key: &str, client_ca: Option<&str>) -> Result<(), String> {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let tls = ListenerTlsConfig {
            cert_file: write("cert.pem", cert),
            key_file: write("key.pem", key),
            client_ca_file: client_ca.map(|text| write("ca.pem", text)),
        };
        tls.read().and_then(|files| tls.server(&files)).map(|_| ())
    }

    #[test]
    fn listener_tls_accepts_matching_files_only() {
        let ((cert, key), (other, other_key)) = (pair(), pair());
        assert_eq!(server(&cert, &key, None), Ok(()));
        assert_eq!(server(&cert, &key, Some(&other)), Ok(()));
        let wrong = |cert: &str, key: &str, ca: Option<&str>| server(cert, key, ca).unwrap_err();
        assert!(wrong(&cert, &other_key, None).contains("does not match the certificate"));
        assert!(wrong(&key, &cert, None).contains("no certificate"));
        assert!(wrong(&cert, &cert, None).contains("no private key"));
        assert!(wrong(&cert, &key, Some("")).contains("no certificate"));
        let key_lines: Vec<_> = key.lines().skip(1).take(2).collect();
        for message in [wrong(&cert, &other_key, None), wrong(&key, &cert, None)] {
            assert!(key_lines.iter().all(|line| !message.contains(line)), "{message}");
        }
    }
}
