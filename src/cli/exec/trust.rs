//! The certificates that a command trusts: those that it would trust without Sidekey, and the CA of interception.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::folder::PrivateFolder;
use super::tables::{ADDING_CA_FILES, REPLACING_CA_FILES};
use super::trust_store;
use crate::secret::read_file;
use crate::tls::certificate_pem::pem;

/// Largest file with certificates, in bytes.
pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The files with certificates.
pub(super) struct TrustFiles {
    /// PEM: the CA, and what the command would add to the machine's CAs by itself.
    pub(super) added: PathBuf,
    /// PEM: everything, for what replaces the machine's CAs.
    pub(super) bundle: PathBuf,
    /// The same as a trust store of Java.
    pub(super) trust_store: PathBuf,
    /// A folder with settings of PHP.
    pub(super) php: PathBuf,
}

impl TrustFiles {
    /// Writes them. `of_parent` returns a variable of the environment that this process has.
    pub(super) fn write<'v>(
        folder: &PrivateFolder,
        ca: &CertificateDer<'static>,
        of_parent: impl Fn(&str) -> Option<&'v OsStr>,
    ) -> io::Result<Self> {
        let read = |names: &[&str]| -> Vec<_> {
            let files = names.iter().filter_map(|name| of_parent(name)).map(Path::new);
            files.flat_map(certificates_in).collect()
        };
        let mut added = vec![ca.clone()];
        added.extend(read(ADDING_CA_FILES));
        let mut all = added.clone();
        all.extend(read(REPLACING_CA_FILES));
        // Errors are about single files; what can be read counts.
        all.extend(rustls_native_certs::load_native_certs().certs);
        remove_duplicates(&mut added);
        remove_duplicates(&mut all);
        let bundle = folder.write("ca-bundle.pem", pem(&all).as_bytes())?;
        let settings = format!("openssl.cafile=\"{0}\"\ncurl.cainfo=\"{0}\"\n", bundle.display());
        let php = folder.write("php/sidekey.ini", settings.as_bytes())?;
        Ok(Self {
            added: folder.write("ca.pem", pem(&added).as_bytes())?,
            trust_store: folder.write("ca-bundle.p12", &trust_store::of(&all))?,
            php: php.parent().expect("a file in a folder").to_owned(),
            bundle,
        })
    }
}

/// The first certificate of a PEM file.
pub(super) fn first_certificate(pem: &[u8]) -> Option<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).next()?.ok()
}

/// The certificates of a file; nothing else of it.
fn certificates_in(path: &Path) -> Vec<CertificateDer<'static>> {
    let content = read_file(path, MAX_BYTES).unwrap_or_default();
    CertificateDer::pem_slice_iter(&content).filter_map(Result::ok).collect()
}

fn remove_duplicates(certificates: &mut Vec<CertificateDer<'static>>) {
    let mut seen = std::collections::HashSet::new();
    certificates.retain(|certificate| seen.insert(certificate.clone()));
}
