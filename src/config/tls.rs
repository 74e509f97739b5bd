//! `tls`: how the other side is verified.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

use super::item::Item;
use super::secret::{named, plain};
use super::{FileKind, Host, Tls, host};

/// The CA bundles of whole operating systems are a tenth of this.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Reads the `tls` that goes with a URL: `https` or not, or `None` where the URL has a mistake of its own.
pub(super) fn read(item: &Item<'_>, https: Option<bool>) -> Tls {
    if https == Some(false) {
        item.mistake("there is no TLS to an `http://` URL; use `https://`, or leave `tls` out");
    }
    let Some(mut table) = item.table() else { return Tls::default() };
    table.planned(&["cert_file", "key_file", "min_version", "danger_skip_verify"]);
    let mut content = 0;
    let ca_file = table.optional("ca_file").and_then(|item| {
        content = item.watch(Path::new(item.text()?), FileKind::Certificates);
        item.parse(ca_file)
    });
    let server_name = table.optional("server_name").and_then(|item| item.parse(server_name));
    table.finish();
    Tls { ca_file, server_name, content }
}

fn ca_file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("not a path".into());
    }
    let path = PathBuf::from(text);
    let shown = named(&path);
    match certificates(&path) {
        Ok(0) => Err(format!(
            "the file{shown} has no certificate in it; it takes PEM (`-----BEGIN CERTIFICATE-----`)"
        )),
        Ok(_) => Ok(path),
        Err(message) => Err(format!("the file{shown}: {message}")),
    }
}

/// How many certificates the file has; one that cannot be used as a root is an error.
fn certificates(path: &Path) -> Result<usize, String> {
    let mut pem = Vec::new();
    let file = File::open(path).map_err(|error| plain(&error))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut pem).map_err(|error| plain(&error))?;
    if pem.len() as u64 > MAX_BYTES {
        return Err("larger than 4 MiB".into());
    }
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        // The library's own words may quote the file, which may hold a key.
        let wrong = || format!("certificate {} in it cannot be parsed", index + 1);
        let certificate = certificate.map_err(|_| wrong())?;
        roots.add(certificate).map_err(|_| wrong())?;
    }
    Ok(roots.len())
}

fn server_name(text: &str) -> Result<String, String> {
    let name = host::parse(text)?;
    let name = match name {
        Host::Name(name) => name,
        Host::Ip(ip) => ip.to_string(),
    };
    match ServerName::try_from(name.as_str()) {
        Ok(_) => Ok(name),
        Err(_) => Err("not a name that TLS can verify".into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn file(content: &str) -> Result<usize, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        certificates(file.path())
    }

    #[test]
    fn counts_certificates_and_refuses_broken_ones() {
        let pem = || rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap().cert.pem();
        assert_eq!(file(&(pem() + &pem())), Ok(2));
        assert_eq!(file("no PEM here"), Ok(0));
        assert!(file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
        assert!(
            file(&format!("{}-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", pem())).is_err()
        );
        assert!(certificates(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn a_server_name_is_one_that_can_be_verified() {
        assert_eq!(server_name("API.example.com"), Ok("api.example.com".into()));
        assert_eq!(server_name("127.0.0.1"), Ok("127.0.0.1".into()));
        assert!(server_name("https://api.example.com").is_err());
        assert!(server_name("").is_err());
    }
}
