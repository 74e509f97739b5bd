//! Reads, parses and checks the files of a `tls`, both when the configuration is read and when a file has
//! changed while the program runs.
//!
//! No message quotes a file, because it may contain a key.

use std::hash::{Hash, Hasher};
use std::path::Path;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::key_kind::{SUPPORTED_KEYS, unsupported_key};
use super::model::Tls;
use super::trust::TrustedCertificates;
use crate::config::reader::report::display_path;
use crate::secret::read_pem_file;

/// Largest file, in bytes: ten times the CA bundle of an operating system.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The content of the files of a `tls`.
pub struct TlsFiles {
    ca: Option<Content>,
    client: Option<(Content, Content)>,
}

type Content = Zeroizing<Vec<u8>>;

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tls.{key}: the file{file}: {message}")]
pub struct UnusableFile {
    /// `ca_file`, `cert_file` or `key_file`.
    pub key: &'static str,
    /// A space and the path, if it may be shown.
    file: String,
    message: String,
}

impl UnusableFile {
    fn new(key: &'static str, path: &Path, message: impl Into<String>) -> Self {
        Self { key, file: display_path(path), message: message.into() }
    }

    /// The text without the key, for messages that name the key elsewhere.
    pub(crate) fn text(&self) -> String {
        format!("the file{}: {}", self.file, self.message)
    }
}

impl Hash for TlsFiles {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let client = self.client.as_ref().map(|(cert, key)| (&**cert, &**key));
        (self.ca.as_deref(), client).hash(state);
    }
}

impl TlsFiles {
    /// Reads the files that `tls` names.
    pub fn read(tls: &Tls) -> Result<Self, UnusableFile> {
        let ca = tls.ca_file.as_deref().map(|path| read("ca_file", path)).transpose()?;
        let client = match &tls.client {
            Some(client) => {
                Some((read("cert_file", &client.cert_file)?, read("key_file", &client.key_file)?))
            }
            None => None,
        };
        Ok(Self { ca, client })
    }

    /// The certificates of `ca_file`; `None` if the key is not set.
    pub fn trusted(&self, tls: &Tls) -> Result<Option<TrustedCertificates>, UnusableFile> {
        let (Some(pem), Some(path)) = (&self.ca, &tls.ca_file) else { return Ok(None) };
        let unusable = |message: String| UnusableFile::new("ca_file", path, message);
        let trusted = TrustedCertificates::new(&certificates(pem).map_err(unusable)?);
        trusted
            .map(Some)
            .map_err(|error| unusable(format!("certificate {} in the file cannot be parsed", error.number)))
    }

    /// What is wrong with certificates of `ca_file` that can be read, and of which no signature can be
    /// verified.
    pub(crate) fn unverifiable(&self) -> Vec<String> {
        let all = self.ca.as_ref().and_then(|pem| certificates(pem).ok()).unwrap_or_default();
        let warning = |(index, certificate)| {
            let kind = unsupported_key(certificate)?;
            Some(format!(
                "certificate {} in the file has {kind}, whose signatures cannot be verified; supported: {SUPPORTED_KEYS}",
                index + 1
            ))
        };
        all.iter().enumerate().filter_map(warning).collect()
    }

    /// The client certificate and its key; `None` if the keys are not set.
    pub fn client(&self, tls: &Tls, provider: &CryptoProvider) -> Result<Option<CertifiedKey>, UnusableFile> {
        let (Some((cert, key)), Some(paths)) = (&self.client, &tls.client) else { return Ok(None) };
        let chain = certificates(cert)
            .map_err(|message| UnusableFile::new("cert_file", &paths.cert_file, message))?;
        let unusable = |message: &str| UnusableFile::new("key_file", &paths.key_file, message);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| unusable(explain_key(key)))?;
        CertifiedKey::from_der(chain, key, provider).map(Some).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                unusable("the key does not match the first certificate in `cert_file`")
            }
            rustls::Error::InvalidCertificate(_) => {
                UnusableFile::new("cert_file", &paths.cert_file, "certificate 1 in the file cannot be parsed")
            }
            _ => unusable(&format!("unsupported kind of key; supported: {SUPPORTED_KEYS}")),
        })
    }
}

fn read(key: &'static str, path: &Path) -> Result<Content, UnusableFile> {
    read_pem_file(path, MAX_BYTES).map_err(|error| UnusableFile::new(key, path, error.to_string()))
}

/// Every certificate of a PEM text; at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut all = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        // The text of the library may quote the file.
        let number = all.len() + 1;
        all.push(certificate.map_err(|_| format!("certificate {number} in the file cannot be parsed"))?);
    }
    if all.is_empty() {
        return Err("no certificate found; expected PEM (`-----BEGIN CERTIFICATE-----`)".into());
    }
    Ok(all)
}

fn explain_key(pem: &[u8]) -> &'static str {
    if memchr::memmem::find(pem, b"ENCRYPTED").is_some() {
        "the key is encrypted with a passphrase, which is not supported; decrypt it (`openssl pkey -in KEY -out NEW`)"
    } else {
        "no private key found that can be parsed; expected PEM (`-----BEGIN PRIVATE KEY-----`)"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::PathBuf;

    use super::*;
    use crate::config::tls::model::ClientCertificate;

    fn with(ca: &str) -> Result<usize, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ca).unwrap();
        let tls = Tls { ca_file: Some(file.path().to_owned()), ..Tls::default() };
        let files = TlsFiles::read(&tls).map_err(|error| error.message)?;
        files.trusted(&tls).map(|trusted| trusted.unwrap().subjects().len()).map_err(|error| error.message)
    }

    #[test]
    fn ca_file_rejects_invalid_certificates() {
        let pem = || rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap().cert.pem();
        assert_eq!(with(&(pem() + &pem())), Ok(2));
        for broken in [
            "no PEM here".to_owned(),
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            format!("{}-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", pem()),
        ] {
            assert!(with(&broken).is_err(), "{broken}");
        }
        let missing = Tls { ca_file: Some("/nonexistent".into()), ..Tls::default() };
        assert!(TlsFiles::read(&missing).is_err());
    }

    fn client(cert: &str, key: &str) -> Result<(), &'static str> {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, content: &str| -> PathBuf {
            std::fs::write(dir.path().join(name), content).unwrap();
            dir.path().join(name)
        };
        let client = ClientCertificate { cert_file: put("c", cert), key_file: put("k", key) };
        let tls = Tls { client: Some(client), ..Tls::default() };
        let files = TlsFiles::read(&tls).unwrap();
        let provider = rustls::crypto::ring::default_provider();
        files.client(&tls, &provider).map(|found| assert!(found.is_some())).map_err(|error| error.key)
    }

    #[test]
    fn client_certificate_must_match_its_key() {
        let pair = || {
            let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
            (made.cert.pem(), made.signing_key.serialize_pem())
        };
        let ((cert, key), (other, _)) = (pair(), pair());
        assert_eq!(client(&cert, &key), Ok(()));
        let both = format!("{cert}{key}");
        assert_eq!(client(&both, &both), Ok(()), "both may stand in one file");
        assert_eq!(client(&other, &key), Err("key_file"));
        assert_eq!(client("", &key), Err("cert_file"));
        assert_eq!(client(&cert, &cert), Err("key_file"));
        assert_eq!(
            client("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key),
            Err("cert_file")
        );
    }
}
